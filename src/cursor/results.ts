import { describeField, type Column, type KnownTypes } from '../column.js';
import { copyColumns } from '../copy/columns.js';
import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { dictRow, tupleRow, type RowFactory, type RowSource } from '../rows.js';
import type { RowBatch } from '../session/exchange.js';
import { affectedRows, type StatementResult } from '../session/statement.js';
import { ObjectDecoder } from '../wire/row-decoder.js';
import type { StreamedBatch } from './streamed-rows.js';

/** What makes a row of one that is as it should be. */
const rowAsItIs = (row: unknown): never => row as never;

function made<R>(factory: RowFactory<R>, source: RowSource): ReturnType<RowFactory<R>> {
  try {
    return factory(source);
  } catch (error) {
    throw keepStack(error);
  }
}

/** One result of a cursor, with its columns described when they are asked for. */
class CursorResult {
  /** The rows as they were decoded; `rowMaker()` makes of them what is fetched. */
  readonly rows: readonly unknown[];
  readonly statusmessage: string | null;
  readonly #result: StatementResult;
  readonly #types: KnownTypes;
  #description: readonly Column[] | null | undefined;

  constructor(result: StatementResult, types: KnownTypes) {
    this.#types = types;
    this.#result = result;
    this.rows = result.rows;
    this.statusmessage = result.tag;
  }

  /** Whether it has rows, be it none: `false` for an INSERT without RETURNING. */
  get hasRows(): boolean {
    return this.#result.fields !== null;
  }

  /** What makes the rows to be fetched, as `factory` wants them, of the decoded ones; null if there are none. */
  rowMaker<R>(factory: RowFactory<R>, source: RowSource): ((row: unknown) => R) | null {
    if (!this.hasRows) return null;
    const { decoder } = this.#result;
    if (decoder instanceof ObjectDecoder) {
      if ((factory as unknown) === dictRow) return rowAsItIs;
      const make = made(factory, source);
      return (row) => make(decoder.valuesOf(row as Record<string, unknown>));
    }
    if ((factory as unknown) === tupleRow) return rowAsItIs;
    return made(factory, source) as (row: unknown) => R;
  }

  /** Whether the rows of `other` were made by what made these. */
  isDecodedAs(other: CursorResult): boolean {
    return this.#result.decoder !== null && this.#result.decoder === other.#result.decoder;
  }

  get description(): readonly Column[] | null {
    return (this.#description ??=
      this.#result.fields?.map((field) => describeField(field, this.#types)) ?? null);
  }

  /** How many rows it has or affected; -1 where that has no meaning. */
  get rowcount(): number {
    return this.hasRows ? this.rows.length : (affectedRows(this.statusmessage) ?? -1);
  }
}

/** The total of statements that leave no result of their own. */
interface Total {
  rowcount: number;
  statusmessage: string | null;
}

/** Never added to: the first results come in an array of their own. */
const NONE: CursorResult[] = [];

/** What the last operation of a cursor has left: its results, one of which is the current one, and the place in that of the next row. */
export class Results<R> {
  readonly #cursor: RowSource;
  readonly #types: KnownTypes;
  #rowFactory: RowFactory<R>;
  #list = NONE;
  #index = 0;
  #position = 0;
  #makeRow: ((row: unknown) => R) | null = null;
  /** Columns of rows that are not kept: those of a stream, and of a COPY. */
  #columns: readonly Column[] | null = null;
  /** Set by `executemany()` without `returning` and by COPY, which leave no result. */
  #total: Total | null = null;

  /** `cursor` is what the row factory is given; `types` name the columns' types. */
  constructor(cursor: RowSource, types: KnownTypes, rowFactory: RowFactory<R>) {
    this.#cursor = cursor;
    this.#types = types;
    this.#rowFactory = rowFactory;
  }

  get current(): CursorResult | undefined {
    return this.#list[this.#index];
  }

  get description(): readonly Column[] | null {
    return this.current?.description ?? this.#columns;
  }

  get rowcount(): number {
    return this.#total?.rowcount ?? this.current?.rowcount ?? -1;
  }

  get rownumber(): number | null {
    return this.current?.hasRows === true ? this.#position : null;
  }

  get statusmessage(): string | null {
    return this.#total?.statusmessage ?? this.current?.statusmessage ?? null;
  }

  /** Makes the rows. A change applies to the rows not fetched yet. */
  get rowFactory(): RowFactory<R> {
    return this.#rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    this.#rowFactory = factory;
    this.#makeRow = this.current?.rowMaker(factory, this.#cursor) ?? null;
  }

  /** What is to be printed of them. */
  get shown(): string {
    const { current } = this;
    if (current === undefined) return this.statusmessage ?? 'no result';
    const tag = current.statusmessage ?? 'no command';
    return current.hasRows ? `${tag}, row ${String(this.#position)} of ${String(current.rows.length)}` : tag;
  }

  // --- what operations leave

  clear(): void {
    this.#list = NONE;
    this.#index = 0;
    this.#position = 0;
    this.#makeRow = null;
    this.#columns = null;
    this.#total = null;
  }

  /** Makes these the results, and the first of them the current one. */
  set(results: readonly StatementResult[]): void {
    this.#list = results.map((result) => new CursorResult(result, this.#types));
    this.#go(0);
  }

  /** Puts these behind the results that there are. */
  add(results: readonly StatementResult[]): void {
    if (this.#list.length === 0) {
      this.set(results);
      return;
    }
    for (const result of results) this.#list.push(new CursorResult(result, this.#types));
  }

  /** Adds up what these have affected, and keeps none of them. */
  count(results: readonly StatementResult[]): void {
    const total = (this.#total ??= { rowcount: 0, statusmessage: null });
    for (const { tag } of results) {
      total.rowcount += affectedRows(tag) ?? 0;
      total.statusmessage = tag;
    }
  }

  /** Makes `result` the only one that there is, be it the next piece of what the last one was a piece of. */
  present(result: StatementResult): void {
    const shown = new CursorResult(result, this.#types);
    // Rows decoded as those before are made as those before: the row factory is asked once.
    const make = this.current?.isDecodedAs(shown) === true ? this.#makeRow : null;
    this.#list = [shown];
    if (make === null) this.#go(0);
  }

  /** Rows that pass without being kept, and what makes them; null if the statement returns none. */
  passing(batch: RowBatch | StatementResult): StreamedBatch<R> | null {
    const result = new CursorResult({ tag: null, ...batch }, this.#types);
    if (!result.hasRows) return null;
    if (result.rows.length > 0) this.#columns ??= result.description;
    return { rows: result.rows, make: result.rowMaker(this.#rowFactory, this.#cursor)! };
  }

  /** A COPY of so many columns has begun. */
  copying(columns: number): void {
    this.#columns = copyColumns(columns);
    this.#total = { rowcount: -1, statusmessage: null };
  }

  /** The COPY has been completed. */
  copied(direction: 'in' | 'out', tag: string): void {
    if (direction === 'out') {
      // As in Psycopg, which keeps the result that the COPY began with.
      this.#total = { rowcount: affectedRows(tag) ?? -1, statusmessage: null };
      return;
    }
    this.clear();
    this.set([{ fields: null, rows: [], decoder: null, tag }]);
  }

  // --- the rows of the current one: raises `ProgrammingError` if it has none

  /** The next row as an iterator gives it: one may be null, where `one()` says so of the end. */
  next(): IteratorResult<R, undefined> {
    const { rows } = this.#fetchable();
    return this.#position < rows.length
      ? { done: false, value: this.#maker()(rows[this.#position++]) }
      : { done: true, value: undefined };
  }

  one(): R | null {
    const { rows } = this.#fetchable();
    return this.#position < rows.length ? this.#maker()(rows[this.#position++]) : null;
  }

  /** `size` rows, or `arraysize` where none is given. */
  many(size: number | undefined, arraysize: number): R[] {
    const { rows } = this.#fetchable();
    if (size !== undefined && !(Number.isInteger(size) && size >= 0)) {
      throw new errors.ProgrammingError(
        `expected the size of fetchmany() to be a whole number, got ${String(size)}`,
      );
    }
    const wanted = size === undefined || size === 0 ? arraysize : size;
    return this.#upTo(Math.min(this.#position + wanted, rows.length), rows);
  }

  all(): R[] {
    const { rows } = this.#fetchable();
    return this.#upTo(rows.length, rows);
  }

  scroll(value: number, mode: 'relative' | 'absolute'): void {
    const { rows } = this.#fetchable();
    checkScrollMode(mode);
    const position = mode === 'relative' ? this.#position + value : value;
    if (!Number.isInteger(position) || position < 0 || position >= rows.length) {
      throw new errors.ProgrammingError(
        `scroll() to row ${String(position)} is out of bounds: the result has ${String(rows.length)} rows`,
      );
    }
    this.#position = position;
  }

  /** Makes a row to be fetched of a decoded one of the current result. */
  make(row: unknown): R {
    return this.#maker()(row);
  }

  // --- which one is the current one

  /** Goes on to the next result; false if there is none. */
  advance(): boolean {
    if (this.#index >= this.#list.length - 1) return false;
    this.#go(this.#index + 1);
    return true;
  }

  /** Goes to the result at `index`; a negative one counts from the end. */
  select(index: number): void {
    const count = this.#list.length;
    if (!Number.isInteger(index) || index < -count || index >= count) {
      throw new errors.ProgrammingError(
        `result ${String(index)} is out of range: there are ${String(count)}`,
      );
    }
    this.#go(index < 0 ? count + index : index);
  }

  #go(index: number): void {
    this.#index = index;
    this.#position = 0;
    // A factory that can't make rows of these columns says so now, not at the first fetch.
    this.#makeRow = this.current?.rowMaker(this.#rowFactory, this.#cursor) ?? null;
  }

  #fetchable(): CursorResult {
    const { current } = this;
    if (current?.hasRows !== true) throw notFetchable(current);
    return current;
  }

  #maker(): (row: unknown) => R {
    return (this.#makeRow ??= this.current!.rowMaker(this.#rowFactory, this.#cursor)!);
  }

  #upTo(end: number, rows: readonly unknown[]): R[] {
    const start = this.#position;
    this.#position = Math.max(start, end);
    const make = this.#maker();
    if (make === rowAsItIs) return rows.slice(start, end) as R[];
    const made = new Array<R>(Math.max(0, end - start));
    for (let i = 0; i < made.length; i++) made[i] = make(rows[start + i]);
    return made;
  }
}

function notFetchable(result: CursorResult | undefined): Error {
  if (result === undefined) return new errors.ProgrammingError('no result available: execute a query first');
  const detail = result.statusmessage === null ? 'an empty query' : `command status: ${result.statusmessage}`;
  return new errors.ProgrammingError(`the last operation didn't produce rows to fetch (${detail})`);
}

/** Raises `ProgrammingError` for what is no mode of `scroll()`. */
export function checkScrollMode(mode: unknown): void {
  if (mode === 'relative' || mode === 'absolute') return;
  throw new errors.ProgrammingError(
    `expected the mode of scroll() to be 'relative' or 'absolute', got ${String(mode)}`,
  );
}
