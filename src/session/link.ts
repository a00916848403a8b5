import type { Socket } from 'node:net';
import * as errors from '../errors/index.js';
import { locate, type ErrorConnection } from '../errors/location.js';
import type { BackendKey } from '../wire/backend-messages.js';
import { failedAs } from '../wire/connect-failure.js';
import type { Login } from '../wire/engine.js';
import { describeAddress, writeAll, type ServerAddress } from '../wire/socket.js';
import { isTlsAlert } from '../wire/tls.js';
import type { Outlet } from './lane.js';

/** The fields of a notice or an error, by the protocol's letter. */
export type ResponseFields = ReadonlyMap<string, string>;

/** How far a connection has come; while 'closing' it says goodbye. */
export type Phase = 'starting' | 'open' | 'closing' | 'closed';

/** The socket of a session, from the startup to its end, and why it ended. */
export class Link implements Outlet {
  readonly socket: Socket;
  readonly address: ServerAddress;
  readonly login: Login;
  /** What cancel requests show. */
  key: BackendKey = { pid: 0, secret: 0 };
  phase: Phase = 'starting';
  /** The encoding of the session, if texts beyond ASCII can't be exchanged in it; else null. */
  foreignEncoding: string | null = null;
  /** The fields of a FATAL error: what the server said last is what everybody hears. */
  fatal: ResponseFields | null = null;
  /** What it was lost by; null as long as it is there, or if it was closed. */
  lost: Error | null = null;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  readonly #onClosed: () => void;
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
      this.lost ??= connectionError(
        `the connection to the server at ${describeAddress(address)} was lost: ${cause.message}`,
        cause,
      );
      // One that ended TLS has said why: it is not unreachable.
      if (!isTlsAlert(cause)) failedAs('unreachable', this.lost);
    });
    // A server that ends its side is gone; without this the socket would stay half open.
    socket.on('end', () => {
      socket.destroy();
    });
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

  write(bytes: Buffer): void {
    if (this.phase !== 'closed') this.socket.write(bytes);
  }

  writeAll(pieces: readonly Uint8Array[], written: () => void): boolean {
    return this.phase === 'closed' || writeAll(this.socket, pieces, written);
  }

  /** Gives it up: `error` is what everybody hears. */
  fail(error: Error): void {
    if (this.phase === 'closed') return;
    this.lost ??= error;
    this.socket.destroy();
    this.#onClosed();
  }

  /** Gives it up, since the server has sent what it can't have. */
  violation(detail: string): void {
    this.fail(
      connectionError(
        `the server at ${describeAddress(this.address)} does not speak the PostgreSQL protocol, or something in between` +
          ` garbles it: it sent ${detail}`,
      ),
    );
  }

  /** Names what the socket was closed by, unless that is known. */
  explainLoss(duringStartup: boolean): void {
    this.lost ??=
      this.fatal !== null
        ? errors.errorFromResponse(this.fatal)
        : duringStartup
          ? failedAs(
              'unreachable',
              connectionError(
                `the server at ${describeAddress(this.address)} closed the connection during startup`,
              ),
            )
          : connectionError('the server closed the connection unexpectedly');
  }

  /** Why the session can't be used any more: what the server said last, where it said something. */
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
}

export function connectionError(message: string, cause?: unknown): errors.OperationalError {
  return new errors.OperationalError(message, cause === undefined ? {} : { cause });
}
