import type { DumpedParam } from '../types/adaptation.js';
import { dumpParam, tooLarge } from '../types/dump.js';
import { literal, type LiteralContext } from './literal.js';
import * as errors from '../errors/index.js';
import { RecentTexts } from './recent-texts.js';
import type { ShownQuery } from '../session/statement.js';
import { isSingleStatement } from '../sql-statement.js';
import { isComposable, partsOf, type Composable } from './composable.js';
import {
  hasBackslashes,
  hasLiterals,
  hasPlaceholders,
  outline,
  textWithLiterals,
  textWithoutValues,
  textWithParameters,
  textWithPlaceholders,
} from './compose.js';
import { checkQueryText, convertQuery, type ConvertedQuery, type Params } from './placeholders.js';
import { Template } from './template.js';

/** A query: a string with `%s` placeholders, or a query composed by `sql`. */
export type Query = string | Composable;

/** A query's text and parameters in the form in which they are sent. */
export interface BoundQuery {
  readonly text: string;
  /** The values of `$1` …; null for a query without parameters, which may contain several statements. */
  readonly params: readonly DumpedParam[] | null;
  /** The placeholders of `$1` …, as the query has them, where they have names. */
  readonly names?: readonly string[] | null;
  /** Whether the text is certainly a single statement, whatever its values contain. */
  readonly isSingle?: boolean;
  /** The query without values, for error messages and traces; set if `text` contains values. */
  readonly shown?: ShownQuery;
}

/** The protocol counts parameters in 16 bits. */
const MOST_PARAMETERS = 65_535;

/** A query prepared for binding: parsed once, bound to parameters any number of times. Each kind of cursor has its own subclass. */
export abstract class QueryBinding {
  protected readonly query: Query;
  protected readonly context: LiteralContext;

  constructor(query: Query, context: LiteralContext) {
    this.query = query;
    this.context = context;
  }

  /**
   * Binds the query without parameters, only with the values it carries. Raises `DataError` or `ProgrammingError` for values that
   * cannot be sent.
   */
  withoutParams(): BoundQuery {
    if (typeof this.query === 'string') return { text: checked(this.query), params: null };
    const plain = this.query instanceof Template && !hasBackslashes(this.context) ? this.query.plain() : null;
    const { text, values } = plain ?? textWithParameters(partsOf(this.query), this.context);
    return {
      text: plain === null ? checked(text) : text,
      params: values.length === 0 ? null : dumpAll(values, this.context, ''),
      ...(plain === null ? shownIfLiterals(this.query) : {}),
    };
  }

  /**
   * Binds the query to parameters. Raises `ProgrammingError` if they do not match the placeholders, `DataError` or
   * `ProgrammingError` for values that cannot be sent. `where` precedes the parameter's number in the message.
   */
  abstract withParams(params: Params, where: string): BoundQuery;
}

/** Converts `%s` and `%(name)s` to `$1` … and sends the values separately. */
export class ServerBinding extends QueryBinding {
  #converted: ConvertedQuery | null = null;

  override withParams(params: Params, where: string): BoundQuery {
    this.#converted ??= convert(this.query, params, this.context);
    const values = this.#converted.values(params);
    const { text, names } = this.#converted;
    const dumped = dumpAll(values, this.context, where, names);
    return typeof this.query === 'string'
      ? { text, params: dumped, names }
      : { text, params: dumped, names, ...shownIfLiterals(this.query) };
  }
}

/** Replaces placeholders by literals. */
export class ClientBinding extends QueryBinding {
  #converted: ConvertedQuery | null = null;
  #isSingle: boolean | null = null;

  override withoutParams(): BoundQuery {
    const { query } = this;
    if (typeof query === 'string') return { text: checked(query), params: null };
    const text = textWithLiterals(partsOf(query), this.context);
    return { text: checked(text), params: null, shown: () => describeQuery(query) };
  }

  override withParams(params: Params, where: string): BoundQuery {
    this.#converted ??= convert(this.query, params, this.context);
    const { names } = this.#converted;
    const literals = this.#converted
      .values(params)
      .map((value, i) => literal(value, this.context, placeOf(i, where, names)));
    this.#isSingle ??= isSingleStatement(this.#converted.text);
    const text = this.#converted.fill(literals, hasBackslashes(this.context), where);
    return {
      text,
      params: null,
      isSingle: this.#isSingle,
      shown: this.#converted.text,
      ...shownIfLiterals(this.query),
    };
  }
}

/** A text with the server's own placeholders. */
interface RawText {
  readonly text: string;
  /** The number of its highest `$n`, which may be inside quotes. */
  readonly highest: number;
}

const recentRaw = new RecentTexts(rawText);

function rawText(text: string): RawText {
  checkQueryText(text);
  let highest = 0;
  for (const [, number] of text.matchAll(/\$(\d+)/g)) highest = Math.max(highest, Number(number));
  return { text, highest };
}

/** Leaves the `$1` … in the query as they are. */
export class RawBinding extends QueryBinding {
  #raw: RawText | null = null;

  override withParams(params: Params, where: string): BoundQuery {
    if (!Array.isArray(params)) {
      throw new errors.ProgrammingError('a raw cursor takes the values of $1, $2 … as an array');
    }
    this.#raw ??= recentRaw.get(
      typeof this.query === 'string' ? this.query : textWithoutValues(partsOf(this.query), this.context),
    );
    const { text, highest } = this.#raw;
    // The server reports too few parameters, but ignores superfluous ones, so they are checked here.
    if (params.length > highest) {
      throw new errors.ProgrammingError(
        `the query has no $${String(params.length)}, but ${String(params.length)} parameters were passed`,
      );
    }
    const dumped = dumpAll(params, this.context, where);
    return typeof this.query === 'string'
      ? { text, params: dumped }
      : { text, params: dumped, ...shownIfLiterals(this.query) };
  }
}

/** Binds a query to its parameters, if there are any. */
export function bindOnce(binding: QueryBinding, params: Params | null | undefined): BoundQuery {
  return params == null ? binding.withoutParams() : binding.withParams(params, '');
}

/** Raises `ProgrammingError` for a value that is no query. */
export function checkQuery(query: unknown): void {
  if (typeof query === 'string' || isComposable(query)) return;
  throw new errors.ProgrammingError(
    `expected the query to be a string or composed by sql, got ${query === null ? 'null' : typeof query}${queryAdvice(query)}`,
  );
}

/** What to write in place of a query as other clients take it. */
function queryAdvice(query: unknown): string {
  if (Array.isArray(query)) return '; a template has its tag within the parentheses: `execute(sql`…`)`';
  const isConfig = typeof query === 'object' && query !== null && 'text' in query;
  return isConfig ? '; pass its text as the query, and its values as the second argument' : '';
}

/** The text to show for a query that contains literals of its own, which may be secrets. */
function shownIfLiterals(query: Query): Pick<BoundQuery, 'shown'> {
  if (typeof query === 'string' || !hasLiterals(partsOf(query))) return {};
  return { shown: () => describeQuery(query) };
}

/** A query's text for error messages, without the values it carries. */
export function describeQuery(query: Query): string {
  return typeof query === 'string' ? query : outline(partsOf(query));
}

function convert(query: Query, params: Params, context: LiteralContext): ConvertedQuery {
  if (typeof query === 'string') return convertQuery(query, params);
  const parts = partsOf(query);
  const text = textWithPlaceholders(parts, context);
  if (Array.isArray(params) && params.length > 0 && !hasPlaceholders(parts)) {
    throw new errors.ProgrammingError(
      'the query has no placeholders, yet parameters were passed: in a template write each value where it belongs (${value}),' +
        ' or ${sql.Placeholder()} for parameters that come separately',
    );
  }
  return convertQuery(text, params);
}

function checked(text: string): string {
  checkQueryText(text);
  return text;
}

function dumpAll(
  values: readonly unknown[],
  { adapters }: LiteralContext,
  where: string,
  names: readonly string[] | null = null,
): DumpedParam[] {
  if (values.length > MOST_PARAMETERS) {
    throw new errors.ProgrammingError(
      `the query has ${String(values.length)} parameters; PostgreSQL accepts at most ${String(MOST_PARAMETERS)}:` +
        ' send many rows by COPY, by executemany(), or in several statements',
    );
  }
  const dumped = new Array<DumpedParam>(values.length);
  let characters = 0;
  let i = 0;
  try {
    for (; i < values.length; i++) {
      const param = dumpParam(values[i], adapters, placeOf(i, where, names));
      if (param.bytes === undefined && param.text !== null) characters += param.text.length;
      dumped[i] = param;
    }
  } catch (error) {
    throw tooLarge(error, placeOf(i, where, names));
  }
  if (characters > CERTAIN_TO_FIT) checkSize(dumped);
  return dumped;
}

/** The server ends a connection that sends a larger message. */
const MOST_BYTES = 2 ** 30 - 1;
/** A character takes at most three bytes. */
const CERTAIN_TO_FIT = MOST_BYTES / 4;
/** What comes with a parameter, and with all of them, in bytes. */
const LENGTH_AND_FORMAT = 6;
const LONGEST_NAMES = 200;

function checkSize(params: readonly DumpedParam[]): void {
  const sizes = params.map(({ bytes, text }) => bytes?.length ?? Buffer.byteLength(text ?? ''));
  const bytes = sizes.reduce((sum, size) => sum + size + LENGTH_AND_FORMAT, LONGEST_NAMES);
  if (bytes <= MOST_BYTES) return;
  throw new errors.DataError(
    `the parameters take ${String(bytes)} bytes; PostgreSQL accepts at most ${String(MOST_BYTES)} in a message: send large values one by one, or by COPY`,
  );
}

/** The names of the first parameters, precomputed since they are needed for every value. */
const PLACES = Array.from({ length: 100 }, (_, i) => `$${String(i)}`);

function placeOf(index: number, where: string, names: readonly string[] | null): string {
  if (names !== null) return where === '' ? names[index]! : `${where}${names[index]!}`;
  const number = index + 1;
  return where === '' && number < PLACES.length ? PLACES[number]! : `${where}$${String(number)}`;
}
