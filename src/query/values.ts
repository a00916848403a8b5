import { describeKind } from '../options/kinds.js';
import { isDate } from '../types/realm.js';
import * as errors from '../errors/index.js';
import { Composable, Identifier, isComposable, ownComposable } from './composable.js';
import type { Part } from './part.js';

/** A row of `sql.values()`, in the order of the columns. */
type Row = readonly unknown[];

const COMMA: Part = { kind: 'verbatim', text: ', ' };
const NEXT_ROW: Part = { kind: 'verbatim', text: '), (' };
const EQUALS: Part = { kind: 'verbatim', text: ' = ' };
const OPEN: Part = { kind: 'verbatim', text: '(' };
const CLOSE: Part = { kind: 'verbatim', text: ')' };
const VALUES: Part = { kind: 'verbatim', text: ') VALUES (' };

/** Names and values that are kept apart, as in a template. */
class Assembled extends Composable {
  readonly #content: readonly (Part | Composable)[];

  constructor(content: readonly (Part | Composable)[]) {
    super();
    this.#content = content;
  }

  /** @internal */
  override get isTemplate(): boolean {
    return true;
  }

  /** @internal */
  override content(): readonly (Part | Composable)[] {
    return this.#content;
  }
}

/** Composes the rows of an INSERT, or of a list of VALUES; see `sql.values()`. */
export function composeValues(rows: unknown, columns: unknown): Composable {
  const given = columns === undefined ? null : checkColumns(columns);
  const { names, tuples } = readRows(rows, given);
  const content: (Part | Composable)[] = [OPEN];
  if (names !== null) {
    addNames(content, names);
    content.push(VALUES);
  }
  tuples.forEach((tuple, i) => {
    if (i > 0) content.push(NEXT_ROW);
    for (let j = 0; j < tuple.length; j++) {
      if (j > 0) content.push(COMMA);
      content.push(itemOf(tuple[j]));
    }
  });
  content.push(CLOSE);
  return new Assembled(content);
}

/** Composes the assignments of an UPDATE; see `sql.set()`. */
export function composeAssignments(assignments: unknown): Composable {
  if (!isRecord(assignments)) {
    throw new errors.ProgrammingError(
      `expected sql.set() to get an object of columns and their values, got ${describe(assignments)}`,
    );
  }
  const names = Object.keys(assignments);
  if (names.length === 0) {
    throw new errors.ProgrammingError(
      'sql.set() got an object without properties: there is no column to set',
    );
  }
  const content: (Part | Composable)[] = [];
  for (const name of names) {
    const value = assignments[name];
    if (value === undefined) throw noValue(`sql.set(): the column ${shown(name)}`, 'set to undefined');
    if (content.length > 0) content.push(COMMA);
    content.push(new Identifier([name]), EQUALS, itemOf(value));
  }
  return new Assembled(content);
}

function addNames(content: (Part | Composable)[], names: readonly string[]): void {
  names.forEach((name, i) => {
    if (i > 0) content.push(COMMA);
    content.push(new Identifier([name]));
  });
}

function itemOf(value: unknown): Part | Composable {
  return isComposable(value) ? ownComposable(value) : { kind: 'value', value };
}

/** The values of all rows, and the names of their columns; null: rows are arrays, and no names were given. */
function readRows(
  rows: unknown,
  columns: readonly string[] | null,
): { readonly names: readonly string[] | null; readonly tuples: readonly Row[] } {
  if (typeof rows !== 'object' || rows === null || !(Symbol.iterator in rows)) {
    throw new errors.ProgrammingError(
      `expected sql.values() to get an iterable of rows, got ${describe(rows)}; one row is [row]`,
    );
  }
  const all = [...(rows as Iterable<unknown>)];
  if (all.length === 0) {
    throw new errors.ProgrammingError(
      'sql.values() got no rows, for which SQL has no VALUES: execute the query only if there are rows',
    );
  }
  const first = all[0];
  if (Array.isArray(first)) {
    const width = columns?.length ?? first.length;
    return { names: columns, tuples: all.map((row, i) => tupleOf(row, i, width, columns)) };
  }
  if (!isRecord(first)) {
    const advice = all.every((row) => !isRecord(row) && !Array.isArray(row)) ? '; one row is [row]' : '';
    throw new errors.ProgrammingError(
      `sql.values(): expected row 1 to be an array or an object, got ${describe(first)}${advice}`,
    );
  }
  const names = columns ?? Object.keys(first);
  if (names.length === 0) {
    throw new errors.ProgrammingError('sql.values(): row 1 is an object without properties');
  }
  return { names, tuples: all.map((row, i) => picked(row, i, names, columns === null)) };
}

/** Checks a row that should be an array of `width` values. */
function tupleOf(row: unknown, index: number, width: number, columns: readonly string[] | null): Row {
  if (!Array.isArray(row)) throw otherKind(index, 'an array', row);
  if (row.length === 0) throw new errors.ProgrammingError(`sql.values(): ${rowAt(index)} is an empty array`);
  if (row.length !== width) {
    const expected = columns === null ? 'row 1 has' : 'there are columns:';
    throw new errors.ProgrammingError(
      `sql.values(): ${rowAt(index)} has ${String(row.length)} values, but ${expected} ${String(width)}`,
    );
  }
  // A hole of a sparse array is undefined, too.
  for (let j = 0; j < width; j++) {
    if (row[j] !== undefined) continue;
    const column = columns === null ? `column ${String(j + 1)}` : `the column ${shown(columns[j]!)}`;
    throw noValue(`sql.values(): ${column} of ${rowAt(index)}`, 'undefined');
  }
  return row;
}

/** The values of a row that should be an object, in the order of the columns. `derived`: they are those of the first row. */
function picked(row: unknown, index: number, names: readonly string[], derived: boolean): Row {
  if (!isRecord(row)) throw otherKind(index, 'an object', row);
  const values = new Array<unknown>(names.length);
  for (let j = 0; j < names.length; j++) {
    const name = names[j]!;
    // What an object inherits, such as `constructor`, is none of its columns.
    const has = Object.hasOwn(row, name);
    values[j] = has ? row[name] : undefined;
    if (values[j] !== undefined) continue;
    throw noValue(
      `sql.values(): the column ${shown(name)} of ${rowAt(index)}`,
      has ? 'undefined' : 'missing',
    );
  }
  if (derived && index > 0) checkNoMore(row, index, names);
  return values;
}

/** Refuses a property that the first row does not have, whose value would be left out unnoticed. */
function checkNoMore(row: object, index: number, names: readonly string[]): void {
  const own = Object.keys(row);
  if (own.length === names.length) return;
  const known = new Set(names);
  const more = own.find((name) => !known.has(name));
  if (more === undefined) return;
  throw new errors.ProgrammingError(
    `sql.values(): ${rowAt(index)} has the column ${shown(more)}, which row 1 has not; name the columns as the second argument`,
  );
}

function checkColumns(columns: unknown): readonly string[] {
  if (!Array.isArray(columns) || !columns.every((name) => typeof name === 'string')) {
    throw new errors.ProgrammingError(
      'expected the columns of sql.values() to be an array of strings, as its second argument',
    );
  }
  if (columns.length === 0) throw new errors.ProgrammingError('sql.values() got an empty array of columns');
  const seen = new Set<string>();
  for (const name of columns) {
    if (seen.has(name)) {
      throw new errors.ProgrammingError(`sql.values() got the column ${shown(name)} twice`);
    }
    seen.add(name);
  }
  return columns;
}

/** Whether a value is an object with columns, of any class, as opposed to a value of one column. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(Symbol.iterator in value) &&
    !isComposable(value) &&
    !isDate(value) &&
    !ArrayBuffer.isView(value)
  );
}

function otherKind(index: number, expected: string, row: unknown): Error {
  return new errors.ProgrammingError(
    `sql.values(): expected ${rowAt(index)} to be ${expected}, as row 1 is, got ${describe(row)}`,
  );
}

function noValue(where: string, what: string): Error {
  return new errors.ProgrammingError(
    `${where} is ${what}: use null for NULL, sql.DEFAULT for the column's default`,
  );
}

function rowAt(index: number): string {
  return `row ${String(index + 1)}`;
}

/** A name in a message, where it may be of any length. */
function shown(name: string): string {
  return name.length > 63 ? `"${name.slice(0, 60)}…"` : `"${name}"`;
}

function describe(value: unknown): string {
  if (isComposable(value)) return 'a composed query';
  return describeKind(value);
}
