import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Clock } from '../waiting.js';
import type { Checkout, Slots } from './slots.js';

/** The parts of a pool that its errors describe. */
export interface RefusalParts<T> {
  /** The pool's name. */
  readonly name: string;
  /** The current sizes; Infinity: no limit. */
  readonly pool: { readonly minSize: number; readonly maxSize: number };
  readonly slots: Slots<T>;
  readonly waiters: { readonly length: number };
  /** The error of the last attempt to connect, if none has succeeded since; else null. */
  readonly resources: { readonly lastError: unknown };
  readonly clock: Clock;
  /** Explains the current checkouts to a request that failed; '' for no explanation. */
  readonly explain?:
    ((lent: readonly Checkout<T>[], asker: Checkout<T>, stuck: boolean) => string) | undefined;
}

/** Makes the errors of requests that get no connection, each with the pool's counts at that moment. */
export class Refusals<T> {
  readonly #parts: RefusalParts<T>;

  constructor(parts: RefusalParts<T>) {
    this.#parts = parts;
  }

  /** The sizes and counts of the pool now. */
  get #counts(): errors.ErrorPool {
    const { name, pool, slots, waiters } = this.#parts;
    return {
      name,
      minSize: pool.minSize,
      maxSize: Number.isFinite(pool.maxSize) ? pool.maxSize : 0,
      lentOut: slots.lent + slots.checking,
      idle: slots.idle,
      connecting: slots.connecting,
      waiting: waiters.length,
    };
  }

  /** The error of a pool that is closed, or, if `isNew`, not open yet. */
  notOpen(isNew: boolean): errors.PoolClosed {
    const { name } = this.#parts;
    return new errors.PoolClosed(
      isNew ? `the pool '${name}' is not open yet: await pool.open() first` : `the pool '${name}' is closed`,
      { pool: this.#counts },
    );
  }

  /** The error of a request beyond `maxWaiting`. */
  tooMany(waiting: number): errors.TooManyRequests {
    return new errors.TooManyRequests(
      `the pool '${this.#parts.name}' has ${String(waiting)} requests waiting already (maxWaiting)`,
      { pool: this.#counts },
    );
  }

  /** The error of `wait()` after `timeout` seconds. */
  notReady(timeout: number): errors.PoolTimeout {
    const pool = this.#counts;
    const there = pool.idle + pool.lentOut;
    return this.#timeout(
      pool,
      `the pool '${pool.name}' was not ready after ${String(timeout)} seconds: ` +
        `${String(there)} of ${String(Math.max(1, pool.minSize))} connections made`,
    );
  }

  /** The error of a request by `asker` that has waited `timeout` seconds, since `began` by the clock. */
  tooLate(timeout: number, asker: Checkout<T>, began: number): errors.PoolTimeout {
    const { slots, clock, explain } = this.#parts;
    const pool = this.#counts;
    const lent = slots.in('lent').map(({ holder }) => holder!);
    // The pool is at its maximum, and no connection was returned during the whole wait.
    const stuck = lent.length >= this.#parts.pool.maxSize && lent.every(({ since }) => since <= began);
    const explained = explain?.(lent, asker, stuck) ?? '';
    const longest = clock.now() - Math.min(...lent.map(({ since }) => since));
    const most = pool.maxSize === 0 ? 'no maxSize' : `maxSize ${String(pool.maxSize)}`;
    const counts =
      `${String(pool.lentOut)} lent out${lent.length === 0 ? '' : ` for up to ${longest.toFixed(1)} seconds`},` +
      ` ${String(pool.idle)} idle, ${String(pool.connecting)} connecting, ${String(pool.waiting)} more waiting`;
    return this.#timeout(
      pool,
      `couldn't get a connection from the pool '${pool.name}' within ${String(timeout)} seconds` +
        ` (${most}: ${counts})${explained === '' ? '' : `; ${explained}`}`,
    );
  }

  /** The error of a request before its timeout, if no further attempt to connect is made; the last one failed with `error`. */
  gaveUp(error: unknown): errors.PoolTimeout {
    const pool = this.#counts;
    return this.#timeout(
      pool,
      `couldn't get a connection from the pool '${pool.name}': it could not connect, and with reconnectTimeout 0 it does not try` +
        ' again before it is asked',
      error,
    );
  }

  #timeout(
    pool: errors.ErrorPool,
    message: string,
    lastError = this.#parts.resources.lastError,
  ): errors.PoolTimeout {
    return new errors.PoolTimeout(`${message}${lastReason(lastError)}`, {
      pool,
      cause: lastError ?? undefined,
    });
  }
}

/** The error of a resource that did not answer its check in time. */
export function checkTimedOut(seconds: number): errors.OperationalError {
  return new errors.OperationalError(`a connection did not pass its check within ${String(seconds)} seconds`);
}

function lastReason(lastError: unknown): string {
  if (lastError === null) return '';
  const text = lastError instanceof Error ? lastError.message : thrownText(lastError);
  return `; the last attempt to connect failed: ${text}`;
}
