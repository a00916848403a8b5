import type { TupleRow } from '../rows.js';
import { AsyncConnectionPool } from './connection-pool.js';
import { nullStrategy, STRATEGY, type PoolStrategy } from './strategy.js';

/**
 * A pool that keeps no idle connections (psycopg_pool: `AsyncNullConnectionPool`), as wanted before a pooler such
 * as PgBouncer: it bounds how many there are at once, and has all that a pool has. Each checkout connects, and rejects with the
 * error if that fails; a connection that comes back is given to a waiting request, else closed.
 *
 * `minSize` has to be 0, `maxSize` is unlimited if it is 0 or not given. `wait()` makes one connection to see that it can be
 * made, `check()` has nothing to check, `closeReturns`, `maxIdle`,
 * `numWorkers` have no effect, `reconnectTimeout` and `reconnectFailed` concern `wait()` only.
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
