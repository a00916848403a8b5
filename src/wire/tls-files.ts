import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import type { TlsSettings } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';

/** The TLS context and policy for a connection. */
export interface TlsCredentials {
  readonly context: SecureContext;
  /** Whether a known authority must have signed the server's certificate. */
  readonly verify: boolean;
}

/**
 * Reads the certificate and key files of the TLS settings. As in libpq, a root certificate file that exists is used whatever
 * `sslmode` says, and a client certificate is sent if the file exists. Raises `OperationalError` for an unusable file.
 */
export async function loadCredentials(settings: TlsSettings): Promise<TlsCredentials> {
  const roots = await rootCertificates(settings);
  const crl = roots === null || roots === 'system' ? [] : await revocations(settings);
  const client = settings.sendsCert ? await clientCertificate(settings) : null;
  try {
    const context = node.tls.createSecureContext({
      // Without `ca` Node would load all the roots that it comes with.
      ...(roots === 'system' ? {} : { ca: roots ?? [] }),
      ...(crl.length === 0 ? {} : { crl }),
      ...(client ?? {}),
      minVersion: settings.minVersion,
      ...(settings.maxVersion === null ? {} : { maxVersion: settings.maxVersion }),
    });
    return { context, verify: roots !== null };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new errors.OperationalError(
      code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
        ? `the private key does not belong to the certificate "${certPath(settings)}"; set sslcert and sslkey to a pair`
        : `TLS could not be set up: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The path of a file in `~/.postgresql`, or in its counterpart on Windows. */
function defaultFile(name: string): string {
  return process.platform === 'win32'
    ? join(process.env['APPDATA'] ?? node.os.homedir(), 'postgresql', name)
    : join(node.os.homedir(), '.postgresql', name);
}

async function rootCertificates({ rootCert, mode }: TlsSettings): Promise<string[] | 'system' | null> {
  if (rootCert === 'system') return 'system';
  const path = rootCert ?? defaultFile('root.crt');
  const text = await readIfThere(path, 'root certificate file');
  if (text === null) {
    if (mode !== 'verify-ca' && mode !== 'verify-full') return null;
    throw new errors.OperationalError(
      `root certificate file "${path}" does not exist; provide it, use the certificates that Node trusts with` +
        ' sslrootcert=system, or change sslmode to give up verifying the server',
    );
  }
  const certificates = blocks(text, 'CERTIFICATE');
  for (const certificate of certificates) checkCertificate(certificate, path);
  if (certificates.length === 0) {
    throw new errors.OperationalError(`root certificate file "${path}" has no certificate in PEM format`);
  }
  return certificates;
}

async function revocations({ crl, crlDirectory }: TlsSettings): Promise<string[]> {
  const files: string[] = [];
  if (crl !== null) files.push(crl);
  if (crlDirectory !== null) files.push(...(await listsIn(crlDirectory)));
  const required = files.length > 0;
  if (!required) files.push(defaultFile('root.crl'));
  const lists: string[] = [];
  for (const path of files) {
    const text = await readIfThere(path, 'certificate revocation list');
    if (text === null && !required) continue;
    const found = blocks(text ?? '', 'X509 CRL');
    if (found.length === 0) {
      throw new errors.OperationalError(
        text === null
          ? `certificate revocation list "${path}" does not exist`
          : `certificate revocation list "${path}" has no list in PEM format`,
      );
    }
    lists.push(...found);
  }
  return lists;
}

/** The files of a directory prepared for OpenSSL, which are named by a hash, `.r` and a number. */
async function listsIn(directory: string): Promise<string[]> {
  let names: string[];
  try {
    names = await node.fs.readdir(directory);
  } catch (cause) {
    throw unreadable('directory of certificate revocation lists', directory, cause);
  }
  const lists = names.filter((name) => /^[0-9a-f]{8}\.r\d+$/.test(name));
  if (lists.length === 0) {
    throw new errors.OperationalError(
      `directory "${directory}" has no certificate revocation list; prepare it with "openssl rehash"`,
    );
  }
  return lists.map((name) => join(directory, name));
}

function certPath(settings: TlsSettings): string {
  return settings.cert ?? defaultFile('postgresql.crt');
}

async function clientCertificate(settings: TlsSettings): Promise<{ cert: string; key: string } | null> {
  const path = certPath(settings);
  const cert = await readIfThere(path, 'certificate file');
  // As in libpq, a file that sslcert names need not exist.
  if (cert === null) return null;
  const chain = blocks(cert, 'CERTIFICATE');
  if (chain.length === 0) {
    throw new errors.OperationalError(`certificate file "${path}" has no certificate in PEM format`);
  }
  for (const certificate of chain) checkCertificate(certificate, path);
  const keyPath = settings.key ?? defaultFile('postgresql.key');
  await checkKeyFile(keyPath, path);
  const key = await node.fs.readFile(keyPath).catch((cause: unknown) => {
    throw unreadable('private key file', keyPath, cause);
  });
  return { cert, key: decrypted(key, keyPath, settings.password) };
}

/** Raises `OperationalError` if the key file's permissions let other users read it. */
async function checkKeyFile(path: string, cert: string): Promise<void> {
  const stats = await node.fs.stat(path).catch((cause: unknown) => {
    throw isMissing(cause)
      ? new errors.OperationalError(
          `certificate "${cert}" is present, but not its private key file "${path}"`,
        )
      : unreadable('private key file', path, cause);
  });
  if (!stats.isFile()) {
    throw new errors.OperationalError(`private key file "${path}" is not a regular file`);
  }
  if (process.platform === 'win32') return;
  // A key that belongs to root may be readable by its group, since systems share keys that way.
  const forbidden = stats.uid === 0 ? 0o037 : 0o077;
  if ((stats.mode & forbidden) !== 0) {
    throw new errors.OperationalError(
      `private key file "${path}" has group or world access; it must have permissions u=rw (0600) or less if it belongs to` +
        ' the current user, u=rw,g=r (0640) or less if it belongs to root',
    );
  }
}

/** Returns the key as unencrypted PEM. The file may contain PEM or DER, and may be encrypted. */
function decrypted(key: Buffer, path: string, password: string | null): string {
  const passphrase = password ?? '';
  let object: KeyObject | null = null;
  let failure: unknown = null;
  const attempts = key.includes('-----BEGIN')
    ? [() => node.crypto.createPrivateKey({ key, format: 'pem', passphrase })]
    : (['pkcs8', 'pkcs1', 'sec1'] as const).map(
        (type) => () => node.crypto.createPrivateKey({ key, format: 'der', type, passphrase }),
      );
  for (const attempt of attempts) {
    try {
      object ??= attempt();
    } catch (error) {
      failure ??= error;
    }
  }
  if (object !== null) return object.export({ format: 'pem', type: 'pkcs8' }) as string;
  const encrypted = key.includes('ENCRYPTED');
  throw new errors.OperationalError(
    encrypted
      ? `private key file "${path}" is encrypted, and ${password === null ? 'there is no sslpassword' : 'sslpassword does not open it'}`
      : `private key file "${path}" could not be read: ${(failure as Error).message}`,
  );
}

function checkCertificate(certificate: string, path: string): void {
  try {
    new node.crypto.X509Certificate(certificate);
  } catch (cause) {
    throw new errors.OperationalError(
      `a certificate in "${path}" could not be read: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The PEM blocks of one kind; Node would take only the first of some, and nothing for none. */
function blocks(text: string, kind: string): string[] {
  return text.match(new RegExp(`-----BEGIN ${kind}-----[^]+?-----END ${kind}-----`, 'g')) ?? [];
}

async function readIfThere(path: string, what: string): Promise<string | null> {
  try {
    return await node.fs.readFile(path, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw unreadable(what, path, cause);
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function unreadable(what: string, path: string, cause: unknown): errors.OperationalError {
  return new errors.OperationalError(`${what} "${path}" can't be read: ${(cause as Error).message}`, {
    cause,
  });
}
