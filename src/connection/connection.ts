import { adapters as globalAdapters } from '../types/adapters.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import type { ConninfoParams } from '../conninfo/index.js';
import { AsyncCursor } from '../cursor/cursor.js';
import {
  CONNECTION_EXECUTE,
  type CursorFactory,
  type CursorOptions,
  type ExecuteOptions,
  type PerhapsWithRowFactory,
  type ServerCursorFactory,
  type WithoutRowFactory,
  type WithRowFactory,
} from '../cursor/options.js';
import {
  AsyncServerCursor,
  type NamedCursorOptions,
  type ServerCursorOptions,
} from '../cursor/server-cursor.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { INSPECT } from '../inspect.js';
import { checkKind, COUNT_OR_NULL, FUNCTION } from '../options/kinds.js';
import type { Query } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import { tupleRow, type RowFactory, type TupleRow } from '../rows.js';
import type { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import { cancelWithin } from './cancel-safe.js';
import type { OpenSession } from './connect.js';
import { loadConnect } from './load-connect.js';
import { CORE, ConnectionCore, type ConnectionParts } from './connection-core.js';
import { Handlers, type LossHandler, type NoticeHandler } from './handlers.js';
import { checkIdle, ConnectionInfo, describeConnection } from './info.js';
import { AsyncPipeline, runInPipeline, type PipelineOptions } from './pipeline.js';
import type { NotifiesOptions, Notify, NotifyHandler } from './notifies.js';
import * as known from './options.js';
import type { ConnectOptions, WaitOptions } from './options.js';
import { AsyncTransaction, runInTransaction, type TransactionOptions } from './transaction.js';
import {
  checkSetting,
  DEFAULT_SETTINGS,
  type IsolationLevel,
  type SettingName,
  type TransactionSettings,
} from './transaction-settings.js';
import { TwoPhase, Xid } from './two-phase.js';
import { commit, reportUncommitted, runUnit } from './unit-of-work.js';

/** The method by which a pool gets the parts for a fresh connection object over the same session. @internal */
export const LENT_PARTS: unique symbol = Symbol('usingpg.lentParts');

/**
 * A connection to a database (Psycopg: `AsyncConnection`). Unless in autocommit, the first statement opens a transaction, which
 * lasts until `commit()` or `rollback()`. Leaving the scope never commits.
 *
 * @example
 * await using conn = await AsyncConnection.connect('postgresql://localhost/app');
 * await conn.execute('INSERT INTO visit VALUES (%s)', [id]);
 * await conn.commit();
 */
export class AsyncConnection<R = TupleRow> implements AsyncDisposable {
  /** The connection's loaders and dumpers: a copy of the global `adapters`, made when it connected. */
  readonly adapters: AdaptersMap;
  /** @internal */
  readonly [CORE]: ConnectionCore;
  readonly #parts: ConnectionParts<R>;
  #rowFactory: RowFactory<R>;
  #cursorFactory: CursorFactory;
  #serverCursorFactory: ServerCursorFactory;
  #info: ConnectionInfo | null = null;
  #twoPhase: TwoPhase | null = null;

  /**
   * Connects to a database (Psycopg: `AsyncConnection.connect`). Raises `ProgrammingError` for an invalid connection string or
   * option, `NotSupportedError` for an unsupported parameter, else `OperationalError`; rejects with the reason of `signal` if it
   * is aborted.
   *
   * @example
   * await using conn = await AsyncConnection.connect('postgresql://localhost/app', { autocommit: true });
   */
  static async connect<R = TupleRow>(
    conninfo?: string | ConninfoParams,
    options: ConnectOptions<R> = {},
  ): Promise<AsyncConnection<R>> {
    known.CONNECT.check(options);
    options.signal?.throwIfAborted();
    const { params, session } = await opened(conninfo, options);
    return new this<R>({
      session,
      params,
      settings: { ...DEFAULT_SETTINGS, autocommit: options.autocommit ?? false },
      policy: {
        threshold:
          options.prepareThreshold === undefined ? known.DEFAULT_PREPARE_THRESHOLD : options.prepareThreshold,
        max: known.DEFAULT_PREPARED_MAX,
      },
      adapters: (options.context?.adapters ?? globalAdapters).cloneFor(session.certainParameters),
      rowFactory: options.rowFactory ?? tupleRow,
      cursorFactory: options.cursorFactory ?? AsyncCursor,
      serverCursorFactory: AsyncServerCursor,
      noticeHandlers: new Handlers('notice'),
      notifyHandlers: new Handlers('notify'),
      giveBack: null,
      closeReturns: false,
    });
  }

  /**
   * Connects and runs `fn` with the connection (Psycopg: `async with await AsyncConnection.connect()`). Commits if `fn` returns,
   * rolls back if it throws, and closes the connection in any case. `signal` ends the attempt to connect and the commit. Raises the
   * errors of `connect()` and `commit()`.
   *
   * @example
   * const id = await AsyncConnection.withConnection('postgresql://localhost/app', async (conn) => {
   *   const cursor = await conn.execute('INSERT INTO visit DEFAULT VALUES RETURNING id');
   *   return (await cursor.fetchone())![0];
   * });
   */
  static async withConnection<T, R = TupleRow>(
    conninfo: string | ConninfoParams,
    fn: (connection: AsyncConnection<R>) => Promise<T> | T,
    options: ConnectOptions<R> = {},
  ): Promise<T> {
    known.WITH_CONNECTION.checkCall(fn, options);
    const connection = await this.connect<R>(conninfo, options);
    const result = await runUnit(connection[CORE], () => fn(connection), {
      commit: () => connection.commit({ signal: options.signal }),
      // The rollback is intended, so it needs no warning.
      undo: async () => {
        await connection[CORE].close();
      },
    });
    await connection.close();
    return result;
  }

  /** @internal Use `AsyncConnection.connect()` or a pool. */
  constructor(parts: ConnectionParts<R>) {
    this.#parts = parts;
    this[CORE] = new ConnectionCore(parts);
    this.adapters = parts.adapters;
    this.#rowFactory = parts.rowFactory;
    this.#cursorFactory = parts.cursorFactory;
    this.#serverCursorFactory = parts.serverCursorFactory;
  }

  /** @internal */
  [LENT_PARTS](giveBack: ConnectionParts<R>['giveBack'], closeReturns: boolean): ConnectionParts<R> {
    const { session, settings, policy, noticeHandlers, notifications } = this[CORE];
    return {
      session,
      params: this.#parts.params,
      settings,
      policy,
      adapters: this.adapters.clone(),
      rowFactory: this.rowFactory,
      cursorFactory: this.cursorFactory,
      serverCursorFactory: this.serverCursorFactory,
      noticeHandlers,
      notifyHandlers: notifications.handlers,
      giveBack,
      closeReturns,
    };
  }

  /** Information about the connection and its server (Psycopg: `info`). */
  get info(): ConnectionInfo {
    return (this.#info ??= new ConnectionInfo(this[CORE], this.#parts.params));
  }

  get #xa(): TwoPhase {
    return (this.#twoPhase ??= new TwoPhase(this[CORE]));
  }

  // --- cursors

  /**
   * Makes a cursor (Psycopg: `AsyncConnection.cursor`). With a `name`, it is a server-side cursor, whose result stays on the
   * server and is fetched in pieces. A row type needs the row factory that makes such rows; without one, rows come from the
   * connection's row factory. Raises `InterfaceError` if the connection was returned to its pool, `OperationalError` if it is
   * closed.
   *
   * @example
   * const cur = conn.cursor({ rowFactory: dictRow });
   * await cur.execute('SELECT id, name FROM city');
   * const cities = await cur.fetchall();
   */
  cursor<T extends R = R>(options: NamedCursorOptions<T> & WithoutRowFactory): AsyncServerCursor<T>;
  cursor<T>(options: NamedCursorOptions<T> & WithRowFactory<T>): AsyncServerCursor<T>;
  cursor<T>(options: NamedCursorOptions<T> & PerhapsWithRowFactory<T>): AsyncServerCursor<T | R>;
  cursor<T extends R = R>(options?: CursorOptions<T> & WithoutRowFactory): AsyncCursor<T>;
  cursor<T>(options: CursorOptions<T> & WithRowFactory<T>): AsyncCursor<T>;
  cursor<T>(options: CursorOptions<T> & PerhapsWithRowFactory<T>): AsyncCursor<T | R>;
  cursor<T>(options?: ServerCursorOptions<T> & { name?: string }): AsyncCursor<T> {
    if (options !== undefined) known.CURSOR.check(options);
    const core = this[CORE];
    core.checkUsable();
    const self = this as unknown as AsyncConnection<unknown>;
    if (options === undefined) return new this.cursorFactory<T>(self);
    const { name, ...others } = options;
    if (name !== undefined) return new this.serverCursorFactory<T>(self, name, others);
    return new this.cursorFactory<T>(self, known.withoutName(others));
  }

  /**
   * Executes a query on a new cursor and returns the cursor (Psycopg: `AsyncConnection.execute`). A row type needs a row factory,
   * as for `cursor()`; `context` belongs to the new cursor, too. Raises the errors of `cur.execute()`.
   */
  execute<T extends R = R>(
    query: Query,
    params?: Params | null,
    options?: ExecuteOptions & WithoutRowFactory,
  ): Promise<AsyncCursor<T>>;
  execute<T>(
    query: Query,
    params: Params | null | undefined,
    options: ExecuteOptions & WithRowFactory<T>,
  ): Promise<AsyncCursor<T>>;
  execute<T>(
    query: Query,
    params: Params | null | undefined,
    options: ExecuteOptions & PerhapsWithRowFactory<T>,
  ): Promise<AsyncCursor<T | R>>;
  execute<T>(
    query: Query,
    params?: Params | null,
    options?: ExecuteOptions & CursorOptions<T>,
  ): Promise<AsyncCursor<T | R>> {
    try {
      if (options === undefined) return this.cursor().execute(query, params);
      CONNECTION_EXECUTE.check(options);
      if (!('rowFactory' in options) && !('context' in options))
        return this.cursor().execute(query, params, options);
      const { rowFactory, context, ...others } = options;
      return this.cursor<T>({ rowFactory, context }).execute(query, params, others);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  // --- transactions

  /**
   * Commits the open transaction, if any (Psycopg: `commit`). Resolves only if the server has confirmed it. Raises
   * `InFailedSqlTransaction` if the server rolled back instead because a statement of the transaction had failed (the error's
   * `cause`), the connection's error if it was lost before, and `TransactionOutcomeUnknown` if it was lost between the COMMIT and
   * its answer. After any of these errors the transaction has ended. `ProgrammingError` refuses the call before the COMMIT is
   * sent: within a transaction block, and while an `executemany()` has stored only a part of its rows.
   *
   * An abort of `signal` has an exact outcome. Before the COMMIT is sent, the transaction stays open. While it runs, it is
   * cancelled: the call rejects with the signal's reason if the server rolled back, resolves if it had already committed, and
   * raises `TransactionOutcomeUnknown` if the server does not answer within a few seconds.
   */
  async commit(options?: WaitOptions): Promise<void> {
    if (options !== undefined) known.WAITING.commit.check(options);
    this[CORE].checkNoBlock('commit');
    this.#twoPhase?.checkNone('commit');
    try {
      await commit(this[CORE], { signal: options?.signal });
    } catch (error) {
      throw callersStack(error);
    }
  }

  /**
   * Rolls back the open transaction, if any (Psycopg: `rollback`). Without a `signal`, it waits for the server without a limit. An
   * abort cannot undo a ROLLBACK that is running; the call then resolves, or raises the connection's error if the server does not
   * answer within a few seconds. Raises `ProgrammingError` within a transaction block.
   */
  async rollback(options: WaitOptions = {}): Promise<void> {
    known.WAITING.rollback.check(options);
    this[CORE].checkNoBlock('rollback');
    this.#twoPhase?.checkNone('rollback');
    const core = this[CORE];
    try {
      await core.command('ROLLBACK', { onlyIf: 'in transaction', signal: options.signal });
    } catch (error) {
      throw callersStack(error);
    }
    core.record.takeRefusedCommit();
    BatchRun.undo(core, null);
  }

  /**
   * Opens a transaction block, or a savepoint if a transaction is open (Psycopg: `transaction()`). Leaving the scope without
   * `tx.commit()` rolls it back. The BEGIN of a block is sent with its first statement, which raises the error of a BEGIN that the
   * server refuses; a block without statements sends nothing.
   *
   * Blocks nest, they do not interleave. Raises `ConcurrentTransaction` while another task's `withTransaction()` is running on
   * this connection, and while any of its blocks is being opened or ended. A block of this form belongs to the holder of the
   * connection: blocks that any task begins meanwhile are nested in it. Tasks that share a connection should use
   * `withTransaction()`.
   *
   * @example
   * await using tx = await conn.transaction();
   * await conn.execute('UPDATE account SET balance = balance - 1 WHERE id = %s', [id]);
   * await tx.commit();
   */
  async transaction(options?: TransactionOptions): Promise<AsyncTransaction> {
    known.TRANSACTION.check(options);
    return new AsyncTransaction(this, options).open(undefined, options?.signal);
  }

  /**
   * Runs `fn` in a transaction block (Psycopg: `async with conn.transaction()`). Commits if `fn` returns, rolls back if it
   * throws. If `fn` itself closed or returned the connection, or committed or rolled back the block, there is nothing to commit.
   * Resolves with the result of `fn`, or with undefined after a `Rollback`; the compiler cannot see a `Rollback`, so type an `fn`
   * that may throw one to return `T | undefined`.
   *
   * Blocks nest, they do not interleave. A call from within `fn`, or from code that `fn` has started, makes a savepoint. A call
   * by another task while `fn` is running raises `ConcurrentTransaction` at once and does not affect the block of `fn`. If `fn`
   * loses its asynchronous context (`AsyncLocalStorage`), use `tx.withTransaction()` to nest.
   *
   * Raises the errors of `commit()`: it resolves only if the server has confirmed the COMMIT.
   *
   * @example
   * await conn.withTransaction(async () => {
   *   await conn.execute('UPDATE account SET balance = balance - 1 WHERE id = %s', [from]);
   *   await conn.execute('UPDATE account SET balance = balance + 1 WHERE id = %s', [to]);
   * });
   */
  withTransaction(
    fn: (transaction: AsyncTransaction) => Promise<never>,
    options?: TransactionOptions,
  ): Promise<undefined>;
  withTransaction<T>(
    fn: (transaction: AsyncTransaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<T>;
  async withTransaction<T>(
    fn: (transaction: AsyncTransaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<T> {
    known.WITH_TRANSACTION.checkCall(fn, options);
    const signal = options?.signal;
    return runInTransaction(new AsyncTransaction(this, options), fn, { signal });
  }

  /**
   * Begins a pipeline (Psycopg: `pipeline()`): until the end of its scope, statements are sent without waiting for earlier
   * answers, in as few round trips as possible.
   */
  pipeline(): AsyncPipeline {
    return new AsyncPipeline(this);
  }

  /**
   * Runs `fn` in a pipeline (Psycopg: `async with conn.pipeline()`). Rejects with the pipeline's first error that was not
   * reported to `fn`.
   */
  async withPipeline<T>(
    fn: (pipeline: AsyncPipeline) => Promise<T>,
    options: PipelineOptions = {},
  ): Promise<T> {
    known.WITH_PIPELINE.checkCall(fn, options);
    return runInPipeline(this, fn, options);
  }

  /** Whether each statement is a transaction of its own (Psycopg: `autocommit`). */
  get autocommit(): boolean {
    return this[CORE].settings.autocommit;
  }

  /** The isolation level of future transactions; null: the server's default (Psycopg: `isolation_level`). */
  get isolationLevel(): IsolationLevel | null {
    return this[CORE].settings.isolationLevel;
  }

  /** Whether future transactions are read-only; null: the server's default (Psycopg: `read_only`). */
  get readOnly(): boolean | null {
    return this[CORE].settings.readOnly;
  }

  /** Whether future transactions are deferrable; null: the server's default (Psycopg: `deferrable`). */
  get deferrable(): boolean | null {
    return this[CORE].settings.deferrable;
  }

  /** Sets `autocommit` (Psycopg: `set_autocommit`). Raises `ProgrammingError` if a transaction is open. */
  async setAutocommit(value: boolean, options: WaitOptions = {}): Promise<void> {
    await this.#set('autocommit', value, options);
  }

  /** Sets `isolationLevel` (Psycopg: `set_isolation_level`). Raises `ProgrammingError` if a transaction is open. */
  async setIsolationLevel(value: IsolationLevel | null, options: WaitOptions = {}): Promise<void> {
    await this.#set('isolationLevel', value, options);
  }

  /** Sets `readOnly` (Psycopg: `set_read_only`). Raises `ProgrammingError` if a transaction is open. */
  async setReadOnly(value: boolean | null, options: WaitOptions = {}): Promise<void> {
    await this.#set('readOnly', value, options);
  }

  /** Sets `deferrable` (Psycopg: `set_deferrable`). Raises `ProgrammingError` if a transaction is open. */
  async setDeferrable(value: boolean | null, options: WaitOptions = {}): Promise<void> {
    await this.#set('deferrable', value, options);
  }

  /** The row factory of cursors without one of their own (Psycopg: `row_factory`). */
  get rowFactory(): RowFactory<R> {
    return this.#rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    checkKind('rowFactory', factory, FUNCTION);
    this.#rowFactory = factory;
  }

  /** The class of the cursors (Psycopg: `cursor_factory`). */
  get cursorFactory(): CursorFactory {
    return this.#cursorFactory;
  }
  set cursorFactory(factory: CursorFactory) {
    checkKind('cursorFactory', factory, FUNCTION);
    this.#cursorFactory = factory;
  }

  /** The class of named cursors (Psycopg: `server_cursor_factory`). */
  get serverCursorFactory(): ServerCursorFactory {
    return this.#serverCursorFactory;
  }
  set serverCursorFactory(factory: ServerCursorFactory) {
    checkKind('serverCursorFactory', factory, FUNCTION);
    this.#serverCursorFactory = factory;
  }

  /** The number of executions after which a statement is prepared on the server; null: never (Psycopg: `prepare_threshold`). */
  get prepareThreshold(): number | null {
    return this[CORE].policy.threshold;
  }
  set prepareThreshold(value: number | null) {
    checkKind('prepareThreshold', value, COUNT_OR_NULL);
    this[CORE].policy.threshold = value;
  }

  /** The maximum number of prepared statements on the server; 0: none; null: no limit (Psycopg: `prepared_max`). */
  get preparedMax(): number | null {
    return this[CORE].policy.max;
  }
  set preparedMax(value: number | null) {
    checkKind('preparedMax', value, COUNT_OR_NULL);
    this[CORE].policy.max = value;
  }

  // --- two-phase commit

  /**
   * Makes the identifier of a two-phase transaction from the three parts of the XA standard (Psycopg: `xid`). Raises
   * `ProgrammingError` unless `formatId` is a whole number from 0 to 2147483647, and `gtrid` and `bqual` have at most 64
   * characters.
   */
  xid(formatId: number, gtrid: string, bqual: string): Xid {
    return new Xid(formatId, gtrid, bqual);
  }

  /**
   * Begins a two-phase transaction (Psycopg: `tpc_begin`). An identifier that does not follow the XA standard is passed as a
   * string. Raises `ProgrammingError` in autocommit, and if a transaction is open.
   */
  async tpcBegin(xid: Xid | string, options: WaitOptions = {}): Promise<void> {
    known.WAITING.tpcBegin.check(options);
    await this.#xa.begin(xid, options.signal);
  }

  /**
   * Prepares the two-phase transaction, the first phase (Psycopg: `tpc_prepare`). From then on the transaction outlives the
   * connection, until it is committed or rolled back. Execute nothing before `tpcCommit()` or `tpcRollback()`: a statement begins
   * a transaction of its own, in which they are not possible. Raises `ProgrammingError` outside of a two-phase transaction,
   * `NotSupportedError` if the server has `max_prepared_transactions = 0`, and the server's error if it rolled back instead
   * (`InFailedSqlTransaction` if a statement had failed). An abort has the same exact outcome as in `commit()`: the call rejects
   * with the reason only if nothing was prepared. If the connection is lost before the answer, or the server stops waiting for its
   * synchronous standby, it raises `TransactionOutcomeUnknown`; `tpcRecover()` tells whether the transaction is prepared.
   */
  async tpcPrepare(options: WaitOptions = {}): Promise<void> {
    known.WAITING.tpcPrepare.check(options);
    await this.#xa.prepare(options.signal);
  }

  /**
   * Commits this connection's two-phase transaction, prepared or not (Psycopg: `tpc_commit`). With `xid`, commits a transaction
   * prepared by any session. Raises `ProgrammingError` if there is none, `UndefinedObject` if there is none of that name, and
   * `TransactionOutcomeUnknown` as `tpcPrepare()` does.
   */
  async tpcCommit(xid?: Xid | string, options: WaitOptions = {}): Promise<void> {
    known.WAITING.tpcCommit.check(options);
    await this.#xa.finish('COMMIT', xid, options.signal);
  }

  /**
   * Rolls back this connection's two-phase transaction, prepared or not (Psycopg: `tpc_rollback`). With `xid`, rolls back a
   * transaction prepared by any session. Raises the errors of `tpcCommit()`.
   */
  async tpcRollback(xid?: Xid | string, options: WaitOptions = {}): Promise<void> {
    known.WAITING.tpcRollback.check(options);
    await this.#xa.finish('ROLLBACK', xid, options.signal);
  }

  /** Returns the prepared transactions of all databases of the server (Psycopg: `tpc_recover`). */
  async tpcRecover(options: WaitOptions = {}): Promise<Xid[]> {
    known.WAITING.tpcRecover.check(options);
    return this.#xa.recover(options.signal);
  }

  // --- notifications

  /**
   * Yields the notifications of the channels of `LISTEN` statements as they arrive (Psycopg: `notifies`). Other statements may
   * run meanwhile; within a transaction the server withholds notifications.
   *
   * Notifications that arrive without a loop are kept for the next one, up to 100,000, or 64 MB of their text. If more arrive, the
   * loop raises `OperationalError` once, after the last notification that was kept, and reports how many were dropped; the next loop
   * continues from there. Before the first call of `notifies()`, a connection with a handler keeps only what arrives between
   * statements, and of it the last 1,000.
   *
   * Ends after `timeout` seconds or `stopAfter` notifications; leaving the loop loses nothing. Raises `ProgrammingError` for a
   * second loop at the same time, and `OperationalError` if the connection is lost or closed. A notification beyond ASCII raises
   * `NotSupportedError` at its place if `client_encoding` is not UTF8; another loop continues after it. To take a single notification
   * by `next()`, pass `stopAfter: 1`; without it, the generator must be ended by `return()` before the next loop begins.
   *
   * @example
   * await conn.setAutocommit(true);
   * await conn.execute('LISTEN jobs');
   * for await (const { payload } of conn.notifies()) console.log(payload);
   */
  notifies(options: NotifiesOptions = {}): AsyncGenerator<Notify, void, void> {
    known.NOTIFIES.check(options);
    const loop = this[CORE].notifications.loop(options);
    loopsOf.set(loop, this as unknown as AsyncConnection<never>);
    return loop;
  }

  /**
   * Registers `handler`, which is called with each notification in the asynchronous context of this call (Psycopg:
   * `add_notify_handler`). A handler that throws causes a process warning, and so does a notification that can't be read (see
   * `notifies()`).
   */
  addNotifyHandler(handler: NotifyHandler): void {
    this[CORE].notifications.handlers.add(handler);
  }

  /** Removes a handler (Psycopg: `remove_notify_handler`). Raises `ProgrammingError` for one that was not registered. */
  removeNotifyHandler(handler: NotifyHandler): void {
    if (!this[CORE].notifications.handlers.remove(handler))
      throw new errors.ProgrammingError('removeNotifyHandler() got a handler that was never added');
  }

  // --- notices

  /**
   * Registers `handler`, which is called with each notice of the server, as in `addNotifyHandler()` (Psycopg:
   * `add_notice_handler`).
   */
  addNoticeHandler(handler: NoticeHandler): void {
    this[CORE].noticeHandlers.add(handler);
  }

  /** Removes a handler (Psycopg: `remove_notice_handler`). Raises `ProgrammingError` for one that was not registered. */
  removeNoticeHandler(handler: NoticeHandler): void {
    if (!this[CORE].noticeHandlers.remove(handler))
      throw new errors.ProgrammingError('removeNoticeHandler() got a handler that was never added');
  }

  // --- cancellation

  /**
   * Asks the server to cancel the running statement, if any, whose call then rejects with `QueryCanceled`; the statement may
   * finish before (Psycopg: `cancel_safe`). No other statement is affected. Raises `CancellationTimeout` if the request is not
   * answered within `timeout` seconds (30), `OperationalError` if the server cannot be reached for it, upon which the statement goes
   * on, and `ProgrammingError` in a prepared two-phase transaction. Does nothing on a closed connection. An abort of its `signal` ends
   * the wait, but not the request.
   */
  async cancelSafe(
    options: { timeout?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    known.CANCEL_SAFE.check(options);
    const core = this[CORE];
    core.check();
    if (core.session.closed) return;
    this.#twoPhase?.checkNotPrepared('cancelSafe');
    try {
      await cancelWithin(core.session, options.timeout, options.signal);
    } catch (error) {
      throw callersStack(error);
    }
  }

  // --- ending

  /**
   * Calls `listener` once with the error if the connection is lost, idle or not: by the server, the network, or a failure to
   * answer; not if it is closed. Returns a function that removes the listener. It is called in the asynchronous context of this
   * call; if it throws, a process warning follows. Returning the connection to its pool removes its listeners; those added by the
   * pool's `configure` remain as long as the session. Losses of all connections are published on the diagnostics channel
   * `usingpg:lost`. Raises `InterfaceError` if the connection was returned, `OperationalError` if it is closed or lost.
   *
   * @example
   * const remove = conn.onLost((error) => {
   *   console.error('the session and its advisory locks are gone:', error);
   * });
   */
  onLost(listener: LossHandler): () => void {
    return this[CORE].onLost(listener);
  }

  /** Whether the connection is unusable: closed, lost or returned (Psycopg: `closed`). */
  get closed(): boolean {
    return !this[CORE].usable;
  }

  /** Whether the connection was lost rather than closed (Psycopg: `broken`). */
  get broken(): boolean {
    return this[CORE].session.broken;
  }

  /**
   * Closes the connection (Psycopg: `close`). Uncommitted work is rolled back, running statements are cancelled. Resolves when
   * the server has closed its side, after a few seconds at most. A second call does nothing. In a pool with `closeReturns`,
   * returns the connection to the pool.
   */
  async close(): Promise<void> {
    const core = this[CORE];
    if (core.returned) return;
    if (this.#parts.closeReturns) return this[Symbol.asyncDispose]();
    const leftWrites = await core.close();
    // A pool reports it when the connection is returned.
    if (leftWrites && core.session.pool === null) reportUncommitted(core);
  }

  /** Returns a pool's connection to the pool, and closes any other, at the end of a scope. Neither commits. */
  [Symbol.asyncDispose](): Promise<void> {
    const { giveBack } = this.#parts;
    // Returning a connection twice does nothing.
    return giveBack === null ? this.close() : giveBack(this);
  }

  /** The connection's target and state for `util.inspect()`; never a password. */
  [INSPECT](): string {
    return describeConnection(this.constructor.name, this[CORE]);
  }

  async #set<K extends SettingName>(
    name: K,
    value: TransactionSettings[K],
    options: WaitOptions,
  ): Promise<void> {
    checkSetting(name, value);
    known.WAITING[name].check(options);
    const core = this[CORE];
    try {
      await core.inTurn((status: TransactionStatus) => {
        checkIdle(name, status, core);
        core.set(name, value);
      }, options.signal);
    } catch (error) {
      throw callersStack(error);
    }
  }
}

async function opened(
  conninfo: string | ConninfoParams | undefined,
  options: Pick<ConnectOptions, 'signal' | typeof known.CONNECTING_POOL>,
): Promise<OpenSession> {
  try {
    const { openSession } = await loadConnect();
    return await openSession(conninfo, options.signal, options[known.CONNECTING_POOL]);
  } catch (error) {
    // The error of a pool's own attempt gets its caller where a connection is requested.
    throw options[known.CONNECTING_POOL] === undefined ? callersStack(error) : error;
  }
}

/** The connection of each loop over notifications, which must not be garbage-collected while the loop is in use. */
const loopsOf = new WeakMap<AsyncGenerator<Notify, void, void>, AsyncConnection<never>>();
