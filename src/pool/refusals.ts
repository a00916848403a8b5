import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';

/** The error of a pool that is closed, or, if `isNew`, not open yet. */
export function notOpen(pool: errors.ErrorPool, isNew: boolean): errors.PoolClosed {
  return new errors.PoolClosed(
    isNew
      ? `the pool '${pool.name}' is not open yet: await pool.open() first`
      : `the pool '${pool.name}' is closed`,
    { pool },
  );
}

/** The error of a request beyond `maxWaiting`. */
export function tooMany(pool: errors.ErrorPool, waiting: number): errors.TooManyRequests {
  return new errors.TooManyRequests(
    `the pool '${pool.name}' has ${String(waiting)} requests waiting already (maxWaiting)`,
    { pool },
  );
}

/** The error of a wait for the pool to be ready, after `timeout` seconds. */
export function notReady(pool: errors.ErrorPool, timeout: number, lastError: unknown): errors.PoolTimeout {
  const there = pool.idle + pool.lentOut;
  return new errors.PoolTimeout(
    `the pool '${pool.name}' was not ready after ${String(timeout)} seconds: ` +
      `${String(there)} of ${String(Math.max(1, pool.minSize))} connections made${lastReason(lastError)}`,
    { pool, cause: lastError ?? undefined },
  );
}

/**
 * Why a request that has waited so many seconds gets nothing. `longest`: for how long the one has been lent out that has been so
 * for longest, or null; `explained`: what else there is to say, or ''.
 */
export function tooLate(
  pool: errors.ErrorPool,
  { timeout, longest, explained }: { timeout: number; longest: number | null; explained: string },
  lastError: unknown,
): errors.PoolTimeout {
  const most = pool.maxSize === 0 ? 'no maxSize' : `maxSize ${String(pool.maxSize)}`;
  const counts =
    `${String(pool.lentOut)} lent out${longest === null ? '' : ` for up to ${longest.toFixed(1)} seconds`},` +
    ` ${String(pool.idle)} idle, ${String(pool.connecting)} connecting, ${String(pool.waiting)} more waiting`;
  return new errors.PoolTimeout(
    `couldn't get a connection from the pool '${pool.name}' within ${String(timeout)} seconds` +
      ` (${most}: ${counts})${explained === '' ? '' : `; ${explained}`}${lastReason(lastError)}`,
    { pool, cause: lastError ?? undefined },
  );
}

/** The error of a request before its timeout, since no further attempt to connect is made. */
export function gaveUp(pool: errors.ErrorPool, lastError: unknown): errors.PoolTimeout {
  return new errors.PoolTimeout(
    `couldn't get a connection from the pool '${pool.name}': it could not connect, and with reconnectTimeout 0 it does not try` +
      ` again before it is asked${lastReason(lastError)}`,
    { pool, cause: lastError ?? undefined },
  );
}

/** The error of a resource that has not answered its check within so many seconds. */
export function checkTimedOut(seconds: number): errors.OperationalError {
  return new errors.OperationalError(`a connection did not pass its check within ${String(seconds)} seconds`);
}

function lastReason(lastError: unknown): string {
  if (lastError === null) return '';
  const text = lastError instanceof Error ? lastError.message : thrownText(lastError);
  return `; the last attempt to connect failed: ${text}`;
}
