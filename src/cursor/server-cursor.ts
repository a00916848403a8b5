import type { AsyncConnection } from '../connection/connection.js';
import { CORE, type ConnectionCore } from '../connection/connection-core.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import type { Query } from '../query/binding.js';
import { quoteIdentifier } from '../query/identifier.js';
import type { Params } from '../query/placeholders.js';
import type { TupleRow } from '../rows.js';
import {
  shownText,
  type SentParam,
  type StatementRequest,
  type StatementResult,
} from '../session/statement.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import { waitFor } from '../waiting.js';
import { AsyncCursor } from './cursor.js';
import { SameDecoder } from '../types/decoders.js';
import type { RunStatement } from './operation.js';
import {
  ADAPTERS_OR_NULL,
  BOOLEAN_OR_NULL,
  checkArgument,
  FUNCTION_OR_NULL,
  SIGNAL,
} from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import {
  checkPage,
  EXECUTE,
  MOST_ROWS,
  rowCount,
  type CursorOptions,
  type ExecuteOptions,
} from './options.js';
import { checkScrollMode } from './results.js';

/** Options of a server-side cursor. */
export interface ServerCursorOptions<R> extends CursorOptions<R> {
  /** Whether `scroll()` may move backwards; null: the server decides. @default null */
  scrollable?: boolean | null | undefined;
  /** Whether it outlives its transaction. @default false */
  withhold?: boolean | undefined;
}

/** Options of `conn.cursor()` for a server-side cursor. */
export interface NamedCursorOptions<R> extends ServerCursorOptions<R> {
  /** The cursor's name on the server (Psycopg: `name`). */
  name: string;
}

/** Options of a server-side cursor's fetches and of its `scroll()`. */
export interface FetchOptions {
  /**
   * Cancels the fetch or move when it is aborted; the connection stays usable. The cursor's position is then unknown: execute it
   * again, or set the position with `scroll(row, 'absolute')`.
   */
  signal?: AbortSignal | undefined;
}

const OPTIONS = new KnownOptions<ServerCursorOptions<unknown>>(
  'new AsyncServerCursor(connection, name, options)',
  {
    rowFactory: FUNCTION_OR_NULL,
    context: ADAPTERS_OR_NULL,
    scrollable: BOOLEAN_OR_NULL,
    withhold: BOOLEAN_OR_NULL,
  },
);
const FETCHONE = new KnownOptions<FetchOptions>('cursor.fetchone(options)', { signal: SIGNAL });
const FETCHMANY = new KnownOptions<FetchOptions>('cursor.fetchmany(size, options)', { signal: SIGNAL });
const FETCHALL = new KnownOptions<FetchOptions>('cursor.fetchall(options)', { signal: SIGNAL });
const SCROLL = new KnownOptions<FetchOptions>('cursor.scroll(value, mode, options)', { signal: SIGNAL });

const DEFAULT_ITERSIZE = 100;
const SIZE = rowCount(0);
const DISTANCE = rowCount(-MOST_ROWS);
/** The server's limit on identifiers, in bytes. */
const LONGEST_NAME = 63;
const NO_PARAMS: readonly SentParam[] = [];

/**
 * A cursor whose result stays on the server and is fetched in pieces, by `DECLARE`, `FETCH`, `MOVE` and `CLOSE` (Psycopg:
 * `AsyncServerCursor`). It lives as long as its transaction, or with `withhold` as long as the connection. Between two fetches
 * the connection is free for other statements. Without `execute()`, it fetches from a cursor of its name that was declared in
 * SQL.
 *
 * @example
 * await using cur = conn.cursor({ name: 'cities' });
 * await cur.execute('SELECT id, name FROM city');
 * for await (const [id, name] of cur) await conn.execute('INSERT INTO visit VALUES (%s, %s)', [id, name]);
 */
export class AsyncServerCursor<R = TupleRow> extends AsyncCursor<R> {
  readonly #core: ConnectionCore;
  readonly #name: string;
  readonly #quotedName: string;
  readonly #scrollable: boolean | null;
  readonly #withhold: boolean;
  #decoders: RowDecoderSource;

  /** Whether the server is believed to have a cursor of this name. */
  #declared = false;
  /** Whether the columns are known. */
  #described = false;
  #position = 0;
  /** Rows fetched by iteration; those from `#at` on have not been yielded. */
  #page: readonly unknown[] = [];
  #at = 0;
  /** Whether the position on the server is unknown. */
  #astray = false;
  /** Whether the page was the last one. */
  #atEnd = false;
  #itersize = DEFAULT_ITERSIZE;
  #closing: Promise<void> | null = null;

  /** Prefer `conn.cursor({ name })`. Raises `ProgrammingError` for an invalid name. */
  constructor(
    connection: AsyncConnection<R>,
    name: string,
    options?: Omit<ServerCursorOptions<R>, 'rowFactory'> & { rowFactory?: never },
  );
  constructor(connection: AsyncConnection<unknown>, name: string, options?: ServerCursorOptions<R>);
  constructor(connection: AsyncConnection<unknown>, name: string, options: ServerCursorOptions<R> = {}) {
    OPTIONS.check(options);
    const { rowFactory, context } = options;
    super(connection, { rowFactory, context });
    this.#core = connection[CORE];
    this.#name = name;
    this.#quotedName = quoteName(name);
    this.#scrollable = options.scrollable ?? null;
    this.#withhold = options.withhold ?? false;
    this.#decoders = new SameDecoder(this.adapters, this);
  }

  /** The cursor's name on the server (Psycopg: `name`). */
  get name(): string {
    return this.#name;
  }

  /** Whether `scroll()` may move backwards; null: the server decides (Psycopg: `scrollable`). */
  get scrollable(): boolean | null {
    return this.#scrollable;
  }

  /** Whether it outlives its transaction (Psycopg: `withhold`). */
  get withhold(): boolean {
    return this.#withhold;
  }

  /** The number of rows that iteration fetches at a time, 1 or more (Psycopg: `itersize`). @default 100 */
  get itersize(): number {
    return this.#itersize;
  }
  set itersize(rows: number) {
    checkPage('itersize', rows);
    this.#itersize = rows;
  }

  /** Always -1, since the number of rows is unknown before they are fetched. */
  override get rowcount(): number {
    return this.#described ? -1 : super.rowcount;
  }

  /** The number of rows fetched, or the row that `scroll()` has moved to; null before `execute()`. */
  override get rownumber(): number | null {
    return this.#described ? this.#position : super.rownumber;
  }

  // --- execution

  /**
   * Declares the cursor for a query; a cursor that it declared before is closed (Psycopg: `execute`). Raises the class of the
   * server's SQLSTATE, such as `NoActiveSqlTransaction` in autocommit without `withhold`; `NotSupportedError` in a pipeline, and
   * for `prepare`.
   */
  override execute(query: Query, params?: Params | null, options: ExecuteOptions = {}): Promise<this> {
    return this.operate(query, async (run) => {
      EXECUTE.check(options);
      this.#checkNoPipeline();
      if (options.prepare !== undefined) {
        throw new errors.NotSupportedError('a server-side cursor is not prepared: execute without `prepare`');
      }
      const { context, signal } = options;
      signal?.throwIfAborted();
      this.reset();
      if (context != null) this.#decoders = new SameDecoder(this.use(context), this);
      if (this.#declared) await this.#closeOnServer(run, signal);
      this.#declared = false;
      const declare = await this.#bound(query, params, signal);
      try {
        await run(declare);
        this.#declared = true;
      } catch (error) {
        // It is unknown whether the DECLARE was cancelled in time.
        this.#declared = signal?.aborted === true;
        throw error;
      }
      await this.#describe(run, declare.text, signal);
      return this;
    });
  }

  async #bound(
    query: Query,
    params: Params | null | undefined,
    signal: AbortSignal | undefined,
  ): Promise<StatementRequest> {
    try {
      const bound = this.bind(query, params);
      const declaration = this.#declaration();
      return this.#core.request({
        text: `${declaration}${bound.text}`,
        shown: bound.shown === undefined ? undefined : () => `${declaration}${shownText(bound)}`,
        executions: [bound.params ?? NO_PARAMS],
        rows: null,
        parameterNames: bound.names,
        prepare: false,
        signal,
      });
    } catch (error) {
      // As in Psycopg, a query that cannot be sent opens a transaction, like one that the server refuses.
      await this.#core.openTransaction();
      throw error;
    }
  }

  #declaration(): string {
    const scroll = this.#scrollable === null ? '' : this.#scrollable ? 'SCROLL ' : 'NO SCROLL ';
    return `DECLARE ${this.#quotedName} ${scroll}CURSOR ${this.#withhold ? 'WITH HOLD ' : ''}FOR `;
  }

  /** Always raises `NotSupportedError`. */
  override executemany(): Promise<void> {
    return Promise.reject(
      new errors.NotSupportedError(
        'executemany() is not possible with a server-side cursor; use another one',
      ),
    );
  }

  // --- fetching

  /** Returns the next row; null at the end (Psycopg: `fetchone`). */
  override async fetchone(options?: FetchOptions): Promise<R | null> {
    const rows = await this.#fetch(FETCHONE, 'fetchone()', () => 1, options);
    return rows.length > 0 ? rows[0]! : null;
  }

  /** Returns the next `size` rows, fewer at the end (Psycopg: `fetchmany`). @default arraysize */
  override fetchmany(size?: number, options?: FetchOptions): Promise<R[]> {
    const count = (): number => {
      if (size !== undefined) checkArgument('the size of fetchmany()', size, SIZE);
      return size !== undefined && size > 0 ? size : this.arraysize;
    };
    return this.#fetch(FETCHMANY, 'fetchmany()', count, options);
  }

  /** Returns all rows that were not fetched (Psycopg: `fetchall`). */
  override fetchall(options?: FetchOptions): Promise<R[]> {
    return this.#fetch(FETCHALL, 'fetchall()', () => null, options);
  }

  /**
   * Iterates over the rows that were not fetched, in pages of `itersize`. Leaving the loop keeps the cursor's position: the next
   * fetch or loop continues from there. To be able to abort, use `fetchmany(size, { signal })`.
   */
  override [Symbol.asyncIterator](): AsyncIterator<R> {
    return {
      next: async () => {
        // Most rows are in the page already, and claiming the cursor for each would cost more than everything else.
        if (this.#at >= this.#page.length) await this.#turnPage();
        else this.checkReady('iteration');
        if (this.#at >= this.#page.length) return { done: true, value: undefined };
        this.#position++;
        return { done: false, value: this.make(this.#page[this.#at++]) };
      },
    };
  }

  /** Fetches the next page for iteration, unless the cursor is at its end. */
  #turnPage(): Promise<void> {
    return this.operate('iteration', async (run) => {
      if (this.#atEnd) return;
      const { itersize } = this;
      this.#page = await this.#fetchRows(run, itersize);
      this.#at = 0;
      this.#atEnd = this.#page.length < itersize;
    });
  }

  /**
   * Moves by `value` rows, or to row `value` if `mode` is 'absolute' (Psycopg: `scroll`). Moving backwards requires `scrollable:
   * true`. Moving beyond the first or the last row is no error, since the server does not report it; `rownumber` is then wrong.
   * As in Psycopg, once a fetch has reached the end, the server's position is after the last row, and it counts from there;
   * 'absolute' is always exact.
   */
  override scroll(
    value: number,
    mode: 'relative' | 'absolute' = 'relative',
    options: FetchOptions = {},
  ): Promise<void> {
    return this.operate('scroll()', async (run) => {
      SCROLL.check(options);
      const { signal } = options;
      signal?.throwIfAborted();
      this.#checkNoPipeline();
      checkScrollMode(mode);
      checkArgument('the value of scroll()', value, DISTANCE);
      const left = this.#page.length - this.#at;
      if (mode === 'absolute') {
        await this.#move(run, `ABSOLUTE ${String(value)}`, signal);
        this.#position = value;
        this.#astray = false;
      } else if (left > 0 && value >= 0 && value <= left) {
        this.#at += value;
        this.#position += value;
        return;
      } else {
        this.#checkPlace();
        // The server is ahead by the rows of the page, and at the end by one more.
        const ahead = left === 0 ? 0 : left + (this.#atEnd ? 1 : 0);
        await this.#move(run, String(Math.max(value - ahead, -MOST_ROWS)), signal);
        this.#position += value;
      }
      this.#dropPage();
    });
  }

  // --- ending

  /**
   * Closes the cursor, on the server as well (Psycopg: `close`). A second call does nothing, nor does a call on a closed or lost
   * connection. If other statements occupy the connection for more than about 5 seconds, the call resolves before the server closes
   * the cursor, which it does after them; if the server does not answer, the connection is given up.
   */
  override close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await super.close();
    const { session } = this.#core;
    if (this.#core.returned || session.closed) return;
    try {
      const closed = this.#closeOnServer((request) => this.#core.run({ ...request, mustBeAnswered: true }));
      await waitFor<unknown>(closed, { seconds: session.limits.ending, late: () => undefined });
    } catch (error) {
      // The cursor has ended with the connection.
      if (!session.closed && !this.#core.returned) throw callersStack(error);
    }
  }

  /** @internal */
  protected override reset(query: string | null = null): void {
    super.reset(query);
    // Loaders may have been registered since.
    this.#decoders = new SameDecoder(this.adapters, this);
    this.#described = false;
    this.#position = 0;
    this.#astray = false;
    this.#dropPage();
  }

  /** @internal */
  protected override stateShown(): string {
    if (!this.#described) return `'${this.#name}': ${super.stateShown()}`;
    return `'${this.#name}': ${this.closed ? 'closed' : `row ${String(this.#position)}`}`;
  }

  // --- internals

  /** Fetches the number of rows that `count` returns (null: all), beginning with those of the page. */
  #fetch(
    known: KnownOptions<FetchOptions>,
    operation: string,
    count: () => number | null,
    options: FetchOptions = {},
  ): Promise<R[]> {
    return this.operate(operation, async (run) => {
      known.check(options);
      const { signal } = options;
      signal?.throwIfAborted();
      const wanted = count();
      const left = this.#page.length - this.#at;
      const fromPage = wanted === null ? left : Math.min(wanted, left);
      const rows = this.#page.slice(this.#at, this.#at + fromPage).map((row) => this.make(row));
      if (wanted === null || wanted > fromPage) {
        const fetched = await this.#fetchRows(run, wanted === null ? null : wanted - fromPage, signal);
        this.#dropPage();
        this.#position += fromPage + fetched.length;
        for (const row of fetched) rows.push(this.make(row));
      } else {
        this.#at += fromPage;
        this.#position += fromPage;
      }
      return rows;
    });
  }

  /** Runs one `FETCH`. A cursor declared in SQL is described first, which begins a transaction like any statement. */
  async #fetchRows(
    run: RunStatement,
    count: number | null,
    signal?: AbortSignal,
  ): Promise<readonly unknown[]> {
    this.#checkNoPipeline();
    this.#checkPlace();
    if (!this.#declared) {
      this.#position = 0;
      await this.#describe(run, this.query, signal);
      this.#declared = true;
    }
    const fetch = this.#command(`FETCH FORWARD ${count === null ? 'ALL' : String(count)} FROM`);
    const results = await this.#onTheWay(run, fetch, signal);
    this.#present(results[0]!, this.query);
    return results[0]!.rows;
  }

  async #move(run: RunStatement, where: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#onTheWay(run, this.#command(`MOVE ${where} FROM`), signal);
  }

  /** Runs a command that moves the cursor on the server. After an abort, the position is unknown. */
  async #onTheWay(
    run: RunStatement,
    request: StatementRequest,
    signal: AbortSignal | undefined,
  ): Promise<readonly StatementResult[]> {
    try {
      return await run(signal === undefined ? request : { ...request, signal });
    } catch (error) {
      this.#astray ||= signal?.aborted === true;
      throw error;
    }
  }

  #checkPlace(): void {
    if (!this.#astray) return;
    throw new errors.OperationalError(
      "a fetch or a move was aborted, and it isn't known whether the server had moved the cursor by then, so the next fetch could miss rows;" +
        " execute the query again, or set the position with scroll(row, 'absolute')",
      { query: this.query },
    );
  }

  async #describe(run: RunStatement, query: string | null, signal?: AbortSignal): Promise<void> {
    const [described] = await run(this.#portal('describe', signal));
    this.#present(described!, query);
  }

  #present(result: StatementResult, query: string | null): void {
    if (this.closed) return;
    this.present(result, query);
    this.#described = true;
  }

  /** Makes a command on the cursor, which begins no transaction. */
  #command(command: string): StatementRequest {
    const request = this.#core.request({
      text: `${command} ${this.#quotedName}`,
      executions: [NO_PARAMS],
      rows: this.#decoders,
      prepare: false,
    });
    return { ...request, begin: null };
  }

  #portal(act: 'describe' | 'close', signal?: AbortSignal): StatementRequest {
    const request = this.#core.request({
      text: `${act} ${this.#quotedName}`,
      executions: [],
      rows: this.#decoders,
      signal,
    });
    return { ...request, portal: { act, name: clipped(this.#name) } };
  }

  #dropPage(): void {
    this.#page = [];
    this.#at = 0;
    this.#atEnd = false;
  }

  /** Closes the cursor on the server, including one that was declared in SQL; outside of its transaction there is none. */
  async #closeOnServer(run: RunStatement, signal?: AbortSignal): Promise<void> {
    const request = this.#portal('close', signal);
    await run({ ...request, begin: null, ...(this.#withhold ? {} : { onlyIf: 'in transaction' }) });
  }

  #checkNoPipeline(): void {
    if (!this.#core.inPipeline) return;
    throw new errors.NotSupportedError('a server-side cursor is not possible in a pipeline; leave it first');
  }
}

function quoteName(name: unknown): string {
  try {
    return quoteIdentifier(name);
  } catch (cause) {
    throw new errors.ProgrammingError(
      `a server-side cursor can't have this name: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The name as the server truncates it, by whole characters. The server does this for names in SQL, but not for a portal's name. */
function clipped(name: string): string {
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length <= LONGEST_NAME) return name;
  let end = LONGEST_NAME;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
