import { LinkedList, type Link } from '../linked-list.js';
import { waitFor, type Clock } from '../waiting.js';
import type { Checkout, Slot } from './slot.js';
import type { Counters } from './statistics.js';

/** How a request waits. */
export interface Wait<T> {
  readonly checkout: Checkout<T>;
  /** Seconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** Whether it waits for something to come back, as far as is known, rather than for what is made for it. */
  readonly isQueued: boolean;
  /** What to say when the time is over, of a wait that began at `since`. */
  readonly late: (since: number) => Error;
}

/** A request that waits: in the queue, or for the check of the slot that it is to have. */
export interface Waiter<T> {
  readonly checkout: Checkout<T>;
  readonly resolve: (checkout: Checkout<T>) => void;
  readonly reject: (reason: unknown) => void;
  /** The slot that is checked for it; null in the queue. */
  readonly checked: Slot<T> | null;
}

interface Queued<T> extends Waiter<T> {
  /** The lower, the sooner it is served. */
  readonly ticket: number;
  checked: Slot<T> | null;
  isServed: boolean;
  isQueued: boolean;
  /** Its place in the queue, and since when it has one. */
  place: Link<Queued<T>> | null;
  since: number;
}

/** The requests that wait for a resource, served strictly in the order of coming. One leaves the queue before its promise settles. */
export class Waiters<T> {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #queue = new LinkedList<Queued<T>>();
  #tickets = 0;

  constructor(clock: Clock, counters: Counters) {
    this.#clock = clock;
    this.#counters = counters;
  }

  /** How many are in the queue. */
  get length(): number {
    return this.#queue.length;
  }

  /** Who is to be served next. */
  get first(): Waiter<T> | undefined {
    return this.#queue.first;
  }

  /** Waits to be served; rejects when the time is over, and with the reason of the signal. `begun` is called when it is in the queue. */
  wait({ checkout, timeout, signal, isQueued, late }: Wait<T>, begun: () => void): Promise<Checkout<T>> {
    const since = this.#clock.now();
    let waiter: Queued<T>;
    if (isQueued) this.#counters.requestsQueued++;
    return waitFor<Checkout<T>>(
      (resolve, reject) => {
        const ticket = this.#tickets++;
        waiter = {
          checkout,
          resolve,
          reject,
          ticket,
          checked: null,
          isServed: false,
          isQueued,
          place: null,
          since,
        };
        waiter.place = this.#queue.push(waiter);
        begun();
      },
      {
        seconds: timeout,
        late: () => {
          throw late(since);
        },
        signal,
        ended: () => {
          this.#leaveQueue(waiter);
          waiter.checked = null;
          if (!waiter.isServed) this.#counters.requestsErrors++;
        },
        clock: this.#clock,
      },
    );
  }

  /** It has been lent something. */
  serve(waiter: Waiter<T>): void {
    (waiter as Queued<T>).isServed = true;
    waiter.resolve(waiter.checkout);
  }

  /** It leaves the queue: if the slot passes a check, it is to have it. */
  awaitCheck(waiter: Waiter<T>, slot: Slot<T>): void {
    this.#leaveQueue(waiter as Queued<T>);
    (waiter as Queued<T>).checked = slot;
  }

  /** The slot that was checked for it is of no use: it waits again, where it would be if it had never left the queue. */
  waitOn(waiter: Waiter<T>): void {
    const again = waiter as Queued<T>;
    again.checked = null;
    again.since = this.#clock.now();
    again.place = this.#queue.insert(again, ({ ticket }) => ticket < again.ticket);
  }

  /** If it is in the queue, it waits for something to come back. */
  countQueued(waiter: Waiter<T>): void {
    const { place, isQueued } = waiter as Queued<T>;
    if (place === null || isQueued) return;
    (waiter as Queued<T>).isQueued = true;
    this.#counters.requestsQueued++;
  }

  /** Refuses all that are in the queue. */
  refuseAll(reason: () => unknown): void {
    for (let waiter; (waiter = this.#queue.first) !== undefined;) waiter.reject(reason());
  }

  #leaveQueue(waiter: Queued<T>): void {
    const { place, isQueued, since } = waiter;
    if (place === null) return;
    waiter.place = null;
    this.#queue.remove(place);
    if (isQueued) this.#counters.requestsWaitMs += (this.#clock.now() - since) * 1000;
  }
}

/** Something of the pool that is waited for. */
interface Watcher {
  readonly isOver: () => boolean;
  readonly resolve: (inTime: boolean) => void;
  readonly reject: (reason: unknown) => void;
}

/** Those who wait for the pool to be as they want it: a condition variable. */
export class Watchers {
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Resolves with true as soon as `isOver()`, with false after `timeout` seconds. `begun` is called when it watches. */
  watch(isOver: () => boolean, timeout: number, signal?: AbortSignal, begun?: () => void): Promise<boolean> {
    if (isOver()) return Promise.resolve(true);
    let watcher: Watcher;
    return waitFor<boolean>(
      (resolve, reject) => {
        watcher = { isOver, resolve, reject };
        this.#watchers.add(watcher);
        begun?.();
      },
      {
        seconds: timeout,
        late: () => false,
        signal,
        ended: () => this.#watchers.delete(watcher),
        clock: this.#clock,
      },
    );
  }

  /** Something has changed. */
  look(): void {
    if (this.#watchers.size === 0) return;
    for (const { isOver, resolve } of [...this.#watchers]) if (isOver()) resolve(true);
  }

  /** What they wait for will not be. */
  refuseAll(reason: () => unknown): void {
    for (const { reject } of [...this.#watchers]) reject(reason());
  }
}
