import type { Clock, Timer } from '../waiting.js';

/** How connecting is retried while a server does not answer. */
export interface ReconnectionOptions {
  /** For how long, in seconds; 0: not at all. */
  readonly reconnectTimeout: number;
  /** Whether an attempt to come keeps the process alive. */
  readonly keepAlive: boolean;
  /** Called when the time is over, once until the server answers. */
  readonly reconnectFailed: () => void;
  /** Called after each failed attempt, with the seconds until the next; null: when a connection is asked for. */
  readonly retrying?: (error: unknown, delay: number | null) => void;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The requests that wait for the server to answer. */
export interface Awaiting {
  /** Whether there are any. */
  isAwaited(): boolean;
  /** Refuses them: no further attempt is made. */
  refuse(): void;
}

/** Seconds before the second attempt; the pauses double after it. */
const FIRST_DELAY = 1;
const FACTOR = 2;
const JITTER = 0.1;
/** An attempt due within this many seconds after the last one is not brought forward. */
const SOON = 1.2;

/**
 * Decides when a server that does not answer is tried again: after 1, 2, 4 … seconds, give or take a tenth, and each second while a
 * request waits, until `reconnectTimeout` is over. From the first failure to the next success at most one attempt is pending.
 */
export class Reconnection {
  readonly #options: ReconnectionOptions;
  readonly #attempt: () => void;
  /** When the time is over; null unless the server is not known to answer. */
  #giveUpAt: number | null = null;
  #delay = 0;
  #timer: Timer | null = null;
  /** When the attempt before the one to come failed, and when that comes. */
  #failedAt = 0;
  #comesAt = 0;
  #gaveUp = false;
  #told = false;

  /** `attempt` is called when one is due. */
  constructor(options: ReconnectionOptions, attempt: () => void) {
    this.#options = options;
    this.#attempt = attempt;
  }

  /** Whether the server is not known to answer: the last attempt has failed. */
  get isOn(): boolean {
    return this.#giveUpAt !== null || this.#gaveUp;
  }

  /** Whether an attempt is pending, before which no other should be made. */
  get isPending(): boolean {
    return this.#timer !== null;
  }

  /** Whether the time is over, so that the next attempt is made when a connection is asked for. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /** An attempt has failed, `others` are under way: another is to come, unless the time is over, which began with the first failure. */
  fail(error: unknown, others: number, awaiting: Awaiting): void {
    if (this.isPending) return;
    const { reconnectTimeout, reconnectFailed, retrying, clock } = this.#options;
    const now = clock.now();
    this.#giveUpAt ??= now + reconnectTimeout;
    if (now >= this.#giveUpAt) {
      // The outcome of the other attempts decides.
      if (others > 0) return;
      this.#giveUp();
      if (!this.#told) reconnectFailed();
      this.#told = true;
      if (reconnectTimeout === 0) awaiting.refuse();
      // A waiting request keeps an attempt pending; without one, the next request makes an attempt.
      if (!awaiting.isAwaited()) {
        retrying?.(error, null);
        return;
      }
    }
    const delay = this.#schedule(awaiting.isAwaited(), now);
    retrying?.(error, delay);
  }

  /** Schedules the next attempt. Returns the seconds until it, which are fewer if a request waits. */
  #schedule(isAwaited: boolean, now: number): number {
    this.#gaveUp = false;
    this.#giveUpAt ??= now + this.#options.reconnectTimeout;
    // An attempt that a request waits for does not lengthen the later pauses.
    if (!isAwaited) this.#delay = this.#delay === 0 ? this.#first() : this.#delay * FACTOR;
    const delay = this.#atMost(isAwaited ? this.#first() : this.#delay, now);
    this.#failedAt = now;
    this.#comeIn(delay, now);
    return delay;
  }

  /** A request has begun to wait, for which the next attempt may be too late. */
  hurry(): void {
    if (this.#timer === null || this.#comesAt - this.#failedAt <= SOON) return;
    this.#timer.cancel();
    const now = this.#options.clock.now();
    const at = this.#failedAt + this.#atMost(this.#first(), this.#failedAt);
    this.#comeIn(Math.max(0, at - now), now);
  }

  /** Stops trying until a connection is asked for. */
  #giveUp(): void {
    this.#stop();
    this.#gaveUp = true;
  }

  /** Lets the pool try again by itself. */
  resume(): void {
    this.#gaveUp = false;
  }

  /** The server has answered, or is not needed any more. The next failure is a first one. */
  end(): void {
    this.#stop();
    this.#gaveUp = false;
    this.#told = false;
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#giveUpAt = null;
    this.#delay = 0;
  }

  /** The last attempt falls on the end of the time given. */
  #atMost(delay: number, since: number): number {
    return Math.max(0, Math.min(delay, this.#giveUpAt! - since));
  }

  #first(): number {
    return FIRST_DELAY * (1 + (this.#options.random() * 2 - 1) * JITTER);
  }

  #comeIn(seconds: number, now: number): void {
    const { clock, keepAlive } = this.#options;
    this.#comesAt = now + seconds;
    this.#timer = clock.after(
      seconds,
      () => {
        this.#timer = null;
        this.#attempt();
      },
      keepAlive,
    );
  }
}
