import { POOL_CONNECT } from '../connection/options.js';
import type { AsyncConnection } from '../connection/connection.js';
import * as errors from '../errors/index.js';
import {
  ADAPTERS_OR_NULL,
  ANYTHING,
  BOOLEAN,
  BOOLEAN_OR_NULL,
  checkKind,
  FUNCTION,
  FUNCTION_OR_NULL,
  SECONDS,
  SIGNAL,
  TEXT,
  whole,
  type KindsOf,
} from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import type { TupleRow } from '../rows.js';
import type { CursorOptions } from '../cursor/options.js';
import type { CheckoutOptions } from './checkouts.js';
import type {
  AsyncConnectionPool,
  MapOptions,
  PoolTransactionOptions,
  ReadyOptions,
} from './connection-pool.js';
import type { ConnectOptionsSource } from './connection-source.js';
import type { PoolStrategy } from './resources.js';

/** Options of a pool, by psycopg_pool's names in camelCase. All durations are in seconds. */
export interface PoolOptions<R = TupleRow> {
  /** The number of connections that the pool keeps open. @default 4 */
  minSize?: number | undefined;
  /** The maximum number of connections. @default minSize */
  maxSize?: number | undefined;
  /** Whether the pool starts connecting at once, in the background. @default true */
  open?: boolean | undefined;
  /** The options of new connections, or a function that provides them for each one (psycopg_pool: `kwargs`). */
  connectOptions?: ConnectOptionsSource<R> | undefined;
  /** The class of the connections: `AsyncConnection` or a subclass. @default AsyncConnection */
  connectionClass?: typeof AsyncConnection<R> | undefined;
  /** The pool's name in messages. @default pool-1, pool-2 … */
  name?: string | undefined;
  /** Prepares a new connection, within `connect_timeout` seconds for each of its hosts. It must not leave a transaction open. */
  configure?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
  /**
   * Checks a connection before it is lent; throwing discards the connection. It is not called within `checkAfter` seconds after
   * the connection was made, returned or checked, however long ago its last statement was. A transaction that it leaves open is
   * rolled back.
   */
  check?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
  /**
   * The seconds for which a connection is not checked after it was made, returned or checked; 0: it is checked each time. With
   * some minutes, a busy pool asks nothing, and a process that was frozen, or a machine that slept, still does: the time of day
   * counts, too.
   * @default 0.5
   */
  checkAfter?: number | undefined;
  /**
   * Seconds that `check`, `reset` or `pool.check()` may take before the connection counts as lost; 0 or Infinity: no limit.
   * @default 5
   */
  checkTimeout?: number | undefined;
  /** Resets a returned connection. It must not leave a transaction open. */
  reset?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
  /** Whether `close()` of a connection returns it to the pool; an `AsyncNullConnectionPool` ignores it. @default false */
  closeReturns?: boolean | undefined;
  /** Seconds to wait for a connection. @default 30 */
  timeout?: number | undefined;
  /** The maximum number of waiting requests; 0: no limit. @default 0 */
  maxWaiting?: number | undefined;
  /** The maximum age of a connection in seconds, reduced by up to 10 % at random; 0 or Infinity: no limit. @default 3600 */
  maxLifetime?: number | undefined;
  /**
   * The number of checkouts after which a connection is replaced; 0: no limit. In an `AsyncNullConnectionPool`, it counts those of
   * a connection that goes on to a waiting request.
   * @default 0
   */
  maxUses?: number | undefined;
  /** The maximum idle time of a connection above `minSize`, in seconds; 0 or Infinity: no limit. @default 600 */
  maxIdle?: number | undefined;
  /**
   * Seconds for which connecting to an unreachable server is retried before `reconnectFailed` is called. Attempts follow after 1,
   * 2, 4 … seconds, and every second while a request waits. With 0, one attempt is made, and waiting requests reject with a
   * `PoolTimeout` whose `cause` is the connection error.
   * @default 300
   */
  reconnectTimeout?: number | undefined;
  /**
   * Called once when `reconnectTimeout` has passed, until the server answers again. The pool's next attempt follows the next
   * request.
   */
  reconnectFailed?: ((pool: AsyncConnectionPool<R>) => void | Promise<void>) | undefined;
  /** The maximum number of concurrent attempts to connect. @default 3 */
  numWorkers?: number | undefined;
  /** Whether the process may exit while connections are idle. @default false */
  allowExitOnIdle?: boolean | undefined;
  /**
   * Seconds after which a checkout causes a process warning (code `USINGPG_LEAK`), once, with the stack of the call that took the
   * connection; 0 or Infinity: off, at no cost. The connection of a `Listener` is exempt. When a reported connection is returned,
   * `usingpg:leak-returned` is published. A timeout then also reports where the checked-out connections were taken, and which of
   * them the waiting task holds itself.
   * @default 0
   */
  leakThreshold?: number | undefined;
}

type Defined<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The options with their defaults. */
export type ResolvedPoolOptions<R> = Defined<
  Omit<PoolOptions<R>, 'configure' | 'check' | 'reset' | 'reconnectFailed' | 'connectionClass'>
> &
  Pick<PoolOptions<R>, 'configure' | 'check' | 'reset' | 'reconnectFailed' | 'connectionClass'>;

const DEFAULTS = {
  minSize: 4,
  open: true,
  timeout: 30,
  maxWaiting: 0,
  maxLifetime: 3600,
  maxUses: 0,
  maxIdle: 600,
  checkAfter: 0.5,
  checkTimeout: 5,
  reconnectTimeout: 300,
  numWorkers: 3,
  closeReturns: false,
  allowExitOnIdle: false,
  leakThreshold: 0,
} as const;

const LIMIT = whole(0);
const KINDS: KindsOf<PoolOptions<unknown>> = {
  // Sizes depend on the kind of the pool, and are checked together.
  minSize: ANYTHING,
  maxSize: ANYTHING,
  open: BOOLEAN,
  // They have a check of their own.
  connectOptions: ANYTHING,
  connectionClass: FUNCTION,
  name: TEXT,
  configure: FUNCTION,
  check: FUNCTION,
  checkAfter: SECONDS,
  checkTimeout: SECONDS,
  reset: FUNCTION,
  closeReturns: BOOLEAN,
  timeout: SECONDS,
  maxWaiting: LIMIT,
  maxLifetime: SECONDS,
  maxUses: LIMIT,
  maxIdle: SECONDS,
  reconnectTimeout: SECONDS,
  reconnectFailed: FUNCTION,
  numWorkers: whole(1),
  allowExitOnIdle: BOOLEAN,
  leakThreshold: SECONDS,
};
const OPTIONS = new KnownOptions<PoolOptions<unknown>>('new AsyncConnectionPool(conninfo, options)', KINDS);
const NULL_POOL_OPTIONS = new KnownOptions<PoolOptions<unknown>>(
  'new AsyncNullConnectionPool(conninfo, options)',
  KINDS,
);

const READY: KindsOf<ReadyOptions> = { timeout: SECONDS, signal: SIGNAL };
const CHECKOUT: KindsOf<CheckoutOptions> = { ...READY, failFast: BOOLEAN };

export const CONNECTION = new KnownOptions<CheckoutOptions>('pool.connection(options)', CHECKOUT);
export const GETCONN = new KnownOptions<CheckoutOptions>('pool.getconn(options)', CHECKOUT);
export const WITH_CONNECTION = new KnownOptions<CheckoutOptions>(
  'pool.withConnection(async (conn) => { … }, options)',
  CHECKOUT,
);
export const EXECUTE = new KnownOptions<CheckoutOptions & CursorOptions<unknown>>(
  'pool.execute(query, params, options)',
  { rowFactory: FUNCTION_OR_NULL, context: ADAPTERS_OR_NULL, ...CHECKOUT },
);
export const WITH_TRANSACTION = new KnownOptions<PoolTransactionOptions>(
  'pool.withTransaction(async (conn, tx) => { … }, options)',
  {
    // The settings of the transaction are checked with their values.
    isolationLevel: ANYTHING,
    readOnly: BOOLEAN_OR_NULL,
    deferrable: BOOLEAN_OR_NULL,
    retries: LIMIT,
    ...CHECKOUT,
  },
);
export const MAP = new KnownOptions<MapOptions>('pool.map(items, async (conn, item) => { … }, options)', {
  concurrency: whole(1),
  signal: SIGNAL,
  failFast: BOOLEAN,
});
export const OPEN = new KnownOptions<ReadyOptions & { wait: boolean }>('pool.open(options)', {
  wait: BOOLEAN,
  ...READY,
});
export const WAIT = new KnownOptions<ReadyOptions>('pool.wait(options)', READY);
export const CHECK = new KnownOptions<{ signal: AbortSignal }>('pool.check(options)', { signal: SIGNAL });

let pools = 0;

/**
 * Completes a pool's sizes; a `maxSize` of Infinity means no limit. Raises `ProgrammingError` for sizes that a pool of this
 * strategy cannot have.
 */
export function resolveSizes(
  strategy: PoolStrategy,
  minSize: number | undefined,
  maxSize: number | undefined,
): { minSize: number; maxSize: number } {
  return strategy.keepsReturned ? keptSizes(minSize, maxSize) : nullSizes(minSize, maxSize);
}

function keptSizes(givenMinSize: number | undefined, givenMaxSize: number | undefined) {
  const minSize = givenMinSize ?? DEFAULTS.minSize;
  const maxSize = givenMaxSize ?? minSize;
  checkKind('minSize', minSize, LIMIT);
  checkKind('maxSize', maxSize, whole(1));
  if (maxSize < minSize) {
    throw new errors.ProgrammingError(
      givenMinSize === undefined
        ? `\`maxSize\` (${String(maxSize)}) is below the default of \`minSize\` (${String(minSize)}): give \`minSize\` as well`
        : `expected \`maxSize\` to be at least \`minSize\` (${String(minSize)}), got ${String(maxSize)}`,
    );
  }
  return { minSize, maxSize };
}

function nullSizes(minSize = 0, maxSize = 0) {
  if (minSize !== 0) {
    throw new errors.ProgrammingError(
      `expected \`minSize\` to be 0, as a null pool keeps no connections, got ${String(minSize)}`,
    );
  }
  checkKind('maxSize', maxSize, LIMIT);
  return { minSize, maxSize: maxSize === 0 ? Infinity : maxSize };
}

/** Completes the options. Raises `ProgrammingError` for an unknown option or an invalid value. */
export function resolvePoolOptions<R>(
  options: PoolOptions<R>,
  strategy: PoolStrategy,
): ResolvedPoolOptions<R> {
  (strategy.keepsReturned ? OPTIONS : NULL_POOL_OPTIONS).check(options);
  const { connectOptions }: { connectOptions?: unknown } = options;
  if (connectOptions !== undefined && typeof connectOptions !== 'function')
    POOL_CONNECT.check(connectOptions as object);
  const defined = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedPoolOptions<R> = {
    ...DEFAULTS,
    connectOptions: {},
    ...(defined as Partial<ResolvedPoolOptions<R>>),
    name: options.name ?? `pool-${String(++pools)}`,
    ...resolveSizes(strategy, options.minSize, options.maxSize),
  };
  // A pool that keeps no connections cannot use one that its borrower closed.
  if (!strategy.keepsReturned) resolved.closeReturns = false;
  return resolved;
}
