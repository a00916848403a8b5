import type { Socket } from 'node:net';
import { channels, type ConnectionMessage, type LostMessage } from '../diagnostics.js';
import { locate, type ErrorConnection } from '../errors/location.js';
import {
  BackendReader,
  ProtocolViolation,
  readErrorFields,
  readNotification,
  readParameterStatus,
  type MessageSink,
  type Notification,
} from '../wire/backend-messages.js';
import { Engine, type Login } from '../wire/engine.js';
import { Backend } from '../wire/protocol.js';
import type { ServerAddress } from '../wire/socket.js';
import { isEncrypted } from '../wire/tls.js';
import { Cancellation } from './cancellation.js';
import { Dispatcher } from './dispatcher.js';
import { ExtendedQuery } from './extended-query.js';
import type { TimeLimits } from './limits.js';
import { OneTimeEvent } from './one-time-event.js';
import { Outcomes, StatementQueue, type StatementObserver } from './queue.js';
import { InFlight } from './reply.js';
import { Sender } from './sender.js';
import { ServerSettings, whyNotNotified } from './server-settings.js';
import { Startup } from './startup.js';
import { shownText } from './statement.js';
import { TransactionStatus } from './status.js';
import { connectionError, Transport, type ResponseFields } from './transport.js';

/**
 * The connection that uses a session and receives what the server sends beside its answers. An interface, since the connection
 * that implements it is in a layer above the session.
 */
export interface SessionUser extends StatementObserver {
  onNotice(fields: ResponseFields): void;
  onNotification(notification: Notification): void;
  /** A notification could not be read. */
  onUnreadable(error: Error): void;
}

/** The callbacks of a connection that is being opened: one for success, one for failure. */
interface OpenCallbacks {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * One physical connection to a backend, from its startup to its end. It owns the parts (transport, dispatcher, sender), keeps the
 * state of the connection and routes the server's messages. It lives as long as its socket. @internal
 */
export class BackendConnection implements MessageSink {
  readonly address: ServerAddress;
  readonly login: Login;
  /** The name of the pool that the connection belongs to, for diagnostics; null if it belongs to none. */
  readonly pool: string | null;

  protected readonly transport: Transport;
  protected readonly extended: ExtendedQuery;
  protected readonly queue = new StatementQueue();
  protected readonly inFlight = new InFlight();
  protected readonly outcomes: Outcomes;
  protected readonly cancellation: Cancellation;
  protected readonly sender: Sender;
  readonly #settings = new ServerSettings();
  readonly #reader: BackendReader;
  readonly #engine: Engine;
  readonly #dispatcher: Dispatcher;
  #startup: Startup | null;
  readonly #openCallbacks: OpenCallbacks;
  #user: SessionUser | null = null;
  #identity: object | null = null;
  readonly #lost = new OneTimeEvent<[error: Error]>();
  protected readonly ending = new OneTimeEvent();
  #waitingForQuiet: (() => void)[] = [];

  protected constructor(
    socket: Socket,
    address: ServerAddress,
    login: Login,
    pool: string | null,
    openCallbacks: OpenCallbacks,
  ) {
    this.address = address;
    this.login = login;
    this.pool = pool;
    this.#openCallbacks = openCallbacks;
    this.#reader = new BackendReader(this);
    const transport = new Transport(socket, address, login, () => {
      this.#onClosed();
    });
    const engine = new Engine(socket, login, () => {
      this.sender.pump();
    });
    this.transport = transport;
    this.#engine = engine;
    this.extended = new ExtendedQuery(transport, this.#settings);
    this.outcomes = new Outcomes(transport);
    this.cancellation = new Cancellation(transport, this.inFlight, () => {
      this.sender.pump();
      this.#tellQuiet();
    });
    const parts = {
      transport,
      engine,
      settings: this.#settings,
      queue: this.queue,
      inFlight: this.inFlight,
      extended: this.extended,
      cancellation: this.cancellation,
      outcomes: this.outcomes,
    };
    this.sender = new Sender(parts);
    this.#dispatcher = new Dispatcher({
      ...parts,
      sender: this.sender,
      onAnswered: () => {
        if (this.cancellation.state !== 'idle') this.cancellation.advance();
        this.sender.pump();
        this.#tellQuiet();
      },
      onStrayError: (fields) => this.#user?.onNotice(fields),
    });
    this.#startup = new Startup(transport, engine, this.#settings, (status) => {
      this.#startup = null;
      this.inFlight.status = status;
      this.#reader.startupDone();
      openCallbacks.resolve();
    });
    engine.start();
  }

  // --- the state of the connection

  get transactionStatus(): TransactionStatus {
    if (this.closed) return TransactionStatus.UNKNOWN;
    const isActive = this.inFlight.length > 0 || this.sender.owesSync;
    return isActive ? TransactionStatus.ACTIVE : this.inFlight.status;
  }

  /** The transaction status that the last answer left, whatever is in flight behind it. */
  get answeredStatus(): TransactionStatus {
    return this.inFlight.status;
  }

  /** Whether no statement is running and none waits. */
  get quiet(): boolean {
    return !this.isBusy && !this.sender.owesSync && !this.queue.locked && !this.#isCancelling;
  }

  /** Whether a cancel request is open, which may hit any statement sent to the server. */
  get #isCancelling(): boolean {
    return this.cancellation.state === 'requested';
  }

  /** Whether a statement is running or waits. */
  protected get isBusy(): boolean {
    return this.inFlight.length > 0 || this.queue.length > 0;
  }

  get closed(): boolean {
    return this.transport.phase === 'closing' || this.transport.phase === 'closed';
  }

  /** Whether the connection ended without being asked to. */
  get broken(): boolean {
    return this.transport.lost !== null;
  }

  /** The message of the error that the last statement, or the connection, failed with; '' if it did not fail. */
  get errorMessage(): string {
    return this.transport.lost?.message ?? this.outcomes.errorMessage;
  }

  get backendPid(): number {
    return this.transport.key.pid;
  }

  /** An object without properties that stands for this connection outside of the library. */
  get identity(): object {
    return (this.#identity ??= Object.freeze({}));
  }

  /** The longest waits of the session. */
  get limits(): TimeLimits {
    return this.transport.limits;
  }

  /** The location that errors of this connection carry. */
  get location(): ErrorConnection {
    return this.transport.location;
  }

  /** The description that messages of the diagnostics channels carry. */
  get described(): ConnectionMessage {
    const { host, port, dbname, user } = this.transport.location;
    return { pool: this.pool, host, port, dbname, user, backendPid: this.backendPid };
  }

  /** The connection that currently uses the session; a pool sets a new one for each checkout. */
  set user(user: SessionUser) {
    this.#user = user;
    this.outcomes.observer = user;
  }

  /** A client_encoding other than UTF8, in which only ASCII texts can be exchanged; null for UTF8. */
  get foreignEncoding(): string | null {
    return this.#settings.foreignEncoding;
  }

  /** Whether the connection is encrypted. */
  get encrypted(): boolean {
    return isEncrypted(this.transport.socket);
  }

  /** The settings that the server reports, such as `server_version`. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#settings.reported;
  }

  /** The settings that loaders may rely on, without those that a statement may have changed since the last report. */
  get certainParameters(): ReadonlyMap<string, string> {
    return this.#settings.certain;
  }

  /** Sets whether the open connection keeps the process alive. */
  setKeepsProcessAlive(keeps: boolean): void {
    if (keeps) this.transport.socket.ref();
    else this.transport.socket.unref();
  }

  /** Whether the connection was given up because the server did not answer. */
  get isUnanswered(): boolean {
    return this.transport.isUnanswered;
  }

  /** Calls `listener` once if the connection is lost, not if it is closed. Returns a function that removes the listener. */
  onLost(listener: (error: Error) => void): () => void {
    return this.#lost.listen(listener);
  }

  /**
   * Calls `listener` once when no more statements can be executed: the connection is lost, or is about to be closed. Returns a
   * function that removes the listener.
   */
  onEnd(listener: () => void): () => void {
    return this.ending.listen(listener);
  }

  // --- receiving

  /** Handles bytes read from the socket. */
  protected receive(bytes: Buffer): void {
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.onGarbage(error.message);
    }
  }

  onRow(bytes: Buffer, start: number, end: number): void {
    this.#dispatcher.onRow(bytes, start, end);
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#startup !== null) {
      this.#startup.onMessage(type, bytes, start, end);
      return;
    }
    switch (type) {
      case Backend.NoticeResponse: {
        const fields = readErrorFields(bytes, start, end);
        this.#dispatcher.onNotice(fields);
        this.#user?.onNotice(fields);
        return;
      }
      case Backend.NotificationResponse:
        this.#onNotification(readNotification(bytes, start, end));
        return;
      case Backend.ParameterStatus: {
        const [name, value] = readParameterStatus(bytes, start, end);
        const wasKnown = this.#settings.foreignEncoding === null;
        this.#settings.set(name, value);
        if (wasKnown && this.#settings.foreignEncoding !== null) this.#dispatcher.onForeignEncoding();
        return;
      }
      case Backend.ErrorResponse:
        this.#dispatcher.onError(bytes, start, end);
        return;
      case Backend.ReadyForQuery:
        this.#dispatcher.onReadyForQuery(bytes, start, end);
        return;
      default:
        this.#dispatcher.onAnswer(type, bytes, start, end);
    }
  }

  #onNotification(notification: Notification): void {
    const { foreignEncoding } = this.#settings;
    const refusal = foreignEncoding === null ? null : whyNotNotified(notification, foreignEncoding);
    if (refusal === null) this.#user?.onNotification(notification);
    else this.#user?.onUnreadable(refusal);
  }

  onGarbage(detail: string): void {
    const awaited = this.#startup === null ? this.#dispatcher.awaited : 'the connection was being started';
    this.transport.violation(detail, awaited);
  }

  // --- ending

  /** Resolves when nothing is in flight and no cancel request is open, or when the connection has ended. */
  protected untilQuiet(): Promise<void> {
    return new Promise((resolve) => this.#waitingForQuiet.push(resolve));
  }

  #tellQuiet(): void {
    if (this.#waitingForQuiet.length === 0 || this.inFlight.length > 0 || this.#isCancelling) return;
    for (const resolve of this.#waitingForQuiet.splice(0)) resolve();
  }

  /** Closes the socket at once, without a Terminate message. Running and waiting statements reject. */
  drop(): void {
    if (this.transport.phase === 'open') this.transport.phase = 'closing';
    this.transport.socket.destroy();
    this.#onClosed();
  }

  /** The error of a session that has ended: the server's last error, if it sent one. */
  unusable(query: string | null = null): Error {
    return this.transport.unusable(query);
  }

  #onClosed(): void {
    const { phase } = this.transport;
    if (phase === 'closed') return;
    this.transport.phase = 'closed';
    this.#reader.stop();
    this.#engine.close();
    if (phase !== 'closing') this.transport.explainLoss(phase === 'starting');
    const { lost } = this.transport;
    this.#rejectAll();
    if (phase === 'starting')
      this.#openCallbacks.reject(lost ?? connectionError('the connection was closed'));
    else if (phase === 'open' && lost !== null) {
      locate(lost, this.transport.location);
      if (channels.lost.hasSubscribers) {
        const message: LostMessage = { ...this.described, error: lost };
        channels.lost.publish(message);
      }
      this.#lost.tell(lost);
    }
    this.ending.tell();
  }

  /** Rejects all statements after the connection's end. The statement being answered rejects with its own error, if it has one. */
  #rejectAll(): void {
    this.cancellation.stop();
    for (const reply of this.inFlight.drain()) {
      if (reply.kind === 'statement') {
        const { entry, error, results } = reply;
        this.outcomes.settle(entry, error ?? this.unusable(shownText(entry.request)), results);
      } else reply.entry?.reject(reply.error ?? this.unusable(null));
    }
    for (const entry of this.queue.drain()) {
      if (entry.kind === 'statement') this.outcomes.settle(entry, this.unusable(shownText(entry.request)));
      else entry.reject(this.unusable(null));
    }
    this.sender.endWaits();
    for (const resolve of this.#waitingForQuiet.splice(0)) resolve();
  }
}
