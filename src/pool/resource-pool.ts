import { setMaxListeners } from 'node:events';
import pLimit, { type LimitFunction } from 'p-limit';
import type { EvictReason } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { LinkedList, type Link } from '../linked-list.js';
import { Backoff } from './backoff.js';
import type { Clock, Timer } from './clock.js';
import { unlessAborted } from './limits.js';
import { zeroCounters, type Counters, type PoolStats } from './statistics.js';

/** How resources come and go. */
export interface ResourceSource<T> {
  /** Makes a resource; gives up when `signal` is aborted. */
  create(signal: AbortSignal): Promise<T>;
  /** Ends a resource. A rejection is ignored. */
  destroy(resource: T): Promise<void>;
  /** Drops a resource whose end takes too long; `destroy()` of it is to resolve then. */
  abandon?(resource: T): void;
  /** Whether it can be lent out, as far as is known without asking it. */
  isAlive(resource: T): boolean;
  /** Asks a resource, before it is lent out, whether it works; null: nobody asks. */
  readonly check: ((resource: T) => Promise<void>) | null;
  /** Hears of each resource that is about to be ended. */
  ending?(resource: T, reason: EvictReason): void;
  /**
   * What else the message of a timeout should say, of what is lent out and of whoever `asker` is; '' for nothing. `stuck`: that is
   * all that there may be, and none of it has come back during the whole wait.
   */
  explain?(lent: readonly T[], asker: unknown, stuck: boolean): string;
}

/** Options of a `ResourcePool`. Times are in seconds. */
export interface ResourcePoolOptions {
  /** How the pool is called in messages. */
  readonly name: string;
  readonly minSize: number;
  /** Infinity: no limit. */
  readonly maxSize: number;
  /**
   * Whether what comes back stays in the pool while nobody wants it. If not, each request has a resource made for it, or is given
   * one that comes back while it waits; a failed attempt is the answer to a request, which no other attempt follows.
   */
  readonly keepIdle: boolean;
  /** How many may wait at most; 0: no limit. */
  readonly maxWaiting: number;
  /** How long a resource lives, less up to a tenth at random; 0 or Infinity: for ever. */
  readonly maxLifetime: number;
  /** How long a resource above `minSize` may be idle; 0 or Infinity: for ever. */
  readonly maxIdle: number;
  /** How long a check may take before the resource counts as lost; 0 or Infinity: for ever. */
  readonly checkTimeout: number;
  /** How long a server that does not answer is tried before `reconnectFailed` is called. */
  readonly reconnectTimeout: number;
  readonly reconnectFailed: () => void;
  /** Hears of each failed attempt and of how soon another follows; null: not before somebody asks. */
  readonly retrying?: (error: unknown, delay: number | null) => void;
  /** How many resources are made or checked at once; as many as are asked for where none is kept. */
  readonly numWorkers: number;
  /** Whether timers and idle resources keep the process alive. */
  readonly keepAlive: boolean;
  readonly clock: Clock;
  readonly random: () => number;
}

/** How `acquire()` waits. */
export interface AcquireOptions {
  /** Seconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Whoever asks, for `ResourceSource.explain()`. */
  readonly asker?: unknown;
}

/** A resource and what the pool knows of it, for as long as it lives. */
interface Slot<T> {
  readonly resource: T;
  readonly generation: number;
  readonly expiresAt: number;
  idleSince: number;
  /** The lease it is lent out under; null while it is idle, or gone. */
  lease: Lease<T> | null;
  /** Where it stands among those lent out. */
  place: number;
}

interface Waiter<T> {
  readonly resolve: (slot: Slot<T>) => void;
  readonly reject: (reason: unknown) => void;
  readonly since: number;
  /** Whether it waits for a resource to come back, as far as is known, rather than for one that is made for it. */
  readonly queued: boolean;
  timer: Timer | null;
  unlisten: (() => void) | null;
}

/** An attempt to come so many seconds after the last is not brought forward. */
const NOT_FAR = 1.2;
/** A resource used within so many seconds is not checked again. */
const CHECK_AFTER = 0.5;
/** How much of its lifetime a resource may lose, so that those made together do not expire together. */
const LIFETIME_JITTER = 0.1;

type LeaseEnd<T> = (slot: Slot<T>, lease: Lease<T>, evict: EvictReason | null) => void;

/** One checkout of a resource. It ends once: by `release()` or `discard()`. */
export class Lease<T> {
  readonly resource: T;
  readonly #slot: Slot<T>;
  #since: number;
  #isUse = true;
  #end: LeaseEnd<T> | null;

  /** @internal */
  constructor(slot: Slot<T>, since: number, end: LeaseEnd<T>) {
    this.resource = slot.resource;
    this.#slot = slot;
    this.#since = since;
    this.#end = end;
  }

  /** When it began, by the pool's clock. */
  get since(): number {
    return this.#since;
  }

  /** @internal Whether somebody uses the resource, rather than the pool itself. */
  get isUse(): boolean {
    return this.#isUse;
  }

  /** @internal For the time being the pool has it. */
  keepForPool(): void {
    this.#isUse = false;
  }

  /** @internal From here on it is used. */
  beginUse(now: number): void {
    this.#isUse = true;
    this.#since = now;
  }

  /** Gives the resource back. Returns false if the lease had ended before. */
  release(): boolean {
    return this.#finish(null);
  }

  /** Ends the lease and the resource, which is of no use any more. Returns false if the lease had ended before. */
  discard(reason: EvictReason = 'unusable'): boolean {
    return this.#finish(reason);
  }

  #finish(evict: EvictReason | null): boolean {
    const end = this.#end;
    if (end === null) return false;
    this.#end = null;
    end(this.#slot, this, evict);
    return true;
  }
}

/**
 * A pool of anything that is made, lent out and ended; it knows no SQL.
 *
 * Idle resources are lent out last in, first out, waiters are served first come, first served, and a resource passes from one
 * owner to the next in one synchronous step. A waiter leaves the queue before its promise settles. What is being made for a
 * waiter that has given up serves the next. At any time, idle + lent out + being made ≤ `maxSize`.
 */
export class ResourcePool<T> {
  readonly #source: ResourceSource<T>;
  readonly #options: ResourcePoolOptions;
  readonly #clock: Clock;
  readonly #workers: LimitFunction;
  readonly #aborter = new AbortController();

  #minSize: number;
  #maxSize: number;
  #state: 'new' | 'open' | 'closed' = 'new';
  /** Resources whose making began before the last `drain()` are of an older generation, and end as soon as they are free. */
  #generation = 0;

  /** The most recently used last. */
  readonly #idle: Slot<T>[] = [];
  readonly #leased: Slot<T>[] = [];
  readonly #waiters = new LinkedList<Waiter<T>>();
  /** Attempts to make a resource, under way or waiting for a worker. */
  #making = 0;
  /** Resources being ended. */
  readonly #ending = new Map<Promise<void>, T>();

  #backoff: Backoff | null = null;
  #retry: Timer | null = null;
  /** When the attempt before that retry failed, and when it comes itself. */
  #failedAt = 0;
  #retryAt = 0;
  #lastError: unknown = null;
  /** How many resources have been made. */
  #made = 0;
  /** Whether one is to be made although nobody has asked for it, to see that it can be. */
  #trial = false;

  #sweep: Timer | null = null;
  #sweepAt = Infinity;

  #counters: Counters = zeroCounters();
  /** Called whenever something has changed that `wait()` or `close()` may wait for. */
  readonly #watchers = new Set<() => void>();

  readonly #end: LeaseEnd<T> = (slot, lease, evict) => {
    this.#onLeaseEnd(slot, lease, evict);
  };

  constructor(source: ResourceSource<T>, options: ResourcePoolOptions) {
    this.#source = source;
    this.#options = options;
    this.#clock = options.clock;
    this.#minSize = options.minSize;
    this.#maxSize = options.maxSize;
    this.#workers = pLimit(options.numWorkers);
    // As many may listen as resources are being made.
    setMaxListeners(0, this.#aborter.signal);
  }

  get minSize(): number {
    return this.#minSize;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  get #maxIdle(): number {
    return this.#options.maxIdle === 0 ? Infinity : this.#options.maxIdle;
  }

  get state(): 'new' | 'open' | 'closed' {
    return this.#state;
  }

  /** Why the last attempt to make a resource failed, if none has succeeded since. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Counters that the pool's owner keeps here, too. */
  get counters(): Counters {
    return this.#counters;
  }

  /** Resources idle, lent out, and being made. */
  get size(): number {
    return this.#idle.length + this.#leased.length + this.#making;
  }

  /** Whether what comes back now would stay, or go to somebody who waits, rather than be ended. */
  get takesBack(): boolean {
    return this.#state === 'open' && (this.#options.keepIdle || this.#waiters.length > 0);
  }

  /** Starts making resources. */
  open(): void {
    if (this.#state !== 'new') return;
    this.#state = 'open';
    this.#grow();
  }

  // --- lending

  /** Lends out a resource; at once, without a promise, if one is idle that needs no check. */
  acquire(options: AcquireOptions): Lease<T> | Promise<Lease<T>> {
    this.#counters.requestsNum++;
    if (this.#state !== 'open') return this.#refuse(this.#closedError());
    if (options.signal?.aborted === true) return this.#refuse(options.signal.reason);
    if (this.#waiters.length === 0 && this.#idle.length > 0) {
      // Asking for the time takes as long as all the rest of a checkout here, so it is done once.
      const now = this.#clock.now();
      const slot = this.#takeIdle(now);
      if (slot !== null)
        return this.#needsCheck(slot, now) ? this.#checked(slot, options) : this.#lend(slot, now);
    }
    const { maxWaiting, keepIdle } = this.#options;
    const queued = keepIdle || this.size >= this.#maxSize;
    if (queued && maxWaiting > 0 && this.#waiting >= maxWaiting) {
      return this.#refuse(
        new errors.TooManyRequests(
          `the pool '${this.#options.name}' has ${String(this.#waiting)} requests waiting already (maxWaiting)`,
          { pool: this.#counts() },
        ),
      );
    }
    if (queued) this.#counters.requestsQueued++;
    const waiting = this.#wait(options, { queued });
    this.#hurry();
    this.#grow();
    return waiting.then((waited) => {
      if (this.#needsCheck(waited, this.#clock.now())) return this.#checked(waited, options);
      const lease = this.#claim(waited);
      // Aborted after the hand-over, but before the caller could know of it.
      if (options.signal?.aborted === true) {
        lease.release();
        return this.#refuse(options.signal.reason);
      }
      return lease;
    });
  }

  /** How many wait, without those for whom a resource is being made in a pool that makes one for each. */
  get #waiting(): number {
    const { length } = this.#waiters;
    return this.#options.keepIdle ? length : Math.max(0, length - this.#making);
  }

  #refuse(reason: unknown): Promise<never> {
    this.#counters.requestsErrors++;
    return Promise.reject(reason);
  }

  /** An idle resource that is alive and not to be ended, taken out of the idle ones but not lent out yet. */
  #takeIdle(now: number): Slot<T> | null {
    for (;;) {
      const slot = this.#idle.pop();
      if (slot === undefined) return null;
      if (!this.#source.isAlive(slot.resource)) {
        this.#counters.connectionsLost++;
        this.#endResource(slot, 'lost');
        continue;
      }
      const outdated = this.#outdated(slot, now);
      if (outdated === null) return slot;
      this.#endResource(slot, outdated);
    }
  }

  #outdated(slot: Slot<T>, now: number): EvictReason | null {
    if (slot.generation !== this.#generation) return 'drained';
    return now >= slot.expiresAt ? 'lifetime' : null;
  }

  #lend(slot: Slot<T>, now: number): Lease<T> {
    const lease = new Lease(slot, now, this.#end);
    slot.lease = lease;
    slot.place = this.#leased.push(slot) - 1;
    return lease;
  }

  /** It is lent out no more. */
  #unlend(slot: Slot<T>): void {
    slot.lease = null;
    const last = this.#leased.pop()!;
    if (last === slot) return;
    this.#leased[slot.place] = last;
    last.place = slot.place;
  }

  /** The lease of a slot that was handed to a waiter, which has counted as lent out since. */
  #claim(slot: Slot<T>): Lease<T> {
    if (slot.lease === null) throw new Error('a slot was handed over without a lease');
    return slot.lease;
  }

  #needsCheck(slot: Slot<T>, now: number): boolean {
    return this.#source.check !== null && now - slot.idleSince >= CHECK_AFTER;
  }

  /** Lends `slot` out if it passes the check, else another, ahead of everybody who waits. */
  async #checked(first: Slot<T>, options: AcquireOptions): Promise<Lease<T>> {
    const began = this.#clock.now();
    const deadline = began + options.timeout;
    for (let slot = first; ;) {
      const now = this.#clock.now();
      const lease = slot.lease ?? this.#lend(slot, now);
      if (!this.#needsCheck(slot, now)) return lease;
      lease.keepForPool();
      const passing = this.#passes(lease, this.#source.check);
      let passed: boolean;
      try {
        passed = await this.#whileWanted(passing, { began, deadline }, options);
      } catch (reason) {
        // Nobody wants it any more, but until it is known to work it is of no use to another.
        void passing.then((works) => works && lease.release());
        return this.#refuse(reason);
      }
      if (!this.#isOpen() || isAborted(options)) {
        if (passed) lease.release();
        return this.#refuse(this.#isOpen() ? options.signal?.reason : this.#closedError());
      }
      if (passed) {
        lease.beginUse(this.#clock.now());
        return lease;
      }
      const next = this.#takeIdle(this.#clock.now());
      if (next === null) {
        const left = Math.max(0, deadline - this.#clock.now());
        const waiting = this.#wait(options, { queued: true, first: true, left });
        this.#hurry();
        this.#grow();
        slot = await waiting;
        // Aborted after the hand-over.
        if (isAborted(options)) {
          this.#claim(slot).release();
          return this.#refuse(options.signal?.reason);
        }
      } else {
        slot = next;
      }
    }
  }

  /** Whether a resource passes `check`; if not, its lease has ended when this resolves. It never rejects. */
  async #passes(lease: Lease<T>, check: ((resource: T) => Promise<void>) | null): Promise<boolean> {
    const { checkTimeout } = this.#options;
    let timer: Timer | null = null;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = this.#limit(checkTimeout === 0 ? Infinity : checkTimeout, () => {
          // What does not answer a check would not answer a goodbye.
          this.#source.abandon?.(lease.resource);
          reject(
            new errors.OperationalError(
              `a connection did not pass its check within ${String(checkTimeout)} seconds`,
            ),
          );
        });
        Promise.resolve(check?.(lease.resource)).then(resolve, reject);
      });
      return true;
    } catch (error) {
      this.#lastError = error;
      this.#counters.connectionsLost++;
      lease.discard('check');
      return false;
    } finally {
      (timer as Timer | null)?.cancel();
    }
  }

  /** What `promise` resolves with, unless the time of whoever asks is over first, or is aborted; then it rejects. */
  #whileWanted<V>(
    promise: Promise<V>,
    { began, deadline }: { readonly began: number; readonly deadline: number },
    options: AcquireOptions,
  ): Promise<V> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        settle();
        reject(signal?.reason as Error);
      };
      const late = (): void => {
        settle();
        reject(this.#timeoutError(options, began));
      };
      const timer = this.#limit(Math.max(0, deadline - this.#clock.now()), late);
      const settle = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', abort);
      };
      if (signal?.aborted === true) abort();
      else signal?.addEventListener('abort', abort, { once: true });
      void promise.then((value) => {
        settle();
        resolve(value);
      });
    });
  }

  #wait(options: AcquireOptions, how: { queued: boolean; first?: boolean; left?: number }): Promise<Slot<T>> {
    return new Promise((resolve, reject) => {
      const left = how.left ?? options.timeout;
      const since = this.#clock.now();
      const waiter: Waiter<T> = { resolve, reject, since, queued: how.queued, timer: null, unlisten: null };
      const link = how.first === true ? this.#waiters.unshift(waiter) : this.#waiters.push(waiter);
      waiter.timer = this.#limit(left, () => {
        this.#giveUp(link, () => this.#timeoutError(options, since));
      });
      const { signal } = options;
      if (signal !== undefined) {
        const abort = (): void => {
          this.#giveUp(link, () => signal.reason as Error);
        };
        signal.addEventListener('abort', abort, { once: true });
        waiter.unlisten = () => {
          signal.removeEventListener('abort', abort);
        };
      }
    });
  }

  #giveUp(link: Link<Waiter<T>>, reason: () => unknown): void {
    if (this.#waiters.remove(link)) this.#reject(link.value, reason());
  }

  /** Refuses a request that is in the queue no more. */
  #reject(waiter: Waiter<T>, reason: unknown): void {
    this.#counters.requestsErrors++;
    this.#settled(waiter);
    waiter.reject(reason);
  }

  #settled(waiter: Waiter<T>): void {
    waiter.timer?.cancel();
    waiter.unlisten?.();
    if (waiter.queued) this.#counters.requestsWaitMs += (this.#clock.now() - waiter.since) * 1000;
  }

  /** Hands a free resource to whoever has waited longest, or keeps it idle. The only place where it changes hands. */
  #handOver(slot: Slot<T>, now: number): void {
    const evict =
      this.#state === 'closed'
        ? 'closed'
        : (this.#outdated(slot, now) ?? (this.size >= this.#maxSize ? 'surplus' : null));
    if (evict !== null) {
      this.#endResource(slot, evict);
      this.#grow();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      if (!this.#options.keepIdle) {
        this.#endResource(slot, 'unneeded');
        return;
      }
      slot.idleSince = now;
      this.#idle.push(slot);
      this.#scheduleSweep(slot, now);
      this.#announce();
      return;
    }
    this.#settled(waiter);
    this.#lend(slot, now);
    waiter.resolve(slot);
  }

  #onLeaseEnd(slot: Slot<T>, lease: Lease<T>, evict: EvictReason | null): void {
    this.#unlend(slot);
    const now = this.#clock.now();
    if (lease.isUse) this.#counters.usageMs += (now - lease.since) * 1000;
    // It has just been used: that is as good as a check.
    slot.idleSince = now;
    const isAlive = this.#source.isAlive(slot.resource);
    if (evict === null && isAlive) {
      this.#handOver(slot, now);
    } else {
      this.#endResource(slot, isAlive ? (evict ?? 'lost') : 'lost');
      this.#grow();
    }
    if (this.#state === 'closed') this.#announce();
  }

  // --- making

  /** Makes as many resources as are needed: for those who wait, and up to `minSize`. */
  #grow(): void {
    const { keepIdle } = this.#options;
    if (this.#state !== 'open' || (keepIdle && this.#retry !== null)) return;
    // A server that does not answer is tried by one attempt at a time.
    const most = keepIdle && this.#backoff !== null ? 1 : Infinity;
    while (this.#making < most && this.#isNeeded(this.#making)) {
      this.#making++;
      // Where each request has a resource made for it, it must not queue for a worker.
      void (keepIdle ? this.#workers(() => this.#make()) : this.#make());
    }
  }

  /** Whether one more resource is needed beside `making` others on their way. */
  #isNeeded(making: number): boolean {
    const size = this.#idle.length + this.#leased.length + making;
    // What is still being ended may still count at the other end.
    if (size + this.#ending.size >= this.#maxSize) return false;
    const trials = this.#trial && this.#retry === null ? 1 : 0;
    return size < this.#minSize || this.#waiters.length + trials > making;
  }

  async #make(): Promise<void> {
    // The need may have passed while the attempt waited for a worker.
    if (this.#state !== 'open' || !this.#isNeeded(this.#making - 1)) {
      this.#making--;
      this.#announce();
      return;
    }
    const began = this.#clock.now();
    // One that is under way during a drain() may have been told what the drain was for: it is of before.
    const generation = this.#generation;
    this.#counters.connectionsNum++;
    let resource: T;
    try {
      resource = await this.#source.create(this.#aborter.signal);
    } catch (error) {
      this.#making--;
      this.#counters.connectionsErrors++;
      if (this.#isOpen()) this.#onMakeFailed(error);
      this.#announce();
      return;
    }
    this.#making--;
    this.#counters.connectionsMs += (this.#clock.now() - began) * 1000;
    this.#made++;
    this.#trial = false;
    this.#retry?.cancel();
    this.#retry = null;
    this.#backoff = null;
    this.#lastError = null;
    const { maxLifetime } = this.#options;
    const lifetime =
      maxLifetime === 0 ? Infinity : maxLifetime * (1 - this.#options.random() * LIFETIME_JITTER);
    const now = this.#clock.now();
    const slot: Slot<T> = {
      resource,
      generation,
      expiresAt: now + lifetime,
      idleSince: now,
      lease: null,
      place: -1,
    };
    this.#handOver(slot, now);
    this.#grow();
    this.#announce();
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #onMakeFailed(error: unknown): void {
    this.#lastError = error;
    if (!this.#options.keepIdle) {
      const waiter = this.#waiters.shift();
      if (waiter !== undefined) this.#reject(waiter, error);
    }
    if (this.#retry === null && (this.#options.keepIdle || this.#trial)) this.#retryLater();
    if (!this.#options.keepIdle) this.#grow();
  }

  #retryLater(): void {
    const now = this.#clock.now();
    this.#backoff ??= new Backoff(now, this.#options.reconnectTimeout, this.#options.random);
    if (this.#backoff.isOver(now)) {
      this.#backoff = null;
      this.#options.reconnectFailed();
      // Whoever waits keeps an attempt alive; else the next to ask makes one.
      if (!this.#isOpen() || (this.#waiters.length === 0 && !this.#trial)) {
        this.#options.retrying?.(this.#lastError, null);
        return;
      }
      this.#backoff = new Backoff(now, this.#options.reconnectTimeout, this.#options.random);
    }
    this.#failedAt = now;
    const isWanted = this.#options.keepIdle && this.#waiters.length > 0;
    const delay = isWanted ? this.#backoff.nextInHurry(now) : this.#backoff.next(now);
    this.#options.retrying?.(this.#lastError, delay);
    this.#retryIn(delay);
  }

  #retryIn(seconds: number): void {
    this.#retryAt = this.#clock.now() + seconds;
    this.#retry = this.#clock.after(
      seconds,
      () => {
        this.#retry = null;
        this.#grow();
      },
      this.#options.keepAlive,
    );
  }

  /** Somebody has come to wait, for whom the next attempt may be too far. */
  #hurry(): void {
    if (this.#retry === null || this.#backoff === null || !this.#options.keepIdle) return;
    if (this.#retryAt - this.#failedAt <= NOT_FAR) return;
    this.#retry.cancel();
    const at = this.#failedAt + this.#backoff.nextInHurry(this.#failedAt);
    this.#retryIn(Math.max(0, at - this.#clock.now()));
  }

  // --- ending

  #endResource(slot: Slot<T>, reason: EvictReason): void {
    this.#source.ending?.(slot.resource, reason);
    const ending = this.#source.destroy(slot.resource).catch(() => undefined);
    this.#ending.set(ending, slot.resource);
    void ending.then(() => {
      this.#ending.delete(ending);
      this.#grow();
      this.#announce();
    });
  }

  /** An idle resource was lost: it is replaced if it is needed. One that is lent out is found lost on its return. */
  onLost(resource: T): void {
    const index = this.#idle.findIndex((slot) => slot.resource === resource);
    if (index < 0) return;
    this.#counters.connectionsLost++;
    for (const slot of this.#idle.splice(index, 1)) this.#endResource(slot, 'lost');
    this.#grow();
  }

  #scheduleSweep(slot: Slot<T>, now: number): void {
    const unusedAt = slot.idleSince + this.#maxIdle;
    // One that has been idle for longer already stays because the pool is at its smallest.
    const at = unusedAt <= now ? slot.expiresAt : Math.min(slot.expiresAt, unusedAt);
    if (at >= this.#sweepAt) return;
    this.#sweep?.cancel();
    this.#sweepAt = at;
    if (!Number.isFinite(at)) return;
    this.#sweep = this.#clock.after(
      Math.max(0, at - now),
      () => {
        this.#sweepIdle();
      },
      false,
    );
  }

  /** Ends idle resources that have outlived their time, and those above `minSize` that nobody has used for long. */
  #sweepIdle(): void {
    this.#sweepAt = Infinity;
    this.#sweep?.cancel();
    this.#sweep = null;
    const now = this.#clock.now();
    let surplus = this.size - this.#minSize;
    const kept: Slot<T>[] = [];
    for (const slot of this.#idle) {
      const unused = surplus > 0 && now - slot.idleSince >= this.#maxIdle;
      if (unused || now >= slot.expiresAt) {
        surplus--;
        this.#endResource(slot, unused ? 'idle' : 'lifetime');
      } else {
        kept.push(slot);
      }
    }
    this.#idle.splice(0, this.#idle.length, ...kept);
    for (const slot of kept) this.#scheduleSweep(slot, now);
    this.#grow();
  }

  /** Changes the size. What is idle above `maxSize` is ended, what is lent out above it when it comes back. */
  resize(minSize: number, maxSize: number): void {
    this.#minSize = minSize;
    this.#maxSize = maxSize;
    while (this.size > maxSize && this.#idle.length > 0) {
      const slot = this.#idle.shift();
      if (slot !== undefined) this.#endResource(slot, 'surplus');
    }
    if (this.#state === 'open') this.#sweepIdle();
  }

  /** Ends every resource made so far: the idle ones now, those lent out when they come back, those under way when they are made. */
  drain(): void {
    this.#generation++;
    for (const slot of this.#idle.splice(0)) this.#endResource(slot, 'drained');
    this.#grow();
  }

  /**
   * Checks all idle resources with `check`, several at once; those that fail or are missing are replaced. Until its turn comes each stays idle, and
   * one that is lent out by then is not asked: whoever has it will see. An abort of `signal` ends the wait, not the checks that
   * have begun.
   */
  async checkIdle(check: (resource: T) => Promise<void>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    // A pool that has given up connecting is filled again.
    this.#grow();
    const inTurn = async (slot: Slot<T>): Promise<void> => {
      const index = this.#idle.indexOf(slot);
      if (index < 0 || signal?.aborted === true) return;
      this.#idle.splice(index, 1);
      const lease = this.#lend(slot, this.#clock.now());
      lease.keepForPool();
      if (await this.#passes(lease, check)) lease.release();
    };
    const checks = Promise.all(this.#idle.map((slot) => this.#workers(() => inTurn(slot))));
    await (signal === undefined ? checks : unlessAborted(checks, signal));
  }

  /**
   * Resolves when `minSize` resources are there, in a pool that keeps none when one could be made; rejects with `PoolTimeout`
   * after `timeout` seconds, and with the reason of `signal`.
   */
  async waitReady(timeout: number, signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'open') throw this.#closedError();
    signal?.throwIfAborted();
    const { keepIdle } = this.#options;
    const before = this.#made;
    const there = (): number => this.#idle.length + this.#leased.length;
    const ready = (): boolean =>
      keepIdle ? there() >= this.#minSize : this.#made > before || this.#leased.length > 0;
    if (!keepIdle && !ready()) {
      this.#trial = true;
      this.#grow();
    }
    if (
      await this.#until(
        () => ready() || this.#state === 'closed' || signal?.aborted === true,
        timeout,
        signal,
      )
    ) {
      if (!this.#isOpen()) throw this.#closedError();
      if (ready()) return;
    }
    this.#trial = false;
    signal?.throwIfAborted();
    throw new errors.PoolTimeout(
      `the pool '${this.#options.name}' was not ready after ${String(timeout)} seconds: ` +
        `${String(there())} of ${String(Math.max(1, this.#minSize))} connections made${this.#lastReason}`,
      { pool: this.#counts(), cause: this.#lastError ?? undefined },
    );
  }

  /**
   * Refuses whoever waits and whoever comes, ends what is idle, and waits up to `timeout` seconds for what is lent out, which
   * is ended then. Resolves when all has ended, or `timeout` is over and what does not end has been dropped.
   */
  async close(timeout: number): Promise<void> {
    const wasOpen = this.#state === 'open';
    this.#state = 'closed';
    if (wasOpen) {
      this.#retry?.cancel();
      this.#retry = null;
      this.#sweep?.cancel();
      this.#aborter.abort(this.#closedError());
      for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
        this.#reject(waiter, this.#closedError());
      }
      for (const slot of this.#idle.splice(0)) this.#endResource(slot, 'closed');
    }
    const gone = (): boolean => this.#leased.length === 0 && this.#ending.size === 0 && this.#making === 0;
    if (await this.#until(gone, timeout)) return;
    for (const slot of [...this.#leased]) slot.lease?.discard('closed');
    if (await this.#until(gone, LAST_MOMENTS)) return;
    for (const resource of this.#ending.values()) this.#source.abandon?.(resource);
  }

  /** Resolves with true as soon as `condition` holds, which is looked at when `signal` is aborted as well; with false after `timeout` seconds. */
  #until(condition: () => boolean, timeout: number, signal?: AbortSignal): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (result: boolean): void => {
        this.#watchers.delete(watch);
        signal?.removeEventListener('abort', watch);
        timer.cancel();
        resolve(result);
      };
      const watch = (): void => {
        if (condition()) settle(true);
      };
      this.#watchers.add(watch);
      signal?.addEventListener('abort', watch, { once: true });
      const timer = this.#limit(timeout, () => {
        settle(false);
      });
    });
  }

  /** Calls `late` after so many seconds; never after Infinity. Until it is cancelled, somebody waits: the process stays alive. */
  #limit(seconds: number, late: () => void): Timer {
    return this.#clock.after(seconds, Number.isFinite(seconds) ? late : () => undefined, true);
  }

  #announce(): void {
    if (this.#watchers.size > 0) for (const watch of [...this.#watchers]) watch();
  }

  // --- what is known

  /** The statistics as they are now. */
  stats(): PoolStats {
    const counters = { ...this.#counters };
    for (const name of ['usageMs', 'requestsWaitMs', 'connectionsMs'] as const) {
      counters[name] = Math.round(counters[name]);
    }
    return {
      poolMin: this.#minSize,
      poolMax: Number.isFinite(this.#maxSize) ? this.#maxSize : 0,
      poolSize: this.size,
      poolAvailable: this.#idle.length,
      requestsWaiting: this.#waiting,
      ...counters,
    };
  }

  /** The statistics as they are now; the counters begin again. */
  popStats(): PoolStats {
    const stats = this.stats();
    this.#counters = zeroCounters();
    return stats;
  }

  #closedError(): errors.PoolClosed {
    return new errors.PoolClosed(
      this.#state === 'new'
        ? `the pool '${this.#options.name}' is not open yet: await pool.open() first`
        : `the pool '${this.#options.name}' is closed`,
      { pool: this.#counts() },
    );
  }

  /** What errors say of the pool. */
  #counts(): errors.ErrorPool {
    return {
      name: this.#options.name,
      minSize: this.#minSize,
      maxSize: Number.isFinite(this.#maxSize) ? this.#maxSize : 0,
      lentOut: this.#leased.length,
      idle: this.#idle.length,
      connecting: this.#making,
      waiting: this.#waiters.length,
    };
  }

  get #lastReason(): string {
    return this.#lastError === null
      ? ''
      : `; the last attempt to connect failed: ${describeError(this.#lastError)}`;
  }

  /** Whoever gives up has waited since `began`. */
  #timeoutError({ timeout, asker }: AcquireOptions, began: number): errors.PoolTimeout {
    const lent = [...this.#leased];
    const now = this.#clock.now();
    const since = lent.map(({ lease }) => lease?.since ?? now);
    const oldest = now - Math.min(...since);
    const stuck = lent.length >= this.#maxSize && since.every((moment) => moment <= began);
    const most = Number.isFinite(this.#maxSize) ? `maxSize ${String(this.#maxSize)}` : 'no maxSize';
    const counts =
      `${String(lent.length)} lent out${lent.length === 0 ? '' : ` for up to ${oldest.toFixed(1)} seconds`},` +
      ` ${String(this.#idle.length)} idle, ${String(this.#making)} connecting, ${String(this.#waiters.length)} more waiting`;
    const explained =
      this.#source.explain?.(
        lent.map(({ resource }) => resource),
        asker,
        stuck,
      ) ?? '';
    return new errors.PoolTimeout(
      `couldn't get a connection from the pool '${this.#options.name}' within ${String(timeout)} seconds` +
        ` (${most}: ${counts})${explained === '' ? '' : `; ${explained}`}${this.#lastReason}`,
      { pool: this.#counts(), cause: this.#lastError ?? undefined },
    );
  }
}

/** How long the very last resources may take to end, in seconds. */
const LAST_MOMENTS = 0.1;

/** Asked anew each time, as it may change whenever something is awaited. */
function isAborted({ signal }: AcquireOptions): boolean {
  return signal?.aborted === true;
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : thrownText(error);
}
