import type { OnReadOpts, Socket, SocketConstructorOpts } from 'node:net';
import * as errors from '../errors/index.js';
import { node } from '../node-modules.js';
import { onAbort } from '../waiting.js';
import { failedAs, type ConnectFailure } from './connect-failure.js';
import { isEncrypted, startTls, type Encryption } from './tls.js';

/** Where a server listens, a TCP address or the path of a unix socket, and how it is spoken to. */
export interface ServerAddress {
  /** The name shown in messages and compared with a certificate; also what is connected to unless `hostaddr` or `path` is given. */
  readonly host: string;
  readonly hostaddr: string | null;
  readonly port: number;
  /** Path of the unix socket, or null for TCP. */
  readonly path: string | null;
  readonly keepalives: { readonly enabled: boolean; readonly idleSeconds: number | null };
  /** Null: plain. A unix socket is never encrypted. */
  readonly encryption: Encryption | null;
}

/** How an address is named in a message. */
export function describeAddress({ host, hostaddr, port, path }: ServerAddress): string {
  // An abstract socket, whose name begins with a NUL, is written as libpq writes it.
  if (path !== null) return path.replace(/^\0/, '@');
  const name = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  return hostaddr === null || hostaddr === host ? name : `${name} (${hostaddr})`;
}

/** The address as `socket` has come to speak to it: what goes there later does so in the same way. */
export function actualAddress(address: ServerAddress, socket: Socket): ServerAddress {
  const { encryption } = address;
  if (encryption === null) return address;
  return { ...address, encryption: isEncrypted(socket) ? { ...encryption, optional: false } : null };
}

/** Takes what a socket has read; the bytes are overwritten as soon as it returns. */
export type Receiver = (bytes: Buffer) => void;

const READ_SIZE = 65_536;
/**
 * All sockets read into the same memory, since what they read is consumed before the next read; a buffer for each read would
 * cost as much again as decoding it. On Windows, a read may be under way on several sockets at once.
 */
const sharedBuffer = process.platform === 'win32' ? null : Buffer.allocUnsafeSlow(READ_SIZE);

/** In Deno, TLS never begins on a socket that was made with `onread`. */
const TLS_NEEDS_EVENTS = 'deno' in process.versions;

/** Who gets what a socket reads: somebody else while TLS is negotiated. */
class Line {
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
 * Connects to `address`, whose bytes go to `receive`, encrypted as it says. Rejects with an `OperationalError` that names it, or
 * with what `signal` was aborted with; either way no socket is left behind.
 */
export async function openSocket(
  address: ServerAddress,
  signal: AbortSignal,
  receive: Receiver,
): Promise<Socket> {
  const { encryption } = address;
  if (encryption === null || address.path !== null) return connectTo(address, signal, new Line(receive));
  const line = new Line(() => undefined);
  const socket = await connectTo(address, signal, line);
  const setUp = new Setup(address, socket, signal);
  try {
    if (
      encryption.settings.negotiation === 'postgres' &&
      !(await setUp.whileOpen(offersTls(socket, address, line)))
    ) {
      if (!encryption.optional) {
        throw failedAs(
          'tls',
          connectError(address, 'the server does not support TLS, which sslmode asks for'),
        );
      }
      line.receive = receive;
      return socket;
    }
    setUp.failure = 'handshake lost';
    socket.off('data', line.onData);
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
 * Writes pieces in one packet, as far as they fit. Returns whether the network has taken them all, so that their memory may be
 * used again; else `written` is called when it has, unless the socket is lost before.
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
 * Asks the server whether it has TLS. Whatever comes with or after its answer, before anything is encrypted, may be somebody
 * else's (CVE-2021-23222), and so may an error, which is why it is not shown.
 */
function offersTls(socket: Socket, address: ServerAddress, line: Line): Promise<boolean> {
  return new Promise((resolve, reject) => {
    line.receive = (bytes) => {
      if (bytes.length !== 1 || (bytes[0] !== YES && bytes[0] !== NO)) {
        reject(connectError(address, answerProblem(bytes)));
        return;
      }
      line.receive = () => socket.destroy(connectError(address, answerProblem(bytes)));
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
    : 'the server does not speak the PostgreSQL protocol: its answer to the request for TLS makes no sense';
}

/** A socket from its connection until it can be used: whatever ends it ends what is waited for. */
class Setup {
  /** What it is if the socket is lost. */
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

  /** What `step` comes to, unless the socket is lost first. */
  whileOpen<T>(step: Promise<T>): Promise<T> {
    step.catch(() => undefined);
    return Promise.race([step, this.#lost]);
  }

  /** The socket is encrypted from here on, and says itself what happens to it. */
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

/** Connects, without any encryption. */
function connectTo(address: ServerAddress, signal: AbortSignal, line: Line): Promise<Socket> {
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
    const socket = socketFor(line, address.encryption !== null);
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

/** A socket, not connected yet, whose bytes go to `line`; `mayEncrypt`: TLS may be begun on it. */
function socketFor(line: Line, mayEncrypt: boolean): Socket {
  if (mayEncrypt && TLS_NEEDS_EVENTS) return new node.net.Socket().on('data', line.onData);
  const onread: OnReadOpts = {
    buffer: sharedBuffer ?? Buffer.allocUnsafeSlow(READ_SIZE),
    callback: (length, buffer) => {
      line.receive((buffer as Buffer).subarray(0, length));
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

/** The bytes that the system has for the path of a socket; a longer one would be cut off, and name another socket. */
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
