import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import * as errors from '../errors/index.js';
import { conninfoToDict, type ConninfoParams } from './conninfo.js';
import { checkHonoured, PARAMETERS, requiredSslMode } from './parameters.js';
import { readPasswordFile } from './password-file.js';
import { readService } from './service-file.js';

/** All that is needed to connect. */
export interface ResolvedConninfo {
  /** The host's name, or the directory of a unix socket. */
  readonly host: string;
  readonly hostaddr: string | null;
  readonly port: number;
  /** The path of the unix socket, or null for TCP. */
  readonly path: string | null;
  readonly user: string;
  readonly dbname: string;
  readonly password: string | null;
  /** Seconds; null where it is not limited. */
  readonly connectTimeout: number | null;
  readonly keepalives: { readonly enabled: boolean; readonly idleSeconds: number | null };
  /** Settings for the startup message. */
  readonly startupParameters: Readonly<Record<string, string>>;
  /** The parameters given by whatever source, without defaults and without the password. */
  readonly params: Readonly<Record<string, string>>;
}

/** Where Debian and others have their sockets; libpq's own default is compiled in. */
const SOCKET_DIRECTORY = '/var/run/postgresql';
const DEFAULT_PORT = '5432';

/**
 * Completes connection parameters in libpq's order: those given, the service file, the environment, the password file, the
 * defaults. Raises `NotSupportedError` for a parameter that can't be honoured, `ProgrammingError` for one that is malformed,
 * `OperationalError` for a value that is out of range.
 */
export async function resolveConninfo(conninfo: string | ConninfoParams = ''): Promise<ResolvedConninfo> {
  const given = typeof conninfo === 'string' ? conninfoToDict(conninfo) : conninfoToDict('', conninfo);
  const service = given['service'] ?? process.env['PGSERVICE'];
  const fromService =
    service === undefined
      ? {}
      : await readService(service, given['servicefile'] ?? process.env['PGSERVICEFILE']);
  const params = { ...fromEnvironment(), ...fromService, ...given };
  checkHonoured(params);
  const { password: explicitPassword, ...shown } = params;

  const user = nonEmpty(params['user']) ?? systemUser();
  const dbname = nonEmpty(params['dbname']) ?? user;
  const port = portNumber(nonEmpty(params['port']) ?? DEFAULT_PORT);
  const hostaddr = nonEmpty(params['hostaddr']) ?? null;
  if (hostaddr !== null && isIP(hostaddr) === 0) {
    throw new errors.OperationalError(`hostaddr "${hostaddr}" is not a network address; a name goes to host`);
  }
  const host = nonEmpty(params['host']) ?? hostaddr ?? defaultHost();
  const isDirectory = hostaddr === null && (host.startsWith('/') || host.startsWith('@'));
  const password =
    nonEmpty(explicitPassword) ??
    (await readPasswordFile(
      // A socket in the default directory counts as localhost.
      { host: isDirectory && host === SOCKET_DIRECTORY ? 'localhost' : host, port, database: dbname, user },
      nonEmpty(params['passfile']),
    ));
  return {
    host,
    hostaddr,
    port,
    path: isDirectory ? `${host.replace(/^@/, '\0')}/.s.PGSQL.${String(port)}` : null,
    user,
    dbname,
    password,
    connectTimeout: connectTimeout(params['connect_timeout']),
    keepalives: {
      enabled: integer('keepalives', nonEmpty(params['keepalives']) ?? '1') !== 0,
      idleSeconds: idleSeconds(params['keepalives_idle']),
    },
    startupParameters: startupParameters(params),
    params: shown,
  };
}

function fromEnvironment(): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [name, { env }] of Object.entries(PARAMETERS)) {
    const value = env === undefined ? undefined : process.env[env];
    if (value !== undefined && value !== '') params[name] = value;
  }
  const requiressl = process.env['PGREQUIRESSL'];
  if (requiressl !== undefined) params['sslmode'] ??= requiredSslMode(requiressl);
  return params;
}

function startupParameters(params: Readonly<Record<string, string>>): Record<string, string> {
  const encoding = params['client_encoding'];
  if (encoding !== undefined && !/^(?:|auto|utf-?8|unicode)$/i.test(encoding)) {
    throw new errors.NotSupportedError(
      `the connection parameter client_encoding=${encoding} is not supported: it is always UTF8`,
    );
  }
  const startup: Record<string, string> = {};
  const name = nonEmpty(params['application_name']) ?? nonEmpty(params['fallback_application_name']);
  if (name !== undefined) startup['application_name'] = name;
  const options = nonEmpty(params['options']);
  if (options !== undefined) startup['options'] = options;
  return startup;
}

/** A user id without a name, as containers have, can't be a default. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    throw new errors.OperationalError('the system has no name for this user; set user or PGUSER', { cause });
  }
}

function defaultHost(): string {
  return process.platform !== 'win32' && existsSync(SOCKET_DIRECTORY) ? SOCKET_DIRECTORY : 'localhost';
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function integer(name: string, value: string): number {
  const text = value.trim();
  // As libpq, which reads a C int.
  if (!/^[+-]?\d+$/.test(text) || Math.abs(Number(text)) > 2 ** 31 - 1) {
    throw new errors.OperationalError(`invalid integer value "${value}" for connection option "${name}"`);
  }
  return Number(text);
}

function portNumber(value: string): number {
  // In a URI whose special characters are not encoded, this may be a piece of the password.
  if (!/^\s*[+-]?\d+\s*$/.test(value)) {
    throw new errors.OperationalError(
      'the port is not a number; special characters of user and password have to be percent-encoded in a URI',
    );
  }
  const port = Number(value);
  // Digits may be a piece of the password as well, so they are not shown.
  if (port < 1 || port > 65_535)
    throw new errors.OperationalError('the port number is out of range: it should be from 1 to 65535');
  return port;
}

/** 0 and less leave it to the system, as in libpq. */
function idleSeconds(value: string | undefined): number | null {
  const seconds = integer('keepalives_idle', nonEmpty(value) ?? '0');
  return seconds <= 0 ? null : seconds;
}

/** libpq takes 0 and less for no limit, and nothing between 0 and 2 seconds. */
function connectTimeout(value: string | undefined): number | null {
  const text = nonEmpty(value);
  if (text === undefined) return null;
  const seconds = integer('connect_timeout', text);
  return seconds <= 0 ? null : Math.max(2, seconds);
}
