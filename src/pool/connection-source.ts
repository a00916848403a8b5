import { CONNECTING_POOL, POOL_CONNECT, type ConnectOptions } from '../connection/options.js';
import { AsyncConnection } from '../connection/connection.js';
import { CORE, isAlive } from '../connection/connection-core.js';
import { SilentHosts } from '../connection/silent-hosts.js';
import {
  connectTimeout,
  DEFAULT_CONNECT_TIMEOUT,
  readConninfo,
  type ConninfoParams,
} from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { describeKind } from '../options/kinds.js';
import { TransactionStatus } from '../session/status.js';
import { waitFor } from '../waiting.js';
import type { ResourceSource } from './resources.js';

/** Connection parameters, or a function that provides them for each new connection, for credentials that change. */
export type ConninfoSource =
  string | ConninfoParams | (() => string | ConninfoParams | Promise<string | ConninfoParams>);

/** The options of new connections, or a function that provides them for each one. */
export type ConnectOptionsSource<R> =
  PoolConnectOptions<R> | (() => PoolConnectOptions<R> | Promise<PoolConnectOptions<R>>);

type PoolConnectOptions<R> = Omit<ConnectOptions<R>, 'signal'>;

/** A user's callback that receives a connection. */
export type ConnectionHook<R> = (connection: AsyncConnection<R>) => Promise<void> | void;

/** The options by which a pool makes and maintains connections. */
export interface ConnectionSourceOptions<R> {
  /** The pool's name. */
  readonly name: string;
  readonly connectOptions: ConnectOptionsSource<R>;
  readonly connectionClass?: typeof AsyncConnection<R> | undefined;
  readonly configure?: ConnectionHook<R> | undefined;
  readonly check?: ConnectionHook<R> | undefined;
  readonly reset?: ConnectionHook<R> | undefined;
  /** The maximum duration of `reset`, in seconds; 0 or Infinity: no limit. */
  readonly checkTimeout: number;
  /** Whether the process may exit while connections are idle. */
  readonly allowExitOnIdle: boolean;
}

/**
 * Makes and closes a pool's connections, and calls the user's `configure`, `check` and `reset`. Each of them has a time limit,
 * and none may leave a transaction open for the next borrower.
 */
export class ConnectionSource<R> implements ResourceSource<AsyncConnection<R>> {
  readonly isAlive = isAlive;
  /** Checks that a connection works; null: connections are not checked. The caller limits the time. */
  readonly check: ((connection: AsyncConnection<R>) => Promise<void>) | null;
  /** Whether returned connections are reset. */
  readonly resets: boolean;
  /** Whether the last connection was to a host chosen at random (`load_balance_hosts=random`). */
  inTurn = false;
  readonly #conninfo: ConninfoSource;
  readonly #options: ConnectionSourceOptions<R>;
  readonly #lost: (connection: AsyncConnection<R>) => void;
  readonly #silentHosts = new SilentHosts();

  /** `lost` is called for each connection that is lost after it was ready, checked out or not. */
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
      conninfo = await answered('the function of the connection parameters', conninfo, '', signal);
      checkParameters(conninfo);
    }
    let options = connectOptions;
    if (typeof options === 'function') {
      options = await answered('`connectOptions`', options, conninfo, signal);
      POOL_CONNECT.check(options);
    }
    const connection = await Class.connect<R>(conninfo, {
      ...options,
      signal,
      [CONNECTING_POOL]: { name, silentHosts: this.#silentHosts },
    });
    this.inTurn = connection.info.getParameters()['load_balance_hosts'] === 'random';
    return connection;
  }

  /** Runs the user's `configure`, within `connect_timeout`. */
  async prepare(connection: AsyncConnection<R>, signal: AbortSignal): Promise<void> {
    const { configure, allowExitOnIdle } = this.#options;
    if (configure !== undefined) {
      const seconds = secondsToConnect(connection.info.getParameters());
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
      if (session.isUnanswered) this.#fellSilent(connection);
      this.#lost(connection);
    });
    if (allowExitOnIdle) session.setKeepsProcessAlive(false);
  }

  stop(): void {
    this.#silentHosts.stop();
  }

  destroy(connection: AsyncConnection<R>): Promise<void> {
    return connection.close();
  }

  /** Drops a connection. A user's hook that takes long proves nothing of the server, unless that leaves a statement unanswered. */
  async abandon(connection: AsyncConnection<R>): Promise<void> {
    const { session } = connection[CORE];
    if (!session.closed && (await session.isSilentToCancel())) this.#fellSilent(connection);
    session.drop();
  }

  /** The server of a connection did not answer: the next search asks it last. */
  #fellSilent(connection: AsyncConnection<R>): void {
    // As the connection parameters name it, not by the address that it had.
    const { host = '', hostaddr = null, port } = connection.info.getParameters();
    const error = new errors.ConnectionTimeout(`the server at ${host} did not answer on its last connection`);
    this.#silentHosts.add({ host, hostaddr, port: Number(port) }, error);
  }

  /** Runs the user's `reset` on a returned connection. */
  async reset(connection: AsyncConnection<R>): Promise<void> {
    const { reset, checkTimeout } = this.#options;
    await waitFor(Promise.resolve(reset?.(connection)), {
      seconds: checkTimeout === 0 ? Infinity : checkTimeout,
      late: async () => {
        // A server that does not answer would not answer a Terminate message either.
        await this.abandon(connection);
        throw new errors.OperationalError(
          `it took longer than ${String(checkTimeout)} seconds (checkTimeout)`,
        );
      },
    });
    checkLeft('reset', connection);
  }
}

/** Asks a user's function, named `what`, within the `connect_timeout` of `conninfo`. */
function answered<V>(
  what: string,
  ask: () => V | Promise<V>,
  conninfo: string | ConninfoParams,
  signal: AbortSignal,
): Promise<V> {
  const seconds = secondsToConnect(readConninfo(conninfo).params);
  return waitFor(Promise.resolve(ask()), {
    seconds,
    late: () => {
      throw new errors.ConnectionTimeout(
        `${what} did not answer within ${String(seconds)} seconds (connect_timeout)`,
      );
    },
    signal,
  });
}

function secondsToConnect(params: Readonly<Record<string, string>>): number {
  return (
    connectTimeout(params['connect_timeout'] ?? process.env['PGCONNECT_TIMEOUT']) ?? DEFAULT_CONNECT_TIMEOUT
  );
}

/**
 * Wraps a hook in a check that it left no transaction open: the borrower's blocks would be savepoints in that transaction, and
 * would be rolled back with it.
 */
function withoutTransaction<R>(hook: ConnectionHook<R>): (connection: AsyncConnection<R>) => Promise<void> {
  return async (connection) => {
    await hook(connection);
    await connection[CORE].session.rollback();
  };
}

function checkLeft<R>(hook: string, connection: AsyncConnection<R>): void {
  const status = connection.info.transactionStatus;
  if (status === TransactionStatus.IDLE) return;
  throw new errors.ProgrammingError(
    `the connection was left in transaction status ${status} by \`${hook}\`, and is discarded; commit there, or roll back`,
  );
}

/** Raises `ProgrammingError` for connection parameters that are invalid without connecting. */
export function checkSource(conninfo: unknown): void {
  if (typeof conninfo === 'function') return;
  checkParameters(conninfo);
  readConninfo(conninfo);
}

/** Refuses a value that is neither a connection string nor parameters, since it would silently mean the default server. */
function checkParameters(conninfo: unknown): asserts conninfo is string | ConninfoParams {
  if (typeof conninfo === 'string') return;
  if (typeof conninfo === 'object' && conninfo !== null && !Array.isArray(conninfo)) return;
  throw new errors.ProgrammingError(
    `expected a connection string, connection parameters, or a function that gives them, got ${describeKind(conninfo)}`,
  );
}
