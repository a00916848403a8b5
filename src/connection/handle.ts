import type { AdaptersMap } from '../types/adapters-map.js';
import * as errors from '../errors/index.js';
import type { CopyChannel } from '../session/copy-channel.js';
import type { PreparePolicy } from '../session/prepared-statements.js';
import type { Hold } from '../session/queue.js';
import type { ResponseFields } from '../session/link.js';
import type { Session, SessionUser } from '../session/session.js';
import type { RowStream } from '../session/row-stream.js';
import type { SentParam, ShownQuery, StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { Notification } from '../wire/backend-messages.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import { tellNotice, type NoticeHandler } from './notices.js';
import { Notifications, Notify, wakeNotifies, type NotifyHandler } from './notifies.js';
import { PipelineState } from './pipeline-state.js';
import { beginStatement, type TransactionSettings } from './transaction-settings.js';

/** A statement as a cursor hands it over. */
export interface HandleStatement {
  readonly text: string;
  readonly executions: readonly (readonly SentParam[])[] | null;
  readonly rows: RowDecoderSource | null;
  readonly shown?: ShownQuery | undefined;
  readonly prepare?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Begin a transaction also in autocommit, if none is open. */
  readonly inTransaction?: boolean;
}

/** Tags of statements that change no data; what counts rows has written nothing if the count is zero. */
const WRITES_NOTHING =
  /^(?:SELECT|SHOW|EXPLAIN|FETCH|MOVE|DECLARE CURSOR|CLOSE CURSOR|BEGIN|START TRANSACTION|SAVEPOINT|RELEASE|ROLLBACK|COMMIT|SET|RESET|LISTEN|UNLISTEN|DISCARD|PREPARE$|DEALLOCATE|LOCK TABLE|CHECKPOINT|LOAD|INSERT 0 0$|(?:UPDATE|DELETE|MERGE|COPY) 0$)/;

/** Whether a statement with this tag has changed data. CREATE TABLE AS has that of its SELECT, but no rows. */
function writes(tag: string, hasRows: boolean): boolean {
  return !WRITES_NOTHING.test(tag) || (!hasRows && tag.startsWith('SELECT'));
}

/** What a handle is made of. */
export interface HandleParts {
  readonly session: Session;
  /** The parameters of the connection. */
  readonly params: Readonly<Record<string, string>>;
  readonly settings: TransactionSettings;
  readonly policy: PreparePolicy;
  readonly noticeHandlers: readonly NoticeHandler[];
  readonly notifyHandlers: readonly NotifyHandler[];
}

/**
 * What stands behind an `AsyncConnection` and its cursors: the borrowed session, how its transactions begin, and whether
 * it may still be used. The pool makes a fresh one for each checkout and cuts it off on return. The session knows it, which must
 * not keep a connection from being collected that its user has lost: so it knows nothing of that. @internal
 */
export class Handle implements SessionUser {
  readonly session: Session;
  readonly settings: TransactionSettings;
  readonly policy: { threshold: number | null; max: number | null };
  readonly pipeline: PipelineState;
  /** What its pool knows of the checkout that it serves. */
  checkout: unknown = null;
  readonly #parts: HandleParts;
  #noticeHandlers: NoticeHandler[] | null = null;
  #notifications: Notifications | null = null;
  /** How many transaction blocks are open. */
  transactions = 0;
  #returned = false;
  #endSeen = false;
  #unfit = false;
  /** Whether the open transaction has changed data, as far as is known. */
  wrote = false;

  constructor(parts: HandleParts) {
    const { session, settings, policy } = parts;
    this.session = session;
    this.settings = { ...settings };
    this.policy = { ...policy };
    this.pipeline = new PipelineState(this);
    this.#parts = parts;
    session.user = this;
  }

  /** Who is called with each notice of the server. */
  get noticeHandlers(): NoticeHandler[] {
    return (this.#noticeHandlers ??= [...this.#parts.noticeHandlers]);
  }

  get notifications(): Notifications {
    return (this.#notifications ??= new Notifications(this, this.#parts.notifyHandlers));
  }

  /** @internal */
  onNotice(fields: ResponseFields): void {
    // What the pool does with the session afterwards is not its borrower's.
    const handlers = this.#returned ? this.#parts.noticeHandlers : this.noticeHandlers;
    tellNotice(this.session, handlers, fields);
  }

  /** @internal */
  onNotification({ channel, payload, pid }: Notification): void {
    this.notifications.receive(new Notify(channel, payload, pid));
  }

  /** @internal */
  onStatementDone(results: readonly StatementResult[]): void {
    if (this.session.transactionStatus === TransactionStatus.IDLE) {
      this.wrote = false;
      return;
    }
    for (const { tag, fields } of results) {
      // Another transaction has begun since.
      if (tag === 'COMMIT') this.wrote = false;
      else if (!this.wrote && tag !== null) this.wrote = writes(tag, fields !== null);
    }
  }

  /** @internal */
  onStatementError(error: unknown): void {
    if (this.session.closed) this.#endSeen = true;
    if (!(error instanceof errors.Error) || error.sqlstate === null) return;
    const isReadOnly =
      error.sqlstate === READ_ONLY &&
      this.#parts.params['target_session_attrs'] === 'read-write' &&
      this.settings.readOnly !== true;
    if (isReadOnly || CONNECTION_IN_DOUBT.test(error.sqlstate)) this.#unfit = true;
  }

  /**
   * Whether an error of the server says that another connection would do better, although this one is alive: class 08, a
   * shutdown (57P01 to 57P03), or read-only where `target_session_attrs` wants read-write, after a failover say.
   */
  get unfit(): boolean {
    return this.#unfit;
  }

  /** Whether a statement has failed because the connection is gone, so that its user knows. */
  get endSeen(): boolean {
    return this.#endSeen;
  }

  get returned(): boolean {
    return this.#returned;
  }

  get hasUncommittedWrites(): boolean {
    return this.wrote && this.session.transactionStatus === TransactionStatus.INTRANS;
  }

  /** From here on every use raises `InterfaceError`. */
  cutOff(): void {
    this.#returned = true;
    this.session.endPipeline();
    wakeNotifies(this.session);
  }

  /** Raises `InterfaceError` if the connection has been returned to its pool. */
  check(): void {
    if (this.#returned) {
      throw new errors.InterfaceError(
        'this connection has been returned to its pool, and so have its cursors; take another with pool.connection()',
      );
    }
  }

  /** The statement as the session takes it: in a transaction unless in autocommit. */
  request(statement: HandleStatement): StatementRequest {
    const { settings } = this;
    const begin = settings.autocommit && statement.inTransaction !== true ? null : beginStatement(settings);
    return {
      text: statement.text,
      executions: statement.executions,
      begin,
      rows: statement.rows,
      shown: statement.shown,
      prepare: statement.prepare,
      policy: this.policy,
      signal: statement.signal,
    };
  }

  /** Executes what `request()` made. */
  run(request: StatementRequest, hold?: Hold): Promise<readonly StatementResult[]> {
    this.check();
    if (this.session.closed) this.#endSeen = true;
    return this.session.submit(request, hold);
  }

  /** Executes what `request()` made, and fetches its rows as they are wanted. */
  stream(request: StatementRequest, size: number | null): RowStream {
    this.check();
    return this.session.stream(request, size);
  }

  /** Begins the COPY that `request()` made. */
  async copy(request: StatementRequest): Promise<CopyChannel> {
    this.check();
    try {
      return await this.session.copy(request);
    } catch (error) {
      if (this.session.closed) this.#endSeen = true;
      throw error;
    }
  }

  /** A COPY has ended, with this tag if it has been completed. */
  copied(direction: 'in' | 'out', tag: string | null): void {
    if (this.session.closed) this.#endSeen = true;
    if (direction === 'in' && tag !== null && !WRITES_NOTHING.test(tag)) {
      this.wrote = this.session.transactionStatus === TransactionStatus.INTRANS;
    }
  }

  /** Opens a transaction if none is open, unless in autocommit. */
  async openTransaction(options: { hold?: Hold; signal?: AbortSignal | undefined } = {}): Promise<void> {
    // In a pipeline it comes with the next statement.
    if (this.settings.autocommit || (this.pipeline.active && options.hold === undefined)) return;
    await this.command(beginStatement(this.settings), { ...options, onlyIf: 'idle' });
  }

  /**
   * Executes a command of the library's own, exactly as it is. Such a command changes what a transaction is, so that an abort of
   * `signal` rejects with its reason only if the command was not done, and it resolves if it was. If the connection is lost before
   * the server has said which, that is the error; of a commit it is `TransactionOutcomeUnknown`.
   */
  async command(
    text: string,
    options: { onlyIf?: 'in transaction' | 'idle'; hold?: Hold; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    this.check();
    const { onlyIf, hold, signal } = options;
    if (this.pipeline.active && hold === undefined) await this.pipeline.sync(signal);
    const request: StatementRequest = {
      text,
      executions: [NO_PARAMS],
      prepare: false,
      begin: null,
      ...(onlyIf === undefined ? {} : { onlyIf }),
      rows: null,
      policy: this.policy,
      signal,
      decisive: true,
    };
    try {
      await this.run(request, hold);
    } catch (error) {
      const isUnknown = signal?.aborted === true && this.session.closed && error !== signal.reason;
      if (isUnknown && text.startsWith('COMMIT')) throw new errors.TransactionOutcomeUnknown(error);
      throw error;
    }
  }

  /** Calls `act` with the transaction status, after all statements so far. */
  inTurn<T>(act: (status: TransactionStatus) => T, signal?: AbortSignal): Promise<T> {
    this.check();
    return this.session.inTurn(act, signal);
  }
}

/** SQLSTATEs of a connection, rather than of a statement. */
const CONNECTION_IN_DOUBT = /^(?:08...|57P0[123])$/;
const READ_ONLY = '25006';

/** For commands, which go as one message with what comes with them. */
const NO_PARAMS: readonly SentParam[] = [];

/** The handle behind a connection: internal, for cursors, transactions and the pool. */
export const HANDLE: unique symbol = Symbol('usingpg.handle');

/** A connection as its own parts see it. */
export interface HasHandle {
  readonly [HANDLE]: Handle;
  readonly adapters: AdaptersMap;
}
