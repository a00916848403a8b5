import type { AdaptContext, AdaptersMap } from '../types/adapters-map.js';
import type { CursorFactory, ServerCursorFactory } from '../cursor/options.js';
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
import { controlsTransaction } from '../sql-statement.js';
import type { RowFactory } from '../rows.js';
import type { Notification } from '../wire/backend-messages.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import type { BatchRun } from './batch-run.js';
import type { AsyncConnection } from './connection.js';
import { Feeding } from './feeding.js';
import { expected } from '../options/kinds.js';
import { Handlers, tellNotice, type LossHandler } from './handlers.js';
import { Notifications, Notify } from './notifies.js';
import { PipelineState } from './pipeline-state.js';
import type { Block } from './open-blocks.js';
import { withSetting, type SettingName, type TransactionSettings } from './transaction-settings.js';
import { TransactionRecord } from './unit-of-work.js';

/** A statement submitted by a cursor. */
export interface CoreStatement {
  readonly text: string;
  readonly executions: readonly (readonly SentParam[])[] | null;
  readonly rows: RowDecoderSource | null;
  readonly parameterNames?: readonly string[] | null | undefined;
  readonly shown?: ShownQuery | undefined;
  readonly prepare?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Begin a transaction even in autocommit, if none is open. */
  readonly inTransaction?: boolean;
}

/** How a command of the library is executed. */
interface CommandOptions {
  /** Skip the command unless a transaction is open, or unless none is. */
  readonly onlyIf?: 'in transaction' | 'idle';
  /** The caller's lock, if it has exclusive use of the session. */
  readonly lock?: ExclusiveLock | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Give the session up if the server does not answer: the command undoes what its caller has left, so that nobody limits the wait. */
  readonly mustBeAnswered?: boolean;
}

/** The parts that a connection core is made of. */
export interface CoreParts {
  readonly session: Session;
  /** The connection parameters. */
  readonly params: Readonly<Record<string, string>>;
  readonly settings: TransactionSettings;
  readonly policy: PreparePolicy;
  readonly noticeHandlers: Handlers<errors.Diagnostic>;
  readonly notifyHandlers: Handlers<Notify>;
}

/** The parts of a connection that a pool's fresh connection object takes over. @internal */
export interface ConnectionParts<R> extends CoreParts {
  readonly adapters: AdaptersMap;
  readonly rowFactory: RowFactory<R>;
  readonly cursorFactory: CursorFactory;
  readonly serverCursorFactory: ServerCursorFactory;
  /**
   * Called at the end of the scope; null: close. The indexed method type makes a connection with any rows assignable to one with
   * unknown rows.
   */
  readonly giveBack: { of(connection: AsyncConnection<R>): Promise<void> }['of'] | null;
  /** Whether `close()` calls `giveBack`, too. */
  readonly closeReturns: boolean;
}

/**
 * The internals of an `AsyncConnection` and its cursors: the session in use, the transaction settings, and whether the connection
 * is still usable. The pool makes a fresh core for each checkout and cuts it off on return. The session refers to the core, which
 * must not keep a lost connection object from being garbage-collected; so the core does not refer to the connection. @internal
 */
export class ConnectionCore implements SessionUser {
  readonly session: Session;
  settings: TransactionSettings;
  readonly policy: { threshold: number | null; max: number | null };
  /** The runs of executemany() that are sending batches into an open transaction; usually none. */
  batchRuns: Set<BatchRun> | null = null;
  /** The number of sources that running executemany() calls wait for; usually 0. */
  feedings = 0;
  /** The pool's record of the checkout. */
  checkout: unknown = null;
  // Created on demand: a checkout that executes nothing needs none of them.
  #pipeline: PipelineState | null = null;
  #record: TransactionRecord | null = null;
  #blocks: Block[] | null = null;
  readonly #parts: CoreParts;
  #noticeHandlers: Handlers<errors.Diagnostic> | null = null;
  #notifications: Notifications | null = null;
  #lossHandlers: Handlers<Error> | null = null;
  #unlistenLoss: (() => void) | null = null;
  #returned = false;
  #cutOff: OneTimeEvent | null = null;
  #endedByUser = false;
  #mustReplace = false;
  #leftWrites = false;

  constructor(parts: CoreParts) {
    const { session, settings, policy } = parts;
    this.session = session;
    this.settings = settings;
    this.policy = { threshold: policy.threshold, max: policy.max };
    this.#parts = parts;
    session.user = this;
  }

  /** The state of pipeline mode. */
  get pipeline(): PipelineState {
    return (this.#pipeline ??= new PipelineState(this));
  }

  /** Whether the connection is in pipeline mode. */
  get inPipeline(): boolean {
    return this.#pipeline?.active === true;
  }

  /** The history of the connection's transactions. */
  get record(): TransactionRecord {
    return (this.#record ??= new TransactionRecord());
  }

  /** The open transaction blocks, from the outermost to the innermost. */
  get blocks(): Block[] {
    return (this.#blocks ??= []);
  }

  /** The handlers of the server's notices. */
  get noticeHandlers(): Handlers<errors.Diagnostic> {
    return (this.#noticeHandlers ??= new Handlers('notice', this.#parts.noticeHandlers));
  }

  get notifications(): Notifications {
    return (this.#notifications ??= new Notifications(this, this.#parts.notifyHandlers));
  }

  /** @internal */
  onNotice(fields: ResponseFields): void {
    // After the return, notices belong to the pool, not to the borrower.
    const handlers = this.#returned ? this.#parts.noticeHandlers : this.noticeHandlers;
    tellNotice(this.session, handlers, fields);
  }

  /** @internal */
  onNotification({ channel, payload, pid }: Notification): void {
    this.notifications.receive(new Notify(channel, payload, pid));
  }

  /** @internal */
  onUnreadable(error: Error): void {
    this.notifications.receiveError(error);
  }

  /** @internal */
  onStatementDone(results: readonly StatementResult[], text: string): void {
    this.record.onDone(results, text, this.#statusAfter(text));
    // A command that was skipped has no result.
    if (results.length > 0) this.#hasBegun();
  }

  /** @internal */
  onSegmentEnd(error: Error | null, isAwaited: boolean): void {
    if (error !== null) this.onStatementError(error, [], '');
    const undoneBy = this.record.onSegmentEnd(this.session.answeredStatus);
    if (error === null) {
      if (undoneBy !== null) this.pipeline.undone(undoneBy);
    } else if (!isAwaited) this.pipeline.failed(error);
  }

  /** @internal */
  onStatementError(error: unknown, results: readonly StatementResult[], text: string): void {
    const status = this.#statusAfter(text);
    this.record.onError(error, results, status);
    // If the BEGIN itself failed, the next statement needs another one.
    if (status === TransactionStatus.INERROR) this.#hasBegun();
    if (!(error instanceof errors.Error) || error.sqlstate === null) return;
    const isReadOnly =
      error.sqlstate === READ_ONLY &&
      this.#parts.params['target_session_attrs'] === 'read-write' &&
      this.settings.readOnly !== true;
    if (isReadOnly || CONNECTION_IN_DOUBT.test(error.sqlstate)) this.#mustReplace = true;
  }

  /** The transaction status after a statement. One that ends a transaction is no part of a segment, so its own status is known. */
  #statusAfter(text: string): TransactionStatus {
    const { transactionStatus: status, answeredStatus } = this.session;
    return status === TransactionStatus.ACTIVE && controlsTransaction(text) ? answeredStatus : status;
  }

  /** A statement of the open block, if any, has been executed behind the block's BEGIN. */
  #hasBegun(): void {
    const outermost = this.#blocks?.[0];
    if (outermost?.state === 'active') outermost.hasBegun = true;
  }

  /**
   * Whether the server's errors indicate that another connection would work although this one is alive: class 08, a shutdown
   * (57P01 to 57P03), or a read-only server where `target_session_attrs` requires read-write, for example after a failover.
   */
  get mustReplace(): boolean {
    return this.#mustReplace;
  }

  get returned(): boolean {
    return this.#returned;
  }

  /** Whether the connection is neither returned, nor closed, nor lost. */
  get usable(): boolean {
    return !this.#returned && !this.session.closed;
  }

  /**
   * Whether the user closed or returned the connection while it was alive, which leaves uncommitted work uncommitted on purpose.
   * A connection that was lost or closed by its pool was not ended by its user, even if the user closes it afterwards.
   */
  get endedByUser(): boolean {
    return this.#endedByUser;
  }

  /** Whether the open transaction has changed data and has not failed. */
  get hasUncommittedWrites(): boolean {
    const { transactionStatus: status } = this.session;
    const isOpen = status === TransactionStatus.INTRANS || status === TransactionStatus.ACTIVE;
    return isOpen && this.record.wrote;
  }

  /** Whether it was closed with uncommitted writes. */
  get leftWrites(): boolean {
    return this.#leftWrites;
  }

  /** Makes every later use raise `InterfaceError`. */
  cutOff(): void {
    this.#endedByUser ||= !this.session.closed;
    this.#returned = true;
    this.session.endPipeline();
    this.#unlistenLoss?.();
    this.#cutOff?.tell();
  }

  /** Calls `handler` if the connection is lost before it is returned. Returns a function that removes the handler. */
  onLost(handler: LossHandler): () => void {
    this.checkUsable();
    if (this.#lossHandlers === null) {
      const handlers = (this.#lossHandlers = new Handlers<Error>('loss'));
      this.#unlistenLoss = this.session.onLost((error) => {
        handlers.tell(error);
      });
    }
    return this.#lossHandlers.add(handler);
  }

  /**
   * Calls `listener` once when the connection becomes unusable: it is returned, closed or lost. Returns a function that removes
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

  /** Closes the session. Resolves with true if there were uncommitted writes; only the first call reports them. */
  async close(): Promise<boolean> {
    this.#endedByUser ||= !this.session.closed;
    const wrote = this.hasUncommittedWrites;
    const closed = this.session.close();
    await closed;
    // The statement in flight may have been the COMMIT.
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

  /** Raises an error if the connection was returned, closed or lost. */
  checkUsable(): void {
    this.checkNotReturned();
    if (this.session.closed) throw this.session.unusable();
  }

  /**
   * Raises `InterfaceError` if the connection was returned to its pool, and `ProgrammingError` within the source of an
   * executemany() that would wait for this use.
   */
  check(): void {
    this.checkNotReturned();
    if (this.feedings > 0) Feeding.checkNone(this);
  }

  /** Raises `ProgrammingError` for a call of `what`, such as `commit`, inside a transaction block, and what `check()` raises. */
  checkNoBlock(what: string): void {
    this.check();
    if (this.#blocks !== null && this.#blocks.length > 0) {
      throw new errors.ProgrammingError(
        `${what}() is not possible inside a transaction block, which ends by itself: use the block's own ${what}()`,
      );
    }
  }

  /** A copy of a context's adapters for a cursor of this connection. */
  adaptersOf({ adapters }: AdaptContext): AdaptersMap {
    return adapters.cloneFor(this.session.certainParameters);
  }

  /** Changes a setting of future transactions. */
  set<K extends SettingName>(name: K, value: TransactionSettings[K]): void {
    this.settings = withSetting(this.settings, name, value);
  }

  /** Whether a block is open, or being opened, whose BEGIN is still to be sent with its first statement. */
  get mustBegin(): boolean {
    const outermost = this.#blocks?.[0];
    if (outermost === undefined || outermost.hasBegun) return false;
    return outermost.state === 'active' || outermost.state === 'opening';
  }

  /** Whether a statement sent now would be a transaction of its own. */
  get autocommitsNow(): boolean {
    return this.settings.autocommit && !this.mustBegin;
  }

  /** The transaction status. A block counts as an open transaction before its BEGIN has been sent. */
  get transactionStatus(): TransactionStatus {
    const { transactionStatus: status } = this.session;
    return status === TransactionStatus.IDLE && this.mustBegin ? TransactionStatus.INTRANS : status;
  }

  /** Makes the request for the session; in a transaction, unless in autocommit. */
  request(statement: CoreStatement): StatementRequest {
    const { settings } = this;
    const block = this.#blocks?.at(-1);
    // Messages must not show a text that contains values.
    if (block !== undefined) block.lastStatement = statement.shown === undefined ? statement.text : null;
    const begin = this.autocommitsNow && statement.inTransaction !== true ? null : settings.begin;
    return {
      text: statement.text,
      executions: statement.executions,
      begin,
      rows: statement.rows,
      parameterNames: statement.parameterNames,
      shown: statement.shown,
      prepare: statement.prepare,
      policy: this.policy,
      signal: statement.signal,
    };
  }

  /** Executes a request made by `request()`. */
  run(request: StatementRequest, lock?: ExclusiveLock): Promise<readonly StatementResult[]> {
    this.check();
    return this.session.submit(request, lock);
  }

  /** Executes a request made by `request()` and fetches its rows on demand. */
  stream(request: StatementRequest, size: number | null): RowStream {
    this.check();
    return this.session.stream(request, size);
  }

  /** Begins the COPY of a request made by `request()`. */
  async copy(request: StatementRequest): Promise<CopyChannel> {
    this.check();
    return this.session.copy(request);
  }

  /** A COPY has ended; `tag` is null if it was not completed. */
  copied(direction: 'in' | 'out', tag: string | null): void {
    if (direction === 'in' && tag !== null) this.record.onCopiedIn(tag, this.session.transactionStatus);
  }

  /** Opens a transaction if none is open, unless in autocommit outside of blocks. */
  async openTransaction(
    options: { lock?: ExclusiveLock; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    // In a pipeline, the BEGIN is sent with the next statement.
    if (this.autocommitsNow || (this.inPipeline && options.lock === undefined)) return;
    await this.command(this.settings.begin, { ...options, onlyIf: 'idle' });
  }

  /**
   * Executes a command of the library. It may change the state of a transaction, so an abort of `signal` rejects with its reason
   * only if the command did not take effect, and resolves if it did. If the connection is lost before the server has answered,
   * the call rejects with that error.
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

  #command(
    text: string,
    { onlyIf, lock, signal, mustBeAnswered }: CommandOptions,
  ): Promise<readonly StatementResult[]> {
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
      mustBeAnswered,
    };
    return this.run(request, lock);
  }

  /** Calls `act` with the transaction status after all earlier statements. */
  inTurn<T>(act: (status: TransactionStatus) => T, signal?: AbortSignal): Promise<T> {
    this.check();
    return this.session.inTurn(act, signal);
  }
}

/** SQLSTATEs that concern the connection rather than a statement. */
const CONNECTION_IN_DOUBT = /^(?:08...|57P0[123])$/;
const READ_ONLY = '25006';

/**
 * The parameters of commands. An empty list makes the session use the extended protocol, so that the command shares a message
 * with its BEGIN.
 */
const NO_PARAMS: readonly SentParam[] = [];

/** The key of a connection's core, for cursors, transactions and the pool. */
export const CORE: unique symbol = Symbol('usingpg.core');

/** A connection as the library's own modules use it. */
export interface HasCore {
  readonly [CORE]: ConnectionCore;
  readonly adapters: AdaptersMap;
}

/** A connection's core. Raises `ProgrammingError` for what is no connection. */
export function coreOf(connection: HasCore): ConnectionCore {
  const core = (connection as Partial<HasCore> | null | undefined)?.[CORE];
  if (core === undefined) throw expected('the first argument of a cursor', 'a connection', connection);
  return core;
}

/** Whether the connection's session is usable. */
export function isAlive(connection: HasCore): boolean {
  return !connection[CORE].session.closed;
}
