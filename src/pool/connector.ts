import { checkConnectOptions, describeKind } from '../connection/connect-options.js';
import { AsyncConnection, POOL_NAME, type ConnectOptions } from '../connection/connection.js';
import { conninfoToDict, type ConninfoParams } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import type { Callbacks } from './callbacks.js';
import { unlessAborted } from './limits.js';

/** Connection parameters, or what gives them anew for each connection: for credentials that change. */
export type ConninfoSource =
  string | ConninfoParams | (() => string | ConninfoParams | Promise<string | ConninfoParams>);

/** How connections are made, or what gives it anew for each connection. */
export type ConnectOptionsSource<R> =
  PoolConnectOptions<R> | (() => PoolConnectOptions<R> | Promise<PoolConnectOptions<R>>);

type PoolConnectOptions<R> = Omit<ConnectOptions<R>, 'signal'>;

/** What of a pool's options its connections are made by. */
export interface ConnectorOptions<R> {
  /** The pool's name. */
  readonly name: string;
  readonly connectOptions: ConnectOptionsSource<R>;
  readonly connectionClass?: typeof AsyncConnection<R> | undefined;
}

/** Makes the connections of a pool. */
export class Connector<R> {
  readonly #conninfo: ConninfoSource;
  readonly #options: ConnectorOptions<R>;
  readonly #callbacks: Callbacks<R>;

  constructor(conninfo: ConninfoSource, options: ConnectorOptions<R>, callbacks: Callbacks<R>) {
    this.#conninfo = conninfo;
    this.#options = options;
    this.#callbacks = callbacks;
  }

  /** Makes a connection that is ready to be lent out; gives up when `signal` is aborted. */
  async connect(signal: AbortSignal): Promise<AsyncConnection<R>> {
    const { name, connectOptions, connectionClass: Class = AsyncConnection<R> } = this.#options;
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
    const connection = await Class.connect<R>(conninfo, { ...options, signal, [POOL_NAME]: name });
    try {
      await this.#callbacks.configure(connection, signal);
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }
}

/** Refuses connection parameters that can't be, as far as that is known without connecting. */
export function checkSource(conninfo: unknown): void {
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
