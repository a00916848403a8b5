import { inspect } from 'node:util';
import { adapters as globalAdapters } from '../types/adapters.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import type { LiteralContext } from './literal.js';
import { isPlainObject } from '../types/realm.js';
import * as errors from '../errors/index.js';
import { COMPOSABLE } from './brand.js';
import { textWithLiterals } from './compose.js';
import { parseFormat } from './format.js';
import { quoteIdentifier } from './identifier.js';
import type { Fragment, Part } from './part.js';
import type { SqlValue } from './sql-value.js';

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
  /** What it is made of, in order. @internal */
  abstract content(): readonly (Part | Composable)[];

  /** Whether a percent sign is no more than that in all it is made of. @internal */
  get isTemplate(): boolean {
    return false;
  }

  /** @internal */
  get [COMPOSABLE](): Fragment {
    return { version: VERSION, parts: partsOf(this) };
  }

  /** This and `other` behind it (Psycopg: `a + b`). */
  concat(other: Composable): Composed {
    if (!isComposable(other)) {
      throw new errors.ProgrammingError(
        `expected concat() to get a composed query, got ${typeName(other)}; wrap a text with sql.SQL(), a value with sql.Literal()`,
      );
    }
    return new Composed([this, itemOf(other)], true);
  }

  /**
   * The SQL as text, values included as literals, by the adapters and settings of the connection or cursor given (Psycopg:
   * `as_string()`). Raises `DataError` or `ProgrammingError` for a value that can't be sent.
   */
  asString(context?: ComposeContext | null): string {
    return textWithLiterals(partsOf(this), literalContext(context));
  }

  /** Raises: put into a string, it would lose what keeps text and values apart. */
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
  /** Whether sequences among the items are to be taken for their items, as they are in what `concat()` has made. */
  #nested: boolean;

  /** `nested`: a sequence among the items stands for its items. */
  constructor(items: readonly Composable[], nested = false) {
    super();
    this.#items = items;
    this.#nested = nested;
  }

  /** The same sequence with a text between its items. */
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

  /** Only now, so that a query may grow by `concat()` in a loop; and without recursion, however long that has been. */
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
   * The items of a sequence with this text between them. What is no composable becomes a literal.
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
  override content(): readonly Part[] {
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

/** What another copy of the package has made. */
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

/** Whether it is a composable, of this copy of the package or of another one. */
export function isComposable(value: unknown): value is Composable {
  return typeof value === 'object' && value !== null && COMPOSABLE in value;
}

/** A composable as this copy of the package has it. Raises `ProgrammingError` for one that this version can't read. */
export function ownComposable(composable: Composable): Composable {
  return composable instanceof Composable
    ? composable
    : new Foreign((composable as { readonly [COMPOSABLE]: Fragment })[COMPOSABLE]);
}

/** A composable as this copy of the package has it; a value as a literal. */
export function itemOf(value: unknown): Composable {
  return isComposable(value) ? ownComposable(value) : new Literal(value);
}

/**
 * The pieces of a composable, in order. Nesting takes memory, no stack. Raises `ProgrammingError` for one that this version of
 * the package can't read.
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
      // A level that is done is not kept: a query that was composed in a loop is as deep as it is long.
      if (level.next < level.content.length) outer.push(level);
      level = levelOf(item, level.verbatim);
    } else {
      parts.push(level.verbatim ? verbatim(item) : item);
    }
  }
  return parts;
}

/** What a composable is made of, as far as it has been passed. */
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

/** In a template, the percent signs of names and literals are the user's like those of its text. */
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
  const { adapters } = context;
  const info = 'connection' in context ? context.connection.info : context.info;
  if (adapters === undefined || info === undefined) {
    throw new errors.ProgrammingError('expected asString() to get a connection or a cursor');
  }
  return { adapters, parameterStatus: (name) => info.parameterStatus(name) };
}
