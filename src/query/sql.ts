import * as errors from '../errors/index.js';
import * as composables from './composable.js';
import type { ComposeContext, PlaceholderFormat } from './composable.js';
import type { SqlValue } from './sql-value.js';
import * as templates from './template.js';
import { composeAssignments, composeValues } from './values.js';

/** An object whose properties `K` can be sent. */
type Sendable<T, K extends keyof T> = { readonly [P in K]: SqlValue<T[P]> };

/** The template tag and the functions that compose queries; see `sql`. */
export interface Sql {
  <const T extends readonly unknown[]>(
    strings: TemplateStringsArray,
    ...values: { [K in keyof T]: T[K] & SqlValue<T[K]> }
  ): templates.Template;

  /**
   * SQL text that is used verbatim: never build it from user input. `format()` and `join()` insert names and values. If the query
   * is executed with parameters, `%s` and the other placeholders in the text are recognised (Psycopg: `sql.SQL`).
   *
   * @example
   * sql.SQL('SELECT {} FROM {table} WHERE id = %s').format(sql.Identifier('name'), { table: sql.Identifier('city') })
   */
  SQL(text: string): composables.SQL;

  /**
   * A quoted name, or with several arguments a qualified name (Psycopg: `sql.Identifier`). Raises `ProgrammingError` for a part
   * that is not a string, is empty, or contains a NUL character.
   *
   * @example
   * sql.Identifier('public', 'city')   // "public"."city"
   */
  Identifier(...names: [string, ...string[]]): composables.Identifier;

  /** An alias of `sql.Identifier`. */
  identifier(...names: [string, ...string[]]): composables.Identifier;

  /**
   * A value that becomes part of the text, for statements in which the server accepts no parameters: `CREATE`, `ALTER`,
   * `COMMENT`, `SET` (Psycopg: `sql.Literal`).
   *
   * @example
   * await conn.execute(sql`ALTER ROLE app SET statement_timeout = ${sql.Literal(5000)}`);
   */
  Literal<const T>(value: T & SqlValue<T>): composables.Literal;

  /**
   * A placeholder for a parameter passed with the query: `%s`, or `%(name)s` (Psycopg: `sql.Placeholder`). Raises
   * `ProgrammingError` for an invalid name or format.
   *
   * @example
   * const insert = sql`INSERT INTO city VALUES (${sql.SQL(', ').join(columns.map((name) => sql.Placeholder(name)))})`;
   * await cur.executemany(insert, cities); // objects with these properties
   */
  Placeholder(name?: string, format?: PlaceholderFormat): composables.Placeholder;

  /** `NULL` as SQL text (Psycopg: `sql.NULL`). */
  readonly NULL: composables.SQL;

  /**
   * `DEFAULT` as SQL text (Psycopg: `sql.DEFAULT`).
   *
   * @example
   * await conn.execute(sql`INSERT INTO city (name, founded) VALUES (${name}, ${founded ?? sql.DEFAULT})`);
   */
  readonly DEFAULT: composables.SQL;

  /**
   * The rows of an INSERT or of any other VALUES, whose values are sent as parameters. Rows that are objects come with the names of
   * their columns: `("id", "name") VALUES ($1, $2), ($3, $4)`. The columns are `columns`, or the own properties of the first row,
   * which every other row must have as well, and no others. Rows that are arrays are what stands behind a VALUES of yours:
   * `($1, $2), ($3, $4)`; with `columns` they are like objects. A value may be a composed query, such as `sql.DEFAULT`. Raises
   * `ProgrammingError` if there are no rows, and for a value that is missing or undefined. A statement has at most 65,535
   * parameters; COPY and `executemany()` take any number of rows.
   *
   * @example
   * await conn.execute(sql`INSERT INTO city ${sql.values([{ id: 1, name: 'Rome' }, { id: 2, name: 'Oslo' }])}`);
   * await conn.execute(sql`INSERT INTO city (id, name) VALUES ${sql.values([[1, 'Rome'], [2, 'Oslo']])}`);
   * await conn.execute(sql`
   *   UPDATE city SET name = v.name FROM (VALUES ${sql.values([[1, 'Roma']])}) AS v (id, name) WHERE city.id = v.id`);
   */
  values<const R extends readonly unknown[]>(
    rows: Iterable<R & readonly SqlValue<R[number]>[]> & object,
    columns?: readonly string[],
  ): composables.Composable;
  values<T extends object, K extends keyof T & string = keyof T & string>(
    rows: Iterable<T & Sendable<T, K>> & object,
    columns?: readonly K[],
  ): composables.Composable;

  /**
   * The assignments of an UPDATE, or of an INSERT … ON CONFLICT DO UPDATE: `"name" = $1, "founded" = $2` for the own properties of
   * an object, whose values are sent as parameters or, if they are composed queries, inserted. Raises `ProgrammingError` for an
   * object without properties, and for a value that is undefined.
   *
   * @example
   * await conn.execute(sql`UPDATE city SET ${sql.set({ name: 'Roma', seen: sql`seen + 1` })} WHERE id = ${1}`);
   */
  set<T extends object>(assignments: T & Sendable<T, keyof T & string>): composables.Composable;

  /** Concatenates composables; a value that is no composable becomes a literal (Psycopg: `sql.Composed`). */
  Composed<const T>(items: Iterable<T & SqlValue<T>> & object): composables.Composed;

  /**
   * Returns a value as an SQL literal, formatted by the adapters and settings of a connection or cursor if one is given (Psycopg:
   * `sql.quote`). Raises `DataError` or `ProgrammingError` for a value that cannot be sent.
   */
  quote<const T>(value: T & SqlValue<T>, context?: ComposeContext | null): string;
}

/**
 * Composes queries (Psycopg: template strings, and the module `sql`). A template's values are sent as parameters, so that they
 * cannot change the query. Composed queries are inserted with their own values. A percent sign in the template is a literal
 * character. The result can be used wherever a query can; it takes no further parameters. Raises `ProgrammingError` if `sql` is
 * called as a function.
 *
 * @example
 * const cheap = sql`price < ${limit}`;
 * await conn.execute(sql`SELECT * FROM ${sql.identifier('shop', table)} WHERE name LIKE ${'a%'} AND ${cheap}`);
 */
export const sql: Sql = Object.assign(template, {
  SQL: (text: string) => new composables.SQL(text),
  Identifier: identifier,
  identifier,
  Literal: (value: unknown) => new composables.Literal(value),
  Placeholder: (name = '', format: PlaceholderFormat = 's') => new composables.Placeholder(name, format),
  NULL: new composables.SQL('NULL'),
  DEFAULT: new composables.SQL('DEFAULT'),
  values: (rows: unknown, columns?: readonly string[]) => composeValues(rows, columns),
  set: composeAssignments,
  Composed: (items: Iterable<unknown>) => composables.compose(items, null, 'sql.Composed()'),
  quote: (value: unknown, context?: ComposeContext | null) =>
    new composables.Literal(value).asString(context),
});

// These aliases keep the bundled declaration file correct, in which a type of the namespace must not refer to another type of the
// same name.
type AnyComposable = composables.Composable;
type AnyComposed = composables.Composed;
type AnyIdentifier = composables.Identifier;
type AnyLiteral = composables.Literal;
type AnyPlaceholder = composables.Placeholder;
type AnySql = composables.SQL;
type AnyTemplate = templates.Template;

// eslint-disable-next-line @typescript-eslint/no-namespace -- the types stand beside the functions that make them
export declare namespace sql {
  /** A composed query, or a part of one. */
  type Composable = AnyComposable;
  /** A sequence of composables. */
  type Composed = AnyComposed;
  /** A quoted name. */
  type Identifier = AnyIdentifier;
  /** A value that becomes part of the text. */
  type Literal = AnyLiteral;
  /** A placeholder for a parameter. */
  type Placeholder = AnyPlaceholder;
  /** SQL text. */
  type SQL = AnySql;
  /** The result of the template tag. */
  type Template = AnyTemplate;
}

function template(strings: TemplateStringsArray, ...values: readonly unknown[]): templates.Template {
  // An array parsed from JSON has no `raw`.
  if (!Array.isArray(strings) || !Array.isArray((strings as { raw?: unknown }).raw)) {
    throw new errors.ProgrammingError(
      'sql is a template tag: write sql`…` without parentheses; for a text that you trust, sql.SQL(text)',
    );
  }
  // JavaScript gives undefined for a text with a malformed escape sequence.
  if (!strings.every((text) => typeof text === 'string')) {
    throw new errors.ProgrammingError('the template has a malformed escape sequence: double its backslash');
  }
  return new templates.Template(strings, values);
}

function identifier(...names: readonly string[]): composables.Identifier {
  return new composables.Identifier(names);
}
