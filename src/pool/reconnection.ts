import type { Clock, Timer } from '../waiting.js';

/** How connecting to an unreachable server is retried. */
export interface ReconnectionOptions {
  /** For how long, in seconds; 0: not at all. */
  readonly reconnectTimeout: number;
  /** Whether a pending attempt keeps the process alive. */
  readonly keepAlive: boolean;
  /** Called once when the time is over, until the server answers again. */
  readonly reconnectFailed: () => void;
  /** Called after each failed attempt with the seconds until the next; null: after the next request. */
  readonly retrying?: (error: unknown, delay: number | null) => void;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The requests that wait for the server. */
export interface Awaiting {
  /** Whether a request is waiting. */
  isAwaited(): boolean;
  /** Rejects the waiting requests, since no further attempt follows. */
  refuse(): void;
}

/** Seconds before the second attempt; later pauses double. */
const FIRST_DELAY = 1;
const FACTOR = 2;
const JITTER = 0.1;
/** An attempt due within this many seconds after the last one is not brought forward. */
const SOON = 1.2;

/**
 * Decides when an unreachable server is tried again: after 1, 2, 4 … seconds, varied by a tenth, and every second while a request
 * waits, until `reconnectTimeout` has passed. Between the first failure and the next success, at most one attempt is pending.
 */
export class Reconnection {
  readonly #options: ReconnectionOptions;
  readonly #attempt: () => void;
  /** When the time is over; null while the server is reachable. */
  #giveUpAt: number | null = null;
  #delay = 0;
  #timer: Timer | null = null;
  /** When the last attempt failed, and when the pending one is due. */
  #failedAt = 0;
  #comesAt = 0;
  #gaveUp = false;
  #told = false;

  /** `attempt` is called when an attempt is due. */
  constructor(options: ReconnectionOptions, attempt: () => void) {
    this.#options = options;
    this.#attempt = attempt;
  }

  /** Whether the server is unreachable: the last attempt has failed. */
  get isOn(): boolean {
    return this.#giveUpAt !== null || this.#gaveUp;
  }

  /** Whether an attempt is pending; no other attempt should be made before it. */
  get isPending(): boolean {
    return this.#timer !== null;
  }

  /** Whether the time is over, so that the next attempt follows the next request. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /**
   * Handles a failed attempt while `others` are in progress. Schedules another one, unless the time, which began with the first
   * failure, is over.
   */
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
      // A waiting request keeps an attempt pending; otherwise the next request makes one.
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
    // An early attempt for a waiting request does not lengthen later pauses.
    if (!isAwaited) this.#delay = this.#delay === 0 ? this.#first() : this.#delay * FACTOR;
    const delay = this.#atMost(isAwaited ? this.#first() : this.#delay, now);
    this.#failedAt = now;
    this.#comeIn(delay, now);
    return delay;
  }

  /** Brings the next attempt forward for a request that has begun to wait. */
  hurry(): void {
    if (this.#timer === null || this.#comesAt - this.#failedAt <= SOON) return;
    this.#timer.cancel();
    const now = this.#options.clock.now();
    const at = this.#failedAt + this.#atMost(this.#first(), this.#failedAt);
    this.#comeIn(Math.max(0, at - now), now);
  }

  /** Stops trying until the next request. */
  #giveUp(): void {
    this.#stop();
    this.#gaveUp = true;
  }

  /** Allows attempts without a request again. */
  resume(): void {
    this.#gaveUp = false;
  }

  /** The server has answered, or is no longer needed; the next failure counts as the first. */
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

  /** The last attempt is made when the time ends. */
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
