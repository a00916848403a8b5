import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** The subscriptions of one `instrument()`, which end together. */
export class Subscriptions {
  readonly #undo: (() => void)[] = [];

  /** Calls `listener` with each message of a channel. */
  on<M>(channel: string, listener: (message: M) => void): void {
    const onMessage = (message: unknown): void => listener(message as M);
    subscribe(channel, onMessage);
    this.add(() => unsubscribe(channel, onMessage));
  }

  /** Calls `undo` at the end. */
  add(undo: () => void): void {
    this.#undo.push(undo);
  }

  end(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }
}
