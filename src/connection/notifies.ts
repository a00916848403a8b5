import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { Fifo } from '../queues.js';
import { onAbort, systemClock } from '../waiting.js';
import type { ConnectionCore } from './connection-core.js';
import { Handlers } from './handlers.js';

/** A notification received after `LISTEN` (Psycopg: `Notify`). */
export class Notify {
  /** The notification's channel. */
  readonly channel: string;
  /** The notification's text; empty if it has none. */
  readonly payload: string;
  /** The process id of the backend that sent it. */
  readonly pid: number;

  constructor(channel: string, payload: string, pid: number) {
    this.channel = channel;
    this.payload = payload;
    this.pid = pid;
  }
}

/** A handler of notifications. */
export type NotifyHandler = (notify: Notify) => void;

/** Options of `notifies()`. */
export interface NotifiesOptions {
  /** Seconds after which the loop ends; 0: yields what has already arrived. @default no limit */
  timeout?: number | undefined;
  /** The number of notifications after which the loop ends. @default no limit */
  stopAfter?: number | undefined;
  /** Ends the loop when it is aborted; the loop then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** The maximum number of notifications kept for a loop, and of their payloads' characters; the docstring of `notifies()` states them. */
const MOST_KEPT = 100_000;
const MOST_CHARACTERS = 64_000_000;
/** The same while handlers get all of them and `notifies()` has not been called: maybe no loop ever fetches them. */
const MOST_KEPT_BESIDE_HANDLERS = 1000;

/** A connection's notifications: its handlers, and the notifications kept for a loop. */
export class Notifications {
  /** Called with each notification. */
  readonly handlers: Handlers<Notify>;
  readonly #core: ConnectionCore;
  readonly #kept = new Fifo<Notify | Error>();
  /** The characters of their payloads. */
  #characters = 0;
  /** The number of notifications dropped because too many were kept. */
  #dropped = 0;
  /** Whether `notifies()` has been called, so that kept notifications will be fetched. */
  #fetched = false;
  /** Whether kept notifications were received by handlers before the first call of `notifies()`. */
  #hasHandled = false;
  #looping = false;
  /** Wakes the waiting loop. */
  #wake: (() => void) | null = null;

  constructor(core: ConnectionCore, handlers: Handlers<Notify>) {
    this.#core = core;
    this.handlers = new Handlers('notify', handlers);
  }

  receive(notify: Notify): void {
    if (this.#core.returned) return;
    this.#forgetHandled();
    if (this.#fetched || this.handlers.isEmpty) this.#keep(notify);
    else if (this.#core.session.quiet) this.#keepHandled(notify);
    this.handlers.tell(notify);
  }

  /** A notification that could not be read is an error of the loop, at its place. Handlers have no place for it. */
  receiveError(error: Error): void {
    if (this.#core.returned) return;
    this.#forgetHandled();
    if (this.#fetched || this.handlers.isEmpty) this.#keep(error);
    if (!this.handlers.isEmpty)
      process.emitWarning(`a notify handler missed a notification: ${error.message}`);
  }

  /**
   * A handler gets this one, and a loop does if it is the first to read from the connection, as in Psycopg, where nothing reads between
   * two statements.
   */
  #keepHandled(notify: Notify): void {
    this.#hasHandled = true;
    this.#add(notify);
    if (this.#kept.length > MOST_KEPT_BESIDE_HANDLERS) this.#take();
  }

  /** Once the handlers are removed, no loop gets what they have had. */
  #forgetHandled(): void {
    if (!this.#hasHandled || !this.handlers.isEmpty) return;
    this.#hasHandled = false;
    this.#kept.drain();
    this.#characters = 0;
  }

  #keep(notify: Notify | Error): void {
    // Once one is dropped, all later ones are, so that the loop can report the position of the gap.
    if (this.#dropped > 0 || this.#isFull) this.#dropped++;
    else this.#add(notify);
    this.#wake?.();
  }

  get #isFull(): boolean {
    return this.#kept.length >= MOST_KEPT || this.#characters >= MOST_CHARACTERS;
  }

  #add(notify: Notify | Error): void {
    this.#kept.push(notify);
    this.#characters += charactersOf(notify);
  }

  #take(): Notify | Error | undefined {
    const notify = this.#kept.shift();
    if (notify !== undefined) this.#characters -= charactersOf(notify);
    return notify;
  }

  /** Checks the connection now, and again while the loop waits. */
  loop(options: NotifiesOptions): AsyncGenerator<Notify, void, void> {
    this.#core.checkNotReturned();
    this.#forgetHandled();
    this.#fetched = true;
    this.#hasHandled = false;
    return this.#loop(options);
  }

  async *#loop({
    timeout = Infinity,
    stopAfter = Infinity,
    signal,
  }: NotifiesOptions): AsyncGenerator<Notify, void, void> {
    if (this.#looping) {
      throw new errors.ProgrammingError(
        'this connection already has a loop over notifies(): each notification would reach only one of the two;' +
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
          // Later notifications are for the next loop.
          isLastRound = true;
          left = Math.min(left, this.#kept.length + (this.#dropped > 0 ? 1 : 0));
          continue;
        }
        const notify = this.#take();
        if (notify !== undefined) {
          left--;
          // A caller that takes the last one by next() may not call next() again.
          if (left === 0) end();
          if (notify instanceof Error) throw notify;
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
      `${String(dropped)} notifications were dropped here, since more than ${String(MOST_KEPT)}, or ${String(MOST_CHARACTERS)} characters, waited for a` +
        ' loop over notifies();' +
        ' look for what they would have reported, and start another loop',
    );
  }

  /**
   * Waits until the loop has something to do: a notification, the deadline, an abort, or the end of the connection. The loop
   * registers listeners only during this wait, so that an unfinished loop leaves none behind.
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

function charactersOf(notify: Notify | Error): number {
  return notify instanceof Error ? 0 : notify.payload.length;
}

/** Resolves when everything received by this machine so far has been read, that is after the sockets' turn in the event loop. */
async function whatHasArrived(): Promise<void> {
  await sleep(0);
  await tick();
}
