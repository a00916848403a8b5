import * as errors from '../errors/index.js';
import type { PipelineStatus } from '../session/status.js';
import { TransactionStatus } from '../session/status.js';
import type { ConnectionCore } from './connection-core.js';

/** The state of a connection (Psycopg: `pq.ConnStatus`). */
export const ConnStatus = {
  /** The connection is usable. */
  OK: 'OK',
  /** The connection is closed, lost or returned. */
  BAD: 'BAD',
} as const;
export type ConnStatus = (typeof ConnStatus)[keyof typeof ConnStatus];

/** Information about a connection and its server (Psycopg: `ConnectionInfo`). Reading it never waits for the server. */
export class ConnectionInfo {
  readonly #core: ConnectionCore;
  readonly #params: Readonly<Record<string, string>>;

  /** @internal */
  constructor(core: ConnectionCore, params: Readonly<Record<string, string>>) {
    this.#core = core;
    this.#params = params;
  }

  /**
   * The error message of the last statement, if it failed, or of the connection's end; '' without an error (Psycopg:
   * `error_message`).
   */
  get errorMessage(): string {
    return this.#core.session.errorMessage;
  }

  /** Whether the connection is in a pipeline, and whether one of its statements has failed (Psycopg: `pipeline_status`). */
  get pipelineStatus(): PipelineStatus {
    return this.#core.session.pipelineStatus;
  }

  /** `BAD` once the connection is closed, lost or returned (Psycopg: `status`). */
  get status(): ConnStatus {
    return this.#core.usable ? ConnStatus.OK : ConnStatus.BAD;
  }

  /** Whether a transaction is open or has failed; `ACTIVE` while a statement is running (Psycopg: `transaction_status`). */
  get transactionStatus(): TransactionStatus {
    return this.#core.returned ? TransactionStatus.UNKNOWN : this.#core.transactionStatus;
  }

  /** The connection string, without the password and without defaults (Psycopg: `dsn`). */
  get dsn(): string {
    return Object.entries(this.getParameters())
      .map(([name, value]) => `${name}=${quoteValue(value)}`)
      .join(' ');
  }

  /** Returns the connection parameters, without the password and without defaults (Psycopg: `get_parameters`). */
  getParameters(): Record<string, string> {
    const { password: _, ...params } = this.#params;
    return params;
  }

  /** The host's name, or the directory of the Unix socket. */
  get host(): string {
    return this.#core.session.address.host;
  }

  /** The server's IP address; empty for a Unix socket. */
  get hostaddr(): string {
    return this.#core.session.address.hostaddr ?? '';
  }

  /** The server's port. */
  get port(): number {
    return this.#core.session.address.port;
  }

  /** The database's name. */
  get dbname(): string {
    return this.#core.session.login.database;
  }

  /** The role that signed in. */
  get user(): string {
    return this.#core.session.login.user;
  }

  /** The password; '' if there is none. No other property contains it. */
  get password(): string {
    return this.#core.session.login.password ?? '';
  }

  /** The command-line options sent at startup (the parameter `options`). */
  get options(): string {
    return this.#core.session.login.parameters['options'] ?? '';
  }

  /** The process id of the backend, as in `pg_stat_activity.pid` (Psycopg: `backend_pid`). */
  get backendPid(): number {
    return this.#core.session.backendPid;
  }

  /**
   * An object that stands for the session: the same at every checkout of the connection from its pool, and another for every new
   * connection. It has no properties; in a `WeakSet`, or as the key of a `WeakMap`, it records what is prepared once per session.
   *
   * @example
   * const prepared = new WeakSet<object>();
   * if (!prepared.has(conn.info.session)) {
   *   await conn.execute('SET search_path = app');
   *   prepared.add(conn.info.session);
   * }
   */
  get session(): object {
    return this.#core.session.identity;
  }

  /** The server's version as a number: 150018 for 15.18 (Psycopg: `server_version`). */
  get serverVersion(): number {
    const [major = 0, minor = 0, patch = 0] = (this.parameterStatus('server_version') ?? '')
      .split(/[^0-9.]/, 1)[0]!
      .split('.')
      .map(Number);
    return major >= 10 ? major * 10000 + minor : major * 10000 + minor * 100 + patch;
  }

  /** The name of the server's product. */
  get vendor(): string {
    return 'PostgreSQL';
  }

  /**
   * The client encoding: UTF8, unless it was changed to another. In another, values, names of columns and notifications beyond
   * ASCII raise `NotSupportedError`; errors and notices have U+FFFD in their place.
   */
  get encoding(): string {
    return this.parameterStatus('client_encoding') ?? 'UTF8';
  }

  /** The name of the session's time zone. */
  get timezone(): string {
    return this.parameterStatus('TimeZone') ?? 'UTC';
  }

  /**
   * Returns a setting that the server reports, such as `server_version` or `TimeZone`; null for any other (Psycopg:
   * `parameter_status`).
   */
  parameterStatus(name: string): string | null {
    return this.#core.session.parameters.get(name) ?? null;
  }

  /** Whether the connection is encrypted. */
  get sslInUse(): boolean {
    return this.#core.session.encrypted;
  }
}

/** A connection of the class `name` as `util.inspect()` prints it: what it is connected to, and its state; never a password. */
export function describeConnection(name: string, core: ConnectionCore): string {
  const { session, returned } = core;
  const { host, port, dbname, user, pid } = session.location;
  const state = returned
    ? 'returned to its pool'
    : session.broken
      ? 'lost'
      : session.closed
        ? 'closed'
        : core.transactionStatus;
  const pool = session.pool === null ? '' : ` pool='${session.pool}'`;
  return `<${name} [${state}] host=${host} port=${String(port)} dbname=${dbname} user=${user} pid=${String(pid)}${pool}>`;
}

function quoteValue(value: string): string {
  return /^[^\s'\\=]+$/.test(value) ? value : `'${value.replace(/['\\]/g, '\\$&')}'`;
}

/** Raises `ProgrammingError` for a change of the setting `name` while a transaction is open. */
export function checkIdle(name: string, status: TransactionStatus, core: ConnectionCore): void {
  const hasBlock = core.blocks.length > 0;
  if (status === TransactionStatus.IDLE && !hasBlock) return;
  throw new errors.ProgrammingError(
    hasBlock
      ? `can't change '${name}' now: a transaction block is open`
      : `can't change '${name}' now: connection in transaction status ${status}; commit or roll back first`,
  );
}
