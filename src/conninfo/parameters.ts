import * as errors from '../errors/index.js';

/** How a parameter is treated when it comes to connecting. */
export interface Parameter {
  /** The environment variable it is taken from, if it is not given. */
  readonly env?: string;
  /** The values that can be honoured; undefined: any. */
  readonly honoured?: readonly string[];
}

/** Parameters that need TLS, which has to be told from those that may be ignored. */
const OFF: readonly string[] = [''];

/** The parameters that libpq knows. What is not `honoured` is refused by name, never ignored. */
export const PARAMETERS: Readonly<Record<string, Parameter>> = {
  service: { env: 'PGSERVICE' },
  servicefile: { env: 'PGSERVICEFILE' },
  user: { env: 'PGUSER' },
  password: { env: 'PGPASSWORD' },
  passfile: { env: 'PGPASSFILE' },
  require_auth: { env: 'PGREQUIREAUTH', honoured: OFF },
  channel_binding: { env: 'PGCHANNELBINDING', honoured: ['disable', 'prefer', ''] },
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
  keepalives_interval: {},
  keepalives_count: {},
  tcp_user_timeout: { honoured: ['', '0'] },
  // Without TLS the server has the last word, as with 'allow' and 'prefer'.
  sslmode: { env: 'PGSSLMODE', honoured: ['', 'disable', 'allow', 'prefer'] },
  sslnegotiation: { env: 'PGSSLNEGOTIATION', honoured: ['', 'postgres'] },
  sslcompression: { env: 'PGSSLCOMPRESSION', honoured: ['', '0'] },
  sslcert: { env: 'PGSSLCERT', honoured: OFF },
  sslkey: { env: 'PGSSLKEY', honoured: OFF },
  sslpassword: { honoured: OFF },
  sslcertmode: { env: 'PGSSLCERTMODE', honoured: ['', 'disable', 'allow'] },
  sslrootcert: { env: 'PGSSLROOTCERT', honoured: OFF },
  sslcrl: { env: 'PGSSLCRL', honoured: OFF },
  sslcrldir: { env: 'PGSSLCRLDIR', honoured: OFF },
  sslsni: { env: 'PGSSLSNI', honoured: ['', '0', '1'] },
  requirepeer: { env: 'PGREQUIREPEER', honoured: OFF },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION', honoured: ['', 'TLSv1.2'] },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION', honoured: OFF },
  min_protocol_version: { env: 'PGMINPROTOCOLVERSION', honoured: ['', '3.0'] },
  max_protocol_version: { env: 'PGMAXPROTOCOLVERSION', honoured: ['', '3.0', 'latest'] },
  gssencmode: { env: 'PGGSSENCMODE', honoured: ['', 'disable', 'prefer'] },
  krbsrvname: { env: 'PGKRBSRVNAME' },
  gsslib: { env: 'PGGSSLIB' },
  gssdelegation: { env: 'PGGSSDELEGATION', honoured: ['', '0'] },
  replication: { honoured: ['', 'false', 'off', 'no', '0'] },
  target_session_attrs: { env: 'PGTARGETSESSIONATTRS', honoured: ['', 'any'] },
  load_balance_hosts: { env: 'PGLOADBALANCEHOSTS', honoured: ['', 'disable'] },
};

/** Refuses a name that is not a parameter's. */
export function checkName(name: string): void {
  if (!Object.hasOwn(PARAMETERS, name)) {
    throw new errors.ProgrammingError(`invalid connection option "${name}"`);
  }
}

/** Refuses what can't be honoured, naming the parameter. */
export function checkHonoured(params: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(params)) {
    const { honoured } = PARAMETERS[name] ?? {};
    if (honoured !== undefined && !honoured.includes(value)) {
      const shown = name === 'sslpassword' ? name : `${name}=${value}`;
      throw new errors.NotSupportedError(`the connection parameter ${shown} is not supported yet`);
    }
  }
  if (params['host']?.includes(',') === true || params['hostaddr']?.includes(',') === true) {
    throw new errors.NotSupportedError(
      'several hosts in the connection parameter host are not supported yet',
    );
  }
}
