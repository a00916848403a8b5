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
import { Answers } from './answers.js';
import type { CopyChannel } from './copy-channel.js';
import { CopyConversation } from './copy-conversation.js';
import { foreignEncoding, whyNotSent } from './foreign-encoding.js';
import { Lane } from './lane.js';
import { connectionError, Link, type ResponseFields } from './link.js';
import { OneTimeEvent } from './one-time-event.js';
import { Opening } from './opening.js';
import { completeMessage, queryMessage, shownQuery } from './query-trace.js';
import type { Hold } from './queue.js';
import { canBePipelined, isTransparent, ROLLBACK } from './requests.js';
import { RowStream } from './row-stream.js';
import { StatementFlow, type Judge } from './statement-flow.js';
import { canGoExtended } from './statement-text.js';
import { PendingStatement, type StatementRequest, type StatementResult } from './statement.js';
import { type PipelineStatus, TransactionStatus } from './status.js';

/** How long the server may take to close after our goodbye, in seconds, before the socket is destroyed. */
const GOODBYE_LIMIT = 2;

/** Who uses a session, and hears of what the server says beside its answers. */
export interface SessionUser extends Judge {
  onNotice(fields: ResponseFields): void;
  onNotification(notification: Notification): void;
}

/**
 * One physical connection, alive as long as its socket: the statements waiting and in flight, the transaction status, the
 * prepared statements, and cancellation.
 * Statements are answered in the order of `submit`. @internal
 */
export class Session implements MessageSink {
  readonly address: ServerAddress;
  readonly login: Login;
  /** The name of the pool that it belongs to, for those who watch; null if it belongs to none. */
  readonly pool: string | null;

  readonly #link: Link;
  readonly #engine: Engine;
  readonly #reader: BackendReader;
  readonly #lane: Lane;
  readonly #flow: StatementFlow;
  readonly #answers: Answers;
  readonly #opening: Opening;
  readonly #parameters = new Map<string, string>();
  readonly #startup: { resolve: () => void; reject: (error: Error) => void };
  readonly #lost = new OneTimeEvent<[error: Error]>();
  readonly #end = new OneTimeEvent();
  #user: SessionUser | null = null;
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
        session.#link.fail(signal.reason as Error);
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
    startup: { resolve: () => void; reject: (error: Error) => void },
  ) {
    this.address = address;
    this.login = login;
    this.pool = pool;
    this.#startup = startup;
    this.#reader = new BackendReader(this);
    const link = new Link(socket, address, login, () => {
      this.#onClosed();
    });
    this.#link = link;
    this.#lane = new Lane(link);
    this.#engine = new Engine(socket, login, () => {
      this.#flow.pump();
    });
    this.#flow = new StatementFlow(link, this.#engine, this.#lane);
    this.#answers = new Answers(link, this.#engine, this.#lane, this.#flow);
    this.#opening = new Opening(link, this.#engine, this.#flow, this.#parameters, () => {
      this.#reader.startupDone();
      this.#heedEncoding();
      startup.resolve();
    });
    this.#engine.start();
  }

  // --- what is known of the connection

  get transactionStatus(): TransactionStatus {
    return this.closed ? TransactionStatus.UNKNOWN : this.#flow.transactionStatus;
  }

  /** Nothing is running, nothing waits. */
  get quiet(): boolean {
    return this.#flow.quiet;
  }

  get pipelineStatus(): PipelineStatus {
    return this.#flow.pipeline.status;
  }

  get closed(): boolean {
    return this.#link.phase === 'closing' || this.#link.phase === 'closed';
  }

  /** Whether the connection ended without being asked to. */
  get broken(): boolean {
    return this.#link.lost !== null;
  }

  /** What the last statement failed with, or the connection; '' if it did not. */
  get errorMessage(): string {
    return this.#link.lost?.message ?? this.#flow.errorMessage;
  }

  get backendPid(): number {
    return this.#link.key.pid;
  }

  /** What errors say of where they arose. */
  get location(): ErrorConnection {
    return this.#link.location;
  }

  /** What messages of the diagnostics channels say of it. */
  get described(): ConnectionMessage {
    const { host, port, dbname, user } = this.#link.location;
    return { pool: this.pool, host, port, dbname, user, backendPid: this.backendPid };
  }

  /** The connection that the session is used by: another one after each checkout from a pool. */
  set user(user: SessionUser) {
    this.#user = user;
    this.#flow.judge = user;
  }

  /** The encoding that somebody has set, in which texts beyond ASCII can't be exchanged; else null. */
  get foreignEncoding(): string | null {
    return this.#link.foreignEncoding;
  }

  /** Whether the connection is encrypted. */
  get encrypted(): boolean {
    return isEncrypted(this.#link.socket);
  }

  /** The settings that the server reports, such as `server_version`. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#parameters;
  }

  /** Lets the process exit although the connection is open, or not. */
  setKeepsProcessAlive(keeps: boolean): void {
    if (keeps) this.#link.socket.ref();
    else this.#link.socket.unref();
  }

  // --- statements

  /**
   * Executes a statement when its turn comes. Resolves with its results, one for each statement in its text. It is queued before
   * this returns. Whoever holds the session passes its `hold`.
   */
  submit(request: StatementRequest, hold?: Hold): Promise<readonly StatementResult[]> {
    if (!tracers.query.watched || this.#isNeedless(request)) return this.#submit(request, hold);
    const message = queryMessage(request, this.described);
    return tracers.query.trace(
      message,
      () => this.#submit(request, hold),
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

  #submit(request: StatementRequest, hold: Hold | undefined): Promise<readonly StatementResult[]> {
    const { signal } = request;
    const { foreignEncoding: encoding } = this.#link;
    const refusal =
      this.#refusal(request.text) ??
      this.#refusalInPipeline(request) ??
      (encoding === null ? null : whyNotSent(request, encoding));
    if (refusal !== null) {
      locate(refusal, this.#link.location, shownQuery(request));
      return Promise.reject(refusal);
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as unknown);
    return new Promise((resolve, reject) => {
      const transparent = isTransparent(request);
      const pipelined = this.#flow.pipeline.active && hold === undefined && canBePipelined(request);
      if (signal === undefined) {
        const pending = new PendingStatement(request, transparent, resolve, reject);
        pending.pipelined = pipelined;
        this.#flow.enqueue(pending, hold);
        return;
      }
      const abort = (): void => {
        this.#flow.drop(pending, signal.reason);
      };
      const pending = new PendingStatement(
        request,
        transparent,
        (results) => {
          signal.removeEventListener('abort', abort);
          resolve(results);
        },
        (reason) => {
          signal.removeEventListener('abort', abort);
          reject(reason);
        },
      );
      pending.pipelined = pipelined;
      signal.addEventListener('abort', abort, { once: true });
      this.#flow.enqueue(pending, hold);
    });
  }

  /**
   * From here on statements are sent without waiting for the answers of those before, until `endPipeline()`. They stand or fall
   * together up to the next `sync()`, as far as no transaction makes a difference.
   */
  beginPipeline(): void {
    this.#flow.pipeline.active = true;
  }

  /** Statements wait for their turn again. Those of the pipeline have to have been ended by `sync()`. */
  endPipeline(): void {
    this.#flow.pipeline.active = false;
  }

  /** Ends what the pipeline has so far, and a failure in it. Resolves when all of it has been answered; it never fails itself. */
  sync(): Promise<void> {
    if (this.#link.phase !== 'open') return Promise.reject(this.unusable(null));
    return this.#flow.sync();
  }

  /** Has the server send the answers of the pipeline that it holds back until a `sync()`. */
  flush(): void {
    this.#flow.flush();
  }

  /**
   * Executes a COPY when its turn comes. Resolves when the server is ready for the data, or has some. Until it has ended, other
   * statements are refused: one that waited for it, in the loop that feeds it say, would wait for ever.
   */
  copy(request: StatementRequest, hold?: Hold): Promise<CopyChannel> {
    return new Promise((resolve, reject) => {
      const copy = new CopyConversation(
        request.text,
        async (conversation) => {
          const executions = request.executions ?? (canGoExtended(request.text) ? [[]] : null);
          const results = await this.submit({ ...request, executions, rows: null, conversation }, hold);
          return results.map(({ tag }) => tag);
        },
        resolve,
        (error) => {
          locate(error, this.#link.location, shownQuery(request));
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
    return this.#link.phase === 'open' ? this.#conversing(text) : this.unusable(text);
  }

  /** Raises `ProgrammingError` if a COPY or a stream has the session to itself: what was to wait for its end could wait for ever. */
  checkNoConversation(): void {
    const refusal = this.#conversing(null);
    if (refusal !== null) throw refusal;
  }

  #conversing(text: string | null): Error | null {
    const { request } = this.#flow.conversing ?? {};
    // To wait for one that is on its way out is safe.
    if (request?.conversation?.left !== false) return null;
    return new errors.ProgrammingError(
      `the connection is busy with «${request.text.slice(0, 100)}», which has it to itself until it has been read or written to` +
        ' its end, or left; use another connection for what is to happen meanwhile',
      { query: text },
    );
  }

  #refusalInPipeline({ conversation, text }: StatementRequest): Error | null {
    if (!this.#flow.pipeline.active || conversation === undefined) return null;
    const what = conversation.kind === 'copy' ? 'COPY' : 'stream()';
    return new errors.NotSupportedError(`${what} can't be used in a pipeline; leave it first`, {
      query: text,
    });
  }

  /** Calls `act` with the transaction status when everything submitted so far has been answered, unless `signal` is aborted before. */
  inTurn<T>(act: (status: TransactionStatus) => T, signal?: AbortSignal): Promise<T> {
    const refusal = this.#refusal(null);
    return refusal === null ? this.#flow.inTurn(act, signal) : Promise.reject(refusal);
  }

  /**
   * Runs `steps` in its turn; meanwhile only what is submitted with its `hold` is sent. `steps` must not wait for anything that
   * needs the session without it. An abort of `signal` ends the wait for the turn, not the steps.
   */
  exclusively<T>(
    steps: (hold: Hold, status: TransactionStatus) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const refusal = this.#refusal(null);
    return refusal === null ? this.#flow.exclusively(steps, signal) : Promise.reject(refusal);
  }

  /**
   * Ends one statement, which rejects with `reason`: it is dropped if it waits, cancelled if it runs alone, and else waited for,
   * since a cancel request could hit a statement sent behind it. Resolves when it has been answered.
   */
  abandon(request: StatementRequest, reason: Error): Promise<void> {
    return this.#flow.abandon(request, reason);
  }

  /** Ends the COPY or the stream that has the session to itself, if there is one; it rejects with `reason`. Resolves as `abandon()` does. */
  abandonConversation(reason: Error): Promise<void> {
    return this.#flow.abandonConversation(reason);
  }

  /**
   * Ends everything submitted so far: what waits is never sent, what runs is cancelled. Each rejects with `reason`. Resolves
   * when the server has answered, or the session has been given up.
   */
  abandonAll(reason: Error): Promise<void> {
    return this.#flow.abandonAll(reason);
  }

  /** Rolls back the open transaction, if there is one, when all before it has been answered. */
  async rollback(hold?: Hold): Promise<void> {
    await this.submit(ROLLBACK, hold);
  }

  /** Asks the server to cancel what is running, if anything is. Resolves when the request has been dealt with. */
  cancelRunning(): Promise<void> {
    return this.#flow.cancelRunning();
  }

  /**
   * Says goodbye and closes the socket. What still runs is cancelled, so that the server does not go on with it, and rejects
   * like everything that waits. Resolves when the socket is closed, a few seconds later at most.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes the socket at once. What runs or waits rejects, and the server is left to find out. */
  drop(): void {
    if (this.#link.phase === 'open') this.#link.phase = 'closing';
    this.#link.socket.destroy();
    this.#onClosed();
  }

  /** Calls `listener` once if the connection is lost, not if it is closed. Returns what takes the listener off again. */
  onLost(listener: (error: Error) => void): () => void {
    return this.#lost.listen(listener);
  }

  /** Calls `listener` once when nothing can be executed any more: the connection is lost, or about to be closed. Returns as `onLost()`. */
  onEnd(listener: () => void): () => void {
    return this.#end.listen(listener);
  }

  /** Why the session can't be used any more: what the server said last, where it said something. */
  unusable(text: string | null = null): Error {
    return this.#link.unusable(text);
  }

  // --- receiving

  #receive(bytes: Buffer): void {
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#link.violation(error.message);
    }
  }

  onRow(bytes: Buffer, start: number, end: number): void {
    this.#answers.onRow(bytes, start, end);
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#link.phase === 'starting') {
      this.#opening.onMessage(type, bytes, start, end);
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
        this.#parameters.set(name, value);
        if (name === 'client_encoding') this.#heedEncoding();
        return;
      }
      case Backend.ErrorResponse:
        this.#answers.onError(readErrorFields(bytes, start, end));
        return;
      case Backend.ReadyForQuery:
        this.#answers.onReadyForQuery(bytes, start, end);
        return;
      default:
        this.#answers.onAnswer(type, bytes, start, end);
    }
  }

  #heedEncoding(): void {
    const encoding = foreignEncoding(this.#parameters);
    this.#link.foreignEncoding = encoding;
    // Every byte of a row has to tell whether it is ASCII.
    this.#lane.textOnly = encoding !== null;
  }

  onGarbage(detail: string): void {
    this.#link.violation(detail);
  }

  // --- the end

  async #close(): Promise<void> {
    if (this.#link.phase === 'closed') {
      await this.#link.closed;
      return;
    }
    this.#link.phase = 'closing';
    this.#end.tell();
    const reason = new errors.OperationalError(
      'the connection was closed while the statement was waiting or running',
    );
    if (this.#flow.busy) await this.abandonAll(reason);
    this.#lane.terminate();
    this.#link.socket.end();
    const timer = setTimeout(() => this.#link.socket.destroy(), GOODBYE_LIMIT * 1000);
    await this.#link.closed;
    clearTimeout(timer);
  }

  #onClosed(): void {
    const { phase } = this.#link;
    if (phase === 'closed') return;
    this.#link.phase = 'closed';
    this.#reader.stop();
    this.#engine.close();
    if (phase !== 'closing') this.#link.explainLoss(phase === 'starting');
    const { lost } = this.#link;
    this.#flow.end();
    if (phase === 'starting') this.#startup.reject(lost ?? connectionError('the connection was closed'));
    else if (phase === 'open' && lost !== null) {
      locate(lost, this.#link.location);
      this.#lost.tell(lost);
    }
    this.#end.tell();
  }
}
