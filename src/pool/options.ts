import { checkConnectOptions, describeKind, isAbortSignal } from '../connection/connect-options.js';
import type { AsyncConnection } from '../connection/connection.js';
import * as errors from '../errors/index.js';
import type { TupleRow } from '../rows.js';
import type { AsyncConnectionPool } from './connection-pool.js';
import type { ConnectOptionsSource } from './connection-source.js';
import type { PoolStrategy } from './resources.js';

/** Options of a pool, by psycopg_pool's names in camelCase; all durations are in seconds. */
export interface PoolOptions<R = TupleRow> {
  /** How many connections are kept open. @default 4 */
  minSize?: number | undefined;
  /** How many connections are opened at most. @default minSize */
  maxSize?: number | undefined;
  /** Whether the pool starts connecting at once, in the background. @default true */
  open?: boolean | undefined;
  /** The options that connections are made with, or a function that gives them anew for each connection (psycopg_pool: `kwargs`). */
  connectOptions?: ConnectOptionsSource<R> | undefined;
  /** The class of its connections, a subclass of `AsyncConnection`. */
  connectionClass?: typeof AsyncConnection<R> | undefined;
  /** The pool's name in messages. @default pool-1, pool-2 … */
  name?: string | undefined;
  /**
   * Prepares a connection after it was made, within as long as each of its hosts has to answer (`connect_timeout`). It has to leave it
   * without a transaction.
   */
  configure?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
  /**
   * Tells, by throwing, that a connection is not to be lent out. It is not called within half a second after the connection was made,
   * came back or was checked, however long ago its last statement was by then. A transaction that it leaves open is rolled back.
   */
  check?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
  /**
   * How long `check`, `reset` or `pool.check()` may wait for a connection before it counts as lost; 0 or Infinity: for ever.
   * @default 5
   */
  checkTimeout?: number | undefined;
  /** Cleans a connection up after it came back. It has to leave it without a transaction. */
  reset?: ((connection: AsyncConnection<R>) => Promise<void> | void) | undefined;
  /** Whether `close()` of a connection gives it back instead; an `AsyncNullConnectionPool` ignores it. @default false */
  closeReturns?: boolean | undefined;
  /** How long to wait for a connection. @default 30 */
  timeout?: number | undefined;
  /** How many requests may wait for a connection at most; 0: no limit. @default 0 */
  maxWaiting?: number | undefined;
  /** How long a connection lives, less up to 10 % at random; 0 or Infinity: for ever. @default 3600 */
  maxLifetime?: number | undefined;
  /** How long a connection above `minSize` may be idle; 0 or Infinity: for ever. @default 600 */
  maxIdle?: number | undefined;
  /**
   * How long connecting to a server that does not answer is retried before `reconnectFailed` is called: after 1, 2, 4 … seconds, and
   * each second while a request waits for a connection. 0: one attempt is made, and waiting requests are refused with a `PoolTimeout`
   * whose `cause` says why.
   * @default 300
   */
  reconnectTimeout?: number | undefined;
  /**
   * Called when `reconnectTimeout` is over, once until the server answers. The pool tries again as soon as a connection is asked for.
   */
  reconnectFailed?: ((pool: AsyncConnectionPool<R>) => void | Promise<void>) | undefined;
  /** How many connections are made at once. @default 3 */
  numWorkers?: number | undefined;
  /** Let the process end although idle connections are open. @default false */
  allowExitOnIdle?: boolean | undefined;
  /**
   * How long a connection may be lent out before there is a process warning (code `USINGPG_LEAK`) with the stack of the call that
   * took it, once; 0 or Infinity: without limit, at no cost. The connection of a `Listener` is exempt. When a reported connection comes
   * back, `usingpg:leak-returned` is published. A timeout then also says where the lent connections were taken, and which of them the
   * waiting task holds itself.
   * @default 0
   */
  leakThreshold?: number | undefined;
}

type Defined<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The options with their defaults in place. */
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
 * Completes the sizes of a pool; a `maxSize` of Infinity is none. Raises `ProgrammingError` for sizes that a pool of this strategy can't
 * have.
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

/** Completes the options. Raises `ProgrammingError` for one that is unknown or has a value it can't have. */
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
  // A pool that closes what comes back can't use a connection that its user has closed.
  if (!strategy.keepsReturned) resolved.closeReturns = false;
  checkWhole('maxWaiting', resolved.maxWaiting, 0);
  checkWhole('numWorkers', resolved.numWorkers, 1);
  for (const name of DURATIONS) {
    checkSeconds(name, resolved[name]);
  }
  return resolved;
}

/** Refuses what is not a duration. */
export function checkSeconds(name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw expected(name, 'a number of seconds, 0 or more', value);
  }
}

/** Refuses what does not tell of an abort, its controller say. */
export function checkSignal(value: unknown): void {
  if (value !== undefined && !isAbortSignal(value)) throw expected('signal', 'an AbortSignal', value);
}

/** Refuses what is not a whole number, or below `least`. */
export function checkWhole(name: string, value: unknown, least: number): void {
  if (!Number.isInteger(value) || (value as number) < least) {
    throw expected(name, `a whole number, ${String(least)} or more`, value);
  }
}

/** What to say of an argument that can't be. */
function expected(name: string, what: string, got: unknown): errors.ProgrammingError {
  const shown = typeof got === 'string' ? `the string ${JSON.stringify(got)}` : describeKind(got);
  return new errors.ProgrammingError(`expected \`${name}\` to be ${what}, got ${shown}`);
}
