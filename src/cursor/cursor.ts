import type { AdaptContext, AdaptersMap } from '../types/adapters-map.js';
import { SessionLiterals, type LiteralContext } from '../query/literal.js';
import type { Column } from '../column.js';
import type { AsyncConnection } from '../connection/connection.js';
import { coreOf, type ConnectionCore } from '../connection/connection-core.js';
import type { AsyncCopy } from '../copy/copy.js';
import { callersStack, callSite, keepStack, quickCallSite, type CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { INSPECT } from '../inspect.js';
import { bindOnce, checkQuery, ClientBinding, ServerBinding } from '../query/binding.js';
import type { BoundQuery, Query, QueryBinding } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import { tupleRow, type RowFactory, type TupleRow } from '../rows.js';
import type { RowStream } from '../session/row-stream.js';
import { shownText, type StatementRequest, type StatementResult } from '../session/statement.js';
import { waitFor } from '../waiting.js';
import { Arrivals } from './arrivals.js';
import { CopyStatement } from './copy-statement.js';
import { rowDecoders } from '../types/decoders.js';
import { Executions } from './executemany.js';
import { Operation, type RunStatement } from './operation.js';
import type {
  CopyOptions,
  CursorOptions,
  ExecuteManyOptions,
  ExecuteOptions,
  StreamOptions,
} from './options.js';
import * as known from './options.js';
import { Results } from './results.js';
import { checkStreamSize, StreamedRows, type RowGenerator } from './streamed-rows.js';

const NO_OPTIONS: ExecuteOptions = {};

/**
 * Executes statements and provides their results (Psycopg: `AsyncCursor`). A cursor serves one task at a time: an operation begun
 * during another one raises `ConcurrentCursorUse` at once and does not affect the running one.
 *
 * @example
 * await using cur = conn.cursor();
 * await cur.execute('SELECT name FROM city WHERE country = %s', ['FR']);
 * for await (const [name] of cur) console.log(name);
 */
export class AsyncCursor<R = TupleRow> implements AsyncDisposable, AsyncIterable<R> {
  /** The connection that made the cursor. */
  readonly connection: AsyncConnection<unknown>;
  /** The cursor's loaders and dumpers: a copy of the connection's, or of those of `context`, made with the cursor. */
  readonly adapters: AdaptersMap;
  readonly #core: ConnectionCore;
  readonly #operation = new Operation();
  readonly #results: Results<R>;
  /** The pending statements of the last operation, if that was in a pipeline. */
  #arrivals: Arrivals | null = null;
  /** The adapters of the current execution: those of its `context`, or the cursor's. */
  #adaptersInUse: AdaptersMap;
  #query: string | null = null;
  #arraysize = 1;
  #closed = false;

  /** Prefer `conn.cursor()`. Without a row factory of its own, the cursor uses the connection's. */
  constructor(connection: AsyncConnection<R>);
  constructor(connection: AsyncConnection<unknown>, options?: CursorOptions<R>);
  constructor(connection: AsyncConnection<unknown>, options?: CursorOptions<R>) {
    if (options !== undefined) known.CURSOR.check(options);
    this.connection = connection;
    this.#core = coreOf(connection);
    this.adapters = this.#adaptersInUse = this.#core.adaptersOf(options?.context ?? connection);
    const rowFactory =
      options?.rowFactory ?? (connection.rowFactory as RowFactory<R> | undefined) ?? tupleRow;
    this.#results = new Results(this, rowFactory);
  }

  // --- the current result

  /** The columns of the current result; null if it has no rows (Psycopg: `description`). */
  get description(): readonly Column[] | null {
    return this.#results.description;
  }

  /** The number of rows that the last statement returned or affected; -1 if not applicable (Psycopg: `rowcount`). */
  get rowcount(): number {
    return this.#results.rowcount;
  }

  /** The index of the next row to be fetched; null without a result that has rows (Psycopg: `rownumber`). */
  get rownumber(): number | null {
    return this.#results.rownumber;
  }

  /** The tag of the last statement, such as `INSERT 0 1`; null before the first (Psycopg: `statusmessage`). */
  get statusmessage(): string | null {
    return this.#results.statusmessage;
  }

  /** The last query as it was sent: with `$1` … placeholders, or with its values if the client inserted them. */
  get query(): string | null {
    return this.#query;
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The row factory (Psycopg: `row_factory`). A change applies to rows that are not fetched yet. */
  get rowFactory(): RowFactory<R> {
    return this.#results.rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    this.#results.rowFactory = factory;
  }

  /** The default number of rows of `fetchmany()`, 1 or more. @default 1 */
  get arraysize(): number {
    return this.#arraysize;
  }
  set arraysize(rows: number) {
    known.checkPage('arraysize', rows);
    this.#arraysize = rows;
  }

  // --- execution

  /**
   * Executes a query (Psycopg: `execute`). If `params` are given, the query has `%s` or `%(name)s` placeholders. Without `params`
   * it may contain several statements, each with its own result (see `nextset()`). The loaders and dumpers of `context` replace
   * the cursor's for this execution. Raises the class of the server's SQLSTATE;
   * `ProgrammingError` for parameters that do not match the placeholders; `DataError` or `ProgrammingError` for values that
   * cannot be sent; `ConcurrentCursorUse` if the cursor is busy; `OperationalError` on a closed or lost connection;
   * `InterfaceError` on a closed cursor or returned connection.
   *
   * @example
   * await cur.execute('SELECT name FROM city WHERE id = %s', [1]);
   * await cur.execute('SELECT name FROM city WHERE id = %(id)s', { id: 1 });
   */
  async execute(query: Query, params?: Params | null, options: ExecuteOptions = NO_OPTIONS): Promise<this> {
    if (options !== NO_OPTIONS) known.EXECUTE.check(options);
    this.#begin(query);
    try {
      this.reset();
      if (options.context != null) this.use(options.context);
      let request: StatementRequest;
      try {
        request = this.#requestFor(this.bind(query, params), this.honoured(options));
      } catch (error) {
        // As in Psycopg, a query that cannot be sent opens a transaction, like one that the server refuses.
        await this.#core.openTransaction();
        throw error;
      }
      this.#query = request.text;
      if (this.#core.inPipeline) {
        const text = typeof query === 'string' ? query : request.text;
        const call = this.#core.pipeline.callOf(text, () => quickCallSite(AsyncCursor.prototype, 'execute'));
        this.#sendInPipeline(request, true, call);
        const room = this.#core.session.room();
        if (room !== null) await waitFor(room, { signal: options.signal });
        return this;
      }
      this.#operation.runs([request]);
      const results = await this.#core.run(request);
      if (!this.#closed) this.#results.set(results, this.#adaptersInUse);
      return this;
    } catch (error) {
      throw callersStack(error);
    } finally {
      this.#adaptersInUse = this.adapters;
      this.#operation.end();
    }
  }

  /**
   * Executes a query once for each element of `paramsSeq`, pipelined; all executions take effect, or none (Psycopg:
   * `executemany()`). `rowcount` is the total of all executions; after a failure, of those before it. With `returning`, each
   * execution leaves a result (see `nextset()`, `results()`).
   *
   * Parameters are sent as they arrive, a thousand sets at a time. A synchronous source has the connection to itself, so promises
   * among its elements raise `ProgrammingError`. While the call waits for an asynchronous source, other
   * statements may use the connection. In autocommit, more than a thousand sets form a transaction of their own: until its end
   * other statements wait, and the source itself must not use the connection, which raises `ProgrammingError` there. Within a
   * transaction block it may.
   *
   * The batches of an asynchronous source stay together. While a part of them is stored in an open transaction, `commit()` and
   * other calls that commit raise `ProgrammingError`; after a rollback of that transaction or block, `executemany()` does. It
   * raises `ConcurrentTransaction` while another task's `withTransaction()` is running on the connection.
   *
   * An abort of `signal`, the end of the connection (`OperationalError`, or `InterfaceError` if it was returned) and `close()`
   * (`InterfaceError`) end the call during any wait: no more is sent, and the source's `return()` is called but not awaited.
   *
   * @example
   * await cur.executemany('INSERT INTO city (id, name) VALUES (%s, %s)', [[1, 'Rome'], [2, 'Paris']]);
   */
  async executemany(
    query: Query,
    paramsSeq: Iterable<Params> | AsyncIterable<Params>,
    options: ExecuteManyOptions = {},
  ): Promise<void> {
    known.EXECUTE_MANY.check(options);
    this.#begin(query);
    try {
      this.reset();
      const { returning = false, signal } = options;
      const executions = new Executions(paramsSeq, {
        core: this.#core,
        bindingOf: () => this.bindingOf(query),
        decoders: () => (returning ? rowDecoders(this.adapters, this.#results.rowFactory) : null),
        sending: (requests) => {
          this.#query = requests.at(-1)!.text;
          this.#operation.runs(requests);
        },
        arrived: (results) => {
          if (!this.#closed) this.#results.collect(results, returning, this.adapters);
        },
        signal,
      });
      this.#operation.executes(executions);
      if (!returning) this.#results.count([]);
      if (this.#core.inPipeline) {
        const call = callSite(AsyncCursor.prototype, 'executemany');
        await executions.sendBy((request) => {
          this.#query = request.text;
          this.#sendInPipeline(request, returning, call);
        });
      } else {
        await executions.run();
      }
    } catch (error) {
      throw callersStack(error);
    } finally {
      this.#operation.end();
    }
  }

  /**
   * Executes a query and yields its rows as they arrive, in a bounded amount of memory (Psycopg: `stream()`). The stream has
   * exclusive use of the connection until it ends: another statement raises `ProgrammingError` at once, since a statement inside
   * the stream's loop would wait for ever. Use another connection, or a server-side cursor.
   *
   * Leaving the loop (`break`, `return`, an exception) ends the query. Within a transaction, the server gets about 2 seconds to
   * finish the rows it is producing, and earlier work of the transaction is kept. A query that takes longer is cancelled, which
   * fails the transaction: its work is lost, and `commit()` reports that. An abort of `signal` cancels at once, with the same
   * effect. In autocommit only the query itself can fail, so it is cancelled after a tenth of a second; a statement that changes
   * data and has produced its first row (INSERT … RETURNING) is complete, and its changes are kept.
   *
   * The statement is sent with the first row's request. `await rows.open()` sends it before, so that the columns are known even if
   * no row comes. It accepts a statement that returns no rows; otherwise, such a statement raises `ProgrammingError`.
   *
   * @example
   * for await (const [id, name] of cur.stream('SELECT id, name FROM city')) console.log(id, name);
   *
   * @param options.size the number of rows fetched at a time; by default as many as take about 256 KiB
   */
  stream(query: Query, params?: Params | null, options: StreamOptions = {}): RowGenerator<R> {
    known.STREAM.check(options);
    let request: StatementRequest;
    return new StreamedRows<R>({
      open: () => {
        const stream = this.#openStream(query, params, options);
        request = stream.request;
        return stream;
      },
      opened: (batch) => {
        if (!this.#closed) this.#results.opened(batch, this.adapters);
      },
      arrived: (batch) => this.#results.passing(batch, this.adapters),
      rowless: () =>
        new errors.ProgrammingError('stream() needs a statement that returns rows; use execute()', {
          query: shownText(request),
        }),
      ended: () => {
        this.#operation.end();
      },
    });
  }

  #openStream(query: Query, params: Params | null | undefined, { size, signal }: StreamOptions): RowStream {
    this.#begin(query);
    try {
      if (size !== undefined) checkStreamSize(size);
      this.reset();
      const bound = this.bind(query, params);
      const request = this.#requestFor(bound, this.honoured(signal === undefined ? {} : { signal }));
      this.#query = bound.text;
      const stream = this.#core.stream(request, size ?? null);
      this.#operation.runs([stream.request]);
      return stream;
    } catch (error) {
      this.#operation.end();
      throw error;
    }
  }

  /**
   * Begins a COPY … FROM STDIN or a COPY … TO STDOUT, whose data is transferred by the `AsyncCopy` (Psycopg: `copy()`). COPY
   * accepts no parameters, so they become literals in the statement. Until the COPY has ended, the cursor is busy and the
   * connection refuses other statements. Raises the class of the server's SQLSTATE, and `ProgrammingError` for a statement that
   * is not a COPY, which has been executed by then. An abort of `signal` ends the COPY at any time; its calls reject with the
   * reason.
   *
   * @example
   * await using copy = await cur.copy('COPY (SELECT * FROM city WHERE country = %s) TO STDOUT', ['FR']);
   * for await (const row of copy.rows()) console.log(row);
   */
  async copy(query: Query, params?: Params | null, options: CopyOptions = {}): Promise<AsyncCopy> {
    known.COPY.check(options);
    this.#begin(query);
    try {
      this.reset();
      if (this.#core.inPipeline)
        throw new errors.NotSupportedError("COPY can't be used in a pipeline; leave it first");
      let bound: BoundQuery;
      try {
        bound = bindOnce(new ClientBinding(query, this.literalContext()), params);
      } catch (error) {
        await this.#core.openTransaction();
        throw error;
      }
      this.#query = bound.text;
      const statement = new CopyStatement(this.#core, bound, options.signal);
      this.#operation.runs([statement.request]);
      return await statement.begin(this.adapters, {
        begun: (copy, columns) => {
          this.#operation.serves(copy);
          this.#results.copying(columns);
        },
        ended: (copy, direction, tag) => {
          const wasServed = this.#operation.endOf(copy);
          if (wasServed && !this.#closed && tag !== null) this.#results.copied(direction, tag, this.adapters);
        },
      });
    } catch (error) {
      this.#operation.end();
      throw callersStack(error);
    }
  }

  /**
   * Runs `fn` with a COPY, completes it if `fn` returns, and aborts it if `fn` throws (Psycopg: `async with cur.copy()`). A COPY
   * … TO STDOUT that `fn` has not read to its end is cancelled.
   *
   * @example
   * await cur.withCopy('COPY city (id, name) FROM STDIN', async (copy) => {
   *   for (const city of cities) await copy.writeRow([city.id, city.name]);
   * });
   */
  async withCopy<T>(
    query: Query,
    fn: (copy: AsyncCopy) => Promise<T> | T,
    params?: Params | null,
    options: CopyOptions = {},
  ): Promise<T> {
    known.WITH_COPY.checkCall(fn, options);
    const copy = await this.copy(query, params, options);
    let result: T;
    try {
      result = await fn(copy);
    } catch (error) {
      keepStack(error);
      await copy.abort(`error from JavaScript: ${thrownText(error)}`);
      throw error;
    }
    await copy.complete();
    return result;
  }

  /** Makes the binding of a query, in which the kinds of cursors differ. @internal */
  protected bindingOf(query: Query): QueryBinding {
    return new ServerBinding(query, this.literalContext());
  }

  /**
   * Returns the options of `execute()` that this kind of cursor supports; raises an error for one that it must not ignore.
   * @internal
   */
  protected honoured(options: ExecuteOptions): ExecuteOptions {
    return options;
  }

  /** The context of literals within a query. Raises `InterfaceError` if the connection was returned. @internal */
  protected literalContext(): LiteralContext {
    this.#core.check();
    return new SessionLiterals(this.#adaptersInUse, this.#core.session.parameters);
  }

  /** Uses the adapters of `context` until the next `reset()`. @internal */
  protected use(context: AdaptContext): AdaptersMap {
    return (this.#adaptersInUse = this.#core.adaptersOf(context));
  }

  /** Binds a query to its parameters. @internal */
  protected bind(query: Query, params: Params | null | undefined): BoundQuery {
    return bindOnce(this.bindingOf(query), params);
  }

  #requestFor({ text, params, names, shown }: BoundQuery, options: ExecuteOptions): StatementRequest {
    const isSimple = (params?.length ?? 0) === 0 && options.prepare !== true && options.binary !== true;
    return this.#core.request({
      text,
      executions: isSimple ? null : [params ?? []],
      rows: rowDecoders(this.#adaptersInUse, this.#results.rowFactory),
      parameterNames: names,
      shown,
      prepare: options.prepare,
      signal: options.signal,
    });
  }

  // --- fetching

  /**
   * Returns the next row of the result; null at its end (Psycopg: `fetchone`). Raises `ProgrammingError` without a result that
   * has rows.
   */
  async fetchone(): Promise<R | null> {
    if (this.#mustWait('fetchone()')) await this.#awaited('fetchone()');
    return this.#results.one();
  }

  /**
   * Returns the next `size` rows of the result, fewer at its end (Psycopg: `fetchmany`). Raises `ProgrammingError` without a
   * result that has rows. @default arraysize
   */
  async fetchmany(size?: number): Promise<R[]> {
    if (this.#mustWait('fetchmany()')) await this.#awaited('fetchmany()');
    return this.#results.many(size, this.arraysize);
  }

  /**
   * Returns all rows of the result that were not fetched (Psycopg: `fetchall`). Raises `ProgrammingError` without a result that
   * has rows.
   */
  async fetchall(): Promise<R[]> {
    if (this.#mustWait('fetchall()')) await this.#awaited('fetchall()');
    return this.#results.all();
  }

  /** Iterates over the rows that were not fetched. Leaving the loop keeps the cursor's position. */
  [Symbol.asyncIterator](): AsyncIterator<R> {
    return {
      next: async () => {
        if (this.#mustWait('iteration')) await this.#awaited('iteration');
        return this.#results.next();
      },
    };
  }

  /**
   * Moves in the result by `value` rows, or to row `value` if `mode` is 'absolute' (Psycopg: `scroll`). Raises `ProgrammingError`
   * if there is no such row.
   */
  async scroll(value: number, mode: 'relative' | 'absolute' = 'relative'): Promise<void> {
    if (this.#mustWait('scroll()')) await this.#awaited('scroll()');
    this.#results.scroll(value, mode);
  }

  // --- several results

  /** Selects the next result (Psycopg: `nextset`). Resolves with true; with null if there is none. */
  async nextset(): Promise<boolean | null> {
    if (this.#isArriving) await this.#arrived('nextset()');
    this.#operation.checkNone('nextset()');
    return this.#results.advance() || null;
  }

  /** Iterates over the results and selects each in turn (Psycopg: `results`). */
  async *results(): AsyncGenerator<this> {
    if (this.#isArriving) await this.#arrived('results()');
    if (this.#results.current === undefined) return;
    do yield this;
    while ((await this.nextset()) === true);
  }

  /**
   * Selects the result at `index`; a negative index counts from the end (Psycopg: `set_result`). Raises `ProgrammingError` if
   * there is no such result.
   */
  async setResult(index: number): Promise<this> {
    if (this.#isArriving) await this.#arrived('setResult()');
    this.#operation.checkNone('setResult()');
    this.#results.select(index);
    return this;
  }

  // --- for subclasses whose rows stay on the server

  /** Raises an error if the cursor cannot run `operation` now: it is closed or busy, or its connection was returned. @internal */
  protected checkReady(operation: Query): void {
    if (this.#closed)
      throw new errors.InterfaceError('the cursor is closed; make another with conn.cursor()');
    this.#operation.checkNone(operation);
    this.#core.check();
  }

  /** Claims the cursor for `act`; `close()` ends its statements. @internal */
  protected async operate<T>(operation: Query, act: (run: RunStatement) => Promise<T>): Promise<T> {
    this.#begin(operation);
    const requests: StatementRequest[] = [];
    this.#operation.runs(requests);
    try {
      return await act((request, lock) => {
        requests.push(request);
        return this.#core.run(request, lock);
      });
    } catch (error) {
      throw callersStack(error);
    } finally {
      this.#operation.end();
    }
  }

  /** Drops the results. @internal */
  protected reset(query: string | null = null): void {
    // Outcomes of an earlier operation that still arrive concern no fetch; the pipeline reports its failure.
    this.#arrivals = null;
    this.#results.clear();
    this.#adaptersInUse = this.adapters;
    this.#query = query;
  }

  /** Makes `result` the only result; `query` is the query as it was sent. @internal */
  protected present(result: StatementResult, query: string | null): void {
    this.#query = query;
    this.#results.present(result, this.#adaptersInUse);
  }

  /** Converts a decoded row of the current result to the row that is fetched. @internal */
  protected make(row: unknown): R {
    return this.#results.make(row);
  }

  // --- ending

  /**
   * Closes the cursor and drops its results (Psycopg: `close`). A running or waiting operation rejects with `InterfaceError`; its
   * statement is cancelled, and `close()` waits for that.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.reset(this.#query);
    if (this.#operation.isRunning) await this.#operation.abandon(this.#core);
  }

  /** Closes the cursor at the end of a scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The cursor's state and connection for `util.inspect()`; not the query, which may contain values. */
  [INSPECT](): string {
    return `<${this.constructor.name} [${this.stateShown()}] on ${this.connection[INSPECT]()}>`;
  }

  /** The description of the cursor's state. @internal */
  protected stateShown(): string {
    return this.#closed ? 'closed' : (this.#operation.shown ?? this.#results.shown);
  }

  // --- internals

  /** Claims the cursor for an operation that communicates with the server. */
  #begin(query: Query): void {
    this.checkReady(query);
    checkQuery(query);
    this.#operation.begin(query);
  }

  // --- in a pipeline

  /** Sends a request without waiting; its results have arrived when they are fetched. */
  #sendInPipeline(request: StatementRequest, keep: boolean, call: CallSite | null): void {
    const arrivals = (this.#arrivals ??= new Arrivals(this.#core));
    const adapters = this.#adaptersInUse;
    arrivals.send(request, call, (results) => {
      if (arrivals === this.#arrivals) this.#results.collect(results, keep, adapters);
    });
  }

  get #isArriving(): boolean {
    return this.#arrivals?.pending === true;
  }

  /** Waits for the cursor's pending statements. Rejects with the first error that was not reported. */
  async #arrived(operation: string): Promise<void> {
    this.#operation.checkNone(operation);
    this.#operation.begin(operation);
    try {
      await this.#arrivals!.all();
    } catch (error) {
      throw callersStack(error);
    } finally {
      this.#operation.end();
    }
  }

  /** Whether pending statements must be answered before `operation` can fetch. */
  #mustWait(operation: string): boolean {
    this.checkReady(operation);
    return this.#isArriving;
  }

  async #awaited(operation: string): Promise<void> {
    await this.#arrived(operation);
    this.checkReady(operation);
  }
}
