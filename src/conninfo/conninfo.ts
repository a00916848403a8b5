import * as errors from '../errors/index.js';
import { checkArgument, OBJECT, TEXT } from '../options/kinds.js';
import { checkName, storeParameter } from './parameter-names.js';
import type { ParameterName } from './parameters.js';
import { parseConninfo } from './parse.js';
import { pemOf, type PemParameter } from './pem.js';

/** The server that a password is asked for. */
export interface PasswordRequest {
  /** The host's name, or the directory of the Unix socket. */
  readonly host: string;
  /** The server's port. */
  readonly port: number;
  /** The role that signs in. */
  readonly user: string;
  /** The database's name. */
  readonly dbname: string;
}

/**
 * Gives the password for a server, such as a token that is valid for some minutes. It is called at each connect, once for each host
 * that is tried, within `connect_timeout`; what it gives is not kept for the next.
 */
export type PasswordFunction = (server: PasswordRequest) => string | Promise<string>;

type ParameterValue = string | number | bigint | boolean | null | undefined;

/**
 * Connection parameters by libpq's names; `connect_timeout` is in seconds. `password` may be a function that is asked at each
 * connect. `sslrootcert`, `sslcert`, `sslkey` and `sslcrl` are paths of files, or PEM text as a string or a Buffer.
 */
export type ConninfoParams = {
  readonly [name in ParameterName | 'requiressl']?: name extends 'password'
    ? ParameterValue | PasswordFunction
    : name extends PemParameter
      ? ParameterValue | Uint8Array
      : ParameterValue;
};

/** The parameters of a connection string or an object, and the function that gives the password; null: there is none. */
export function readConninfo(conninfo: string | ConninfoParams): {
  readonly params: Record<string, string>;
  readonly password: PasswordFunction | null;
} {
  if (typeof conninfo === 'string') return { params: conninfoToDict(conninfo), password: null };
  const { password, ...params } = conninfo;
  if (typeof password !== 'function') {
    return { params: conninfoToDict('', { ...params, password }), password: null };
  }
  return { params: conninfoToDict('', params), password };
}

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
  checkArgument('the connection string', conninfo, TEXT);
  checkArgument('the connection parameters', params, OBJECT);
  const dict = parseConninfo(conninfo);
  for (const [name, value] of Object.entries<unknown>(params)) {
    if (value === null || value === undefined) continue;
    checkName(name, value);
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
  const dict = conninfoToDict(conninfo, params);
  if (Object.keys(params).length === 0) return conninfo;
  return Object.entries(dict)
    .map(([name, value]) => `${name}=${quoteValue(value)}`)
    .join(' ');
}

/** Quotes a value for a connection string, if it needs quotes. */
export function quoteValue(value: string): string {
  return /^[^\s'\\]+$/.test(value) ? value : `'${value.replace(/['\\]/g, '\\$&')}'`;
}

function checkValue(name: string, value: unknown): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (ArrayBuffer.isView(value)) return pemOf(name, value);
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') {
    throw new errors.ProgrammingError(
      name === 'password' && typeof value === 'function'
        ? 'a connection string has no place for a function: pass the parameters as an object where the password is a function'
        : `expected the connection parameter ${name} to be a string, got a ${typeof value}`,
    );
  }
  const text = String(value);
  if (text.includes('\0'))
    throw new errors.ProgrammingError(`the connection parameter ${name} contains a NUL character`);
  return text;
}
