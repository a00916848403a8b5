import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import type { Identity } from './certificates.js';

/** How a `TlsFront` differs from a server that begins TLS on request. */
export interface TlsFrontOptions {
  /** Begins TLS at once, without a request. */
  readonly direct?: boolean;
  /** Uses TLS to the server as well, so that the server notices nothing unusual. */
  readonly encryptsUpstream?: boolean;
  /** The protocols that it accepts. @default PostgreSQL's */
  readonly alpn?: readonly string[];
}

/**
 * TLS with a certificate of the test's choice in front of a server without TLS, like a man in the middle who can read everything.
 */
export class TlsFront implements AsyncDisposable {
  /** The names that clients have requested by SNI; false without SNI. */
  readonly serverNames: (string | false)[] = [];
  /** The number of accepted connections; `forwarded` counts those passed on to the server, encrypted or not. */
  accepted = 0;
  readonly forwarded = { encrypted: 0, plain: 0 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(
    target: { host: string; port: number },
    identity: Identity,
    { direct = false, encryptsUpstream = false, alpn = ['postgresql'] }: TlsFrontOptions,
  ) {
    const secureContext = createSecureContext({ cert: identity.cert, key: identity.key });
    this.#server = createServer({ noDelay: true }, (client) => {
      this.accepted++;
      this.#keep(client);
      const encrypt = (): void => {
        const secured = new TLSSocket(client, {
          isServer: true,
          secureContext,
          ALPNProtocols: [...alpn],
          // Without it, Node does not report the name that the client has requested.
          SNICallback: (_, done) => {
            done(null, secureContext);
          },
        });
        this.#keep(secured);
        secured.once('secure', () => {
          this.serverNames.push((secured as { servername?: string | false }).servername ?? false);
          this.forwarded.encrypted++;
          if (encryptsUpstream) this.#joinEncrypted(secured, target);
          else this.#join(secured, target);
        });
      };
      if (direct) {
        encrypt();
        return;
      }
      client.once('data', (first: Buffer) => {
        if (first.length === 8) {
          client.write('S');
          encrypt();
        } else {
          this.forwarded.plain++;
          this.#join(client, target).write(first);
        }
      });
    });
  }

  static async to(
    target: { host: string; port: number },
    identity: Identity,
    options: TlsFrontOptions = {},
  ): Promise<TlsFront> {
    const front = new TlsFront(target, identity, options);
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #join(client: Socket, target: { host: string; port: number }): Socket {
    const upstream = connect({ ...target, noDelay: true });
    this.#keep(upstream);
    client.pipe(upstream).pipe(client);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    return upstream;
  }

  #joinEncrypted(client: Socket, target: { host: string; port: number }): void {
    const upstream = connect({ ...target, noDelay: true });
    this.#keep(upstream);
    upstream.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
    upstream.once('data', () => {
      const secured = connectTls({ socket: upstream, rejectUnauthorized: false });
      this.#keep(secured);
      client.pipe(secured).pipe(client);
      client.once('close', () => secured.destroy());
      secured.once('close', () => client.destroy());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
