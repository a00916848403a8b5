import type { AsyncConnection, WaitOptions } from '../connection/connection.js';
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
import type {
  CursorOptions,
  PerhapsWithRowFactory,
  WithoutRowFactory,
  WithRowFactory,
} from '../cursor/options.js';
import type { TupleRow } from '../rows.js';
import { systemClock } from '../waiting.js';
import { Checkouts, type CheckoutOptions } from './checkouts.js';
import { checkSource, ConnectionSource, type ConninfoSource } from './connection-source.js';
import {
  checkSeconds,
  checkSignal,
  checkWhole,
  resolvePoolOptions,
  resolveSizes,
  type PoolOptions,
  type ResolvedPoolOptions,
} from './options.js';
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
  /** Stops waiting when it is aborted; the pool goes on. */
  signal?: AbortSignal | undefined;
}

/** What `pool.execute()` resolves with. */
export interface ExecuteResult<T> {
  /** The rows; none if the statement returns none. */
  rows: T[];
  /** How many rows it returned or affected; -1 where that has no meaning. */
  rowcount: number;
  /** The statement's tag, such as `INSERT 0 1`. */
  statusmessage: string | null;
}

/** Options of `pool.withTransaction()`. */
export interface PoolTransactionOptions extends CheckoutOptions, RetryOptions {}

/** The strategy of a pool, by which a subclass has another. @internal */
export const STRATEGY: unique symbol = Symbol('usingpg.poolStrategy');

const OPEN_TIMEOUT = 30;
const CLOSE_TIMEOUT = 5;

/**
 * A pool of connections (psycopg_pool: `AsyncConnectionPool`). Each checkout gives out a fresh `AsyncConnection`. When it comes back,
 * uncommitted work is rolled back, and every later use of that object raises `InterfaceError`.
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
   * Raises `ProgrammingError` for a wrong option or connection string. Unless `open` is false, starts connecting in the
   * background.
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
      reconnectFailed: () => {
        void this.#reconnectFailed();
      },
      retrying: (error, delay) => {
        events.reconnecting(error, delay);
      },
      ending: (connection, reason) => {
        events.evicted(connection, reason);
      },
      explain: (lent, asker, stuck) => this.#checkouts.explain(lent, asker, stuck),
    });
    this.#checkouts = new Checkouts(this.#pool, source, events, this.#options);
    if (this.#options.open) this.#pool.open();
  }

  /** @internal */
  get [STRATEGY](): PoolStrategy {
    return keepingStrategy;
  }

  /** The pool's name in messages. */
  get name(): string {
    return this.#options.name;
  }

  /** How many connections are kept open. */
  get minSize(): number {
    return this.#pool.minSize;
  }

  /** How many connections are opened at most; 0, of a null pool only: no limit. */
  get maxSize(): number {
    const { maxSize } = this.#pool;
    return Number.isFinite(maxSize) ? maxSize : 0;
  }

  /** Seconds to wait for a connection. */
  get timeout(): number {
    return this.#options.timeout;
  }

  /** How many requests may wait for a connection at most; 0: no limit. */
  get maxWaiting(): number {
    return this.#options.maxWaiting;
  }

  /** How long a connection lives, in seconds. */
  get maxLifetime(): number {
    return this.#options.maxLifetime;
  }

  /** How long a connection above `minSize` may be idle, in seconds. */
  get maxIdle(): number {
    return this.#options.maxIdle;
  }

  /** How long a check may take, in seconds. */
  get checkTimeout(): number {
    return this.#options.checkTimeout;
  }

  /** How long connecting to a server that does not answer is retried, in seconds. */
  get reconnectTimeout(): number {
    return this.#options.reconnectTimeout;
  }

  /** How many connections are made at once. */
  get numWorkers(): number {
    return this.#options.numWorkers;
  }

  /** Whether `close()` of a connection gives it back. */
  get closeReturns(): boolean {
    return this.#options.closeReturns;
  }

  /** How long a connection may be lent out before there is a warning, in seconds; 0: for ever. */
  get leakThreshold(): number {
    return this.#options.leakThreshold;
  }

  /** Whether the pool gives no connections: it is not open yet, or closed. */
  get closed(): boolean {
    return this.#pool.state !== 'open';
  }

  // --- opening and closing

  /**
   * Opens a pool made with `open: false`; on an open one it does nothing but wait. With `wait`, resolves when `minSize`
   * connections are there, or rejects like `wait()` after `timeout` seconds (30), or with the reason of `signal`.
   */
  async open(options: { wait?: boolean | undefined } & ReadyOptions = {}): Promise<void> {
    checkSignal(options.signal);
    options.signal?.throwIfAborted();
    if (this.#pool.state === 'closed') {
      throw new errors.PoolClosed(
        `the pool '${this.name}' has been closed and can't be opened again; make another`,
      );
    }
    this.#pool.open();
    if (options.wait === true) await this.wait(options);
  }

  /**
   * Waits until `minSize` connections are there. After `timeout` seconds the pool is closed and `PoolTimeout` raised, with the
   * last connection error as its cause; an abort of the `signal` rejects with its reason and leaves the pool as it is.
   */
  async wait(options: number | ReadyOptions = {}): Promise<void> {
    const { timeout = OPEN_TIMEOUT, signal } = typeof options === 'number' ? { timeout: options } : options;
    checkSeconds('timeout', timeout);
    checkSignal(signal);
    try {
      await this.#pool.waitReady(timeout, signal);
    } catch (error) {
      if (error instanceof errors.PoolTimeout) await this.close();
      throw callersStack(error);
    }
  }

  /**
   * Closes the pool: waiting and new requests are refused with `PoolClosed`, idle connections are closed. Lent connections are closed
   * when they come back, or after `timeout` seconds. Resolves when all are closed.
   */
  async close(timeout: number = CLOSE_TIMEOUT): Promise<void> {
    checkSeconds('timeout', timeout);
    await this.#pool.close(timeout);
  }

  /** Leaving the scope closes the pool. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- lending

  /**
   * Takes a connection for the current scope, which gives it back; uncommitted work is rolled back then. Raises `PoolTimeout` after
   * `timeout` seconds, `TooManyRequests` if `maxWaiting` requests wait already, and `PoolClosed`.
   */
  async connection(options: CheckoutOptions = {}): Promise<AsyncConnection<R>> {
    const connection = await this.#take(options);
    return connection;
  }

  /** As `Checkouts.take()`, with errors whose stack leads to the caller, which has to await it at once. */
  #take(options: CheckoutOptions): AsyncConnection<R> | Promise<AsyncConnection<R>> {
    const taken = this.#checkouts.take(options);
    return taken instanceof Promise ? waitedFor(taken) : taken;
  }

  /**
   * Runs `fn` with a connection: committed when it returns, rolled back when it throws, given back in any case. What `fn` has closed
   * or given back itself has nothing to commit. Raises what `connection()` and `conn.commit()` raise: it resolves only if the server
   * has said COMMIT, or no transaction was open.
   */
  withConnection<T>(
    fn: (connection: AsyncConnection<R>) => Promise<T> | T,
    options: CheckoutOptions = {},
  ): Promise<T> {
    return this.#using(fn, options, {});
  }

  async #using<T>(
    fn: (connection: AsyncConnection<R>) => Promise<T> | T,
    options: CheckoutOptions,
    commit: WaitOptions,
  ): Promise<T> {
    const connection = await this.#take(options);
    return runUnit(connection[CORE], () => this.#checkouts.asHolder(connection, () => fn(connection)), {
      commit: () => connection.commit(commit),
      undo: () => this.#checkouts.giveBack(connection, true),
      done: () => this.#checkouts.giveBack(connection),
    });
  }

  /**
   * Runs `fn` in a transaction block on a connection of its own: committed when it returns, rolled back when it throws. Resolves
   * with what `fn` returned, or undefined after a `Rollback`.
   *
   * A transaction that fails with SQLSTATE 40001 or 40P01 (a serialization failure, a deadlock), in `fn` or at its COMMIT, is run
   * again, up to `retries` times (5) after pauses of random length, each of them longer than the one before: `fn` is called anew,
   * with another connection, while the one before is dead. What `fn` does beside its SQL should bear that. No other failure is
   * retried; one more of these is thrown as it is. Nothing is run again once something may have been committed, by a COMMIT within
   * `fn` say. Each retry is published on the diagnostics channel `usingpg:retry`.
   *
   * Raises `TransactionOutcomeUnknown` if the connection is lost between the COMMIT and its answer, `InFailedSqlTransaction` if a
   * statement has failed although `fn` returned, and what `connection()` raises.
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
    const { retries, settings } = resolveRetryOptions(options);
    const { signal } = options;
    return retrying(() => this.#attempt(fn, settings, options), {
      retries,
      signal,
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
    const connection = await this.#take(options);
    try {
      // These settings are the lent connection's, and end with it.
      if (isolationLevel !== undefined) await connection.setIsolationLevel(isolationLevel);
      if (readOnly !== undefined) await connection.setReadOnly(readOnly);
      if (deferrable !== undefined) await connection.setDeferrable(deferrable);
      return await runInTransaction(
        new AsyncTransaction(connection as AsyncConnection<never>),
        (transaction) => this.#checkouts.asHolder(connection, () => fn(connection, transaction)),
        // Whoever has the connection, which was lent for this callback alone, is inside the block.
        { opening: options.signal, hasContext: CONTEXTS_ARE_FREE || this.#checkouts.watchesTasks },
      );
    } catch (error) {
      if (isTransient(error) && !connection[CORE].record.committed) return new MayRetry(error);
      throw error;
    } finally {
      // Work that is uncommitted by now was left uncommitted on purpose.
      await this.#checkouts.giveBack(connection, true);
    }
  }

  /** Takes a connection that has to be given back with `putconn()`, on every path. Raises what `connection()` raises. */
  async getconn(options: CheckoutOptions | number = {}): Promise<AsyncConnection<R>> {
    const connection = await this.#take(typeof options === 'number' ? { timeout: options } : options);
    return connection;
  }

  /** Gives a connection back. Raises `ProgrammingError` for one that is not lent out by this pool. */
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
   * Executes one statement on a connection of its own and commits it. An abort of the `signal` ends the wait for the connection,
   * the statement, or its commit as that of `conn.commit()` does: if it rejects with the reason, nothing was committed, unless the
   * connections are in autocommit. A type of rows is given with the row factory that makes such rows: without one they are the
   * connections', of which a type argument can only say more.
   */
  execute<T extends R = R>(
    query: Query,
    params?: Params | null,
    options?: CheckoutOptions & WithoutRowFactory,
  ): Promise<ExecuteResult<T>>;
  execute<T>(
    query: Query,
    params: Params | null | undefined,
    options: CheckoutOptions & WithRowFactory<T>,
  ): Promise<ExecuteResult<T>>;
  execute<T>(
    query: Query,
    params: Params | null | undefined,
    options: CheckoutOptions & PerhapsWithRowFactory<T>,
  ): Promise<ExecuteResult<T | R>>;
  execute<T>(
    query: Query,
    params?: Params | null,
    options: CheckoutOptions & CursorOptions<T> = {},
  ): Promise<ExecuteResult<T | R>> {
    const { rowFactory, ...checkout } = options;
    const waiting: WaitOptions = checkout.signal === undefined ? {} : { signal: checkout.signal };
    const run = async (connection: AsyncConnection<R>): Promise<ExecuteResult<T | R>> => {
      const cursor = await connection.execute(query, params, { rowFactory, ...waiting });
      const { description, rowcount, statusmessage } = cursor;
      return { rows: description === null ? [] : await cursor.fetchall(), rowcount, statusmessage };
    };
    return this.#using(run, checkout, waiting);
  }

  /**
   * Applies `fn` to each item with a connection of its own, as `withConnection()` does; at most `concurrency` at once (by default
   * `maxSize`; a pool without one has to be told). The results are in the items' order.
   *
   * The first error stops it, as does an abort of the `signal`: no more items are asked for, jobs that wait for a connection give up,
   * and it rejects when those that have one have ended. The last argument of `fn` has a `signal` that tells them: hand it to what they
   * wait for.
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
    options: { concurrency?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<O[]> {
    const { concurrency = this.maxSize, signal } = options;
    if (options.concurrency === undefined && concurrency === 0) {
      throw new errors.ProgrammingError(
        `the pool '${this.name}' has no maxSize, so map() has to be given a \`concurrency\``,
      );
    }
    checkWhole('concurrency', concurrency, 1);
    checkSignal(signal);
    return boundedMap(
      items,
      (item, index, each) =>
        this.withConnection((connection) => fn(connection, item, index, { signal: each }), { signal: each }),
      concurrency,
      signal,
    );
  }

  // --- care

  /** Changes the size; `maxSize` is `minSize` by default. */
  async resize(minSize: number, maxSize?: number): Promise<void> {
    const sizes = resolveSizes(this[STRATEGY], minSize, maxSize);
    this.#pool.resize(sizes.minSize, sizes.maxSize);
  }

  /**
   * Checks all idle connections and replaces the lost ones. If the pool had given up connecting, it tries again. An abort of the
   * `signal` ends the wait, not the checks that have begun.
   */
  async check(options: WaitOptions = {}): Promise<void> {
    checkSignal(options.signal);
    try {
      await this.#pool.checkIdle(
        (connection) => AsyncConnectionPool.checkConnection(connection),
        options.signal,
      );
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Replaces all connections: the idle ones now, those lent out when they come back. */
  async drain(): Promise<void> {
    this.#pool.drain();
  }

  /** Counts and times since the pool was made, or since `popStats()`. */
  getStats(): PoolStats {
    return this.#pool.stats();
  }

  /** Like `getStats()`; the counters begin again at 0. */
  popStats(): PoolStats {
    return this.#pool.popStats();
  }

  /** As `util.inspect()` prints it: its state and its statistics that matter; never a password. */
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

  /** Sends an empty query, and raises the connection's error if it is not answered; for use as a pool's `check`. */
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

  // --- inside

  async #reconnectFailed(): Promise<void> {
    try {
      await this.#options.reconnectFailed?.(this);
    } catch (error) {
      this.#events.reconnectFailedFailed(error);
    }
  }
}

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

async function waitedFor<T>(taken: Promise<T>): Promise<T> {
  try {
    return await taken;
  } catch (error) {
    throw callersStack(error);
  }
}
