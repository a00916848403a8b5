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

/** The phase of a connection; 'closing' follows the Terminate message. */
export type Phase = 'starting' | 'open' | 'closing' | 'closed';

/** The socket of a session, from its startup to its end, and the reason for its end. */
export class Transport {
  readonly socket: Socket;
  readonly address: ServerAddress;
  readonly login: Login;
  /** The key that cancel requests present. */
  key: BackendKey = { pid: 0, secret: 0 };
  phase: Phase = 'starting';
  /** The fields of a FATAL error: the last error of the server, which all statements reject with. */
  fatal: ResponseFields | null = null;
  /** The error by which the connection was lost; null while it is open, or after an orderly close. */
  lost: Error | null = null;
  /** Whether it was given up because the server did not answer. */
  isUnanswered = false;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  readonly #onClosed: () => void;
  #limits: TimeLimits = limitsFor(0);
  #socketError: Error | null = null;
  /** The error of a failed write, until the server's earlier messages have been read. */
  #writeError: Error | null = null;
  #location: ErrorConnection | null = null;

  /** `onClosed` is called when the socket is closed or given up. */
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
    // A server that ends its side is gone; without this, the socket would stay half open.
    socket.on('end', () => {
      socket.destroy();
    });
    this.#keepLastWords();
  }

  /** The location that errors report. */
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

  /** The session's longest waits. */
  get limits(): TimeLimits {
    return this.#limits;
  }

  /** The measured time for the server to answer a message, in seconds. */
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
   * Writes pieces together. Returns true if the network has taken them all, so that their memory may be reused; otherwise
   * `written` is called once it has.
   */
  writeAll(pieces: readonly Uint8Array[], written: () => void): boolean {
    return !this.#isWritable || writeAll(this.socket, pieces, written);
  }

  /** Pauses reading from the socket. */
  pause(): void {
    this.socket.pause();
  }
  resume(): void {
    if (!this.socket.destroyed) this.socket.resume();
  }

  /** Ends the connection: all statements reject with `error`. */
  fail(error: Error): void {
    if (this.phase === 'closed') return;
    this.lost ??= error;
    this.socket.destroy();
    this.#onClosed();
  }

  /** Ends the connection, whose server does not answer: all statements reject with `error`. */
  giveUp(error: Error): void {
    this.isUnanswered = true;
    this.fail(error);
  }

  /** Ends the connection after a message that violates the protocol. `awaited` describes what was in flight. */
  violation(detail: string, awaited: string): void {
    this.fail(
      connectionError(
        `the server at ${describeAddress(this.address)} does not speak the PostgreSQL protocol, or a proxy on the way` +
          ` corrupts it, or this library has lost track of its answers, which would be a bug: it sent ${detail},` +
          ` while ${awaited}`,
      ),
    );
  }

  /** Records why the socket was closed, unless a reason is already recorded. */
  explainLoss(duringStartup: boolean): void {
    this.lost ??= this.#explanation(duringStartup);
  }

  #explanation(duringStartup: boolean): Error {
    // The server's error is more specific than the socket's.
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

  /** The error of a session that has ended: the server's last error, if it sent one. */
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
   * Delays the destruction of a socket after a failed write. Node would destroy it at once, together with an unread message in
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
      // TLS drops decrypted data that follows an error.
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

  /** The server has reported why it ends the connection; no further message is expected. */
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
