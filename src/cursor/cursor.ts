import type { AdaptersMap } from '../types/adapters-map.js';
import { SessionLiterals, type LiteralContext } from '../query/literal.js';
import type { Column } from '../column.js';
import type { AsyncConnection } from '../connection/connection.js';
import { CORE, type ConnectionCore } from '../connection/connection-core.js';
import type { AsyncCopy } from '../copy/copy.js';
import { callersStack, callSite, keepStack, quickCallSite, type CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { INSPECT } from '../inspect.js';
import {
  bindOnce,
  checkQuery,
  ClientBinding,
  ServerBinding,
  type BoundQuery,
  type Query,
  type QueryBinding,
} from '../query/binding.js';
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
import { Results } from './results.js';
import { StreamedRows } from './streamed-rows.js';

/**
 * Executes statements and holds their results (Psycopg: `AsyncCursor`). A cursor serves one task at a time: an operation begun
 * while another is under way raises `ConcurrentCursorUse` at once and leaves the other alone.
 *
 * @example
 * await using cur = conn.cursor();
 * await cur.execute('SELECT name FROM city WHERE country = %s', ['FR']);
 * for await (const [name] of cur) console.log(name);
 */
export class AsyncCursor<R = TupleRow> implements AsyncDisposable, AsyncIterable<R> {
  /** The connection the cursor was made by. */
  readonly connection: AsyncConnection<unknown>;
  /** How values are sent and loaded; a copy of the connection's, made with the cursor. */
  readonly adapters: AdaptersMap;
  /** How many rows `fetchmany()` fetches where it is not told. */
  arraysize = 1;

  readonly #core: ConnectionCore;
  readonly #operation = new Operation();
  readonly #results: Results<R>;
  /** Of a cursor that has been used in a pipeline. */
  #arrivals: Arrivals | null = null;
  #query: string | null = null;
  #closed = false;

  /** A cursor is usually made by `conn.cursor()`. Its rows are the connection's, unless it has a row factory of its own. */
  constructor(connection: AsyncConnection<R>);
  constructor(connection: AsyncConnection<unknown>, options?: CursorOptions<R>);
  constructor(connection: AsyncConnection<unknown>, options: CursorOptions<R> = {}) {
    this.connection = connection;
    this.#core = connection[CORE];
    this.adapters = connection.adapters.clone();
    const rowFactory = options.rowFactory ?? (connection.rowFactory as RowFactory<R> | undefined) ?? tupleRow;
    this.#results = new Results(this, this.adapters, rowFactory);
  }

  // --- what is known of the result

  /** The columns of the current result; null if it has no rows. */
  get description(): readonly Column[] | null {
    return this.#results.description;
  }

  /** How many rows the last statement returned or affected; -1 where that has no meaning. */
  get rowcount(): number {
    return this.#results.rowcount;
  }

  /** The index of the next row to be fetched; null if there is no result with rows. */
  get rownumber(): number | null {
    return this.#results.rownumber;
  }

  /** The tag of the last statement, such as `INSERT 0 1`. */
  get statusmessage(): string | null {
    return this.#results.statusmessage;
  }

  /** The last query as it was sent: with `$1` … placeholders, or with the values in it if the client has bound them. */
  get query(): string | null {
    return this.#query;
  }

  /** Whether `close()` has been called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Makes the rows. A change applies to the rows not fetched yet. */
  get rowFactory(): RowFactory<R> {
    return this.#results.rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    this.#results.rowFactory = factory;
  }

  // --- execution

  /**
   * Executes a query, with `%s` or `%(name)s` placeholders if `params` are given. Without, several statements may stand in it,
   * each giving a result (see `nextset()`). Raises the class of the server's SQLSTATE; `ProgrammingError` for parameters that
   * do not fit; `ConcurrentCursorUse` if the cursor is busy.
   */
  async execute(query: Query, params?: Params | null, options: ExecuteOptions = {}): Promise<this> {
    this.#begin(query);
    try {
      this.reset();
      let request: StatementRequest;
      try {
        request = this.#requestFor(this.bind(query, params), this.honoured(options));
      } catch (error) {
        // As in Psycopg, a query that can't be sent opens a transaction like one that the server refuses.
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
      if (!this.#closed) this.#results.set(results);
      return this;
    } catch (error) {
      throw callersStack(error);
    } finally {
      this.#operation.end();
    }
  }

  /**
   * Executes a query once for each of `paramsSeq`, pipelined: all or none of them take effect (Psycopg: `executemany()`). `rowcount` is
   * their sum, and after a failure that of what was done before. With `returning`, each execution leaves a result (see `nextset()`,
   * `results()`).
   *
   * The parameters are sent as they come, a thousand sets at a time. While an asynchronous source is waited for, the connection is
   * free for others. In autocommit more than a thousand sets are a transaction of their own: until it has ended other statements wait,
   * and the source can't use the connection, which raises `ProgrammingError` there. Within a transaction block it can.
   *
   * What an asynchronous source gives stays together: while a part of it is stored in an open transaction, `commit()` and its kin raise
   * `ProgrammingError`, and once that transaction or block has been rolled back the call does. While another task's
   * `withTransaction()` is under way on the connection, it raises `ConcurrentTransaction`.
   *
   * An abort of the `signal`, the end of the connection (`OperationalError`, or `InterfaceError` if it was given back) and `close()`
   * (`InterfaceError`) end it whatever it waits for: no more is sent, and the source is told by `return()`, but not waited for.
   */
  async executemany(
    query: Query,
    paramsSeq: Iterable<Params> | AsyncIterable<Params>,
    options: ExecuteManyOptions = {},
  ): Promise<void> {
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
          this.#collect(results, returning);
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
   * Executes a query and gives its rows as they come, however many there are, in a bounded amount of memory (Psycopg: `stream()`).
   * Until the stream ends it has the connection to itself: a statement on it raises `ProgrammingError` at once, since a statement inside
   * the stream's own loop would wait for ever. Use another connection, or a server-side cursor.
   *
   * Leaving the loop (`break`, `return`, an exception) ends the query. Within a transaction, rows that the server is making at that moment
   * get some 2 seconds to be finished, and all that was done before is kept. A query that takes longer is cancelled, which fails the
   * transaction: nothing of it is kept, and `commit()` says so. An abort of the `signal` cancels at once, with the same effect. In
   * autocommit only the query itself can fail, so it is cancelled after a tenth of a second; a statement that changes data and has
   * made its first row (INSERT … RETURNING) is done, and kept.
   *
   * @param options.size rows that are fetched at a time; by default as many as take some 256 KiB
   */
  stream(query: Query, params?: Params | null, options: StreamOptions = {}): AsyncGenerator<R, void, void> {
    let request: StatementRequest;
    return new StreamedRows<R>({
      open: () => {
        const stream = this.#openStream(query, params, options);
        request = stream.request;
        return stream;
      },
      arrived: (batch) => {
        const passing = this.#results.passing(batch);
        if (passing !== null) return passing;
        throw new errors.ProgrammingError('stream() needs a statement that returns rows; use execute()', {
          query: shownText(request),
        });
      },
      ended: () => {
        this.#operation.end();
      },
    });
  }

  #openStream(query: Query, params: Params | null | undefined, { size, signal }: StreamOptions): RowStream {
    this.#begin(query);
    try {
      if (size !== undefined && !(Number.isInteger(size) && size > 0)) {
        throw new errors.ProgrammingError(
          `expected the size of stream() to be a positive number, got ${String(size)}`,
        );
      }
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
   * Begins a COPY … FROM STDIN or a COPY … TO STDOUT, whose data goes through the `AsyncCopy` (Psycopg: `copy()`). COPY takes no
   * parameters, so they become part of the statement, as literals. Until the COPY has ended, the cursor is busy with it and
   * the connection refuses other statements. Raises the class of the server's SQLSTATE, and `ProgrammingError` for another
   * statement, which has been executed then. Aborting the `signal` ends the COPY at any time, its calls reject with the reason.
   *
   * @example
   * await using copy = await cur.copy('COPY (SELECT * FROM city WHERE country = %s) TO STDOUT', ['FR']);
   * for await (const row of copy.rows()) console.log(row);
   */
  async copy(query: Query, params?: Params | null, options: CopyOptions = {}): Promise<AsyncCopy> {
    this.#begin(query);
    try {
      this.reset();
      if (this.#core.inPipeline) {
        throw new errors.NotSupportedError("COPY can't be used in a pipeline; leave it first");
      }
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
          if (wasServed && !this.#closed && tag !== null) this.#results.copied(direction, tag);
        },
      });
    } catch (error) {
      this.#operation.end();
      throw callersStack(error);
    }
  }

  /**
   * Runs `fn` with a COPY, which is completed when `fn` returns and aborted when it throws (Psycopg: `async with cur.copy()`). A
   * COPY … TO STDOUT that `fn` has not read to its end is cancelled.
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

  /** How a query and its parameters become what is sent: this is what kinds of cursors differ in. @internal */
  protected bindingOf(query: Query): QueryBinding {
    return new ServerBinding(query, this.literalContext());
  }

  /** The options of `execute()` that this kind of cursor honours; raises for one that it must not ignore. @internal */
  protected honoured(options: ExecuteOptions): ExecuteOptions {
    return options;
  }

  /** What literals within a query depend on. Raises `InterfaceError` if the connection has been returned. @internal */
  protected literalContext(): LiteralContext {
    this.#core.check();
    return new SessionLiterals(this.adapters, this.#core.session.parameters);
  }

  /** What is sent for a query and its parameters. @internal */
  protected bind(query: Query, params: Params | null | undefined): BoundQuery {
    return bindOnce(this.bindingOf(query), params);
  }

  #requestFor({ text, params, shown }: BoundQuery, options: ExecuteOptions): StatementRequest {
    const isSimple = (params?.length ?? 0) === 0 && options.prepare !== true && options.binary !== true;
    return this.#core.request({
      text,
      executions: isSimple ? null : [params ?? []],
      rows: rowDecoders(this.adapters, this.#results.rowFactory),
      shown,
      prepare: options.prepare,
      signal: options.signal,
    });
  }

  // --- fetching

  /** The next row of the result, or null at its end. */
  async fetchone(): Promise<R | null> {
    if (this.#mustWait('fetchone()')) await this.#awaited('fetchone()');
    return this.#results.one();
  }

  /** The next rows of the result: `size` of them, or fewer at its end. @default arraysize */
  async fetchmany(size?: number): Promise<R[]> {
    if (this.#mustWait('fetchmany()')) await this.#awaited('fetchmany()');
    return this.#results.many(size, this.arraysize);
  }

  /** All rows of the result that have not been fetched. */
  async fetchall(): Promise<R[]> {
    if (this.#mustWait('fetchall()')) await this.#awaited('fetchall()');
    return this.#results.all();
  }

  /** Iterates over the rows that have not been fetched. Leaving the loop leaves the cursor where it is. */
  [Symbol.asyncIterator](): AsyncIterator<R> {
    return {
      next: async () => {
        if (this.#mustWait('iteration')) await this.#awaited('iteration');
        return this.#results.next();
      },
    };
  }

  /** Moves in the result: by `value` rows, or to row `value` if `mode` is 'absolute'. Raises if there is no such row. */
  async scroll(value: number, mode: 'relative' | 'absolute' = 'relative'): Promise<void> {
    if (this.#mustWait('scroll()')) await this.#awaited('scroll()');
    this.#results.scroll(value, mode);
  }

  // --- several results

  /** Goes on to the next result. Resolves with true, or with null if there is none. */
  async nextset(): Promise<boolean | null> {
    if (this.#isArriving) await this.#arrived('nextset()');
    this.#operation.checkNone('nextset()');
    return this.#results.advance() || null;
  }

  /** Iterates over the results, selecting one after the other. */
  async *results(): AsyncGenerator<this> {
    if (this.#isArriving) await this.#arrived('results()');
    if (this.#results.current === undefined) return;
    do yield this;
    while ((await this.nextset()) === true);
  }

  /** Goes to the result at `index`; a negative one counts from the end. Raises if there is no such result. */
  async setResult(index: number): Promise<this> {
    if (this.#isArriving) await this.#arrived('setResult()');
    this.#operation.checkNone('setResult()');
    this.#results.select(index);
    return this;
  }

  // --- for a cursor whose rows stay on the server

  /** Raises if the cursor can't be used for `operation` now: it is closed, busy, or its connection has been returned. @internal */
  protected checkReady(operation: Query): void {
    if (this.#closed) throw new errors.InterfaceError('the cursor is closed');
    this.#operation.checkNone(operation);
    this.#core.check();
  }

  /** Claims the cursor for `act`, whose statements `close()` is going to end. @internal */
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

  /** Forgets the results. @internal */
  protected reset(query: string | null = null): void {
    this.#results.clear();
    this.#query = query;
  }

  /** Makes `result`, of the query as it was sent, the only one there is. @internal */
  protected present(result: StatementResult, query: string | null): void {
    this.#query = query;
    this.#results.present(result);
  }

  /** Makes a row to be fetched of a decoded one of the result that is presented. @internal */
  protected make(row: unknown): R {
    return this.#results.make(row);
  }

  // --- the end

  /**
   * Closes the cursor and drops its results. What it still runs, or waits for, ends with `InterfaceError`: a statement is cancelled, and
   * waited for.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.reset(this.#query);
    if (this.#operation.isRunning) await this.#operation.abandon(this.#core);
  }

  /** Leaving the scope closes the cursor. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** As `util.inspect()` prints it: its state, and its connection; not the query, which may have values in it. */
  [INSPECT](): string {
    return `<${this.constructor.name} [${this.stateShown()}] on ${this.connection[INSPECT]()}>`;
  }

  /** What is to be printed of its state. @internal */
  protected stateShown(): string {
    return this.#closed ? 'closed' : (this.#operation.shown ?? this.#results.shown);
  }

  // --- inside

  /** Claims the cursor for an operation that talks to the server. */
  #begin(query: Query): void {
    this.checkReady(query);
    checkQuery(query);
    this.#operation.begin(query);
  }

  #collect(results: readonly StatementResult[], keep: boolean): void {
    if (this.#closed) return;
    if (keep) this.#results.add(results);
    else this.#results.count(results);
  }

  // --- in a pipeline

  /** Sends without waiting: what comes back is there when it is fetched, at the latest. */
  #sendInPipeline(request: StatementRequest, keep: boolean, call: CallSite | null): void {
    this.#arrivals ??= new Arrivals(this.#core);
    this.#arrivals.send(request, call, (results) => {
      this.#collect(results, keep);
    });
  }

  get #isArriving(): boolean {
    return this.#arrivals?.pending === true;
  }

  /** Waits for what has been sent in a pipeline. Rejects with its first error that has not been reported. */
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

  /** Whether what has been sent in a pipeline has to be there before `operation` can fetch. */
  #mustWait(operation: string): boolean {
    this.checkReady(operation);
    return this.#isArriving;
  }

  async #awaited(operation: string): Promise<void> {
    await this.#arrived(operation);
    this.checkReady(operation);
  }
}
