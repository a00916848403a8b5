import * as errors from '../errors/index.js';
import type { SqlLiteral } from '../query/literal.js';
import { RecentTexts } from './recent-texts.js';
import { isPromise } from '../types/realm.js';
import { QueryText } from './query-text.js';

/**
 * The parameters of a query: an array for `%s`, an object for `%(name)s`. The object may be an instance of a class, whose getters
 * are used, too.
 */
export type Params = readonly unknown[] | object;

/** A query whose placeholders have been converted to `$1` …, and the mapping of parameters to them. */
export interface ConvertedQuery {
  /** The query as the user wrote it. */
  readonly query: string;
  /** The query as it is sent. */
  readonly text: string;
  /** The placeholders of `$1` …, as the query has them; null if they have no names. */
  readonly names: readonly string[] | null;
  /** Returns the values for `$1` …. Raises `ProgrammingError` if `params` do not match the placeholders. */
  values(params: Params): readonly unknown[];
  /**
   * Replaces the placeholders by literals. `where` precedes a value's number in errors. `backslashes`: strings without an E have
   * escapes, as with `standard_conforming_strings` off. Raises `ProgrammingError` for a value that would end the quotes or the
   * comment around its placeholder.
   */
  fill(literals: readonly SqlLiteral[], backslashes: boolean, where: string): string;
}

const recent = new RecentTexts(convert);

/**
 * Converts the placeholders of `query`: `%s`, `%t`, `%b` (positional) or `%(name)s`, `%(name)t`, `%(name)b` (named), and `%%` for
 * a percent sign. As in Psycopg, placeholders inside quotes and comments are converted, too. Raises `ProgrammingError` for
 * malformed placeholders.
 */
export function convertQuery(query: string, params: Params): ConvertedQuery {
  checkKind(params);
  return recent.get(query);
}

/** Whether a text can be sent: it is well-formed Unicode without a NUL character. */
export function isSendable(query: string): boolean {
  return !query.includes('\0') && query.isWellFormed();
}

/** Raises `ProgrammingError` for a text that cannot be sent. */
export function checkQueryText(query: string): void {
  if (query.includes('\0')) throw new errors.ProgrammingError("the query contains a NUL character ('\\0')");
  if (!query.isWellFormed()) {
    throw new errors.ProgrammingError("the query contains a lone surrogate, which can't be encoded as UTF-8");
  }
}

/** A percent sign and what follows it: the name, if there is one, and the format. */
interface Found {
  readonly at: number;
  readonly whole: string;
  readonly name: string | undefined;
  readonly format: string;
}

/**
 * Finds percent signs in time that grows with the text, also where names do not end. As in Psycopg, a percent sign at the end of the
 * query or of a line is left unchanged.
 */
function* percentSignsOf(text: string): Generator<Found, void, undefined> {
  let parenthesis = -1;
  for (let at = text.indexOf('%'); at >= 0;) {
    let name: string | undefined;
    let format = characterAt(text, at + 1);
    let end = at + 1 + format.length;
    if (format === '(') {
      if (parenthesis <= at) parenthesis = text.indexOf(')', at);
      if (parenthesis < 0) parenthesis = text.length;
      const behind = parenthesis > at + 2 ? characterAt(text, parenthesis + 1) : '';
      if (behind !== '') {
        name = text.slice(at + 2, parenthesis);
        format = behind;
        end = parenthesis + 1 + behind.length;
      }
    }
    if (format !== '') yield { at, whole: text.slice(at, end), name, format };
    at = text.indexOf('%', end);
  }
}

/** The character at a position; '' for a line break, and at the end. */
function characterAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined || code === NEWLINE ? '' : String.fromCodePoint(code);
}

const NEWLINE = 0x0a;

/** The text as the server would parse it, with each placeholder replaced by a separate parameter. */
export function withoutPlaceholders(text: string): string {
  const pieces: string[] = [];
  let copied = 0;
  for (const { at, whole } of percentSignsOf(text)) {
    pieces.push(text.slice(copied, at), whole === '%%' ? '%' : ' $1 ');
    copied = at + whole.length;
  }
  return copied === 0 ? text : pieces.join('') + text.slice(copied);
}

function convert(query: string): ConvertedQuery {
  checkQueryText(query);
  // The texts around the placeholders, and for each placeholder the number of its value.
  const texts: string[] = [];
  const numbers: number[] = [];
  let text = '';
  let copied = 0;
  let positional = 0;
  const names = new Map<string, { readonly number: number; readonly format: string }>();
  for (const { at, whole, name, format } of percentSignsOf(query)) {
    text += query.slice(copied, at);
    copied = at + whole.length;
    if (whole === '%%') {
      text += '%';
      continue;
    }
    checkFormat(query, at, whole, format);
    if (name === undefined ? names.size > 0 : positional > 0) {
      throw new errors.ProgrammingError('positional and named placeholders cannot be mixed');
    }
    texts.push(text);
    text = '';
    if (name === undefined) {
      numbers.push(++positional);
      continue;
    }
    let seen = names.get(name);
    if (seen === undefined) {
      seen = { number: names.size + 1, format };
      names.set(name, seen);
    } else if (seen.format !== format) {
      throw new errors.ProgrammingError(`placeholder '${name}' cannot have different formats`);
    }
    numbers.push(seen.number);
  }
  texts.push(text + query.slice(copied));
  return names.size > 0
    ? new NamedQuery(query, texts, numbers, [...names.keys()])
    : new PositionalQuery(query, texts, numbers);
}

function checkFormat(query: string, at: number, whole: string, format: string): void {
  if (format === 's' || format === 't' || format === 'b') return;
  if (whole === '% ') {
    throw new errors.ProgrammingError(
      "incomplete placeholder: '%'; to use '%' as an operator or in a pattern, double it: '%%'",
    );
  }
  if (whole === '%(') {
    throw new errors.ProgrammingError(
      `incomplete placeholder: '${query.slice(at, at + LONGEST_SHOWN).split(/\s/, 1)[0]!}'`,
    );
  }
  throw new errors.ProgrammingError(`only '%s', '%b', '%t' are allowed as placeholders, got '${whole}'`);
}

const LONGEST_SHOWN = 60;

abstract class Converted implements ConvertedQuery {
  readonly query: string;
  readonly text: string;
  readonly #texts: readonly string[];
  protected readonly numbers: readonly number[];

  constructor(query: string, texts: readonly string[], numbers: readonly number[]) {
    this.query = query;
    this.#texts = texts;
    this.numbers = numbers;
    this.text = this.#withParameters();
  }

  abstract get names(): readonly string[] | null;

  abstract values(params: Params): readonly unknown[];

  fill(literals: readonly SqlLiteral[], backslashes: boolean, where: string): string {
    const text = new QueryText(backslashes);
    text.add(this.#texts[0]!);
    for (let i = 0; i < this.numbers.length; i++) {
      const number = this.numbers[i]!;
      text.addLiteral(literals[number - 1]!, `${where}${this.names?.[number - 1] ?? `$${String(number)}`}`);
      text.add(this.#texts[i + 1]!);
    }
    return text.toString();
  }

  /**
   * Writes `$n` for the placeholders. As in Psycopg, one inside quotes is replaced as well; the server then reports the wrong
   * number of parameters.
   */
  #withParameters(): string {
    const pieces = [this.#texts[0]!];
    for (let i = 0; i < this.numbers.length; i++) {
      const before = this.#texts[i]!;
      const behind = this.#texts[i + 1]!;
      if (JOINS.test(before.slice(-1))) pieces.push(' ');
      pieces.push(`$${String(this.numbers[i]!)}`);
      if (JOINS.test(behind.slice(0, 1))) pieces.push(' ');
      pieces.push(behind);
    }
    return pieces.join('');
  }
}

/** Characters that would merge with an adjacent `$1` into another parameter or a name. */
const JOINS = /[\w$\x80-\uffff]/;

class PositionalQuery extends Converted {
  readonly names = null;

  values(params: Params): readonly unknown[] {
    if (!checkKind(params)) {
      // An object may have properties that the query does not use, even if it uses none.
      if (this.numbers.length === 0) return [];
      if (Object.keys(params).length === 0) throw this.#mismatch(0);
      throw new errors.ProgrammingError(
        'positional placeholders (%s) need an array of parameters, not an object',
      );
    }
    if (params.length !== this.numbers.length) throw this.#mismatch(params.length);
    return params;
  }

  #mismatch(given: number): Error {
    const count = this.numbers.length;
    const foreign = count === 0 ? /\$1\b|\?/.exec(this.query)?.[0] : undefined;
    const advice =
      foreign === undefined
        ? ''
        : `; a placeholder is %s, not ${foreign}${foreign === '?' ? '' : ', which an AsyncRawCursor takes'}`;
    return new errors.ProgrammingError(
      `the query has ${String(count)} placeholders but ${String(given)} parameters were passed${advice}`,
    );
  }
}

class NamedQuery extends Converted {
  readonly names: readonly string[];
  readonly #names: readonly string[];

  constructor(query: string, texts: readonly string[], numbers: readonly number[], names: readonly string[]) {
    super(query, texts, numbers);
    this.#names = names;
    this.names = names.map((name) => `%(${name})s`);
  }

  values(params: Params): readonly unknown[] {
    if (checkKind(params)) {
      throw new errors.ProgrammingError(
        'named placeholders (%(name)s) need an object of parameters, not an array',
      );
    }
    const missing = this.#names.filter((name) => !isGiven(params, name));
    if (missing.length > 0) {
      throw new errors.ProgrammingError(`query parameter missing: ${missing.join(', ')}`);
    }
    return this.#names.map((name): unknown => Reflect.get(params, name));
  }
}

/** Whether an object has a parameter. A class's getters count; members of `Object.prototype` ('constructor', 'toString') do not. */
function isGiven(params: object, name: string): boolean {
  return Object.hasOwn(params, name) || (name in params && !(name in Object.prototype));
}

/**
 * Whether the parameters are positional. Raises `ProgrammingError` for a value that is neither an array nor an object of
 * parameters.
 */
function checkKind(params: unknown): params is readonly unknown[] {
  if (Array.isArray(params)) return true;
  const isObject = typeof params === 'object' && params !== null;
  // Other iterables, such as bytes and maps, have no named properties, so their values would be lost silently.
  const isNamed =
    isObject && !ArrayBuffer.isView(params) && !(Symbol.iterator in params) && !isPromise(params);
  if (isNamed) return false;
  throw new errors.ProgrammingError(
    `expected the parameters to be an array or an object of named values, got ${describe(params)}` +
      (isObject ? '' : '; a single value goes into an array: `[value]`'),
  );
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (isPromise(value)) return 'a promise; did you forget to await it?';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const { constructor } = value as { constructor?: { name?: string } };
  return constructor?.name === undefined ? 'an object' : `an instance of ${constructor.name}`;
}
