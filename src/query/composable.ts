import { inspect } from 'node:util';
import { adapters as globalAdapters } from '../types/adapters.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import type { LiteralContext } from './literal.js';
import { isPlainObject } from '../types/realm.js';
import * as errors from '../errors/index.js';
import { expected } from '../options/kinds.js';
import { COMPOSABLE } from './brand.js';
import { textWithLiterals } from './compose.js';
import { parseFormat } from './format.js';
import { quoteIdentifier } from './identifier.js';
import type { Fragment, Part } from './part.js';
import type { SqlValue } from './sql-value.js';

const VERSION = 1;

/** The members of a connection or cursor that `asString()` uses. */
export type ComposeContext =
  | { readonly adapters: AdaptersMap; readonly info: Pick<LiteralContext, 'parameterStatus'> }
  | {
      readonly adapters: AdaptersMap;
      readonly connection: { readonly info: Pick<LiteralContext, 'parameterStatus'> };
    };

/** A connection or a cursor. */
interface Connected {
  readonly adapters: AdaptersMap;
  readonly info: Pick<LiteralContext, 'parameterStatus'>;
  readonly connection: { readonly info: Connected['info'] };
}

/**
 * A query, or a part of one, composed of SQL text, names and values, which stay separate (Psycopg: `sql.Composable`). It is
 * immutable. Make one by `` sql`…` `` or the functions of `sql`.
 */
export abstract class Composable {
  /** The parts, in order. @internal */
  abstract content(): readonly (Part | Composable)[];

  /** Whether percent signs in all parts are literal characters. @internal */
  get isTemplate(): boolean {
    return false;
  }

  /** @internal */
  get [COMPOSABLE](): Fragment {
    return { version: VERSION, parts: partsOf(this) };
  }

  /** Returns this query followed by `other` (Psycopg: `a + b`). Raises `ProgrammingError` if `other` is not a composed query. */
  concat(other: Composable): Composed {
    if (!isComposable(other)) {
      throw new errors.ProgrammingError(
        `expected concat() to get a composed query, got ${typeName(other)}; wrap a text with sql.SQL(), a value with sql.Literal()`,
      );
    }
    return new Composed([this, itemOf(other)], true);
  }

  /**
   * The SQL text with values as literals, formatted by the adapters and settings of the connection or cursor (Psycopg:
   * `as_string()`). Raises `DataError` or `ProgrammingError` for a value that cannot be sent.
   */
  asString(context?: ComposeContext | null): string {
    return textWithLiterals(partsOf(this), literalContext(context));
  }

  /** Always raises `ProgrammingError`: a conversion to a string would mix text and values. */
  toString(): never {
    throw new errors.ProgrammingError(
      'a composed query was put into a string: compose with sql`…`, sql.SQL(…).format() or concat(); for its text call asString(conn)',
    );
  }

  /** @internal */
  [inspect.custom](_depth: number, _options: unknown, show: typeof inspect): string {
    return `${this.constructor.name}(${show(partsOf(this))})`;
  }
}

/** A sequence of composables (Psycopg: `sql.Composed`). */
export class Composed extends Composable implements Iterable<Composable> {
  #items: readonly Composable[];
  /** Whether sequences among the items are to be flattened, as in the result of `concat()`. */
  #nested: boolean;

  /** `nested`: flatten sequences among the items. */
  constructor(items: readonly Composable[], nested = false) {
    super();
    this.#items = items;
    this.#nested = nested;
  }

  /** Returns the same sequence with `separator` between its items. */
  join(separator: string | SQL): Composed {
    return (typeof separator === 'string' ? new SQL(separator) : separator).join(this.content());
  }

  [Symbol.iterator](): Iterator<Composable> {
    return this.content()[Symbol.iterator]();
  }

  /** @internal */
  override content(): readonly Composable[] {
    if (this.#nested) {
      this.#items = Composed.#flat(this.#items);
      this.#nested = false;
    }
    return this.#items;
  }

  /**
   * Flattens on demand, so that `concat()` in a loop takes linear time, and without recursion, so that its length is not limited
   * by the stack.
   */
  static #flat(items: readonly Composable[]): Composable[] {
    const flat: Composable[] = [];
    const waiting = items.toReversed();
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) {
      if (!(item instanceof Composed)) flat.push(item);
      else if (item.#nested) for (const part of item.#items.toReversed()) waiting.push(part);
      else for (const part of item.#items) flat.push(part);
    }
    return flat;
  }
}

/** SQL text (Psycopg: `sql.SQL`). */
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
   * Replaces the text's fields (Psycopg: `SQL.format`): `{}` and `{0}` by positional arguments, `{name}` by properties of an
   * object passed last. `{{` and `}}` stand for braces. A value that is no composable becomes a literal. Raises
   * `ProgrammingError` for a field without a value.
   *
   * @example
   * sql.SQL('SELECT {} FROM {table}').format(sql.Identifier('name'), { table: sql.Identifier('city') })
   */
  format<const T extends readonly unknown[]>(
    ...args: { [K in keyof T]: T[K] & FormatArgument<T[K]> }
  ): Composed {
    const last: unknown = args.at(-1);
    const named = isPlainObject(last) && !isComposable(last) ? last : null;
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
   * Joins items with this text between them (Psycopg: `SQL.join`). A value that is no composable becomes a literal.
   *
   * @example
   * sql.SQL(', ').join(columns.map((column) => sql.Identifier(column)))
   */
  join<const T>(items: Iterable<T & SqlValue<T>> & object): Composed {
    return compose(items, this, 'join()');
  }

  /** @internal */
  override content(): readonly Part[] {
    return this.#text === '' ? [] : [{ kind: 'sql', text: this.#text }];
  }
}

/** Composes items with `separator` between them; a value that is no composable becomes a literal. */
export function compose(items: Iterable<unknown>, separator: SQL | null, what: string): Composed {
  // A string is iterable, too, but a mistake here.
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

/** An argument of `format()`: a composable, a value, or as the last one an object of them. */
export type FormatArgument<T> = T extends Composable
  ? T
  : T extends Readonly<Record<string, unknown>>
    ? { readonly [K in keyof T]: SqlValue<T[K]> }
    : SqlValue<T>;

/** A composable with a single part. */
abstract class Piece extends Composable {
  readonly #part: Part;

  constructor(part: Part) {
    super();
    this.#part = part;
  }

  /** @internal */
  override content(): readonly Part[] {
    return [this.#part];
  }
}

/** A quoted name, or a qualified name of several parts (Psycopg: `sql.Identifier`). */
export class Identifier extends Piece {
  /** The name in double quotes. @internal */
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
        'sql.Literal() got a composed query, which is not a value: use it without sql.Literal()',
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

/** The parameter's format: `s` lets the library choose, `t` is text, `b` is binary. All three send the same value. */
export type PlaceholderFormat = 's' | 't' | 'b';

/** A composable made by another copy of the package. */
class Foreign extends Composable {
  readonly #parts: readonly Part[];

  constructor({ version, parts }: Fragment) {
    super();
    if (version !== VERSION) {
      throw new errors.ProgrammingError(
        'the query was composed by another version of usingpg, which this one does not understand; install one version only',
      );
    }
    this.#parts = parts;
  }

  /** @internal */
  override content(): readonly Part[] {
    return this.#parts;
  }
}

/** Whether a value is a composable, of any copy of the package. */
export function isComposable(value: unknown): value is Composable {
  return typeof value === 'object' && value !== null && COMPOSABLE in value;
}

/** Converts a composable to one of this copy of the package. Raises `ProgrammingError` if this version cannot read it. */
export function ownComposable(composable: Composable): Composable {
  return composable instanceof Composable
    ? composable
    : new Foreign((composable as { readonly [COMPOSABLE]: Fragment })[COMPOSABLE]);
}

/** Converts a composable like `ownComposable()`, and any other value to a literal. */
export function itemOf(value: unknown): Composable {
  return isComposable(value) ? ownComposable(value) : new Literal(value);
}

/**
 * The parts of a composable, in order. The traversal uses no recursion, so that nesting is not limited by the stack. Raises
 * `ProgrammingError` for a composable that this version of the package cannot read.
 */
export function partsOf(composable: Composable): readonly Part[] {
  const parts: Part[] = [];
  const outer: Level[] = [];
  let level: Level | undefined = levelOf(ownComposable(composable), false);
  while (level !== undefined) {
    if (level.next === level.content.length) {
      level = outer.pop();
      continue;
    }
    const item: Part | Composable = level.content[level.next++]!;
    if (item instanceof Composable) {
      // A finished level is not kept: a query composed in a loop is as deep as it is long.
      if (level.next < level.content.length) outer.push(level);
      level = levelOf(item, level.verbatim);
    } else {
      parts.push(level.verbatim ? verbatim(item) : item);
    }
  }
  return parts;
}

/** A composable's content and the position of the traversal in it. */
interface Level {
  readonly content: readonly (Part | Composable)[];
  readonly verbatim: boolean;
  next: number;
}

function levelOf(composable: Composable, withinTemplate: boolean): Level {
  return {
    content: composable.content(),
    verbatim: withinTemplate || composable.isTemplate,
    next: 0,
  };
}

/** Marks percent signs as literal. In a template, those of names and literals are literal like those of its text. */
function verbatim(part: Part): Part {
  if (part.kind === 'identifier') return { kind: 'identifier', text: part.text, verbatim: true };
  return part.kind === 'literal' ? { kind: 'literal', value: part.value, verbatim: true } : part;
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

function typeName(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

function literalContext(context: ComposeContext | null | undefined): LiteralContext {
  if (context == null) return { adapters: globalAdapters, parameterStatus: () => null };
  const { adapters, connection, info = connection?.info } = context as Partial<Connected>;
  if (adapters === undefined || info === undefined) {
    throw expected('the context of a composed query', 'a connection or a cursor', context);
  }
  return { adapters, parameterStatus: (name) => info.parameterStatus(name) };
}
