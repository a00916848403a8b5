import { LinkedList, type Link } from '../linked-list.js';
import { deadline, type Clock, type Timer } from './clock.js';
import type { Counters } from './statistics.js';

/** A request that waits. */
export interface Wait {
  /** Seconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** Whether it is for a resource to come back, as far as is known, rather than for one that is made for it. */
  readonly queued: boolean;
  /** Whether it goes ahead of all others. */
  readonly first: boolean;
  /** What to say when the time is over, of a wait that began at `since`. */
  readonly late: (since: number) => unknown;
}

interface Waiter<V> {
  readonly resolve: (value: V) => void;
  readonly reject: (reason: unknown) => void;
  readonly since: number;
  readonly queued: boolean;
  timer: Timer | null;
  unlisten: (() => void) | null;
}

/** The requests that wait for something, served first come, first served. One leaves the queue before its promise settles. */
export class Waiters<V> {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #queue = new LinkedList<Waiter<V>>();

  constructor(clock: Clock, counters: Counters) {
    this.#clock = clock;
    this.#counters = counters;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Waits to be served; rejects when the time is over, and with the reason of the signal. */
  wait({ timeout, signal, queued, first, late }: Wait): Promise<V> {
    return new Promise((resolve, reject) => {
      const since = this.#clock.now();
      const waiter: Waiter<V> = { resolve, reject, since, queued, timer: null, unlisten: null };
      const link = first ? this.#queue.unshift(waiter) : this.#queue.push(waiter);
      waiter.timer = deadline(this.#clock, timeout, () => {
        this.#giveUp(link, () => late(since));
      });
      if (signal === undefined) return;
      const abort = (): void => {
        this.#giveUp(link, () => signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      waiter.unlisten = () => {
        signal.removeEventListener('abort', abort);
      };
    });
  }

  /** Serves whoever has waited longest, if anybody waits. */
  serve(value: V): void {
    const waiter = this.#queue.shift();
    if (waiter === undefined) return;
    this.#settled(waiter);
    waiter.resolve(value);
  }

  /** Refuses whoever has waited longest, if anybody waits. */
  refuse(reason: unknown): void {
    const waiter = this.#queue.shift();
    if (waiter !== undefined) this.#reject(waiter, reason);
  }

  #giveUp(link: Link<Waiter<V>>, reason: () => unknown): void {
    if (this.#queue.remove(link)) this.#reject(link.value, reason());
  }

  #reject(waiter: Waiter<V>, reason: unknown): void {
    this.#counters.requestsErrors++;
    this.#settled(waiter);
    waiter.reject(reason);
  }

  #settled({ timer, unlisten, queued, since }: Waiter<V>): void {
    timer?.cancel();
    unlisten?.();
    if (queued) this.#counters.requestsWaitMs += (this.#clock.now() - since) * 1000;
  }
}
