import { checkConnectOptions, describeKind, isAbortSignal } from '../connection/connect-options.js';
import type { AsyncConnection } from '../connection/connection.js';
import * as errors from '../errors/index.js';
import type { TupleRow } from '../rows.js';
import type { AsyncConnectionPool } from './connection-pool.js';
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
   * Checks a connection before it is lent; throwing discards the connection. It is not called within half a second after the
   * connection was made, returned or checked, however long ago its last statement was. A transaction that it leaves open is
   * rolled back.
   */
  check?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
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
  maxIdle: 600,
  checkTimeout: 5,
  reconnectTimeout: 300,
  numWorkers: 3,
  closeReturns: false,
  allowExitOnIdle: false,
  leakThreshold: 0,
} as const;

const FUNCTIONS = ['configure', 'check', 'reset', 'reconnectFailed', 'connectionClass'] as const;
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(DEFAULTS),
  ...FUNCTIONS,
  'maxSize',
  'connectOptions',
  'name',
]);

const DURATIONS = [
  'timeout',
  'maxLifetime',
  'maxIdle',
  'checkTimeout',
  'reconnectTimeout',
  'leakThreshold',
] as const;

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

function keptSizes(minSize: number = DEFAULTS.minSize, maxSize: number = minSize) {
  checkWhole('minSize', minSize, 0);
  checkWhole('maxSize', maxSize, 1);
  if (maxSize < minSize) {
    throw new errors.ProgrammingError(
      `expected \`maxSize\` to be at least \`minSize\` (${String(minSize)}), got ${String(maxSize)}`,
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
  checkWhole('maxSize', maxSize, 0);
  return { minSize, maxSize: maxSize === 0 ? Infinity : maxSize };
}

/** Completes the options. Raises `ProgrammingError` for an unknown option or an invalid value. */
export function resolvePoolOptions<R>(
  options: PoolOptions<R>,
  strategy: PoolStrategy,
): ResolvedPoolOptions<R> {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new errors.ProgrammingError(
      `expected the options of a pool to be an object, got ${describeKind(given)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) {
      throw new errors.ProgrammingError(
        `unknown pool option \`${name}\`; the options are ${[...KNOWN].join(', ')}`,
      );
    }
  }
  for (const name of FUNCTIONS) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'function') throw expected(name, 'a function', value);
  }
  for (const name of ['open', 'closeReturns', 'allowExitOnIdle'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'boolean') throw expected(name, 'true or false', value);
  }
  const { name, connectOptions }: { name?: unknown; connectOptions?: unknown } = options;
  if (name !== undefined && typeof name !== 'string') throw expected('name', 'a string', name);
  if (connectOptions !== undefined && typeof connectOptions !== 'function')
    checkConnectOptions(connectOptions);
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
  checkWhole('maxWaiting', resolved.maxWaiting, 0);
  checkWhole('numWorkers', resolved.numWorkers, 1);
  for (const name of DURATIONS) {
    checkSeconds(name, resolved[name]);
  }
  return resolved;
}

/** Raises `ProgrammingError` for a value that is not a duration. */
export function checkSeconds(name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw expected(name, 'a number of seconds, 0 or more', value);
  }
}

/** Raises `ProgrammingError` for a value that is not an AbortSignal, such as its controller. */
export function checkSignal(value: unknown): void {
  if (value !== undefined && !isAbortSignal(value)) throw expected('signal', 'an AbortSignal', value);
}

/** Raises `ProgrammingError` for a value that is not a whole number of at least `least`. */
export function checkWhole(name: string, value: unknown, least: number): void {
  if (!Number.isInteger(value) || (value as number) < least) {
    throw expected(name, `a whole number, ${String(least)} or more`, value);
  }
}

/** The error for an invalid argument. */
function expected(name: string, what: string, got: unknown): errors.ProgrammingError {
  const shown = typeof got === 'string' ? `the string ${JSON.stringify(got)}` : describeKind(got);
  return new errors.ProgrammingError(`expected \`${name}\` to be ${what}, got ${shown}`);
}
