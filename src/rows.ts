import type { Column } from './column.js';
import * as errors from './errors/index.js';
import { checkArgument, expected, FUNCTION } from './options/kinds.js';

/** The argument of a row factory: a cursor with its result's columns. */
export interface RowSource {
  /** The columns; null if the statement returned no rows. */
  readonly description: readonly Column[] | null;
}

/**
 * Makes the rows of one result (Psycopg: `RowFactory`). It is called once per result and returns a function, which converts each
 * row's values to what the fetch methods return.
 */
export type RowFactory<T> = (cursor: RowSource) => (values: readonly unknown[]) => T;

/** A row as an array of values: the default. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the values' types are known to the query only
export type TupleRow = any[];

/** A row as an object with a property per column. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the values' types are known to the query only
export type DictRow = Record<string, any>;

/** Makes rows as arrays of values (Psycopg: `tuple_row`). */
export function tupleRow<T = TupleRow>(_cursor: RowSource): (values: readonly unknown[]) => T {
  return (values) => values as T;
}

/**
 * Makes rows as objects with a property per column (Psycopg: `dict_row`). If columns share a name, the last one wins.
 *
 * @example
 * const cur = conn.cursor({ rowFactory: dictRow<{ id: number; name: string }> });
 */
export function dictRow<T = DictRow>(cursor: RowSource): (values: readonly unknown[]) => T {
  const names = columnNames(cursor);
  return names === null ? noResult : objectsOf(names);
}

/**
 * Makes rows as objects like `dictRow`, with names in camel case: `created_at` becomes `createdAt`. Underscores between two other
 * characters are dropped, and the letter after them becomes a capital: `line_2_total` is `line2Total`, `a__b` is `aB`. Underscores
 * at the beginning or the end and all other characters stay: `_id`, `type_`, `userId`. If columns share a name, the last one wins.
 * Raises `ProgrammingError` if columns of different names have the same name in camel case.
 *
 * @example
 * const cur = conn.cursor({ rowFactory: camelRow<{ id: number; createdAt: Date }> });
 */
export function camelRow<T = DictRow>(cursor: RowSource): (values: readonly unknown[]) => T {
  const names = columnNames(cursor);
  if (names === null) return noResult;
  const columns = new Map<string, string>();
  return objectsOf(
    names.map((name) => {
      const key = inCamelCase(name);
      const before = columns.get(key);
      if (before !== undefined && before !== name) {
        throw new errors.ProgrammingError(
          `the columns '${before}' and '${name}' both become '${key}' in camel case; give one of them another name with AS`,
        );
      }
      columns.set(key, name);
      return key;
    }),
  );
}

/** Underscores between two other characters, and the second of these. */
const INNER_UNDERSCORES = /(?<=[^_])_+([^_])/gu;

function inCamelCase(name: string): string {
  return name.replace(INNER_UNDERSCORES, (_, next: string) => next.toUpperCase());
}

/** Makes objects with these properties, in order. */
function objectsOf<T>(names: readonly string[]): (values: readonly unknown[]) => T {
  const width = names.length;
  if (names.includes('__proto__')) {
    // Assigning the property `__proto__` would set the prototype.
    return (values) => Object.fromEntries(names.map((name, i) => [name, values[i]])) as T;
  }
  return (values) => {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < width; i++) row[names[i]!] = values[i];
    return row as T;
  };
}

/** Words that destructuring cannot bind, so that they are useless as field names. */
const RESERVED = new Set(
  (
    'await break case catch class const continue debugger default delete do else enum export extends false finally for function' +
    ' if implements import in instanceof interface let new null package private protected public return static super switch' +
    ' this throw true try typeof var void while with yield'
  ).split(' '),
);

/** A row as an array whose values are also properties. */
export type NamedTupleRow = TupleRow & DictRow;

/**
 * Makes rows as arrays whose values are also properties, named by the columns (Psycopg: `namedtuple_row`). Characters that an
 * identifier cannot contain become underscores. Raises `ProgrammingError` for unusable names: reserved words, properties of
 * arrays, and duplicates.
 */
export function namedtupleRow<T = NamedTupleRow>(cursor: RowSource): (values: readonly unknown[]) => T {
  const names = columnNames(cursor)?.map(asIdentifier) ?? null;
  if (names === null) return noResult;
  const seen = new Set<string>();
  for (const name of names) {
    if (RESERVED.has(name) || name in Array.prototype || seen.has(name)) {
      throw new errors.ProgrammingError(
        `a named tuple can't have a field named '${name}'${seen.has(name) ? ' twice' : ''}; give the column another name with AS`,
      );
    }
    seen.add(name);
  }
  // The names are accessors of a shared prototype, so that a row costs no more than its array.
  const prototype = Object.create(Array.prototype) as object;
  names.forEach((name, i) => {
    Object.defineProperty(prototype, name, {
      get(this: unknown[]) {
        return this[i];
      },
    });
  });
  return (values) => Object.setPrototypeOf([...values], prototype) as T;
}

/** Makes rows by calling `fn` with the values in order (Psycopg: `args_row`). */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the values' types are known to the query only
export function argsRow<T>(fn: (...values: any[]) => T): RowFactory<T> {
  checkArgument('the argument of argsRow()', fn, FUNCTION);
  return () => (values) => fn(...values);
}

/** Makes rows by calling `fn` with an object of the values (Psycopg: `kwargs_row`). */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the values' types are known to the query only
export function kwargsRow<T>(fn: (row: any) => T): RowFactory<T> {
  checkArgument('the argument of kwargsRow()', fn, FUNCTION);
  return (cursor) => {
    if (cursor.description === null) return noResult;
    const make = dictRow(cursor);
    return (values) => fn(make(values));
  };
}

/**
 * Makes rows as instances of a class, whose constructor receives an object of the values (Psycopg: `class_row`, which passes
 * keyword arguments). A plain function is called, as in Psycopg; the row is its result, or the object it made of `this` if it
 * returns none.
 *
 * @example
 * class User {
 *   constructor(readonly row: { id: number; name: string }) {}
 * }
 * const cur = conn.cursor({ rowFactory: classRow(User) });
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the values' types are known to the query only
export function classRow<T>(rowClass: (new (row: any) => T) | ((row: any) => T)): RowFactory<T> {
  checkArgument('the argument of classRow()', rowClass, FUNCTION);
  if (isClass(rowClass)) return kwargsRow((row) => new rowClass(row));
  const prototype = (rowClass.prototype as object | undefined) ?? Object.prototype;
  return kwargsRow((row) => {
    const made = Object.create(prototype) as T;
    return rowClass.call(made, row) ?? made;
  });
}

function isClass<T>(value: (new (row: never) => T) | ((row: never) => T)): value is new (row: never) => T {
  return Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false;
}

/**
 * Makes rows as the value of their first column (Psycopg: `scalar_row`). Raises `ProgrammingError` for a result without columns.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the value's type is known to the query only
export function scalarRow<T = any>(cursor: RowSource): (values: readonly unknown[]) => T {
  if (cursor.description === null) return noResult;
  if (cursor.description.length === 0)
    throw new errors.ProgrammingError('scalarRow needs at least one column');
  return (values) => values[0] as T;
}

/** The Standard Schema interface, which zod, valibot, arktype and others implement. */
export interface StandardSchema<Output = unknown> {
  /** The validation; see https://standardschema.dev. */
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}
type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

/**
 * Makes rows validated and typed by a schema of any Standard Schema library. A row that does not match raises `DataError`, which
 * names the columns at fault. Raises `ProgrammingError` for a schema that validates asynchronously.
 *
 * @example
 * const cur = conn.cursor({ rowFactory: schemaRow(z.object({ id: z.number(), name: z.string() })) });
 */
export function schemaRow<Output>(schema: StandardSchema<Output>): RowFactory<Output> {
  if (typeof (schema as Partial<typeof schema> | null | undefined)?.['~standard']?.validate !== 'function') {
    throw expected('the argument of schemaRow()', 'a schema that implements Standard Schema', schema);
  }
  return kwargsRow((row: unknown) => {
    const result = schema['~standard'].validate(row);
    if ('then' in result) {
      // The promise is not used, so its rejection would be unhandled.
      result.then(undefined, () => undefined);
      throw new errors.ProgrammingError('schemaRow needs a schema that validates synchronously');
    }
    if (result.issues === undefined) return result.value;
    const issues = result.issues.map(({ message, path = [] }) => {
      const where = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
      return where === '' ? message : `${where}: ${message}`;
    });
    throw new errors.DataError(`the row does not fit its schema: ${issues.join('; ')}`, {
      cause: result.issues,
    });
  });
}

function columnNames(cursor: RowSource): string[] | null {
  return cursor.description?.map(({ name }) => name) ?? null;
}

function asIdentifier(name: string): string {
  const identifier = name.replace(/[^\p{L}\p{N}_]/gu, '_');
  return /^[\p{N}_]/u.test(identifier) ? `f${identifier}` : identifier;
}

function noResult(): never {
  throw new errors.InterfaceError("the cursor doesn't have a result");
}
