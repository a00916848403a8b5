import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { readAuthentication, type AuthenticationSettings } from './authentication.js';
import { readConninfo, type ConninfoParams, type PasswordFunction } from './conninfo.js';
import { readHosts, SOCKET_DIRECTORY, type HostTarget } from './hosts.js';
import { connectTimeout, idleSeconds, integer, nonEmpty } from './numbers.js';
import {
  checkHonoured,
  ENVIRONMENT_SETTINGS,
  PARAMETERS,
  requiredSslMode,
  withoutSecrets,
} from './parameters.js';
import { readPasswordFile } from './password-file.js';
import { readService } from './service-file.js';
import { readTlsSettings, type TlsSettings } from './tls-settings.js';

/** A host, and the password for it, or the function that gives it. */
export interface ResolvedHost extends HostTarget {
  readonly password: string | PasswordFunction | null;
}

/** The kind of server to connect to (libpq: `target_session_attrs`). */
export type TargetSessionAttrs =
  'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby';

/** Everything that connecting needs, completed and validated. */
export interface ResolvedConninfo {
  /** At least one host, in the order given. */
  readonly hosts: readonly ResolvedHost[];
  /** Whether hosts, and the addresses of each host, are tried in random order. */
  readonly loadBalance: boolean;
  readonly targetSessionAttrs: TargetSessionAttrs;
  readonly user: string;
  readonly dbname: string;
  readonly tls: TlsSettings;
  readonly authentication: AuthenticationSettings;
  /** Seconds allowed for each address; null: no limit. */
  readonly connectTimeout: number | null;
  readonly keepalives: { readonly enabled: boolean; readonly idleSeconds: number | null };
  /** Settings for the startup message. */
  readonly startupParameters: Readonly<Record<string, string>>;
  /** The parameters given by any source, without defaults and without secrets. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Completes connection parameters in libpq's order of precedence: given parameters, service file, environment, password file,
 * defaults. Raises `NotSupportedError` for a parameter that is not supported, `ProgrammingError` for a malformed one,
 * `OperationalError` for a value out of range.
 */
export async function resolveConninfo(conninfo: string | ConninfoParams = ''): Promise<ResolvedConninfo> {
  const { params: given, password: asked } = readConninfo(conninfo);
  const service = given['service'] ?? process.env['PGSERVICE'];
  const fromService =
    service === undefined
      ? {}
      : await readService(service, given['servicefile'] ?? process.env['PGSERVICEFILE']);
  const params = { ...fromEnvironment(), ...fromService, ...given };
  checkHonoured(params);
  const user = nonEmpty(params['user']) ?? systemUser();
  const dbname = nonEmpty(params['dbname']) ?? user;
  const hosts: ResolvedHost[] = [];
  for (const target of readHosts(params)) {
    const password =
      asked ?? nonEmpty(params['password']) ?? (await passwordFor(target, dbname, user, params));
    hosts.push({ ...target, password });
  }
  return {
    hosts,
    loadBalance: params['load_balance_hosts'] === 'random',
    // checkHonoured() has validated the value.
    targetSessionAttrs: (nonEmpty(params['target_session_attrs']) ?? 'any') as TargetSessionAttrs,
    user,
    dbname,
    tls: readTlsSettings(params),
    authentication: readAuthentication(params),
    connectTimeout: connectTimeout(params['connect_timeout']),
    keepalives: {
      enabled: integer('keepalives', nonEmpty(params['keepalives']) ?? '1') !== 0,
      idleSeconds: idleSeconds(params['keepalives_idle']),
    },
    startupParameters: startupParameters(params),
    params: withoutSecrets(params),
  };
}

async function passwordFor(
  { host, port, path }: HostTarget,
  database: string,
  user: string,
  params: Readonly<Record<string, string>>,
): Promise<string | null> {
  // As in libpq, the password file lists a socket in the default directory under localhost.
  const name = path !== null && host === SOCKET_DIRECTORY ? 'localhost' : host;
  return readPasswordFile({ host: name, port, database, user }, nonEmpty(params['passfile']));
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

/** Collects server settings from the environment. As in libpq, the value `default` leaves a setting to the server. */
function settingsFromEnvironment(): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [env, name] of Object.entries(ENVIRONMENT_SETTINGS)) {
    const value = nonEmpty(process.env[env]);
    if (value !== undefined && value.toLowerCase() !== 'default') settings[name] = value;
  }
  return settings;
}

function startupParameters(params: Readonly<Record<string, string>>): Record<string, string> {
  const encoding = params['client_encoding'];
  if (encoding !== undefined && !/^(?:|auto|utf-?8|unicode)$/i.test(encoding)) {
    throw new errors.NotSupportedError(
      `the connection parameter client_encoding=${encoding} is not supported: it is always UTF8`,
    );
  }
  const startup = settingsFromEnvironment();
  const name = nonEmpty(params['application_name']) ?? nonEmpty(params['fallback_application_name']);
  if (name !== undefined) startup['application_name'] = name;
  const options = nonEmpty(params['options']);
  if (options !== undefined) startup['options'] = options;
  return startup;
}

/** The operating system's user name. It is missing for a user id without an account, which is common in containers. */
function systemUser(): string {
  try {
    return node.os.userInfo().username;
  } catch (cause) {
    throw new errors.OperationalError('the system has no name for this user; set user or PGUSER', { cause });
  }
}
