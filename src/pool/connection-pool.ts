import { AsyncConnection, POOL_NAME, type WaitOptions } from '../connection/connection.js';
import type { Handle } from '../connection/handle.js';
import {
  commitForCertain,
  coreOf,
  endLease,
  isAlive,
  isBusy,
  leaseConnection,
  onLost,
  dropConnection,
  setKeepsProcessAlive,
  type LeaseEnd,
} from '../connection/lease.js';
import { Rollback, type AsyncTransaction } from '../connection/transaction.js';
import { checkConnectOptions, describeKind } from '../connection/connect-options.js';
import { connectTimeout, conninfoToDict, type ConninfoParams } from '../conninfo/index.js';
import {
  channels,
  NOT_ENDED,
  tracers,
  type CheckoutMessage,
  type EvictMessage,
  type EvictReason,
  type ReconnectMessage,
  type RetryMessage,
  type UncommittedMessage,
} from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { INSPECT, type Inspect } from '../inspect.js';
import type { Query } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { RowFactory, TupleRow } from '../rows.js';
import { DEFAULT_CONNECT_TIMEOUT } from '../session/startup.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from './clock.js';
import { explainStuck, explainWait, LeakWatch, reportLeak, Watched } from './leak-watch.js';
import type { Lease } from './lease.js';
import { LostHandles, type Held } from './lost-handles.js';
import { unlessAborted, within } from './limits.js';
import { boundedMap } from './map.js';
import {
  checkSeconds,
  checkSignal,
  KEEPING,
  KIND,
  resolvePoolOptions,
  type PoolKind,
  type PoolOptions,
  type ResolvedPoolOptions,
} from './options.js';
import { ResourcePool } from './resource-pool.js';
import {
  isTransient,
  MayRetry,
  resolveRetryOptions,
  retrying,
  type OwnSettings,
  type RetryOptions,
} from './retry.js';
import type { PoolStats } from './statistics.js';

/** Connection parameters, or what gives them anew for each connection: for credentials that change. */
export type ConninfoSource =
  string | ConninfoParams | (() => string | ConninfoParams | Promise<string | ConninfoParams>);

/** How to wait for a connection. */
export interface CheckoutOptions {
  /** Seconds to wait. @default the pool's `timeout` */
  timeout?: number;
  /** Stops waiting when it is aborted. */
  signal?: AbortSignal;
}

/** Options of `pool.wait()`. */
export interface ReadyOptions {
  /** Seconds to wait. @default 30 */
  timeout?: number;
  /** Stops waiting when it is aborted; the pool goes on. */
  signal?: AbortSignal;
}

/** What `pool.execute()` resolves with. */
export interface ExecuteResult<T> {
  rows: T[];
  rowcount: number;
  statusmessage: string | null;
}

/** Options of `pool.withTransaction()`. */
export interface PoolTransactionOptions extends CheckoutOptions, RetryOptions {}

/** A connection that is lent out, without keeping its handle from being collected. */
class Checkout<R> implements Held<AsyncConnection<R>> {
  readonly pool: AsyncConnectionPool<R>;
  readonly lease: Lease<AsyncConnection<R>>;
  readonly core: Handle;
  /** null unless leaks are watched for. */
  readonly watched: Watched | null;
  fresh: AsyncConnection<R> | null = null;
  place = 0;

  constructor(
    pool: AsyncConnectionPool<R>,
    lease: Lease<AsyncConnection<R>>,
    core: Handle,
    watched: Watched | null,
  ) {
    this.pool = pool;
    this.lease = lease;
    this.core = core;
    this.watched = watched;
    core.checkout = this;
  }
}

const OPEN_TIMEOUT = 30;
const CLOSE_TIMEOUT = 5;
const DONE = Promise.resolve();

/**
 * A pool of connections (psycopg_pool: `AsyncConnectionPool`). Each checkout hands out a fresh handle; when it comes back, what
 * was not committed is rolled back and the handle is dead.
 *
 * @example
 * await using pool = new AsyncConnectionPool('postgresql://localhost/app', { minSize: 1, maxSize: 10 });
 * await using conn = await pool.connection();
 * await conn.execute('INSERT INTO visit VALUES (%s)', [id]);
 * await conn.commit();
 */
export class AsyncConnectionPool<R = TupleRow> implements AsyncDisposable {
  readonly #conninfo: ConninfoSource;
  readonly #options: ResolvedPoolOptions<R>;
  readonly #pool: ResourcePool<AsyncConnection<R>>;
  /** Hears of handles that were collected while they were lent out. */
  readonly #lost = new LostHandles<AsyncConnection<R>, Checkout<R>>((checkout) => {
    this.#takeBack(checkout);
  });
  /** null unless `leakThreshold` is on. */
  readonly #leaks: LeakWatch | null;
  /** The last checkout of each connection, if leaks are watched for. */
  readonly #watchedOf = new WeakMap<AsyncConnection<R>, Watched>();
  readonly #putBack = (connection: AsyncConnection<R>): Promise<void> => this.#giveBack(connection);
  #warned = false;

  /**
   * Raises `ProgrammingError` for a wrong option or connection string. Unless `open` is false, starts connecting in the
   * background.
   */
  constructor(conninfo: ConninfoSource = '', options: PoolOptions<R> = {}) {
    checkSource(conninfo);
    this.#conninfo = conninfo;
    this.#options = resolvePoolOptions(options, this[KIND]);
    const { check, leakThreshold } = this.#options;
    this.#leaks =
      leakThreshold === 0 || leakThreshold === Infinity
        ? null
        : new LeakWatch(this.#options.name, leakThreshold, systemClock);
    this.#pool = new ResourcePool<AsyncConnection<R>>(
      {
        create: (signal) => this.#connect(signal),
        destroy: (connection) => connection.close(),
        abandon: dropConnection,
        isAlive: (connection) => isAlive(connection),
        check:
          check === undefined
            ? null
            : async (connection) => {
                await check(connection);
                // Its borrower's transactions must be their own: a block within this one would be a savepoint, and go with it.
                if (connection.info.transactionStatus !== TransactionStatus.IDLE) await connection.rollback();
              },
        ending: (connection, reason) => {
          this.#tellEvicted(connection, reason);
        },
        explain: (lent, asker, stuck) => this.#explain(lent, asker as readonly Watched[] | undefined, stuck),
      },
      {
        ...this.#options,
        keepIdle: this[KIND].keepsIdle,
        reconnectFailed: () => {
          void this.#reconnectFailed();
        },
        retrying: (error, delay) => {
          const message: ReconnectMessage = { pool: this.name, error, delay };
          channels.reconnect.publish(message);
        },
        keepAlive: !this.#options.allowExitOnIdle,
        clock: systemClock,
        random: Math.random,
      },
    );
    if (this.#options.open) this.#pool.open();
  }

  /** @internal */
  get [KIND](): PoolKind {
    return KEEPING;
  }

  /** How the pool is called in messages. */
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

  /** How many may wait for a connection at most; 0: no limit. */
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

  /** How long a server that can't be connected to is tried, in seconds. */
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
  async open(options: { wait?: boolean } & ReadyOptions = {}): Promise<void> {
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
      throw error;
    }
  }

  /**
   * Closes the pool: whoever waits or comes is refused with `PoolClosed`, idle connections are closed. Those lent out are closed
   * when they come back, or after `timeout` seconds. Resolves when all are.
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
   * A connection for the current scope, which gives it back; what was not committed by then is rolled back. Raises `PoolTimeout`
   * after `timeout` seconds, `TooManyRequests`, `PoolClosed`.
   */
  connection(options: CheckoutOptions = {}): Promise<AsyncConnection<R>> {
    return this.#checkout(options);
  }

  /** Runs `fn` with a connection: committed when it returns, rolled back when it throws, given back in any case. */
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
    const connection = await this.#checkout(options);
    try {
      const result = await this.#asHolder(connection, () => fn(connection));
      // Closed or given back on purpose, there is nothing left to commit; lost, the commit says so.
      const isLent = this.#checkoutOf(connection) !== null;
      if (isLent && (!connection.closed || connection.broken)) await connection.commit(commit);
      return result;
    } catch (error) {
      await this.#giveBack(connection, true);
      throw error;
    } finally {
      await this.#giveBack(connection);
    }
  }

  /**
   * Runs `fn` in a transaction block on a connection of its own: committed when it returns, rolled back when it throws. Resolves
   * with what `fn` returned, or undefined after a `Rollback`.
   *
   * A transaction that fails with SQLSTATE 40001 or 40P01 (a serialization failure, a deadlock), in `fn` or at its COMMIT, is run
   * again, up to `retries` times (5) after pauses of random length, each of them longer than the one before: `fn` is called anew,
   * with another connection, while the one before is dead. What `fn` does beside its SQL should bear that. No other failure is
   * retried; one more of these is thrown as it is. Each retry is published on the diagnostics channel `usingpg:retry`.
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
  async withTransaction<T>(
    fn: (connection: AsyncConnection<R>, transaction: AsyncTransaction) => Promise<T> | T,
    options: PoolTransactionOptions = {},
  ): Promise<T | undefined> {
    const { retries, settings } = resolveRetryOptions(options);
    const { signal } = options;
    return retrying(() => this.#attempt(fn, settings, options), {
      retries,
      signal,
      clock: systemClock,
      random: Math.random,
      onRetry: (error, retry, delay) => {
        const message: RetryMessage = { pool: this.name, error, retry, delay };
        channels.retry.publish(message);
      },
    });
  }

  /** A connection that has to be given back with `putconn()`, on every path. */
  getconn(options: CheckoutOptions | number = {}): Promise<AsyncConnection<R>> {
    return this.#checkout(typeof options === 'number' ? { timeout: options } : options);
  }

  /** Gives a connection back. Raises `ProgrammingError` for one that is not lent out by this pool. */
  putconn(connection: AsyncConnection<R>): Promise<void> {
    if (this.#checkoutOf(connection) === null) {
      return Promise.reject(
        new errors.ProgrammingError(
          `the connection is not lent out by the pool '${this.name}': it was given back already, or it is not this pool's`,
        ),
      );
    }
    return this.#giveBack(connection);
  }

  /**
   * Executes one statement on a connection of its own and commits it. An abort of the `signal` ends the wait for the connection,
   * the statement, or its commit as that of `conn.commit()` does: if it rejects with the reason, nothing was committed, unless the
   * connections are in autocommit.
   */
  execute<T = R>(
    query: Query,
    params?: Params | null,
    options: CheckoutOptions & { rowFactory?: RowFactory<T> } = {},
  ): Promise<ExecuteResult<T>> {
    const { rowFactory, ...checkout } = options;
    const waiting: WaitOptions = checkout.signal === undefined ? {} : { signal: checkout.signal };
    const run = async (connection: AsyncConnection<R>): Promise<ExecuteResult<T>> => {
      const cursor = await connection.execute<T>(query, params, {
        ...(rowFactory === undefined ? {} : { rowFactory }),
        ...waiting,
      });
      const { description, rowcount, statusmessage } = cursor;
      return { rows: description === null ? [] : await cursor.fetchall(), rowcount, statusmessage };
    };
    return this.#using(run, checkout, waiting);
  }

  /**
   * Applies `fn` to each item with a connection of its own, as `withConnection()` does; at most `concurrency` at once (by default
   * `maxSize`; a pool without one has to be told). The results are in the items' order; the first error stops it.
   */
  map<I, O>(
    items: Iterable<I> | AsyncIterable<I>,
    fn: (connection: AsyncConnection<R>, item: I, index: number) => Promise<O>,
    options: { concurrency?: number; signal?: AbortSignal } = {},
  ): Promise<O[]> {
    const { concurrency = this.maxSize, signal } = options;
    if (options.concurrency === undefined && concurrency === 0) {
      return Promise.reject(
        new errors.ProgrammingError(
          `the pool '${this.name}' has no maxSize, so map() has to be given a \`concurrency\``,
        ),
      );
    }
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      return Promise.reject(
        new errors.ProgrammingError(
          `expected \`concurrency\` to be a whole number, 1 or more, got ${String(concurrency)}`,
        ),
      );
    }
    return boundedMap(
      items,
      (item, index, each) =>
        this.withConnection(
          (connection) => fn(connection, item, index),
          each === undefined ? {} : { signal: each },
        ),
      concurrency,
      signal,
    );
  }

  // --- care

  /** Changes the size; `maxSize` is `minSize` by default. */
  async resize(minSize: number, maxSize?: number): Promise<void> {
    const sizes = this[KIND].sizes(minSize, maxSize);
    this.#pool.resize(sizes.minSize, sizes.maxSize);
  }

  /**
   * Checks all idle connections and replaces those that are lost; where connecting was given up, it is tried again. An abort of the
   * `signal` ends the wait, not what has begun.
   */
  async check(options: WaitOptions = {}): Promise<void> {
    checkSignal(options.signal);
    await this.#pool.checkIdle(
      (connection) => AsyncConnectionPool.checkConnection(connection),
      options.signal,
    );
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

  /** Whether a connection works, which it shows by answering an empty query; to be used as a pool's `check`. */
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

  async #connect(signal: AbortSignal): Promise<AsyncConnection<R>> {
    const { connectOptions, connectionClass: Class = AsyncConnection<R> } = this.#options;
    let conninfo = this.#conninfo;
    if (typeof conninfo === 'function') {
      conninfo = await unlessAborted(conninfo(), signal);
      checkParameters(conninfo);
    }
    let options = connectOptions;
    if (typeof options === 'function') {
      options = await unlessAborted(options(), signal);
      checkConnectOptions(options);
    }
    const connection = await Class.connect<R>(conninfo, { ...options, signal, [POOL_NAME]: this.name });
    try {
      await this.#configure(connection, signal);
    } catch (error) {
      await connection.close();
      throw error;
    }
    onLost(connection, () => {
      this.#pool.onLost(connection);
    });
    if (this.#options.allowExitOnIdle) setKeepsProcessAlive(connection, false);
    return connection;
  }

  /** Prepares a connection, unless the pool is closed meanwhile. What never ends must not keep the place of another. */
  async #configure(connection: AsyncConnection<R>, signal: AbortSignal): Promise<void> {
    const { configure } = this.#options;
    if (configure === undefined) return;
    const given = connection.info.getParameters()['connect_timeout'];
    const seconds = connectTimeout(given) ?? DEFAULT_CONNECT_TIMEOUT;
    await within(Promise.resolve(configure(connection)), {
      clock: systemClock,
      seconds,
      late: () =>
        new errors.ConnectionTimeout(
          `\`configure\` was not done with a connection within ${String(seconds)} seconds (connect_timeout)`,
        ),
      signal,
    });
    checkLeft('configure', connection);
  }

  #checkout(options: CheckoutOptions): Promise<AsyncConnection<R>> {
    if (!tracers.checkout.watched) return this.#lend(options, null);
    const message: CheckoutMessage = {
      pool: this.name,
      timeout: options.timeout ?? this.#options.timeout,
      waited: false,
      backendPid: null,
      ...NOT_ENDED,
    };
    return tracers.checkout.trace(
      message,
      () => this.#lend(options, message),
      (connection) => {
        message.backendPid = connection.info.backendPid;
      },
    );
  }

  async #lend(options: CheckoutOptions, message: CheckoutMessage | null): Promise<AsyncConnection<R>> {
    const { timeout = this.#options.timeout, signal } = options;
    checkSeconds('timeout', timeout);
    checkSignal(signal);
    // Before anything is awaited: here the stack still has the caller, and the context is the caller's.
    const watched = this.#leaks === null ? null : new Watched(this.#checkout);
    const acquired = this.#pool.acquire({ timeout, signal, asker: this.#leaks?.held });
    if (message !== null) message.waited = acquired instanceof Promise;
    const lease = acquired instanceof Promise ? await acquired : acquired;
    const base = lease.resource;
    if (this.#options.allowExitOnIdle) setKeepsProcessAlive(base, true);
    const connection = leaseConnection(base, this.#putBack, this.#options.closeReturns);
    const checkout = new Checkout(this, lease, coreOf(connection)!, watched);
    this.#lost.watch(connection, checkout);
    if (watched !== null) {
      this.#watchedOf.set(base, watched);
      this.#leaks?.begin(watched, base.info.backendPid);
    }
    return connection;
  }

  /** The checkout of a connection that this pool has lent out; null of any other, and of what is none. */
  #checkoutOf(connection: AsyncConnection<R>): Checkout<R> | null {
    const checkout = coreOf(connection)?.checkout;
    return checkout instanceof Checkout && checkout.pool === this ? (checkout as Checkout<R>) : null;
  }

  /** Runs `task`, which holds `connection`. */
  #asHolder<T>(connection: AsyncConnection<R>, task: () => T): T {
    const watched = this.#checkoutOf(connection)?.watched ?? null;
    return watched === null || this.#leaks === null ? task() : this.#leaks.holding(watched, task);
  }

  /** What the message of a timeout says besides the counts. */
  #explain(
    lent: readonly AsyncConnection<R>[],
    held: readonly Watched[] | undefined,
    stuck: boolean,
  ): string {
    const watched = lent.map((connection) => this.#watchedOf.get(connection));
    const parts = explainWait(
      watched.filter((known) => known !== undefined),
      held ?? [],
    );
    const unused = lent.filter((connection) => !isBusy(connection)).length;
    if (lent.length > 0 && unused === lent.length) parts.push('nothing is running on those lent out');
    // Which task holds what is known only where leaks are watched for; but who waits for itself leaves its connection unused.
    const isNamed = watched.some((known) => known !== undefined && held?.includes(known) === true);
    if (stuck && unused > 0 && !isNamed) parts.push(explainStuck(lent.length, unused));
    return parts.join('; ');
  }

  /** One attempt of `withTransaction()`. */
  async #attempt<T>(
    fn: (connection: AsyncConnection<R>, transaction: AsyncTransaction) => Promise<T> | T,
    settings: OwnSettings,
    options: CheckoutOptions,
  ): Promise<T | undefined | MayRetry> {
    const connection = await this.#checkout(options);
    try {
      // They are the handle's, and end with it.
      const { isolationLevel, readOnly, deferrable } = settings;
      if (isolationLevel !== undefined) await connection.setIsolationLevel(isolationLevel);
      if (readOnly !== undefined) await connection.setReadOnly(readOnly);
      if (deferrable !== undefined) await connection.setDeferrable(deferrable);
      const { signal } = options;
      const transaction = await connection.transaction(signal === undefined ? {} : { signal });
      let committing = false;
      try {
        const result = await this.#asHolder(connection, () => fn(connection, transaction));
        if (transaction.active) {
          committing = true;
          await commitForCertain(transaction);
        }
        return result;
      } catch (error) {
        if (error instanceof Rollback && (error.transaction === null || error.transaction === transaction)) {
          return undefined;
        }
        // One that `fn` has ended by itself may be committed.
        const isOpen = transaction.active && connection.info.transactionStatus !== TransactionStatus.IDLE;
        if (isTransient(error) && (committing || isOpen)) return new MayRetry(error);
        throw error;
      }
    } finally {
      // Whatever was not committed was meant not to be.
      await this.#giveBack(connection, true);
    }
  }

  /** Ends a checkout, if it has not been ended before. Never rejects. `failed`: its user's code has thrown. */
  #giveBack(connection: AsyncConnection<R>, failed = false): Promise<void> {
    const checkout = this.#checkoutOf(connection);
    if (checkout === null) return Promise.resolve();
    checkout.core.checkout = null;
    this.#lost.forget(checkout);
    if (checkout.watched !== null) this.#leaks?.end(checkout.watched, false);
    return this.#end(checkout, failed);
  }

  /** Ends a checkout whose handle nobody can give back any more. */
  #takeBack(checkout: Checkout<R>): void {
    const { watched, lease } = checkout;
    if (watched === null) {
      const seconds = systemClock.now() - lease.since;
      const { backendPid } = lease.resource.info;
      reportLeak({ pool: this.name, backendPid, seconds, stack: null, collected: true });
    } else {
      this.#leaks?.end(watched, true);
    }
    void this.#end(checkout, false);
  }

  #end({ lease, core }: Checkout<R>, failed: boolean): Promise<void> {
    const ended = endLease(core);
    if (!(ended instanceof Promise) && this.#options.reset === undefined) {
      this.#finish(lease, ended);
      return DONE;
    }
    return this.#giveBackLater(lease, ended, failed);
  }

  async #giveBackLater(
    lease: Lease<AsyncConnection<R>>,
    ended: LeaseEnd | Promise<LeaseEnd>,
    failed: boolean,
  ): Promise<void> {
    const end = await ended;
    if (end.uncommittedWrites && !failed) this.#warnUncommitted(lease.resource);
    let { usable } = end;
    if (usable && this.#options.reset !== undefined && this.#pool.takesBack) {
      try {
        await this.#reset(this.#options.reset, lease.resource);
      } catch (error) {
        usable = false;
        process.emitWarning(
          `a connection of the pool '${this.name}' was discarded because \`reset\` failed: ${thrownText(error)}`,
          { code: 'USINGPG_RESET_FAILED' },
        );
      }
    }
    this.#finish(lease, { ...end, usable });
  }

  /** Cleans a connection up, which somebody waits for: whoever gives it back. */
  async #reset(reset: NonNullable<PoolOptions<R>['reset']>, connection: AsyncConnection<R>): Promise<void> {
    const { checkTimeout } = this.#options;
    await within(Promise.resolve(reset(connection)), {
      clock: systemClock,
      seconds: checkTimeout === 0 ? Infinity : checkTimeout,
      late: () => {
        // What does not answer would not answer a goodbye.
        dropConnection(connection);
        return new errors.OperationalError(
          `it took longer than ${String(checkTimeout)} seconds (checkTimeout)`,
        );
      },
    });
    checkLeft('reset', connection);
  }

  #finish(lease: Lease<AsyncConnection<R>>, { usable }: LeaseEnd): void {
    if (usable) {
      if (this.#options.allowExitOnIdle) setKeepsProcessAlive(lease.resource, false);
      lease.release();
    } else {
      this.#pool.counters.returnsBad++;
      lease.discard();
    }
  }

  #tellEvicted(connection: AsyncConnection<R>, reason: EvictReason): void {
    if (!channels.evict.hasSubscribers) return;
    const message: EvictMessage = { pool: this.name, backendPid: connection.info.backendPid, reason };
    channels.evict.publish(message);
  }

  #warnUncommitted(connection: AsyncConnection<R>): void {
    this.#pool.counters.returnsUncommitted++;
    const message: UncommittedMessage = { pool: this.name, backendPid: connection.info.backendPid };
    channels.uncommitted.publish(message);
    if (this.#warned) return;
    this.#warned = true;
    process.emitWarning(
      `a connection came back to the pool '${this.name}' with writes that were not committed; they were rolled back.` +
        ' Leaving a scope never commits: await conn.commit() first, or use pool.withConnection()',
      { code: 'USINGPG_UNCOMMITTED' },
    );
  }

  async #reconnectFailed(): Promise<void> {
    try {
      await this.#options.reconnectFailed?.(this);
    } catch (error) {
      process.emitWarning(`\`reconnectFailed\` of the pool '${this.name}' failed: ${thrownText(error)}`, {
        code: 'USINGPG_RECONNECT_FAILED',
      });
    }
  }
}

function checkLeft<R>(callback: string, connection: AsyncConnection<R>): void {
  const status = connection.info.transactionStatus;
  if (status === TransactionStatus.IDLE) return;
  throw new errors.ProgrammingError(
    `the connection was left in transaction status ${status} by \`${callback}\`, and is discarded; commit there, or roll back`,
  );
}

/** Refuses connection parameters that can't be, as far as that is known without connecting. */
function checkSource(conninfo: unknown): void {
  if (typeof conninfo === 'function') return;
  checkParameters(conninfo);
  if (typeof conninfo === 'string') conninfoToDict(conninfo);
  else conninfoToDict('', conninfo);
}

/** Refuses what is neither a connection string nor parameters: the server that is there by default would not be the one meant. */
function checkParameters(conninfo: unknown): asserts conninfo is string | ConninfoParams {
  if (typeof conninfo === 'string') return;
  if (typeof conninfo === 'object' && conninfo !== null && !Array.isArray(conninfo)) return;
  throw new errors.ProgrammingError(
    `expected a connection string, connection parameters, or a function that gives them, got ${describeKind(conninfo)}`,
  );
}
