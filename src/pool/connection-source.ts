import { checkConnectOptions, describeKind } from '../connection/connect-options.js';
import { AsyncConnection, POOL_NAME, type ConnectOptions } from '../connection/connection.js';
import { CORE, isAlive } from '../connection/connection-core.js';
import { conninfoToDict, connectTimeout, type ConninfoParams } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { DEFAULT_CONNECT_TIMEOUT } from '../session/sign-in.js';
import { TransactionStatus } from '../session/status.js';
import { waitFor } from '../waiting.js';
import type { ResourceSource } from './resources.js';

/** Connection parameters, or a function that gives them anew for each connection, for credentials that change. */
export type ConninfoSource =
  string | ConninfoParams | (() => string | ConninfoParams | Promise<string | ConninfoParams>);

/** The options that connections are made with, or a function that gives them anew for each connection. */
export type ConnectOptionsSource<R> =
  PoolConnectOptions<R> | (() => PoolConnectOptions<R> | Promise<PoolConnectOptions<R>>);

type PoolConnectOptions<R> = Omit<ConnectOptions<R>, 'signal'>;

/** A callback of the pool's user that is given a connection. */
export type ConnectionHook<R> = (connection: AsyncConnection<R>) => Promise<void> | void;

/** The options of a pool by which its connections are made and cared for. */
export interface ConnectionSourceOptions<R> {
  /** The pool's name. */
  readonly name: string;
  readonly connectOptions: ConnectOptionsSource<R>;
  readonly connectionClass?: typeof AsyncConnection<R> | undefined;
  readonly configure?: ConnectionHook<R> | undefined;
  readonly check?: ConnectionHook<R> | undefined;
  readonly reset?: ConnectionHook<R> | undefined;
  /** How long `reset` may take, in seconds; 0 or Infinity: for ever. */
  readonly checkTimeout: number;
  /** Whether idle connections let the process end. */
  readonly allowExitOnIdle: boolean;
}

/**
 * Makes and ends the connections of a pool, and calls its user's `configure`, `check` and `reset`. None of these may run without a time
 * limit, or leave a transaction open for the next borrower.
 */
export class ConnectionSource<R> implements ResourceSource<AsyncConnection<R>> {
  readonly isAlive = isAlive;
  /** Asks whether a connection works; null: connections are not checked. The caller limits the time. */
  readonly check: ((connection: AsyncConnection<R>) => Promise<void>) | null;
  /** Whether connections are cleaned up when they come back. */
  readonly resets: boolean;
  readonly #conninfo: ConninfoSource;
  readonly #options: ConnectionSourceOptions<R>;
  readonly #lost: (connection: AsyncConnection<R>) => void;

  /** `lost` is called for each connection that is lost after it was ready, lent out or not. */
  constructor(
    conninfo: ConninfoSource,
    options: ConnectionSourceOptions<R>,
    lost: (connection: AsyncConnection<R>) => void,
  ) {
    this.#conninfo = conninfo;
    this.#options = options;
    this.#lost = lost;
    this.check = options.check === undefined ? null : withoutTransaction(options.check);
    this.resets = options.reset !== undefined;
  }

  async create(signal: AbortSignal): Promise<AsyncConnection<R>> {
    const { name, connectOptions, connectionClass: Class = AsyncConnection<R> } = this.#options;
    let conninfo = this.#conninfo;
    if (typeof conninfo === 'function') {
      conninfo = await waitFor(Promise.resolve(conninfo()), { signal });
      checkParameters(conninfo);
    }
    let options = connectOptions;
    if (typeof options === 'function') {
      options = await waitFor(Promise.resolve(options()), { signal });
      checkConnectOptions(options);
    }
    return Class.connect<R>(conninfo, { ...options, signal, [POOL_NAME]: name });
  }

  /** Has `configure` prepare it, within as long as a host has to answer. */
  async prepare(connection: AsyncConnection<R>, signal: AbortSignal): Promise<void> {
    const { configure, allowExitOnIdle } = this.#options;
    if (configure !== undefined) {
      const seconds =
        connectTimeout(connection.info.getParameters()['connect_timeout']) ?? DEFAULT_CONNECT_TIMEOUT;
      await waitFor(Promise.resolve(configure(connection)), {
        seconds,
        late: () => {
          throw new errors.ConnectionTimeout(
            `\`configure\` was not done with a connection within ${String(seconds)} seconds (connect_timeout)`,
          );
        },
        signal,
      });
      checkLeft('configure', connection);
    }
    const { session } = connection[CORE];
    session.onLost(() => {
      this.#lost(connection);
    });
    if (allowExitOnIdle) session.setKeepsProcessAlive(false);
  }

  destroy(connection: AsyncConnection<R>): Promise<void> {
    return connection.close();
  }

  abandon(connection: AsyncConnection<R>): void {
    connection[CORE].session.drop();
  }

  /** Has `reset` clean a connection up, while its return is awaited. */
  async reset(connection: AsyncConnection<R>): Promise<void> {
    const { reset, checkTimeout } = this.#options;
    await waitFor(Promise.resolve(reset?.(connection)), {
      seconds: checkTimeout === 0 ? Infinity : checkTimeout,
      late: () => {
        // A server that does not answer would not answer a Terminate either.
        connection[CORE].session.drop();
        throw new errors.OperationalError(
          `it took longer than ${String(checkTimeout)} seconds (checkTimeout)`,
        );
      },
    });
    checkLeft('reset', connection);
  }
}

/** Adds a check that the hook has left no transaction open: the borrower's blocks would be savepoints in it, and be rolled back with it. */
function withoutTransaction<R>(hook: ConnectionHook<R>): (connection: AsyncConnection<R>) => Promise<void> {
  return async (connection) => {
    await hook(connection);
    if (connection.info.transactionStatus !== TransactionStatus.IDLE) await connection.rollback();
  };
}

function checkLeft<R>(hook: string, connection: AsyncConnection<R>): void {
  const status = connection.info.transactionStatus;
  if (status === TransactionStatus.IDLE) return;
  throw new errors.ProgrammingError(
    `the connection was left in transaction status ${status} by \`${hook}\`, and is discarded; commit there, or roll back`,
  );
}

/** Refuses connection parameters that can't be, as far as that is known without connecting. */
export function checkSource(conninfo: unknown): void {
  if (typeof conninfo === 'function') return;
  checkParameters(conninfo);
  if (typeof conninfo === 'string') conninfoToDict(conninfo);
  else conninfoToDict('', conninfo);
}

/** Refuses a value that is neither a connection string nor parameters: it would silently mean the default server. */
function checkParameters(conninfo: unknown): asserts conninfo is string | ConninfoParams {
  if (typeof conninfo === 'string') return;
  if (typeof conninfo === 'object' && conninfo !== null && !Array.isArray(conninfo)) return;
  throw new errors.ProgrammingError(
    `expected a connection string, connection parameters, or a function that gives them, got ${describeKind(conninfo)}`,
  );
}
