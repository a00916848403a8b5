import * as errors from '../errors/index.js';
import { FOREIGN_VALUES } from '../options/foreign-names.js';
import { checkPem, isPem } from './pem.js';

/** How the library treats one connection parameter. */
export interface Parameter {
  /** The environment variable that supplies the value if the parameter is not given. */
  readonly env?: string;
  /** The values that the library supports; undefined: any. */
  readonly honoured?: readonly string[];
  /** The values that libpq accepts and the library does not. libpq rejects any further value, too. */
  readonly refused?: readonly string[];
  /** Whether messages and `dsn` must leave the value out. */
  readonly secret?: boolean;
}

/** For a parameter that is not supported at all; an empty value counts as not given. */
const OFF: readonly string[] = [''];

/** libpq's connection parameters. A parameter or value that is not `honoured` is refused by name, never ignored. */
const TABLE = {
  service: { env: 'PGSERVICE' },
  servicefile: { env: 'PGSERVICEFILE' },
  user: { env: 'PGUSER' },
  password: { env: 'PGPASSWORD', secret: true },
  passfile: { env: 'PGPASSFILE' },
  require_auth: { env: 'PGREQUIREAUTH' },
  channel_binding: {
    env: 'PGCHANNELBINDING',
    honoured: ['', 'disable', 'prefer', 'require'],
    refused: [],
  },
  connect_timeout: { env: 'PGCONNECT_TIMEOUT' },
  dbname: { env: 'PGDATABASE' },
  host: { env: 'PGHOST' },
  hostaddr: { env: 'PGHOSTADDR' },
  port: { env: 'PGPORT' },
  client_encoding: { env: 'PGCLIENTENCODING' },
  options: { env: 'PGOPTIONS' },
  application_name: { env: 'PGAPPNAME' },
  fallback_application_name: {},
  keepalives: {},
  keepalives_idle: {},
  // Node cannot set these socket options; 0 leaves them to the operating system.
  keepalives_interval: { honoured: ['', '0'] },
  keepalives_count: { honoured: ['', '0'] },
  tcp_user_timeout: { honoured: ['', '0'] },
  sslmode: {
    env: 'PGSSLMODE',
    honoured: ['', 'disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
    refused: [],
  },
  sslnegotiation: { env: 'PGSSLNEGOTIATION', honoured: ['', 'postgres', 'direct'], refused: [] },
  sslcompression: { env: 'PGSSLCOMPRESSION', honoured: ['', '0'] },
  sslcert: { env: 'PGSSLCERT' },
  sslkey: { env: 'PGSSLKEY' },
  sslpassword: { secret: true },
  // Node does not report whether the server requested a certificate.
  sslcertmode: { env: 'PGSSLCERTMODE', honoured: ['', 'disable', 'allow'], refused: ['require'] },
  sslrootcert: { env: 'PGSSLROOTCERT' },
  sslcrl: { env: 'PGSSLCRL' },
  sslcrldir: { env: 'PGSSLCRLDIR' },
  sslkeylogfile: { honoured: OFF },
  sslsni: { env: 'PGSSLSNI', honoured: ['', '0', '1'] },
  requirepeer: { env: 'PGREQUIREPEER', honoured: OFF },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION' },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION' },
  min_protocol_version: { env: 'PGMINPROTOCOLVERSION', honoured: ['', '3.0'] },
  max_protocol_version: { env: 'PGMAXPROTOCOLVERSION', honoured: ['', '3.0', '3.2', 'latest'] },
  gssencmode: { env: 'PGGSSENCMODE', honoured: ['', 'disable', 'prefer'], refused: ['require'] },
  krbsrvname: { env: 'PGKRBSRVNAME' },
  gsslib: { env: 'PGGSSLIB' },
  gssdelegation: { env: 'PGGSSDELEGATION', honoured: ['', '0'] },
  replication: { honoured: ['', 'false', 'off', 'no', '0'] },
  target_session_attrs: {
    env: 'PGTARGETSESSIONATTRS',
    honoured: ['', 'any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
    refused: [],
  },
  load_balance_hosts: { env: 'PGLOADBALANCEHOSTS', honoured: ['', 'disable', 'random'], refused: [] },
  scram_client_key: { honoured: OFF, secret: true },
  scram_server_key: { honoured: OFF, secret: true },
  oauth_issuer: { honoured: OFF },
  oauth_client_id: { honoured: OFF },
  oauth_client_secret: { honoured: OFF, secret: true },
  oauth_scope: { honoured: OFF },
} satisfies Readonly<Record<string, Parameter>>;

/** The name of a parameter that libpq knows. */
export type ParameterName = keyof typeof TABLE;

export const PARAMETERS: Readonly<Record<string, Parameter>> = TABLE;

/** Server settings that only the environment supplies: environment variable to the server's name of the setting. */
export const ENVIRONMENT_SETTINGS: Readonly<Record<string, string>> = {
  PGDATESTYLE: 'datestyle',
  PGTZ: 'timezone',
  PGGEQO: 'geqo',
};

/** The `sslmode` that the obsolete `requiressl` or PGREQUIRESSL stands for. */
export function requiredSslMode(requiressl: string): string {
  return requiressl.startsWith('1') ? 'require' : 'prefer';
}

/** Raises an error that names the parameter if a value is not supported. */
export function checkHonoured(params: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(params)) {
    checkPem(name, value);
    const { honoured, refused, secret } = PARAMETERS[name] ?? {};
    if (honoured === undefined || honoured.includes(value)) continue;
    if (refused?.includes(value) === false) {
      const meant = FOREIGN_VALUES[name]?.[value];
      const known = [...honoured, ...refused].filter((candidate) => candidate !== '').join(', ');
      throw new errors.OperationalError(
        `invalid value "${value}" of the connection parameter ${name}; it should be ${meant ?? `one of ${known}`}`,
      );
    }
    const shown = secret === true ? name : `${name}=${value}`;
    throw new errors.NotSupportedError(`the connection parameter ${shown} is not supported yet`);
  }
}

/** The parameters without passwords, PEM text and other secrets. */
export function withoutSecrets(params: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).filter(([name, value]) => PARAMETERS[name]?.secret !== true && !isPem(value)),
  );
}
