import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { Fifo } from '../queues.js';
import { onAbort, systemClock } from '../waiting.js';
import type { ConnectionCore } from './connection-core.js';
import { Handlers } from './handlers.js';

/** A notification that the connection listens to (Psycopg: `Notify`). */
export class Notify {
  /** The channel it was sent to. */
  readonly channel: string;
  /** The text sent along; empty if there was none. */
  readonly payload: string;
  /** The process id of the backend that sent it. */
  readonly pid: number;

  constructor(channel: string, payload: string, pid: number) {
    this.channel = channel;
    this.payload = payload;
    this.pid = pid;
  }
}

/** A function that is called with each notification. */
export type NotifyHandler = (notify: Notify) => void;

/** Options of `notifies()`. */
export interface NotifiesOptions {
  /** Seconds after which the loop ends; 0: what is there now. @default no limit */
  timeout?: number | undefined;
  /** How many notifications end the loop. @default no limit */
  stopAfter?: number | undefined;
  /** Ends the loop when it is aborted, which rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** How many notifications are kept for a loop at most; `notifies()` says so. */
const MOST_KEPT = 100_000;

/** What a connection does with notifications: its handlers, and those that no loop has been given yet. */
export class Notifications {
  /** Called with each notification. */
  readonly handlers: Handlers<Notify>;
  readonly #core: ConnectionCore;
  readonly #kept = new Fifo<Notify>();
  /** How many notifications have been dropped, since too many were kept. */
  #dropped = 0;
  /** Whether `notifies()` has been called, so that kept notifications are going to be fetched. */
  #fetched = false;
  #looping = false;
  /** Makes the waiting loop look again. */
  #wake: (() => void) | null = null;

  constructor(core: ConnectionCore, handlers: Handlers<Notify>) {
    this.#core = core;
    this.handlers = new Handlers('notify', handlers);
  }

  receive(notify: Notify): void {
    if (this.#core.returned) return;
    // With a handler, and without a call of notifies(), kept notifications would never be fetched.
    if (this.#fetched || this.handlers.isEmpty) this.#keep(notify);
    this.handlers.tell(notify);
  }

  #keep(notify: Notify): void {
    // Once one is dropped, all later ones are, so that the loop can report where the gap is.
    if (this.#dropped > 0 || this.#kept.length >= MOST_KEPT) this.#dropped++;
    else this.#kept.push(notify);
    this.#wake?.();
  }

  /** Checks the options now, and the connection when the loop begins. */
  loop(options: NotifiesOptions): AsyncGenerator<Notify, void, void> {
    const { timeout, stopAfter } = options;
    if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0)) {
      throw new errors.ProgrammingError(
        `expected the \`timeout\` of notifies() to be a number of seconds, 0 or more, got ${String(timeout)}`,
      );
    }
    if (stopAfter !== undefined && !(Number.isInteger(stopAfter) && stopAfter > 0)) {
      throw new errors.ProgrammingError(
        `expected \`stopAfter\` of notifies() to be a whole number, 1 or more, got ${String(stopAfter)}`,
      );
    }
    this.#core.checkNotReturned();
    this.#fetched = true;
    return this.#loop(options);
  }

  async *#loop({
    timeout = Infinity,
    stopAfter = Infinity,
    signal,
  }: NotifiesOptions): AsyncGenerator<Notify, void, void> {
    if (this.#looping) {
      throw new errors.ProgrammingError(
        'notifies() is being iterated over on this connection already: each notification would go to one of the loops only;' +
          ' use one loop, end one that was left unfinished by its return(), or use addNotifyHandler()',
      );
    }
    this.#looping = true;
    let ended = false;
    const end = (): void => {
      // Another loop may have begun since.
      if (!ended) this.#looping = false;
      ended = true;
    };
    try {
      const deadline = systemClock.now() + timeout;
      let left = stopAfter;
      let isLastRound = false;
      while (left > 0) {
        signal?.throwIfAborted();
        this.#core.checkNotReturned();
        if (!isLastRound && systemClock.now() >= deadline) {
          await whatHasArrived();
          // Notifications that come from now on are for the next loop.
          isLastRound = true;
          left = Math.min(left, this.#kept.length + (this.#dropped > 0 ? 1 : 0));
          continue;
        }
        const notify = this.#kept.shift();
        if (notify !== undefined) {
          left--;
          // A caller that takes the last one by next() may not come back for the end.
          if (left === 0) end();
          yield notify;
        } else if (this.#dropped > 0) {
          throw this.#tooMany();
        } else {
          this.#core.checkUsable();
          await this.#arrival(deadline, signal);
        }
      }
    } catch (error) {
      throw callersStack(error);
    } finally {
      end();
    }
  }

  #tooMany(): Error {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return new errors.OperationalError(
      `${String(dropped)} notifications were dropped here, since more than ${String(MOST_KEPT)} waited for a loop over notifies();` +
        ' look up what they would have told, and loop on',
    );
  }

  /**
   * Waits for anything that the loop has to look at: a notification, the deadline, an abort, the end of the connection. The loop is
   * registered elsewhere only during this wait, so that an unfinished loop leaves nothing behind.
   */
  async #arrival(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const undo: (() => void)[] = [];
    try {
      await new Promise<void>((wake) => {
        this.#wake = wake;
        undo.push(this.#core.onEnd(wake));
        if (signal !== undefined) undo.push(onAbort(signal, wake));
        if (deadline < Infinity) {
          const timer = systemClock.after(deadline - systemClock.now(), wake, true);
          undo.push(() => {
            timer.cancel();
          });
        }
      });
    } finally {
      this.#wake = null;
      for (const take of undo) take();
    }
  }
}

/** Resolves when everything that has reached this machine so far has been read: the sockets have had their turn. */
async function whatHasArrived(): Promise<void> {
  await sleep(0);
  await tick();
}
