import type { AdaptersMap, DumpedParam } from '../adapt/adapters-map.js';
import type { Column } from '../column.js';
import { SessionLiterals, type LiteralContext } from '../adapt/literal.js';
import type { AsyncConnection } from '../connection/connection.js';
import { HANDLE, type Handle } from '../connection/handle.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { INSPECT } from '../inspect.js';
import {
  checkQuery,
  describeQuery,
  ClientBinding,
  ServerBinding,
  type BoundQuery,
  type Query,
  type QueryBinding,
} from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import { tupleRow, type RowFactory, type TupleRow } from '../rows.js';
import type { Hold } from '../session/queue.js';
import type { RowStream } from '../session/row-stream.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { AsyncCopy, type CopyEnd } from '../copy/copy.js';
import { firstOfSeveral } from '../copy/statement-options.js';
import { batches } from './batches.js';
import { rowDecoders } from './decoders.js';
import { Results } from './results.js';
import { StreamedRows } from './streamed-rows.js';

/** Options of a cursor. */
export interface CursorOptions<R> {
  /** Makes the rows. @default the connection's row factory */
  rowFactory?: RowFactory<R>;
}

/** Options of `execute()`. */
export interface ExecuteOptions {
  /** true: prepare the statement on the server now; false: don't. @default after `prepareThreshold` executions */
  prepare?: boolean;
  /** Accepted for compatibility: values load the same in either format. */
  binary?: boolean;
  /** Cancels the statement when it is aborted; the connection stays usable. */
  signal?: AbortSignal;
}

/** Options of `executemany()`. */
export interface ExecuteManyOptions {
  /** Keep the rows that each execution returns, as results of their own. @default false */
  returning?: boolean;
  /** Cancels the statement when it is aborted; the connection stays usable. */
  signal?: AbortSignal;
}

/** Options of `stream()`. */
export interface StreamOptions {
  /** How many rows are fetched at a time. @default as many as take some 256 KiB */
  size?: number;
  /** Ends the stream when it is aborted, which rejects with its reason; the connection stays usable. */
  signal?: AbortSignal;
}

/** Options of `copy()` and `withCopy()`. */
export interface CopyOptions {
  /** Ends the COPY when it is aborted; the connection stays usable. */
  signal?: AbortSignal;
}

/** Runs a statement of the operation that is under way. @internal */
export type RunStatement = (request: StatementRequest, hold?: Hold) => Promise<readonly StatementResult[]>;

/** How many executions of `executemany()` are sent at once. */
const BATCH = 1000;
const NO_PARAMS: readonly DumpedParam[] = [];
const NO_REQUESTS: readonly StatementRequest[] = [];

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

  readonly #handle: Handle;
  readonly #results: Results<R>;
  #closed = false;
  /** The query of the operation under way, or null; and its statements. */
  #running: Query | null = null;
  #requests: readonly StatementRequest[] = NO_REQUESTS;

  #query: string | null = null;
  /** What has been sent in a pipeline and is yet to be answered, and the first failure of it. */
  #arriving: Set<Promise<void>> | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** The COPY that the cursor serves until it has ended. */
  #copy: AsyncCopy | null = null;

  /** A cursor is usually made by `conn.cursor()`. Its rows are the connection's, unless it has a row factory of its own. */
  constructor(connection: AsyncConnection<R>);
  constructor(connection: AsyncConnection<unknown>, options?: CursorOptions<R>);
  constructor(connection: AsyncConnection<unknown>, options: CursorOptions<R> = {}) {
    this.connection = connection;
    this.#handle = connection[HANDLE];
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
        await this.#handle.openTransaction();
        throw error;
      }
      this.#query = request.text;
      if (this.#handle.pipeline.active) {
        this.#sendInPipeline(request, true);
        return this;
      }
      this.#requests = [request];
      const results = await this.#handle.run(request);
      if (!this.#closed) this.#results.set(results);
      return this;
    } finally {
      this.#end();
    }
  }

  /**
   * Executes a query once for each of `paramsSeq`, pipelined: all or none of them take effect. `rowcount` is their sum. With
   * `returning`, each execution leaves a result (see `nextset()`, `results()`).
   */
  async executemany(
    query: Query,
    paramsSeq: Iterable<Params> | AsyncIterable<Params>,
    options: ExecuteManyOptions = {},
  ): Promise<void> {
    this.#begin(query);
    try {
      this.reset();
      checkIterable(paramsSeq);
      const returning = options.returning ?? false;
      if (!returning) this.#results.count([]);
      let binding: QueryBinding | null = null;
      const bind = (params: Params, index: number): BoundQuery => {
        binding ??= this.bindingOf(query);
        return binding.withParams(params, `[${String(index)}]`);
      };
      const source = batches(paramsSeq, BATCH, bind);
      if (this.#handle.pipeline.active) {
        for await (const batch of source) {
          for (const request of this.#requestsFor(batch, options, false)) {
            this.#query = request.text;
            this.#sendInPipeline(request, returning);
          }
        }
        return;
      }
      // What an asynchronous source waits for may need the connection, so it can't have it to itself.
      if (Symbol.iterator in paramsSeq) {
        await this.#handle.session.exclusively(
          (hold) => this.#executeBatches(query, source, options, hold),
          options.signal,
        );
      } else {
        await this.#executeBatches(query, source, options);
      }
    } finally {
      this.#end();
    }
  }

  /**
   * One batch of executions of a single text stands under one Sync, which is a transaction of its own; anything more needs a
   * transaction around it, which in autocommit is begun and ended here.
   */
  async #executeBatches(
    query: Query,
    source: AsyncGenerator<BoundQuery[], void>,
    options: ExecuteManyOptions,
    hold?: Hold,
  ): Promise<void> {
    const handle = this.#handle;
    const held = hold === undefined ? {} : { hold };
    const returning = options.returning ?? false;
    let ownTransaction = false;
    try {
      let batch = await source.next();
      if (batch.done === true) this.bindingOf(query).withoutParams();
      while (batch.done !== true) {
        const next = await source.next();
        const isOne = next.done === true && (batch.value.length === 1 || batch.value[0]!.params !== null);
        if (!isOne && !ownTransaction && handle.settings.autocommit) {
          ownTransaction = handle.session.transactionStatus === TransactionStatus.IDLE;
        }
        const requests = this.#requestsFor(batch.value, options, ownTransaction);
        this.#query = batch.value.at(-1)!.text;
        this.#requests = requests;
        this.#collect(await this.#runAll(requests, hold), returning);
        batch = next;
      }
      if (this.#query === null) await handle.openTransaction(held);
      if (ownTransaction) await handle.command('COMMIT', { ...held, signal: options.signal });
    } catch (error) {
      await source.return();
      if (!handle.session.closed && !handle.returned) {
        if (ownTransaction) await handle.session.rollback(hold);
        else if (this.#query === null) await handle.openTransaction(held);
      }
      throw error;
    }
  }

  /**
   * Executes a query and gives its rows as they come, however many there are, in a bounded amount of memory (Psycopg: `stream()`).
   * Leaving the loop ends the query, and the transaction goes on. Until then the connection is the stream's: a statement on it
   * raises `ProgrammingError` at once, since to wait for the stream inside of its own loop would be to wait for ever; use
   * another connection, or a server-side cursor.
   *
   * @param options.size rows that are fetched at a time; by default as many as take some 256 KiB
   */
  stream(query: Query, params?: Params | null, options: StreamOptions = {}): AsyncGenerator<R, void, void> {
    return new StreamedRows<R>({
      open: () => this.#openStream(query, params, options),
      arrived: (batch) => {
        const passing = this.#results.passing(batch);
        if (passing !== null) return passing;
        throw new errors.ProgrammingError('stream() needs a statement that returns rows; use execute()', {
          query: this.#query,
        });
      },
      ended: () => {
        this.#end();
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
      const stream = this.#handle.stream(request, size ?? null);
      this.#requests = [stream.request];
      return stream;
    } catch (error) {
      this.#end();
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
    let begun = false;
    try {
      this.reset();
      if (this.#handle.pipeline.active) {
        throw new errors.NotSupportedError("COPY can't be used in a pipeline; leave it first");
      }
      let bound: BoundQuery;
      try {
        const binding = new ClientBinding(query, this.literalContext());
        bound = params == null ? binding.withoutParams() : binding.withParams(params, '');
      } catch (error) {
        await this.#handle.openTransaction();
        throw error;
      }
      const { text, shown } = bound;
      this.#query = text;
      const { signal } = options;
      const first = firstOfSeveral(text);
      if (first !== null && this.#handle.settings.autocommit) {
        // It would be stored by the time that its end says so.
        throw new errors.ProgrammingError("COPY can't be mixed with other statements", { query: text });
      }
      const request = this.#handle.request({
        text: first ?? text,
        executions: null,
        rows: null,
        shown,
        signal,
      });
      this.#requests = [request];
      const channel = await this.#handle.copy(request);
      const copy: AsyncCopy = new AsyncCopy({
        channel,
        adapters: this.adapters,
        statement: text,
        foreignEncoding: this.#handle.session.foreignEncoding,
        alone: first === null,
        signal,
        check: () => {
          this.#handle.check();
        },
        onEnd: (end) => {
          this.#copied(copy, channel.direction, end);
        },
      });
      begun = true;
      this.#copy = copy;
      this.#results.copying(channel.columns);
      return copy;
    } finally {
      if (!begun) this.#end();
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
      await copy.abort(`error from JavaScript: ${thrownText(error)}`);
      throw error;
    }
    await copy.complete();
    return result;
  }

  #copied(copy: AsyncCopy, direction: 'in' | 'out', { tag }: CopyEnd): void {
    this.#handle.copied(direction, tag);
    if (this.#copy !== copy) return;
    this.#copy = null;
    this.#end();
    if (!this.#closed && tag !== null) this.#results.copied(direction, tag);
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
    this.#handle.check();
    return new SessionLiterals(this.adapters, this.#handle.session.parameters);
  }

  /** What is sent for a query and its parameters. @internal */
  protected bind(query: Query, params: Params | null | undefined): BoundQuery {
    const binding = this.bindingOf(query);
    return params == null ? binding.withoutParams() : binding.withParams(params, '');
  }

  #requestFor({ text, params, shown }: BoundQuery, options: ExecuteOptions): StatementRequest {
    const isSimple = (params?.length ?? 0) === 0 && options.prepare !== true && options.binary !== true;
    return this.#handle.request({
      text,
      executions: isSimple ? null : [params ?? []],
      rows: rowDecoders(this.adapters, this.#results.rowFactory),
      shown,
      prepare: options.prepare,
      signal: options.signal,
    });
  }

  /** One request for all executions of a text, or one for each text. */
  #requestsFor(
    batch: readonly BoundQuery[],
    { returning = false, signal }: ExecuteManyOptions,
    inTransaction: boolean,
  ): StatementRequest[] {
    const rows = returning ? rowDecoders(this.adapters, this.#results.rowFactory) : null;
    const executions: (readonly DumpedParam[])[] = [];
    for (const { params } of batch) if (params !== null) executions.push(params);
    if (executions.length > 0) {
      return [this.#handle.request({ text: batch[0]!.text, executions, rows, signal, inTransaction })];
    }
    // What certainly is one statement goes by the extended protocol, where it need not wait for the answer to the one before.
    return batch.map(({ text, isSingle, shown }) =>
      this.#handle.request({
        text,
        executions: isSingle === true ? [NO_PARAMS] : null,
        rows,
        shown,
        prepare: false,
        signal,
        inTransaction,
      }),
    );
  }

  /** Runs requests one behind the other; without a signal, which is heard of by one at a time, they are sent at once. */
  async #runAll(requests: readonly StatementRequest[], hold?: Hold): Promise<StatementResult[]> {
    const results: StatementResult[] = [];
    if (requests[0]?.signal !== undefined) {
      for (const request of requests) results.push(...(await this.#handle.run(request, hold)));
      return results;
    }
    const outcomes = await Promise.allSettled(requests.map((request) => this.#handle.run(request, hold)));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason;
      results.push(...outcome.value);
    }
    return results;
  }

  /** Sends without waiting: what comes back is there when it is fetched, at the latest. */
  #sendInPipeline(request: StatementRequest, keep: boolean): void {
    const answer = this.#handle.run(request);
    this.#handle.pipeline.watch(answer);
    const arriving = (this.#arriving ??= new Set());
    const arrival = answer.then(
      (results) => {
        arriving.delete(arrival);
        this.#collect(results, keep);
      },
      (error: unknown) => {
        arriving.delete(arrival);
        this.#failure ??= { error };
      },
    );
    arriving.add(arrival);
  }

  /** Waits for what has been sent in a pipeline. Rejects with the error of it that nobody has been told of yet. */
  async #arrived(operation: string): Promise<void> {
    this.#checkIdle(operation);
    if (!this.#isArriving) return;
    this.#running = operation;
    try {
      this.#handle.session.flush();
      if (this.#arriving !== null) await Promise.all(this.#arriving);
    } finally {
      this.#end();
    }
    const failure = this.#failure;
    this.#failure = null;
    if (failure === null) return;
    this.#handle.pipeline.told(failure.error);
    throw failure.error as Error;
  }

  #collect(results: readonly StatementResult[], keep: boolean): void {
    if (this.#closed) return;
    if (keep) this.#results.add(results);
    else this.#results.count(results);
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
    this.#checkIdle('nextset()');
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
    this.#checkIdle('setResult()');
    this.#results.select(index);
    return this;
  }

  // --- for a cursor whose rows stay on the server

  /** Raises if the cursor can't be used for `operation` now: it is closed, or busy, or its connection is somebody else's. @internal */
  protected checkReady(operation: Query): void {
    if (this.#closed) throw new errors.InterfaceError('the cursor is closed');
    this.#checkIdle(operation);
    this.#handle.check();
  }

  /** Claims the cursor for `act`, whose statements `close()` is going to end. @internal */
  protected async operate<T>(operation: Query, act: (run: RunStatement) => Promise<T>): Promise<T> {
    this.#begin(operation);
    const requests: StatementRequest[] = [];
    this.#requests = requests;
    try {
      return await act((request, hold) => {
        requests.push(request);
        return this.#handle.run(request, hold);
      });
    } finally {
      this.#end();
    }
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

  /** Closes the cursor and drops its results. A statement it still runs is cancelled, and waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    const copy = this.#copy;
    if (copy !== null) {
      this.reset(this.#query);
      await copy.abort('the cursor was closed');
      return;
    }
    const requests = this.#requests;
    this.reset(this.#query);
    if (requests.length === 0 || this.#handle.returned) return;
    const reason = new errors.InterfaceError(
      'the cursor was closed while its statement was waiting or running',
    );
    await Promise.all(requests.map((request) => this.#handle.session.abandon(request, reason)));
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
    if (this.#closed) return 'closed';
    if (this.#running !== null && this.#copy?.ended !== true) return this.#copy === null ? 'busy' : 'COPY';
    const result = this.#results.current;
    if (result === undefined) return this.statusmessage ?? 'no result';
    const tag = result.statusmessage ?? 'no command';
    return result.hasRows
      ? `${tag}, row ${String(this.#results.rownumber)} of ${String(result.rows.length)}`
      : tag;
  }

  // --- inside

  /** Claims the cursor for an operation that talks to the server. */
  #begin(query: Query): void {
    this.checkReady(query);
    checkQuery(query);
    this.#running = query;
  }

  /** The operation is over. */
  #end(): void {
    this.#running = null;
    this.#requests = NO_REQUESTS;
  }

  #checkIdle(attempted: Query): void {
    if (this.#copy?.ended === true) {
      this.#copy = null;
      this.#end();
    }
    if (this.#running === null) return;
    throw new errors.ConcurrentCursorUse(describeQuery(this.#running), describeQuery(attempted));
  }

  /** Forgets the results. @internal */
  protected reset(query: string | null = null): void {
    this.#results.clear();
    this.#query = query;
  }

  get #isArriving(): boolean {
    return (this.#arriving !== null && this.#arriving.size > 0) || this.#failure !== null;
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

function checkIterable(paramsSeq: unknown): void {
  if (
    typeof paramsSeq !== 'object' ||
    paramsSeq === null ||
    !(Symbol.iterator in paramsSeq || Symbol.asyncIterator in paramsSeq)
  ) {
    throw new errors.ProgrammingError(
      `expected executemany() to get an iterable of parameters, got ${paramsSeq === null ? 'null' : typeof paramsSeq}`,
    );
  }
}
