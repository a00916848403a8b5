import type { Socket } from 'node:net';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import * as errors from '../errors/index.js';
import { locate, type ErrorConnection } from '../errors/location.js';
import type { BackendKey } from '../wire/backend-messages.js';
import { failedAs } from '../wire/connect-failure.js';
import type { Login } from '../wire/engine.js';
import { describeAddress, writeAll, type ServerAddress } from '../wire/socket.js';
import { isTlsAlert } from '../wire/tls.js';
import { limitsFor, type TimeLimits } from './limits.js';

/** The fields of a notice or an error, by the protocol's letter. */
export type ResponseFields = ReadonlyMap<string, string>;

/** How far a connection has come; while 'closing' it says goodbye. */
export type Phase = 'starting' | 'open' | 'closing' | 'closed';

/** The socket of a session, from its startup to its end, and why it ended. */
export class Transport {
  readonly socket: Socket;
  readonly address: ServerAddress;
  readonly login: Login;
  /** The key that cancel requests present. */
  key: BackendKey = { pid: 0, secret: 0 };
  phase: Phase = 'starting';
  /** The fields of a FATAL error: the last error of the server, which all statements reject with. */
  fatal: ResponseFields | null = null;
  /** Why the connection was lost; null while it is open, or if it was closed. */
  lost: Error | null = null;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  readonly #onClosed: () => void;
  #limits: TimeLimits = limitsFor(0);
  #socketError: Error | null = null;
  /** The error of a failed write, while the server's earlier messages are still to be read. */
  #writeError: Error | null = null;
  #location: ErrorConnection | null = null;

  /** `onClosed` is called when the socket has been closed, or is given up. */
  constructor(socket: Socket, address: ServerAddress, login: Login, onClosed: () => void) {
    this.socket = socket;
    this.address = address;
    this.login = login;
    this.#onClosed = onClosed;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        onClosed();
        resolve();
      });
    });
    socket.on('error', (cause) => {
      this.#socketError ??= cause;
    });
    // A server that ends its side is gone; without this the socket would stay half open.
    socket.on('end', () => {
      socket.destroy();
    });
    this.#keepLastWords();
  }

  /** What errors say of where they arose. */
  get location(): ErrorConnection {
    const { address, login, key } = this;
    return (this.#location ??= Object.freeze({
      host: address.host,
      port: address.port,
      dbname: login.database,
      user: login.user,
      pid: key.pid,
    }));
  }

  /** The longest waits of the session. */
  get limits(): TimeLimits {
    return this.#limits;
  }

  /** The time in which the server answers a message, in seconds. */
  set roundTrip(seconds: number) {
    this.#limits = limitsFor(seconds);
  }

  /** Whether statements can be sent. */
  get isOpen(): boolean {
    return this.phase === 'open' && this.#writeError === null;
  }

  write(bytes: Buffer): void {
    if (this.#isWritable) this.socket.write(bytes);
  }

  /**
   * Writes pieces together. Returns whether the network has taken them all, so that their memory may be used again; else `written`
   * is called when it has.
   */
  writeAll(pieces: readonly Uint8Array[], written: () => void): boolean {
    return !this.#isWritable || writeAll(this.socket, pieces, written);
  }

  /** Stops reading, and goes on. */
  pause(): void {
    this.socket.pause();
  }
  resume(): void {
    if (!this.socket.destroyed) this.socket.resume();
  }

  /** Gives the connection up: all statements reject with `error`. */
  fail(error: Error): void {
    if (this.phase === 'closed') return;
    this.lost ??= error;
    this.socket.destroy();
    this.#onClosed();
  }

  /** Gives the connection up after a message that the protocol does not allow. `awaited` says what was in flight. */
  violation(detail: string, awaited: string): void {
    this.fail(
      connectionError(
        `the server at ${describeAddress(this.address)} does not speak the PostgreSQL protocol, or something in between` +
          ` garbles it, or this library has lost track of its answers, which would be a fault of its own: it sent ${detail},` +
          ` while ${awaited}`,
      ),
    );
  }

  /** Notes why the socket was closed, unless that is known. */
  explainLoss(duringStartup: boolean): void {
    this.lost ??= this.#explanation(duringStartup);
  }

  #explanation(duringStartup: boolean): Error {
    // The server's error says more than the socket's.
    if (this.fatal !== null) return errors.errorFromResponse(this.fatal);
    const cause = this.#socketError ?? this.#writeError;
    if (cause !== null) {
      const lost = connectionError(
        `the connection to the server at ${describeAddress(this.address)} was lost: ${cause.message}`,
        cause,
      );
      // A TLS alert names its reason; the server is reachable.
      return isTlsAlert(cause) ? lost : failedAs('unreachable', lost);
    }
    if (!duringStartup) return connectionError('the server closed the connection unexpectedly');
    return failedAs(
      'unreachable',
      connectionError(`the server at ${describeAddress(this.address)} closed the connection during startup`),
    );
  }

  /** The error of a session that can't be used any more: the server's last error, if it sent one. */
  unusable(query: string | null = null): Error {
    const error = this.#unusable(query);
    locate(error, this.location);
    return error;
  }

  #unusable(query: string | null): Error {
    if (this.lost === null) return new errors.OperationalError('the connection is closed', { query });
    return this.fatal === null
      ? new errors.OperationalError(`the connection is lost: ${this.lost.message}`, {
          cause: this.lost,
          query,
        })
      : errors.errorFromResponse(this.fatal, query);
  }

  get #isWritable(): boolean {
    return this.phase !== 'closed' && this.#writeError === null;
  }

  /**
   * Delays the destruction of a socket whose write has failed. Node would destroy it at once, and with it the unread message in
   * which the server says why it ended the connection.
   */
  #keepLastWords(): void {
    const { socket } = this;
    const destroy = socket.destroy.bind(socket);
    let timer: NodeJS.Timeout | null = null;
    socket.destroy = (error?: Error) => {
      const isEnding = this.phase === 'closing' || this.phase === 'closed';
      if (isEnding || !isWriteFailure(error)) {
        if (timer !== null) clearTimeout(timer);
        return destroy(error);
      }
      // Writes made before the first failure is reported fail as well.
      if (this.#writeError !== null) return socket;
      this.#writeError = error;
      // TLS would drop decrypted data behind an error.
      socket.push = (bytes: Buffer | null) => {
        if (bytes === null) socket.destroy();
        else socket.emit('data', bytes);
        return true;
      };
      timer = setTimeout(() => {
        // After a late turn of the event loop, arrived data is read first.
        setImmediate(() => destroy(error));
      }, this.limits.lastWords * 1000);
      return socket;
    };
  }

  /** The server has said why it ends the connection: no further message is awaited. */
  onFatal(fields: ResponseFields): void {
    this.fatal = fields;
    if (this.#writeError !== null) this.socket.destroy();
  }
}

function isWriteFailure(error: (Error & { syscall?: string }) | undefined): error is Error {
  return error?.syscall === 'write' || error?.syscall === 'writev';
}

export function connectionError(message: string, cause?: unknown): errors.OperationalError {
  return new errors.OperationalError(message, cause === undefined ? {} : { cause });
}
