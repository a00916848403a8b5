import { Buffer } from 'node:buffer';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { errors, type ConninfoParams } from '../../index.js';

/** What node-postgres takes as `ssl`. */
export type SslConfig = boolean | string | ConnectionOptions | undefined;

/** The options of `tls.connect()` that have a counterpart; `require` is written by many and means nothing to either. */
const KNOWN: ReadonlySet<string> = new Set<keyof ConnectionOptions | 'require'>([
  'rejectUnauthorized',
  'ca',
  'cert',
  'key',
  'passphrase',
  'crl',
  'servername',
  'minVersion',
  'maxVersion',
  'require',
]);

/**
 * The library's TLS parameters for node-postgres's `ssl`. As there, TLS means that the server's certificate and name are checked, unless
 * `rejectUnauthorized` is false; and no TLS is the default. Raises `NotSupportedError` for an option without a counterpart.
 */
export function tlsParams(ssl: SslConfig, host: string | undefined): ConninfoParams {
  if (ssl === undefined || ssl === false || ssl === 'false' || ssl === '') return { sslmode: 'disable' };
  if (ssl === 'no-verify') return { sslmode: 'require' };
  // As there, any other text, such as `require`, means what true does.
  if (ssl === true || typeof ssl === 'string') return { sslmode: 'verify-full', sslrootcert: 'system' };
  if (typeof ssl !== 'object') {
    throw new errors.ProgrammingError(`expected \`ssl\` to be a boolean or an object, got ${typeof ssl}`);
  }
  checkNames(ssl);
  const { ca, cert, key, passphrase, crl, minVersion, maxVersion } = ssl;
  const checked = ssl.rejectUnauthorized !== false;
  return {
    sslmode: checked ? 'verify-full' : 'require',
    sslrootcert: checked ? (pem('ca', ca) ?? 'system') : undefined,
    sslcert: pem('cert', cert),
    sslkey: pem('key', key),
    sslpassword: passphrase,
    sslcrl: pem('crl', crl),
    ssl_min_protocol_version: minVersion,
    ssl_max_protocol_version: maxVersion,
    ...namedHost(ssl.servername, host),
  };
}

function checkNames(ssl: ConnectionOptions): void {
  for (const [name, value] of Object.entries(ssl)) {
    if (value === undefined || KNOWN.has(name)) continue;
    const advice =
      name === 'checkServerIdentity'
        ? ': the name is checked as libpq does; `?sslmode=verify-ca&uselibpqcompat=true` in the connection string leaves that out'
        : '';
    throw new errors.NotSupportedError(
      `the option \`ssl.${name}\` of node-postgres is not supported${advice}`,
    );
  }
}

/** The name in the certificate of a server that is reached by its address. */
function namedHost(servername: string | undefined, host: string | undefined): ConninfoParams {
  if (servername === undefined || servername === '' || servername === host) return {};
  if (host !== undefined && isIP(host) !== 0) return { host: servername, hostaddr: host };
  throw new errors.NotSupportedError(
    'the option `ssl.servername` of node-postgres is not supported for a host given by name; give its address as `host`',
  );
}

/** Certificates or keys in PEM, which `tls.connect()` also takes as a list. */
function pem(name: string, value: ConnectionOptions['ca' | 'key']): string | undefined {
  if (value === undefined || value === null) return undefined;
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return parts
    .map((part) => {
      if (typeof part === 'string') return part;
      if (Buffer.isBuffer(part)) return part.toString('latin1');
      throw new errors.NotSupportedError(`expected \`ssl.${name}\` to be text or bytes in PEM`);
    })
    .join('\n');
}
