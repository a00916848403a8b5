import * as errors from '../errors/index.js';
import { storeParameter } from './parameters.js';
import { parseConninfo } from './parse.js';

/** A connection parameter that is known by name here, for editors to offer; libpq's others are accepted as well. */
type KnownParameter =
  | 'host'
  | 'hostaddr'
  | 'port'
  | 'dbname'
  | 'user'
  | 'password'
  | 'passfile'
  | 'service'
  | 'connect_timeout'
  | 'application_name'
  | 'fallback_application_name'
  | 'options'
  | 'target_session_attrs'
  | 'load_balance_hosts'
  | 'require_auth'
  | 'channel_binding'
  | 'sslmode'
  | 'sslnegotiation'
  | 'sslrootcert'
  | 'sslcert'
  | 'sslkey'
  | 'sslpassword'
  | 'sslcrl'
  | 'sslcrldir'
  | 'sslsni'
  | 'ssl_min_protocol_version'
  | 'ssl_max_protocol_version';

/** Connection parameters by libpq's names; `connect_timeout` is in seconds. */
export type ConninfoParams = {
  readonly [name in KnownParameter | (string & {})]?: string | number | bigint | boolean | null | undefined;
};

/**
 * The parameters in a connection string, changed and completed by `params` (Psycopg: `conninfo_to_dict`). A parameter of null or
 * undefined is as if it were not there. Raises `ProgrammingError`.
 */
export function conninfoToDict(conninfo = '', params: ConninfoParams = {}): Record<string, string> {
  const dict = parseConninfo(conninfo);
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined) continue;
    storeParameter(dict, name, checkValue(name, value));
  }
  return dict;
}

/**
 * A connection string that says the same as `conninfo` with `params`; without any, `conninfo` as it is, once it is known to be
 * well-formed (Psycopg: `make_conninfo`). Raises `ProgrammingError`.
 */
export function makeConninfo(conninfo = '', params: ConninfoParams = {}): string {
  if (Object.keys(params).length === 0) {
    parseConninfo(conninfo);
    return conninfo;
  }
  return Object.entries(conninfoToDict(conninfo, params))
    .map(([name, value]) => `${name}=${quoteValue(value)}`)
    .join(' ');
}

/** A value as a connection string writes it. */
export function quoteValue(value: string): string {
  return /^[^\s'\\]+$/.test(value) ? value : `'${value.replace(/['\\]/g, '\\$&')}'`;
}

function checkValue(name: string, value: unknown): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') {
    throw new errors.ProgrammingError(
      `expected the connection parameter ${name} to be a string, got a ${typeof value}`,
    );
  }
  const text = String(value);
  if (text.includes('\0'))
    throw new errors.ProgrammingError(`the connection parameter ${name} contains a NUL character`);
  return text;
}
