import type { AuthMethod } from '../conninfo/index.js';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { endPointBinding } from '../wire/channel-binding.js';
import type { Login } from '../wire/engine.js';
import { Auth, Backend } from '../wire/protocol.js';
import { SCRAM, SCRAM_PLUS, ScramClient, type ChannelBinding } from '../wire/scram.js';

/** The parts of a connection that a sign-in uses. */
export interface SignInChannel {
  /** The server's certificate, in DER; null if the connection is not encrypted. */
  readonly certificate: Buffer | null;
  send(message: Buffer): void;
  /** Ends the connection with an error. */
  refuse(error: errors.DatabaseError): void;
}

const METHODS: ReadonlyMap<number, AuthMethod> = new Map([
  [Auth.CleartextPassword, 'password'],
  [Auth.Md5Password, 'md5'],
  [Auth.Sasl, 'scram-sha-256'],
]);

/** The progress of a sign-in. Sending a password completes it on the client's side: that also counts as 'proven'. */
type Step = 'begun' | 'asked' | 'answering' | 'answered' | 'proven' | 'done';

/**
 * Answers the server's authentication requests. Refuses a request that the settings do not allow, and a server that must prove
 * itself and does not.
 */
export class SignIn {
  readonly #login: Login;
  readonly #channel: SignInChannel;
  #method: AuthMethod = 'none';
  #scram: ScramClient | null = null;
  #step: Step = 'begun';
  #bound = false;

  constructor(login: Login, channel: SignInChannel) {
    this.#login = login;
    this.#channel = channel;
  }

  /** Whether the server has accepted the sign-in. */
  get done(): boolean {
    return this.#step === 'done';
  }

  /** Handles the body of an Authentication message. */
  onRequest(body: Buffer): void {
    try {
      if (body.length < 4)
        throw new errors.OperationalError('the server sent a malformed authentication message');
      this.#onRequest(body.readUInt32BE(0), body.subarray(4));
    } catch (error) {
      this.#channel.refuse(error as errors.DatabaseError);
    }
  }

  #onRequest(request: number, body: Buffer): void {
    const { password } = this.#login;
    const method = METHODS.get(request);
    if (method !== undefined) this.#begin(method);
    switch (request) {
      case Auth.Ok:
        this.#finish();
        return;
      case Auth.CleartextPassword:
        this.#send(Buffer.from(`${password!}\0`));
        return;
      case Auth.Md5Password:
        this.#send(Buffer.from(`md5${md5(md5(password! + this.#login.user), body)}\0`));
        return;
      case Auth.Sasl:
        this.#beginScram(body.toString('latin1').split('\0'));
        return;
      case Auth.SaslContinue:
        this.#expect('asked');
        this.#step = 'answering';
        // `refuse` handles a rejection.
        void this.#answerScram(body.toString());
        return;
      case Auth.SaslFinal:
        this.#expect('answered');
        this.#scram!.verify(body.toString());
        this.#step = 'proven';
        return;
      default:
        throw new errors.NotSupportedError(
          `the server asks for authentication method ${String(request)} (GSSAPI, SSPI or another), which is not supported;` +
            ' use scram-sha-256, md5, password or trust in its pg_hba.conf',
        );
    }
  }

  #begin(method: AuthMethod): void {
    this.#expect('begun');
    this.#checkAllowed(method);
    if (this.#login.password === null) {
      throw new errors.OperationalError(
        'the server asks for a password and none was given; set `password`, PGPASSWORD or a line in ~/.pgpass',
      );
    }
    this.#method = method;
    this.#step = method === 'scram-sha-256' ? 'asked' : 'proven';
  }

  #checkAllowed(method: AuthMethod): void {
    const { allowed, channelBinding } = this.#login.authentication;
    const way = method === 'none' ? 'asks for no authentication' : `asks for authentication by ${method}`;
    if (allowed?.has(method) === false) {
      throw new errors.OperationalError(`the server ${way}, which require_auth does not allow`);
    }
    if (channelBinding === 'require' && method !== 'scram-sha-256') {
      throw new errors.OperationalError(`the server ${way}, where channel_binding=require needs SCRAM`);
    }
  }

  #beginScram(mechanisms: readonly string[]): void {
    const offered = mechanisms.includes(SCRAM_PLUS);
    const required = this.#login.authentication.channelBinding === 'require';
    if (offered && this.#channel.certificate === null) {
      throw new errors.OperationalError(
        'the server offers channel binding on a connection that is not encrypted, so a proxy or attacker on the way has removed TLS',
      );
    }
    const binding = this.#binding(offered);
    this.#bound = typeof binding === 'object';
    if (required && !this.#bound) {
      throw new errors.OperationalError(
        'channel_binding=require, but ' +
          (this.#channel.certificate === null
            ? 'the connection is not encrypted'
            : offered
              ? "the signature of the server's certificate has no hash to bind with"
              : 'the server does not offer it'),
      );
    }
    const mechanism = this.#bound ? SCRAM_PLUS : SCRAM;
    if (!mechanisms.includes(mechanism)) {
      throw new errors.NotSupportedError(
        `the server offers no SASL mechanism that is supported, only ${mechanisms.filter((name) => name !== '').join(', ')}`,
      );
    }
    this.#scram = new ScramClient(this.#login.password!, binding);
    const first = Buffer.from(this.#scram.first());
    const length = Buffer.alloc(4);
    length.writeInt32BE(first.length);
    this.#send(Buffer.concat([Buffer.from(`${mechanism}\0`), length, first]));
  }

  #binding(offered: boolean): ChannelBinding {
    const { certificate } = this.#channel;
    if (certificate === null || this.#login.authentication.channelBinding === 'disable') return 'unsupported';
    if (!offered) return 'not offered';
    const endPoint = endPointBinding(certificate);
    return endPoint === null ? 'unsupported' : { endPoint };
  }

  async #answerScram(serverFirst: string): Promise<void> {
    try {
      const answer = await this.#scram!.answer(serverFirst);
      this.#step = 'answered';
      this.#send(Buffer.from(answer));
    } catch (error) {
      this.#channel.refuse(error as errors.DatabaseError);
    }
  }

  #finish(): void {
    if (this.#method === 'none') {
      this.#expect('begun');
      this.#checkAllowed('none');
    } else if (this.#step !== 'proven') {
      throw new errors.OperationalError(
        'the server let the client in without proving that it knows the password (SCRAM); it may be an impostor',
      );
    }
    this.#step = 'done';
  }

  #expect(step: Step): void {
    if (this.#step === step) return;
    throw new errors.OperationalError('the server sent an authentication message out of its order');
  }

  #send(body: Buffer): void {
    const head = Buffer.alloc(5, 'p');
    head.writeInt32BE(body.length + 4, 1);
    this.#channel.send(Buffer.concat([head, body]));
  }
}

/** Whether a message may arrive before the server has accepted the sign-in: an authentication request or an error. */
export function mayComeBeforeSignIn(type: number): boolean {
  return type === Backend.Authentication || type === Backend.ErrorResponse || type === Backend.NoticeResponse;
}

/** The error of a connection that the client ended because of the server's authentication request. */
export function notConnected(reason: errors.DatabaseError, address: string): errors.DatabaseError {
  const Refused = reason.constructor as new (message: string) => errors.DatabaseError;
  return new Refused(`connection to server at ${address} failed: ${reason.message}`);
}

function md5(text: string, salt: Uint8Array = Buffer.alloc(0)): string {
  return node.crypto.createHash('md5').update(text).update(salt).digest('hex');
}

/**
 * The error of a connection that the server refused. It is always an `OperationalError`: the class of the SQLSTATE if that is a
 * subclass, else the plain class with the server's error as its cause.
 */
export function refusal(reason: errors.DatabaseError, address: string): errors.OperationalError {
  const message = `connection to server at ${address} failed: ${reason.diag.severity ?? 'FATAL'}: ${reason.message}`;
  const options = { diag: reason.diag, sqlstate: reason.sqlstate, cause: reason };
  if (!(reason instanceof errors.OperationalError)) return new errors.OperationalError(message, options);
  const Refused = reason.constructor as new (message: string, options: object) => errors.OperationalError;
  return new Refused(message, { diag: reason.diag, sqlstate: reason.sqlstate });
}
