import type { AdaptersMap } from '../adapt/adapters-map.js';
import { dumpParam } from '../adapt/dump.js';
import type { Column } from '../column.js';
import type { AsyncConnection, Query } from '../connection/connection.js';
import { HANDLE, type Handle } from '../connection/handle.js';
import * as errors from '../errors/index.js';
import { checkQueryText, convertQuery, type ConvertedQuery, type Params } from '../query/placeholders.js';
import { tupleRow, type RowFactory, type TupleRow } from '../rows.js';
import type { Hold } from '../session/session.js';
import type { SentParam, StatementRequest } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { batches } from './batches.js';
import { affectedRows, CursorResult, rowAsItIs, rowDecoders } from './result.js';

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

/** How many executions of `executemany()` are sent at once. */
const BATCH = 1000;
/** What the protocol's 16-bit count can hold. */
const MOST_PARAMETERS = 65_535;

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
  #rowFactory: RowFactory<R>;
  #closed = false;
  /** The query of the operation under way, or null. */
  #running: { readonly query: string; readonly request: StatementRequest | null } | null = null;

  #query: string | null = null;
  #results: CursorResult[] = [];
  #index = 0;
  #position = 0;
  #makeRow: ((row: unknown) => R) | null = null;
  /** Set by `executemany()` without `returning`, which leaves no result. */
  #total: { rowcount: number; statusmessage: string | null } | null = null;

  /** A cursor is usually made by `conn.cursor()`. */
  constructor(connection: AsyncConnection<unknown>, options: CursorOptions<R> = {}) {
    this.connection = connection;
    this.#handle = connection[HANDLE];
    this.adapters = connection.adapters.clone();
    this.#rowFactory = options.rowFactory ?? (connection.rowFactory as RowFactory<R> | undefined) ?? tupleRow;
  }

  // --- what is known of the result

  /** The columns of the current result; null if it has no rows. */
  get description(): readonly Column[] | null {
    return this.#result?.description ?? null;
  }

  /** How many rows the last statement returned or affected; -1 where that has no meaning. */
  get rowcount(): number {
    return this.#total?.rowcount ?? this.#result?.rowcount ?? -1;
  }

  /** The index of the next row to be fetched; null if there is no result with rows. */
  get rownumber(): number | null {
    return this.#result?.hasRows === true ? this.#position : null;
  }

  /** The tag of the last statement, such as `INSERT 0 1`. */
  get statusmessage(): string | null {
    return this.#total?.statusmessage ?? this.#result?.statusmessage ?? null;
  }

  /** The last query as it was sent, with `$1` … placeholders. */
  get query(): string | null {
    return this.#query;
  }

  /** Whether `close()` has been called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Makes the rows. A change applies to the rows not fetched yet. */
  get rowFactory(): RowFactory<R> {
    return this.#rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    this.#rowFactory = factory;
    this.#makeRow = this.#result?.rowMaker(factory, this) ?? null;
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
      this.#reset();
      let converted: { text: string; values: SentParam[] };
      try {
        converted = this.#convert(query, params);
      } catch (error) {
        // As in Psycopg, a query that can't be sent opens a transaction like one that the server refuses.
        await this.#handle.openTransaction();
        throw error;
      }
      const { text, values } = converted;
      this.#query = text;
      const simple = values.length === 0 && options.prepare !== true && options.binary !== true;
      const request = this.#handle.request({
        text,
        executions: simple ? null : [values],
        rows: rowDecoders(this.adapters, this.#rowFactory),
        prepare: options.prepare,
        signal: options.signal,
      });
      this.#running = { query, request };
      const results = await this.#handle.run(request);
      if (!this.#closed) {
        this.#results = results.map((result) => new CursorResult(result));
        this.#select(0);
      }
      return this;
    } finally {
      this.#running = null;
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
      this.#reset();
      checkIterable(paramsSeq);
      const returning = options.returning ?? false;
      const rows = rowDecoders(this.adapters, this.#rowFactory);
      if (!returning) this.#total = { rowcount: 0, statusmessage: null };
      let converted: ConvertedQuery | null = null;
      const dump = (params: Params, index: number): SentParam[] => {
        converted ??= convertQuery(query, params);
        return this.#dump(converted, params, `[${String(index)}]`);
      };
      const requestFor = (executions: readonly SentParam[][], inTransaction: boolean): StatementRequest =>
        this.#handle.request({
          text: converted?.text ?? query,
          executions,
          rows: returning ? rows : null,
          signal: options.signal,
          inTransaction,
        });
      const source: AsyncGenerator<SentParam[][], void> = batches(paramsSeq, BATCH, dump);
      // What an asynchronous source waits for may need the connection, so it can't have it to itself.
      if (Symbol.iterator in paramsSeq) {
        await this.#handle.session.exclusively((hold) =>
          this.#executeBatches(query, source, requestFor, hold),
        );
      } else {
        await this.#executeBatches(query, source, requestFor);
      }
    } finally {
      this.#running = null;
    }
  }

  /**
   * One batch stands under one Sync, which is a transaction of its own; several need a transaction around them, which in
   * autocommit is begun and ended here.
   */
  async #executeBatches(
    query: string,
    source: AsyncGenerator<SentParam[][], void>,
    requestFor: (executions: readonly SentParam[][], inTransaction: boolean) => StatementRequest,
    hold?: Hold,
  ): Promise<void> {
    const handle = this.#handle;
    const held = hold === undefined ? {} : { hold };
    let ownTransaction = false;
    try {
      let batch = await source.next();
      if (batch.done === true) checkedText(query);
      while (batch.done !== true) {
        const next = await source.next();
        if (next.done !== true && !ownTransaction && handle.settings.autocommit) {
          ownTransaction = handle.session.transactionStatus === TransactionStatus.IDLE;
        }
        const request = requestFor(batch.value, ownTransaction);
        this.#query = request.text;
        this.#running = { query, request };
        this.#collect(await handle.run(request, hold), request.rows !== null);
        batch = next;
      }
      if (this.#query === null) await handle.openTransaction(held);
      if (ownTransaction) await handle.command('COMMIT', held);
    } catch (error) {
      await source.return();
      if (!handle.session.closed && !handle.returned) {
        if (ownTransaction) await handle.session.rollback(hold);
        else if (this.#query === null) await handle.openTransaction(held);
      }
      throw error;
    }
  }

  #collect(results: Awaited<ReturnType<Handle['run']>>, keep: boolean): void {
    if (this.#closed) return;
    if (keep) {
      const first = this.#results.length === 0;
      for (const result of results) this.#results.push(new CursorResult(result));
      if (first) this.#select(0);
      return;
    }
    const total = this.#total ?? { rowcount: 0, statusmessage: null };
    for (const { tag } of results) {
      total.rowcount += affectedRows(tag) ?? 0;
      total.statusmessage = tag;
    }
    this.#total = total;
  }

  #convert(query: string, params: Params | null | undefined): { text: string; values: SentParam[] } {
    if (params == null) return { text: checkedText(query), values: [] };
    const converted = convertQuery(query, params);
    return { text: converted.text, values: this.#dump(converted, params, '') };
  }

  #dump(converted: ConvertedQuery, params: Params, where: string): SentParam[] {
    const values = converted.values(params);
    if (values.length > MOST_PARAMETERS) {
      throw new errors.ProgrammingError(
        `the query has ${String(values.length)} parameters; PostgreSQL takes ${String(MOST_PARAMETERS)} at most`,
      );
    }
    const sent = new Array<SentParam>(values.length);
    for (let i = 0; i < values.length; i++)
      sent[i] = dumpParam(values[i], this.adapters, `${where}$${String(i + 1)}`);
    return sent;
  }

  // --- fetching

  /** The next row of the result, or null at its end. */
  async fetchone(): Promise<R | null> {
    const result = this.#fetchable('fetchone()');
    return this.#position < result.rows.length ? this.#row(result) : null;
  }

  /** The next rows of the result: `size` of them, or fewer at its end. @default arraysize */
  async fetchmany(size?: number): Promise<R[]> {
    const result = this.#fetchable('fetchmany()');
    if (size !== undefined && !(Number.isInteger(size) && size >= 0)) {
      throw new errors.ProgrammingError(
        `expected the size of fetchmany() to be a whole number, got ${String(size)}`,
      );
    }
    const wanted = size === undefined || size === 0 ? this.arraysize : size;
    return this.#rows(result, Math.min(this.#position + wanted, result.rows.length));
  }

  /** All rows of the result that have not been fetched. */
  async fetchall(): Promise<R[]> {
    const result = this.#fetchable('fetchall()');
    return this.#rows(result, result.rows.length);
  }

  /** Iterates over the rows that have not been fetched. Leaving the loop leaves the cursor where it is. */
  [Symbol.asyncIterator](): AsyncIterator<R> {
    return {
      next: async () => {
        const result = this.#fetchable('iteration');
        if (this.#position < result.rows.length) return { done: false, value: this.#row(result) };
        return { done: true, value: undefined };
      },
    };
  }

  /** Moves in the result: by `value` rows, or to row `value` if `mode` is 'absolute'. Raises if there is no such row. */
  async scroll(value: number, mode: 'relative' | 'absolute' = 'relative'): Promise<void> {
    const { rows } = this.#fetchable('scroll()');
    if (mode !== 'relative' && mode !== 'absolute') {
      throw new errors.ProgrammingError(
        `expected the mode of scroll() to be 'relative' or 'absolute', got ${String(mode)}`,
      );
    }
    const position = mode === 'relative' ? this.#position + value : value;
    if (!Number.isInteger(position) || position < 0 || position >= rows.length) {
      throw new errors.ProgrammingError(
        `scroll() to row ${String(position)} is out of bounds: the result has ${String(rows.length)} rows`,
      );
    }
    this.#position = position;
  }

  // --- several results

  /** Goes on to the next result. Resolves with true, or with null if there is none. */
  async nextset(): Promise<boolean | null> {
    this.#checkIdle('nextset()');
    if (this.#index >= this.#results.length - 1) return null;
    this.#select(this.#index + 1);
    return true;
  }

  /** Iterates over the results, selecting one after the other. */
  async *results(): AsyncGenerator<this> {
    if (this.#result === undefined) return;
    do yield this;
    while ((await this.nextset()) === true);
  }

  /** Goes to the result at `index`; a negative one counts from the end. Raises if there is no such result. */
  async setResult(index: number): Promise<this> {
    this.#checkIdle('setResult()');
    const count = this.#results.length;
    if (!Number.isInteger(index) || index < -count || index >= count) {
      throw new errors.ProgrammingError(
        `result ${String(index)} is out of range: there are ${String(count)}`,
      );
    }
    this.#select(index < 0 ? count + index : index);
    return this;
  }

  // --- the end

  /** Closes the cursor and drops its results. A statement it still runs is cancelled, and waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    const request = this.#running?.request ?? null;
    this.#reset(this.#query);
    if (request === null || this.#handle.returned) return;
    await this.#handle.session.abandon(
      request,
      new errors.InterfaceError('the cursor was closed while its statement was waiting or running'),
    );
  }

  /** Leaving the scope closes the cursor. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- inside

  get #result(): CursorResult | undefined {
    return this.#results[this.#index];
  }

  /** Claims the cursor for an operation that talks to the server. */
  #begin(query: string): void {
    if (this.#closed) throw new errors.InterfaceError('the cursor is closed');
    this.#checkIdle(query);
    this.#handle.check();
    if (typeof query !== 'string') {
      throw new errors.ProgrammingError(
        `expected the query to be a string, got ${query === null ? 'null' : typeof query}`,
      );
    }
    this.#running = { query, request: null };
  }

  #checkIdle(attempted: string): void {
    if (this.#running !== null) throw new errors.ConcurrentCursorUse(this.#running.query, attempted);
  }

  #reset(query: string | null = null): void {
    this.#results = [];
    this.#index = 0;
    this.#position = 0;
    this.#makeRow = null;
    this.#total = null;
    this.#query = query;
  }

  #select(index: number): void {
    this.#index = index;
    this.#position = 0;
    // A factory that can't make rows of these columns says so now, not at the first fetch.
    this.#makeRow = this.#result?.rowMaker(this.#rowFactory, this) ?? null;
  }

  #fetchable(operation: string): CursorResult {
    if (this.#closed) throw new errors.InterfaceError('the cursor is closed');
    this.#checkIdle(operation);
    this.#handle.check();
    const result = this.#result;
    if (result === undefined) throw new errors.ProgrammingError('no result available: execute a query first');
    if (!result.hasRows) {
      const detail =
        result.statusmessage === null ? 'an empty query' : `command status: ${result.statusmessage}`;
      throw new errors.ProgrammingError(`the last operation didn't produce rows to fetch (${detail})`);
    }
    return result;
  }

  #maker(result: CursorResult): (row: unknown) => R {
    return (this.#makeRow ??= result.rowMaker(this.#rowFactory, this)!);
  }

  #row(result: CursorResult): R {
    return this.#maker(result)(result.rows[this.#position++]);
  }

  #rows(result: CursorResult, end: number): R[] {
    const start = this.#position;
    this.#position = Math.max(start, end);
    const make = this.#maker(result);
    if (make === rowAsItIs) return result.rows.slice(start, end) as R[];
    const made = new Array<R>(Math.max(0, end - start));
    for (let i = 0; i < made.length; i++) made[i] = make(result.rows[start + i]);
    return made;
  }
}

function checkedText(query: string): string {
  checkQueryText(query);
  return query;
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
