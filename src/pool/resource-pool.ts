import pLimit, { type LimitFunction } from 'p-limit';
import type { EvictReason } from '../diagnostics.js';
import type { ErrorPool, PoolClosed, PoolTimeout } from '../errors/index.js';
import { Checks, type CheckOptions } from './checks.js';
import type { Clock } from './clock.js';
import { Condition } from './condition.js';
import { Endings } from './endings.js';
import { Growth, type GrowthOptions } from './growth.js';
import { IdleResources, type IdleOptions } from './idle-resources.js';
import { Leases, type Lease } from './lease.js';
import { unlessAborted, within } from './limits.js';
import * as refusals from './refusals.js';
import type { ResourceSource, Slot } from './resource-source.js';
import { roundedCounters, zeroCounters, type Counters, type PoolStats } from './statistics.js';
import { Waiters } from './waiters.js';

/** Options of a `ResourcePool`. Times are in seconds. */
export interface ResourcePoolOptions extends GrowthOptions, IdleOptions, CheckOptions {
  /** How the pool is called in messages. */
  readonly name: string;
  readonly minSize: number;
  /** Infinity: no limit. */
  readonly maxSize: number;
  /** How many may wait at most; 0: no limit. */
  readonly maxWaiting: number;
  /** How long a resource lives, less up to a tenth at random; 0 or Infinity: for ever. */
  readonly maxLifetime: number;
  /** How many resources are made or checked at once; as many as are asked for where none is kept. */
  readonly numWorkers: number;
}

/** How `acquire()` waits. */
export interface AcquireOptions {
  /** Seconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Whoever asks, for `ResourceSource.explain()`. */
  readonly asker?: unknown;
}

/** How much of its lifetime a resource may lose, so that those made together do not expire together. */
const LIFETIME_JITTER = 0.1;
/** How long the very last resources may take to end, in seconds. */
const LAST_MOMENTS = 0.1;

/**
 * A pool of anything that is made, lent out and ended; it knows no SQL.
 *
 * Idle resources are lent out last in, first out, waiters are served first come, first served, and a resource passes from one
 * owner to the next in one synchronous step. A waiter leaves the queue before its promise settles. What is being made for a
 * waiter that has given up serves the next. At any time, idle + lent out + being made ≤ `maxSize`.
 *
 * Whatever exists is with one of four: what is on its way with `Growth`, what nobody has with `IdleResources`, what somebody has
 * with `Leases`, what is leaving with `Endings`. Here is decided what passes from one to another, and when.
 */
export class ResourcePool<T> {
  readonly #source: ResourceSource<T>;
  readonly #options: ResourcePoolOptions;
  readonly #clock: Clock;
  readonly #counters: Counters = zeroCounters();
  readonly #workers: LimitFunction;

  readonly #growth: Growth<Slot<T>>;
  readonly #idle: IdleResources<T>;
  readonly #leases: Leases<T>;
  readonly #endings: Endings<T>;
  readonly #checks: Checks<T>;
  readonly #waiters: Waiters<Lease<T>>;
  /** What `waitReady()` and `close()` wait for. */
  readonly #condition: Condition;

  #minSize: number;
  #maxSize: number;
  #state: 'new' | 'open' | 'closed' = 'new';
  /** Resources whose making began before the last `drain()` are of an older generation, and end as soon as they are free. */
  #generation = 0;

  constructor(source: ResourceSource<T>, options: ResourcePoolOptions) {
    this.#source = source;
    this.#options = options;
    this.#clock = options.clock;
    this.#minSize = options.minSize;
    this.#maxSize = options.maxSize;
    this.#workers = pLimit(options.numWorkers);
    this.#condition = new Condition(options.clock);
    this.#waiters = new Waiters(options.clock, this.#counters);
    this.#leases = new Leases((lease, evict) => {
      this.#onLeaseEnd(lease, evict);
    });
    this.#checks = new Checks(source, options, (error) => {
      this.#growth.lastError = error;
      this.#counters.connectionsLost++;
    });
    this.#endings = new Endings(source, () => {
      this.#growth.grow();
      this.#condition.notify();
    });
    this.#idle = new IdleResources(
      {
        source,
        endings: this.#endings,
        counters: this.#counters,
        sweepDue: () => {
          this.#sweep();
        },
      },
      options,
    );
    this.#growth = new Growth(
      {
        create: (signal) => this.#create(signal),
        wanted: (trials) => this.#wanted(trials),
        waiting: () => this.#waiters.length,
        made: (slot) => {
          this.#handOver(slot, this.#clock.now());
        },
        failed: (error) => {
          if (!options.keepIdle) this.#waiters.refuse(error);
        },
        changed: () => {
          this.#condition.notify();
        },
      },
      options,
      this.#workers,
      this.#counters,
    );
  }

  get minSize(): number {
    return this.#minSize;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  get state(): 'new' | 'open' | 'closed' {
    return this.#state;
  }

  /** Counters that the pool's owner keeps here, too. */
  get counters(): Counters {
    return this.#counters;
  }

  /** Resources idle and lent out. */
  get #there(): number {
    return this.#idle.length + this.#leases.length;
  }

  /** Resources idle, lent out, and being made. */
  get size(): number {
    return this.#there + this.#growth.making;
  }

  /** Whether what comes back now would stay, or go to somebody who waits, rather than be ended. */
  get takesBack(): boolean {
    return this.#state === 'open' && (this.#options.keepIdle || this.#waiters.length > 0);
  }

  /** Starts making resources. */
  open(): void {
    if (this.#state !== 'new') return;
    this.#state = 'open';
    this.#growth.grow();
  }

  // --- lending

  /** Lends out a resource; at once, without a promise, if one is idle that needs no check. */
  acquire(options: AcquireOptions): Lease<T> | Promise<Lease<T>> {
    this.#counters.requestsNum++;
    if (this.#state !== 'open') return this.#refuse(this.#notOpen());
    if (options.signal?.aborted === true) return this.#refuse(options.signal.reason);
    if (this.#waiters.length === 0 && this.#idle.length > 0) {
      // Asking for the time takes as long as all the rest of a checkout here, so it is done once.
      const now = this.#clock.now();
      const slot = this.#idle.take(now);
      if (slot !== null) {
        const lease = this.#leases.lend(slot, now);
        return this.#checks.isNeeded(slot, now) ? this.#checked(lease, options) : lease;
      }
    }
    const { maxWaiting, keepIdle } = this.#options;
    const queued = keepIdle || this.size >= this.#maxSize;
    if (queued && maxWaiting > 0 && this.#waiting >= maxWaiting) {
      return this.#refuse(refusals.tooMany(this.#counts(), this.#waiting));
    }
    if (queued) this.#counters.requestsQueued++;
    return this.#wait(options, { timeout: options.timeout, queued, first: false }).then((lease) => {
      if (this.#checks.isNeeded(lease.slot, this.#clock.now())) return this.#checked(lease, options);
      return isAborted(options) ? this.#declined(lease, options) : lease;
    });
  }

  /** How many wait, without those for whom a resource is being made in a pool that makes one for each. */
  get #waiting(): number {
    const { length } = this.#waiters;
    return this.#options.keepIdle ? length : Math.max(0, length - this.#growth.making);
  }

  #refuse(reason: unknown): Promise<never> {
    this.#counters.requestsErrors++;
    return Promise.reject(reason);
  }

  #wait(
    options: AcquireOptions,
    how: { timeout: number; queued: boolean; first: boolean },
  ): Promise<Lease<T>> {
    const waiting = this.#waiters.wait({
      ...how,
      signal: options.signal,
      late: (since) => this.#tooLate(options, since),
    });
    this.#growth.hurry();
    return waiting;
  }

  /** Aborted after the hand-over, but before the caller could know of it. */
  #declined(lease: Lease<T>, { signal }: AcquireOptions): Promise<never> {
    lease.release();
    return this.#refuse(signal?.reason);
  }

  /** A lease of what passes the check: `first`, else that of another resource, ahead of everybody who waits. */
  async #checked(first: Lease<T>, options: AcquireOptions): Promise<Lease<T>> {
    const began = this.#clock.now();
    const left = (): number => Math.max(0, began + options.timeout - this.#clock.now());
    for (let lease = first; ;) {
      if (!this.#checks.isNeeded(lease.slot, this.#clock.now())) return lease;
      const passing = this.#checks.passes(lease);
      let passed: boolean;
      try {
        passed = await within(passing, {
          clock: this.#clock,
          seconds: left(),
          late: () => this.#tooLate(options, began),
          signal: options.signal,
        });
      } catch (reason) {
        // Nobody wants it any more, but until it is known to work it is of no use to another.
        void passing.then((works) => works && lease.release());
        return this.#refuse(reason);
      }
      if (!this.#isOpen() || isAborted(options)) {
        if (passed) lease.release();
        return this.#refuse(this.#isOpen() ? options.signal?.reason : this.#notOpen());
      }
      if (passed) {
        lease.beginUse(this.#clock.now());
        return lease;
      }
      const now = this.#clock.now();
      const next = this.#idle.take(now);
      if (next === null) {
        lease = await this.#wait(options, { timeout: left(), queued: true, first: true });
        if (isAborted(options)) return this.#declined(lease, options);
      } else {
        lease = this.#leases.lend(next, now);
      }
    }
  }

  /** Hands a free resource to whoever has waited longest, or keeps it idle. The only place where it changes hands. */
  #handOver(slot: Slot<T>, now: number): void {
    const evict = this.#whyEnd(slot, now);
    if (evict !== null) {
      this.#endings.end(slot.resource, evict);
      this.#growth.grow();
    } else if (this.#waiters.length > 0) {
      this.#waiters.serve(this.#leases.lend(slot, now));
    } else {
      this.#idle.add(slot, now);
      this.#condition.notify();
    }
  }

  /** Why a free resource is of no use; null if it is. */
  #whyEnd(slot: Slot<T>, now: number): EvictReason | null {
    if (this.#state === 'closed') return 'closed';
    if (slot.generation !== this.#generation) return 'drained';
    if (now >= slot.expiresAt) return 'lifetime';
    if (this.size >= this.#maxSize) return 'surplus';
    return this.takesBack ? null : 'unneeded';
  }

  #onLeaseEnd(lease: Lease<T>, evict: EvictReason | null): void {
    const { slot } = lease;
    const now = this.#clock.now();
    if (lease.isUse) this.#counters.usageMs += (now - lease.since) * 1000;
    // It has just been used: that is as good as a check.
    slot.idleSince = now;
    const isAlive = this.#source.isAlive(slot.resource);
    if (evict === null && isAlive) {
      this.#handOver(slot, now);
    } else {
      this.#endings.end(slot.resource, isAlive ? (evict ?? 'lost') : 'lost');
      this.#growth.grow();
    }
    if (this.#state === 'closed') this.#condition.notify();
  }

  // --- growing and shrinking

  async #create(signal: AbortSignal): Promise<Slot<T>> {
    // One that is under way during a drain() may have been told what the drain was for: it is of before.
    const generation = this.#generation;
    const resource = await this.#source.create(signal);
    const { maxLifetime, random } = this.#options;
    const lifetime = maxLifetime === 0 ? Infinity : maxLifetime * (1 - random() * LIFETIME_JITTER);
    const now = this.#clock.now();
    return { resource, generation, expiresAt: now + lifetime, idleSince: now };
  }

  /** How many resources should be on their way, `trials` of which nobody has asked for. */
  #wanted(trials: number): number {
    if (this.#state !== 'open') return 0;
    const room = this.#maxSize - this.#there - this.#endings.size;
    return Math.min(room, Math.max(this.#minSize - this.#there, this.#waiters.length + trials));
  }

  /** An idle resource was lost: it is replaced if it is needed. One that is lent out is found lost on its return. */
  onLost(resource: T): void {
    if (this.#idle.endIfLost(resource)) this.#growth.grow();
  }

  #sweep(): void {
    this.#idle.sweep(this.size - this.#minSize);
    this.#growth.grow();
  }

  /** Changes the size. What is idle above `maxSize` is ended, what is lent out above it when it comes back. */
  resize(minSize: number, maxSize: number): void {
    this.#minSize = minSize;
    this.#maxSize = maxSize;
    this.#idle.endOldest(this.size - maxSize, 'surplus');
    if (this.#state === 'open') this.#sweep();
  }

  /** Ends every resource made so far: the idle ones now, those lent out when they come back, those under way when they are made. */
  drain(): void {
    this.#generation++;
    this.#idle.endAll('drained');
    this.#growth.grow();
  }

  /**
   * Checks all idle resources with `check`, several at once; those that fail or are missing are replaced. Until its turn comes
   * each stays idle, and one that is lent out by then is not asked: whoever has it will see. An abort of `signal` ends the wait,
   * not the checks that have begun.
   */
  async checkIdle(check: (resource: T) => Promise<void>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    // A pool that has given up connecting is filled again.
    this.#growth.grow();
    const inTurn = async (slot: Slot<T>): Promise<void> => {
      if (signal?.aborted === true || !this.#idle.remove(slot)) return;
      const lease = this.#leases.lend(slot, this.#clock.now());
      if (await this.#checks.passes(lease, check)) lease.release();
    };
    const checks = Promise.all(this.#idle.all.map((slot) => this.#workers(() => inTurn(slot))));
    await (signal === undefined ? checks : unlessAborted(checks, signal));
  }

  /**
   * Resolves when `minSize` resources are there, in a pool that keeps none when one could be made; rejects with `PoolTimeout`
   * after `timeout` seconds, and with the reason of `signal`.
   */
  async waitReady(timeout: number, signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'open') throw this.#notOpen();
    signal?.throwIfAborted();
    const { keepIdle } = this.#options;
    const before = this.#growth.made;
    const isReady = (): boolean =>
      keepIdle ? this.#there >= this.#minSize : this.#growth.made > before || this.#leases.length > 0;
    if (!keepIdle && !isReady()) this.#growth.tryOne();
    const isOver = (): boolean => isReady() || !this.#isOpen() || signal?.aborted === true;
    if (await this.#condition.waitFor(isOver, timeout, signal)) {
      if (!this.#isOpen()) throw this.#notOpen();
      if (isReady()) return;
    }
    this.#growth.stopTrying();
    signal?.throwIfAborted();
    throw refusals.notReady(this.#counts(), timeout, this.#growth.lastError);
  }

  /**
   * Refuses whoever waits and whoever comes, ends what is idle, and waits up to `timeout` seconds for what is lent out, which
   * is ended then. Resolves when all has ended, or `timeout` is over and what does not end has been dropped.
   */
  async close(timeout: number): Promise<void> {
    const wasOpen = this.#state === 'open';
    this.#state = 'closed';
    if (wasOpen) {
      this.#growth.stop(this.#notOpen());
      while (this.#waiters.length > 0) this.#waiters.refuse(this.#notOpen());
      this.#idle.stopSweeping();
      this.#idle.endAll('closed');
    }
    const isOver = (): boolean => this.size === 0 && this.#endings.size === 0;
    if (await this.#condition.waitFor(isOver, timeout)) return;
    for (const lease of this.#leases.all) lease.discard('closed');
    if (await this.#condition.waitFor(isOver, LAST_MOMENTS)) return;
    this.#endings.abandon();
  }

  /** Asked anew each time, as it may change whenever something is awaited. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }

  // --- what is known

  /** The statistics as they are now. */
  stats(): PoolStats {
    return {
      poolMin: this.#minSize,
      poolMax: Number.isFinite(this.#maxSize) ? this.#maxSize : 0,
      poolSize: this.size,
      poolAvailable: this.#idle.length,
      requestsWaiting: this.#waiting,
      ...roundedCounters(this.#counters),
    };
  }

  /** The statistics as they are now; the counters begin again. */
  popStats(): PoolStats {
    const stats = this.stats();
    Object.assign(this.#counters, zeroCounters());
    return stats;
  }

  /** What errors say of the pool. */
  #counts(): ErrorPool {
    return {
      name: this.#options.name,
      minSize: this.#minSize,
      maxSize: Number.isFinite(this.#maxSize) ? this.#maxSize : 0,
      lentOut: this.#leases.length,
      idle: this.#idle.length,
      connecting: this.#growth.making,
      waiting: this.#waiters.length,
    };
  }

  #notOpen(): PoolClosed {
    return refusals.notOpen(this.#counts(), this.#state === 'new');
  }

  /** Whoever gives up has waited since `began`. */
  #tooLate({ timeout, asker }: AcquireOptions, began: number): PoolTimeout {
    const leases = this.#leases.all;
    const oldest = Math.min(...leases.map(({ since }) => since));
    const stuck = leases.length >= this.#maxSize && leases.every(({ since }) => since <= began);
    const lent = leases.map(({ resource }) => resource);
    const explained = this.#source.explain?.(lent, asker, stuck) ?? '';
    const longest = this.#clock.now() - oldest;
    return refusals.tooLate(this.#counts(), { timeout, longest, explained }, this.#growth.lastError);
  }
}

/** Asked anew each time, as it may change whenever something is awaited. */
function isAborted({ signal }: AcquireOptions): boolean {
  return signal?.aborted === true;
}
