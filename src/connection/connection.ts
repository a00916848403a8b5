import { adapters as globalAdapters } from '../types/adapters.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import { resolveConninfo, type ConninfoParams, type ResolvedConninfo } from '../conninfo/index.js';
import { AsyncCursor } from '../cursor/cursor.js';
import type {
  CursorOptions,
  ExecuteOptions,
  PerhapsWithRowFactory,
  WithoutRowFactory,
  WithRowFactory,
} from '../cursor/options.js';
import {
  AsyncServerCursor,
  type NamedCursorOptions,
  type ServerCursorOptions,
} from '../cursor/server-cursor.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { INSPECT } from '../inspect.js';
import type { Query } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import { tupleRow, type RowFactory, type TupleRow } from '../rows.js';
import type { Session } from '../session/session.js';
import type { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import { cancelWithin } from './cancel-safe.js';
import { checkConnectOptions } from './connect-options.js';
import { chosenParams, openSession } from './connect.js';
import { CORE, ConnectionCore, type CoreParts } from './connection-core.js';
import { Handlers, type NoticeHandler } from './handlers.js';
import { checkIdle, ConnectionInfo } from './info.js';
import { AsyncPipeline, runInPipeline, type PipelineOptions } from './pipeline.js';
import type { NotifiesOptions, Notify, NotifyHandler } from './notifies.js';
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

/** Makes the cursors of a connection; a subclass of `AsyncCursor`. */
export type CursorFactory = new <T>(
  connection: AsyncConnection<unknown>,
  options?: CursorOptions<T>,
) => AsyncCursor<T>;

/** Makes the server-side cursors of a connection; a subclass of `AsyncServerCursor`. */
export type ServerCursorFactory = new <T>(
  connection: AsyncConnection<unknown>,
  name: string,
  options?: ServerCursorOptions<T>,
) => AsyncServerCursor<T>;

/** Options of `AsyncConnection.connect()`. */
export interface ConnectOptions<R = TupleRow> {
  /** Run each statement in a transaction of its own. @default false: the first statement begins a transaction */
  autocommit?: boolean | undefined;
  /** Makes the rows of the connection's cursors. @default tupleRow */
  rowFactory?: RowFactory<R> | undefined;
  /** The class of the connection's cursors. @default AsyncCursor */
  cursorFactory?: CursorFactory | undefined;
  /** After how many executions a statement is prepared on the server; null: never. @default 5 */
  prepareThreshold?: number | null | undefined;
  /** Where the connection's adapters come from. @default the global `adapters` */
  context?: { readonly adapters: AdaptersMap } | undefined;
  /** Gives up connecting when it is aborted. */
  signal?: AbortSignal | undefined;
  /** @internal The name of the pool that connects. */
  [POOL_NAME]?: string | undefined;
}

/** Options of the calls of a connection that wait, and have no other option. */
export interface WaitOptions {
  /**
   * Ends the wait when it is aborted; the call rejects with its reason. A statement that waits is never sent, a running one is
   * cancelled. The connection stays usable.
   */
  signal?: AbortSignal | undefined;
}

/** Tells a connection the name of the pool that makes it. @internal */
export const POOL_NAME: unique symbol = Symbol('usingpg.poolName');

/** What a lent connection takes over from the connection it was made of. @internal */
export interface ConnectionParts<R> extends CoreParts {
  readonly adapters: AdaptersMap;
  readonly rowFactory: RowFactory<R>;
  readonly cursorFactory: CursorFactory;
  readonly serverCursorFactory: ServerCursorFactory;
  /** What leaving the scope does; null: close. A method's type, so that a connection of any rows is one of unknown rows. */
  readonly giveBack: { of(connection: AsyncConnection<R>): Promise<void> }['of'] | null;
  /** Whether `close()` gives back as well. */
  readonly closeReturns: boolean;
}

/** Gives the pool the parts of a connection for another that uses its session. @internal */
export const LENT_PARTS: unique symbol = Symbol('usingpg.lentParts');

const DEFAULT_PREPARE_THRESHOLD = 5;
const DEFAULT_PREPARED_MAX = 100;
const NO_OPTIONS = { rowFactory: undefined };

/**
 * A connection to a database (Psycopg: `AsyncConnection`). Unless in autocommit, its first statement opens a transaction that
 * lasts until `commit()` or `rollback()`. Leaving its scope never commits.
 *
 * @example
 * await using conn = await AsyncConnection.connect('postgresql://localhost/app');
 * await conn.execute('INSERT INTO visit VALUES (%s)', [id]);
 * await conn.commit();
 */
export class AsyncConnection<R = TupleRow> implements AsyncDisposable {
  /** Makes the rows of cursors that are not given a factory of their own. */
  rowFactory: RowFactory<R>;
  /** The class of the cursors. */
  cursorFactory: CursorFactory;
  /** The class of the cursors that have a name. */
  serverCursorFactory: ServerCursorFactory;
  /** How values are sent and loaded on this connection; a copy of the global `adapters` made when it connected. */
  readonly adapters: AdaptersMap;
  /** @internal */
  readonly [CORE]: ConnectionCore;
  readonly #parts: ConnectionParts<R>;
  #info: ConnectionInfo | null = null;
  #twoPhase: TwoPhase | null = null;

  /**
   * Connects to a database (Psycopg: `AsyncConnection.connect`). Raises `ProgrammingError` for a wrong connection string or option,
   * `NotSupportedError` for a parameter that can't be honoured, else `OperationalError`.
   */
  static async connect<R = TupleRow>(
    conninfo?: string | ConninfoParams,
    options: ConnectOptions<R> = {},
  ): Promise<AsyncConnection<R>> {
    checkConnectOptions(options);
    options.signal?.throwIfAborted();
    const { resolved, session } = await opened(conninfo, options);
    return new this<R>({
      session,
      params: chosenParams(resolved, session.address),
      settings: { ...DEFAULT_SETTINGS, autocommit: options.autocommit ?? false },
      policy: {
        threshold:
          options.prepareThreshold === undefined ? DEFAULT_PREPARE_THRESHOLD : options.prepareThreshold,
        max: DEFAULT_PREPARED_MAX,
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
   * Connects, and runs `fn` with the connection: what `fn` did is committed when it returns, rolled back when it throws; the connection
   * is closed in any case (Psycopg: `async with await AsyncConnection.connect()`). Raises what `connect()` and `commit()` raise.
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
    const connection = await this.connect<R>(conninfo, options);
    const result = await runUnit(connection[CORE], () => fn(connection), {
      commit: () => connection.commit(),
      // What is rolled back was meant to be.
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
    this.rowFactory = parts.rowFactory;
    this.cursorFactory = parts.cursorFactory;
    this.serverCursorFactory = parts.serverCursorFactory;
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

  /** What is known of the connection and its server. */
  get info(): ConnectionInfo {
    return (this.#info ??= new ConnectionInfo(this[CORE], this.#parts.params));
  }

  get #xa(): TwoPhase {
    return (this.#twoPhase ??= new TwoPhase(this[CORE]));
  }

  // --- cursors

  /**
   * A new cursor (Psycopg: `AsyncConnection.cursor`). With a `name` it is a server-side one, whose result stays on the server and
   * is fetched piece by piece. A type of rows is given with the row factory that makes such rows: without one they are the
   * connection's, of which a type argument can only say more.
   */
  cursor<T extends R = R>(options: NamedCursorOptions<T> & WithoutRowFactory): AsyncServerCursor<T>;
  cursor<T>(options: NamedCursorOptions<T> & WithRowFactory<T>): AsyncServerCursor<T>;
  cursor<T>(options: NamedCursorOptions<T> & PerhapsWithRowFactory<T>): AsyncServerCursor<T | R>;
  cursor<T extends R = R>(options?: CursorOptions<T> & WithoutRowFactory): AsyncCursor<T>;
  cursor<T>(options: CursorOptions<T> & WithRowFactory<T>): AsyncCursor<T>;
  cursor<T>(options: CursorOptions<T> & PerhapsWithRowFactory<T>): AsyncCursor<T | R>;
  cursor<T>(options: ServerCursorOptions<T> & { name?: string } = {}): AsyncCursor<T> {
    const core = this[CORE];
    core.checkUsable();
    const self = this as unknown as AsyncConnection<unknown>;
    const { name } = options;
    return name === undefined
      ? new this.cursorFactory<T>(self, options)
      : new this.serverCursorFactory<T>(self, name, options);
  }

  /** Executes a query with a cursor of its own, which it returns. A type of rows is given as to `cursor()`. */
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
    options: ExecuteOptions & CursorOptions<T> = NO_OPTIONS,
  ): Promise<AsyncCursor<T | R>> {
    try {
      const { rowFactory } = options;
      const cursor = this.cursor<T>(rowFactory === undefined ? NO_OPTIONS : { rowFactory });
      return cursor.execute(query, params, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  // --- transactions

  /**
   * Commits the open transaction, if there is one. Resolves only if the server has said so: raises `InFailedSqlTransaction` if it
   * has rolled back instead, since a statement of the transaction had failed (the error's `cause`), the connection's error if it
   * was lost before, and `TransactionOutcomeUnknown` if it was lost between the COMMIT and its answer. Whatever it raises, nothing is
   * left of the transaction, unless it was refused before the COMMIT was sent: with `ProgrammingError` within a transaction block, and
   * while an `executemany()` has stored a part of what its source is to give.
   *
   * What an aborted `signal` does is exact: before the COMMIT is sent, the transaction stays open; while it runs, it is cancelled,
   * and the call rejects with the reason if the server has rolled back, resolves if it had committed already, and raises
   * `TransactionOutcomeUnknown` if the server does not say, within a few seconds.
   */
  async commit(options: WaitOptions = {}): Promise<void> {
    this.#checkNoBlock('commit');
    this.#twoPhase?.checkNone('commit');
    try {
      await commit(this[CORE], { signal: options.signal });
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Rolls back the open transaction, if there is one. A ROLLBACK that runs is not undone by an abort: then it resolves. */
  async rollback(options: WaitOptions = {}): Promise<void> {
    this.#checkNoBlock('rollback');
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
   * `tx.commit()` rolls it back.
   *
   * Blocks nest, they do not interleave: `ConcurrentTransaction` is raised while another task's `withTransaction()` is under way on
   * this connection, and while any block of it is being opened or ended. A block of this form belongs to the holder of the
   * connection: blocks that are begun meanwhile are nested in it, whichever task begins them. Where several tasks share a connection, use
   * `withTransaction()`.
   */
  async transaction(options?: TransactionOptions): Promise<AsyncTransaction> {
    return new AsyncTransaction(this, options).open(undefined, options?.signal);
  }

  /**
   * Runs `fn` in a transaction block: committed when it returns, rolled back when it throws. What was closed or given back, or was
   * committed or rolled back by `fn` itself, has nothing to commit. Resolves with what `fn` returned; with undefined after a
   * `Rollback`, which the compiler can't see: an `fn` that may throw one is best typed to return `T | undefined`.
   *
   * Blocks nest, they do not interleave. Called from within `fn`, directly or by whatever it has begun, it makes a savepoint. Called by
   * another task while `fn` is under way, it raises `ConcurrentTransaction` at once, and the block of `fn` is unharmed. Where the
   * asynchronous context (`AsyncLocalStorage`) of `fn` is lost, `tx.withTransaction()` nests.
   *
   * Raises what `commit()` raises: it resolves only if the server has said COMMIT.
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
    const signal = options?.signal;
    return runInTransaction(new AsyncTransaction(this, options), fn, { opening: signal, commit: signal });
  }

  /**
   * Begins a pipeline (Psycopg: `pipeline()`): until its scope is left, statements are sent without waiting for the answers of
   * those before them, all in as few round trips as possible.
   */
  pipeline(): AsyncPipeline {
    return new AsyncPipeline(this);
  }

  /** Runs `fn` in a pipeline. Rejects with the first error of it that `fn` has not been told of. */
  withPipeline<T>(fn: (pipeline: AsyncPipeline) => Promise<T>, options: PipelineOptions = {}): Promise<T> {
    return runInPipeline(this, fn, options);
  }

  /** Whether each statement is a transaction of its own. */
  get autocommit(): boolean {
    return this[CORE].settings.autocommit;
  }

  /** The isolation level of the transactions to come; null: the server's default. */
  get isolationLevel(): IsolationLevel | null {
    return this[CORE].settings.isolationLevel;
  }

  /** Whether the transactions to come are read only; null: the server's default. */
  get readOnly(): boolean | null {
    return this[CORE].settings.readOnly;
  }

  /** Whether the transactions to come are deferrable; null: the server's default. */
  get deferrable(): boolean | null {
    return this[CORE].settings.deferrable;
  }

  /** Changes `autocommit`. Raises `ProgrammingError` if a transaction is open. */
  async setAutocommit(value: boolean, options: WaitOptions = {}): Promise<void> {
    await this.#set('autocommit', value, options);
  }

  /** Changes the isolation level. Raises `ProgrammingError` if a transaction is open. */
  async setIsolationLevel(value: IsolationLevel | null, options: WaitOptions = {}): Promise<void> {
    await this.#set('isolationLevel', value, options);
  }

  /** Changes `readOnly`. Raises `ProgrammingError` if a transaction is open. */
  async setReadOnly(value: boolean | null, options: WaitOptions = {}): Promise<void> {
    await this.#set('readOnly', value, options);
  }

  /** Changes `deferrable`. Raises `ProgrammingError` if a transaction is open. */
  async setDeferrable(value: boolean | null, options: WaitOptions = {}): Promise<void> {
    await this.#set('deferrable', value, options);
  }

  /** After how many executions a statement is prepared on the server; null: never. */
  get prepareThreshold(): number | null {
    return this[CORE].policy.threshold;
  }
  set prepareThreshold(value: number | null) {
    this[CORE].policy.threshold = value;
  }

  /** How many prepared statements are kept on the server; 0: none; null: no limit. */
  get preparedMax(): number | null {
    return this[CORE].policy.max;
  }
  set preparedMax(value: number | null) {
    this[CORE].policy.max = value;
  }

  // --- two-phase commit

  /**
   * The identifier of a two-phase transaction, of the three parts of the XA standard (Psycopg: `xid`). Raises `ProgrammingError`
   * unless `formatId` is a whole number from 0 to 2147483647, and `gtrid` and `bqual` have at most 64 characters.
   */
  xid(formatId: number, gtrid: string, bqual: string): Xid {
    return new Xid(formatId, gtrid, bqual);
  }

  /**
   * Begins a two-phase transaction (Psycopg: `tpc_begin`); what is no XA identifier may be given as a string. Raises
   * `ProgrammingError` in autocommit, and if a transaction is open.
   */
  async tpcBegin(xid: Xid | string, options: WaitOptions = {}): Promise<void> {
    await this.#xa.begin(xid, options.signal);
  }

  /**
   * The first phase (Psycopg: `tpc_prepare`): from here on the transaction outlives the connection, until it is committed or rolled back. Execute
   * nothing before `tpcCommit()` or `tpcRollback()`: a statement begins a transaction of its own, in which they are not possible. Raises
   * `ProgrammingError` outside of a two-phase transaction, `NotSupportedError` if the server has `max_prepared_transactions = 0`,
   * the class of its SQLSTATE if it rolls back instead. An abort while it runs is as exact as that of `commit()`: it rejects with the
   * reason if nothing was prepared.
   */
  async tpcPrepare(options: WaitOptions = {}): Promise<void> {
    await this.#xa.prepare(options.signal);
  }

  /**
   * Commits the two-phase transaction of this connection, prepared or not; or with `xid` one that was prepared anywhere (Psycopg:
   * `tpc_commit`). Raises `ProgrammingError` if there is none.
   */
  async tpcCommit(xid?: Xid | string, options: WaitOptions = {}): Promise<void> {
    await this.#xa.finish('COMMIT', xid, options.signal);
  }

  /**
   * Rolls back the two-phase transaction of this connection, prepared or not; or with `xid` one that was prepared anywhere
   * (Psycopg: `tpc_rollback`). Raises `ProgrammingError` if there is none.
   */
  async tpcRollback(xid?: Xid | string, options: WaitOptions = {}): Promise<void> {
    await this.#xa.finish('ROLLBACK', xid, options.signal);
  }

  /** The transactions that are prepared and wait for their end, in any database of the server (Psycopg: `tpc_recover`). */
  async tpcRecover(options: WaitOptions = {}): Promise<Xid[]> {
    return this.#xa.recover(this.adapters, options.signal);
  }

  // --- notifications

  /**
   * Gives the notifications of the channels that were asked for with `LISTEN`, as they arrive (Psycopg: `notifies`). Other statements
   * may run meanwhile; in a transaction the server holds notifications back.
   *
   * What arrives while no loop fetches it is kept for the next one, up to 100,000 notifications: from the first call of `notifies()`
   * on, and before that as long as no handler is registered. When more have arrived, the loop raises `OperationalError` behind the
   * last one that was kept, once, and says how many were dropped; the next loop goes on from there.
   *
   * Ends after `timeout` seconds or `stopAfter` notifications; leaving the loop loses nothing. Raises `ProgrammingError` for a second
   * loop at the same time, the `OperationalError` of a connection that is lost or closed. To take a single notification by `next()`,
   * say `stopAfter: 1`: another loop without it would have to be ended by `return()` before the next begins.
   *
   * @example
   * await conn.setAutocommit(true);
   * await conn.execute('LISTEN jobs');
   * for await (const { payload } of conn.notifies()) console.log(payload);
   */
  notifies(options: NotifiesOptions = {}): AsyncGenerator<Notify, void, void> {
    const loop = this[CORE].notifications.loop(options);
    loopsOf.set(loop, this as unknown as AsyncConnection<never>);
    return loop;
  }

  /**
   * Calls `handler` with each notification, in the asynchronous context in which it was added (Psycopg: `add_notify_handler`). One
   * that throws raises a process warning.
   */
  addNotifyHandler(handler: NotifyHandler): void {
    this[CORE].notifications.handlers.add(handler);
  }

  /** Undoes `addNotifyHandler`. Raises `ProgrammingError` for a handler that was not added. */
  removeNotifyHandler(handler: NotifyHandler): void {
    if (!this[CORE].notifications.handlers.remove(handler))
      throw new errors.ProgrammingError('removeNotifyHandler() got a handler that was never added');
  }

  // --- notices

  /** Calls `handler` with each notice of the server, as `addNotifyHandler()` does (Psycopg: `add_notice_handler`). */
  addNoticeHandler(handler: NoticeHandler): void {
    this[CORE].noticeHandlers.add(handler);
  }

  /** Undoes `addNoticeHandler`. Raises `ProgrammingError` for a handler that was not added. */
  removeNoticeHandler(handler: NoticeHandler): void {
    if (!this[CORE].noticeHandlers.remove(handler))
      throw new errors.ProgrammingError('removeNoticeHandler() got a handler that was never added');
  }

  // --- cancellation

  /**
   * Asks the server to cancel the statement that runs, if any does, whose call then rejects with `QueryCanceled`; it may be over
   * already (Psycopg: `cancel_safe`). No other statement is hit. Raises `CancellationTimeout` if the request is not answered within
   * `timeout` seconds (30), and `ProgrammingError` in a prepared two-phase transaction. On a closed connection it does nothing.
   * An abort of its own `signal` ends the wait only: the request has been made.
   */
  async cancelSafe(
    options: { timeout?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
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

  // --- the end

  /** Whether the connection can't be used any more. */
  get closed(): boolean {
    return !this[CORE].usable;
  }

  /** Whether the connection was lost rather than closed. */
  get broken(): boolean {
    return this[CORE].session.broken;
  }

  /**
   * Closes the connection; what was not committed is rolled back, what still runs is cancelled. Resolves when the server has
   * let go of it, at most a few seconds later. Closing twice does nothing. In a pool with `closeReturns` it goes back there.
   */
  async close(): Promise<void> {
    const core = this[CORE];
    if (core.returned) return;
    if (this.#parts.closeReturns) return this[Symbol.asyncDispose]();
    const leftWrites = await core.close();
    // A pool tells of it when the connection comes back.
    if (leftWrites && core.session.pool === null) reportUncommitted(core);
  }

  /** Leaving the scope: a connection of a pool returns there, another is closed. Neither commits. */
  [Symbol.asyncDispose](): Promise<void> {
    const { giveBack } = this.#parts;
    // To give back what has been given back does nothing.
    return giveBack === null ? this.close() : giveBack(this);
  }

  /** As `util.inspect()` prints it: what it is connected to, and its state; never a password. */
  [INSPECT](): string {
    const { session, returned } = this[CORE];
    const { host, port, dbname, user, pid } = session.location;
    const state = returned
      ? 'returned to its pool'
      : session.broken
        ? 'lost'
        : session.closed
          ? 'closed'
          : session.transactionStatus;
    const pool = session.pool === null ? '' : ` pool='${session.pool}'`;
    return `<${this.constructor.name} [${state}] host=${host} port=${String(port)} dbname=${dbname} user=${user} pid=${String(pid)}${pool}>`;
  }

  #checkNoBlock(what: string): void {
    this[CORE].check();
    if (this[CORE].blocks.length > 0) {
      throw new errors.ProgrammingError(
        `${what}() is not possible inside a transaction block, which ends by itself: use the block's own ${what}()`,
      );
    }
  }

  async #set<K extends SettingName>(
    name: K,
    value: TransactionSettings[K],
    { signal }: WaitOptions,
  ): Promise<void> {
    checkSetting(name, value);
    const core = this[CORE];
    try {
      await core.inTurn((status: TransactionStatus) => {
        checkIdle(name, status, core);
        core.set(name, value);
      }, signal);
    } catch (error) {
      throw callersStack(error);
    }
  }
}

async function opened(
  conninfo: string | ConninfoParams | undefined,
  options: Pick<ConnectOptions, 'signal' | typeof POOL_NAME>,
): Promise<{ resolved: ResolvedConninfo; session: Session }> {
  try {
    const resolved = await resolveConninfo(conninfo);
    return { resolved, session: await openSession(resolved, options.signal, options[POOL_NAME]) };
  } catch (error) {
    // What a pool's own attempt fails with has its caller where a connection is asked for.
    throw options[POOL_NAME] === undefined ? callersStack(error) : error;
  }
}

/** The connection of each loop over its notifications, which is in use for as long as the loop is. */
const loopsOf = new WeakMap<AsyncGenerator<Notify, void, void>, AsyncConnection<never>>();
