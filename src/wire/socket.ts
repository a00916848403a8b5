import type { OnReadOpts, Socket, SocketConstructorOpts } from 'node:net';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { onAbort } from '../waiting.js';
import { failedAs, type ConnectFailure } from './connect-failure.js';
import { isEncrypted, startTls, type Encryption } from './tls.js';

/** A server's TCP address or Unix socket path, and how to connect to it. */
export interface ServerAddress {
  /**
   * The name shown in messages and compared with the certificate. Also the name to connect to, unless `hostaddr` or `path` is
   * given.
   */
  readonly host: string;
  readonly hostaddr: string | null;
  readonly port: number;
  /** The path of the Unix socket; null for TCP. */
  readonly path: string | null;
  readonly keepalives: { readonly enabled: boolean; readonly idleSeconds: number | null };
  /** Null: no encryption. A Unix socket is never encrypted. */
  readonly encryption: Encryption | null;
}

/** The address as messages show it. */
export function describeAddress({ host, hostaddr, port, path }: ServerAddress): string {
  // An abstract socket, whose name begins with a NUL, is written as libpq writes it.
  if (path !== null) return path.replace(/^\0/, '@');
  const name = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  return hostaddr === null || hostaddr === host ? name : `${name} (${hostaddr})`;
}

/** The address with the encryption that `socket` ended up with, so that later connections to it (cancel requests) use the same. */
export function actualAddress(address: ServerAddress, socket: Socket): ServerAddress {
  const { encryption } = address;
  if (encryption === null) return address;
  return { ...address, encryption: isEncrypted(socket) ? { ...encryption, optional: false } : null };
}

/** Takes bytes read from a socket. The next read overwrites them as soon as the function returns. */
export type Receiver = (bytes: Buffer) => void;

const READ_SIZE = 65_536;
/**
 * All sockets read into the same memory, since each read is consumed before the next. A buffer per read would cost as much again
 * as decoding it. On Windows, reads may be pending on several sockets at once, so sockets share no memory.
 */
const sharedBuffer = process.platform === 'win32' ? null : Buffer.allocUnsafeSlow(READ_SIZE);

/** In Deno, TLS negotiation never completes on a socket that was created with `onread`. */
const TLS_NEEDS_EVENTS = 'deno' in process.versions;

/** The current receiver of a socket's bytes; it changes during TLS negotiation. */
class CurrentReceiver {
  receive: Receiver;

  constructor(receive: Receiver) {
    this.receive = receive;
  }

  /** The listener of a socket that reads by events. */
  readonly onData = (bytes: Buffer): void => {
    this.receive(bytes);
  };
}

/**
 * Connects to `address` with the encryption it asks for; `receive` gets the bytes. Rejects with an `OperationalError` that names
 * the address, or with the reason of `signal`. No socket is left open after a rejection.
 */
export async function openSocket(
  address: ServerAddress,
  signal: AbortSignal,
  receive: Receiver,
): Promise<Socket> {
  const { encryption } = address;
  if (encryption === null || address.path !== null)
    return connectTo(address, signal, new CurrentReceiver(receive));
  const current = new CurrentReceiver(() => undefined);
  const socket = await connectTo(address, signal, current);
  const setUp = new Setup(address, socket, signal);
  try {
    if (
      encryption.settings.negotiation === 'postgres' &&
      !(await setUp.whileOpen(offersTls(socket, address, current)))
    ) {
      if (!encryption.optional) {
        throw failedAs(
          'tls',
          connectError(address, 'the server does not support TLS, which sslmode asks for'),
        );
      }
      current.receive = receive;
      return socket;
    }
    setUp.failure = 'handshake lost';
    socket.off('data', current.onData);
    const secured = await setUp.whileOpen(
      startTls(socket, address.host, describeAddress(address), encryption.settings, (begun) => {
        setUp.replace(begun);
      }),
    );
    secured.on('data', receive);
    return secured;
  } catch (error) {
    setUp.destroy();
    throw error;
  } finally {
    setUp.done();
  }
}

/**
 * Writes pieces in one packet, as far as they fit. Returns true if the network has taken them all, so that their memory may be
 * reused. Otherwise `written` is called once it has, unless the socket is lost before.
 */
export function writeAll(socket: Socket, pieces: readonly Uint8Array[], written: () => void): boolean {
  socket.cork();
  for (let i = 0; i < pieces.length - 1; i++) socket.write(pieces[i]!);
  let waiting = true;
  socket.write(pieces.at(-1)!, (error) => {
    if (waiting && error == null) written();
  });
  socket.uncork();
  waiting = socket.writableLength > 0;
  return !waiting;
}

const TLS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 0x53; // S
const NO = 0x4e; // N
const ERROR = 0x45; // E

/**
 * Asks the server whether it supports TLS. Bytes that arrive with or after its answer, before encryption begins, may come from an
 * attacker (CVE-2021-23222). So may an error, which is therefore not shown.
 */
function offersTls(socket: Socket, address: ServerAddress, current: CurrentReceiver): Promise<boolean> {
  return new Promise((resolve, reject) => {
    current.receive = (bytes) => {
      if (bytes.length !== 1 || (bytes[0] !== YES && bytes[0] !== NO)) {
        reject(connectError(address, answerProblem(bytes)));
        return;
      }
      current.receive = () => socket.destroy(connectError(address, answerProblem(bytes)));
      resolve(bytes[0] === YES);
    };
    socket.write(TLS_REQUEST);
  });
}

function answerProblem(bytes: Buffer): string {
  if (bytes[0] === YES || bytes[0] === NO)
    return 'it sent unencrypted data after its answer to the request for TLS';
  return bytes[0] === ERROR
    ? 'the server answered the request for TLS with an error; sslmode=disable would show it'
    : 'the server does not speak the PostgreSQL protocol: its answer to the request for TLS is invalid';
}

/** Guards a socket until it is ready for use: an error, close or abort rejects the pending step. */
class Setup {
  /** The failure to report if the socket is lost. */
  failure: ConnectFailure = 'unreachable';
  readonly #offAbort: () => void;
  readonly #lost: Promise<never>;
  #socket: Socket;
  #reject: (error: unknown) => void = () => undefined;
  readonly #onEnd: () => void;
  readonly #onError: (cause: Error) => void;

  constructor(address: ServerAddress, socket: Socket, signal: AbortSignal) {
    this.#lost = new Promise((_, reject) => (this.#reject = reject));
    this.#lost.catch(() => undefined);
    this.#onEnd = () => {
      this.#reject(failedAs(this.failure, connectError(address, 'the server closed the connection')));
    };
    this.#onError = (cause) => {
      const error = connectError(address, reasonOf(cause), cause);
      this.#reject(cause instanceof errors.Error ? cause : failedAs(this.failure, error));
    };
    this.#socket = socket;
    socket.on('end', this.#onEnd).on('close', this.#onEnd).on('error', this.#onError);
    this.#offAbort = onAbort(signal, () => {
      this.#reject(signal.reason);
    });
  }

  /** Resolves as `step` does; rejects if the socket is lost before. */
  whileOpen<T>(step: Promise<T>): Promise<T> {
    step.catch(() => undefined);
    return Promise.race([step, this.#lost]);
  }

  /** Stops watching the plain socket; from here on `secured` reports errors and the close. */
  replace(secured: Socket): void {
    this.#unwatch();
    this.#socket.on('error', () => undefined);
    this.#socket = secured;
  }

  destroy(): void {
    this.#socket.on('error', () => undefined);
    this.#socket.destroy();
  }

  done(): void {
    this.#unwatch();
    this.#offAbort();
  }

  #unwatch(): void {
    this.#socket.off('end', this.#onEnd).off('close', this.#onEnd).off('error', this.#onError);
  }
}

/** Opens the TCP or Unix socket, without encryption. */
function connectTo(address: ServerAddress, signal: AbortSignal, current: CurrentReceiver): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const tooLong = address.path === null ? null : pathTooLong(address.path);
    if (tooLong !== null) {
      reject(failedAs('unreachable', connectError(address, tooLong)));
      return;
    }
    const socket = socketFor(current, address.encryption !== null);
    const settle = (): void => {
      offAbort();
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
      reject(failedAs('unreachable', connectError(address, reasonOf(cause), cause)));
    };
    const offAbort = onAbort(signal, abort);
    socket.once('connect', connected);
    socket.once('error', failed);
    if (address.path !== null) socket.connect(address.path);
    else socket.connect(address.port, address.hostaddr ?? address.host);
  });
}

/** A socket, not connected yet, whose bytes go to `current`. `mayEncrypt`: TLS may begin on it. */
function socketFor(current: CurrentReceiver, mayEncrypt: boolean): Socket {
  if (mayEncrypt && TLS_NEEDS_EVENTS) return new node.net.Socket().on('data', current.onData);
  const onread: OnReadOpts = {
    buffer: sharedBuffer ?? Buffer.allocUnsafeSlow(READ_SIZE),
    callback: (length, buffer) => {
      current.receive((buffer as Buffer).subarray(0, length));
      return true;
    },
  };
  const options: SocketConstructorOpts & { onread: OnReadOpts } = { onread };
  return new node.net.Socket(options);
}

function connectError(address: ServerAddress, reason: string, cause?: Error): errors.OperationalError {
  return new errors.OperationalError(
    `connection to server at ${describeAddress(address)} failed: ${reason}`,
    cause === undefined ? {} : { cause },
  );
}

/** The operating system's limit in bytes. A longer path would be truncated and name another socket. */
const LONGEST_PATH = process.platform === 'linux' || process.platform === 'win32' ? 107 : 103;

function pathTooLong(path: string): string | null {
  const length = Buffer.byteLength(path);
  if (length <= LONGEST_PATH) return null;
  return `the path of the Unix socket is too long: it has ${String(length)} bytes, and the system takes ${String(LONGEST_PATH)} at most; give a shorter directory as host`;
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
      // Node shows the name of an abstract socket with its NUL.
      return error.message.replaceAll('\0', '@') || (error.code ?? 'unknown error');
  }
}
