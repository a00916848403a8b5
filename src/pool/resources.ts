import { AsyncResource } from 'node:async_hooks';
import { waitFor, type Clock } from '../waiting.js';
import { checkTimedOut } from './refusals.js';
import type { Slot } from './slots.js';
import type { Counters } from './statistics.js';

/** Makes and ends resources. */
export interface ResourceSource<T> {
  /** Makes a resource; gives up when `signal` is aborted. */
  create(signal: AbortSignal): Promise<T>;
  /** Makes a created resource ready to be lent out. If it rejects, the attempt has failed, and the resource is ended. */
  prepare?(resource: T, signal: AbortSignal): Promise<void>;
  /** Ends a resource. A rejection is ignored. */
  destroy(resource: T): Promise<void>;
  /** Drops a resource whose end takes too long; its `destroy()` then resolves. */
  abandon?(resource: T): void;
  /** Whether it can be lent out, as far as is known without asking it. */
  isAlive(resource: T): boolean;
  /** Asks a resource, before it is lent out, whether it works; null: resources are not checked. */
  readonly check: ((resource: T) => Promise<void>) | null;
}

/**
 * The three answers by which a pool that keeps its resources differs from one that keeps none. Code asks for an answer, not for the
 * kind of pool.
 */
export interface PoolStrategy {
  /** Whether a resource that comes back is kept although no request waits for it. */
  readonly keepsReturned: boolean;
  /**
   * Who connects. `workers`: the pool, `numWorkers` at a time, up to `minSize` and for waiting requests, one at a time while the
   * server does not answer. `requests`: each request for itself, at once; it takes what comes back in the meantime.
   */
  readonly connectedBy: 'workers' | 'requests';
  /**
   * What a failure to connect means. `retry`: another attempt, after a while. `refuse`: the answer to the request that has waited
   * longest.
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
  /** How long a resource lives, less up to a tenth at random; 0 or Infinity: for ever. */
  readonly maxLifetime: number;
  /** How long a check may take before the resource counts as lost; 0 or Infinity: for ever. */
  readonly checkTimeout: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Why something has failed. */
export interface Failure {
  readonly error: unknown;
}

/** How much of its lifetime a resource may lose, so that those made together do not expire together. */
const LIFETIME_JITTER = 0.1;

/**
 * Makes, checks and ends the resources in the slots of a pool, and counts this. No method rejects, whatever the code of the pool's
 * user does. All of it runs in the asynchronous context that the pool was made in, so that no request's context outlives the request.
 */
export class Resources<T> {
  readonly #source: ResourceSource<T>;
  readonly #options: ResourceOptions;
  readonly #counters: Counters;
  readonly #context = new AsyncResource('usingpg.pool');
  #attempts = 0;
  #made = 0;
  /** The error of the last attempt or check that failed, if no attempt has succeeded since. */
  #lastError: unknown = null;

  constructor(source: ResourceSource<T>, options: ResourceOptions, counters: Counters) {
    this.#source = source;
    this.#options = options;
    this.#counters = counters;
  }

  /** How many attempts are under way. */
  get attempts(): number {
    return this.#attempts;
  }

  /** How many resources have been made. */
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

  /** Makes the resource of a connecting slot. If the slot has gone meanwhile, the resource is ended. */
  async make(slot: Slot<T>): Promise<Failure | null> {
    const { clock, maxLifetime, random } = this.#options;
    const began = clock.now();
    const { signal } = (slot.aborter = new AbortController());
    this.#counters.connectionsNum++;
    this.#attempts++;
    try {
      slot.resource = await this.#source.create(signal);
      // The pool was closed meanwhile: the resource is ended without being prepared.
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
    slot.provenAt = now;
    slot.expiresAt = maxLifetime === 0 ? Infinity : now + maxLifetime * (1 - random() * LIFETIME_JITTER);
    this.#forget(slot);
    return null;
  }

  /** Ends what is left of an attempt that no caller has waited for. */
  #forget(slot: Slot<T>): void {
    if (slot.state !== 'gone' || slot.resource === null) return;
    void this.destroy(slot);
    this.abandon(slot);
  }

  /** Finds out whether the resource in a slot works, by `check` or by the source's own. */
  async check(slot: Slot<T>, check = this.#source.check): Promise<Failure | null> {
    const { clock, checkTimeout } = this.#options;
    const { signal } = (slot.aborter = new AbortController());
    try {
      await waitFor(
        this.inOwnContext(async () => check?.(slot.resource!)),
        {
          seconds: checkTimeout === 0 ? Infinity : checkTimeout,
          late: () => {
            // A resource that does not answer its check would not answer a Terminate either.
            this.abandon(slot);
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
    slot.provenAt = clock.now();
    return null;
  }

  /** Ends the resource in a slot. */
  async destroy(slot: Slot<T>): Promise<void> {
    slot.aborter?.abort();
    try {
      await this.#source.destroy(slot.resource!);
    } catch {
      // It is gone, even if it rejects.
    }
  }

  /** Drops the resource in a slot, if there is one, whose end takes too long. */
  abandon(slot: Slot<T>): void {
    if (slot.resource !== null) this.#source.abandon?.(slot.resource);
  }
}
