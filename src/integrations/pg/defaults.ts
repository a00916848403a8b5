import { setInt8AsNumber, types } from './types.js';

/** The defaults of connections and conversions, by node-postgres's names. A change applies to what is made afterwards. */
export interface Defaults {
  host: string;
  port: number;
  user: string | undefined;
  database: string | undefined;
  password: string | null;
  ssl: boolean;
  application_name: string | undefined;
  fallback_application_name: string | undefined;
  options: string | undefined;
  /** Milliseconds, or false for no limit; the same for the other limits. */
  statement_timeout: number | false;
  lock_timeout: number | false;
  idle_in_transaction_session_timeout: number | false;
  query_timeout: number | false;
  /** The size of a pool. */
  max: number;
  /** Milliseconds after which a pool closes an idle connection. */
  idleTimeoutMillis: number;
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
  get parseInputDatesAsUTC() {
    return types.sendsUtc;
  },
  set parseInputDatesAsUTC(value) {
    types.sendsUtc = value;
  },
  get parseInt8() {
    return int8AsNumber;
  },
  set parseInt8(value) {
    int8AsNumber = value;
    setInt8AsNumber(value);
  },
};
