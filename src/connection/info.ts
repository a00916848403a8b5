import * as errors from '../errors/index.js';
import type { PipelineStatus } from '../session/status.js';
import { TransactionStatus } from '../session/status.js';
import type { ConnectionCore } from './connection-core.js';

/** The state of a connection (Psycopg: `pq.ConnStatus`). */
export const ConnStatus = {
  /** It can be used. */
  OK: 'OK',
  /** It is closed, lost, or was given back. */
  BAD: 'BAD',
} as const;
export type ConnStatus = (typeof ConnStatus)[keyof typeof ConnStatus];

/** What is known of a connection and its server (Psycopg: `ConnectionInfo`). Reading it never waits for the server. */
export class ConnectionInfo {
  readonly #core: ConnectionCore;
  readonly #params: Readonly<Record<string, string>>;

  /** @internal */
  constructor(core: ConnectionCore, params: Readonly<Record<string, string>>) {
    this.#core = core;
    this.#params = params;
  }

  /** The message of the error that the last statement failed with, or that ended the connection; '' if there is none. */
  get errorMessage(): string {
    return this.#core.session.errorMessage;
  }

  /** Whether the connection is in a pipeline, and whether a statement of it has failed. */
  get pipelineStatus(): PipelineStatus {
    return this.#core.session.pipelineStatus;
  }

  /** `BAD` once the connection is closed, lost or given back. */
  get status(): ConnStatus {
    return this.#core.usable ? ConnStatus.OK : ConnStatus.BAD;
  }

  /** Whether a transaction is open, and whether it has failed; `ACTIVE` while a statement runs. */
  get transactionStatus(): TransactionStatus {
    return this.#core.returned ? TransactionStatus.UNKNOWN : this.#core.session.transactionStatus;
  }

  /** The connection string, without the password and without defaults. */
  get dsn(): string {
    return Object.entries(this.getParameters())
      .map(([name, value]) => `${name}=${quoteValue(value)}`)
      .join(' ');
  }

  /** The parameters the connection was made with, without the password and without defaults. */
  getParameters(): Record<string, string> {
    const { password: _, ...params } = this.#params;
    return params;
  }

  /** The host's name, or the directory of the unix socket. */
  get host(): string {
    return this.#core.session.address.host;
  }

  /** The network address that was connected to. Empty for a unix socket. */
  get hostaddr(): string {
    return this.#core.session.address.hostaddr ?? '';
  }

  /** The port that was connected to. */
  get port(): number {
    return this.#core.session.address.port;
  }

  /** The name of the database. */
  get dbname(): string {
    return this.#core.session.login.database;
  }

  /** The role that signed in. */
  get user(): string {
    return this.#core.session.login.user;
  }

  /** The password; '' if there is none. Nothing else shows it. */
  get password(): string {
    return this.#core.session.login.password ?? '';
  }

  /** The command line options sent at startup (`options` of the connection string). */
  get options(): string {
    return this.#core.session.login.parameters['options'] ?? '';
  }

  /** The process id of the backend; what `pg_stat_activity` calls `pid`. */
  get backendPid(): number {
    return this.#core.session.backendPid;
  }

  /** The server's version as a number: 150018 for 15.18. */
  get serverVersion(): number {
    const [major = 0, minor = 0, patch = 0] = (this.parameterStatus('server_version') ?? '')
      .split(/[^0-9.]/, 1)[0]!
      .split('.')
      .map(Number);
    return major >= 10 ? major * 10000 + minor : major * 10000 + minor * 100 + patch;
  }

  /** The name of the server's software. */
  get vendor(): string {
    return 'PostgreSQL';
  }

  /** The client's encoding: UTF8, unless it was set to another, in which texts beyond ASCII are refused. */
  get encoding(): string {
    return this.parameterStatus('client_encoding') ?? 'UTF8';
  }

  /** The session's time zone, by the name the server gives it. */
  get timezone(): string {
    return this.parameterStatus('TimeZone') ?? 'UTC';
  }

  /** A setting that the server reports, such as `server_version` or `TimeZone`; null if it does not. */
  parameterStatus(name: string): string | null {
    return this.#core.session.parameters.get(name) ?? null;
  }

  /** Whether the connection is encrypted. */
  get sslInUse(): boolean {
    return this.#core.session.encrypted;
  }
}

/** A connection of the class `name` as `util.inspect()` prints it: what it is connected to, and its state; never a password. */
export function describeConnection(name: string, { session, returned }: ConnectionCore): string {
  const { host, port, dbname, user, pid } = session.location;
  const state = returned
    ? 'returned to its pool'
    : session.broken
      ? 'lost'
      : session.closed
        ? 'closed'
        : session.transactionStatus;
  const pool = session.pool === null ? '' : ` pool='${session.pool}'`;
  return `<${name} [${state}] host=${host} port=${String(port)} dbname=${dbname} user=${user} pid=${String(pid)}${pool}>`;
}

function quoteValue(value: string): string {
  return /^[^\s'\\=]+$/.test(value) ? value : `'${value.replace(/['\\]/g, '\\$&')}'`;
}

/** Refuses to change the setting `name` unless no transaction is open. */
export function checkIdle(name: string, status: TransactionStatus, core: ConnectionCore): void {
  if (status === TransactionStatus.IDLE) return;
  throw new errors.ProgrammingError(
    core.blocks.length > 0
      ? `can't change '${name}' now: a transaction block is open`
      : `can't change '${name}' now: connection in transaction status ${status}; commit or roll back first`,
  );
}
