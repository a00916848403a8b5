import type { EvictReason } from '../diagnostics.js';
import type { PoolClosed } from '../errors/index.js';
import { limited } from '../iteration.js';
import { waitFor, type Clock } from '../waiting.js';
import { Reconnection, type ReconnectionOptions } from './reconnection.js';
import { Refusals } from './refusals.js';
import { Resources, type PoolStrategy, type ResourceOptions, type ResourceSource } from './resources.js';
import { Checkout, IdleSweep, Slots, type IdleOptions, type Slot } from './slots.js';
import { roundedCounters, zeroCounters, type Counters, type PoolStats } from './statistics.js';
import { Waiters, Watchers, type Waiter } from './waiters.js';

/** Options of a `ResourcePool`. Times are in seconds. */
export interface ResourcePoolOptions<T> extends ResourceOptions, ReconnectionOptions, IdleOptions {
  /** The pool's name in messages. */
  readonly name: string;
  readonly strategy: PoolStrategy;
  readonly minSize: number;
  /** Infinity: no limit. */
  readonly maxSize: number;
  /** The number of checkouts after which a resource is closed; 0: no limit. */
  readonly maxUses: number;
  /** The maximum number of waiting requests; 0: no limit. */
  readonly maxWaiting: number;
  /** The maximum number of resources made at once by workers, and checked at once by `checkIdle()`. */
  readonly numWorkers: number;
  /** Called before a resource is closed. */
  readonly ending?: (resource: T, reason: EvictReason) => void;
  /**
   * Explains the current checkouts in the message of a timeout; '' for no explanation. `stuck`: the pool is at its maximum, and
   * no resource was returned during the whole wait.
   */
  readonly explain?: (lent: readonly Checkout<T>[], asker: Checkout<T>, stuck: boolean) => string;
}

/** Options of `acquire()`. */
export interface AcquireOptions {
  /** Seconds to wait. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether to reject with the error of the first attempt that fails during the wait. @default false */
  readonly failFast?: boolean | undefined;
}

/** Seconds that the last resources may take to close. */
const LAST_MOMENTS = 0.1;

/**
 * A pool of arbitrary resources, independent of SQL.
 *
 * Each resource has a slot, and each slot a state (see slot.ts). After each change `#rebalance()` decides which waiters are
 * served and which resources are closed or made. A returned resource is idle for a moment, and passes to its next owner in one
 * synchronous step. Idle resources are lent last in, first out, or in turn if their source says so. Waiters are served first
 * come, first served, and leave the queue before their promise settles. A resource made for a waiter that gave up serves the
 * next. The number of slots never exceeds `maxSize`.
 */
export class ResourcePool<T> {
  /** The statistics; the pool's owner counts here, too. */
  readonly counters: Counters = zeroCounters();
  readonly #source: ResourceSource<T>;
  readonly #options: ResourcePoolOptions<T>;
  readonly #strategy: PoolStrategy;
  readonly #clock: Clock;
  readonly #slots = new Slots<T>();
  readonly #resources: Resources<T>;
  readonly #sweep: IdleSweep<T>;
  readonly #reconnection: Reconnection;
  /** Both run a call once a worker is free. */
  readonly #connectors: ReturnType<typeof limited>;
  readonly #checkers: ReturnType<typeof limited>;
  readonly #waiters: Waiters<T>;
  readonly #refusals: Refusals<T>;
  /** The callers that wait for `minSize` resources, or for the end of the pool. */
  readonly #readiness: Watchers;
  readonly #end: Watchers;

  #state: 'new' | 'open' | 'closed' = 'new';
  /** Aborted with `PoolClosed` when the pool is closed. */
  readonly closing = new AbortController();
  #minSize: number;
  #maxSize: number;
  readonly #maxUses: number;
  /** The number of drains. A resource of an older generation is closed as soon as it is free. */
  #generation = 0;

  constructor(source: ResourceSource<T>, options: ResourcePoolOptions<T>) {
    const { clock, strategy, numWorkers } = options;
    this.#source = source;
    this.#options = options;
    this.#strategy = strategy;
    this.#minSize = options.minSize;
    this.#maxSize = options.maxSize;
    this.#maxUses = options.maxUses === 0 ? Infinity : options.maxUses;
    const resources = (this.#resources = new Resources(source, options, this.counters));
    this.#clock = clock;
    this.#sweep = new IdleSweep(this.#slots, { maxIdle: options.maxIdle, clock: resources.ownClock }, () => {
      this.#sweepIdle();
    });
    this.#reconnection = new Reconnection({ ...options, clock: resources.ownClock }, () => {
      this.#rebalance();
    });
    this.#connectors = limited(strategy.connectedBy === 'workers' ? numWorkers : Infinity);
    this.#checkers = limited(numWorkers);
    this.#waiters = new Waiters(clock, this.counters, (...wait) => this.#refusals.tooLate(...wait));
    this.#refusals = new Refusals({
      name: options.name,
      pool: this,
      slots: this.#slots,
      waiters: this.#waiters,
      resources,
      clock,
      explain: options.explain,
    });
    this.#readiness = new Watchers(clock);
    this.#end = new Watchers(clock);
  }

  /** Whether the pool has been opened, and closed. */
  get state(): 'new' | 'open' | 'closed' {
    return this.#state;
  }

  get minSize(): number {
    return this.#minSize;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  /** The number of resources that are idle, lent, being checked or being made. */
  get #size(): number {
    return this.#slots.there + this.#slots.connecting;
  }

  /** Whether a resource returned now would stay or serve a waiter, instead of being closed. */
  get keepsReturned(): boolean {
    return this.#state === 'open' && (this.#strategy.keepsReturned || this.#waiters.length > 0);
  }

  /** Starts making resources. */
  open(): void {
    if (this.#state !== 'new') return;
    this.#state = 'open';
    this.#rebalance();
  }

  // --- checkouts

  /**
   * Lends a resource to `checkout`; without a promise if one is idle that needs no check. Rejects with `PoolClosed`,
   * `TooManyRequests`, `PoolTimeout`, the reason of the signal, or with `failFast` the error of an attempt.
   */
  acquire(options: AcquireOptions, checkout = new Checkout<T>()): Checkout<T> | Promise<Checkout<T>> {
    this.counters.requestsNum++;
    const { signal } = options;
    if (this.#state !== 'open') return this.#refuse(this.#notOpen());
    if (signal?.aborted === true) return this.#refuse(signal.reason);
    let isQueued = this.#strategy.connectedBy === 'workers' || this.#size >= this.#maxSize;
    if (this.#waiters.length === 0 && this.#slots.idle > 0) {
      // Reading the clock costs as much as the rest of a checkout, so it is read once.
      const now = this.#clock.now();
      const slot = this.#fitIdle(now);
      if (slot !== null && !this.#needsCheck(slot, now)) {
        this.#slots.lend(slot, checkout, now);
        return checkout;
      }
      if (slot !== null) isQueued = false;
    }
    const { maxWaiting } = this.#options;
    if (isQueued && maxWaiting > 0 && this.#waiting >= maxWaiting) {
      return this.#refuse(this.#refusals.tooMany(this.#waiting));
    }
    return this.#wait(options, checkout, isQueued);
  }

  #wait(options: AcquireOptions, checkout: Checkout<T>, isQueued: boolean): Promise<Checkout<T>> {
    const { timeout, signal, failFast = false } = options;
    const waiting = this.#waiters.wait({ checkout, timeout, signal, isQueued, failFast }, () => {
      this.#reconnection.hurry();
      this.#rebalance();
    });
    if (signal === undefined) return waiting;
    return waiting.then(() => {
      if (!signal.aborted) return checkout;
      // The abort came after the hand-over, but before the caller received the resource.
      this.release(checkout);
      return this.#refuse(signal.reason);
    });
  }

  /** Takes back a resource. Returns false if the checkout had ended before. */
  release(checkout: Checkout<T>): boolean {
    return this.#takeBack(checkout, null);
  }

  /** Ends a checkout and closes its resource, which is unusable. Returns false if the checkout had ended before. */
  discard(checkout: Checkout<T>, reason: EvictReason = 'unusable'): boolean {
    return this.#takeBack(checkout, reason);
  }

  #takeBack(checkout: Checkout<T>, evict: EvictReason | null): boolean {
    const { slot } = checkout;
    if (slot?.holder !== checkout) return false;
    const now = this.#clock.now();
    this.counters.usageMs += (now - checkout.since) * 1000;
    // The resource has just been used, which proves as much as a check.
    if (this.#source.check !== null) this.#resources.prove(slot, now);
    this.#settle(slot, now, evict);
    return true;
  }

  #refuse(reason: unknown): Promise<never> {
    this.counters.requestsErrors++;
    return Promise.reject(reason);
  }

  // --- slots

  /** Reacts to a change: serves waiters, closes resources, and makes new ones. */
  #rebalance(now = this.#clock.now()): void {
    while (this.#waiters.length > 0) {
      const slot = this.#fitIdle(now);
      if (slot === null) break;
      const waiter = this.#waiters.first!;
      if (this.#needsCheck(slot, now)) void this.#checkFor(waiter, slot);
      else this.#serve(waiter, slot, now);
    }
    const { keepsReturned } = this.#strategy;
    for (let slot; (slot = this.#slots.firstIdle) !== undefined;) {
      if (keepsReturned && this.#size <= this.#maxSize) break;
      this.#close(slot, keepsReturned ? 'surplus' : 'unneeded');
    }
    while (this.#slots.connecting < this.#wanted()) {
      const slot = this.#slots.add();
      this.#resources.inOwnContext(() => void this.#connectors(() => this.#connect(slot)));
    }
    if (this.#readiness.size > 0) this.#readiness.look();
    if (this.#end.size > 0) this.#end.look();
  }

  #serve(waiter: Waiter<T>, slot: Slot<T>, now: number): void {
    this.#slots.lend(slot, waiter.checkout, now);
    this.#waiters.serve(waiter);
  }

  /** The number of slots that should be connecting. */
  #wanted(): number {
    if (this.#state !== 'open') return 0;
    // A resource being closed keeps its slot until it is gone.
    const room = this.#maxSize - this.#slots.total + this.#slots.connecting;
    if (this.#strategy.onConnectFailure === 'refuse') {
      // A caller of wait() needs successive attempts, and each request its own.
      const isTrying = this.#readiness.size > 0 && !this.#reconnection.isPending;
      return Math.min(room, this.#waiters.length + (isTrying ? 1 : 0));
    }
    const missing = this.#minSize - this.#slots.there;
    if (missing <= 0 && this.#waiters.length === 0) return 0;
    const limit = this.#reconnection.limit(this.#isAwaited);
    const reserve = missing <= 0 ? 0 : this.#reconnection.reserve(missing, this.#minSize);
    return Math.min(room, limit, Math.max(reserve, this.#waiters.length));
  }

  /** Whether a caller waits for a connection to be made. */
  get #isAwaited(): boolean {
    return this.#waiters.length > 0 || this.#readiness.size > 0;
  }

  /**
   * Handles a resource that was made, returned or checked: makes it idle, or closes it for the reason `evict` or that of
   * `#whyEnd()`.
   */
  #settle(slot: Slot<T>, now: number, evict: EvictReason | null = null): void {
    const reason = evict ?? this.#whyEnd(slot, now);
    if (reason === null) this.#rest(slot, now);
    else this.#close(slot, reason);
    this.#rebalance(now);
  }

  /** Why a free resource must be closed; null if it stays. */
  #whyEnd(slot: Slot<T>, now: number): EvictReason | null {
    if (!this.#source.isAlive(slot.resource!)) return 'lost';
    if (this.#state === 'closed') return 'closed';
    if (slot.generation !== this.#generation) return 'drained';
    if (now >= slot.expiresAt) return 'lifetime';
    if (slot.uses >= this.#maxUses) return 'uses';
    return this.#size > this.#maxSize ? 'surplus' : null;
  }

  #rest(slot: Slot<T>, now: number): void {
    if (slot.state !== 'checking') slot.idleSince = now;
    this.#slots.rest(slot);
    this.#sweep.schedule(slot, now);
  }

  /** The idle slot that is to be lent next; null if there is none. */
  #fitIdle(now: number): Slot<T> | null {
    const { inTurn = false } = this.#source;
    for (let slot; (slot = inTurn ? this.#slots.firstIdle : this.#slots.lastIdle) !== undefined;) {
      const evict = this.#whyEnd(slot, now);
      if (evict === null) return slot;
      if (evict === 'lost') this.counters.connectionsLost++;
      this.#close(slot, evict);
    }
    return null;
  }

  /** Closes a resource; `reason` is null if it was never ready. Its slot counts until the resource is gone. */
  #close(slot: Slot<T>, reason: EvictReason | null): void {
    this.#slots.close(slot);
    if (reason !== null) {
      const why = this.#source.isAlive(slot.resource!) ? reason : 'lost';
      this.#reconnection.ended(why);
      this.#options.ending?.(slot.resource!, why);
    }
    void this.#resources.destroy(slot).then(() => {
      this.#slots.remove(slot);
      this.#rebalance();
    });
  }

  // --- connecting

  async #connect(slot: Slot<T>): Promise<void> {
    if (slot.state !== 'connecting') return;
    // The need may have passed while the attempt waited for a worker.
    if (this.#slots.connecting > this.#wanted()) {
      this.#slots.remove(slot);
      this.#rebalance();
      return;
    }
    // An attempt that is in progress during a drain() may use outdated parameters.
    slot.generation = this.#generation;
    const failure = await this.#resources.make(slot);
    if (failure === null) this.#reconnection.end();
    // The pool was closed without waiting for the attempt.
    if (slot.isOver) return;
    if (failure === null) {
      // A caller of wait() on a null pool needs no further attempt.
      if (!this.#strategy.keepsReturned) this.#readiness.look();
      this.#settle(slot, this.#clock.now());
      if (this.#slots.there >= this.#minSize) this.#reconnection.hasten();
      return;
    }
    if (slot.resource === null) this.#slots.remove(slot);
    else this.#close(slot, null);
    if (this.#state === 'open') this.#onConnectFailed(failure.error);
    this.#rebalance();
  }

  #onConnectFailed(error: unknown): void {
    if (this.#strategy.onConnectFailure === 'refuse') {
      this.#waiters.first?.wait.reject(error);
      // A caller of wait() needs further attempts.
      if (this.#readiness.size === 0) return;
    }
    this.#waiters.failFast(error);
    this.#reconnection.fail(error, this.#resources.attempts, {
      isAwaited: () => this.#isAwaited,
      refuse: () => {
        this.#refuseAll(() => this.#refusals.gaveUp(error));
      },
    });
  }

  #refuseAll(reason: () => unknown): void {
    this.#waiters.refuseAll(reason);
    this.#readiness.refuseAll(reason);
  }

  // --- checking

  #needsCheck(slot: Slot<T>, now: number): boolean {
    return this.#source.check !== null && this.#resources.needsCheck(slot, now);
  }

  /** Checks a slot for `waiter`, which gets the resource unless it has given up. */
  async #checkFor(waiter: Waiter<T>, slot: Slot<T>): Promise<void> {
    this.#slots.check(slot);
    this.#waiters.awaitCheck(waiter, slot);
    const failure = await this.#resources.check(slot);
    const isAwaited = waiter.checked === slot;
    if (slot.isOver) {
      if (isAwaited) waiter.wait.reject(this.#notOpen());
      return;
    }
    const now = this.#clock.now();
    const evict = failure === null ? this.#whyEnd(slot, now) : 'check';
    if (isAwaited && evict === null) {
      this.#serve(waiter, slot, now);
      return;
    }
    if (isAwaited) this.#waiters.waitOn(waiter);
    // All may have the same server: requests wait for the first that answers, or for a new one, not for one check after another.
    const others = evict === 'check' ? this.#slots.in('idle') : [];
    for (const other of others) if (this.#needsCheck(other, now)) void this.#checkIdle(other);
    this.#settle(slot, now, evict);
    if (isAwaited) this.#waiters.countQueued(waiter);
  }

  /**
   * Checks all idle resources with `check`, several at once, and replaces those that fail or are missing. A resource stays idle
   * until its turn. One that is lent before is not checked, since its borrower will notice whether it works. An abort of `signal`
   * ends the wait, but not the checks that have begun.
   */
  async checkIdle(check: (resource: T) => Promise<void>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    // A pool that gave up connecting is filled again.
    this.#reconnection.resume();
    this.#rebalance();
    const inTurn = (one: Slot<T>): Promise<void> => this.#checkers(() => this.#checkIdle(one, check, signal));
    await waitFor(Promise.all(this.#slots.in('idle').map(inTurn)), { signal });
  }

  async #checkIdle(slot: Slot<T>, check = this.#source.check, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true || slot.state !== 'idle') return;
    this.#slots.check(slot);
    const failure = await this.#resources.check(slot, check);
    if (!slot.isOver) this.#settle(slot, this.#clock.now(), failure === null ? null : 'check');
  }

  // --- growing and shrinking

  /** Replaces a lost idle resource, if it is needed. The loss of a lent one is detected on its return. */
  onLost(resource: T): void {
    const slot = this.#slots.in('idle').find((one) => one.resource === resource);
    if (slot === undefined) return;
    this.counters.connectionsLost++;
    this.#close(slot, 'lost');
    this.#rebalance();
  }

  /** Changes the size. Idle resources above `maxSize` are closed now, lent ones when they are returned. */
  resize(minSize: number, maxSize: number): void {
    this.#minSize = minSize;
    this.#maxSize = maxSize;
    this.#reconnection.hasten();
    this.#rebalance();
    if (this.#state === 'open') this.#sweepIdle();
  }

  /** Closes every resource made so far: idle ones now, lent ones when they are returned, unfinished ones once they are made. */
  drain(): void {
    this.#generation++;
    for (const slot of this.#slots.in('idle')) this.#close(slot, 'drained');
    this.#rebalance();
  }

  /** Closes idle resources that have exceeded their time. */
  #sweepIdle(): void {
    const now = this.#clock.now();
    for (const [slot, reason] of this.#sweep.overdue(this.#size - this.#minSize, now))
      this.#close(slot, reason);
    this.#sweep.reschedule(now);
    this.#rebalance(now);
  }

  // --- start and end

  /**
   * Resolves when `minSize` resources are ready; in a pool that keeps none, when one could be made. Rejects with `PoolTimeout`
   * after `timeout` seconds, or with the reason of `signal`.
   */
  async waitReady(timeout: number, signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'open') throw this.#notOpen();
    signal?.throwIfAborted();
    const before = this.#resources.made;
    const isOver = (): boolean =>
      this.#strategy.keepsReturned
        ? this.#slots.there >= this.#minSize
        : this.#resources.made > before || this.#slots.there > 0;
    const isInTime = await this.#readiness.watch(isOver, timeout, signal, () => {
      this.#reconnection.hasten();
      this.#rebalance();
    });
    if (!isInTime) throw this.#refusals.notReady(timeout);
  }

  /**
   * Rejects waiting and new requests, closes idle resources, and waits up to `timeout` seconds for lent ones before it closes
   * them. Resolves when all have ended, or when `timeout` has passed and the rest has been dropped.
   */
  async close(timeout: number): Promise<void> {
    const wasOpen = this.#state === 'open';
    this.#state = 'closed';
    if (wasOpen) this.#stop();
    this.closing.abort(this.#notOpen());
    const isOver = (): boolean => this.#slots.total === 0;
    if (await this.#end.watch(isOver, timeout)) return;
    for (const { holder } of this.#slots.in('lent')) this.discard(holder!, 'closed');
    if (await this.#end.watch(isOver, LAST_MOMENTS)) return;
    for (const slot of this.#slots.in('closing')) void this.#resources.abandon(slot);
    for (const slot of this.#slots.in('connecting')) this.#slots.remove(slot);
    this.#rebalance();
  }

  /** Closes all resources that are not lent. */
  #stop(): void {
    for (const part of [this.#reconnection, this.#sweep, this.#source]) part.stop?.();
    this.#refuseAll(() => this.#notOpen());
    for (const slot of [...this.#slots.in('idle'), ...this.#slots.in('checking')])
      this.#close(slot, 'closed');
    for (const slot of this.#slots.in('connecting')) {
      slot.aborter?.abort(this.#notOpen());
      if (slot.resource !== null) this.#close(slot, null);
      else if (slot.aborter === null) this.#slots.remove(slot);
    }
  }

  // --- statistics

  /** The number of waiting requests, without those of a null pool whose own resource is being made. */
  get #waiting(): number {
    const { length } = this.#waiters;
    if (this.#strategy.connectedBy === 'workers') return length;
    return Math.max(0, length - this.#slots.connecting);
  }

  /** Returns the current statistics. */
  stats(): PoolStats {
    return {
      poolMin: this.#minSize,
      poolMax: Number.isFinite(this.#maxSize) ? this.#maxSize : 0,
      poolSize: this.#size,
      poolAvailable: this.#slots.idle,
      poolLent: this.#slots.lent,
      requestsWaiting: this.#waiting + this.#waiters.checking,
      ...roundedCounters(this.counters),
    };
  }

  /** Returns the current statistics and resets the counters. */
  popStats(): PoolStats {
    const stats = this.stats();
    Object.assign(this.counters, zeroCounters());
    return stats;
  }

  #notOpen(): PoolClosed {
    return this.#refusals.notOpen(this.#state === 'new');
  }
}
