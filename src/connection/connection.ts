import { adapters as globalAdapters } from '../adapt/adapters.js';
import type { AdaptersMap } from '../adapt/adapters-map.js';
import { resolveConninfo, type ConninfoParams } from '../conninfo/index.js';
import { AsyncCursor, type CursorOptions, type ExecuteOptions } from '../cursor/cursor.js';
import * as errors from '../errors/index.js';
import type { Query } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import { tupleRow, type RowFactory, type TupleRow } from '../rows.js';
import { Session, type ResponseFields } from '../session/session.js';
import { DEFAULT_CONNECT_TIMEOUT } from '../session/startup.js';
import type { TransactionStatus } from '../session/status.js';
import { HANDLE, Handle } from './handle.js';
import { checkIdle, ConnectionInfo } from './info.js';
import { AsyncPipeline, runInPipeline } from './pipeline.js';
import type { IsolationLevel } from './isolation-level.js';
import { AsyncTransaction, runInTransaction, type TransactionOptions } from './transaction.js';
import { checkSetting, DEFAULT_SETTINGS, type TransactionSettings } from './transaction-settings.js';

/** Makes the cursors of a connection; a subclass of `AsyncCursor`. */
export type CursorFactory = new <T>(
  connection: AsyncConnection<unknown>,
  options?: CursorOptions<T>,
) => AsyncCursor<T>;

/** Options of `AsyncConnection.connect()`. */
export interface ConnectOptions<R = TupleRow> {
  /** Run each statement in a transaction of its own. @default false: the first statement begins a transaction */
  autocommit?: boolean;
  /** Makes the rows of the connection's cursors. @default tupleRow */
  rowFactory?: RowFactory<R>;
  /** The class of the connection's cursors. @default AsyncCursor */
  cursorFactory?: CursorFactory;
  /** After how many executions a statement is prepared on the server; null: never. @default 5 */
  prepareThreshold?: number | null;
  /** Where the connection's adapters come from. @default the global `adapters` */
  context?: { readonly adapters: AdaptersMap };
  /** Gives up connecting when it is aborted. */
  signal?: AbortSignal;
}

/** Hears of a notice of the server. */
export type NoticeHandler = (notice: errors.Diagnostic) => void;

/** What a handle of a pooled connection takes over from the connection it was made of. @internal */
export interface ConnectionParts<R> {
  readonly session: Session;
  readonly params: Readonly<Record<string, string>>;
  readonly settings: TransactionSettings;
  readonly policy: { readonly threshold: number | null; readonly max: number | null };
  readonly adapters: AdaptersMap;
  readonly rowFactory: RowFactory<R>;
  readonly cursorFactory: CursorFactory;
  readonly noticeHandlers: readonly NoticeHandler[];
  /** What leaving the scope does; null: close. */
  readonly giveBack: ((connection: AsyncConnection<R>) => Promise<void>) | null;
}

/** Hands the pool the parts of a connection. @internal */
export const PARTS: unique symbol = Symbol('usingpg.parts');

const DEFAULT_PREPARE_THRESHOLD = 5;
const DEFAULT_PREPARED_MAX = 100;

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
  /** How values are sent and loaded on this connection; a copy of the global `adapters` made when it connected. */
  readonly adapters: AdaptersMap;
  /** What is known of the connection and its server. */
  readonly info: ConnectionInfo;
  /** @internal */
  readonly [HANDLE]: Handle;
  readonly #parts: ConnectionParts<R>;
  readonly #noticeHandlers: NoticeHandler[];

  /**
   * Connects to a database (Psycopg: `AsyncConnection.connect`). Raises `ProgrammingError` for a wrong connection string,
   * `NotSupportedError` for a parameter that can't be honoured, else `OperationalError`.
   */
  static async connect<R = TupleRow>(
    conninfo?: string | ConninfoParams,
    options: ConnectOptions<R> = {},
  ): Promise<AsyncConnection<R>> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (options.autocommit !== undefined) checkSetting('autocommit', options.autocommit);
    const resolved = await resolveConninfo(conninfo);
    const limit = new AbortController();
    const abort = (): void => {
      limit.abort(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    const seconds = resolved.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT;
    const timer = setTimeout(() => {
      limit.abort(
        new errors.ConnectionTimeout(
          `connection to server at ${resolved.path ?? `${resolved.host}:${String(resolved.port)}`} failed:` +
            ` no answer within ${String(seconds)} seconds`,
        ),
      );
    }, seconds * 1000);
    try {
      const session = await Session.open(
        resolved,
        {
          user: resolved.user,
          database: resolved.dbname,
          password: resolved.password,
          parameters: resolved.startupParameters,
        },
        limit.signal,
      );
      return new this<R>({
        session,
        params: resolved.params,
        settings: { ...DEFAULT_SETTINGS, autocommit: options.autocommit ?? false },
        policy: {
          threshold:
            options.prepareThreshold === undefined ? DEFAULT_PREPARE_THRESHOLD : options.prepareThreshold,
          max: DEFAULT_PREPARED_MAX,
        },
        adapters: (options.context?.adapters ?? globalAdapters).cloneFor(session.parameters),
        rowFactory: options.rowFactory ?? tupleRow,
        cursorFactory: options.cursorFactory ?? AsyncCursor,
        noticeHandlers: [],
        giveBack: null,
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** @internal Use `AsyncConnection.connect()` or a pool. */
  constructor(parts: ConnectionParts<R>) {
    this.#parts = parts;
    this[HANDLE] = new Handle(parts.session, { ...parts.settings }, parts.policy);
    this.info = new ConnectionInfo(this[HANDLE], parts.params);
    this.adapters = parts.adapters;
    this.rowFactory = parts.rowFactory;
    this.cursorFactory = parts.cursorFactory;
    this.#noticeHandlers = [...parts.noticeHandlers];
    parts.session.onNotice = (fields) => {
      this.#notify(fields);
    };
  }

  /** @internal */
  get [PARTS](): ConnectionParts<R> {
    return {
      ...this.#parts,
      settings: this[HANDLE].settings,
      policy: this[HANDLE].policy,
      adapters: this.adapters,
      rowFactory: this.rowFactory,
      cursorFactory: this.cursorFactory,
      noticeHandlers: this.#noticeHandlers,
    };
  }

  // --- cursors

  /** A new cursor (Psycopg: `AsyncConnection.cursor`). */
  cursor<T = R>(options: CursorOptions<T> = {}): AsyncCursor<T> {
    const handle = this[HANDLE];
    handle.check();
    if (handle.session.closed) throw handle.session.unusable();
    if ('name' in options) {
      throw new errors.NotSupportedError(
        'server-side cursors (a cursor with a `name`) are not supported yet',
      );
    }
    return new this.cursorFactory<T>(
      this as unknown as AsyncConnection<unknown>,
      options.rowFactory === undefined
        ? { rowFactory: this.rowFactory as unknown as RowFactory<T> }
        : options,
    );
  }

  /** Executes a query with a cursor of its own, which it returns. */
  execute<T = R>(
    query: Query,
    params?: Params | null,
    options: ExecuteOptions & { rowFactory?: RowFactory<T> } = {},
  ): Promise<AsyncCursor<T>> {
    try {
      const { rowFactory } = options;
      return this.cursor<T>(rowFactory === undefined ? {} : { rowFactory }).execute(query, params, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  // --- transactions

  /** Commits the open transaction, if there is one. */
  async commit(): Promise<void> {
    this.#checkNoBlock('commit');
    await this[HANDLE].command('COMMIT', { onlyIf: 'in transaction' });
  }

  /** Rolls back the open transaction, if there is one. */
  async rollback(): Promise<void> {
    this.#checkNoBlock('rollback');
    await this[HANDLE].command('ROLLBACK', { onlyIf: 'in transaction' });
  }

  /**
   * Opens a transaction block, or a savepoint if a transaction is open (Psycopg: `transaction()`). Leaving the scope without
   * `tx.commit()` rolls it back.
   */
  async transaction(options?: TransactionOptions): Promise<AsyncTransaction> {
    return new AsyncTransaction(this as unknown as AsyncConnection<unknown>, options).enter();
  }

  /**
   * Runs `fn` in a transaction block: committed when it returns, rolled back when it throws. Resolves with what `fn`
   * returned, or undefined after a `Rollback`.
   */
  async withTransaction<T>(
    fn: (transaction: AsyncTransaction) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T | undefined> {
    return runInTransaction(new AsyncTransaction(this as unknown as AsyncConnection<unknown>, options), fn);
  }

  /**
   * Begins a pipeline (Psycopg: `pipeline()`): until its scope is left, statements are sent without waiting for the answers of
   * those before them, all in as few round trips as possible.
   */
  pipeline(): AsyncPipeline {
    return new AsyncPipeline(this);
  }

  /** Runs `fn` in a pipeline. Rejects with the first error of it that `fn` has not been told of. */
  withPipeline<T>(fn: (pipeline: AsyncPipeline) => Promise<T>): Promise<T> {
    return runInPipeline(this, fn);
  }

  /** Whether each statement is a transaction of its own. */
  get autocommit(): boolean {
    return this[HANDLE].settings.autocommit;
  }

  /** The isolation level of the transactions to come; null: the server's default. */
  get isolationLevel(): IsolationLevel | null {
    return this[HANDLE].settings.isolationLevel;
  }

  /** Whether the transactions to come are read only; null: the server's default. */
  get readOnly(): boolean | null {
    return this[HANDLE].settings.readOnly;
  }

  /** Whether the transactions to come are deferrable; null: the server's default. */
  get deferrable(): boolean | null {
    return this[HANDLE].settings.deferrable;
  }

  /** Changes `autocommit`. Raises `ProgrammingError` if a transaction is open. */
  async setAutocommit(value: boolean): Promise<void> {
    await this.#set('autocommit', value);
  }

  /** Changes the isolation level. Raises `ProgrammingError` if a transaction is open. */
  async setIsolationLevel(value: IsolationLevel | null): Promise<void> {
    await this.#set('isolationLevel', value);
  }

  /** Changes `readOnly`. Raises `ProgrammingError` if a transaction is open. */
  async setReadOnly(value: boolean | null): Promise<void> {
    await this.#set('readOnly', value);
  }

  /** Changes `deferrable`. Raises `ProgrammingError` if a transaction is open. */
  async setDeferrable(value: boolean | null): Promise<void> {
    await this.#set('deferrable', value);
  }

  /** After how many executions a statement is prepared on the server; null: never. */
  get prepareThreshold(): number | null {
    return this[HANDLE].policy.threshold;
  }
  set prepareThreshold(value: number | null) {
    this[HANDLE].policy.threshold = value;
  }

  /** How many prepared statements are kept on the server; null: no limit. */
  get preparedMax(): number | null {
    return this[HANDLE].policy.max;
  }
  set preparedMax(value: number | null) {
    this[HANDLE].policy.max = value;
  }

  // --- notices

  /** Calls `handler` with each notice of the server. */
  addNoticeHandler(handler: NoticeHandler): void {
    this.#noticeHandlers.push(handler);
  }

  /** Undoes `addNoticeHandler`. Raises `ProgrammingError` for a handler that was not added. */
  removeNoticeHandler(handler: NoticeHandler): void {
    const index = this.#noticeHandlers.indexOf(handler);
    if (index < 0)
      throw new errors.ProgrammingError('removeNoticeHandler() got a handler that was never added');
    this.#noticeHandlers.splice(index, 1);
  }

  // --- the end

  /** Whether the connection can't be used any more. */
  get closed(): boolean {
    return this[HANDLE].returned || this[HANDLE].session.closed;
  }

  /** Whether the connection was lost rather than closed. */
  get broken(): boolean {
    return this[HANDLE].session.broken;
  }

  /**
   * Closes the connection; what was not committed is rolled back, what still runs is cancelled. Resolves when the server has
   * let go of it, at most a few seconds later. Closing twice does nothing.
   */
  async close(): Promise<void> {
    if (this[HANDLE].returned) return;
    await this[HANDLE].session.close();
  }

  /** Leaving the scope: a connection of a pool returns there, another is closed. Neither commits. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this[HANDLE].returned) return;
    const { giveBack } = this.#parts;
    if (giveBack === null) await this.close();
    else await giveBack(this);
  }

  #checkNoBlock(what: string): void {
    this[HANDLE].check();
    if (this[HANDLE].transactions > 0) {
      throw new errors.ProgrammingError(
        `${what}() is not possible inside a transaction block, which ends by itself: use the block's own ${what}()`,
      );
    }
  }

  async #set<K extends keyof TransactionSettings>(name: K, value: TransactionSettings[K]): Promise<void> {
    checkSetting(name, value);
    const handle = this[HANDLE];
    await handle.inTurn((status: TransactionStatus) => {
      checkIdle(name, status, handle);
      handle.settings[name] = value;
    });
  }

  #notify(fields: ResponseFields): void {
    if (this.#noticeHandlers.length === 0) return;
    const notice = new errors.Diagnostic(fields);
    for (const handler of [...this.#noticeHandlers]) {
      try {
        handler(notice);
      } catch (error) {
        process.emitWarning(`a notice handler threw: ${String(error)}`);
      }
    }
  }
}
