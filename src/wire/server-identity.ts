import type { X509Certificate } from 'node:crypto';
import { node } from '../node-modules.js';

/**
 * Whether a certificate is valid for `host`, by libpq's rules. A host name is compared with the certificate's DNS names, where
 * `*` may stand for the first label, and with the subject's common name only if there are none. An IP address is compared with
 * the certificate's addresses and, since some certificates list addresses as names, with its names as well.
 */
export function isCertificateFor(certificate: Buffer, host: string): boolean {
  const parsed = new node.crypto.X509Certificate(certificate);
  if (node.net.isIP(host) === 0) return matches(parsed, host, 'default');
  if (parsed.checkIP(host) !== undefined) return true;
  const hasAddresses = /(?:^|, )IP Address:/.test(parsed.subjectAltName ?? '');
  return matches(parsed, host, hasAddresses ? 'never' : 'always');
}

/** The names in a certificate, for messages. */
export function certificateNames(certificate: Buffer): string {
  const { subject, subjectAltName } = new node.crypto.X509Certificate(certificate);
  return subjectAltName ?? subject.replaceAll('\n', ', ');
}

function matches(
  certificate: X509Certificate,
  host: string,
  subject: 'default' | 'always' | 'never',
): boolean {
  // checkHost() would let a name that begins with a dot match all its subdomains.
  return (
    !host.startsWith('.') && certificate.checkHost(host, { subject, partialWildcards: false }) !== undefined
  );
}
