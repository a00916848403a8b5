/** An event that happens at most once, and its listeners. */
export class OneTimeEvent<Details extends readonly unknown[] = []> {
  readonly #listeners = new Set<{ readonly call: (...details: Details) => void }>();

  /** Calls `listener` when the event happens. Returns a function that removes the listener. */
  listen(listener: (...details: Details) => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  /** Calls the listeners: the event has happened. */
  tell(...details: Details): void {
    for (const entry of this.#listeners) {
      // A listener may remove another one.
      if (this.#listeners.delete(entry)) entry.call(...details);
    }
  }
}
