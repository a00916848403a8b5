/** Something that happens once at most, and who is to hear of it. */
export class OneTimeEvent<Details extends readonly unknown[] = []> {
  readonly #listeners = new Set<{ readonly call: (...details: Details) => void }>();

  /** Calls `listener` when it happens. Returns what takes the listener off again. */
  listen(listener: (...details: Details) => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  /** It has happened. */
  tell(...details: Details): void {
    for (const entry of this.#listeners) {
      // One that is called may take another off.
      if (this.#listeners.delete(entry)) entry.call(...details);
    }
  }
}
