import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { endPointBinding } from '../../src/wire/channel-binding.js';

type Algorithm = Parameters<typeof crypto.subtle.generateKey>[0] & { hash?: string };

async function certificate(algorithm: Algorithm): Promise<Buffer> {
  const keys = (await crypto.subtle.generateKey(algorithm as never, true, ['sign', 'verify'])) as never;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=usingpg test',
    signingAlgorithm: algorithm as never,
    keys,
  });
  return Buffer.from(made.rawData);
}

const rsa = (name: string, hash: string): Algorithm =>
  ({
    name,
    hash,
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    saltLength: 20,
  }) as Algorithm;
const ecdsa = (namedCurve: string, hash: string): Algorithm =>
  ({ name: 'ECDSA', namedCurve, hash }) as Algorithm;

describe('a sign-in is bound to the hash of the certificate', () => {
  it.each<[string, Algorithm, string]>([
    ['RSA with SHA-256', rsa('RSASSA-PKCS1-v1_5', 'SHA-256'), 'sha256'],
    ['RSA with SHA-384', rsa('RSASSA-PKCS1-v1_5', 'SHA-384'), 'sha384'],
    ['RSA with SHA-512', rsa('RSASSA-PKCS1-v1_5', 'SHA-512'), 'sha512'],
    ['RSA with SHA-1, which is too weak', rsa('RSASSA-PKCS1-v1_5', 'SHA-1'), 'sha256'],
    ['RSA-PSS with SHA-256', rsa('RSA-PSS', 'SHA-256'), 'sha256'],
    ['RSA-PSS with SHA-384', rsa('RSA-PSS', 'SHA-384'), 'sha384'],
    ['RSA-PSS with SHA-1, which is too weak', rsa('RSA-PSS', 'SHA-1'), 'sha256'],
    ['ECDSA with SHA-256', ecdsa('P-256', 'SHA-256'), 'sha256'],
    ['ECDSA with SHA-384', ecdsa('P-384', 'SHA-384'), 'sha384'],
    ['ECDSA with SHA-512', ecdsa('P-521', 'SHA-512'), 'sha512'],
  ])('by the hash of its signature algorithm: %s', async (_, algorithm, hash) => {
    const raw = await certificate(algorithm);
    expect(endPointBinding(raw)).toEqual(createHash(hash).update(raw).digest());
  });

  it('unless its signature algorithm has none: Ed25519', async () => {
    expect(endPointBinding(await certificate({ name: 'Ed25519' }))).toBeNull();
  });
});
