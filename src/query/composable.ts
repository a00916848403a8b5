import { inspect } from 'node:util';
import { adapters as globalAdapters } from '../types/adapters.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import type { LiteralContext } from './literal.js';
import * as errors from '../errors/index.js';
import { COMPOSABLE } from './brand.js';
import { textWithLiterals } from './compose.js';
import { openAfter } from './enclosure.js';
import { parseFormat } from './format.js';
import { quoteIdentifier } from './identifier.js';
import { behindParameter, standsApart, withParameter } from './parameter.js';
import { isSendable } from './placeholders.js';
import type { SqlValue } from './sql-value.js';

/** A piece of a composed query. */
export type Part =
  /** SQL in which `%s` and its like are placeholders, if parameters come with the query. */
  | { readonly kind: 'sql'; readonly text: string }
  /** A placeholder. */
  | { readonly kind: 'placeholder'; readonly text: string }
  /** SQL in which a percent sign is a percent sign: the text of a template. */
  | { readonly kind: 'verbatim'; readonly text: string }
  /** A name, in its quotes. `verbatim`: a percent sign in it is one, also if parameters come with the query. */
  | { readonly kind: 'identifier'; readonly text: string; readonly verbatim?: boolean }
  /** A value that becomes part of the text. */
  | { readonly kind: 'literal'; readonly value: unknown; readonly verbatim?: boolean }
  /** A value that is sent as a parameter. */
  | { readonly kind: 'value'; readonly value: unknown };

/** What a composable is made of: plain data, which another copy of the package can read. */
export interface Fragment {
  /** The number of this format. */
  readonly version: number;
  readonly parts: readonly Part[];
}

const VERSION = 1;

/** What `asString()` takes: a connection, or a cursor, as far as it matters here. */
export type ComposeContext =
  | { readonly adapters: AdaptersMap; readonly info: Pick<LiteralContext, 'parameterStatus'> }
  | {
      readonly adapters: AdaptersMap;
      readonly connection: { readonly info: Pick<LiteralContext, 'parameterStatus'> };
    };

/**
 * A part of a query, or a whole one, that is composed of text, names and values without mixing them up (Psycopg:
 * `sql.Composable`). Made by `` sql`…` `` and by the functions of `sql`; it never changes.
 */
export abstract class Composable {
  /** @internal */
  abstract parts(): readonly Part[];

  /** @internal */
  get [COMPOSABLE](): Fragment {
    return { version: VERSION, parts: this.parts() };
  }

  /** This and `other` behind it (Psycopg: `a + b`). */
  concat(other: Composable): Composed {
    return new Composed([...this.items(), ...itemsOf(other)]);
  }

  /**
   * The SQL as text, values included as literals, by the adapters and settings of the connection or cursor given (Psycopg:
   * `as_string()`). Raises `DataError` or `ProgrammingError` for a value that can't be sent.
   */
  asString(context?: ComposeContext | null): string {
    return textWithLiterals(this.parts(), literalContext(context));
  }

  /** Raises: put into a string, it would lose what keeps text and values apart. */
  toString(): never {
    throw new errors.ProgrammingError(
      'a composed query was put into a string: compose with sql`…`, sql.SQL(…).format() or concat(); for its text call asString(conn)',
    );
  }

  /** @internal */
  [inspect.custom](_depth: number, _options: unknown, show: typeof inspect): string {
    return `${this.constructor.name}(${show(this.parts())})`;
  }

  /** @internal */
  items(): readonly Composable[] {
    return [this];
  }
}

/** A sequence of composables (Psycopg: `sql.Composed`). */
export class Composed extends Composable implements Iterable<Composable> {
  readonly #items: readonly Composable[];

  constructor(items: readonly Composable[]) {
    super();
    this.#items = items;
  }

  /** The same sequence with a text between its items. */
  join(separator: string | SQL): Composed {
    return (typeof separator === 'string' ? new SQL(separator) : separator).join(this.#items);
  }

  [Symbol.iterator](): Iterator<Composable> {
    return this.#items[Symbol.iterator]();
  }

  /** @internal */
  override items(): readonly Composable[] {
    return this.#items;
  }

  /** @internal */
  override parts(): readonly Part[] {
    return this.#items.flatMap((item) => item.parts());
  }
}

/** A text of SQL (Psycopg: `sql.SQL`). */
export class SQL extends Composable {
  readonly #text: string;

  constructor(text: string) {
    if (typeof text !== 'string') {
      throw new errors.ProgrammingError(`expected sql.SQL() to get a string, got ${typeName(text)}`);
    }
    super();
    this.#text = text;
  }

  /**
   * The text with its fields replaced: `{}` and `{0}` by the arguments in their order, `{name}` by the properties of an object
   * that comes last; `{{` and `}}` stand for braces. What is no composable becomes a literal. Raises `ProgrammingError` for a
   * field without a value.
   *
   * @example
   * sql.SQL('SELECT {} FROM {table}').format(sql.Identifier('name'), { table: sql.Identifier('city') })
   */
  format<const T extends readonly unknown[]>(
    ...args: { [K in keyof T]: T[K] & FormatArgument<T[K]> }
  ): Composed {
    const last: unknown = args.at(-1);
    const named = isPlainObject(last) ? last : null;
    const positional: readonly unknown[] = named === null ? args : args.slice(0, -1);
    const items = parseFormat(this.#text).map((piece) => {
      if (piece.kind === 'text') return new SQL(piece.text);
      const { field } = piece;
      if (
        typeof field === 'number' ? field < positional.length : named !== null && Object.hasOwn(named, field)
      ) {
        return itemOf(typeof field === 'number' ? positional[field] : named![field]);
      }
      throw missingField(field, positional.length, named);
    });
    return new Composed(items);
  }

  /**
   * The items of a sequence with this text between them. What is no composable becomes a literal.
   *
   * @example
   * sql.SQL(', ').join(columns.map((column) => sql.Identifier(column)))
   */
  join<const T>(items: Iterable<T & SqlValue<T>> & object): Composed {
    return compose(items, this, 'join()');
  }

  /** @internal */
  override parts(): readonly Part[] {
    return this.#text === '' ? [] : [{ kind: 'sql', text: this.#text }];
  }
}

/** The items of a sequence, with `separator` between them; what is no composable becomes a literal. */
export function compose(items: Iterable<unknown>, separator: SQL | null, what: string): Composed {
  // The characters of a string would be its items.
  if (typeof items !== 'object' || items === null || !(Symbol.iterator in items)) {
    throw new errors.ProgrammingError(`expected ${what} to get an iterable of items, got ${typeName(items)}`);
  }
  const composed: Composable[] = [];
  for (const item of items) {
    if (separator !== null && composed.length > 0) composed.push(separator);
    composed.push(itemOf(item));
  }
  return new Composed(composed);
}

/** One argument of `format()`: a composable, a value, or at the end an object of them. */
export type FormatArgument<T> = T extends Composable
  ? T
  : T extends Readonly<Record<string, unknown>>
    ? { readonly [K in keyof T]: SqlValue<T[K]> }
    : SqlValue<T>;

/** What is made of a single piece. */
abstract class Piece extends Composable {
  readonly #part: Part;

  constructor(part: Part) {
    super();
    this.#part = part;
  }

  /** @internal */
  override parts(): readonly Part[] {
    return [this.#part];
  }
}

/** A name, or several with dots between them (Psycopg: `sql.Identifier`). */
export class Identifier extends Piece {
  /** In its quotes. @internal */
  readonly quoted: string;

  constructor(names: readonly string[]) {
    if (names.length === 0) throw new errors.ProgrammingError('sql.Identifier() needs at least one name');
    const quoted = names.map(quoteIdentifier).join('.');
    super({ kind: 'identifier', text: quoted });
    this.quoted = quoted;
  }
}

/** A value that becomes part of the text (Psycopg: `sql.Literal`). */
export class Literal extends Piece {
  constructor(value: unknown) {
    if (isComposable(value)) {
      throw new errors.ProgrammingError(
        'sql.Literal() got a composed query, which is no value: use it as it is',
      );
    }
    super({ kind: 'literal', value });
  }
}

/** A placeholder for a parameter (Psycopg: `sql.Placeholder`). */
export class Placeholder extends Piece {
  constructor(name: string, format: PlaceholderFormat) {
    if (typeof name !== 'string') {
      throw new errors.ProgrammingError(
        `expected the name of a placeholder to be a string, got ${typeName(name)}`,
      );
    }
    if (/[)\n]/.test(name)) {
      throw new errors.ProgrammingError(
        `the name of a placeholder can't contain ')' or a line break: '${name}'`,
      );
    }
    if (format !== 's' && format !== 't' && format !== 'b') {
      throw new errors.ProgrammingError(
        `expected the format of a placeholder to be 's', 't' or 'b', got ${String(format)}`,
      );
    }
    super({ kind: 'placeholder', text: name === '' ? `%${format}` : `%(${name})${format}` });
  }
}

/** `s`: as it is best; `t`: as text; `b`: binary. All three send the same value. */
export type PlaceholderFormat = 's' | 't' | 'b';

/** What `` sql`…` `` makes: text and the values that it carries (Psycopg: a template string). */
export class Template extends Composable {
  readonly #strings: readonly string[];
  readonly #values: readonly unknown[];

  /** `strings` has one element more than `values`. Raises `ProgrammingError` for a composable that can't be read. */
  constructor(strings: readonly string[], values: readonly unknown[]) {
    super();
    this.#strings = strings;
    this.#values = values;
    for (const value of values) if (!(value instanceof Composable) && isComposable(value)) partsOf(value);
  }

  /**
   * What is sent if there are nothing but values in the template, names, and templates of this kind; else null, as there is for what
   * has to be looked at more closely. Strings have no escapes without an E.
   *
   * @internal
   */
  plain(): PlainQuery | null {
    if (!this.#values.some(isComposable)) {
      const { text } = lookOf(this.#strings);
      return text === null ? null : { text, values: this.#values };
    }
    const query = { text: '', values: [] as unknown[] };
    return this.#addTo(query) ? query : null;
  }

  #addTo(query: { text: string; readonly values: unknown[] }): boolean {
    const strings = this.#strings;
    if (!lookOf(strings).separable) return false;
    query.text += strings[0]!;
    for (let i = 0; i < this.#values.length; i++) {
      const value = this.#values[i];
      if (!isComposable(value)) query.text += `$${String(query.values.push(value))}`;
      else if (value instanceof Identifier) query.text += value.quoted;
      else if (!(value instanceof Template) || !value.#addTo(query)) return false;
      query.text += strings[i + 1]!;
    }
    return true;
  }

  /** @internal */
  override parts(): readonly Part[] {
    const parts: Part[] = [];
    for (let i = 0; i < this.#strings.length; i++) {
      const text = this.#strings[i]!;
      if (text !== '') parts.push({ kind: 'verbatim', text });
      if (i === this.#values.length) break;
      const value = this.#values[i];
      if (isComposable(value)) for (const part of partsOf(value)) parts.push(verbatim(part));
      else parts.push({ kind: 'value', value });
    }
    return parts;
  }
}

/** A text with `$1` …, and their values. */
interface PlainQuery {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** What is known of the strings of a template. */
interface Look {
  /** The text with `$1` … between the strings; null if one of these would stand in quotes, say, or if it can't be sent. */
  readonly text: string | null;
  /** Whether each of the strings is SQL by itself, and whole, so that a value or a name can stand anywhere between them. */
  readonly separable: boolean;
}

const looks = new WeakMap<readonly string[], Look>();

function lookOf(strings: readonly string[]): Look {
  let look = looks.get(strings);
  if (look === undefined) {
    look = { text: plainText(strings), separable: strings.every(isSeparable) };
    // What is frozen is the template as it stands in the program: the same one at each execution, and never another.
    if (Object.isFrozen(strings)) looks.set(strings, look);
  }
  return look;
}

function isSeparable(text: string): boolean {
  return openAfter(text, null, false) === null && standsApart(text) && isSendable(text);
}

/** The text with `$1` … between the strings; null if one of these would stand in quotes, say, or if it can't be sent. */
function plainText(strings: readonly string[]): string | null {
  let text = strings[0]!;
  for (let i = 1; i < strings.length; i++) {
    if (openAfter(text, null, false) !== null) return null;
    text = withParameter(text, i) + behindParameter(strings[i]!);
  }
  return isSendable(text) ? text : null;
}

/** In a template, the percent signs of names and literals are the user's like those of its text. */
function verbatim(part: Part): Part {
  if (part.kind === 'identifier') return { kind: 'identifier', text: part.text, verbatim: true };
  return part.kind === 'literal' ? { kind: 'literal', value: part.value, verbatim: true } : part;
}

/** What another copy of the package has made. */
class Foreign extends Composable {
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    super();
    this.#parts = parts;
  }

  /** @internal */
  override parts(): readonly Part[] {
    return this.#parts;
  }
}

/** Whether it is a composable, of this copy of the package or of another one. */
export function isComposable(value: unknown): value is Composable {
  return typeof value === 'object' && value !== null && COMPOSABLE in value;
}

/** The pieces of a composable. Raises `ProgrammingError` for one that this version of the package can't read. */
export function partsOf(composable: Composable): readonly Part[] {
  if (composable instanceof Composable) return composable.parts();
  const fragment = (composable as { readonly [COMPOSABLE]: Fragment })[COMPOSABLE];
  if (fragment.version !== VERSION) {
    throw new errors.ProgrammingError(
      'the query was composed by another version of usingpg, which this one does not understand; install one version only',
    );
  }
  return fragment.parts;
}

/** A composable as this copy of the package has it; a value as a literal. */
export function itemOf(value: unknown): Composable {
  if (value instanceof Composable) return value;
  return isComposable(value) ? new Foreign(partsOf(value)) : new Literal(value);
}

function itemsOf(other: unknown): readonly Composable[] {
  if (!isComposable(other)) {
    throw new errors.ProgrammingError(
      `expected concat() to get a composed query, got ${typeName(other)}; wrap a text with sql.SQL(), a value with sql.Literal()`,
    );
  }
  return other instanceof Composable ? other.items() : [itemOf(other)];
}

function missingField(field: string | number, given: number, named: object | null): Error {
  if (typeof field === 'string') {
    return new errors.ProgrammingError(
      named === null
        ? `the field {${field}} needs an object of named values as the last argument of format()`
        : `the field {${field}} has no value in the object given to format()`,
    );
  }
  const hint = named === null ? '' : '; a plain object at the end holds the named fields';
  return new errors.ProgrammingError(
    `the field {${String(field)}} has no value: format() got ${String(given)} positional arguments${hint}`,
  );
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || isComposable(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object of another realm (of a test runner, say) has a prototype of its own, which has none.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function typeName(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

function literalContext(context: ComposeContext | null | undefined): LiteralContext {
  if (context == null) return { adapters: globalAdapters, parameterStatus: () => null };
  const { adapters } = context;
  const info = 'connection' in context ? context.connection.info : context.info;
  if (adapters === undefined || info === undefined) {
    throw new errors.ProgrammingError('expected asString() to get a connection or a cursor');
  }
  return { adapters, parameterStatus: (name) => info.parameterStatus(name) };
}
