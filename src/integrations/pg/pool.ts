import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import {
  AsyncConnectionPool,
  errors,
  type AsyncConnection,
  type CheckoutOptions,
  type EvictMessage,
  type LeakMessage,
} from '../../index.js';
import { promiseOr, report, type Callback } from './callbacks.js';
import { Client } from './client.js';
import { Configuration, type ClientConfig } from './config.js';
import { withServerFields } from './database-error.js';
import { defaults } from './defaults.js';
import { Checkout, type PoolClient } from './pool-client.js';
import type { QueryArrayResult, QueryResult } from './result.js';
import { SessionState } from './session-state.js';
import {
  callbackOf,
  NO_QUERY,
  type AnyRow,
  type ArrayRow,
  type QueryArrayConfig,
  type QueryConfig,
  type QueryResultRow,
  type QueryResults,
  type Values,
} from './statement.js';
import { isSubmittable } from './submit.js';
import { leftOpen } from './transactions.js';

/** The configuration of a pool and of its connections. Properties that are not listed here are ignored, as in node-postgres. */
export interface PoolConfig extends ClientConfig {
  /** The maximum number of connections. @default 10 */
  max?: number | string | undefined;
  /** The former name of `max`. */
  poolSize?: number | undefined;
  /** The number of connections that the pool keeps although they are idle; it makes them when it is first used. @default 0 */
  min?: number | string | undefined;
  /** Milliseconds after which an idle connection is closed; 0: never. @default 10000 */
  idleTimeoutMillis?: number | string | null | undefined;
  /** Whether the process may exit while connections are idle. @default false */
  allowExitOnIdle?: boolean | undefined;
  /** The number of checkouts after which a connection is closed. @default no limit */
  maxUses?: number | undefined;
  /** The age in seconds at which a connection is closed, less up to 10 % at random; 0: no limit. @default 0 */
  maxLifetimeSeconds?: number | undefined;
  /** Is told in words what the pool does, for debugging. */
  log?: ((...messages: unknown[]) => void) | undefined;
  /** Prepares each new connection; what it attaches to the client, later clients of the connection have, too. */
  onConnect?: ((client: PoolClient) => unknown) | undefined;
  /** Checks each new connection; calling back with an error discards it. */
  verify?: ((client: PoolClient, done: (error?: Error) => void) => void) | undefined;
}

/** The options of a pool with their defaults, by node-postgres's names. */
export interface PoolOptions extends PoolConfig {
  max: number;
  min: number;
  maxUses: number;
  allowExitOnIdle: boolean;
  maxLifetimeSeconds: number;
  idleTimeoutMillis: number;
}

type Done = (error?: unknown) => void;

/** Milliseconds after which `end()` tells that it still waits for clients. */
const PATIENCE = 5000;

/** What the pool's `log` is told of connections that it closes, in node-postgres's words where that has them. */
const EVICTIONS: Partial<Record<EvictMessage['reason'], string>> = {
  idle: 'remove idle client',
  lifetime: 'remove expired client',
  uses: 'remove expended client',
};

/**
 * A pool with node-postgres's interface, on an `AsyncConnectionPool`.
 *
 * Events: `connect`, `acquire` and `remove` (client), `release` (error, client), `error` (error, client; an idle connection was lost).
 * Unlike in node-postgres, an `error` without a listener does not end the process.
 *
 * @example
 * import { Pool } from 'usingpg/pg';
 *
 * const pool = new Pool({ connectionString: 'postgresql://localhost/app', max: 20 });
 * const { rows } = await pool.query('SELECT name FROM city WHERE id = $1', [1]);
 */
export class Pool extends EventEmitter {
  /** The options with their defaults. */
  readonly options: PoolOptions;
  /** Whether `end()` was called. */
  ending = false;
  /** Whether all connections are closed after `end()`. */
  ended = false;
  readonly #configuration: Configuration;
  readonly #pool: AsyncConnectionPool;
  readonly #states = new WeakMap<object, SessionState>();
  /** The sessions by the process ids of their backends. */
  readonly #sessions = new Map<number, SessionState>();
  readonly #request: CheckoutOptions;
  readonly #log: (...messages: unknown[]) => void;
  #isOpen = false;
  /** The number of clients that are acquired or asked for. */
  #active = 0;
  #whenUnused: (() => void) | null = null;

  /** Raises `ProgrammingError` for an invalid option or connection string. */
  constructor(config?: PoolConfig | null, clientClass?: unknown) {
    super();
    const given = config ?? {};
    checkClient('Client' in given ? (given.Client ?? clientClass) : clientClass);
    this.#log = given.log ?? ((): void => undefined);
    this.options = withDefaults(given);
    this.#configuration = new Configuration(given);
    const { max, min, maxUses, allowExitOnIdle, maxLifetimeSeconds, idleTimeoutMillis } = this.options;
    const { connectTimeout } = this.#configuration;
    this.#request = { timeout: connectTimeout === 0 ? Infinity : connectTimeout / 1000, failFast: true };
    this.#pool = new AsyncConnectionPool(() => this.#configuration.conninfo, {
      open: false,
      minSize: min,
      maxSize: max,
      maxIdle: idleTimeoutMillis / 1000,
      maxLifetime: maxLifetimeSeconds,
      maxUses: Number.isFinite(maxUses) ? maxUses : 0,
      allowExitOnIdle,
      // A failed attempt is told to who asked for the connection, and the next request makes the next one.
      reconnectTimeout: 0,
      connectOptions: { autocommit: true, prepareThreshold: given.prepareThreshold ?? undefined },
      configure: (connection) => this.#configure(connection),
    });
  }

  // --- acquiring

  /**
   * Acquires a client, which must be released with `client.release()`. A callback also gets the function that releases it. Rejects with
   * the error of connecting, and with `PoolTimeout` after `connectionTimeoutMillis`.
   *
   * @example
   * import { Pool } from 'usingpg/pg';
   *
   * const client = await new Pool().connect();
   * try {
   *   await client.query('BEGIN');
   *   await client.query('INSERT INTO visit VALUES ($1)', [id]);
   *   await client.query('COMMIT');
   * } finally {
   *   client.release();
   * }
   */
  connect(): Promise<PoolClient>;
  connect(callback: (error: any, client: PoolClient | undefined, done: Done) => void): void; // eslint-disable-line @typescript-eslint/no-explicit-any -- as in node-postgres's declarations
  connect(callback?: Callback<[PoolClient | undefined, Done]>): Promise<PoolClient> | undefined {
    const acquiring = this.#connect();
    if (callback === undefined) return acquiring;
    report(
      acquiring,
      (error: unknown, client: PoolClient | undefined) => {
        callback(error, client, client?.release ?? ((): void => undefined));
      },
      (client) => [client],
      undefined,
    );
    return undefined;
  }

  async #connect(): Promise<PoolClient> {
    const checkout = await this.#acquire(true);
    return checkout.client!;
  }

  /** Checks out a connection. Its client is made if its caller sees it, or somebody else does. */
  async #acquire(isSeen: boolean): Promise<Checkout> {
    if (this.ending) throw new errors.PoolClosed('Cannot use a pool after calling end on the pool');
    this.#open();
    this.#active++;
    let connection: AsyncConnection;
    try {
      connection = await this.#pool.getconn(this.#request);
    } catch (error) {
      this.#left();
      if (!(error instanceof errors.PoolTimeout)) this.#log('client failed to connect', error);
      throw withServerFields(asTimeout(error));
    }
    const state = this.#states.get(connection.info.session)!;
    state.isAcquired = true;
    const checkout = new Checkout(this.#configuration, state, connection, this.#takeBack);
    const { isNew, hasListeners } = state;
    if (isSeen || isNew || hasListeners || this.#watchesClients) this.#show(checkout.makeClient(), state);
    const { verify } = this.options;
    if (isNew && verify !== undefined) await verified(checkout.client!, verify);
    return checkout;
  }

  /** Whether somebody listens to what is told of each client. */
  get #watchesClients(): boolean {
    return this.listenerCount('acquire') > 0 || this.listenerCount('release') > 0;
  }

  /** Tells of the client of a checkout. */
  #show(client: PoolClient, state: SessionState): void {
    state.client = null;
    if (state.isNew) {
      state.isNew = false;
      const before = new Set(Object.keys(client));
      this.emit('connect', client);
      state.keep(client, before);
    }
    this.emit('acquire', client);
  }

  /** Prepares a new connection. */
  async #configure(connection: AsyncConnection): Promise<void> {
    this.#log('new client connected');
    const state = new SessionState(this.options);
    this.#states.set(connection.info.session, state);
    this.#sessions.set(connection.info.backendPid, state);
    connection.onLost((error) => {
      this.#lost(state, error);
    });
    const { onConnect } = this.options;
    if (onConnect === undefined) return;
    const checkout = new Checkout(this.#configuration, state, connection, () => undefined);
    const client = checkout.makeClient();
    const before = new Set(Object.keys(client));
    await onConnect(client);
    state.keep(client, before);
    await new Promise<void>((resolve) => {
      checkout.leave(resolve);
    });
  }

  /** Takes back the connection of a checkout that was released. */
  readonly #takeBack = (checkout: Checkout, error: unknown): void => {
    const { client, state } = checkout;
    checkout.leave(() => {
      const connection = checkout.connection!;
      state.isAcquired = false;
      state.client = client ?? state.client;
      // As in node-postgres, anything falsy is no error.
      if (error) void connection.close();
      void this.#pool.putconn(connection);
      this.#left();
    });
    if (client !== null) this.emit('release', error, client);
  };

  /** A client is no longer used or asked for. */
  #left(): void {
    this.#active--;
    if (this.#active === 0) this.#whenUnused?.();
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    subscribe('usingpg:evict', this.#onEvict);
    subscribe('usingpg:leak', this.#onLeak);
    void this.#pool.open();
  }

  readonly #onEvict = (message: unknown): void => {
    const { pool, backendPid, reason } = message as EvictMessage;
    if (pool !== this.#pool.name) return;
    this.#log(EVICTIONS[reason] ?? `remove client: ${reason}`);
    const { client } = this.#sessions.get(backendPid) ?? {};
    this.#sessions.delete(backendPid);
    if (client != null) this.emit('remove', client);
  };

  /** The client of a checkout was garbage-collected: nothing will release it, and `end()` must not wait for it. */
  readonly #onLeak = (message: unknown): void => {
    const { pool, backendPid, collected } = message as LeakMessage;
    if (pool !== this.#pool.name || !collected) return;
    const state = this.#sessions.get(backendPid);
    if (state !== undefined) state.isAcquired = false;
    this.#left();
  };

  /** Tells of a lost connection that no client has; a client tells itself, and a `query()` that fails by it rejects. */
  #lost(state: SessionState, error: unknown): void {
    state.loss = error;
    if (!state.isAcquired) this.#tellLoss(state);
  }

  #tellLoss({ client, loss }: SessionState): void {
    if (client === null || this.listenerCount('error') === 0) return;
    process.nextTick(() => this.emit('error', withServerFields(loss), client));
  }

  // --- statements

  /**
   * Executes one query on a connection of its own; see `client.query()`. Raises `ProgrammingError` if the query has begun a transaction
   * and not ended it, which is then rolled back.
   *
   * @example
   * import { Pool } from 'usingpg/pg';
   *
   * const { rows } = await new Pool().query('SELECT name FROM city WHERE id = $1', [1]);
   */
  query<R extends ArrayRow = ArrayRow, I extends Values = Values>(
    config: QueryArrayConfig<I>,
    values?: I,
  ): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = AnyRow, I extends Values = Values>(
    query: string | QueryConfig<I>,
    values?: I,
  ): Promise<QueryResult<R>>;
  query<R extends QueryResultRow = AnyRow, I extends Values = Values>(
    query: string | QueryConfig<I>,
    callback: Callback<[QueryResult<R>]>,
  ): void;
  query<R extends QueryResultRow = AnyRow, I extends Values = Values>(
    query: string | QueryConfig<I>,
    values: I | undefined,
    callback: Callback<[QueryResult<R>]>,
  ): void;
  query(query: unknown, values?: unknown, callback?: unknown): unknown {
    const callsBack =
      typeof query === 'function' ? (query as Callback<[]>) : callbackIn(query, values, callback);
    const running = this.#query(query, values);
    if (callsBack === undefined) return running;
    report(running, callsBack, (results) => [results], undefined);
    return undefined;
  }

  async #query(query: unknown, values: unknown): Promise<QueryResults> {
    checkQuery(query);
    const checkout = await this.#acquire(false);
    this.#log('dispatching query');
    let results: QueryResults;
    try {
      results = await checkout.execute(query, values);
      if (checkout.areInTransaction)
        throw leftOpen(typeof query === 'string' ? query : ((query as QueryConfig).text ?? null));
    } finally {
      this.#log('query dispatched');
      checkout.release();
    }
    // The connection was lost behind the answer.
    if (checkout.state.loss !== null) this.#tellLoss(checkout.state);
    return results;
  }

  // --- the end

  /**
   * Waits until all clients are released, and closes all connections; a client that is garbage-collected counts as released. Emits the process
   * warning `USINGPG_LEAK` if it waits for more than five seconds. Rejects if it was called before.
   */
  end(): Promise<void>;
  end(callback: Callback<[]>): void;
  end(callback?: Callback<[]>): Promise<void> | undefined {
    return promiseOr(this.#end(), callback, () => []);
  }

  async #end(): Promise<void> {
    if (this.ending) throw new errors.PoolClosed('Called end on pool more than once');
    this.#log('ending');
    this.ending = true;
    if (this.#active > 0) {
      const warning = setTimeout(this.#warnOfWait, PATIENCE).unref();
      await new Promise<void>((resolve) => {
        this.#whenUnused = resolve;
      });
      clearTimeout(warning);
    }
    await this.#pool.close();
    unsubscribe('usingpg:evict', this.#onEvict);
    unsubscribe('usingpg:leak', this.#onLeak);
    this.ended = true;
  }

  readonly #warnOfWait = (): void => {
    const pids = [...this.#sessions].filter(([, { isAcquired }]) => isAcquired).map(([pid]) => pid);
    process.emitWarning(
      `pool.end() has waited for ${String(PATIENCE / 1000)} seconds for ${String(this.#active)} clients that are acquired or asked for` +
        ` (backends ${pids.join(', ') || 'none'}), and goes on waiting. Let a \`finally\` release each client.`,
      { code: 'USINGPG_LEAK' },
    );
  };

  // --- counts

  /** The number of connections. */
  get totalCount(): number {
    return this.#pool.getStats().poolSize;
  }

  /** The number of idle connections. */
  get idleCount(): number {
    return this.#pool.getStats().poolAvailable;
  }

  /** The number of acquired connections that are closed when they are released, since they are older than `maxLifetimeSeconds`. */
  get expiredCount(): number {
    const limit = this.options.maxLifetimeSeconds * 1000;
    if (limit === 0) return 0;
    const isExpired = ({ isAcquired, since }: SessionState): boolean =>
      isAcquired && performance.now() - since >= limit;
    return [...this.#sessions.values()].filter(isExpired).length;
  }

  /** The number of requests that wait for a connection. */
  get waitingCount(): number {
    return this.#pool.getStats().requestsWaiting;
  }
}

function withDefaults(config: PoolConfig): PoolOptions {
  const { max, min, maxUses, allowExitOnIdle, maxLifetimeSeconds, idleTimeoutMillis } = config;
  const options: PoolOptions = {
    ...config,
    max: Number(max ?? 0) || (config.poolSize ?? defaults.max),
    min: Number(min ?? 0),
    maxUses: maxUses ?? Infinity,
    allowExitOnIdle: allowExitOnIdle ?? false,
    maxLifetimeSeconds: maxLifetimeSeconds ?? 0,
    idleTimeoutMillis:
      idleTimeoutMillis === undefined ? defaults.idleTimeoutMillis : Number(idleTimeoutMillis),
  };
  // A log of the pool must not show secrets.
  for (const name of ['password', 'ssl', 'connectionString'] as const) {
    if (name in options) Object.defineProperty(options, name, { enumerable: false });
  }
  return options;
}

/** Refuses a class of clients other than this module's. */
function checkClient(client: unknown): void {
  if (client === undefined || client === null || client === Client) return;
  throw new errors.NotSupportedError(
    'the option `Client` of node-postgres takes only the Client of usingpg/pg: prepare connections by the option `onConnect`, and' +
      ' watch queries by `instrument()` of usingpg/opentelemetry or by usingpg/logger',
  );
}

/** Refuses what is no query, and what only a client can execute. */
function checkQuery(query: unknown): void {
  if (query === undefined || query === null) throw new TypeError(NO_QUERY);
  if (typeof query === 'function') {
    throw new errors.ProgrammingError(
      'Passing a function as the first parameter to pool.query is not supported',
    );
  }
  if (isSubmittable(query)) {
    throw new errors.NotSupportedError(
      'pool.query() takes no cursor or stream, whose connection nobody would give back: take a client with pool.connect(), and release' +
        ' it when all rows are read',
    );
  }
}

/** The callback of `query()`; a query that is none is refused by the promise, or to the callback. */
function callbackIn(
  query: unknown,
  values: unknown,
  callback: unknown,
): Callback<[QueryResults]> | undefined {
  return callbackOf(query ?? {}, values, callback);
}

/** An error of the pool's own timeout with node-postgres's message; its cause tells who has the connections. */
function asTimeout(error: unknown): unknown {
  if (!(error instanceof errors.PoolTimeout)) return error;
  return new errors.PoolTimeout('timeout exceeded when trying to connect', {
    cause: error,
    pool: error.pool ?? undefined,
  });
}

/** Lets the user check a new client; rejects with the error that was found, after which the connection is closed. */
function verified(client: PoolClient, verify: NonNullable<PoolConfig['verify']>): Promise<void> {
  return new Promise((resolve, reject) => {
    verify(client, (error) => {
      if (error === undefined || error === null) {
        resolve();
        return;
      }
      client.release(error);
      reject(error);
    });
  });
}
