import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What the server does with one client, told as a script. */
export type Script = (client: FakeClient) => Promise<void> | void;

/** A client, as the script sees it. */
export interface FakeClient {
  readonly socket: Socket;
  /** Everything the client has sent. */
  readonly received: () => Buffer;
  /** Resolves when the client has sent at least `count` bytes in all, or gone away. */
  until(count: number): Promise<void>;
  send(...messages: readonly Uint8Array[]): void;
}

const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * A server that says what its script says, and nothing else; except that it answers a request for TLS with no, of which the
 * script sees nothing, unless that is what the script is about.
 */
export class FakeServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  /** What went wrong in a script; for the test to look at. */
  readonly scriptErrors: unknown[] = [];
  /** How many clients have come. */
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

  /** A server on a port of its own at 127.0.0.1. */
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
  /** Accepts, and never says a word. */
  silent: () => undefined,
  /** Closes the connection once the client has spoken. */
  closing: async (client) => {
    await client.until(1);
    client.socket.end();
  },
  /** Resets the connection once the client has spoken. */
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

/** A backend message: its type's letter, its length, its body. */
export function message(type: string, ...body: readonly (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(body.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

/** The messages a server sends most. */
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

/** What a server without a password says until it is ready. */
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
