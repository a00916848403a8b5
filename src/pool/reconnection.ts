import type { EvictReason } from '../diagnostics.js';
import type { Clock, Timer } from '../waiting.js';
import { Refill } from './refill.js';

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
 * Decides when the pool connects again. An unreachable server is tried after 1, 2, 4 … seconds, varied by a tenth, and every second while a request
 * waits, until `reconnectTimeout` has passed. Between the first failure and the next success, at most one attempt is pending.
 */
export class Reconnection {
  readonly #options: ReconnectionOptions;
  readonly #attempt: () => void;
  readonly #refill: Refill;
  /** When the time is over; null while the server is reachable. */
  #giveUpAt: number | null = null;
  #delay = 0;
  #timer: Timer | null = null;
  /** When the last attempt failed, and when the pending one is due. */
  #failedAt = 0;
  #comesAt = 0;
  #gaveUp = false;
  #told = false;
  #isSuspect = false;

  /** `attempt` is called when an attempt is due. */
  constructor(options: ReconnectionOptions, attempt: () => void) {
    this.#options = options;
    this.#attempt = attempt;
    this.#refill = new Refill(options, attempt);
  }

  /**
   * The number of attempts that may be in progress now, if a caller waits for one or not. A server that may be unreachable, as
   * the last attempt failed or a resource has been lost since, gets one at a time.
   */
  limit(isAwaited: boolean): number {
    if (this.isPending || (this.#gaveUp && !isAwaited)) return 0;
    return this.#giveUpAt !== null || this.#gaveUp || this.#isSuspect ? 1 : Infinity;
  }

  /** Whether an attempt is pending; no other attempt should be made before it. */
  get isPending(): boolean {
    return this.#timer !== null;
  }

  /** Handles the end of a resource. When some are lost or drained, those of all other processes may be, too. */
  ended(reason: EvictReason): void {
    if (reason === 'lost') this.#isSuspect = true;
    if (reason === 'lost' || reason === 'drained') this.#refill.pace();
  }

  /** The reserve is complete, or a caller asks for all of it: no more pauses. */
  hasten(): void {
    this.#refill.hasten();
  }

  /** The number of resources that may be connecting for a reserve of `size`, of which `missing` are missing. */
  reserve(missing: number, size: number): number {
    return this.#refill.share(missing, size);
  }

  /**
   * Handles a failed attempt while `others` are in progress. Schedules another one, unless the time, which began with the first
   * failure, is over.
   */
  fail(error: unknown, others: number, awaiting: Awaiting): void {
    this.#refill.attempted();
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

  /** Allows attempts without a request again, and without pauses. */
  resume(): void {
    this.#gaveUp = false;
    this.hasten();
  }

  /** Ends all attempts: the pool is closed. */
  stop(): void {
    this.end();
    this.hasten();
  }

  /** The server has answered; the next failure counts as the first. */
  end(): void {
    this.#refill.attempted();
    this.#stop();
    this.#gaveUp = false;
    this.#told = false;
    this.#isSuspect = false;
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
