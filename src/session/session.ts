import type { Socket } from 'node:net';
import { tracers, type ConnectionMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { locate, type ErrorConnection } from '../errors/location.js';
import {
  checkEmpty,
  ProtocolViolation,
  readBackendKey,
  readCopyFormat,
  readErrorFields,
  readNotification,
  readParameterStatus,
  readRowDescription,
  readStatusByte,
  readTag,
  type BackendKey,
  type Notification,
} from '../wire/backend-messages.js';
import { BackendReader, type MessageSink } from '../wire/backend-reader.js';
import { Engine, type Login } from '../wire/engine.js';
import { Backend } from '../wire/protocol.js';
import { failedAs } from '../wire/connect-failure.js';
import {
  actualAddress,
  describeAddress,
  openSocket,
  writeAll,
  type Receiver,
  type ServerAddress,
} from '../wire/socket.js';
import { isEncrypted, isTlsAlert, serverCertificate } from '../wire/tls.js';
import { CANCEL_LIMIT, Cancellation } from './cancellation.js';
import type { Floor } from './conversation.js';
import type { CopyChannel } from './copy-channel.js';
import { CopyConversation } from './copy-conversation.js';
import { Fifo } from './fifo.js';
import { floorFor } from './floor.js';
import { Lane } from './lane.js';
import { mayComeBeforeSignIn, notConnected, refusal, SignIn } from './startup.js';
import { PipelineFlow } from './pipeline-flow.js';
import { completeMessage, queryMessage, shownQuery } from './query-trace.js';
import { Hold, type Turn } from './queue.js';
import { RowStream } from './row-stream.js';
import { canBePipelined, isTransparent, ROLLBACK, SYNC } from './requests.js';
import {
  copyRefused,
  loadError,
  outdated,
  outdatedInTransaction,
  pipelineAborted,
} from './statement-errors.js';
import { canGoExtended, changesSchema, mayChangeSchema } from './statement-text.js';
import { PendingStatement, type Route, type StatementRequest, type StatementResult } from './statement.js';
import { statusFromByte, type PipelineStatus, TransactionStatus } from './status.js';

/** How long the server may take to close after our goodbye, in seconds, before the socket is destroyed. */
const GOODBYE_LIMIT = 2;

/** The fields of a notice or an error, by the protocol's letter. */
export type ResponseFields = ReadonlyMap<string, string>;

/**
 * One physical connection, alive as long as its socket: the statements waiting and in flight, the transaction status, the
 * prepared statements, and cancellation.
 *
 * Statements are answered in the order of `submit`. One is sent while another is in flight only if everything in flight
 * certainly leaves the transaction as it is, so that the status it will meet, and whether it needs a BEGIN, is known.
 */
export class Session implements MessageSink {
  readonly address: ServerAddress;
  readonly login: Login;
  /** The name of the pool that it belongs to, for those who watch; null if it belongs to none. */
  readonly pool: string | null;

  /** Called with each notice of the server. */
  onNotice: ((fields: ResponseFields) => void) | null = null;
  /** Called with each notification. */
  onNotification: ((notification: Notification) => void) | null = null;
  /** Called once if the connection is lost, not if it is closed. */
  onLost: ((error: Error) => void) | null = null;
  /** Hears of what a statement has failed with, before its caller does. */
  judge: { onStatementError(error: unknown): void } | null = null;

  readonly #socket: Socket;
  readonly #engine: Engine;
  readonly #signIn: SignIn;
  readonly #reader: BackendReader;
  readonly #lane: Lane;
  readonly #cancellation: Cancellation;
  readonly #parameters = new Map<string, string>();
  readonly #startup: { resolve: () => void; reject: (error: Error) => void };

  #phase: 'starting' | 'open' | 'closing' | 'closed' = 'starting';
  /** How many of the answers have come that end startup: ReadyForQuery, EmptyQueryResponse, ReadyForQuery. */
  #startupStep = 0;
  #key: BackendKey = { pid: 0, secret: 0 };
  #statusByte = 0;

  /** The queue of everybody, which waits while somebody holds the session. */
  readonly #everybody = new Hold();
  #hold: Hold | null = null;
  readonly #inFlight = new Fifo<PendingStatement>();
  /** Whether the open transaction has done something to tables or types that its end may undo. */
  #schemaMayChange = false;
  readonly #pipeline = new PipelineFlow();
  /** The statement that has the session to itself, or will have it when its turn comes. */
  #conversing: PendingStatement | null = null;
  #floor: Floor | null = null;
  /** How many of those in flight nothing may be sent behind. */
  #barriers = 0;

  /** The fields of a FATAL error: what the server said last is what everybody hears. */
  #fatal: ResponseFields | null = null;
  #lost: Error | null = null;
  #errorMessage = '';
  #location: ErrorConnection | null = null;
  #closing: Promise<void> | null = null;
  readonly #closed: Promise<void>;

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
        session.#fail(signal.reason as Error);
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
    this.#socket = socket;
    this.#startup = startup;
    this.#reader = new BackendReader(this);
    this.#lane = new Lane({
      write: (bytes) => {
        if (this.#phase !== 'closed') socket.write(bytes);
      },
      writeAll: (pieces, written) => this.#phase === 'closed' || writeAll(socket, pieces, written),
    });
    this.#cancellation = new Cancellation(address, {
      isAlone: (pending) => this.#isAlone(pending),
      onDone: () => {
        this.#pump();
        this.#announceQuiet();
      },
      giveUp: () => {
        this.#fail(
          this.#connectionError(
            `the server did not answer a cancel request within ${String(CANCEL_LIMIT)} seconds; the connection is closed`,
          ),
        );
      },
    });
    this.#engine = new Engine(socket, login, () => {
      this.#pump();
    });
    this.#signIn = new SignIn(login, {
      certificate: serverCertificate(socket),
      send: (message) => {
        if (this.#phase === 'starting') socket.write(message);
      },
      refuse: (error) => {
        this.#fail(notConnected(error, describeAddress(this.address)));
      },
    });
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#onSocketClosed();
        resolve();
      });
    });
    socket.on('error', (cause) => {
      this.#lost ??= this.#connectionError(
        `the connection to the server at ${describeAddress(this.address)} was lost: ${cause.message}`,
        cause,
      );
      // One that ended TLS has said why: it is not unreachable.
      if (!isTlsAlert(cause)) failedAs('unreachable', this.#lost);
    });
    // A server that ends its side is gone; without this the socket would stay half open.
    socket.on('end', () => {
      socket.destroy();
    });
    this.#engine.start();
  }

  // --- what is known of the connection

  get transactionStatus(): TransactionStatus {
    if (this.closed) return TransactionStatus.UNKNOWN;
    return this.#inFlight.length > 0 || this.#pipeline.needsSync
      ? TransactionStatus.ACTIVE
      : statusFromByte(this.#statusByte);
  }

  /** Nothing is running, nothing waits. */
  get quiet(): boolean {
    return (
      this.#hold === null &&
      this.#inFlight.length === 0 &&
      !this.#pipeline.needsSync &&
      this.#everybody.waiting.length === 0 &&
      !this.#cancellation.underway
    );
  }

  get pipelineStatus(): PipelineStatus {
    return this.#pipeline.status;
  }

  get closed(): boolean {
    return this.#phase === 'closing' || this.#phase === 'closed';
  }

  /** Whether the connection ended without being asked to. */
  get broken(): boolean {
    return this.#lost !== null;
  }

  /** What the last statement failed with, or the connection; '' if it did not. */
  get errorMessage(): string {
    return this.#lost?.message ?? this.#errorMessage;
  }

  get backendPid(): number {
    return this.#key.pid;
  }

  /** What errors say of where they arose. */
  get location(): ErrorConnection {
    const { address, login, backendPid } = this;
    return (this.#location ??= Object.freeze({
      host: address.host,
      port: address.port,
      dbname: login.database,
      user: login.user,
      pid: backendPid,
    }));
  }

  /** What messages of the diagnostics channels say of it. */
  get described(): ConnectionMessage {
    const { host, port, dbname, user } = this.location;
    return { pool: this.pool, host, port, dbname, user, backendPid: this.backendPid };
  }

  /** Whether the connection is encrypted. */
  get encrypted(): boolean {
    return isEncrypted(this.#socket);
  }

  /** The settings that the server reports, such as `server_version`. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#parameters;
  }

  /** Lets the process exit although the connection is open, or not. */
  setKeepsProcessAlive(keeps: boolean): void {
    if (keeps) this.#socket.ref();
    else this.#socket.unref();
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
    const refusal = this.#refusal(request.text) ?? this.#refusalInPipeline(request);
    if (refusal !== null) {
      locate(refusal, this.location, shownQuery(request));
      return Promise.reject(refusal);
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as unknown);
    return new Promise((resolve, reject) => {
      const transparent = isTransparent(request);
      const pipelined = this.#pipeline.active && hold === undefined && canBePipelined(request);
      if (signal === undefined) {
        const pending = new PendingStatement(request, transparent, resolve, reject);
        pending.pipelined = pipelined;
        this.#enqueue(pending, hold);
        return;
      }
      const abort = (): void => {
        this.#abandon(pending, signal.reason);
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
      this.#enqueue(pending, hold);
    });
  }

  /**
   * From here on statements are sent without waiting for the answers of those before, until `endPipeline()`. They stand or fall
   * together up to the next `sync()`, as far as no transaction makes a difference.
   */
  beginPipeline(): void {
    this.#pipeline.active = true;
  }

  /** Statements wait for their turn again. Those of the pipeline have to have been ended by `sync()`. */
  endPipeline(): void {
    this.#pipeline.active = false;
  }

  /** Ends what the pipeline has so far, and a failure in it. Resolves when all of it has been answered; it never fails itself. */
  sync(): Promise<void> {
    if (this.#phase !== 'open') return Promise.reject(this.unusable(null));
    return new Promise((resolve, reject) => {
      const pending = new PendingStatement(
        SYNC,
        true,
        () => {
          resolve();
        },
        reject,
      );
      pending.pipelined = true;
      pending.syncs = 0;
      this.#enqueue(pending, undefined);
    });
  }

  /** Has the server send the answers of the pipeline that it holds back until a `sync()`. */
  flush(): void {
    if (this.#phase === 'open' && this.#pipeline.needsSync) this.#lane.flushPipeline();
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
          locate(error, this.location, shownQuery(request));
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
    if (this.#phase !== 'open') return this.unusable(text);
    const { request } = this.#conversing ?? {};
    // To wait for one that is on its way out is safe.
    if (request?.conversation?.left !== false) return null;
    return new errors.ProgrammingError(
      `the connection is busy with «${request.text.slice(0, 100)}», which has it to itself until it has been read or written to` +
        ' its end, or left; use another connection for what is to happen meanwhile',
      { query: text },
    );
  }

  #refusalInPipeline({ conversation, text }: StatementRequest): Error | null {
    if (!this.#pipeline.active || conversation === undefined) return null;
    const what = conversation.kind === 'copy' ? 'COPY' : 'stream()';
    return new errors.NotSupportedError(`${what} can't be used in a pipeline; leave it first`, {
      query: text,
    });
  }

  /** Calls `act` with the transaction status when everything submitted so far has been answered. */
  inTurn<T>(act: (status: TransactionStatus) => T): Promise<T> {
    const refusal = this.#refusal(null);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#everybody.waiting.push({
        reject,
        run: (status) => {
          try {
            resolve(act(status));
          } catch (error) {
            reject(error);
          }
        },
      });
      this.#pump();
    });
  }

  /**
   * Ends one statement, which rejects with `reason`: it is dropped if it waits, cancelled if it runs alone, and else waited for,
   * since a cancel request could hit a statement sent behind it. Resolves when it has been answered.
   */
  async abandon(request: StatementRequest, reason: Error): Promise<void> {
    for (const item of [...(this.#hold?.waiting ?? []), ...this.#everybody.waiting]) {
      if (item instanceof PendingStatement && item.request === request) this.#abandon(item, reason);
    }
    for (const pending of this.#inFlight) {
      if (pending.request !== request) continue;
      if (this.#inFlight.length === 1) this.#abandon(pending, reason);
      else pending.abandonReason ??= { reason };
      await new Promise<void>((resolve) => {
        pending.onSettled = resolve;
      });
    }
  }

  /**
   * Ends everything submitted so far: what waits is never sent, what runs is cancelled. Each rejects with `reason`. Resolves
   * when the server has answered, or the session has been given up.
   */
  async abandonAll(reason: Error): Promise<void> {
    for (const item of this.#drainWaiting()) {
      if (item instanceof PendingStatement) this.#settle(item, reason);
      else item.reject(reason);
    }
    this.#endWithSync();
    if (this.#inFlight.length === 0) return;
    for (const pending of this.#inFlight) {
      pending.abandonReason ??= { reason };
      pending.cancelWhenRunning = true;
    }
    const head = this.#inFlight.first;
    if (head !== undefined) this.#interrupt(head);
    await Promise.race([this.#closed, new Promise<void>((resolve) => this.#waitForQuiet.push(resolve))]);
  }

  /**
   * Runs `steps` in its turn; meanwhile only what is submitted with its `hold` is sent. `steps` must not wait for anything that
   * needs the session without it.
   */
  async exclusively<T>(steps: (hold: Hold, status: TransactionStatus) => Promise<T>): Promise<T> {
    const { hold, status } = await this.inTurn((current) => {
      this.#hold = new Hold();
      return { hold: this.#hold, status: current };
    });
    try {
      return await steps(hold, status);
    } finally {
      this.#hold = null;
      this.#pump();
    }
  }

  /** Rolls back the open transaction, if there is one, when all before it has been answered. */
  async rollback(hold?: Hold): Promise<void> {
    await this.submit(ROLLBACK, hold);
  }

  /** Asks the server to cancel what is running, if anything is. Resolves when the request has been dealt with. */
  async cancelRunning(): Promise<void> {
    const head = this.#inFlight.first;
    if (head !== undefined) await this.#cancel(head);
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
    if (this.#phase === 'open') this.#phase = 'closing';
    this.#socket.destroy();
    this.#onSocketClosed();
  }

  readonly #waitForQuiet: (() => void)[] = [];

  #enqueue(pending: PendingStatement, hold: Hold | undefined): void {
    if (pending.request.conversation !== undefined) this.#conversing = pending;
    (hold ?? this.#everybody).waiting.push(pending);
    this.#pump();
  }

  /** Why the session can't be used any more: what the server said last, where it said something. */
  unusable(text: string | null = null): Error {
    const error = this.#unusable(text);
    locate(error, this.location);
    return error;
  }

  #unusable(query: string | null): Error {
    if (this.#lost === null) return new errors.OperationalError('the connection is closed', { query });
    return this.#fatal === null
      ? new errors.OperationalError(`the connection is lost: ${this.#lost.message}`, {
          cause: this.#lost,
          query,
        })
      : errors.errorFromResponse(this.#fatal, query);
  }

  #drainWaiting(): (PendingStatement | Turn)[] {
    return [...(this.#hold?.waiting.drain() ?? []), ...this.#everybody.waiting.drain()];
  }

  // --- sending

  /** Sends what may be sent. The only place where statements leave the queue. */
  #pump(): void {
    while (this.#phase === 'open' && !this.#cancellation.underway) {
      const queue = (this.#hold ?? this.#everybody).waiting;
      const next = queue.first;
      if (next === undefined) return;
      if (!(next instanceof PendingStatement)) {
        this.#endWithSync();
        if (this.#inFlight.length > 0) return;
        queue.shift();
        next.run(statusFromByte(this.#statusByte));
        continue;
      }
      if (next.settled) {
        queue.shift();
        continue;
      }
      if (next.pipelined) {
        if (this.#barriers > 0 || !this.#sendInPipeline(next, queue)) return;
        continue;
      }
      this.#endWithSync();
      if (this.#inFlight.length > 0 && (this.#barriers > 0 || !next.transparent)) return;
      if (!this.#send(next, queue)) return;
    }
  }

  /** Sends the statement at the head of the queue, unless it has to wait for something. */
  #send(pending: PendingStatement, queue: Fifo<PendingStatement | Turn>): boolean {
    const { request } = pending;
    const idle = statusFromByte(this.#statusByte) === TransactionStatus.IDLE;
    if (request.onlyIf !== undefined && idle === (request.onlyIf === 'in transaction')) {
      // Settled in its turn, not before what is still in flight.
      if (this.#inFlight.length > 0) return false;
      queue.shift();
      pending.settled = true;
      pending.resolve([]);
      return true;
    }
    const begin = idle ? request.begin : null;
    if (request.conversation !== undefined) {
      if (this.#inFlight.length > 0) return false;
      pending.transparent = false;
    }
    if (begin !== null) {
      // Whatever comes with or after a BEGIN has to know that it succeeded.
      if (this.#inFlight.length > 0) return false;
      pending.transparent = false;
      if (request.executions === null && !canGoExtended(request.text)) {
        // A text of several statements can't stand under one Sync with its BEGIN, so it waits for it.
        this.#sendThrough('engine', this.#beginFor(pending, begin));
        this.#engine.query(begin);
        return false;
      }
    }
    // What postgres.js was given leaves with its next write; going ahead of it would mix up the answers.
    const laneOpen = this.#engine.allWritten;
    if (request.executions !== null || begin !== null || (laneOpen && this.#isToBePrepared(request))) {
      if (!laneOpen || !this.#lane.send(pending, begin, idle)) return false;
      queue.shift();
      this.#sendThrough('lane', pending);
    } else {
      queue.shift();
      this.#lane.flush();
      this.#sendThrough('engine', pending);
      this.#engine.query(request.text);
    }
    return true;
  }

  /** Sends the statement, or the Sync, at the head of the queue without waiting for those before it. */
  #sendInPipeline(pending: PendingStatement, queue: Fifo<PendingStatement | Turn>): boolean {
    if (!this.#engine.allWritten) return false;
    if (pending.syncs !== null) {
      queue.shift();
      this.#sendSync(pending);
      return true;
    }
    if (this.#pipeline.aborted) {
      queue.shift();
      this.#settle(pending, pipelineAborted(pending));
      return true;
    }
    const idle = statusFromByte(this.#statusByte) === TransactionStatus.IDLE && !this.#pipeline.hasBegun;
    const begin = idle ? pending.request.begin : null;
    if (!this.#lane.send(pending, begin, false)) return false;
    queue.shift();
    this.#pipeline.sent(begin !== null);
    pending.route = 'lane';
    pending.sent = true;
    this.#inFlight.push(pending);
    return true;
  }

  #sendSync(pending: PendingStatement): void {
    pending.syncs = this.#pipeline.synced();
    pending.route = 'lane';
    pending.sent = true;
    this.#inFlight.push(pending);
    this.#lane.syncPipeline();
  }

  /** What comes now is not part of the pipeline, which has to be ended for it. */
  #endWithSync(): void {
    if (!this.#pipeline.needsSync) return;
    const pending = new PendingStatement(
      SYNC,
      true,
      () => undefined,
      () => undefined,
    );
    pending.pipelined = true;
    this.#sendSync(pending);
  }

  #isToBePrepared(request: StatementRequest): boolean {
    return canGoExtended(request.text) && this.#lane.wants(request);
  }

  #sendThrough(route: Route, pending: PendingStatement): void {
    pending.route = route;
    pending.sent = true;
    if (!pending.transparent) this.#barriers++;
    this.#inFlight.push(pending);
    const { conversation } = pending.request;
    if (conversation === undefined) return;
    this.#floor = floorFor(pending, {
      lane: this.#lane,
      socket: this.#socket,
      cancellation: this.#cancellation,
      cancel: (running) => {
        void this.#cancel(running);
      },
    });
    conversation.onSent(this.#floor);
  }

  /** A BEGIN sent ahead of `pending`, which stays at the head of the queue and is rejected if the BEGIN is. */
  #beginFor(pending: PendingStatement, begin: string): PendingStatement {
    const { conversation: _, shown: _shown, ...request } = pending.request;
    return new PendingStatement(
      { ...request, text: begin, begin: null, signal: undefined },
      false,
      () => undefined,
      (reason) => {
        this.#settle(pending, reason);
      },
    );
  }

  // --- receiving

  #receive(bytes: Buffer): void {
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#violation(error.message);
    }
  }

  onRow(bytes: Buffer, start: number, end: number): void {
    const pending = this.#inFlight.first;
    if (pending === undefined) {
      this.#violation('a row that no statement asked for');
      return;
    }
    pending.expectRow();
    const { decoder } = pending;
    if (decoder === null || pending.error !== null) return;
    try {
      pending.rows.push(decoder.decode(bytes, start, end));
      pending.bytes += end - start;
    } catch (cause) {
      if (cause instanceof ProtocolViolation) throw cause;
      pending.error = loadError(cause, pending.request.text);
      pending.handOver();
    }
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (this.#phase === 'starting') {
      this.#onStartupMessage(type, bytes, start, end);
      return;
    }
    switch (type) {
      case Backend.NoticeResponse:
        this.onNotice?.(readErrorFields(bytes, start, end));
        return;
      case Backend.NotificationResponse:
        this.onNotification?.(readNotification(bytes, start, end));
        return;
      case Backend.ParameterStatus: {
        const [name, value] = readParameterStatus(bytes, start, end);
        this.#parameters.set(name, value);
        return;
      }
      case Backend.ErrorResponse:
        this.#onError(readErrorFields(bytes, start, end));
        return;
      case Backend.ReadyForQuery:
        this.#onReadyForQuery(bytes, start, end);
        return;
      default:
        this.#onAnswer(type, bytes, start, end);
    }
  }

  onGarbage(detail: string): void {
    this.#violation(detail);
  }

  #violation(detail: string): void {
    this.#fail(
      this.#connectionError(
        `the server at ${describeAddress(this.address)} does not speak the PostgreSQL protocol, or something in between` +
          ` garbles it: it sent ${detail}`,
      ),
    );
  }

  #connectionError(message: string, cause?: unknown): errors.OperationalError {
    return new errors.OperationalError(message, cause === undefined ? {} : { cause });
  }

  #onStartupMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#signIn.done && !mayComeBeforeSignIn(type)) {
      this.#violation(`a message of type '${String.fromCharCode(type)}' before it had let us in`);
      return;
    }
    switch (type) {
      case Backend.NoticeResponse:
        return;
      case Backend.ErrorResponse:
        this.#onRefusal(readErrorFields(bytes, start, end));
        return;
      case Backend.Authentication: {
        this.#signIn.onRequest(bytes.subarray(start, end));
        // postgres.js hears only that we are in.
        if (!this.#signIn.done) return;
        break;
      }
      case Backend.ParameterStatus: {
        const [name, value] = readParameterStatus(bytes, start, end);
        this.#parameters.set(name, value);
        break;
      }
      case Backend.BackendKeyData:
        this.#key = readBackendKey(bytes, start, end);
        break;
      case Backend.ReadyForQuery:
        this.#statusByte = readStatusByte(bytes, start, end);
        // The first ends the server's startup, the second the empty query that made postgres.js connect.
        if (this.#startupStep === 1) throw new ProtocolViolation('a ReadyForQuery that answers nothing');
        this.#startupStep++;
        break;
      case Backend.EmptyQueryResponse:
        checkEmpty(start, end);
        if (this.#startupStep !== 1)
          throw new ProtocolViolation('an EmptyQueryResponse that answers nothing');
        this.#startupStep++;
        break;
      default:
        this.#violation(`a message of type '${String.fromCharCode(type)}' before it was ready`);
        return;
    }
    // A copy: postgres.js reads some of these messages after a turn of the event loop.
    this.#engine.show(Buffer.from(bytes.subarray(start - 5, end)));
    if (this.#startupStep === 3) {
      this.#phase = 'open';
      this.#reader.startupDone();
      this.#startup.resolve();
    }
  }

  /** The server does not let us in; before it knows who we are, it might in another way. */
  #onRefusal(fields: ResponseFields): void {
    const error = refusal(errors.errorFromResponse(fields), describeAddress(this.address));
    if (!this.#signIn.done) failedAs(this.encrypted ? 'refused over TLS' : 'refused', error);
    this.#fail(error);
  }

  #unexpected(type: number): void {
    this.#violation(`a message of type '${String.fromCharCode(type)}' that answers nothing`);
  }

  /** A message that is part of a statement's answer. */
  #onAnswer(type: number, bytes: Buffer, start: number, end: number): void {
    const pending = this.#inFlight.first;
    if (pending === undefined) {
      this.#unexpected(type);
      return;
    }
    switch (type) {
      case Backend.RowDescription:
        pending.onDescription(readRowDescription(bytes, start, end));
        break;
      case Backend.NoData:
        checkEmpty(start, end);
        pending.onDescription(null);
        break;
      case Backend.ParseComplete:
        checkEmpty(start, end);
        pending.onParseComplete();
        break;
      case Backend.BindComplete:
        checkEmpty(start, end);
        pending.onBindComplete();
        break;
      case Backend.CloseComplete:
        checkEmpty(start, end);
        if (pending.route === 'engine') this.#unexpected(type);
        return;
      case Backend.CommandComplete:
        this.#onTag(pending, readTag(bytes, start, end));
        if (pending.complete) this.#onComplete(pending);
        break;
      case Backend.EmptyQueryResponse:
        checkEmpty(start, end);
        pending.onComplete(null);
        if (pending.complete) this.#onComplete(pending);
        break;
      case Backend.PortalSuspended:
        checkEmpty(start, end);
        pending.onSuspended();
        // A row that could not be loaded ends it.
        if (pending.error !== null) this.#lane.closePortal(pending);
        else pending.request.conversation?.onSuspended(pending.takeBatch());
        break;
      case Backend.CopyInResponse:
      case Backend.CopyOutResponse:
        this.#onCopy(pending, type, bytes, start, end);
        return;
      case Backend.CopyData:
        pending.expectCopyData();
        pending.request.conversation?.onCopyData(bytes, start, end);
        return;
      case Backend.CopyDone:
        checkEmpty(start, end);
        pending.onCopyDone();
        return;
      case Backend.CopyBothResponse:
        this.#fail(new errors.NotSupportedError('replication connections are not supported'));
        return;
      default:
        this.#unexpected(type);
        return;
    }
    if (pending.route === 'engine') this.#engine.show(bytes.subarray(start - 5, end));
  }

  /** A statement whose end is not that of its answer: a conversation still has to say goodbye. */
  #onComplete(pending: PendingStatement): void {
    if (pending.pipelined) this.#answeredInPipeline(pending, pending.error);
    else this.#lane.sync(pending);
  }

  #answeredInPipeline(pending: PendingStatement, error: unknown, skipped = false): void {
    this.#inFlight.shift();
    this.#lane.answered(pending, skipped);
    this.#settle(pending, error);
  }

  #onCopy(pending: PendingStatement, type: number, bytes: Buffer, start: number, end: number): void {
    const direction = type === Backend.CopyInResponse ? 'in' : 'out';
    const format = { direction, ...readCopyFormat(bytes, start, end) } as const;
    pending.onCopy(direction);
    const { conversation } = pending.request;
    if (conversation?.kind === 'copy') {
      conversation.onCopy(format);
      return;
    }
    pending.error ??= copyRefused(pending.request.text);
    if (direction === 'in') this.#lane.refuseCopy(pending);
  }

  #onTag(pending: PendingStatement, tag: string): void {
    if (tag === 'DEALLOCATE ALL' || tag === 'DISCARD ALL') this.#lane.deallocated();
    else if (changesSchema(tag) || (tag === 'ROLLBACK' && this.#schemaMayChange)) this.#lane.schemaChanged();
    this.#schemaMayChange ||= mayChangeSchema(tag);
    pending.onComplete(tag);
  }

  #onError(fields: ResponseFields): void {
    const severity = fields.get('V') ?? fields.get('S');
    if (severity === 'FATAL' || severity === 'PANIC') this.#fatal = fields;
    const pending = this.#inFlight.first;
    if (pending === undefined) return;
    pending.error ??= errors.errorFromResponse(fields, pending.request.text);
    if (pending.pipelined && pending.syncs === null) {
      this.#onPipelineError(pending);
      return;
    }
    pending.handOver();
    this.#lane.sync(pending);
    if (pending.route === 'engine') this.#engine.showFailure();
  }

  /** The server skips everything up to the next Sync. */
  #onPipelineError(pending: PendingStatement): void {
    this.#pipeline.aborted = true;
    this.#answeredInPipeline(pending, pending.error);
    for (
      let next = this.#inFlight.first;
      next?.pipelined === true && next.syncs === null;
      next = this.#inFlight.first
    ) {
      this.#answeredInPipeline(next, pipelineAborted(next), true);
    }
    this.#pump();
  }

  #onReadyForQuery(bytes: Buffer, start: number, end: number): void {
    const status = readStatusByte(bytes, start, end);
    const pending = this.#inFlight.first;
    if (pending === undefined || (pending.pipelined && pending.syncs === null)) {
      this.#violation('a ReadyForQuery that answers nothing');
      return;
    }
    pending.expectEnd();
    // Not before: until here, whatever goes wrong is the end of this statement, too.
    this.#inFlight.shift();
    this.#statusByte = status;
    if (pending.syncs !== null) this.#pipeline.answered(pending.syncs);
    else if (!pending.transparent) this.#barriers--;
    // postgres.js has to be ready before anything else is sent.
    if (pending.route === 'engine') this.#engine.show(bytes.subarray(start - 5, end));
    this.#lane.answered(pending);
    const idle = statusFromByte(this.#statusByte) === TransactionStatus.IDLE;
    if (idle) this.#schemaMayChange = false;
    const reason = outdated(pending);
    if (reason !== null) {
      this.#lane.discard(pending);
      if (this.#sendAgain(pending, reason, idle)) return;
    }
    this.#settle(pending, pending.error);
    this.#afterAnswer();
  }

  /**
   * What a statement had prepared is not valid any more, since a table has changed, say; nothing of it has been executed. It is
   * prepared anew, unless that would take it out of the transaction that has failed, or behind what was sent after it.
   */
  #sendAgain(pending: PendingStatement, reason: errors.Error, idle: boolean): boolean {
    const began = pending.executions[0]?.hidden === true;
    if (pending.sentAgain || pending.abandonReason !== null || this.#inFlight.length > 0) return false;
    if (!idle && !began) {
      pending.error = outdatedInTransaction(reason);
      return false;
    }
    const queue = (this.#hold ?? this.#everybody).waiting;
    pending.sendAgain();
    queue.unshift(pending);
    if (!idle)
      queue.unshift(
        new PendingStatement(
          ROLLBACK,
          false,
          () => undefined,
          () => undefined,
        ),
      );
    this.#afterAnswer();
    return true;
  }

  #afterAnswer(): void {
    const head = this.#inFlight.first;
    if (head?.cancelWhenRunning === true) void this.#cancel(head);
    this.#pump();
    this.#announceQuiet();
  }

  #announceQuiet(): void {
    if (this.#waitForQuiet.length > 0 && this.#inFlight.length === 0 && !this.#cancellation.underway) {
      for (const resolve of this.#waitForQuiet.splice(0)) resolve();
    }
  }

  #settle(pending: PendingStatement, error: unknown): void {
    if (pending.settled) return;
    pending.settled = true;
    if (this.#conversing === pending) {
      this.#conversing = null;
      this.#floor = null;
    }
    this.#cancellation.answered(pending);
    this.#errorMessage = error instanceof Error ? error.message : '';
    if (error !== null) this.judge?.onStatementError(error);
    pending.onSettled?.();
    if (pending.abandonReason !== null) {
      pending.reject(pending.abandonReason.reason);
    } else if (error !== null) {
      locate(error, this.location, shownQuery(pending.request));
      pending.reject(error);
    } else {
      pending.resolve(pending.results);
    }
  }

  // --- cancellation

  /** The caller has lost interest: a statement that waits is dropped, one that runs is cancelled. */
  #abandon(pending: PendingStatement, reason: unknown): void {
    if (pending.settled) return;
    pending.abandonReason ??= { reason };
    if (!pending.sent) {
      this.#settle(pending, null);
      this.#pump();
    } else if (this.#inFlight.first === pending) {
      this.#interrupt(pending);
      if (pending.request.conversation === undefined && this.#cancellation.underway) {
        this.#cancellation.whenSilent(() => {
          if (!pending.settled) pending.reject(reason);
        });
      }
    }
  }

  /** Ends what is running: by its own means if it has any. */
  #interrupt(pending: PendingStatement): void {
    const { conversation } = pending.request;
    if (conversation === undefined) void this.#cancel(pending);
    else conversation.leave('it was given up');
  }

  /**
   * Sends a cancel request for the statement that is running now. Nothing else is sent until the server has dealt with it, so
   * that it can't hit another; if the server gives no answer, the session is given up.
   */
  async #cancel(pending: PendingStatement): Promise<void> {
    if (this.#phase === 'closed') return;
    await this.#cancellation.request(pending, this.#key);
  }

  /** Whether `pending` runs, and what has been sent behind it, if anything, is to be cancelled as well. */
  #isAlone(pending: PendingStatement): boolean {
    if (this.#inFlight.first !== pending) return false;
    return [...this.#inFlight].every((other) => other === pending || other.cancelWhenRunning);
  }

  // --- the end

  /** Gives the session up: `error` is what everybody hears. */
  #fail(error: Error): void {
    if (this.#phase === 'closed') return;
    this.#lost ??= error;
    this.#socket.destroy();
    this.#onSocketClosed();
  }

  async #close(): Promise<void> {
    if (this.#phase === 'closed') {
      await this.#closed;
      return;
    }
    this.#phase = 'closing';
    const reason = new errors.OperationalError(
      'the connection was closed while the statement was waiting or running',
    );
    if (this.#inFlight.length > 0 || this.#everybody.waiting.length > 0) await this.abandonAll(reason);
    this.#lane.terminate();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_LIMIT * 1000);
    await this.#closed;
    clearTimeout(timer);
  }

  #onSocketClosed(): void {
    if (this.#phase === 'closed') return;
    const phase = this.#phase;
    this.#phase = 'closed';
    this.#reader.stop();
    this.#engine.close();
    this.#cancellation.stop();
    if (phase !== 'closing') {
      this.#lost ??=
        this.#fatal === null
          ? phase === 'starting'
            ? failedAs(
                'unreachable',
                this.#connectionError(
                  `the server at ${describeAddress(this.address)} closed the connection during startup`,
                ),
              )
            : this.#connectionError('the server closed the connection unexpectedly')
          : errors.errorFromResponse(this.#fatal);
    }
    if (phase === 'starting') {
      this.#startup.reject(this.#lost ?? this.#connectionError('the connection was closed'));
      return;
    }
    for (const pending of this.#inFlight.drain()) {
      this.#settle(pending, pending.error ?? this.unusable(pending.request.text));
    }
    for (const item of this.#drainWaiting()) {
      if (item instanceof PendingStatement) this.#settle(item, this.unusable(item.request.text));
      else item.reject(this.unusable(null));
    }
    for (const resolve of this.#waitForQuiet.splice(0)) resolve();
    if (phase === 'open' && this.#lost !== null) {
      locate(this.#lost, this.location);
      this.onLost?.(this.#lost);
    }
  }
}
