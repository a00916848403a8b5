import type { Clock, Timer } from '../../src/waiting.js';

/** A clock that only advances on request. */
export class FakeClock implements Clock {
  time = 0;
  /** How far the time of day is ahead of it. */
  ahead = 0;
  readonly #timers: { at: number; fn: () => void }[] = [];

  now(): number {
    return this.time;
  }

  wall(): number {
    return this.time + this.ahead;
  }

  after(seconds: number, fn: () => void): Timer {
    const timer = { at: this.time + seconds, fn };
    this.#timers.push(timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  /** The number of scheduled calls. */
  get pending(): number {
    return this.#timers.length;
  }

  advance(seconds: number): void {
    const until = this.time + seconds;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.time = Math.max(this.time, next.at);
      next.fn();
    }
    this.time = until;
  }
}
