import type { ConnectionOptions } from 'node:tls';
import type { Password } from './config.js';

/** What a client connects with: node-postgres's `client.connectionParameters`. Frozen, since a change would have no effect. */
export interface ConnectionParameters {
  /** The role that signs in. */
  readonly user: string | undefined;
  /** The database's name. */
  readonly database: string | undefined;
  /** The server's port. */
  readonly port: number;
  /** The host's name, or the directory of the Unix socket. */
  readonly host: string;
  /** The password, or the function that gives it. Not enumerable, so that no log shows it. */
  readonly password: Password | null;
  /** Whether the host is the directory of a Unix socket. */
  readonly isDomainSocket: boolean;
  /** Whether the connection uses TLS, or its options. The `key` is not enumerable, so that no log shows it. */
  readonly ssl: boolean | ConnectionOptions;
  /** How TLS begins. */
  readonly sslnegotiation: 'postgres' | 'direct' | undefined;
  /** The name in `pg_stat_activity`. */
  readonly application_name: string | undefined;
  /** The name in `pg_stat_activity` if no other is given. */
  readonly fallback_application_name: string | undefined;
  /** Command-line options for the server, as configured. */
  readonly options: string | undefined;
  /** As configured; the encoding is always UTF8. */
  readonly client_encoding: string;
  /** As configured; without effect. */
  readonly binary: boolean;
  /** Milliseconds for a statement, or false for no limit; the same for the other limits. */
  readonly statement_timeout: number | string | false;
  /** Milliseconds for which a statement may wait for a lock. */
  readonly lock_timeout: number | string | false;
  /** Milliseconds after which the server ends a connection that is idle in a transaction. */
  readonly idle_in_transaction_session_timeout: number | string | false;
  /** Milliseconds for a query. */
  readonly query_timeout: number | string | false;
  /** Seconds for connecting; 0: no limit. */
  readonly connect_timeout: number;
}

/** Freezes the parameters with their secrets hidden from logs. */
export function withSecretsHidden(parameters: ConnectionParameters): ConnectionParameters {
  const { ssl } = parameters;
  return Object.freeze(
    Object.defineProperties(
      { ...parameters, ssl: typeof ssl === 'object' ? hidden({ ...ssl }, 'key', ssl.key) : ssl },
      { password: { value: parameters.password, enumerable: false } },
    ),
  );
}

/** Gives an object a property that is not enumerable, if it has a value. */
function hidden<T extends object>(object: T, name: string, value: unknown): T {
  if (value === undefined) return object;
  return Object.defineProperty(object, name, { value, enumerable: false });
}
