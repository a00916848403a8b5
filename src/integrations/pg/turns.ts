import { LinkedList } from '../../queues.js';

/** A caller that waits for its turn. */
interface Waiting {
  readonly begin: () => void;
  readonly refuse: (reason: unknown) => void;
}

/**
 * The order of a client's statements: one at a time, in the order of the calls. A statement takes the turn and ends it; the turn then
 * passes to the next.
 */
export class Turns {
  // Made on demand: most clients of a pool execute one statement.
  #waiting: LinkedList<Waiting> | null = null;
  #idle: (() => void)[] | null = null;
  #taken = false;

  /** Whether no statement runs or waits. */
  get isIdle(): boolean {
    return !this.#taken;
  }

  /** Takes the turn if it is free; returns whether it was. */
  take(): boolean {
    if (this.#taken) return false;
    this.#taken = true;
    return true;
  }

  /** Waits for the turn, at most until `signal` is aborted; rejects with its reason then. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        begin: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
        refuse: (reason) => {
          signal?.removeEventListener('abort', leave);
          reject(reason);
        },
      };
      const leave = (): void => {
        queue.remove(place);
        waiting.refuse(signal!.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      const queue = (this.#waiting ??= new LinkedList());
      const place = queue.push(waiting);
    });
  }

  /** Ends the turn. Returns whether no caller waits for the next one. */
  end(): boolean {
    const next = this.#waiting?.shift();
    if (next !== undefined) {
      next.begin();
      return false;
    }
    this.#taken = false;
    if (this.#idle !== null) for (const tell of this.#idle.splice(0)) tell();
    return true;
  }

  /** Rejects all callers that wait. */
  refuseAll(reason: unknown): void {
    for (let next = this.#waiting?.shift(); next !== undefined; next = this.#waiting?.shift())
      next.refuse(reason);
  }

  /** Calls `tell` once when no statement runs or waits. */
  whenIdle(tell: () => void): void {
    if (this.isIdle) tell();
    else (this.#idle ??= []).push(tell);
  }
}
