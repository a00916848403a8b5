import { promisify } from 'node:util';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { saslprep } from './saslprep.js';

export const SCRAM = 'SCRAM-SHA-256';
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';

/**
 * The client's statement about channel binding: not supported by the client, supported but apparently not by the server, or used
 * with this data. The server checks the statement, which detects a man in the middle who removed its offer.
 */
export type ChannelBinding = 'unsupported' | 'not offered' | { readonly endPoint: Buffer };

/** A greater count would let a server block a thread of this process for long; PostgreSQL's default is 4096. */
const MAX_ITERATIONS = 1_000_000;
/** RFC 5802: nonce, salt and iteration count, without extensions. */
const SERVER_FIRST =
  /^r=(?<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?<salt>[A-Za-z0-9+/]+={0,2}),i=(?<iterations>[1-9]\d{0,9})$/;

/**
 * The client's side of one SCRAM-SHA-256 sign-in (RFC 5802, RFC 7677). Each step raises `OperationalError` if the server's
 * message is wrong.
 */
export class ScramClient {
  readonly #password: string;
  readonly #header: string;
  readonly #binding: Buffer;
  readonly #nonce = node.crypto.randomBytes(18).toString('base64');
  #serverSignature: Buffer | null = null;

  constructor(password: string, binding: ChannelBinding) {
    this.#password = password;
    if (typeof binding === 'object') {
      this.#header = 'p=tls-server-end-point,,';
      this.#binding = binding.endPoint;
    } else {
      this.#header = binding === 'unsupported' ? 'n,,' : 'y,,';
      this.#binding = Buffer.alloc(0);
    }
  }

  /** The first message. It contains no user name, since PostgreSQL uses the one in the startup message. */
  first(): string {
    return this.#header + this.#firstBare;
  }

  get #firstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  /** The answer to the server's first message. A thread of Node's pool hashes the password. */
  async answer(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = this.#read(serverFirst);
    const salted = await promisify(node.crypto.pbkdf2)(
      saslprep(this.#password),
      salt,
      iterations,
      32,
      'sha256',
    );
    const channel = Buffer.concat([Buffer.from(this.#header), this.#binding]).toString('base64');
    const withoutProof = `c=${channel},r=${nonce}`;
    const messages = `${this.#firstBare},${serverFirst},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const proof = hmac(node.crypto.createHash('sha256').update(clientKey).digest(), messages);
    for (let i = 0; i < proof.length; i++) proof[i]! ^= clientKey[i]!;
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), messages);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Checks the server's final message, which proves that the server knows the password, too. */
  verify(serverFinal: string): void {
    const signature = Buffer.from(
      /^v=(?<signature>[A-Za-z0-9+/]+={0,2})$/.exec(serverFinal)?.groups?.['signature'] ?? '',
      'base64',
    );
    const expected = this.#serverSignature;
    if (
      expected === null ||
      signature.length !== expected.length ||
      !node.crypto.timingSafeEqual(signature, expected)
    ) {
      throw new errors.OperationalError(
        'the server could not prove that it knows the password (SCRAM); it may be an impostor',
      );
    }
  }

  #read(serverFirst: string): { nonce: string; salt: Buffer; iterations: number } {
    const groups = SERVER_FIRST.exec(serverFirst)?.groups;
    if (groups === undefined) {
      throw new errors.OperationalError("the server's SCRAM message is malformed");
    }
    const nonce = groups['nonce']!;
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new errors.OperationalError(
        "the server's SCRAM message does not belong to this sign-in: it does not extend the nonce",
      );
    }
    const iterations = Number(groups['iterations']);
    if (iterations > MAX_ITERATIONS) {
      throw new errors.OperationalError(
        `the server asks for ${String(iterations)} SCRAM iterations; the client accepts at most ${String(MAX_ITERATIONS)}`,
      );
    }
    return { nonce, salt: Buffer.from(groups['salt']!, 'base64'), iterations };
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return node.crypto.createHmac('sha256', key).update(text).digest();
}
