import type { Socket } from 'node:net';
import { tracers, type ConnectionMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { locate, type ErrorConnection } from '../errors/location.js';
import {
  ProtocolViolation,
  readErrorFields,
  readNotification,
  readParameterStatus,
  type Notification,
} from '../wire/backend-messages.js';
import { BackendReader, type MessageSink } from '../wire/backend-reader.js';
import { Engine, type Login } from '../wire/engine.js';
import { Backend } from '../wire/protocol.js';
import { actualAddress, openSocket, type Receiver, type ServerAddress } from '../wire/socket.js';
import { isEncrypted } from '../wire/tls.js';
import { Cancellation } from './cancellation.js';
import type { CopyChannel } from './copy-channel.js';
import { CopyExchange } from './copy-exchange.js';
import { Dispatcher } from './dispatcher.js';
import { ExtendedQuery } from './extended-query.js';
import { InFlight } from './in-flight.js';
import { OneTimeEvent } from './one-time-event.js';
import { Outcomes, type StatementObserver } from './outcomes.js';
import { completeMessage, queryMessage, shownQuery } from './query-trace.js';
import { StatementEntry, StatementQueue, SyncEntry, type ExclusiveLock, type Turn } from './queue.js';
import type { StatementReply } from './reply.js';
import { RowStream } from './row-stream.js';
import { Sender } from './sender.js';
import { ServerSettings } from './server-settings.js';
import { Startup } from './startup.js';
import { canceled } from './statement-errors.js';
import { canGoExtended } from './statement-text.js';
import {
  canBePipelined,
  keepsTransactionStatus,
  ROLLBACK,
  type StatementRequest,
  type StatementResult,
} from './statement.js';
import { PipelineStatus, TransactionStatus } from './status.js';
import { connectionError, Transport, type ResponseFields } from './transport.js';

/** Who uses a session, and hears of what the server says beside its answers. */
export interface SessionUser extends StatementObserver {
  onNotice(fields: ResponseFields): void;
  onNotification(notification: Notification): void;
}

/** What a session calls once it is open, or when it can't be opened. */
interface Opening {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * One physical connection, alive as long as its socket. What is submitted is queued here, and answered in the order of
 * `submit()`; the sender sends it, the dispatcher reads the answers, and the cancellation ends what is not wanted any more. @internal
 */
export class Session implements MessageSink {
  readonly address: ServerAddress;
  readonly login: Login;
  /** The name of the pool that it belongs to, for those who watch; null if it belongs to none. */
  readonly pool: string | null;

  readonly #transport: Transport;
  readonly #settings = new ServerSettings();
  readonly #reader: BackendReader;
  readonly #engine: Engine;
  readonly #extended: ExtendedQuery;
  readonly #queue = new StatementQueue();
  readonly #inFlight = new InFlight();
  readonly #outcomes: Outcomes;
  readonly #cancellation: Cancellation;
  readonly #sender: Sender;
  readonly #dispatcher: Dispatcher;
  #startup: Startup | null;
  readonly #opening: Opening;
  #user: SessionUser | null = null;
  readonly #lost = new OneTimeEvent<[error: Error]>();
  readonly #end = new OneTimeEvent();
  /** Whether statements are sent without waiting for those before them. */
  #inPipeline = false;
  /** The statement that has the session to itself, or will have it when its turn comes. */
  #exchanging: StatementEntry | null = null;
  #waitingForQuiet: (() => void)[] = [];
  #closing: Promise<void> | null = null;

  /**
   * Connects and signs in. Rejects with an `OperationalError`, or with what `signal` was aborted with; then nothing of the
   * attempt is left behind. `pool` is the name of the pool that it is made for.
   */
  static async open(
    address: ServerAddress,
    login: Login,
    signal: AbortSignal,
    pool: string | null = null,
  ): Promise<Session> {
    let receive: Receiver = () => undefined;
    const socket = await openSocket(address, signal, (bytes) => {
      receive(bytes);
    });
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        session.#transport.fail(signal.reason as Error);
      };
      const session: Session = new Session(socket, actualAddress(address, socket), login, pool, {
        resolve: () => {
          signal.removeEventListener('abort', abort);
          resolve(session);
        },
        reject: (error) => {
          signal.removeEventListener('abort', abort);
          reject(error);
        },
      });
      receive = (bytes) => {
        session.#receive(bytes);
      };
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
  }

  private constructor(
    socket: Socket,
    address: ServerAddress,
    login: Login,
    pool: string | null,
    opening: Opening,
  ) {
    this.address = address;
    this.login = login;
    this.pool = pool;
    this.#opening = opening;
    this.#reader = new BackendReader(this);
    const transport = new Transport(socket, address, login, () => {
      this.#onClosed();
    });
    const engine = new Engine(socket, login, () => {
      this.#sender.pump();
    });
    this.#transport = transport;
    this.#engine = engine;
    this.#extended = new ExtendedQuery(transport);
    this.#outcomes = new Outcomes(transport);
    this.#cancellation = new Cancellation(transport, this.#inFlight, () => {
      this.#sender.pump();
      this.#tellQuiet();
    });
    const parts = {
      transport,
      engine,
      settings: this.#settings,
      queue: this.#queue,
      inFlight: this.#inFlight,
      extended: this.#extended,
      cancellation: this.#cancellation,
      outcomes: this.#outcomes,
    };
    this.#sender = new Sender(parts);
    this.#dispatcher = new Dispatcher({
      ...parts,
      sender: this.#sender,
      onAnswered: () => {
        this.#cancellation.advance();
        this.#sender.pump();
        this.#tellQuiet();
      },
      onStrayError: (fields) => this.#user?.onNotice(fields),
    });
    this.#startup = new Startup(transport, engine, this.#settings, (status) => {
      this.#startup = null;
      this.#inFlight.status = status;
      this.#reader.startupDone();
      this.#extended.textOnly = this.foreignEncoding !== null;
      opening.resolve();
    });
    engine.start();
  }

  // --- what is known of the connection

  get transactionStatus(): TransactionStatus {
    if (this.closed) return TransactionStatus.UNKNOWN;
    const isActive = this.#inFlight.length > 0 || this.#sender.owesSync;
    return isActive ? TransactionStatus.ACTIVE : this.#inFlight.status;
  }

  /** Nothing is running, nothing waits. */
  get quiet(): boolean {
    return (
      !this.#isBusy && !this.#sender.owesSync && !this.#queue.locked && !this.#cancellation.underway
    );
  }

  get #isBusy(): boolean {
    return this.#inFlight.length > 0 || this.#queue.length > 0;
  }

  get pipelineStatus(): PipelineStatus {
    if (!this.#inPipeline) return PipelineStatus.OFF;
    return this.#sender.isSkipping ? PipelineStatus.ABORTED : PipelineStatus.ON;
  }

  get closed(): boolean {
    return this.#transport.phase === 'closing' || this.#transport.phase === 'closed';
  }

  /** Whether the connection ended without being asked to. */
  get broken(): boolean {
    return this.#transport.lost !== null;
  }

  /** What the last statement failed with, or the connection; '' if it did not. */
  get errorMessage(): string {
    return this.#transport.lost?.message ?? this.#outcomes.errorMessage;
  }

  get backendPid(): number {
    return this.#transport.key.pid;
  }

  /** What errors say of where they arose. */
  get location(): ErrorConnection {
    return this.#transport.location;
  }

  /** What messages of the diagnostics channels say of it. */
  get described(): ConnectionMessage {
    const { host, port, dbname, user } = this.#transport.location;
    return { pool: this.pool, host, port, dbname, user, backendPid: this.backendPid };
  }

  /** The connection that the session is used by: another one after each checkout from a pool. */
  set user(user: SessionUser) {
    this.#user = user;
    this.#outcomes.observer = user;
  }

  /** The encoding that somebody has set, in which texts beyond ASCII can't be exchanged; else null. */
  get foreignEncoding(): string | null {
    return this.#settings.foreignEncoding;
  }

  /** Whether the connection is encrypted. */
  get encrypted(): boolean {
    return isEncrypted(this.#transport.socket);
  }

  /** The settings that the server reports, such as `server_version`. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#settings.reported;
  }

  /** The same for those who load values: without what a statement may have changed since they were reported. */
  get certainParameters(): ReadonlyMap<string, string> {
    return this.#settings.certain;
  }

  /** Lets the process exit although the connection is open, or not. */
  setKeepsProcessAlive(keeps: boolean): void {
    if (keeps) this.#transport.socket.ref();
    else this.#transport.socket.unref();
  }

  /** Calls `listener` once if the connection is lost, not if it is closed. Returns what takes the listener off again. */
  onLost(listener: (error: Error) => void): () => void {
    return this.#lost.listen(listener);
  }

  /** Calls `listener` once when nothing can be executed any more: the connection is lost, or about to be closed. Returns as `onLost()`. */
  onEnd(listener: () => void): () => void {
    return this.#end.listen(listener);
  }

  // --- statements

  /**
   * Executes a statement when its turn comes. Resolves with its results, one for each statement in its text. It is queued before
   * this returns. Whoever has the session exclusively passes the lock.
   */
  submit(request: StatementRequest, lock?: ExclusiveLock): Promise<readonly StatementResult[]> {
    if (!tracers.query.watched || this.#isNeedless(request)) return this.#submit(request, lock);
    const message = queryMessage(request, this.described);
    return tracers.query.trace(
      message,
      () => this.#submit(request, lock),
      (results) => {
        completeMessage(message, request, results);
      },
    );
  }

  /** Whether it is known already that there is nothing to be done, such as a commit without a transaction. */
  #isNeedless({ onlyIf }: StatementRequest): boolean {
    if (onlyIf === undefined || !this.quiet) return false;
    return (this.transactionStatus === TransactionStatus.IDLE) === (onlyIf === 'in transaction');
  }

  #submit(request: StatementRequest, lock: ExclusiveLock | undefined): Promise<readonly StatementResult[]> {
    const { signal } = request;
    const refusal = this.#refusal(request.text) ?? this.#refusalInPipeline(request);
    if (refusal !== null) {
      locate(refusal, this.#transport.location, shownQuery(request));
      return Promise.reject(refusal);
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as unknown);
    return new Promise((resolve, reject) => {
      const pipelined = this.#inPipeline && lock === undefined && canBePipelined(request);
      const entry = new StatementEntry(request, keepsTransactionStatus(request), pipelined, resolve, reject);
      if (signal !== undefined) {
        const abort = (): void => {
          this.#giveUp(entry, signal.reason);
        };
        signal.addEventListener('abort', abort, { once: true });
        entry.onSettled(() => {
          signal.removeEventListener('abort', abort);
        });
      }
      if (request.exchange !== undefined) {
        this.#exchanging = entry;
        entry.onSettled(() => {
          if (this.#exchanging === entry) this.#exchanging = null;
        });
      }
      this.#queue.push(entry, lock);
      this.#sender.pump();
    });
  }

  /**
   * Null if more statements may be submitted; else as much waits or is in flight as there are limits for, and the promise resolves when
   * half of it is done with.
   */
  room(): Promise<void> | null {
    return this.#sender.room();
  }

  /** Rolls back the open transaction, if there is one, when all before it has been answered. */
  async rollback(lock?: ExclusiveLock): Promise<void> {
    await this.submit(ROLLBACK, lock);
  }

  /**
   * Executes a COPY when its turn comes. Resolves when the server is ready for the data, or has some. Until it has ended, other
   * statements are refused: one that waited for it, in the loop that feeds it say, would wait for ever.
   */
  copy(request: StatementRequest, lock?: ExclusiveLock): Promise<CopyChannel> {
    return new Promise((resolve, reject) => {
      const copy = new CopyExchange(
        request.text,
        async (exchange) => {
          const executions = request.executions ?? (canGoExtended(request.text) ? [[]] : null);
          const results = await this.submit({ ...request, executions, rows: null, exchange }, lock);
          return results.map(({ tag }) => tag);
        },
        resolve,
        (error) => {
          locate(error, this.#transport.location, shownQuery(request));
          return error;
        },
      );
      copy.end.catch(reject);
    });
  }

  /**
   * Executes a statement when its turn comes, and fetches its rows as they are wanted, `size` at a time. Until it has ended,
   * other statements are refused, as during a COPY.
   */
  stream(request: StatementRequest, size: number | null): RowStream {
    return new RowStream(size, { ...request, executions: request.executions ?? [[]] }, (sent) =>
      this.submit(sent),
    );
  }

  /** Why nothing can be executed now; null if it can. */
  #refusal(text: string | null): Error | null {
    return this.#transport.phase === 'open' ? this.#refusalInExchange(text) : this.unusable(text);
  }

  /** Raises `ProgrammingError` if a COPY or a stream has the session to itself: what was to wait for its end could wait for ever. */
  checkNoExchange(): void {
    const refusal = this.#refusalInExchange(null);
    if (refusal !== null) throw refusal;
  }

  #refusalInExchange(text: string | null): Error | null {
    const request = this.#exchanging?.request;
    // To wait for one that is on its way out is safe.
    if (request?.exchange?.left !== false) return null;
    return new errors.ProgrammingError(
      `the connection is busy with '${request.text.slice(0, 100)}', which has it to itself until it has been read or written to` +
        ' its end, or left; use another connection for what is to happen meanwhile',
      { query: text },
    );
  }

  #refusalInPipeline({ exchange, text }: StatementRequest): Error | null {
    if (!this.#inPipeline || exchange === undefined) return null;
    const what = exchange.kind === 'copy' ? 'COPY' : 'stream()';
    return new errors.NotSupportedError(`${what} can't be used in a pipeline; leave it first`, {
      query: text,
    });
  }

  // --- pipelines

  /**
   * From here on statements are sent without waiting for the answers of those before, until `endPipeline()`. They stand or fall
   * together up to the next `sync()`, as far as no transaction makes a difference.
   */
  beginPipeline(): void {
    this.#inPipeline = true;
  }

  /** Statements wait for their turn again. Those of the pipeline have to have been ended by `sync()`. */
  endPipeline(): void {
    this.#inPipeline = false;
  }

  /**
   * Ends what the pipeline has so far, and a failure in it. Resolves when all of it has been answered. Rejects with what the server
   * finds wrong only then, such as the violation of a deferred constraint.
   */
  sync(): Promise<void> {
    if (this.#transport.phase !== 'open') return Promise.reject(this.unusable(null));
    return new Promise((resolve, reject) => {
      this.#queue.push(new SyncEntry(resolve, reject));
      this.#sender.pump();
    });
  }

  /** Has the server send the answers of the pipeline that it holds back until a `sync()`. */
  flush(): void {
    this.#sender.flush();
  }

  // --- turns

  /** Calls `act` with the transaction status when everything submitted so far has been answered, unless `signal` is aborted before. */
  inTurn<T>(act: (status: TransactionStatus) => T, signal?: AbortSignal): Promise<T> {
    const refusal = this.#refusal(null);
    if (refusal !== null) return Promise.reject(refusal);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        turn.dropped = true;
        reject(signal?.reason as Error);
        this.#sender.pump();
      };
      const turn: Turn = {
        kind: 'turn',
        dropped: false,
        reject: (reason) => {
          signal?.removeEventListener('abort', abort);
          reject(reason);
        },
        run: (status) => {
          signal?.removeEventListener('abort', abort);
          try {
            resolve(act(status));
          } catch (error) {
            reject(error);
          }
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.push(turn);
      this.#sender.pump();
    });
  }

  /**
   * Runs `steps` in its turn; meanwhile only what is submitted with its `lock` is sent. `steps` must not wait for anything that
   * needs the session without it. An abort of `signal` ends the wait for the turn, not the steps.
   */
  async exclusively<T>(
    steps: (lock: ExclusiveLock, status: TransactionStatus) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { lock, status } = await this.inTurn(
      (current) => ({ lock: this.#queue.lock(), status: current }),
      signal,
    );
    try {
      return await steps(lock, status);
    } finally {
      this.#queue.unlock();
      this.#sender.pump();
    }
  }

  // --- giving up

  /**
   * Ends one statement, which rejects with `reason`: it is dropped if it waits, and cancelled if it runs and nothing else can be hit.
   * Resolves when it has been answered, or has not been within the limit for a cancel request.
   */
  async abandon(request: StatementRequest, reason: Error): Promise<void> {
    const entry = this.#find(request);
    if (entry === undefined) return;
    this.#giveUp(entry, reason, false);
    if (entry.settled) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#transport.limits.cancel * 1000);
      entry.onSettled(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #find(request: StatementRequest): StatementEntry | undefined {
    for (const reply of this.#inFlight) {
      if (reply.kind === 'statement' && reply.entry.request === request) return reply.entry;
    }
    for (const entry of this.#queue) {
      if (entry.kind === 'statement' && entry.request === request) return entry;
    }
    return undefined;
  }

  /** Ends the COPY or the stream that has the session to itself, if there is one; it rejects with `reason`. Resolves as `abandon()` does. */
  async abandonExchange(reason: Error): Promise<void> {
    if (this.#exchanging !== null) await this.abandon(this.#exchanging.request, reason);
  }

  /**
   * Ends everything submitted so far: what waits is never sent, what runs is cancelled. Each rejects with `reason`. Resolves
   * when the server has answered, or the session has been given up.
   */
  async abandonAll(reason: Error): Promise<void> {
    for (const entry of this.#queue.drain()) {
      if (entry.kind === 'statement') this.#outcomes.settle(entry, reason);
      else entry.reject(reason);
    }
    this.#sender.endSegment();
    if (this.#inFlight.length === 0) return;
    for (const reply of this.#inFlight) {
      reply.cancelWanted = true;
      if (reply.kind === 'statement') reply.entry.abandoned ??= { reason };
    }
    const { head } = this.#inFlight;
    if (head?.kind === 'statement') this.#interrupt(head);
    else this.#cancellation.advance();
    await Promise.race([
      this.#transport.closed,
      new Promise<void>((resolve) => this.#waitingForQuiet.push(resolve)),
    ]);
  }

  /**
   * Asks the server to cancel what is running, if anything is. Resolves when the request has been dealt with; for a COPY or a stream,
   * of which a server that waits for its user's next step would not hear, when that has been ended by its own means.
   */
  async cancelRunning(): Promise<void> {
    const { head } = this.#inFlight;
    if (head?.kind !== 'statement') return;
    if (head.entry.request.exchange === undefined) {
      await this.#cancellation.wantNow(head);
      return;
    }
    const reason = canceled(head.entry);
    locate(reason, this.#transport.location, shownQuery(head.entry.request));
    this.#giveUp(head.entry, reason);
    await new Promise<void>((resolve) => {
      head.entry.onSettled(resolve);
    });
  }

  /**
   * A caller has given up: a statement that waits is dropped, one that has been sent is cancelled as soon as it runs. On a network that
   * is silent its caller does not wait for the end of the session, unless `mayBeTold` is false.
   */
  #giveUp(entry: StatementEntry, reason: unknown, mayBeTold = true): void {
    if (entry.settled) return;
    entry.abandoned ??= { reason };
    const { reply, request } = entry;
    if (reply === null) {
      this.#outcomes.settle(entry, null);
      this.#sender.pump();
      return;
    }
    if (mayBeTold && request.exchange === undefined && request.outcomeMatters !== true) {
      reply.onSilence = () => {
        if (!entry.settled) entry.reject(reason);
      };
    }
    this.#interrupt(reply);
  }

  /** Ends what has been sent: by its own means if it has any. */
  #interrupt(reply: StatementReply): void {
    const { exchange } = reply.entry.request;
    if (exchange === undefined) this.#cancellation.want(reply);
    else exchange.leave('it was given up');
  }

  #tellQuiet(): void {
    if (this.#waitingForQuiet.length === 0 || this.#inFlight.length > 0 || this.#cancellation.underway) return;
    for (const resolve of this.#waitingForQuiet.splice(0)) resolve();
  }

  // --- receiving

  #receive(bytes: Buffer): void {
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
      case Backend.NoticeResponse:
        this.#user?.onNotice(readErrorFields(bytes, start, end));
        return;
      case Backend.NotificationResponse:
        this.#user?.onNotification(readNotification(bytes, start, end));
        return;
      case Backend.ParameterStatus: {
        const [name, value] = readParameterStatus(bytes, start, end);
        this.#settings.set(name, value);
        // Every byte of a row has to tell whether it is ASCII.
        if (name === 'client_encoding') this.#extended.textOnly = this.foreignEncoding !== null;
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

  onGarbage(detail: string): void {
    const awaited =
      this.#startup === null ? this.#dispatcher.awaited : 'the connection was being started';
    this.#transport.violation(detail, awaited);
  }

  // --- the end

  /**
   * Says goodbye and closes the socket. What still runs is cancelled, so that the server does not go on with it, and rejects
   * like everything that waits. Resolves when the socket is closed, a few seconds later at most.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { socket } = this.#transport;
    if (this.#transport.phase === 'closed') {
      await this.#transport.closed;
      return;
    }
    this.#transport.phase = 'closing';
    this.#end.tell();
    const reason = new errors.OperationalError(
      'the connection was closed while the statement was waiting or running',
    );
    if (this.#isBusy) await this.abandonAll(reason);
    this.#extended.terminate();
    socket.end();
    const timer = setTimeout(() => socket.destroy(), this.#transport.limits.goodbye * 1000);
    await this.#transport.closed;
    clearTimeout(timer);
  }

  /** Closes the socket at once. What runs or waits rejects, and the server is left to find out. */
  drop(): void {
    if (this.#transport.phase === 'open') this.#transport.phase = 'closing';
    this.#transport.socket.destroy();
    this.#onClosed();
  }

  /** Why the session can't be used any more: what the server said last, where it said something. */
  unusable(text: string | null = null): Error {
    return this.#transport.unusable(text);
  }

  #onClosed(): void {
    const { phase } = this.#transport;
    if (phase === 'closed') return;
    this.#transport.phase = 'closed';
    this.#reader.stop();
    this.#engine.close();
    if (phase !== 'closing') this.#transport.explainLoss(phase === 'starting');
    const { lost } = this.#transport;
    this.#rejectAll();
    if (phase === 'starting') this.#opening.reject(lost ?? connectionError('the connection was closed'));
    else if (phase === 'open' && lost !== null) {
      locate(lost, this.#transport.location);
      this.#lost.tell(lost);
    }
    this.#end.tell();
  }

  /** The connection is gone: everything rejects, what was being answered with its own error if it has one. */
  #rejectAll(): void {
    this.#cancellation.stop();
    for (const reply of this.#inFlight.drain()) {
      if (reply.kind === 'statement') {
        const { entry, error, results } = reply;
        this.#outcomes.settle(entry, error ?? this.unusable(entry.request.text), results);
      } else reply.entry?.reject(reply.error ?? this.unusable(null));
    }
    for (const entry of this.#queue.drain()) {
      if (entry.kind === 'statement') this.#outcomes.settle(entry, this.unusable(entry.request.text));
      else entry.reject(this.unusable(null));
    }
    this.#sender.endWaits();
    for (const resolve of this.#waitingForQuiet.splice(0)) resolve();
  }
}
