import type { AsyncConnection } from '../connection/connection.js';
import type { WaitOptions } from '../connection/options.js';
import { CORE } from '../connection/connection-core.js';
import { CONTEXTS_ARE_FREE } from '../connection/open-blocks.js';
import { AsyncTransaction, runInTransaction } from '../connection/transaction.js';
import { runUnit } from '../connection/unit-of-work.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { INSPECT, type Inspect } from '../inspect.js';
import { boundedMap } from '../iteration.js';
import type { Query } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { Column } from '../column.js';
import type {
  ContextOptions,
  CursorOptions,
  PerhapsWithRowFactory,
  WithoutRowFactory,
  WithRowFactory,
} from '../cursor/options.js';
import type { TupleRow } from '../rows.js';
import { systemClock } from '../waiting.js';
import { Checkouts, type CheckoutOptions } from './checkouts.js';
import { checkSource, ConnectionSource, type ConninfoSource } from './connection-source.js';
import { checkKind, SECONDS } from '../options/kinds.js';
import type { KnownOptions } from '../options/known-options.js';
import {
  CHECK,
  CONNECTION,
  EXECUTE,
  GETCONN,
  MAP,
  OPEN,
  WAIT,
  WITH_CONNECTION,
  WITH_TRANSACTION,
  resolvePoolOptions,
  resolveSizes,
  type PoolOptions,
  type ResolvedPoolOptions,
} from './options.js';
import { addOpenPool, removeOpenPool } from './open-pools.js';
import { PoolEvents } from './pool-events.js';
import { ResourcePool } from './resource-pool.js';
import { keepingStrategy, nullStrategy, type PoolStrategy } from './resources.js';
import {
  isTransient,
  MayRetry,
  resolveRetryOptions,
  retrying,
  type OwnSettings,
  type RetryOptions,
} from './retry.js';
import type { PoolStats } from './statistics.js';

/** Options of `pool.wait()`. */
export interface ReadyOptions {
  /** Seconds to wait. @default 30 */
  timeout?: number | undefined;
  /** Stops waiting when it is aborted; the pool is unaffected. */
  signal?: AbortSignal | undefined;
}

/** The result of `pool.execute()`. */
export interface ExecuteResult<T> {
  /** The rows; empty if the statement returns none. */
  rows: T[];
  /** The number of rows returned or affected; -1 if not applicable. */
  rowcount: number;
  /** The statement's tag, such as `INSERT 0 1`. */
  statusmessage: string | null;
  /** The columns; null if the statement returns no rows. */
  description: readonly Column[] | null;
}

/** Options of `pool.map()`. */
export interface MapOptions extends Pick<CheckoutOptions, 'failFast'> {
  /** The maximum number of calls that run at once. @default the pool's `maxSize` */
  concurrency?: number | undefined;
  /** Ends the operation when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** Options of `pool.withTransaction()`. */
export interface PoolTransactionOptions extends CheckoutOptions, RetryOptions {}

/** The strategy of a pool; a subclass overrides it. @internal */
export const STRATEGY: unique symbol = Symbol('usingpg.poolStrategy');

const OPEN_TIMEOUT = 30;
const CLOSE_TIMEOUT = 5;

/**
 * A pool of connections (psycopg_pool: `AsyncConnectionPool`). Each checkout provides a fresh `AsyncConnection`. When it is
 * returned, uncommitted work is rolled back, and every later use of that object raises `InterfaceError`.
 *
 * @example
 * await using pool = new AsyncConnectionPool('postgresql://localhost/app', { minSize: 1, maxSize: 10 });
 * await using conn = await pool.connection();
 * await conn.execute('INSERT INTO visit VALUES (%s)', [id]);
 * await conn.commit();
 */
export class AsyncConnectionPool<R = TupleRow> implements AsyncDisposable {
  readonly #options: ResolvedPoolOptions<R>;
  readonly #pool: ResourcePool<AsyncConnection<R>>;
  readonly #checkouts: Checkouts<R>;
  readonly #events: PoolEvents<R>;

  /**
   * Starts connecting in the background, unless `open` is false. Raises `ProgrammingError` for an invalid option or connection
   * string.
   */
  constructor(conninfo: ConninfoSource = '', options: PoolOptions<R> = {}) {
    checkSource(conninfo);
    this.#options = resolvePoolOptions(options, this[STRATEGY]);
    const events = (this.#events = new PoolEvents<R>(this.#options.name));
    const source = new ConnectionSource<R>(conninfo, this.#options, (connection) => {
      this.#pool.onLost(connection);
    });
    this.#pool = new ResourcePool<AsyncConnection<R>>(source, {
      ...this.#options,
      strategy: this[STRATEGY],
      keepAlive: !this.#options.allowExitOnIdle,
      clock: systemClock,
      random: Math.random,
      reconnectFailed: () => void this.#reconnectFailed(),
      retrying: (error, delay) => events.reconnecting(error, delay),
      ending: (connection, reason) => {
        events.evicted(connection, reason);
      },
      explain: (lent, asker, stuck) => this.#checkouts.explain(lent, asker, stuck),
    });
    this.#checkouts = new Checkouts(this.#pool, source, events, this.#options);
    if (this.#options.open) this.#open();
  }

  /** @internal */
  get [STRATEGY](): PoolStrategy {
    return keepingStrategy;
  }

  /** The pool's name in messages. */
  get name(): string {
    return this.#options.name;
  }

  /** The number of connections that the pool keeps open. */
  get minSize(): number {
    return this.#pool.minSize;
  }

  /** The maximum number of connections; 0 means no limit, which only a null pool may have. */
  get maxSize(): number {
    const { maxSize } = this.#pool;
    return Number.isFinite(maxSize) ? maxSize : 0;
  }

  /** Seconds to wait for a connection. */
  get timeout(): number {
    return this.#options.timeout;
  }

  /** The maximum number of waiting requests; 0: no limit. */
  get maxWaiting(): number {
    return this.#options.maxWaiting;
  }

  /** The maximum age of a connection, in seconds. */
  get maxLifetime(): number {
    return this.#options.maxLifetime;
  }

  /** The number of checkouts after which a connection is replaced; 0: no limit. */
  get maxUses(): number {
    return this.#options.maxUses;
  }

  /** The maximum idle time of a connection above `minSize`, in seconds. */
  get maxIdle(): number {
    return this.#options.maxIdle;
  }

  /** The seconds for which a connection is not checked after its last use. */
  get checkAfter(): number {
    return this.#options.checkAfter;
  }

  /** The maximum duration of a check, in seconds. */
  get checkTimeout(): number {
    return this.#options.checkTimeout;
  }

  /** Seconds for which connecting to an unreachable server is retried. */
  get reconnectTimeout(): number {
    return this.#options.reconnectTimeout;
  }

  /** The maximum number of concurrent attempts to connect. */
  get numWorkers(): number {
    return this.#options.numWorkers;
  }

  /** Whether `close()` of a connection returns it to the pool. */
  get closeReturns(): boolean {
    return this.#options.closeReturns;
  }

  /** Seconds after which a checkout causes a warning; 0: never. */
  get leakThreshold(): number {
    return this.#options.leakThreshold;
  }

  /** Whether the pool provides no connections, because it is not open yet or closed. */
  get closed(): boolean {
    return this.#pool.state !== 'open';
  }

  // --- opening and closing

  /**
   * Opens a pool made with `open: false`; does nothing if it is open (psycopg_pool: `open`). With `wait`, resolves when `minSize`
   * connections are ready; rejects like `wait()` after `timeout` seconds (30), or with the reason of `signal`. Raises
   * `PoolClosed` for a pool that was closed.
   */
  async open(options: { wait?: boolean | undefined } & ReadyOptions = {}): Promise<void> {
    OPEN.check(options);
    options.signal?.throwIfAborted();
    if (this.#pool.state === 'closed') {
      throw new errors.PoolClosed(
        `the pool '${this.name}' has been closed and can't be opened again; make another`,
      );
    }
    this.#open();
    const { wait, ...ready } = options;
    if (wait === true) await this.wait(ready);
  }

  #open(): void {
    this.#pool.open();
    addOpenPool(this as AsyncConnectionPool<unknown>);
  }

  /**
   * Waits until `minSize` connections are ready (psycopg_pool: `wait`). After `timeout` seconds (30), closes the pool and raises
   * `PoolTimeout`, whose `cause` is the last connection error. Raises `PoolClosed` if the pool is not open. An abort of `signal`
   * rejects with its reason and leaves the pool unchanged.
   */
  async wait(options: number | ReadyOptions = {}): Promise<void> {
    const ready = typeof options === 'number' ? { timeout: options } : options;
    WAIT.check(ready);
    const { timeout = OPEN_TIMEOUT, signal } = ready;
    try {
      await this.#pool.waitReady(timeout, signal);
    } catch (error) {
      if (error instanceof errors.PoolTimeout) await this.close();
      throw callersStack(error);
    }
  }

  /**
   * Closes the pool (psycopg_pool: `close`). Waiting and new requests reject with `PoolClosed`, and idle connections are closed.
   * Checked-out connections are closed when they are returned, or after `timeout` seconds. Resolves when all are closed.
   */
  async close(timeout: number = CLOSE_TIMEOUT): Promise<void> {
    checkKind('timeout', timeout, SECONDS);
    removeOpenPool(this as AsyncConnectionPool<unknown>);
    await this.#pool.close(timeout);
  }

  /** Closes the pool at the end of a scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- checkouts

  /**
   * Checks out a connection for the current scope, whose end returns it and rolls back uncommitted work (psycopg_pool:
   * `connection`). Raises `PoolTimeout` after `timeout` seconds, `TooManyRequests` if `maxWaiting` requests are already waiting,
   * `PoolClosed` if the pool is not open, the reason of `signal`, and with `failFast` the error of an attempt to connect.
   *
   * @example
   * await using conn = await pool.connection();
   * await conn.execute('UPDATE city SET name = %s WHERE id = %s', ['Roma', 1]);
   * await conn.commit();
   */
  async connection(options?: CheckoutOptions): Promise<AsyncConnection<R>> {
    CONNECTION.check(options);
    const taken = this.#checkouts.take(options);
    return taken instanceof Promise ? await taken : taken;
  }

  /**
   * Runs `fn` with a connection and returns the connection in any case (psycopg_pool: `async with pool.connection()`). Commits if
   * `fn` returns, rolls back if it throws. If `fn` itself closed or returned the connection, there is nothing to commit. `signal`
   * ends the wait for a connection and the commit, as in `conn.commit()`; statements take signals of their own. Raises the errors of
   * `connection()` and `conn.commit()`: it resolves only if the server has confirmed the COMMIT, or no transaction was open.
   *
   * @example
   * const count = await pool.withConnection(async (conn) => {
   *   const cur = await conn.execute('DELETE FROM session WHERE expires < now()');
   *   return cur.rowcount;
   * });
   */
  withConnection<T>(
    fn: (connection: AsyncConnection<R>) => Promise<T> | T,
    options?: CheckoutOptions,
  ): Promise<T> {
    return this.#using(WITH_CONNECTION, fn, options);
  }

  async #using<T>(
    known: KnownOptions<CheckoutOptions>,
    fn: (connection: AsyncConnection<R>) => Promise<T> | T,
    options: CheckoutOptions | undefined,
  ): Promise<T> {
    // The usual call asks nothing more.
    if (typeof fn !== 'function' || options !== undefined) known.checkCall(fn, options);
    const connection = await this.#checkouts.take(options);
    const commit = options?.signal === undefined ? undefined : { signal: options.signal };
    return runUnit(connection[CORE], () => this.#checkouts.asHolder(connection, () => fn(connection)), {
      commit: () => connection.commit(commit),
      undo: () => this.#checkouts.giveBack(connection, true),
      done: () => this.#checkouts.giveBack(connection),
    });
  }

  /**
   * Runs `fn` in a transaction block on a connection of its own. Commits if `fn` returns, rolls back if it throws. Resolves with
   * the result of `fn`, or with undefined after a `Rollback`.
   *
   * A transaction that fails with SQLSTATE 40001 or 40P01 (a serialization failure or a deadlock), in `fn` or at its COMMIT, is
   * repeated up to `retries` times (5), after random pauses of increasing length. Each attempt calls `fn` again with another
   * connection; the previous connection is unusable. So any effect of `fn` beside its SQL must tolerate repetition. No other
   * error is retried, and once the retries are used up the last error is thrown. After anything may have been committed, by a
   * COMMIT within `fn` for example, nothing is repeated. Each retry is published on the diagnostics channel `usingpg:retry`.
   *
   * `signal` ends the wait for a connection, a pause before a retry, and the commit: if it is aborted before the commit is complete, the
   * transaction is rolled back. Statements within `fn` take signals of their own.
   *
   * Raises `TransactionOutcomeUnknown` if the connection is lost between the COMMIT and its answer, `InFailedSqlTransaction` if a
   * statement failed although `fn` returned, and the errors of `connection()`.
   *
   * @example
   * await pool.withTransaction(
   *   async (conn) => {
   *     const [balance] = (await (await conn.execute('SELECT balance FROM account WHERE id = %s', [id])).fetchone())!;
   *     await conn.execute('UPDATE account SET balance = %s WHERE id = %s', [Number(balance) - 1, id]);
   *   },
   *   { isolationLevel: IsolationLevel.SERIALIZABLE },
   * );
   */
  withTransaction(
    fn: (connection: AsyncConnection<R>, transaction: AsyncTransaction) => Promise<never>,
    options?: PoolTransactionOptions,
  ): Promise<undefined>;
  withTransaction<T>(
    fn: (connection: AsyncConnection<R>, transaction: AsyncTransaction) => Promise<T> | T,
    options?: PoolTransactionOptions,
  ): Promise<T>;
  async withTransaction<T>(
    fn: (connection: AsyncConnection<R>, transaction: AsyncTransaction) => Promise<T> | T,
    options: PoolTransactionOptions = {},
  ): Promise<T> {
    WITH_TRANSACTION.checkCall(fn, options);
    const { retries, settings } = resolveRetryOptions(options);
    return retrying(() => this.#attempt(fn, settings, options), {
      retries,
      signal: options.signal,
      clock: systemClock,
      random: Math.random,
      onRetry: (error, retry, delay) => {
        this.#events.retrying(error, retry, delay);
      },
    });
  }

  /** One attempt of `withTransaction()`. */
  async #attempt<T>(
    fn: (connection: AsyncConnection<R>, transaction: AsyncTransaction) => Promise<T> | T,
    { isolationLevel, readOnly, deferrable }: OwnSettings,
    options: CheckoutOptions,
  ): Promise<T | MayRetry> {
    const connection = await this.#checkouts.take(options);
    try {
      // These settings belong to the checked-out connection object and end with it.
      if (isolationLevel !== undefined) await connection.setIsolationLevel(isolationLevel);
      if (readOnly !== undefined) await connection.setReadOnly(readOnly);
      if (deferrable !== undefined) await connection.setDeferrable(deferrable);
      return await runInTransaction(
        new AsyncTransaction(connection as AsyncConnection<never>),
        (transaction) => this.#checkouts.asHolder(connection, () => fn(connection, transaction)),
        // The connection was checked out for this callback alone, so any code that has it is inside the block.
        { signal: options.signal, hasContext: CONTEXTS_ARE_FREE || this.#checkouts.watchesTasks },
      );
    } catch (error) {
      if (isTransient(error) && !connection[CORE].record.committed) return new MayRetry(error);
      throw error;
    } finally {
      // Uncommitted work needs no warning here: the attempt has failed or ended with a rollback.
      await this.#checkouts.giveBack(connection, true);
    }
  }

  /**
   * Checks out a connection that must be returned with `putconn()` on every path (psycopg_pool: `getconn`). Raises the errors of
   * `connection()`.
   */
  async getconn(options?: CheckoutOptions | number): Promise<AsyncConnection<R>> {
    const given = typeof options === 'number' ? { timeout: options } : options;
    GETCONN.check(given);
    const taken = this.#checkouts.take(given);
    return taken instanceof Promise ? await taken : taken;
  }

  /** Returns a connection (psycopg_pool: `putconn`). Raises `ProgrammingError` for one that is not checked out from this pool. */
  putconn(connection: AsyncConnection<R>): Promise<void> {
    if (!this.#checkouts.isLent(connection)) {
      return Promise.reject(
        new errors.ProgrammingError(
          `the connection is not lent out by the pool '${this.name}': it was given back already, or it is not this pool's`,
        ),
      );
    }
    return this.#checkouts.giveBack(connection);
  }

  /**
   * Executes one statement on a connection of its own and commits it. An abort of `signal` ends the wait for the connection, the
   * statement, or the commit as in `conn.commit()`; if the call rejects with the signal's reason, nothing was committed, unless
   * the connections are in autocommit. A row type needs the row factory that makes such rows; without one, rows come from the
   * connections' row factory. `context` has the statement's loaders and dumpers. Raises the errors of `connection()`,
   * `conn.execute()` and `conn.commit()`.
   *
   * @example
   * const { rows } = await pool.execute('SELECT id, name FROM city WHERE id = %s', [1], { rowFactory: dictRow });
   */
  execute<T extends R = R>(
    query: Query,
    params?: Params | null,
    options?: CheckoutOptions & ContextOptions & WithoutRowFactory,
  ): Promise<ExecuteResult<T>>;
  execute<T>(
    query: Query,
    params: Params | null | undefined,
    options: CheckoutOptions & ContextOptions & WithRowFactory<T>,
  ): Promise<ExecuteResult<T>>;
  execute<T>(
    query: Query,
    params: Params | null | undefined,
    options: CheckoutOptions & ContextOptions & PerhapsWithRowFactory<T>,
  ): Promise<ExecuteResult<T | R>>;
  execute<T>(
    query: Query,
    params?: Params | null,
    options?: CheckoutOptions & CursorOptions<T>,
  ): Promise<ExecuteResult<T | R>> {
    const run = async (connection: AsyncConnection<R>): Promise<ExecuteResult<T | R>> => {
      const { rowFactory, context, signal } = options ?? {};
      const cursor = await (rowFactory === undefined && context === undefined
        ? connection.execute(query, params, signal === undefined ? undefined : { signal })
        : connection.execute<T>(query, params, { rowFactory, context, signal }));
      const { description, rowcount, statusmessage } = cursor;
      return {
        rows: description === null ? [] : await cursor.fetchall(),
        rowcount,
        statusmessage,
        description,
      };
    };
    return this.#using(EXECUTE, run, options);
  }

  /**
   * Applies `fn` to each item with a connection of its own, as `withConnection()` does. At most `concurrency` calls run at once
   * (default `maxSize`; a pool without a maximum requires the option). The results have the items' order.
   *
   * The first error ends the operation, as does an abort of `signal`: no more items are taken, calls that wait for a connection
   * give up, and the promise rejects once the running calls have ended. The last argument of `fn` contains a `signal` that is
   * aborted then; pass it to everything that `fn` waits for. If the pool is closed while the source is awaited, the promise rejects
   * with `PoolClosed` once the running calls have ended.
   *
   * @example
   * await pool.map(ids, async (conn, id, index, { signal }) => {
   *   const page = await fetch(`https://example.org/city/${String(id)}`, { signal });
   *   await conn.execute('UPDATE city SET name = %s WHERE id = %s', [await page.text(), id], { signal });
   * });
   */
  async map<I, O>(
    items: Iterable<I> | AsyncIterable<I>,
    fn: (connection: AsyncConnection<R>, item: I, index: number, job: { signal: AbortSignal }) => Promise<O>,
    options: MapOptions = {},
  ): Promise<O[]> {
    MAP.checkCall(fn, options);
    const { concurrency = this.maxSize, signal, failFast } = options;
    if (options.concurrency === undefined && concurrency === 0) {
      throw new errors.ProgrammingError(
        `the pool '${this.name}' has no maxSize, so map() has to be given a \`concurrency\``,
      );
    }
    return boundedMap(
      items,
      (item, index, each) =>
        this.withConnection((connection) => fn(connection, item, index, { signal: each }), {
          signal: each,
          failFast,
        }),
      concurrency,
      { signal, closing: this.#pool.closing.signal },
    );
  }

  // --- maintenance

  /** Changes the size (psycopg_pool: `resize`); `maxSize` defaults to `minSize`. Raises `ProgrammingError` for invalid sizes. */
  async resize(minSize: number, maxSize?: number): Promise<void> {
    const sizes = resolveSizes(this[STRATEGY], minSize, maxSize);
    this.#pool.resize(sizes.minSize, sizes.maxSize);
  }

  /**
   * Checks all idle connections and replaces those that are lost (psycopg_pool: `check`). A pool that gave up connecting tries
   * again. An abort of `signal` ends the wait, but not the checks that have begun.
   */
  async check(options: WaitOptions = {}): Promise<void> {
    CHECK.check(options);
    try {
      await this.#pool.checkIdle(
        (connection) => AsyncConnectionPool.checkConnection(connection),
        options.signal,
      );
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Replaces all connections: idle ones now, checked-out ones when they are returned (psycopg_pool: `drain`). */
  async drain(): Promise<void> {
    this.#pool.drain();
  }

  /**
   * Returns the statistics since the pool was made or since the last `popStats()` (psycopg_pool: `get_stats`). Times are in
   * milliseconds.
   */
  getStats(): PoolStats {
    return this.#pool.stats();
  }

  /** Like `getStats()`; also resets the counters to 0 (psycopg_pool: `pop_stats`). */
  popStats(): PoolStats {
    return this.#pool.popStats();
  }

  /** The pool's state and main statistics, for `util.inspect()`; never a password. */
  [INSPECT](_depth: number, options: unknown, inspect: Inspect): string {
    const { poolMin, poolMax, poolSize, poolAvailable, requestsWaiting } = this.getStats();
    const shown = {
      state: this.#pool.state,
      size: poolSize,
      minSize: poolMin,
      maxSize: poolMax,
      idle: poolAvailable,
      waiting: requestsWaiting,
    };
    return `${this.constructor.name} '${this.name}' ${inspect(shown, options)}`;
  }

  /**
   * Sends an empty query and raises the connection's error if it fails; for use as a pool's `check` (psycopg_pool:
   * `check_connection`).
   */
  static async checkConnection<T>(connection: AsyncConnection<T>): Promise<void> {
    if (connection.autocommit) {
      await connection.execute('');
      return;
    }
    await connection.setAutocommit(true);
    try {
      await connection.execute('');
    } finally {
      await connection.setAutocommit(false);
    }
  }

  // --- internals

  async #reconnectFailed(): Promise<void> {
    try {
      await this.#options.reconnectFailed?.(this);
    } catch (error) {
      this.#events.reconnectFailedFailed(error);
    }
  }
}

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
