import { deadline, type Clock } from './clock.js';

/** Something that changes, and whoever waits for it to be as they want it: a condition variable. */
export class Condition {
  readonly #clock: Clock;
  readonly #watchers = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It may have changed. */
  notify(): void {
    if (this.#watchers.size > 0) for (const watch of [...this.#watchers]) watch();
  }

  /**
   * Resolves with true as soon as `predicate` holds, which is looked at when `signal` is aborted as well; with false after
   * `timeout` seconds.
   */
  waitFor(predicate: () => boolean, timeout: number, signal?: AbortSignal): Promise<boolean> {
    if (predicate()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (result: boolean): void => {
        this.#watchers.delete(watch);
        signal?.removeEventListener('abort', watch);
        timer.cancel();
        resolve(result);
      };
      const watch = (): void => {
        if (predicate()) settle(true);
      };
      this.#watchers.add(watch);
      signal?.addEventListener('abort', watch, { once: true });
      const timer = deadline(this.#clock, timeout, () => {
        settle(false);
      });
    });
  }
}
