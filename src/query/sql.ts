import * as errors from '../errors/index.js';
import * as composables from './composable.js';
import type { ComposeContext, PlaceholderFormat } from './composable.js';
import type { SqlValue } from './sql-value.js';
import * as templates from './template.js';

/** The template tag and the functions that compose queries; see `sql`. */
export interface Sql {
  <const T extends readonly unknown[]>(
    strings: TemplateStringsArray,
    ...values: { [K in keyof T]: T[K] & SqlValue<T[K]> }
  ): templates.Template;

  /**
   * A text of SQL, trusted as it is: never make one of what a user typed. `format()` and `join()` put names and values into it.
   * If the query is executed with parameters, `%s` and its like are placeholders in it (Psycopg: `sql.SQL`).
   *
   * @example
   * sql.SQL('SELECT {} FROM {table} WHERE id = %s').format(sql.Identifier('name'), { table: sql.Identifier('city') })
   */
  SQL(text: string): composables.SQL;

  /**
   * A name in quotes; several are a qualified name. Raises `ProgrammingError` for a name that is empty or holds a NUL (Psycopg:
   * `sql.Identifier`).
   *
   * @example
   * sql.Identifier('public', 'city')   // "public"."city"
   */
  Identifier(...names: [string, ...string[]]): composables.Identifier;

  /** The same as `sql.Identifier`. */
  identifier(...names: [string, ...string[]]): composables.Identifier;

  /**
   * A value that becomes part of the text, for where the server takes no parameters: `CREATE`, `ALTER`, `COMMENT`, `SET`
   * (Psycopg: `sql.Literal`).
   *
   * @example
   * await conn.execute(sql`ALTER ROLE app SET statement_timeout = ${sql.Literal(5000)}`);
   */
  Literal<const T>(value: T & SqlValue<T>): composables.Literal;

  /**
   * A placeholder for a parameter that comes with the query: `%s`, or `%(name)s` (Psycopg: `sql.Placeholder`).
   *
   * @example
   * const insert = sql`INSERT INTO city VALUES (${sql.SQL(', ').join(columns.map((name) => sql.Placeholder(name)))})`;
   * await cur.executemany(insert, rows);
   */
  Placeholder(name?: string, format?: PlaceholderFormat): composables.Placeholder;

  /** `NULL`, as a text of SQL (Psycopg: `sql.NULL`). */
  readonly NULL: composables.SQL;

  /**
   * `DEFAULT`, as a text of SQL (Psycopg: `sql.DEFAULT`).
   *
   * @example
   * await conn.execute(sql`INSERT INTO city (name, founded) VALUES (${name}, ${founded ?? sql.DEFAULT})`);
   */
  readonly DEFAULT: composables.SQL;

  /** Composables one after the other; what is none becomes a literal (Psycopg: `sql.Composed`). */
  Composed<const T>(items: Iterable<T & SqlValue<T>> & object): composables.Composed;

  /**
   * A value as an SQL literal, by the adapters and settings of the connection or cursor if there is one (Psycopg: `sql.quote`).
   * Raises `DataError` or `ProgrammingError` for a value that can't be sent.
   */
  quote<const T>(value: T & SqlValue<T>, context?: ComposeContext | null): string;
}

/**
 * Composes queries (Psycopg: template strings, and the module `sql`). A template is a query whose values are sent as parameters,
 * so that nothing in them can change it; what `sql` made is put in as it is and brings its values along. A percent sign of the
 * template is a percent sign. It can be used wherever a query can, without parameters besides.
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
  Composed: (items: Iterable<unknown>) => composables.compose(items, null, 'sql.Composed()'),
  quote: (value: unknown, context?: ComposeContext | null) =>
    new composables.Literal(value).asString(context),
});

// Bundled into one declaration file, a type of the namespace must not be another name for one that is called the same.
type AnyComposable = composables.Composable;
type AnyComposed = composables.Composed;
type AnyIdentifier = composables.Identifier;
type AnyLiteral = composables.Literal;
type AnyPlaceholder = composables.Placeholder;
type AnySql = composables.SQL;
type AnyTemplate = templates.Template;

// eslint-disable-next-line @typescript-eslint/no-namespace -- the types stand beside the functions that make them
export declare namespace sql {
  /** A query, or a part of one, that was composed. */
  type Composable = AnyComposable;
  /** Composables one after the other. */
  type Composed = AnyComposed;
  /** A name in quotes. */
  type Identifier = AnyIdentifier;
  /** A value that becomes part of the text. */
  type Literal = AnyLiteral;
  /** A placeholder for a parameter. */
  type Placeholder = AnyPlaceholder;
  /** A text of SQL. */
  type SQL = AnySql;
  /** What the template tag makes. */
  type Template = AnyTemplate;
}

function template(strings: TemplateStringsArray, ...values: readonly unknown[]): templates.Template {
  // A list that came over the network has no `raw`.
  if (!Array.isArray(strings) || !Array.isArray((strings as { raw?: unknown }).raw)) {
    throw new errors.ProgrammingError(
      'sql is a template tag: write sql`…` without parentheses; for a text that you trust, sql.SQL(text)',
    );
  }
  // What has a malformed escape sequence is undefined.
  if (!strings.every((text) => typeof text === 'string')) {
    throw new errors.ProgrammingError('the template has a malformed escape sequence: double its backslash');
  }
  return new templates.Template(strings, values);
}

function identifier(...names: readonly string[]): composables.Identifier {
  return new composables.Identifier(names);
}
