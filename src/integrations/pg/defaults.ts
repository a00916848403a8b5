import { dateFormat, setInt8AsNumber } from './type-parsers.js';

/** The defaults of connections and conversions, by node-postgres's names. A change applies to what is made afterwards. */
export interface Defaults {
  /** The host. */
  host: string;
  /** The port. */
  port: number;
  /** The role. */
  user: string | undefined;
  /** The database. */
  database: string | undefined;
  /** The password. */
  password: string | null;
  /** Whether connections use TLS. */
  ssl: boolean;
  /** The name in `pg_stat_activity`. */
  application_name: string | undefined;
  /** The name in `pg_stat_activity` if no other is given. */
  fallback_application_name: string | undefined;
  /** Command-line options for the server. */
  options: string | undefined;
  /** Milliseconds, or false for no limit; the same for the other limits. */
  statement_timeout: number | false;
  /** Milliseconds for which a statement may wait for a lock. */
  lock_timeout: number | false;
  /** Milliseconds after which the server ends a connection that is idle in a transaction. */
  idle_in_transaction_session_timeout: number | false;
  /** Milliseconds after which a query is cancelled. */
  query_timeout: number | false;
  /** The size of a pool. */
  max: number;
  /** Milliseconds after which a pool closes an idle connection. */
  idleTimeoutMillis: number;
  /** Always UTF8, which an empty string means. */
  client_encoding: string;
  /** Without effect: values are read in the format that is faster. */
  binary: boolean;
  /** Without effect: a `Cursor` reads rows in pieces. */
  rows: number;
  /** Whether a `Date` is sent in UTC instead of local time. */
  parseInputDatesAsUTC: boolean;
  /** Whether `int8` and `int8[]` are read as numbers. */
  parseInt8: boolean;
}

let int8AsNumber = false;

/** node-postgres's `defaults`. */
export const defaults: Defaults = {
  host: 'localhost',
  port: 5432,
  user: undefined,
  database: undefined,
  password: null,
  ssl: false,
  application_name: undefined,
  fallback_application_name: undefined,
  options: undefined,
  statement_timeout: false,
  lock_timeout: false,
  idle_in_transaction_session_timeout: false,
  query_timeout: false,
  max: 10,
  idleTimeoutMillis: 10_000,
  client_encoding: '',
  binary: false,
  rows: 0,
  get parseInputDatesAsUTC() {
    return dateFormat.isUtc;
  },
  set parseInputDatesAsUTC(value) {
    dateFormat.isUtc = value;
  },
  get parseInt8() {
    return int8AsNumber;
  },
  set parseInt8(value) {
    int8AsNumber = value;
    setInt8AsNumber(value);
  },
};
