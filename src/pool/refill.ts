import type { Clock, Timer } from '../waiting.js';

/** What a refill takes its times from. */
export interface RefillOptions {
  /** Whether a pending refill keeps the process alive. */
  readonly keepAlive: boolean;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The maximum pause before one resource, and that before all of them together, in seconds. */
const LONGEST_PAUSE = 1;
const LONGEST_REFILL = 10;

/**
 * Paces how a pool makes its reserve of `minSize` resources again after it has lost some: one at a time, each after a random
 * pause. The pools of all processes lose their resources at the same moment, for example when a server fails over. Resources
 * that requests wait for are not paced.
 */
export class Refill {
  readonly #options: RefillOptions;
  readonly #due: () => void;
  #isPaced = false;
  #isDue = false;
  #timer: Timer | null = null;

  /** `due` is called when a resource may be made. */
  constructor(options: RefillOptions, due: () => void) {
    this.#options = options;
    this.#due = due;
  }

  /** The number of resources that may be connecting for a reserve of `size`, of which `missing` are missing. */
  share(missing: number, size: number): number {
    if (!this.#isPaced) return missing;
    if (this.#isDue) return 1;
    this.#schedule(size);
    return 0;
  }

  /** Resources were lost: their replacements are paced. */
  pace(): void {
    this.#isPaced = true;
  }

  /** An attempt to make a resource has ended; the next one has a pause of its own. */
  attempted(): void {
    this.#isDue = false;
  }

  /** Fills the reserve without pauses. */
  hasten(): void {
    this.#isPaced = false;
    this.#isDue = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #schedule(size: number): void {
    const { clock, random, keepAlive } = this.#options;
    this.#timer ??= clock.after(
      random() * Math.min(LONGEST_PAUSE, LONGEST_REFILL / size),
      () => {
        this.#timer = null;
        this.#isDue = true;
        this.#due();
      },
      keepAlive,
    );
  }
}
