import type { Clock, Timer } from '../../src/waiting.js';

interface Job {
  /** The progress of all jobs at which this one is done. */
  readonly until: number;
  readonly done: () => void;
}

/**
 * The processors of a server. All jobs progress equally: as long as there are more jobs than processors, each has its share.
 * `contention` is the fraction of its speed that the whole loses to each job above the number of processors (switching, locks).
 */
export class Processors {
  readonly #clock: Clock;
  readonly #count: number;
  readonly #contention: number;
  /** By ascending `until`. */
  #jobs: Job[] = [];
  /** The processor time that a job would have had that was there since the beginning. */
  #progress = 0;
  #since = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, count: number, contention: number) {
    this.#clock = clock;
    this.#count = count;
    this.#contention = contention;
  }

  /** The progress of each job in a second. */
  get #speed(): number {
    const surplus = Math.max(0, this.#jobs.length - this.#count);
    return Math.min(1, this.#count / this.#jobs.length) / (1 + this.#contention * surplus);
  }

  /** Calls `done` when a job has had `seconds` of a processor. */
  run(seconds: number, done: () => void): void {
    this.#advance();
    const job = { until: this.#progress + seconds, done };
    let [low, high] = [0, this.#jobs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#jobs[middle]!.until <= job.until) low = middle + 1;
      else high = middle;
    }
    this.#jobs.splice(low, 0, job);
    this.#arm();
  }

  /** Ends all jobs; none of them is done. */
  clear(): void {
    this.#advance();
    this.#jobs = [];
    this.#arm();
  }

  #advance(): void {
    const now = this.#clock.now();
    if (this.#jobs.length > 0) this.#progress += (now - this.#since) * this.#speed;
    this.#since = now;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const first = this.#jobs[0];
    if (first === undefined) return;
    const left = Math.max(0, first.until - this.#progress) / this.#speed;
    this.#timer = this.#clock.after(
      left,
      () => {
        this.#advance();
        // The sum of many progresses is not exact.
        this.#progress = Math.max(this.#progress, first.until);
        const count = this.#jobs.findIndex(({ until }) => until > this.#progress);
        const ended = this.#jobs.splice(0, count === -1 ? this.#jobs.length : count);
        this.#arm();
        for (const { done } of ended) done();
      },
      true,
    );
  }
}
