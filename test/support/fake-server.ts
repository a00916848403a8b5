import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The server's behaviour towards one client. */
export type Script = (client: FakeClient) => Promise<void> | void;

/** A client as the script sees it. */
export interface FakeClient {
  readonly socket: Socket;
  /** Everything the client has sent. */
  readonly received: () => Buffer;
  /** Resolves when the client has sent at least `count` bytes in total, or has disconnected. */
  until(count: number): Promise<void>;
  send(...messages: readonly Uint8Array[]): void;
}

const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * A server that sends exactly what its script sends. It refuses a request for TLS before the script begins, unless the script
 * handles it.
 */
export class FakeServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  /** Errors of scripts, for the test to check. */
  readonly scriptErrors: unknown[] = [];
  /** The number of accepted connections. */
  accepted = 0;

  private constructor(script: Script, scriptSeesTlsRequest: boolean) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.accepted++;
      this.#clients.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#clients.delete(socket));
      let received: Buffer = Buffer.alloc(0);
      let refused = scriptSeesTlsRequest;
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (!refused && received.equals(TLS_REQUEST)) {
          received = Buffer.alloc(0);
          socket.write('N');
        }
        refused ||= received.length > 0;
      });
      const client: FakeClient = {
        socket,
        received: () => received,
        until: async (count) => {
          while (received.length < count && !socket.destroyed) {
            await Promise.race([once(socket, 'data'), once(socket, 'close')]);
          }
        },
        send: (...messages) => {
          if (socket.writable) socket.write(Buffer.concat(messages));
        },
      };
      Promise.resolve()
        .then(() => script(client))
        .catch((error: unknown) => this.scriptErrors.push(error));
    });
  }

  /** Starts a server on a free port of 127.0.0.1. */
  static async running(script: Script, { scriptSeesTlsRequest = false } = {}): Promise<FakeServer> {
    const fake = new FakeServer(script, scriptSeesTlsRequest);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#clients) socket.destroy();
    await closed;
  }
}

/** Scripts of servers that misbehave from the start. */
export const misbehaviour = {
  /** Accepts, and never sends anything. */
  silent: () => undefined,
  /** Closes the connection after the client's first message. */
  closing: async (client) => {
    await client.until(1);
    client.socket.end();
  },
  /** Resets the connection after the client's first message. */
  resetting: async (client) => {
    await client.until(1);
    client.socket.resetAndDestroy();
  },
  /** Answers as a web server would. */
  garbage: async (client) => {
    await client.until(1);
    client.send(Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'));
    client.socket.end();
  },
} satisfies Record<string, Script>;

/** Makes a backend message: its type's letter, its length, its body. */
export function message(type: string, ...body: readonly (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(body.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

/** The most frequent messages of a server. */
export const messages = {
  authenticationOk: message('R', int32(0)),
  authenticationSasl: message('R', int32(10), 'SCRAM-SHA-256\0\0'),
  authenticationSaslContinue: (text: string) => message('R', int32(11), text),
  authenticationSaslFinal: (text: string) => message('R', int32(12), text),
  parameterStatus: (name: string, value: string) => message('S', `${name}\0${value}\0`),
  backendKeyData: (pid: number, secret: number) => message('K', int32(pid), int32(secret)),
  readyForQuery: (status: 'I' | 'T' | 'E') => message('Z', status),
  error: (severity: string, sqlstate: string, text: string) =>
    message('E', `S${severity}\0V${severity}\0C${sqlstate}\0M${text}\0\0`),
  commandComplete: (tag: string) => message('C', `${tag}\0`),
} as const;

/** The messages of a server without a password until it is ready. */
export function welcome(): Buffer {
  return Buffer.concat([
    messages.authenticationOk,
    messages.parameterStatus('server_version', '15.0'),
    messages.parameterStatus('client_encoding', 'UTF8'),
    messages.parameterStatus('standard_conforming_strings', 'on'),
    messages.backendKeyData(4242, 2424),
    messages.readyForQuery('I'),
  ]);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
