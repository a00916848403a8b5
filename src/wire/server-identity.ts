import type { X509Certificate } from 'node:crypto';
import { node } from '../node-modules.js';

/**
 * Whether a certificate is for `host`, by libpq's rules: a name is compared with the names in it, where `*` may stand for the
 * first label, and with the subject's common name only if there are none; an address with its addresses and, since it may have
 * been written down as a name, with those as well.
 */
export function isCertificateFor(certificate: Buffer, host: string): boolean {
  const parsed = new node.crypto.X509Certificate(certificate);
  if (node.net.isIP(host) === 0) return matches(parsed, host, 'default');
  if (parsed.checkIP(host) !== undefined) return true;
  const hasAddresses = /(?:^|, )IP Address:/.test(parsed.subjectAltName ?? '');
  return matches(parsed, host, hasAddresses ? 'never' : 'always');
}

/** The names that a certificate is for, to be shown. */
export function certificateNames(certificate: Buffer): string {
  const { subject, subjectAltName } = new node.crypto.X509Certificate(certificate);
  return subjectAltName ?? subject.replaceAll('\n', ', ');
}

function matches(
  certificate: X509Certificate,
  host: string,
  subject: 'default' | 'always' | 'never',
): boolean {
  // A name that begins with a dot would match all below it.
  return (
    !host.startsWith('.') && certificate.checkHost(host, { subject, partialWildcards: false }) !== undefined
  );
}
