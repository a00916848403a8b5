import type { AsyncConnection } from '../connection/connection.js';
import { HANDLE, type Handle } from '../connection/handle.js';
import * as errors from '../errors/index.js';
import type { Query } from '../query/binding.js';
import { quoteIdentifier } from '../query/identifier.js';
import type { Params } from '../query/placeholders.js';
import type { TupleRow } from '../rows.js';
import type { Hold } from '../session/queue.js';
import type { SentParam, StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder, RowDecoderSource } from '../wire/row-decoder.js';
import { AsyncCursor, type CursorOptions, type ExecuteOptions, type RunStatement } from './cursor.js';
import { rowDecoders } from './result.js';

/** Options of a server-side cursor. */
export interface ServerCursorOptions<R> extends CursorOptions<R> {
  /** Whether it can go back, by `scroll()`; null: as the server decides. @default null */
  scrollable?: boolean | null;
  /** Whether it outlives the transaction it was made in. @default false */
  withhold?: boolean;
}

const DEFAULT_ITERSIZE = 100;
/** What `FETCH` and `MOVE` can count to. */
const MOST_ROWS = 2_147_483_647;
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

  readonly #handle: Handle;
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
  /** The page was the last one. */
  #atEnd = false;
  #closing: Promise<void> | null = null;

  /** A cursor is usually made by `conn.cursor({ name })`. Raises `ProgrammingError` for a name that can't be one. */
  constructor(connection: AsyncConnection<unknown>, name: string, options: ServerCursorOptions<R> = {}) {
    super(connection, options);
    this.#handle = connection[HANDLE];
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
      if (this.#declared) await untilAborted(this.#closeOnServer(run, signal), signal);
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
      const [described] = await run({ ...this.#request('FETCH FORWARD 0 FROM', signal), begin: null });
      this.#present(described!, declare.text, null);
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
      return this.#handle.request({
        text: `${this.#declaration()}${bound.text}`,
        executions: [bound.params ?? NO_PARAMS],
        rows: null,
        prepare: false,
        signal,
      });
    } catch (error) {
      // As in Psycopg, a query that can't be sent opens a transaction like one that the server refuses.
      await this.#handle.openTransaction();
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
  override async fetchone(): Promise<R | null> {
    const rows = await this.#fetch('fetchone()', () => 1);
    return rows.length > 0 ? rows[0]! : null;
  }

  /** The next rows: `size` of them, or fewer at the end. @default arraysize */
  override fetchmany(size?: number): Promise<R[]> {
    return this.#fetch('fetchmany()', () => {
      if (size !== undefined) checkCount('the size of fetchmany()', size, 0);
      if (size !== undefined && size > 0) return size;
      checkCount('arraysize', this.arraysize, 1);
      return this.arraysize;
    });
  }

  /** All rows that have not been fetched. */
  override fetchall(): Promise<R[]> {
    return this.#fetch('fetchall()', () => null);
  }

  /**
   * Iterates over the rows that have not been fetched, which are fetched `itersize` at a time. Leaving the loop leaves the cursor
   * where it is: the next fetch, or loop, goes on from there.
   */
  override [Symbol.asyncIterator](): AsyncIterator<R> {
    return {
      next: () =>
        this.operate('iteration', async (run) => {
          if (this.#at >= this.#page.length && !this.#atEnd) {
            checkCount('itersize', this.itersize, 1);
            const { itersize } = this;
            this.#page = await this.#fetchRows(run, itersize);
            this.#at = 0;
            this.#atEnd = this.#page.length < itersize;
          }
          if (this.#at >= this.#page.length) return { done: true, value: undefined };
          this.#position++;
          return { done: false, value: this.make(this.#page[this.#at++]) };
        }),
    };
  }

  /**
   * Moves by `value` rows, or to row `value` if `mode` is 'absolute'. Backwards needs `scrollable: true`. Moving beyond the first
   * or the last row is no error, since the server does not tell: `rownumber` is then not what it seems. Once a fetch has met the
   * end, the server stands behind the last row, and counts from there, as in Psycopg; 'absolute' is exact in any case.
   */
  override scroll(value: number, mode: 'relative' | 'absolute' = 'relative'): Promise<void> {
    return this.operate('scroll()', async (run) => {
      this.#checkNoPipeline();
      if (mode !== 'relative' && mode !== 'absolute') {
        throw new errors.ProgrammingError(
          `expected the mode of scroll() to be 'relative' or 'absolute', got ${String(mode)}`,
        );
      }
      checkCount('the value of scroll()', value, -MOST_ROWS);
      const left = this.#page.length - this.#at;
      if (mode === 'absolute') {
        await run(this.#move(`MOVE ABSOLUTE ${String(value)} FROM`));
        this.#position = value;
      } else if (left > 0 && value >= 0 && value <= left) {
        this.#at += value;
        this.#position += value;
        return;
      } else {
        // The server is ahead by the rows of the page, and behind the last of all by one more.
        const ahead = left === 0 ? 0 : left + (this.#atEnd ? 1 : 0);
        await run(this.#move(`MOVE ${String(Math.max(value - ahead, -MOST_ROWS))} FROM`));
        this.#position += value;
      }
      this.#dropPage();
    });
  }

  // --- the end

  /**
   * Closes the cursor, on the server as well unless its transaction has ended or failed. Closing twice does nothing, nor does it
   * on a connection that is closed or lost.
   */
  override close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await super.close();
    const { session } = this.#handle;
    if (this.#handle.returned || session.closed) return;
    try {
      await this.#closeOnServer((request, hold) => this.#handle.run(request, hold));
    } catch (error) {
      // With the connection, the cursor is gone.
      if (!session.closed && !this.#handle.returned) throw error;
    }
  }

  /** @internal */
  protected override reset(query: string | null = null): void {
    super.reset(query);
    // Loaders may have been registered since.
    this.#decoders = new SameDecoder(this);
    this.#described = false;
    this.#position = 0;
    this.#dropPage();
  }

  // --- inside

  /** Fetches as many rows as `count` says (null: all), those of the page first. */
  #fetch(operation: string, count: () => number | null): Promise<R[]> {
    return this.operate(operation, async (run) => {
      const wanted = count();
      const left = this.#page.length - this.#at;
      const fromPage = wanted === null ? left : Math.min(wanted, left);
      const rows = this.#page.slice(this.#at, this.#at + fromPage).map((row) => this.make(row));
      if (wanted === null || wanted > fromPage) {
        const fetched = await this.#fetchRows(run, wanted === null ? null : wanted - fromPage);
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

  /** One `FETCH`. The first one of a cursor made in SQL begins a transaction, as any statement does. */
  async #fetchRows(run: RunStatement, count: number | null): Promise<readonly unknown[]> {
    this.#checkNoPipeline();
    const request = this.#request(`FETCH FORWARD ${count === null ? 'ALL' : String(count)} FROM`);
    const [result] = await run(this.#declared ? { ...request, begin: null } : request);
    if (!this.#declared) this.#position = 0;
    this.#declared = true;
    this.#present(result!, this.query, result!.tag);
    return result!.rows;
  }

  #present(result: StatementResult, query: string | null, tag: string | null): void {
    if (this.closed) return;
    this.present({ ...result, tag }, query);
    this.#described = true;
  }

  #request(command: string, signal?: AbortSignal): StatementRequest {
    return this.#handle.request({
      text: `${command} ${this.#quotedName}`,
      executions: [NO_PARAMS],
      rows: this.#decoders,
      prepare: false,
      signal,
    });
  }

  #move(command: string): StatementRequest {
    return { ...this.#request(command), begin: null };
  }

  #dropPage(): void {
    this.#page = [];
    this.#at = 0;
    this.#atEnd = false;
  }

  /**
   * Closes the cursor on the server if it can be there, and is: to close one that is not there would fail the transaction. One
   * made in SQL is closed too.
   */
  #closeOnServer(run: RunStatement, signal?: AbortSignal): Promise<void> {
    return this.#handle.session.exclusively(async (hold: Hold, status) => {
      signal?.throwIfAborted();
      const mayBeThere =
        status === TransactionStatus.INTRANS || (status === TransactionStatus.IDLE && this.#withhold);
      if (!mayBeThere) return;
      const isThere = this.#handle.request({
        // As an identifier the name has been cut off where the type `name` ends.
        text: 'SELECT 1 FROM pg_catalog.pg_cursors WHERE name = $1::text::name',
        executions: [[{ text: this.#name, oid: 0 }]],
        rows: null,
        prepare: false,
        signal,
      });
      const [found] = await run({ ...isThere, begin: null }, hold);
      if (found?.tag === 'SELECT 1') await run({ ...this.#request('CLOSE', signal), begin: null }, hold);
    });
  }

  #checkNoPipeline(): void {
    if (!this.#handle.pipeline.active) return;
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

/** Rejects with the signal's reason as soon as it is aborted, whatever becomes of `work`. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    void work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}

/** Gives one decoder for all fetches of a result, as long as the cursor has the same row factory. */
class SameDecoder implements RowDecoderSource {
  readonly #cursor: AsyncServerCursor<unknown>;
  #known: {
    readonly fields: readonly Field[];
    readonly factory: unknown;
    readonly decoder: RowDecoder;
  } | null = null;

  constructor(cursor: AsyncServerCursor<unknown>) {
    this.#cursor = cursor;
  }

  decoderFor(fields: readonly Field[]): RowDecoder {
    const { adapters, rowFactory: factory } = this.#cursor;
    const known = this.#known;
    if (known?.factory === factory && areSame(known.fields, fields)) return known.decoder;
    const decoder = rowDecoders(adapters, factory).decoderFor(fields);
    this.#known = { fields, factory, decoder };
    return decoder;
  }
}

function areSame(a: readonly Field[], b: readonly Field[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, typeOid, typmod }, i) => {
      const other = b[i]!;
      return name === other.name && typeOid === other.typeOid && typmod === other.typmod;
    })
  );
}
