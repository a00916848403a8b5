import type { AdaptersMap } from '../types/adapters-map.js';
import * as errors from '../errors/index.js';
import type { CopyChannel } from '../session/copy-channel.js';
import { OneTimeEvent } from '../session/one-time-event.js';
import type { PreparePolicy } from '../session/prepared-statements.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { ResponseFields } from '../session/transport.js';
import type { Session, SessionUser } from '../session/session.js';
import type { RowStream } from '../session/row-stream.js';
import type { SentParam, ShownQuery, StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { Notification } from '../wire/backend-messages.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import type { BatchRun } from './batch-run.js';
import { Feeding } from './feeding.js';
import { Handlers, tellNotice } from './handlers.js';
import { Notifications, Notify } from './notifies.js';
import { PipelineState } from './pipeline-state.js';
import type { Block } from './open-blocks.js';
import { withSetting, type SettingName, type TransactionSettings } from './transaction-settings.js';
import { TransactionRecord } from './unit-of-work.js';

/** A statement as a cursor hands it over. */
export interface CoreStatement {
  readonly text: string;
  readonly executions: readonly (readonly SentParam[])[] | null;
  readonly rows: RowDecoderSource | null;
  readonly shown?: ShownQuery | undefined;
  readonly prepare?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Begin a transaction also in autocommit, if none is open. */
  readonly inTransaction?: boolean;
}

/** How a command of the library's own is executed. */
interface CommandOptions {
  /** Do nothing unless a transaction is open, or unless none is. */
  readonly onlyIf?: 'in transaction' | 'idle';
  /** The lock of the caller, if it has the session exclusively. */
  readonly lock?: ExclusiveLock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a connection core is made of. */
export interface CoreParts {
  readonly session: Session;
  /** The parameters of the connection. */
  readonly params: Readonly<Record<string, string>>;
  readonly settings: TransactionSettings;
  readonly policy: PreparePolicy;
  readonly noticeHandlers: Handlers<errors.Diagnostic>;
  readonly notifyHandlers: Handlers<Notify>;
}

/**
 * The internals of an `AsyncConnection` and its cursors: the borrowed session, how its transactions begin, and whether it may still be
 * used. The pool makes a fresh core for each checkout and cuts it off on return. The session refers to the core, and must not keep
 * a lost connection from being garbage-collected; so the core does not refer to the connection. @internal
 */
export class ConnectionCore implements SessionUser {
  readonly session: Session;
  settings: TransactionSettings;
  readonly policy: { threshold: number | null; max: number | null };
  /** The executemany() under way that send their batches into an open transaction; mostly none. */
  batchRuns: Set<BatchRun> | null = null;
  /** The number of sources that an executemany() under way waits for; mostly none. */
  feedings = 0;
  /** What its pool knows of the checkout that it serves. */
  checkout: unknown = null;
  // Made when they are first asked for: a checkout that executes nothing needs none of them.
  #pipeline: PipelineState | null = null;
  #record: TransactionRecord | null = null;
  #blocks: Block[] | null = null;
  readonly #parts: CoreParts;
  #noticeHandlers: Handlers<errors.Diagnostic> | null = null;
  #notifications: Notifications | null = null;
  #returned = false;
  #cutOff: OneTimeEvent | null = null;
  #endedByUser = false;
  #mustReplace = false;
  #leftWrites = false;

  constructor(parts: CoreParts) {
    const { session, settings, policy } = parts;
    this.session = session;
    this.settings = settings;
    this.policy = { ...policy };
    this.#parts = parts;
    session.user = this;
  }

  /** What the statements of a pipeline have in common. */
  get pipeline(): PipelineState {
    return (this.#pipeline ??= new PipelineState(this));
  }

  /** Whether it is in pipeline mode. */
  get inPipeline(): boolean {
    return this.#pipeline?.active === true;
  }

  /** What the open transaction has done, and what has been committed. */
  get record(): TransactionRecord {
    return (this.#record ??= new TransactionRecord());
  }

  /** The transaction blocks that are open, from the outermost to the innermost. */
  get blocks(): Block[] {
    return (this.#blocks ??= []);
  }

  /** The handlers that are called with each notice of the server. */
  get noticeHandlers(): Handlers<errors.Diagnostic> {
    return (this.#noticeHandlers ??= new Handlers('notice', this.#parts.noticeHandlers));
  }

  get notifications(): Notifications {
    return (this.#notifications ??= new Notifications(this, this.#parts.notifyHandlers));
  }

  /** @internal */
  onNotice(fields: ResponseFields): void {
    // Notices that come after the return belong to the pool, not to the borrower.
    const handlers = this.#returned ? this.#parts.noticeHandlers : this.noticeHandlers;
    tellNotice(this.session, handlers, fields);
  }

  /** @internal */
  onNotification({ channel, payload, pid }: Notification): void {
    this.notifications.receive(new Notify(channel, payload, pid));
  }

  /** @internal */
  onStatementDone(results: readonly StatementResult[], text: string): void {
    this.record.onDone(results, text, this.session.transactionStatus);
  }

  /** @internal */
  onSyncError(error: unknown): void {
    this.pipeline.failed(error);
  }

  /** @internal */
  onStatementError(error: unknown, results: readonly StatementResult[]): void {
    this.record.onError(error, results, this.session.transactionStatus);
    if (!(error instanceof errors.Error) || error.sqlstate === null) return;
    const isReadOnly =
      error.sqlstate === READ_ONLY &&
      this.#parts.params['target_session_attrs'] === 'read-write' &&
      this.settings.readOnly !== true;
    if (isReadOnly || CONNECTION_IN_DOUBT.test(error.sqlstate)) this.#mustReplace = true;
  }

  /**
   * Whether an error of the server says that another connection would do better, although this one is alive: class 08, a
   * shutdown (57P01 to 57P03), or read-only where `target_session_attrs` wants read-write, after a failover say.
   */
  get mustReplace(): boolean {
    return this.#mustReplace;
  }

  get returned(): boolean {
    return this.#returned;
  }

  /** Whether it is neither returned, nor closed, nor lost. */
  get usable(): boolean {
    return !this.#returned && !this.session.closed;
  }

  /**
   * Whether it was alive until its user closed it or gave it back, so that uncommitted work was left uncommitted on purpose. A
   * connection that was lost, or closed by its pool, was not ended by its user, even if the user closes it afterwards.
   */
  get endedByUser(): boolean {
    return this.#endedByUser;
  }

  /** Whether the open transaction has changed data, and has not failed. */
  get hasUncommittedWrites(): boolean {
    const { transactionStatus: status } = this.session;
    const isOpen = status === TransactionStatus.INTRANS || status === TransactionStatus.ACTIVE;
    return isOpen && this.record.wrote;
  }

  /** Whether it was closed with uncommitted writes. */
  get leftWrites(): boolean {
    return this.#leftWrites;
  }

  /** From here on every use raises `InterfaceError`. */
  cutOff(): void {
    this.#endedByUser ||= !this.session.closed;
    this.#returned = true;
    this.session.endPipeline();
    this.#cutOff?.tell();
  }

  /**
   * Calls `listener` once when the connection can't be used any more: it is returned, closed or lost. Returns a function that removes
   * the listener.
   */
  onEnd(listener: () => void): () => void {
    const fromHere = (this.#cutOff ??= new OneTimeEvent()).listen(listener);
    const fromSession = this.session.onEnd(listener);
    return () => {
      fromHere();
      fromSession();
    };
  }

  /** Closes the session. Resolves with whether there were uncommitted writes; only the first call reports them. */
  async close(): Promise<boolean> {
    this.#endedByUser ||= !this.session.closed;
    const wrote = this.hasUncommittedWrites;
    const closed = this.session.close();
    await closed;
    // What was in flight may have been the COMMIT.
    const left = wrote && this.record.wrote;
    this.#leftWrites ||= left;
    return left;
  }

  /** Raises `InterfaceError` if the connection has been returned to its pool. */
  checkNotReturned(): void {
    if (this.#returned) {
      throw new errors.InterfaceError(
        'this connection has been returned to its pool, and so have its cursors; take another with pool.connection()',
      );
    }
  }

  /** Raises the error of a use after the connection was returned, closed or lost. */
  checkUsable(): void {
    this.checkNotReturned();
    if (this.session.closed) throw this.session.unusable();
  }

  /**
   * Raises `InterfaceError` if the connection has been returned to its pool, and `ProgrammingError` for a use by the source of an
   * executemany() that would wait for it.
   */
  check(): void {
    this.checkNotReturned();
    if (this.feedings > 0) Feeding.checkNone(this);
  }

  /** Changes a setting of the transactions to come. */
  set<K extends SettingName>(name: K, value: TransactionSettings[K]): void {
    this.settings = withSetting(this.settings, name, value);
  }

  /** The statement as the session takes it: in a transaction unless in autocommit. */
  request(statement: CoreStatement): StatementRequest {
    const { settings } = this;
    const block = this.#blocks?.at(-1);
    // Messages must not show a text that has values in it.
    if (block !== undefined) block.lastStatement = statement.shown === undefined ? statement.text : null;
    const begin = settings.autocommit && statement.inTransaction !== true ? null : settings.begin;
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
  run(request: StatementRequest, lock?: ExclusiveLock): Promise<readonly StatementResult[]> {
    this.check();
    return this.session.submit(request, lock);
  }

  /** Executes what `request()` made, and fetches its rows as they are wanted. */
  stream(request: StatementRequest, size: number | null): RowStream {
    this.check();
    return this.session.stream(request, size);
  }

  /** Begins the COPY that `request()` made. */
  async copy(request: StatementRequest): Promise<CopyChannel> {
    this.check();
    return this.session.copy(request);
  }

  /** A COPY has ended, with this tag if it has been completed. */
  copied(direction: 'in' | 'out', tag: string | null): void {
    if (direction === 'in' && tag !== null) this.record.onCopiedIn(tag, this.session.transactionStatus);
  }

  /** Opens a transaction if none is open, unless in autocommit. */
  async openTransaction(
    options: { lock?: ExclusiveLock; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    // In a pipeline it comes with the next statement.
    if (this.settings.autocommit || (this.inPipeline && options.lock === undefined)) return;
    await this.command(this.settings.begin, { ...options, onlyIf: 'idle' });
  }

  /**
   * Executes a command of the library's own, exactly as it is. Such a command changes what a transaction is, so that an abort of
   * `signal` rejects with its reason only if the command was not done, and it resolves if it was. If the connection is lost before
   * the server has said which, that is the error.
   */
  command(text: string, options: CommandOptions = {}): Promise<readonly StatementResult[]> {
    try {
      this.check();
      if (this.inPipeline && options.lock === undefined) return this.#commandBehindPipeline(text, options);
      return this.#command(text, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #commandBehindPipeline(text: string, options: CommandOptions): Promise<readonly StatementResult[]> {
    await this.pipeline.sync(options.signal);
    return this.#command(text, options);
  }

  #command(text: string, { onlyIf, lock, signal }: CommandOptions): Promise<readonly StatementResult[]> {
    const request: StatementRequest = {
      text,
      executions: [NO_PARAMS],
      prepare: false,
      begin: null,
      ...(onlyIf === undefined ? {} : { onlyIf }),
      rows: null,
      policy: this.policy,
      signal,
      outcomeMatters: true,
    };
    return this.run(request, lock);
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

/** What stands behind a connection: internal, for cursors, transactions and the pool. */
export const CORE: unique symbol = Symbol('usingpg.core');

/** A connection as its own parts see it. */
export interface HasCore {
  readonly [CORE]: ConnectionCore;
  readonly adapters: AdaptersMap;
}

/** Whether the session behind a connection can be used. */
export function isAlive(connection: HasCore): boolean {
  return !connection[CORE].session.closed;
}
