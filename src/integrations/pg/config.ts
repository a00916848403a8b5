import type { ConnectionOptions } from 'node:tls';
import { errors, type ConninfoParams } from '../../index.js';
import { parseConnectionString } from './connection-string.js';
import { withSecretsHidden, type ConnectionParameters } from './connection-parameters.js';
import { defaults } from './defaults.js';
import { tlsParams, type SslConfig } from './tls.js';
import type { CustomTypes } from './type-parsers.js';

/** A password, or a function that gives it at each connect. */
export type Password =
  | string
  | ((server: { host: string; port: number; user: string; database: string }) => string | Promise<string>);

/** The configuration of a connection, by node-postgres's names. Properties that are not listed here are ignored, as there. */
export interface ClientConfig {
  /** The role that signs in. @default PGUSER, or the name of the system's user */
  user?: string | undefined;
  /** The database's name. @default PGDATABASE, or the role */
  database?: string | undefined;
  /** The password, or a function that gives it at each connect. @default PGPASSWORD */
  password?: Password | null | undefined;
  /** The server's port. @default PGPORT, or 5432 */
  port?: number | string | undefined;
  /** The host's name, or the directory of a Unix socket. @default PGHOST, or localhost */
  host?: string | undefined;
  /** A URI; what it contains takes precedence over the other properties. */
  connectionString?: string | undefined;
  /** Whether the operating system checks a silent connection. @default true */
  keepAlive?: boolean | undefined;
  /** Milliseconds of silence after which the operating system checks the connection. */
  keepAliveInitialDelayMillis?: number | undefined;
  /** Milliseconds, or false for no limit; the same for the other limits. */
  statement_timeout?: number | string | false | undefined;
  /** Milliseconds for which a statement may wait for a lock. */
  lock_timeout?: number | string | false | undefined;
  /** Milliseconds after which the server ends a connection that is idle in a transaction. */
  idle_in_transaction_session_timeout?: number | string | false | undefined;
  /** Milliseconds for a query, including the time that it waits for earlier ones; it is then cancelled on the server. */
  query_timeout?: number | string | false | undefined;
  /** true: TLS, with the server's certificate checked; or the options of `tls.connect()` that concern certificates. */
  ssl?: boolean | string | ConnectionOptions | undefined;
  /** How TLS begins: 'direct' at once, 'postgres' after a question to the server. */
  sslnegotiation?: 'postgres' | 'direct' | undefined;
  /** The name in `pg_stat_activity`. */
  application_name?: string | undefined;
  /** The name in `pg_stat_activity` if no other is given. */
  fallback_application_name?: string | undefined;
  /** Milliseconds for connecting, and for waiting for a client of a pool; 0: no limit. */
  connectionTimeoutMillis?: number | string | undefined;
  /** The parsers of values. */
  types?: CustomTypes | undefined;
  /** Command-line options for the server, such as `-c search_path=app`. */
  options?: string | undefined;
  /** UTF8, as it is always. */
  client_encoding?: string | undefined;
  /** Without effect: values are read in the format that is faster. */
  binary?: boolean | undefined;
  /** Whether `end()` waits for the statements that were made before. Statements are sent one after the other in any case. */
  pipeline?: boolean | undefined;
  /** The number of executions after which a statement without a name is prepared on the server. @default null: never */
  prepareThreshold?: number | null | undefined;
}

/** Settings of a session that are sent when it begins. */
const LIMITS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;

/** Properties that node-postgres has and that cannot be honoured here, and what to do instead. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  stream: 'the library opens its sockets itself',
  connection: 'there is no Connection object',
  replication: 'it needs another client',
};

/** A configuration whose connection string has been parsed. */
export class Configuration {
  readonly config: ClientConfig;
  /** What the connection string contains beside node-postgres's properties, by libpq's names. */
  readonly #others: ConninfoParams;

  /** Raises `ProgrammingError` for an invalid connection string. */
  constructor(given: string | ClientConfig | null | undefined) {
    const config = typeof given === 'string' ? { connectionString: given } : (given ?? {});
    const { connectionString = '' } = config;
    const parsed = connectionString === '' ? null : parseConnectionString(connectionString);
    this.config = parsed === null ? config : { ...config, ...parsed.config };
    this.#others = parsed?.others ?? {};
  }

  get host(): string {
    return filled(this.config.host) ?? filled(process.env['PGHOST']) ?? defaults.host;
  }

  get port(): number {
    return Number(filled(this.config.port) ?? filled(process.env['PGPORT']) ?? defaults.port);
  }

  get user(): string | undefined {
    return (
      filled(this.config.user) ??
      filled(process.env['PGUSER']) ??
      filled(defaults.user) ??
      process.env['USER']
    );
  }

  get database(): string | undefined {
    return (
      filled(this.config.database) ??
      filled(process.env['PGDATABASE']) ??
      filled(defaults.database) ??
      this.user
    );
  }

  get password(): Password | null {
    return filled(this.config.password) ?? filled(process.env['PGPASSWORD']) ?? defaults.password;
  }

  /** Milliseconds for a query; 0: no limit. */
  get queryTimeout(): number {
    return milliseconds('query_timeout', this.config.query_timeout ?? defaults.query_timeout);
  }

  /** Milliseconds for connecting; 0: no limit. */
  get connectTimeout(): number {
    return milliseconds('connectionTimeoutMillis', this.config.connectionTimeoutMillis);
  }

  /** node-postgres's view of the configuration. */
  get parameters(): ConnectionParameters {
    const { config, host } = this;
    return withSecretsHidden({
      user: this.user,
      database: this.database,
      port: this.port,
      host,
      password: this.password,
      isDomainSocket: host.startsWith('/'),
      ssl: this.#shownSsl,
      sslnegotiation: filled(config.sslnegotiation),
      application_name:
        filled(config.application_name) ?? filled(process.env['PGAPPNAME']) ?? defaults.application_name,
      fallback_application_name:
        filled(config.fallback_application_name) ?? defaults.fallback_application_name,
      options: filled(config.options) ?? filled(process.env['PGOPTIONS']) ?? defaults.options,
      client_encoding: filled(config.client_encoding) ?? defaults.client_encoding,
      binary: config.binary ?? defaults.binary,
      statement_timeout: config.statement_timeout ?? defaults.statement_timeout,
      lock_timeout: config.lock_timeout ?? defaults.lock_timeout,
      idle_in_transaction_session_timeout:
        config.idle_in_transaction_session_timeout ?? defaults.idle_in_transaction_session_timeout,
      query_timeout: config.query_timeout ?? defaults.query_timeout,
      connect_timeout: Math.floor(this.connectTimeout / 1000),
    });
  }

  /** `ssl` as node-postgres shows it: what a connection string says of TLS stands there in its form, too. */
  get #shownSsl(): boolean | ConnectionOptions {
    const { sslmode } = this.#others;
    const ssl = sslmode === undefined ? this.#ssl : sslmode !== 'disable';
    if (ssl === 'no-verify' || sslmode === 'require') return { rejectUnauthorized: false };
    return typeof ssl === 'string' ? ssl !== 'false' : (ssl ?? false);
  }

  /** The library's parameters. Raises `NotSupportedError` for a property that cannot be honoured. */
  get conninfo(): ConninfoParams {
    const { config, host } = this;
    for (const [name, reason] of Object.entries(UNSUPPORTED)) {
      const value: unknown = Reflect.get(config, name);
      if (value !== undefined && value !== null && value !== false) {
        throw new errors.NotSupportedError(
          `the option \`${name}\` of node-postgres is not supported: ${reason}`,
        );
      }
    }
    const { keepAlive, keepAliveInitialDelayMillis: delay = 0 } = config;
    return {
      host,
      port: this.port,
      user: this.user,
      dbname: this.database,
      password: passwordOf(this.password),
      application_name: filled(config.application_name) ?? filled(defaults.application_name),
      fallback_application_name:
        filled(config.fallback_application_name) ?? filled(defaults.fallback_application_name),
      options: this.#options,
      client_encoding: filled(config.client_encoding),
      keepalives: keepAlive === undefined ? undefined : Number(keepAlive),
      keepalives_idle: delay < 1000 ? undefined : Math.floor(delay / 1000),
      sslnegotiation: filled(config.sslnegotiation),
      ...('sslmode' in this.#others ? {} : tlsParams(this.#ssl, host)),
      ...this.#others,
    };
  }

  get #ssl(): SslConfig {
    const mode = process.env['PGSSLMODE'];
    if (this.config.ssl !== undefined) return this.config.ssl;
    if (mode === undefined || mode === '') return defaults.ssl;
    return mode === 'no-verify' ? mode : mode !== 'disable';
  }

  /** The command-line options for the server, the limits among them. */
  get #options(): string | undefined {
    const { config } = this;
    const given = filled(config.options) ?? filled(process.env['PGOPTIONS']) ?? filled(defaults.options);
    const limits = LIMITS.map((name) => [name, milliseconds(name, config[name] ?? defaults[name])] as const)
      .filter(([, value]) => value > 0)
      .map(([name, value]) => `-c ${name}=${String(value)}`);
    return filled([given, ...limits].filter((part) => part !== undefined).join(' '));
  }
}

/** Undefined for what node-postgres takes as not given. */
function filled<T>(value: T | '' | null | undefined): T | undefined {
  return value === '' || value === null ? undefined : value;
}

function milliseconds(name: string, value: unknown): number {
  if (value === undefined || value === null || value === false || value === '') return 0;
  const number = Number(value);
  if (Number.isFinite(number) && number >= 0) return Math.floor(number);
  throw new errors.ProgrammingError(
    `expected \`${name}\` to be a number of milliseconds, got ${typeof value === 'string' ? `'${value}'` : typeof value}`,
  );
}

function passwordOf(password: Password | null): ConninfoParams['password'] {
  if (typeof password !== 'function') return password;
  return async ({ host, port, user, dbname }) => {
    const given: unknown = await password({ host, port, user, database: dbname });
    if (given === undefined || given === null) return '';
    if (typeof given === 'string') return given;
    throw new TypeError('Password must be a string');
  };
}
