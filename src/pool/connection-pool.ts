import { AsyncConnection } from '../connection/connection.js';
import {
  endLease,
  isAlive,
  leaseConnection,
  onLost,
  setKeepsProcessAlive,
  type LeaseEnd,
} from '../connection/lease.js';
import type { ConninfoParams } from '../conninfo/index.js';
import { channels, type UncommittedMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import type { Query } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { RowFactory, TupleRow } from '../rows.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from './clock.js';
import { boundedMap } from './map.js';
import {
  checkSeconds,
  checkSizes,
  resolvePoolOptions,
  type PoolOptions,
  type ResolvedPoolOptions,
} from './options.js';
import { ResourcePool, type AcquireOptions, type Lease } from './resource-pool.js';
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

/** What `pool.execute()` resolves with. */
export interface ExecuteResult<T> {
  rows: T[];
  rowcount: number;
  statusmessage: string | null;
}

const OPEN_TIMEOUT = 30;
const CLOSE_TIMEOUT = 5;

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
  readonly #leases = new WeakMap<AsyncConnection<R>, Lease<AsyncConnection<R>>>();
  #warned = false;

  /** Raises `ProgrammingError` for a wrong option. Unless `open` is false, starts connecting in the background. */
  constructor(conninfo: ConninfoSource, options: PoolOptions<R> = {}) {
    this.#conninfo = conninfo;
    this.#options = resolvePoolOptions(options);
    const { check } = this.#options;
    this.#pool = new ResourcePool<AsyncConnection<R>>(
      {
        create: (signal) => this.#connect(signal),
        destroy: (connection) => connection.close(),
        isAlive: (connection) => isAlive(connection),
        check:
          check === undefined
            ? null
            : async (connection) => {
                await check(connection);
              },
      },
      {
        ...this.#options,
        reconnectFailed: () => {
          void this.#reconnectFailed();
        },
        keepAlive: !this.#options.allowExitOnIdle,
        clock: systemClock,
        random: Math.random,
      },
    );
    if (this.#options.open) this.#pool.open();
  }

  /** How the pool is called in messages. */
  get name(): string {
    return this.#options.name;
  }

  /** How many connections are kept open. */
  get minSize(): number {
    return this.#pool.minSize;
  }

  /** How many connections are opened at most. */
  get maxSize(): number {
    return this.#pool.maxSize;
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

  /** How long a server that can't be connected to is tried, in seconds. */
  get reconnectTimeout(): number {
    return this.#options.reconnectTimeout;
  }

  /** How many connections are made at once. */
  get numWorkers(): number {
    return this.#options.numWorkers;
  }

  /** Whether the pool gives no connections: it is not open yet, or closed. */
  get closed(): boolean {
    return this.#pool.state !== 'open';
  }

  // --- opening and closing

  /**
   * Opens a pool made with `open: false`; on an open one it does nothing but wait. With `wait`, resolves when `minSize`
   * connections are there, or rejects like `wait()` after `timeout` seconds (30).
   */
  async open(options: { wait?: boolean; timeout?: number } = {}): Promise<void> {
    if (this.#pool.state === 'closed') {
      throw new errors.OperationalError(
        `the pool '${this.name}' has been closed and can't be opened again; make another`,
      );
    }
    this.#pool.open();
    if (options.wait === true) await this.wait(options.timeout);
  }

  /**
   * Waits until `minSize` connections are there. After `timeout` seconds the pool is closed and `PoolTimeout` raised, with the
   * last connection error as its cause.
   */
  async wait(timeout: number = OPEN_TIMEOUT): Promise<void> {
    checkSeconds('timeout', timeout);
    try {
      await this.#pool.waitReady(timeout);
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
  async withConnection<T>(
    fn: (connection: AsyncConnection<R>) => Promise<T> | T,
    options: CheckoutOptions = {},
  ): Promise<T> {
    const connection = await this.#checkout(options);
    try {
      const result = await fn(connection);
      // Closed on purpose, there is nothing left to commit; lost, the commit says so.
      if (!connection.closed || connection.broken) await connection.commit();
      return result;
    } catch (error) {
      await this.#giveBack(connection, true);
      throw error;
    } finally {
      await this.#giveBack(connection);
    }
  }

  /** A connection that has to be given back with `putconn()`, on every path. */
  getconn(options: CheckoutOptions | number = {}): Promise<AsyncConnection<R>> {
    return this.#checkout(typeof options === 'number' ? { timeout: options } : options);
  }

  /** Gives a connection back. Raises `ProgrammingError` for one that is not lent out by this pool. */
  async putconn(connection: AsyncConnection<R>): Promise<void> {
    if (!this.#leases.has(connection)) {
      throw new errors.ProgrammingError(
        `the connection is not lent out by the pool '${this.name}': it was given back already, or it is not this pool's`,
      );
    }
    await this.#giveBack(connection);
  }

  /** Executes one statement on a connection of its own and commits it. */
  execute<T = R>(
    query: Query,
    params?: Params | null,
    options: CheckoutOptions & { rowFactory?: RowFactory<T> } = {},
  ): Promise<ExecuteResult<T>> {
    const { rowFactory, ...checkout } = options;
    return this.withConnection(async (connection) => {
      const cursor = await connection.execute<T>(query, params, {
        ...(rowFactory === undefined ? {} : { rowFactory }),
        ...(checkout.signal === undefined ? {} : { signal: checkout.signal }),
      });
      const { description, rowcount, statusmessage } = cursor;
      return { rows: description === null ? [] : await cursor.fetchall(), rowcount, statusmessage };
    }, checkout);
  }

  /**
   * Applies `fn` to each item with a connection of its own, as `withConnection()` does; at most `concurrency` at once (by default
   * `maxSize`). The results are in the items' order; the first error stops it.
   */
  map<I, O>(
    items: Iterable<I> | AsyncIterable<I>,
    fn: (connection: AsyncConnection<R>, item: I, index: number) => Promise<O>,
    options: { concurrency?: number; signal?: AbortSignal } = {},
  ): Promise<O[]> {
    const { concurrency = this.maxSize, signal } = options;
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      return Promise.reject(
        new errors.ProgrammingError(
          `expected \`concurrency\` to be a whole number, 1 or more, got ${String(concurrency)}`,
        ),
      );
    }
    return boundedMap(
      items,
      (item, index) =>
        this.withConnection(
          (connection) => fn(connection, item, index),
          signal === undefined ? {} : { signal },
        ),
      concurrency,
      signal,
    );
  }

  // --- care

  /** Changes the size; `maxSize` is `minSize` by default. */
  async resize(minSize: number, maxSize: number = minSize): Promise<void> {
    checkSizes(minSize, maxSize);
    this.#pool.resize(minSize, maxSize);
  }

  /** Checks all idle connections and replaces those that are lost. */
  async check(): Promise<void> {
    await this.#pool.checkIdle((connection) => AsyncConnectionPool.checkConnection(connection));
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
    const conninfo = typeof this.#conninfo === 'function' ? await this.#conninfo() : this.#conninfo;
    const Class = this.#options.connectionClass ?? AsyncConnection<R>;
    const connection = await Class.connect<R>(conninfo, { ...this.#options.connectOptions, signal });
    try {
      await this.#options.configure?.(connection);
      checkLeft('configure', connection);
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

  async #checkout(options: CheckoutOptions): Promise<AsyncConnection<R>> {
    const { timeout = this.#options.timeout, signal } = options;
    checkSeconds('timeout', timeout);
    const acquire: AcquireOptions = signal === undefined ? { timeout } : { timeout, signal };
    const acquired = this.#pool.acquire(acquire);
    const lease = acquired instanceof Promise ? await acquired : acquired;
    const base = lease.resource;
    if (this.#options.allowExitOnIdle) setKeepsProcessAlive(base, true);
    const handle = leaseConnection(base, (connection) => this.#giveBack(connection));
    this.#leases.set(handle, lease);
    return handle;
  }

  /** Ends a checkout, if it has not been ended before. Never rejects. `failed`: its user's code has thrown. */
  #giveBack(handle: AsyncConnection<R>, failed = false): Promise<void> {
    const lease = this.#leases.get(handle);
    if (lease === undefined) return Promise.resolve();
    this.#leases.delete(handle);
    const ended = endLease(handle);
    if (!(ended instanceof Promise) && this.#options.reset === undefined) {
      this.#finish(lease, ended);
      return Promise.resolve();
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
    if (usable && this.#options.reset !== undefined) {
      try {
        await this.#options.reset(lease.resource);
        checkLeft('reset', lease.resource);
      } catch (error) {
        usable = false;
        process.emitWarning(
          `a connection of the pool '${this.name}' was discarded because \`reset\` failed: ${String(error)}`,
          { code: 'USINGPG_RESET_FAILED' },
        );
      }
    }
    this.#finish(lease, { ...end, usable });
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
      process.emitWarning(`\`reconnectFailed\` of the pool '${this.name}' failed: ${String(error)}`);
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
