import { LinkedList, type Link } from '../queues.js';
import { waitFor, type Clock, type Wait } from '../waiting.js';
import type { Checkout, Slot } from './slots.js';
import type { Counters } from './statistics.js';

/** A request that has to wait. */
export interface WaitRequest<T> {
  readonly checkout: Checkout<T>;
  /** Seconds to wait. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** Whether the request apparently waits for a resource to be returned rather than for its own to be made. */
  readonly isQueued: boolean;
  /** Whether it rejects with the error of the next attempt to connect that fails. */
  readonly failFast: boolean;
}

/** Makes the error of a checkout that has waited `timeout` seconds, since `began` by the clock. */
export type TooLate<T> = (timeout: number, checkout: Checkout<T>, began: number) => Error;

/** A waiting request: in the queue, or while the slot intended for it is checked. */
export interface Waiter<T> {
  readonly checkout: Checkout<T>;
  readonly wait: Wait<Checkout<T>>;
  /** The slot being checked for it; null in the queue. */
  readonly checked: Slot<T> | null;
}

interface Queued<T> extends Waiter<T> {
  readonly failFast: boolean;
  /** Waiters are served by ascending tickets. */
  readonly ticket: number;
  checked: Slot<T> | null;
  isServed: boolean;
  isQueued: boolean;
  /** Its node in the queue, and since when it has been there. */
  place: Link<Queued<T>> | null;
  since: number;
}

/**
 * The requests that wait for a resource, served strictly first come, first served. A waiter leaves the queue before its promise
 * settles.
 */
export class Waiters<T> {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #tooLate: TooLate<T>;
  readonly #queue = new LinkedList<Queued<T>>();
  #tickets = 0;
  /** The number of waiters in the queue. A field instead of a getter, since each checkout reads it. */
  length = 0;
  /** The number of waiters for which a slot is being checked. */
  checking = 0;

  constructor(clock: Clock, counters: Counters, tooLate: TooLate<T>) {
    this.#clock = clock;
    this.#counters = counters;
    this.#tooLate = tooLate;
  }

  /** The waiter that is served next. */
  get first(): Waiter<T> | undefined {
    return this.#queue.first;
  }

  /** Waits to be served; rejects after the timeout, or with the reason of the signal. `begun` is called once it is in the queue. */
  wait(
    { checkout, timeout, signal, isQueued, failFast }: WaitRequest<T>,
    begun: () => void,
  ): Promise<Checkout<T>> {
    const since = this.#clock.now();
    let waiter: Queued<T>;
    if (isQueued) this.#counters.requestsQueued++;
    return waitFor<Checkout<T>>(
      (wait) => {
        const ticket = this.#tickets++;
        waiter = {
          checkout,
          wait,
          ticket,
          checked: null,
          isServed: false,
          isQueued,
          failFast,
          place: null,
          since,
        };
        waiter.place = this.#queue.push(waiter);
        this.length++;
        begun();
      },
      {
        seconds: timeout,
        late: () => {
          throw this.#tooLate(timeout, checkout, since);
        },
        signal,
        ended: () => {
          this.#leaveQueue(waiter);
          this.#endCheck(waiter);
          if (!waiter.isServed) this.#counters.requestsErrors++;
        },
        clock: this.#clock,
      },
    );
  }

  /** Settles a waiter with the resource lent to it. */
  serve(waiter: Waiter<T>): void {
    (waiter as Queued<T>).isServed = true;
    waiter.wait.resolve(waiter.checkout);
  }

  /** Removes a waiter from the queue while a slot is checked for it. */
  awaitCheck(waiter: Waiter<T>, slot: Slot<T>): void {
    this.#leaveQueue(waiter as Queued<T>);
    (waiter as Queued<T>).checked = slot;
    this.checking++;
  }

  /** Returns a waiter to its former place in the queue, since the slot checked for it is unusable. */
  waitOn(waiter: Waiter<T>): void {
    const again = waiter as Queued<T>;
    this.#endCheck(again);
    again.since = this.#clock.now();
    again.place = this.#queue.insert(again, ({ ticket }) => ticket < again.ticket);
    this.length++;
  }

  /** Counts a waiter as waiting for a resource to be returned. */
  countQueued(waiter: Waiter<T>): void {
    const { place, isQueued } = waiter as Queued<T>;
    if (place === null || isQueued) return;
    (waiter as Queued<T>).isQueued = true;
    this.#counters.requestsQueued++;
  }

  /** Rejects the waiters in the queue that wait for no further attempt than the one that has failed with `error`. */
  failFast(error: unknown): void {
    for (const waiter of [...this.#queue].filter((one) => one.failFast)) waiter.wait.reject(error);
  }

  /** Rejects all waiters in the queue. */
  refuseAll(reason: () => unknown): void {
    for (let waiter; (waiter = this.#queue.first) !== undefined;) waiter.wait.reject(reason());
  }

  #endCheck(waiter: Queued<T>): void {
    if (waiter.checked === null) return;
    waiter.checked = null;
    this.checking--;
  }

  #leaveQueue(waiter: Queued<T>): void {
    const { place, isQueued, since } = waiter;
    if (place === null) return;
    waiter.place = null;
    this.#queue.remove(place);
    this.length--;
    if (isQueued) this.#counters.requestsWaitMs += (this.#clock.now() - since) * 1000;
  }
}

/** A caller that waits for a condition of the pool. */
interface Watcher {
  readonly isOver: () => boolean;
  readonly wait: Wait<boolean>;
}

/** The callers that wait for a condition of the pool: a condition variable. */
export class Watchers {
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();
  /** The number of watchers. A field instead of a getter, since each checkout reads it. */
  size = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with true as soon as `isOver()`, or with false after `timeout` seconds. `begun` is called once it is registered. */
  watch(isOver: () => boolean, timeout: number, signal?: AbortSignal, begun?: () => void): Promise<boolean> {
    if (isOver()) return Promise.resolve(true);
    let watcher: Watcher;
    return waitFor<boolean>(
      (wait) => {
        watcher = { isOver, wait };
        this.#watchers.add(watcher);
        this.size++;
        begun?.();
      },
      {
        seconds: timeout,
        late: () => false,
        signal,
        ended: () => {
          if (this.#watchers.delete(watcher)) this.size--;
        },
        clock: this.#clock,
      },
    );
  }

  /** Tests all conditions after a change of the pool. */
  look(): void {
    for (const { isOver, wait } of [...this.#watchers]) if (isOver()) wait.resolve(true);
  }

  /** Rejects all waits, whose conditions can no longer hold. */
  refuseAll(reason: () => unknown): void {
    for (const { wait } of [...this.#watchers]) wait.reject(reason());
  }
}
