import { AsyncResource } from 'node:async_hooks';
import { waitFor, type Clock } from '../waiting.js';
import { checkTimedOut } from './refusals.js';
import type { Slot } from './slots.js';
import type { Counters } from './statistics.js';

/** Makes and closes resources. */
export interface ResourceSource<T> {
  /** Makes a resource; gives up when `signal` is aborted. */
  create(signal: AbortSignal): Promise<T>;
  /** Makes a new resource ready for use. If it rejects, the attempt has failed and the resource is closed. */
  prepare?(resource: T, signal: AbortSignal): Promise<void>;
  /** Closes a resource. A rejection is ignored. */
  destroy(resource: T): Promise<void>;
  /** Drops a resource whose check, or whose closing, takes too long; its `destroy()` then resolves. Must not reject. */
  abandon?(resource: T): Promise<void> | void;
  /** The pool is closed: ends what the source does beside making resources. */
  stop?(): void;
  /** Whether the resource appears usable, without asking the server. */
  isAlive(resource: T): boolean;
  /**
   * Whether resources are lent in turn rather than the last used first, since they belong to servers that are to have equal parts
   * of the work.
   */
  readonly inTurn?: boolean;
  /** Checks a resource before it is lent; null: resources are not checked. */
  readonly check: ((resource: T) => Promise<void>) | null;
}

/**
 * The differences between a pool that keeps its resources and one that keeps none. Code tests one of these properties, never the
 * kind of pool.
 */
export interface PoolStrategy {
  /** Whether a returned resource is kept if no request waits for it. */
  readonly keepsReturned: boolean;
  /**
   * Who connects. `workers`: the pool, `numWorkers` at a time, up to `minSize` and for waiting requests; one at a time while the
   * server is unreachable. `requests`: each request for itself, immediately; it also accepts a resource returned in the meantime.
   */
  readonly connectedBy: 'workers' | 'requests';
  /**
   * The consequence of a failed attempt. `retry`: another attempt, after a while. `refuse`: the request that has waited longest
   * rejects with the error.
   */
  readonly onConnectFailure: 'retry' | 'refuse';
}

/** The strategy of `AsyncConnectionPool`. */
export const keepingStrategy: PoolStrategy = {
  keepsReturned: true,
  connectedBy: 'workers',
  onConnectFailure: 'retry',
};

/** The strategy of `AsyncNullConnectionPool`. */
export const nullStrategy: PoolStrategy = {
  keepsReturned: false,
  connectedBy: 'requests',
  onConnectFailure: 'refuse',
};

/** How resources are made and checked. Times are in seconds. */
export interface ResourceOptions {
  /** The maximum age of a resource, reduced by up to a tenth at random; 0 or Infinity: no limit. */
  readonly maxLifetime: number;
  /** The seconds since a resource was made, returned or checked, by any clock, after which it is checked before it is lent. */
  readonly checkAfter: number;
  /** The time limit of a check, after which the resource counts as lost; 0 or Infinity: no limit. */
  readonly checkTimeout: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The reason of a failure. */
export interface Failure {
  readonly error: unknown;
}

/** The fraction by which a lifetime is reduced at most, so that resources made together do not expire together. */
const LIFETIME_JITTER = 0.1;

/**
 * Makes, checks and closes the resources in a pool's slots, and counts these actions. No method rejects, whatever the user's code
 * does. All of it runs in the asynchronous context in which the pool was made, so that no request's context outlives the request.
 */
export class Resources<T> {
  readonly #source: ResourceSource<T>;
  readonly #options: ResourceOptions;
  readonly #counters: Counters;
  readonly #context = new AsyncResource('usingpg.pool');
  /** The clock, whose timers belong to the pool's context: a timer keeps the asynchronous context of the code that sets it. */
  readonly ownClock: Clock;
  #attempts = 0;
  #made = 0;
  /** The error of the last attempt or check that failed, if no attempt has succeeded since. */
  #lastError: unknown = null;

  constructor(source: ResourceSource<T>, options: ResourceOptions, counters: Counters) {
    this.#source = source;
    this.#options = options;
    this.#counters = counters;
    const { clock } = options;
    this.ownClock = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      after: (...args) => this.inOwnContext(() => clock.after(...args)),
    };
  }

  /** The number of attempts in progress. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The number of resources made. */
  get made(): number {
    return this.#made;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  /** Runs `act` in the pool's own asynchronous context. */
  inOwnContext<V>(act: () => V): V {
    return this.#context.runInAsyncScope(act);
  }

  /** Makes the resource of a connecting slot. If the slot is gone by then, the resource is closed. */
  async make(slot: Slot<T>): Promise<Failure | null> {
    const { clock, maxLifetime, random } = this.#options;
    const began = clock.now();
    const { signal } = (slot.aborter = new AbortController());
    this.#counters.connectionsNum++;
    this.#attempts++;
    try {
      slot.resource = await this.#source.create(signal);
      // The pool was closed during the attempt: the resource is closed without being prepared.
      if (!signal.aborted) await this.#source.prepare?.(slot.resource, signal);
    } catch (error) {
      this.#attempts--;
      this.#counters.connectionsErrors++;
      this.#lastError = error;
      this.#forget(slot);
      return { error };
    }
    const now = clock.now();
    this.#attempts--;
    this.#counters.connectionsMs += (now - began) * 1000;
    this.#made++;
    this.#lastError = null;
    this.prove(slot, now);
    slot.expiresAt = maxLifetime === 0 ? Infinity : now + maxLifetime * (1 - random() * LIFETIME_JITTER);
    this.#forget(slot);
    return null;
  }

  /** Cleans up after an attempt for which no caller waited. */
  #forget(slot: Slot<T>): void {
    if (slot.state !== 'gone' || slot.resource === null) return;
    void this.destroy(slot);
    void this.abandon(slot);
  }

  /** A resource has been made, used or checked. */
  prove(slot: Slot<T>, now: number): void {
    slot.provenAt = now;
    slot.provenOn = this.#options.clock.wall();
  }

  /** Whether a resource, which has a check, must be checked before it is lent. */
  needsCheck({ provenAt, provenOn }: Slot<T>, now: number): boolean {
    const { clock, checkAfter } = this.#options;
    // While a machine sleeps, only the time of day goes on.
    return now - provenAt >= checkAfter || clock.wall() - provenOn >= checkAfter;
  }

  /** Checks the resource in a slot, by `check` or by the source's own check. */
  async check(slot: Slot<T>, check = this.#source.check): Promise<Failure | null> {
    const { clock, checkTimeout } = this.#options;
    const { signal } = (slot.aborter = new AbortController());
    try {
      await waitFor(
        this.inOwnContext(async () => check?.(slot.resource!)),
        {
          seconds: checkTimeout === 0 ? Infinity : checkTimeout,
          late: async () => {
            // A resource that does not answer its check would not answer a Terminate message either.
            await this.abandon(slot);
            throw checkTimedOut(checkTimeout);
          },
          signal,
          clock,
        },
      );
    } catch (error) {
      if (slot.state !== 'checking') return { error };
      this.#lastError = error;
      this.#counters.connectionsLost++;
      return { error };
    }
    this.prove(slot, clock.now());
    return null;
  }

  /** Closes the resource in a slot. */
  async destroy(slot: Slot<T>): Promise<void> {
    slot.aborter?.abort();
    try {
      await this.#source.destroy(slot.resource!);
    } catch {
      // The resource is gone even if closing it rejects.
    }
  }

  /** Drops the resource in a slot, if any, because checking or closing it takes too long. */
  async abandon(slot: Slot<T>): Promise<void> {
    if (slot.resource !== null) await this.#source.abandon?.(slot.resource);
  }
}
