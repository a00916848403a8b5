import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isPem, type TlsSettings } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { failedAs, type ConnectFailure } from './connect-failure.js';
import { certificateNames, isCertificateFor } from './server-identity.js';
import { loadCredentials } from './tls-files.js';

/** Whether and how a connection is encrypted. */
export interface Encryption {
  readonly settings: TlsSettings;
  /** Whether to continue without encryption if the server does not support TLS. */
  readonly optional: boolean;
}

/** The ALPN name of the PostgreSQL protocol; a server requires it for direct negotiation. */
const ALPN = 'postgresql';

/**
 * Begins TLS on a socket that is connected to `host`. `watch` gets the encrypted socket at once. Rejects with an
 * `OperationalError` that names `where`; the caller then destroys the socket.
 */
export async function startTls(
  socket: Socket,
  host: string,
  where: string,
  settings: TlsSettings,
  watch: (secured: TLSSocket) => void,
): Promise<TLSSocket> {
  const failed = (error: errors.OperationalError, failure: ConnectFailure = 'tls'): errors.OperationalError =>
    failedAs(
      failure,
      new errors.OperationalError(`connection to server at ${where} failed: ${error.message}`, {
        cause: error,
      }),
    );
  const { context, verify } = await loadCredentials(settings).catch((error: unknown) => {
    throw failed(error as errors.OperationalError);
  });
  // The socket may have been lost while the files were read, when no listener was attached.
  if (socket.destroyed) throw failed(new errors.OperationalError('the connection was closed'));
  return new Promise((resolve, reject) => {
    const secured = node.tls.connect({
      socket,
      secureContext: context,
      ALPNProtocols: [ALPN],
      rejectUnauthorized: verify,
      // Node calls this only after it has verified the certificate's signature.
      checkServerIdentity: (_, { raw }) =>
        settings.mode === 'verify-full' && !isCertificateFor(raw, host) ? mismatch(raw, host) : undefined,
      ...(settings.sni && node.net.isIP(host) === 0 ? { servername: host } : {}),
    });
    watch(secured);
    const onError = (cause: NodeJS.ErrnoException): void => {
      const failure = cause.code === 'ECONNRESET' ? 'handshake lost' : 'tls';
      reject(failed(new errors.OperationalError(reasonOf(cause, settings), { cause }), failure));
    };
    secured.once('error', onError);
    secured.once('secureConnect', () => {
      secured.removeListener('error', onError);
      if (settings.negotiation === 'direct' && secured.alpnProtocol !== ALPN) {
        reject(
          failed(
            new errors.OperationalError(
              'the server did not agree on the protocol "postgresql" (ALPN), which sslnegotiation=direct needs; it is' +
                ' PostgreSQL 17 or later that speaks it',
            ),
          ),
        );
        return;
      }
      resolve(secured);
    });
  });
}

/** The server's certificate for channel binding; null for an unencrypted connection. */
export function serverCertificate(socket: Socket): Buffer | null {
  return socket instanceof node.tls.TLSSocket ? (socket.getPeerX509Certificate()?.raw ?? null) : null;
}

export function isEncrypted(socket: Socket): boolean {
  return socket instanceof node.tls.TLSSocket;
}

/**
 * Whether a socket error is a TLS alert, by which the server ends the handshake, for instance because it rejects the client's
 * certificate.
 */
export function isTlsAlert(error: Error & { code?: string }): boolean {
  return error.code?.startsWith('ERR_SSL_') === true;
}

function mismatch(certificate: Buffer, host: string): errors.OperationalError {
  return new errors.OperationalError(
    `the server's certificate is for ${certificateNames(certificate)}, not for the host name "${host}"`,
  );
}

/** Explains the common failures and what to do about them. */
function reasonOf(
  error: NodeJS.ErrnoException & { reason?: string },
  { rootCert }: Pick<TlsSettings, 'rootCert'>,
): string {
  switch (error.code) {
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
      return rootCert === 'system'
        ? `the server's certificate is signed by no authority in the system's store, the certificates that Node trusts (${error.message});` +
            " add its issuer's by NODE_EXTRA_CA_CERTS, or set sslrootcert to a file that has it in place of system"
        : `the server's certificate is signed by no authority in the ${rootCert !== null && isPem(rootCert) ? 'PEM text' : 'root certificate file'}` +
            ` (${error.message}); set sslrootcert`;
    case 'CERT_HAS_EXPIRED':
      return "the server's certificate has expired";
    case 'CERT_NOT_YET_VALID':
      return "the server's certificate is not valid yet";
    case 'CERT_REVOKED':
      return "the server's certificate has been revoked";
    case 'UNABLE_TO_GET_CRL':
      return "there is no certificate revocation list of the server certificate's issuer in sslcrl or sslcrldir";
    case 'CRL_HAS_EXPIRED':
      return 'the certificate revocation list has expired';
    case 'ECONNRESET':
      return 'the server closed the connection during the TLS handshake';
    default:
      return `TLS could not be established: ${error.reason ?? error.message}`;
  }
}
