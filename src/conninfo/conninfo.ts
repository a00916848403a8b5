import * as errors from '../errors/index.js';
import { storeParameter } from './parameters.js';
import { parseConninfo } from './parse.js';

/** The connection parameters that editors complete. libpq's other parameters are accepted as well. */
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
 * Parses a connection string and merges `params` into it (Psycopg: `conninfo_to_dict`). Values in `params` win; null and
 * undefined remove nothing and add nothing. Raises `ProgrammingError` for a malformed string, an unknown parameter or a value of
 * the wrong type.
 *
 * @example
 * conninfoToDict('host=db.example.com dbname=app', { port: 5433 });
 * // { host: 'db.example.com', dbname: 'app', port: '5433' }
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
 * Merges `params` into `conninfo` and writes the result as a connection string (Psycopg: `make_conninfo`). Without `params`,
 * validates `conninfo` and returns it unchanged. Raises `ProgrammingError`.
 *
 * @example
 * makeConninfo('postgresql://db.example.com/app', { application_name: 'worker 1' });
 * // "host=db.example.com dbname=app application_name='worker 1'"
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

/** Quotes a value for a connection string, if it needs quotes. */
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
