import * as errors from '../errors/index.js';
import { LinkedList, type Link } from '../linked-list.js';
import { openAfter, type Enclosure } from './enclosure.js';

/** The parameters of a query: an array for `%s`, an object for `%(name)s`. */
export type Params = readonly unknown[] | Readonly<Record<string, unknown>>;

/** A query with its placeholders turned into `$1` …, and the way to put parameters in their order. */
export interface ConvertedQuery {
  /** The query as it was written. */
  readonly query: string;
  /** The query as it is sent. */
  readonly text: string;
  /** The values for `$1` …; raises `ProgrammingError` if `params` do not fit the placeholders. */
  values(params: Params): readonly unknown[];
  /**
   * The query with the text of each value where its placeholders are. `check` is called for what stands in quotes or comments;
   * `backslashes` as for `openAfter()`.
   */
  fill(texts: readonly string[], backslashes: boolean, check: EnclosedCheck): string;
}

/** Raises if a text must not stand within what is open. `number` is that of the value. */
export type EnclosedCheck = (text: string, open: Enclosure, number: number) => void;

/** What Psycopg keeps, so that a program with a query for each row does not fill the memory. */
const MOST_CACHED = 128;
const LONGEST_CACHED = 4096;
const cache = new Map<string, Link<ConvertedQuery>>();
/** The least recently used first. */
const order = new LinkedList<ConvertedQuery>();

/**
 * Converts the placeholders of `query`: `%s`, `%t`, `%b` (positional) or `%(name)s`, `%(name)t`, `%(name)b` (named), and `%%` for
 * a percent sign. They are found wherever they stand, also in quotes and comments, as in Psycopg. Raises `ProgrammingError`.
 */
export function convertQuery(query: string, params: Params): ConvertedQuery {
  checkKind(params);
  const cached = cache.get(query);
  if (cached !== undefined) {
    order.moveToEnd(cached);
    return cached.value;
  }
  checkQueryText(query);
  const converted = convert(query);
  if (query.length <= LONGEST_CACHED) {
    if (cache.size >= MOST_CACHED) cache.delete(order.shift()!.query);
    cache.set(query, order.push(converted));
  }
  return converted;
}

/** Whether a text can be sent. */
export function isSendable(query: string): boolean {
  return !query.includes('\0') && query.isWellFormed();
}

/** Refuses a text that can't be sent. */
export function checkQueryText(query: string): void {
  if (query.includes('\0')) throw new errors.ProgrammingError("the query contains a NUL character ('\\0')");
  if (!query.isWellFormed()) {
    throw new errors.ProgrammingError("the query contains a lone surrogate, which can't be encoded as UTF-8");
  }
}

/** A percent sign that ends the query or its line is left alone, as in Psycopg. */
const PLACEHOLDER = /%(?:\(([^)]+)\)([^\n])|([^\n]))/gu;

function convert(query: string): ConvertedQuery {
  // What stands before, between and behind the placeholders, and the number of the value that each is for.
  const texts: string[] = [];
  const numbers: number[] = [];
  let text = '';
  let copied = 0;
  let positional = 0;
  const names = new Map<string, { readonly number: number; readonly format: string | undefined }>();
  for (const match of query.matchAll(PLACEHOLDER)) {
    const [whole, name, nameFormat, format] = match;
    text += query.slice(copied, match.index);
    copied = match.index + whole.length;
    if (whole === '%%') {
      text += '%';
      continue;
    }
    checkFormat(query, match.index, whole, nameFormat ?? format);
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
      seen = { number: names.size + 1, format: nameFormat };
      names.set(name, seen);
    } else if (seen.format !== nameFormat) {
      throw new errors.ProgrammingError(`placeholder '${name}' cannot have different formats`);
    }
    numbers.push(seen.number);
  }
  texts.push(text + query.slice(copied));
  return names.size > 0
    ? new NamedQuery(query, texts, numbers, [...names.keys()])
    : new PositionalQuery(query, texts, numbers);
}

function checkFormat(query: string, at: number, whole: string, format: string | undefined): void {
  if (format === 's' || format === 't' || format === 'b') return;
  if (whole === '% ') {
    throw new errors.ProgrammingError(
      "incomplete placeholder: '%'; to use '%' as an operator or in a pattern, double it: '%%'",
    );
  }
  if (whole === '%(') {
    throw new errors.ProgrammingError(`incomplete placeholder: '${query.slice(at).split(/\s/, 1)[0]!}'`);
  }
  throw new errors.ProgrammingError(`only '%s', '%b', '%t' are allowed as placeholders, got '${whole}'`);
}

abstract class Converted implements ConvertedQuery {
  readonly query: string;
  readonly text: string;
  readonly #texts: readonly string[];
  /** As found without and with backslashes that mean something. */
  readonly #enclosures: (readonly (readonly [index: number, open: Enclosure])[])[] = [];
  protected readonly numbers: readonly number[];

  constructor(query: string, texts: readonly string[], numbers: readonly number[]) {
    this.query = query;
    this.#texts = texts;
    this.numbers = numbers;
    this.text = this.#join((number) => `$${String(number)}`);
  }

  abstract values(params: Params): readonly unknown[];

  fill(texts: readonly string[], backslashes: boolean, check: EnclosedCheck): string {
    const enclosures = (this.#enclosures[Number(backslashes)] ??= this.#findEnclosures(backslashes));
    for (const [i, open] of enclosures) check(texts[this.numbers[i]! - 1]!, open, this.numbers[i]!);
    return this.#join((number) => texts[number - 1]!);
  }

  /** The placeholders that stand in quotes or comments: their indexes, and in what. */
  #findEnclosures(backslashes: boolean): [index: number, open: Enclosure][] {
    const found: [number, Enclosure][] = [];
    let open: Enclosure | null = null;
    for (let i = 0; i < this.numbers.length; i++) {
      open = openAfter(this.#texts[i]!, open, backslashes);
      if (open !== null) found.push([i, open]);
    }
    return found;
  }

  #join(placeholder: (number: number) => string): string {
    let text = this.#texts[0]!;
    for (let i = 0; i < this.numbers.length; i++) text += placeholder(this.numbers[i]!) + this.#texts[i + 1]!;
    return text;
  }
}

class PositionalQuery extends Converted {
  values(params: Params): readonly unknown[] {
    if (!checkKind(params)) {
      // An object may hold more than the query names, here all of it.
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
    return new errors.ProgrammingError(
      `the query has ${String(this.numbers.length)} placeholders but ${String(given)} parameters were passed`,
    );
  }
}

class NamedQuery extends Converted {
  readonly #names: readonly string[];

  constructor(query: string, texts: readonly string[], numbers: readonly number[], names: readonly string[]) {
    super(query, texts, numbers);
    this.#names = names;
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
    return this.#names.map((name) => params[name]);
  }
}

/** Getters of a class count, what every object inherits ('constructor', 'toString') does not. */
function isGiven(params: Readonly<Record<string, unknown>>, name: string): boolean {
  return Object.hasOwn(params, name) || (name in params && !(name in Object.prototype));
}

/** Whether the parameters are positional. Raises for what is neither an array nor an object of parameters. */
function checkKind(params: unknown): params is readonly unknown[] {
  if (Array.isArray(params)) return true;
  const isObject = typeof params === 'object' && params !== null;
  // Of what is iterable, bytes and maps say, the values would be lost without a word.
  if (isObject && !ArrayBuffer.isView(params) && !(Symbol.iterator in params)) return false;
  throw new errors.ProgrammingError(
    `expected the parameters to be an array or an object of named values, got ${describe(params)}`,
  );
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const { constructor } = value as { constructor?: { name?: string } };
  return constructor?.name === undefined ? 'an object' : `an instance of ${constructor.name}`;
}
