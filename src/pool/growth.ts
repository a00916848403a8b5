import { setMaxListeners } from 'node:events';
import type { LimitFunction } from 'p-limit';
import { Reconnection, type ReconnectionOptions } from './reconnection.js';
import type { Counters } from './statistics.js';

/** How a pool grows. */
export interface GrowthOptions extends ReconnectionOptions {
  /**
   * Whether what comes back stays in the pool while nobody wants it. If not, each request has a resource made for it, or is given
   * one that comes back while it waits; a failed attempt is the answer to a request, which no other attempt follows.
   */
  readonly keepIdle: boolean;
  /** Called when `reconnectTimeout` is over. */
  readonly reconnectFailed: () => void;
  /** Hears of each failed attempt and of how soon another follows; null: not before somebody asks. */
  readonly retrying?: (error: unknown, delay: number | null) => void;
}

/** The pool that grows by resources `V`. */
export interface Growing<V> {
  /** Makes one; gives up when `signal` is aborted. */
  create(signal: AbortSignal): Promise<V>;
  /** How many should be on their way, if there should be `trials` that nobody has asked for. */
  wanted(trials: number): number;
  /** How many wait for one. */
  waiting(): number;
  /** One has been made. */
  made(value: V): void;
  /** An attempt has failed. */
  failed(error: unknown): void;
  /** There are fewer on their way than before, and all has been done about it. */
  changed(): void;
}

/** Makes the resources of a pool, as many as are wanted, and tries again what fails. */
export class Growth<V> {
  readonly #pool: Growing<V>;
  readonly #options: GrowthOptions;
  readonly #workers: LimitFunction;
  readonly #counters: Counters;
  readonly #reconnection: Reconnection;
  readonly #aborter = new AbortController();
  /** Attempts under way, or waiting for a worker. */
  #making = 0;
  #made = 0;
  #isTrying = false;
  /** Why the last attempt failed, or the last check of what was made, if none has succeeded since. */
  lastError: unknown = null;

  constructor(pool: Growing<V>, options: GrowthOptions, workers: LimitFunction, counters: Counters) {
    this.#pool = pool;
    this.#options = options;
    this.#workers = workers;
    this.#counters = counters;
    this.#reconnection = new Reconnection(options, () => {
      this.grow();
    });
    // As many may listen as resources are being made.
    setMaxListeners(0, this.#aborter.signal);
  }

  /** How many resources are on their way. */
  get making(): number {
    return this.#making;
  }

  /** How many have been made. */
  get made(): number {
    return this.#made;
  }

  /** Sets about making as many as are wanted. */
  grow(): void {
    const { keepIdle } = this.#options;
    if (keepIdle && this.#reconnection.isPending) return;
    // A server that does not answer is tried by one attempt at a time.
    const most = keepIdle && this.#reconnection.isOn ? 1 : Infinity;
    while (this.#making < Math.min(most, this.#wanted())) {
      this.#making++;
      // Where each request has a resource made for it, it must not queue for a worker.
      void (keepIdle ? this.#workers(() => this.#make()) : this.#make());
    }
  }

  /** Grows for somebody who has come to wait, and to whom the next attempt may be too far. */
  hurry(): void {
    if (this.#options.keepIdle) this.#reconnection.hurry();
    this.grow();
  }

  /** From here on one is to be made although nobody has asked for it, to see that it can be. */
  tryOne(): void {
    this.#isTrying = true;
    this.grow();
  }

  /** Nobody wants to see that any more. */
  stopTrying(): void {
    this.#isTrying = false;
  }

  /** Gives up what is under way, and makes nothing any more. */
  stop(reason: unknown): void {
    this.#reconnection.end();
    this.#aborter.abort(reason);
  }

  get #isStopped(): boolean {
    return this.#aborter.signal.aborted;
  }

  #wanted(): number {
    return this.#pool.wanted(this.#isTrying && !this.#reconnection.isPending ? 1 : 0);
  }

  async #make(): Promise<void> {
    // The need may have passed while the attempt waited for a worker.
    if (this.#making > this.#wanted()) {
      this.#making--;
      this.#pool.changed();
      return;
    }
    const began = this.#options.clock.now();
    this.#counters.connectionsNum++;
    let value: V;
    try {
      value = await this.#pool.create(this.#aborter.signal);
    } catch (error) {
      this.#making--;
      this.#counters.connectionsErrors++;
      if (!this.#isStopped) this.#onFailed(error);
      this.#pool.changed();
      return;
    }
    this.#making--;
    this.#counters.connectionsMs += (this.#options.clock.now() - began) * 1000;
    this.#made++;
    this.#isTrying = false;
    this.#reconnection.end();
    this.lastError = null;
    this.#pool.made(value);
    this.grow();
    this.#pool.changed();
  }

  #onFailed(error: unknown): void {
    const { keepIdle } = this.#options;
    this.lastError = error;
    this.#pool.failed(error);
    if (!this.#reconnection.isPending && (keepIdle || this.#isTrying)) this.#retryLater();
    if (!keepIdle) this.grow();
  }

  #retryLater(): void {
    const { keepIdle, reconnectFailed, retrying } = this.#options;
    if (this.#reconnection.fail()) {
      this.#reconnection.end();
      reconnectFailed();
      // Whoever waits keeps an attempt alive; else the next to ask makes one.
      if (this.#isStopped || (this.#pool.waiting() === 0 && !this.#isTrying)) {
        retrying?.(this.lastError, null);
        return;
      }
    }
    const delay = this.#reconnection.schedule(keepIdle && this.#pool.waiting() > 0);
    retrying?.(this.lastError, delay);
  }
}
