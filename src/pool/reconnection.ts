import { Backoff } from './backoff.js';
import type { Clock, Timer } from './clock.js';

/** How a server is tried again that does not answer. */
export interface ReconnectionOptions {
  /** For how long, in seconds. */
  readonly reconnectTimeout: number;
  /** Whether an attempt to come keeps the process alive. */
  readonly keepAlive: boolean;
  readonly clock: Clock;
  readonly random: () => number;
}

/** An attempt to come so many seconds after the last is not brought forward. */
const NOT_FAR = 1.2;

/** When a server that does not answer is tried again: from the first failure to the next success, one attempt is to come at most. */
export class Reconnection {
  readonly #options: ReconnectionOptions;
  readonly #attempt: () => void;
  #backoff: Backoff | null = null;
  #timer: Timer | null = null;
  /** When the attempt before the one to come failed, and when that comes. */
  #failedAt = 0;
  #comesAt = 0;

  /** `attempt` is called when one is due. */
  constructor(options: ReconnectionOptions, attempt: () => void) {
    this.#options = options;
    this.#attempt = attempt;
  }

  /** Whether the server is not known to answer. */
  get isOn(): boolean {
    return this.#backoff !== null;
  }

  /** Whether an attempt is to come, before which there should be no other. */
  get isPending(): boolean {
    return this.#timer !== null;
  }

  /** Notes that an attempt has failed. Returns whether the time for others, which began with the first failure, is over. */
  fail(): boolean {
    const now = this.#options.clock.now();
    return this.#begun(now).isOver(now);
  }

  /** Has the next attempt come; returns in how many seconds, which are fewer if somebody waits for it. */
  schedule(isWaitedFor: boolean): number {
    const now = this.#options.clock.now();
    const backoff = this.#begun(now);
    const delay = isWaitedFor ? backoff.nextInHurry(now) : backoff.next(now);
    this.#failedAt = now;
    this.#comeIn(delay, now);
    return delay;
  }

  /** Somebody has come to wait, for whom the next attempt may be too far. */
  hurry(): void {
    if (this.#timer === null || this.#backoff === null) return;
    if (this.#comesAt - this.#failedAt <= NOT_FAR) return;
    this.#timer.cancel();
    const now = this.#options.clock.now();
    const at = this.#failedAt + this.#backoff.nextInHurry(this.#failedAt);
    this.#comeIn(Math.max(0, at - now), now);
  }

  /** No attempt is to come; the next failure is a first one. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#backoff = null;
  }

  #begun(now: number): Backoff {
    const { reconnectTimeout, random } = this.#options;
    return (this.#backoff ??= new Backoff(now, reconnectTimeout, random));
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
