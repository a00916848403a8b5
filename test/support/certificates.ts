import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly serialNumber: string;
}

/** The properties of a certificate. */
export interface CertificateRequest {
  /** The common name of its subject. */
  readonly name: string;
  /** The names and addresses for which it is valid. */
  readonly altNames?: readonly { readonly type: 'dns' | 'ip'; readonly value: string }[];
  /** Days of validity; negative for an expired one. @default 1 */
  readonly days?: number;
  /** @default 'P-256', signed with SHA-256 by an authority of the same kind */
  readonly curve?: Curve;
}

type Curve = 'P-256' | 'P-384';

const DAY = 86_400_000;
const HASHES = { 'P-256': 'SHA-256', 'P-384': 'SHA-384' } as const;

/** A certificate authority, made anew for each run. */
export class CertificateAuthority {
  /** Its own certificate, in PEM: the root that a client trusts. */
  readonly cert: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #algorithm: { name: 'ECDSA'; namedCurve: Curve; hash: string };
  #serial = 1;

  private constructor(
    certificate: x509.X509Certificate,
    keys: webcrypto.CryptoKeyPair,
    algorithm: { name: 'ECDSA'; namedCurve: Curve; hash: string },
  ) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.#algorithm = algorithm;
    this.cert = certificate.toString('pem');
  }

  static async create(name: string, curve: Curve = 'P-256'): Promise<CertificateAuthority> {
    const algorithm = { name: 'ECDSA', namedCurve: curve, hash: HASHES[curve] } as const;
    const keys = await generateKeys(algorithm);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - DAY),
      notAfter: new Date(Date.now() + DAY),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateAuthority(certificate, keys, algorithm);
  }

  /** Issues a certificate signed by this authority. */
  async issue({ name, altNames = [], days = 1, curve = 'P-256' }: CertificateRequest): Promise<Identity> {
    const keys = await generateKeys({ name: 'ECDSA', namedCurve: curve, hash: HASHES[curve] });
    this.#serial++;
    const serialNumber = this.#serial.toString(16).padStart(2, '0');
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject: `CN=${name}`,
      issuer: this.#certificate.subject,
      notBefore: new Date(Date.now() - 10 * DAY),
      notAfter: new Date(Date.now() + days * DAY),
      signingAlgorithm: this.#algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
        ...(altNames.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...altNames])]),
      ],
    });
    const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      cert: certificate.toString('pem'),
      key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
      serialNumber,
    };
  }

  /** A list of revoked certificates, in PEM. */
  async revoke(...revoked: readonly Identity[]): Promise<string> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: new Date(Date.now() - DAY),
      nextUpdate: new Date(Date.now() + DAY),
      signingAlgorithm: this.#algorithm,
      signingKey: this.#keys.privateKey,
      entries: revoked.map(({ serialNumber }) => ({
        serialNumber,
        revocationDate: new Date(Date.now() - DAY / 2),
      })),
    });
    return x509.PemConverter.encode(list.rawData, 'X509 CRL');
  }
}

async function generateKeys(algorithm: {
  name: 'ECDSA';
  namedCurve: Curve;
  hash: string;
}): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}
