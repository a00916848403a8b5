import type { TupleRow } from '../rows.js';
import { AsyncConnectionPool } from './connection-pool.js';
import { nullStrategy, STRATEGY, type PoolStrategy } from './strategy.js';

/**
 * A pool that keeps no idle connections (psycopg_pool: `AsyncNullConnectionPool`), for use in front of a pooler such as
 * PgBouncer. It limits the number of concurrent connections and has all methods of a pool. Each checkout connects, and rejects
 * with the error if that fails. A returned connection serves a waiting request, or is closed.
 *
 * `minSize` must be 0; without `maxSize`, or with 0, the size is unlimited. `wait()` makes one connection as a test, and
 * `check()` has nothing to check. `closeReturns`, `maxIdle` and `numWorkers` have no effect; `reconnectTimeout` and
 * `reconnectFailed` concern `wait()` only.
 *
 * @example
 * await using pool = new AsyncNullConnectionPool('postgresql://pgbouncer:6432/app', { maxSize: 20 });
 * await pool.wait();
 */
export class AsyncNullConnectionPool<R = TupleRow> extends AsyncConnectionPool<R> {
  /** @internal */
  override get [STRATEGY](): PoolStrategy {
    return nullStrategy;
  }
}
