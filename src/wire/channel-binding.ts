import { node } from '../node-modules.js';

/** Hash algorithms by signature algorithm, whose key is the hexadecimal form of its object identifier's bytes. */
const HASHES: Readonly<Record<string, string>> = {
  // RSA. RFC 5929 replaces MD5 and SHA-1, which are too weak, with SHA-256.
  '2a864886f70d010104': 'sha256',
  '2a864886f70d010105': 'sha256',
  '2a864886f70d01010e': 'sha224',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  // ECDSA.
  '2a8648ce3d0401': 'sha256',
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};
/** RSASSA-PSS, whose parameters name the hash. */
const PSS = '2a864886f70d01010a';
const PSS_HASHES: Readonly<Record<string, string>> = {
  '2b0e03021a': 'sha256', // SHA-1
  '608648016503040204': 'sha224',
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
};

/**
 * The channel binding data of SCRAM-SHA-256-PLUS (RFC 5929, tls-server-end-point): a hash of the server's certificate, which is
 * given in DER. Null if the signature algorithm has no hash of its own, such as Ed25519.
 */
export function endPointBinding(certificate: Buffer): Buffer | null {
  const hash = signatureHash(certificate);
  return hash === null ? null : node.crypto.createHash(hash).update(certificate).digest();
}

function signatureHash(certificate: Buffer): string | null {
  // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signature }
  const [, algorithm] = children(element(certificate, 0));
  const [oid, parameters] = children(algorithm!);
  const name = oid!.content.toString('hex');
  if (name !== PSS) return HASHES[name] ?? null;
  // RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm SEQUENCE { OID }, … }; SHA-1 if hashAlgorithm is absent.
  const tagged = parameters === undefined ? undefined : children(parameters).find(({ tag }) => tag === 0xa0);
  if (tagged === undefined) return 'sha256';
  const [hashOid] = children(children(tagged)[0]!);
  return PSS_HASHES[hashOid!.content.toString('hex')] ?? null;
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly end: number;
}

/** Reads one DER element. OpenSSL has verified that the certificate is well-formed. */
function element(bytes: Buffer, at: number): Element {
  const first = bytes[at + 1]!;
  const longForm = first > 0x7f ? first & 0x7f : 0;
  const length = longForm === 0 ? first : bytes.readUIntBE(at + 2, longForm);
  const start = at + 2 + longForm;
  return { tag: bytes[at]!, content: bytes.subarray(start, start + length), end: start + length };
}

function children({ content }: Element): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < content.length; at = found.at(-1)!.end) found.push(element(content, at));
  return found;
}
