const FIRST_DELAY = 1;
const FACTOR = 2;
const JITTER = 0.1;

/**
 * The pace of attempts to connect to a server that does not answer: after 1, 2, 4 … seconds, give or take a tenth, and each
 * second while somebody waits for it.
 */
export class Backoff {
  readonly #giveUpAt: number;
  readonly #random: () => number;
  #delay = 0;

  /** Times in seconds. */
  constructor(now: number, timeout: number, random: () => number) {
    this.#giveUpAt = now + timeout;
    this.#random = random;
  }

  /** Seconds until the next attempt, the last of which falls on the end of the time given. */
  next(now: number): number {
    this.#delay = this.#delay === 0 ? this.#first() : this.#delay * FACTOR;
    return Math.max(0, Math.min(this.#delay, this.#giveUpAt - now));
  }

  /** Seconds from an attempt to the next while somebody waits: those to come after it are not put off by that. */
  nextInHurry(now: number): number {
    return Math.max(0, Math.min(this.#first(), this.#giveUpAt - now));
  }

  #first(): number {
    return FIRST_DELAY * (1 + (this.#random() * 2 - 1) * JITTER);
  }

  /** Whether the time is over. */
  isOver(now: number): boolean {
    return now >= this.#giveUpAt;
  }
}
