import * as errors from '../errors/index.js';

/** How strictly TLS is required (libpq: `sslmode`). */
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** The parameters of TLS. Files that are not given default to libpq's paths; some may be PEM text instead (see pem.ts). */
export interface TlsSettings {
  readonly mode: SslMode;
  /** 'direct' begins the TLS handshake at once; 'postgres' asks the server first. */
  readonly negotiation: 'postgres' | 'direct';
  /** A file or PEM text of root certificates; 'system' for Node's own; null for the default file, if it exists. */
  readonly rootCert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly password: string | null;
  /** Whether a client certificate may be sent. */
  readonly sendsCert: boolean;
  readonly crl: string | null;
  readonly crlDirectory: string | null;
  /** Whether the TLS handshake sends the host's name, unencrypted (SNI). */
  readonly sni: boolean;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion | null;
}

const VERSIONS: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const STRONG: ReadonlySet<string> = new Set<SslMode>(['require', 'verify-ca', 'verify-full']);

/**
 * Reads the TLS parameters, whose single values were validated before. Raises `OperationalError` for a contradictory combination.
 */
export function readTlsSettings(params: Readonly<Record<string, string>>): TlsSettings {
  const given = (name: string): string | null => params[name] || null;
  const rootCert = given('sslrootcert');
  const mode = (given('sslmode') ?? (rootCert === 'system' ? 'verify-full' : 'prefer')) as SslMode;
  if (rootCert === 'system' && mode !== 'verify-full') {
    throw new errors.OperationalError(
      `sslmode=${mode} is too weak for sslrootcert=system, which accepts any server with a publicly trusted certificate; use verify-full`,
    );
  }
  const negotiation = given('sslnegotiation') === 'direct' ? 'direct' : 'postgres';
  if (negotiation === 'direct' && !STRONG.has(mode)) {
    throw new errors.OperationalError(
      `sslmode=${mode} is too weak for sslnegotiation=direct; use require, verify-ca or verify-full`,
    );
  }
  const minVersion = version('ssl_min_protocol_version', given('ssl_min_protocol_version')) ?? 'TLSv1.2';
  const maxVersion = version('ssl_max_protocol_version', given('ssl_max_protocol_version'));
  if (maxVersion !== null && VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    throw new errors.OperationalError(
      `ssl_min_protocol_version (${minVersion}) is above ssl_max_protocol_version (${maxVersion})`,
    );
  }
  return {
    mode,
    negotiation,
    rootCert,
    cert: given('sslcert'),
    key: given('sslkey'),
    password: given('sslpassword'),
    sendsCert: given('sslcertmode') !== 'disable',
    crl: given('sslcrl'),
    crlDirectory: given('sslcrldir'),
    sni: given('sslsni') !== '0',
    minVersion,
    maxVersion,
  };
}

function version(name: string, value: string | null): TlsVersion | null {
  if (value === null) return null;
  const known = VERSIONS.find((candidate) => candidate.toLowerCase() === value.toLowerCase());
  if (known !== undefined) return known;
  throw new errors.OperationalError(
    `invalid value "${value}" of the connection parameter ${name}; it should be one of ${VERSIONS.join(', ')}`,
  );
}
