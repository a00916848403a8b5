import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { isPem, type TlsSettings } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';

/** The TLS context and policy for a connection. */
export interface TlsCredentials {
  readonly context: SecureContext;
  /** Whether a known authority must have signed the server's certificate. */
  readonly verify: boolean;
}

/**
 * Reads the certificates and keys of the TLS settings, which are files or PEM text. As in libpq, a root certificate file that
 * exists is used whatever `sslmode` says, and a client certificate is sent if the file exists. Raises `OperationalError` for an
 * unusable file or text.
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
        ? `the private key does not belong to the ${certificateOf(settings).shown}; set sslcert and sslkey to a pair`
        : `TLS could not be set up: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** What a parameter names: a file, or the parameter's own text. */
interface Material {
  /** The path of the file; null: `text` was given in its place. */
  readonly path: string | null;
  readonly text: string;
  /** Describes it in messages, which never show the text. */
  readonly shown: string;
}

/** What a parameter names; if it is not given, the file of libpq's default. */
function materialOf(parameter: string, value: string | null, what: string, file: string): Material {
  if (value !== null && isPem(value)) return { path: null, text: value, shown: `PEM text of ${parameter}` };
  const path = value ?? defaultFile(file);
  return { path, text: '', shown: `${what} "${path}"` };
}

function certificateOf({ cert }: TlsSettings): Material {
  return materialOf('sslcert', cert, 'certificate file', 'postgresql.crt');
}

/** The path of a file in `~/.postgresql`, or in its counterpart on Windows. */
function defaultFile(name: string): string {
  return process.platform === 'win32'
    ? join(process.env['APPDATA'] ?? node.os.homedir(), 'postgresql', name)
    : join(node.os.homedir(), '.postgresql', name);
}

async function rootCertificates({ rootCert, mode }: TlsSettings): Promise<string[] | 'system' | null> {
  if (rootCert === 'system') return 'system';
  const roots = materialOf('sslrootcert', rootCert, 'root certificate file', 'root.crt');
  const text = await textOf(roots);
  if (text === null) {
    if (mode !== 'verify-ca' && mode !== 'verify-full') return null;
    throw new errors.OperationalError(
      `${roots.shown} does not exist; provide it, use the certificates that Node trusts with` +
        ' sslrootcert=system, or change sslmode to give up verifying the server',
    );
  }
  return certificatesIn(text, roots);
}

async function revocations({ crl, crlDirectory }: TlsSettings): Promise<string[]> {
  const what = 'certificate revocation list';
  const files = crlDirectory === null ? [] : await listsIn(crlDirectory);
  const required = crl !== null || files.length > 0;
  const sources = files.map((path) => materialOf('sslcrldir', path, what, ''));
  if (crl !== null || !required) sources.unshift(materialOf('sslcrl', crl, what, 'root.crl'));
  const lists: string[] = [];
  for (const source of sources) {
    const text = await textOf(source);
    if (text === null && !required) continue;
    const found = blocks(text ?? '', 'X509 CRL');
    if (found.length === 0) {
      throw new errors.OperationalError(
        text === null ? `${source.shown} does not exist` : `${source.shown} has no list in PEM format`,
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
    throw unreadable(`directory of certificate revocation lists "${directory}"`, cause);
  }
  const lists = names.filter((name) => /^[0-9a-f]{8}\.r\d+$/.test(name));
  if (lists.length === 0) {
    throw new errors.OperationalError(
      `directory "${directory}" has no certificate revocation list; prepare it with "openssl rehash"`,
    );
  }
  return lists.map((name) => join(directory, name));
}

async function clientCertificate(settings: TlsSettings): Promise<{ cert: string; key: string } | null> {
  const source = certificateOf(settings);
  const keySource = materialOf('sslkey', settings.key, 'private key file', 'postgresql.key');
  const cert = await textOf(source);
  if (cert === null) {
    // As in libpq, a file that sslcert names need not exist. A key that was given as text was meant to be used.
    if (keySource.path !== null) return null;
    throw new errors.OperationalError(
      `sslkey is PEM text, but ${source.shown} does not exist; give the certificate by sslcert`,
    );
  }
  certificatesIn(cert, source);
  const key = keySource.path === null ? Buffer.from(keySource.text) : await keyIn(keySource.path, source);
  return { cert, key: decrypted(key, keySource, settings.password) };
}

async function keyIn(path: string, certificate: Material): Promise<Buffer> {
  await checkKeyFile(path, certificate);
  return node.fs.readFile(path).catch((cause: unknown) => {
    throw unreadable(`private key file "${path}"`, cause);
  });
}

/** Raises `OperationalError` if the key file's permissions let other users read it. */
async function checkKeyFile(path: string, certificate: Material): Promise<void> {
  const stats = await node.fs.stat(path).catch((cause: unknown) => {
    throw isMissing(cause)
      ? new errors.OperationalError(`${certificate.shown} is present, but not its private key file "${path}"`)
      : unreadable(`private key file "${path}"`, cause);
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

/** Returns the key as unencrypted PEM. It may be encrypted; a file may contain PEM or DER. */
function decrypted(key: Buffer, { shown }: Material, password: string | null): string {
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
      ? `${shown} is encrypted, and ${password === null ? 'there is no sslpassword' : 'sslpassword does not open it'}`
      : `${shown} could not be read: ${(failure as Error).message}${escapedLines(key.toString('latin1'))}`,
  );
}

/** The certificates in a text. Raises `OperationalError` if there is none, or one that cannot be read. */
function certificatesIn(text: string, { shown }: Material): string[] {
  const certificates = blocks(text, 'CERTIFICATE');
  if (certificates.length === 0) {
    throw new errors.OperationalError(`${shown} has no certificate in PEM format`);
  }
  for (const certificate of certificates) {
    try {
      new node.crypto.X509Certificate(certificate);
    } catch (cause) {
      throw new errors.OperationalError(
        `a certificate in ${shown} could not be read: ${(cause as Error).message}${escapedLines(certificate)}`,
        { cause },
      );
    }
  }
  return certificates;
}

/** The PEM blocks of one kind; Node would take only the first of some, and nothing for none. */
function blocks(text: string, kind: string): string[] {
  return text.match(new RegExp(`-----BEGIN ${kind}-----[^]+?-----END ${kind}-----`, 'g')) ?? [];
}

/** Advice for PEM text whose line breaks were escaped, as by tools that keep secrets as JSON or in environment variables. */
function escapedLines(text: string): string {
  return text.includes('\\n')
    ? '; its line breaks are written as the two characters "\\n": replace them by line breaks'
    : '';
}

/** The text of a file, or the one that was given in its place; null if there is no such file. */
async function textOf({ path, text, shown }: Material): Promise<string | null> {
  if (path === null) return text;
  try {
    return await node.fs.readFile(path, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw unreadable(shown, cause);
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function unreadable(shown: string, cause: unknown): errors.OperationalError {
  return new errors.OperationalError(`${shown} can't be read: ${(cause as Error).message}`, { cause });
}
