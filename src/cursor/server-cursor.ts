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
import { AsyncCursor } from './cursor.js';
import { SameDecoder } from '../types/decoders.js';
import type { RunStatement } from './operation.js';
import type { CursorOptions, ExecuteOptions } from './options.js';
import { checkScrollMode } from './results.js';

/** Options of a server-side cursor. */
export interface ServerCursorOptions<R> extends CursorOptions<R> {
  /** Whether it can go back, by `scroll()`; null: as the server decides. @default null */
  scrollable?: boolean | null | undefined;
  /** Whether it outlives the transaction it was made in. @default false */
  withhold?: boolean | undefined;
}

/** Options of `conn.cursor()` for a server-side cursor. */
export interface NamedCursorOptions<R> extends ServerCursorOptions<R> {
  /** The name of the cursor on the server. */
  name: string;
}

/** Options of the fetches of a server-side cursor, and of its `scroll()`. */
export interface FetchOptions {
  /**
   * Cancels the fetch, or the move, when it is aborted; the connection stays usable. The cursor has to be executed again then, or told by
   * `scroll(row, 'absolute')` where to go on.
   */
  signal?: AbortSignal | undefined;
}

const DEFAULT_ITERSIZE = 100;
/** What `FETCH` and `MOVE` can count to. */
const MOST_ROWS = 2_147_483_647;
/** Bytes of an identifier. */
const LONGEST_NAME = 63;
const NO_PARAMS: readonly SentParam[] = [];

/**
 * A cursor whose result stays on the server and is fetched piece by piece, by `DECLARE`, `FETCH`, `MOVE` and `CLOSE` (Psycopg:
 * `AsyncServerCursor`). It lives as long as its transaction, or with `withhold` as long as the connection. Between two fetches
 * the connection is free for other statements. Without `execute()`, it fetches from a cursor of its name that was made in SQL.
 *
 * @example
 * await using cur = conn.cursor({ name: 'cities' });
 * await cur.execute('SELECT id, name FROM city');
 * for await (const [id, name] of cur) await conn.execute('INSERT INTO visit VALUES (%s, %s)', [id, name]);
 */
export class AsyncServerCursor<R = TupleRow> extends AsyncCursor<R> {
  /** How many rows iteration fetches at a time. */
  itersize = DEFAULT_ITERSIZE;

  readonly #core: ConnectionCore;
  readonly #name: string;
  readonly #quotedName: string;
  readonly #scrollable: boolean | null;
  readonly #withhold: boolean;
  #decoders: RowDecoderSource;

  /** There is a cursor of this name on the server, as far as is known. */
  #declared = false;
  /** The columns are known. */
  #described = false;
  #position = 0;
  /** Rows that iteration has fetched; those from `#at` on are still to be given. */
  #page: readonly unknown[] = [];
  #at = 0;
  /** Where it stands on the server is not known. */
  #astray = false;
  /** The page was the last one. */
  #atEnd = false;
  #closing: Promise<void> | null = null;

  /** A cursor is usually made by `conn.cursor({ name })`. Raises `ProgrammingError` for a name that can't be one. */
  constructor(
    connection: AsyncConnection<R>,
    name: string,
    options?: Omit<ServerCursorOptions<R>, 'rowFactory'> & { rowFactory?: never },
  );
  constructor(connection: AsyncConnection<unknown>, name: string, options?: ServerCursorOptions<R>);
  constructor(connection: AsyncConnection<unknown>, name: string, options: ServerCursorOptions<R> = {}) {
    super(connection, options);
    this.#core = connection[CORE];
    this.#name = name;
    this.#quotedName = quoteName(name);
    this.#scrollable = options.scrollable ?? null;
    this.#withhold = options.withhold ?? false;
    for (const key of ['scrollable', 'withhold'] as const) {
      const value: unknown = options[key];
      if (value != null && typeof value !== 'boolean') {
        throw new errors.ProgrammingError(`expected \`${key}\` to be true or false, got ${typeof value}`);
      }
    }
    this.#decoders = new SameDecoder(this);
  }

  /** The name of the cursor on the server. */
  get name(): string {
    return this.#name;
  }

  /** Whether it can go back; null: as the server decided. */
  get scrollable(): boolean | null {
    return this.#scrollable;
  }

  /** Whether it outlives its transaction. */
  get withhold(): boolean {
    return this.#withhold;
  }

  /** Always -1: how many rows there are is not known before they are fetched. */
  override get rowcount(): number {
    return this.#described ? -1 : super.rowcount;
  }

  /** How many rows have been fetched, or where `scroll()` has moved to; null before `execute()`. */
  override get rownumber(): number | null {
    return this.#described ? this.#position : super.rownumber;
  }

  // --- execution

  /**
   * Declares the cursor for a query; one that it had declared before is closed. Raises the class of the server's SQLSTATE, such
   * as `NoActiveSqlTransaction` in autocommit without `withhold`; `NotSupportedError` in a pipeline, and for `prepare`.
   */
  override execute(query: Query, params?: Params | null, options: ExecuteOptions = {}): Promise<this> {
    return this.operate(query, async (run) => {
      this.#checkNoPipeline();
      if (options.prepare !== undefined) {
        throw new errors.NotSupportedError('a server-side cursor is not prepared: execute without `prepare`');
      }
      const { signal } = options;
      signal?.throwIfAborted();
      this.reset();
      if (this.#declared) await this.#closeOnServer(run, signal);
      this.#declared = false;
      const declare = await this.#bound(query, params, signal);
      try {
        await run(declare);
        this.#declared = true;
      } catch (error) {
        // Whether it was cancelled in time is not known.
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
        prepare: false,
        signal,
      });
    } catch (error) {
      // As in Psycopg, a query that can't be sent opens a transaction like one that the server refuses.
      await this.#core.openTransaction();
      throw error;
    }
  }

  #declaration(): string {
    const scroll = this.#scrollable === null ? '' : this.#scrollable ? 'SCROLL ' : 'NO SCROLL ';
    return `DECLARE ${this.#quotedName} ${scroll}CURSOR ${this.#withhold ? 'WITH HOLD ' : ''}FOR `;
  }

  /** Not possible: raises `NotSupportedError`. */
  override executemany(): Promise<void> {
    return Promise.reject(
      new errors.NotSupportedError(
        'executemany() is not possible with a server-side cursor; use another one',
      ),
    );
  }

  // --- fetching

  /** The next row, or null at the end. */
  override async fetchone(options?: FetchOptions): Promise<R | null> {
    const rows = await this.#fetch('fetchone()', () => 1, options);
    return rows.length > 0 ? rows[0]! : null;
  }

  /** The next rows: `size` of them, or fewer at the end. @default arraysize */
  override fetchmany(size?: number, options?: FetchOptions): Promise<R[]> {
    const count = (): number => {
      if (size !== undefined) checkCount('the size of fetchmany()', size, 0);
      if (size !== undefined && size > 0) return size;
      checkCount('arraysize', this.arraysize, 1);
      return this.arraysize;
    };
    return this.#fetch('fetchmany()', count, options);
  }

  /** All rows that have not been fetched. */
  override fetchall(options?: FetchOptions): Promise<R[]> {
    return this.#fetch('fetchall()', () => null, options);
  }

  /**
   * Iterates over the rows that have not been fetched, which are fetched `itersize` at a time. Leaving the loop leaves the cursor
   * where it is: the next fetch, or loop, goes on from there. To be able to abort it, fetch with `fetchmany(size, { signal })`.
   */
  override [Symbol.asyncIterator](): AsyncIterator<R> {
    return {
      next: async () => {
        // Most rows are there already, and claiming the cursor for each would cost more than the rest.
        if (this.#at >= this.#page.length) await this.#turnPage();
        else this.checkReady('iteration');
        if (this.#at >= this.#page.length) return { done: true, value: undefined };
        this.#position++;
        return { done: false, value: this.make(this.#page[this.#at++]) };
      },
    };
  }

  /** Fetches the rows that iteration is to give next, unless there are none. */
  #turnPage(): Promise<void> {
    return this.operate('iteration', async (run) => {
      if (this.#atEnd) return;
      checkCount('itersize', this.itersize, 1);
      const { itersize } = this;
      this.#page = await this.#fetchRows(run, itersize);
      this.#at = 0;
      this.#atEnd = this.#page.length < itersize;
    });
  }

  /**
   * Moves by `value` rows, or to row `value` if `mode` is 'absolute'. Backwards needs `scrollable: true`. Moving beyond the first
   * or the last row is no error, since the server does not tell: `rownumber` is then not what it seems. Once a fetch has met the
   * end, the server stands behind the last row, and counts from there, as in Psycopg; 'absolute' is exact in any case.
   */
  override scroll(
    value: number,
    mode: 'relative' | 'absolute' = 'relative',
    { signal }: FetchOptions = {},
  ): Promise<void> {
    return this.operate('scroll()', async (run) => {
      signal?.throwIfAborted();
      this.#checkNoPipeline();
      checkScrollMode(mode);
      checkCount('the value of scroll()', value, -MOST_ROWS);
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
        // The server is ahead by the rows of the page, and behind the last of all by one more.
        const ahead = left === 0 ? 0 : left + (this.#atEnd ? 1 : 0);
        await this.#move(run, String(Math.max(value - ahead, -MOST_ROWS)), signal);
        this.#position += value;
      }
      this.#dropPage();
    });
  }

  // --- the end

  /**
   * Closes the cursor, on the server as well. Closing twice does nothing, nor does it on a connection that is closed or lost.
   */
  override close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await super.close();
    const { session } = this.#core;
    if (this.#core.returned || session.closed) return;
    try {
      await this.#closeOnServer((request) => this.#core.run(request));
    } catch (error) {
      // With the connection, the cursor is gone.
      if (!session.closed && !this.#core.returned) throw callersStack(error);
    }
  }

  /** @internal */
  protected override reset(query: string | null = null): void {
    super.reset(query);
    // Loaders may have been registered since.
    this.#decoders = new SameDecoder(this);
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

  // --- inside

  /** Fetches as many rows as `count` says (null: all), those of the page first. */
  #fetch(operation: string, count: () => number | null, { signal }: FetchOptions = {}): Promise<R[]> {
    return this.operate(operation, async (run) => {
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

  /** One `FETCH`. That of a cursor made in SQL describes it first, which begins a transaction, as any statement does. */
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

  /** Runs what moves the cursor on the server: aborted, it may have moved or not. */
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
      "a fetch, or a move, was aborted, and it isn't known whether the server had made its rows by then: to go on would be to miss them;" +
        " execute the query again, or say where to go on with scroll(row, 'absolute')",
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

  /** A command on the cursor, which begins no transaction. */
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

  /** Closes the cursor on the server, be it one that was made in SQL; outside of its transaction there is none. */
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

function checkCount(what: string, value: unknown, least: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= MOST_ROWS) return;
  throw new errors.ProgrammingError(
    `expected ${what} to be a whole number from ${String(least)} to ${String(MOST_ROWS)}, got ${String(value)}`,
  );
}

/** The name as the server has cut it off, by whole characters: in SQL it does so itself, with a portal's name it does not. */
function clipped(name: string): string {
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length <= LONGEST_NAME) return name;
  let end = LONGEST_NAME;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
