import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import * as errors from '../errors/index.js';

/** Where a server listens: a TCP address, or the path of a unix socket. */
export interface ServerAddress {
  /** The name shown in messages; also what is connected to unless `hostaddr` or `path` is given. */
  readonly host: string;
  readonly hostaddr: string | null;
  readonly port: number;
  /** Path of the unix socket, or null for TCP. */
  readonly path: string | null;
  readonly keepalives: { readonly enabled: boolean; readonly idleSeconds: number | null };
}

/** How an address is named in a message. */
export function describeAddress(address: ServerAddress): string {
  return address.path ?? `${address.hostaddr ?? address.host}:${String(address.port)}`;
}

/** Takes what a socket has read; the bytes are overwritten as soon as it returns. */
export type Receiver = (bytes: Buffer) => void;

const READ_SIZE = 65_536;
/**
 * All sockets read into the same memory, since what they read is consumed before the next read; a buffer for each read would
 * cost as much again as decoding it. On Windows, a read may be under way on several sockets at once.
 */
const sharedBuffer = process.platform === 'win32' ? null : Buffer.allocUnsafeSlow(READ_SIZE);

/**
 * Connects to `address`, whose bytes go to `receive`. Rejects with an `OperationalError` that names it, or with what `signal` was aborted with; either
 * way no socket is left behind.
 */
export function openSocket(address: ServerAddress, signal: AbortSignal, receive: Receiver): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onread: OnReadOpts = {
      buffer: sharedBuffer ?? Buffer.allocUnsafeSlow(READ_SIZE),
      callback: (length, buffer) => {
        receive((buffer as Buffer).subarray(0, length));
        return true;
      },
    };
    const options: SocketConstructorOpts & { onread: OnReadOpts } = { onread };
    const socket = new Socket(options);
    const settle = (): void => {
      signal.removeEventListener('abort', abort);
      socket.removeListener('connect', connected);
      socket.removeListener('error', failed);
    };
    const abort = (): void => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(signal.reason as Error);
    };
    const connected = (): void => {
      settle();
      if (address.path === null) {
        socket.setNoDelay(true);
        if (address.keepalives.enabled) {
          socket.setKeepAlive(true, (address.keepalives.idleSeconds ?? 0) * 1000);
        }
      }
      resolve(socket);
    };
    const failed = (cause: Error): void => {
      settle();
      socket.destroy();
      reject(
        new errors.OperationalError(
          `connection to server at ${describeAddress(address)} failed: ${reasonOf(cause)}`,
          { cause },
        ),
      );
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', connected);
    socket.once('error', failed);
    if (address.path !== null) socket.connect(address.path);
    else socket.connect(address.port, address.hostaddr ?? address.host);
  });
}

function reasonOf(error: Error & { code?: string; errors?: Error[] }): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'connection refused; is the server running there and accepting connections?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name could not be resolved';
    case 'ENOENT':
      return 'there is no such socket; is the server running and listening there?';
    default:
      return error.message || (error.code ?? 'unknown error');
  }
}
