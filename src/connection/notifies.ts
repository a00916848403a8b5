import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Session } from '../session/session.js';
import type { Handle } from './handle.js';

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

/** Hears of a notification. */
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

/** The loops that wait, which the end of a session wakes, by whichever of the connections that share it. */
const waiting = new WeakMap<Session, () => void>();
/** How many wait at all: mostly none, and every checkout from a pool asks when it ends. */
let waits = 0;

/** Has the loop that waits on this session, if there is one, look at what has become of it. */
export function wakeNotifies(session: Session): void {
  if (waits > 0) waiting.get(session)?.();
}

/** What a connection does with notifications: its handlers, and those that no loop has been given yet. */
export class Notifications {
  /** Called with each notification. */
  readonly handlers: NotifyHandler[];
  readonly #handle: Handle;
  #backlog: Notify[] = [];
  #looping = false;

  constructor(handle: Handle, handlers: readonly NotifyHandler[]) {
    this.#handle = handle;
    this.handlers = [...handlers];
  }

  receive(notify: Notify): void {
    if (this.#handle.returned) return;
    // With a handler and no loop, nobody would ever empty it.
    if (this.#looping || this.handlers.length === 0) {
      this.#backlog.push(notify);
      wakeNotifies(this.#handle.session);
    }
    for (const handler of [...this.handlers]) {
      try {
        handler(notify);
      } catch (error) {
        process.emitWarning(`a notify handler threw: ${thrownText(error)}`);
      }
    }
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
    this.#handle.check();
    return this.#loop(options);
  }

  async *#loop({
    timeout,
    stopAfter = Infinity,
    signal,
  }: NotifiesOptions): AsyncGenerator<Notify, void, void> {
    if (this.#looping) {
      throw new errors.ProgrammingError(
        'notifies() is being iterated over on this connection already: each notification would go to one of the loops only;' +
          ' use one loop, or addNotifyHandler()',
      );
    }
    this.#looping = true;
    const wait = new Wait(this.#handle.session, timeout, signal);
    const end = (): void => {
      if (wait.ended) return;
      wait.end();
      this.#looping = false;
    };
    try {
      let left = stopAfter;
      let isLastRound = false;
      while (left > 0) {
        signal?.throwIfAborted();
        this.#handle.check();
        if (wait.over && !isLastRound) {
          // What comes from now on is for the next loop.
          isLastRound = true;
          left = Math.min(left, this.#backlog.length);
          continue;
        }
        const notify = this.#backlog.shift();
        if (notify !== undefined) {
          left--;
          // Whoever takes the last one by next() has no reason to come back for the end.
          if (left === 0) end();
          yield notify;
        } else if (this.#handle.session.closed) {
          throw this.#handle.session.unusable();
        } else {
          await wait.next();
        }
      }
    } finally {
      end();
    }
  }
}

/** Waits for whatever a loop has to look at. */
class Wait {
  /** Whether the time is over. */
  over = false;
  ended = false;
  readonly #session: Session;
  readonly #signal: AbortSignal | undefined;
  readonly #onLostBefore: Session['onLost'];
  readonly #deadline: number;
  #timer: NodeJS.Timeout | null = null;
  #resolve: (() => void) | null = null;

  constructor(session: Session, timeout: number | undefined, signal: AbortSignal | undefined) {
    this.#session = session;
    this.#signal = signal;
    this.#deadline = performance.now() + (timeout ?? Infinity) * 1000;
    this.#onLostBefore = session.onLost;
    session.onLost = this.#lost;
    waiting.set(session, this.#wake);
    waits++;
    signal?.addEventListener('abort', this.#wake, { once: true });
    this.#setTimer();
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(): void {
    this.ended = true;
    waits--;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#wake);
    if (waiting.get(this.#session) === this.#wake) waiting.delete(this.#session);
    if (this.#session.onLost === this.#lost) this.#session.onLost = this.#onLostBefore;
  }

  readonly #wake = (): void => {
    const resolve = this.#resolve;
    this.#resolve = null;
    resolve?.();
  };

  readonly #lost = (error: Error): void => {
    this.#onLostBefore?.(error);
    this.#wake();
  };

  #setTimer(): void {
    if (this.#deadline === Infinity) return;
    const left = this.#deadline - performance.now();
    this.#timer = setTimeout(
      () => {
        if (performance.now() < this.#deadline) {
          this.#setTimer();
          return;
        }
        // What has reached this machine by now is read before the loop ends.
        setImmediate(() => {
          if (this.ended) return;
          this.over = true;
          this.#wake();
        });
      },
      Math.min(Math.max(left, 0), LONGEST_TIMER),
    );
  }
}

/** Node takes no longer ones. */
const LONGEST_TIMER = 2_147_483_647;
