import { describeField, type Column, type KnownTypes } from '../column.js';
import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { checkArgument, checkKind, expected, FUNCTION, whole, type Kind } from '../options/kinds.js';
import { dictRow, tupleRow, type RowFactory, type RowSource } from '../rows.js';
import type { RowBatch } from '../session/exchange.js';
import { affectedRows, type StatementResult } from '../session/statement.js';
import { ObjectDecoder } from '../wire/row-decoder.js';
import type { StreamedBatch } from './streamed-rows.js';

const SIZE = whole(0);
const INTEGER: Kind = { what: 'a whole number', is: Number.isInteger };

/** Returns a decoded row unchanged. */
const rowAsItIs = (row: unknown): never => row as never;

/** Calls a row factory, whose errors keep their stacks. */
function made<R>(factory: RowFactory<R>, source: RowSource): ReturnType<RowFactory<R>> {
  try {
    const make = factory(source);
    if (typeof make !== 'function') throw notMade(make);
    return make;
  } catch (error) {
    throw keepStack(error);
  }
}

function notMade(made: unknown): Error {
  return expected(
    'what a row factory returns',
    'a function that makes a row of its values (for a function of a row itself there are argsRow(), kwargsRow() and classRow())',
    made,
  );
}

/** One result of a cursor. Its columns are described on demand. */
class CursorResult {
  /** The rows as decoded; `rowMaker()` converts them when they are fetched. */
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

  /** Whether the result has rows, possibly zero; false for an INSERT without RETURNING. */
  get hasRows(): boolean {
    return this.#result.fields !== null;
  }

  /** Returns the function that converts decoded rows for `factory`; null without rows. */
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

  /** Whether the rows of `other` were made by the same decoder. */
  isDecodedAs(other: CursorResult): boolean {
    return this.#result.decoder !== null && this.#result.decoder === other.#result.decoder;
  }

  get description(): readonly Column[] | null {
    return (this.#description ??=
      this.#result.fields?.map((field) => describeField(field, this.#types)) ?? null);
  }

  /** The number of rows returned or affected; -1 if not applicable. */
  get rowcount(): number {
    return this.hasRows ? this.rows.length : (affectedRows(this.statusmessage) ?? -1);
  }
}

/** The total of statements that leave no results. */
interface Total {
  rowcount: number;
  statusmessage: string | null;
}

/** An immutable empty list; the first results come in an array of their own. */
const NONE: CursorResult[] = [];

/** The results of a cursor's last operation, the current one of them, and the position in it. */
export class Results<R> {
  readonly #cursor: RowSource;
  #rowFactory: RowFactory<R>;
  #list = NONE;
  #index = 0;
  #position = 0;
  /** Makes the rows of the current result, or of the stream; null until one is fetched. */
  #makeRow: ((row: unknown) => R) | null = null;
  /** The columns of rows that are not kept: those of a stream or of a COPY. */
  #columns: readonly Column[] | null = null;
  /** Set by `executemany()` without `returning` and by COPY, which leave no result. */
  #total: Total | null = null;

  /** `cursor` is the argument of the row factory. */
  constructor(cursor: RowSource, rowFactory: RowFactory<R>) {
    this.#cursor = cursor;
    if (typeof rowFactory !== 'function') checkKind('rowFactory', rowFactory, FUNCTION);
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

  /** The row factory. A change applies to rows that are not fetched yet. */
  get rowFactory(): RowFactory<R> {
    return this.#rowFactory;
  }
  set rowFactory(factory: RowFactory<R>) {
    checkKind('rowFactory', factory, FUNCTION);
    this.#rowFactory = factory;
    this.#makeRow = this.current?.rowMaker(factory, this.#cursor) ?? null;
  }

  /** The description of the results. */
  get shown(): string {
    const { current } = this;
    if (current === undefined) return this.statusmessage ?? 'no result';
    const tag = current.statusmessage ?? 'no command';
    return current.hasRows ? `${tag}, row ${String(this.#position)} of ${String(current.rows.length)}` : tag;
  }

  // --- called by operations; `types` name the columns' types

  clear(): void {
    this.#list = NONE;
    this.#index = 0;
    this.#position = 0;
    this.#makeRow = null;
    this.#columns = null;
    this.#total = null;
  }

  /** Replaces the results and selects the first. */
  set(results: readonly StatementResult[], types: KnownTypes): void {
    this.#list = results.map((result) => new CursorResult(result, types));
    this.#go(0);
  }

  /** Adds what a statement has left: its results, or, unless these are to be kept, only what it has affected. */
  collect(results: readonly StatementResult[], keep: boolean, types: KnownTypes): void {
    if (keep) this.#add(results, types);
    else this.count(results);
  }

  /** Appends results. */
  #add(results: readonly StatementResult[], types: KnownTypes): void {
    if (this.#list.length === 0) {
      this.set(results, types);
      return;
    }
    for (const result of results) this.#list.push(new CursorResult(result, types));
  }

  /** Adds up the affected rows of results that are not kept. */
  count(results: readonly StatementResult[]): void {
    const total = (this.#total ??= { rowcount: 0, statusmessage: null });
    for (const { tag } of results) {
      total.rowcount += affectedRows(tag) ?? 0;
      total.statusmessage = tag;
    }
  }

  /** Makes `result` the only one; it may be the next piece of the same result. */
  present(result: StatementResult, types: KnownTypes): void {
    const shown = new CursorResult(result, types);
    // Rows of the same decoder keep their row maker, so that the row factory is called once per result.
    const make = this.current?.isDecodedAs(shown) === true ? this.#makeRow : null;
    this.#list = [shown];
    if (make === null) this.#go(0);
  }

  /** Shows the columns of rows that will be passed on, or the result of a statement that returns none. */
  opened(batch: RowBatch | StatementResult, types: KnownTypes): void {
    const result: StatementResult = { tag: null, ...batch };
    if (result.fields === null) this.set([result], types);
    else this.#columns = new CursorResult(result, types).description;
  }

  /** Returns rows that are passed on without being kept, with their row maker; null if the statement returns no rows. */
  passing(batch: RowBatch | StatementResult, types: KnownTypes): StreamedBatch<R> | null {
    const result = new CursorResult({ tag: null, ...batch }, types);
    if (!result.hasRows) return null;
    // As in Psycopg, no row factory is called where no row comes.
    if (result.rows.length === 0) return { rows: result.rows, make: rowAsItIs };
    this.#columns ??= result.description;
    this.#makeRow ??= result.rowMaker(this.#rowFactory, this.#cursor);
    return { rows: result.rows, make: this.#makeRow! };
  }

  /** A COPY with this number of columns has begun. */
  copying(columns: number): void {
    this.#columns = copyColumns(columns);
    this.#total = { rowcount: -1, statusmessage: null };
  }

  /** The COPY is complete. */
  copied(direction: 'in' | 'out', tag: string, types: KnownTypes): void {
    if (direction === 'out') {
      // As in Psycopg, which keeps the result with which the COPY began.
      this.#total = { rowcount: affectedRows(tag) ?? -1, statusmessage: null };
      return;
    }
    this.clear();
    this.set([{ fields: null, rows: [], decoder: null, tag }], types);
  }

  // --- rows of the current result; raises `ProgrammingError` if it has none

  /** Returns the next row as an iterator result, since a row may be null, which `one()` returns at the end. */
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

  /** Returns `size` rows, or `arraysize` if it is undefined. */
  many(size: number | undefined, arraysize: number): R[] {
    const { rows } = this.#fetchable();
    if (size !== undefined) checkArgument('the size of fetchmany()', size, SIZE);
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
    checkArgument('the value of scroll()', value, INTEGER);
    const position = mode === 'relative' ? this.#position + value : value;
    if (position < 0 || position >= rows.length) {
      throw new errors.ProgrammingError(
        `scroll() to row ${String(position)} is out of bounds: the result has ${String(rows.length)} rows`,
      );
    }
    this.#position = position;
  }

  /** Converts a decoded row of the current result to the row that is fetched. */
  make(row: unknown): R {
    return this.#maker()(row);
  }

  // --- selecting the current result

  /** Selects the next result; returns false if there is none. */
  advance(): boolean {
    if (this.#index >= this.#list.length - 1) return false;
    this.#go(this.#index + 1);
    return true;
  }

  /** Selects the result at `index`; a negative index counts from the end. */
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
    // A factory that cannot make rows of these columns throws now, not at the first fetch.
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

/** Raises `ProgrammingError` for an invalid mode of `scroll()`. */
export function checkScrollMode(mode: unknown): void {
  if (mode === 'relative' || mode === 'absolute') return;
  throw new errors.ProgrammingError(
    `expected the mode of scroll() to be 'relative' or 'absolute', got ${String(mode)}`,
  );
}

/** Describes the columns of a COPY, of which only the number is known, as Psycopg does. */
function copyColumns(count: number): readonly Column[] {
  return Array.from({ length: count }, (_, i) =>
    describeField({
      name: `column_${String(i + 1)}`,
      typeOid: 0,
      typeSize: 0,
      typmod: -1,
      tableOid: 0,
      tableColumn: 0,
    }),
  );
}
