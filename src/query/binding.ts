import { dumpParam, type DumpedParam } from '../types/dump.js';
import { literal, type LiteralContext } from './literal.js';
import * as errors from '../errors/index.js';
import type { ShownQuery } from '../session/statement.js';
import { isSingleStatement } from '../session/statement-text.js';
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

/** A query: a string with `%s` placeholders, or what `sql` composed. */
export type Query = string | Composable;

/** What is sent for a query and its parameters. */
export interface BoundQuery {
  readonly text: string;
  /** The values of `$1` …; null if the query came without parameters, and may hold several statements. */
  readonly params: readonly DumpedParam[] | null;
  /** Whether the text certainly is a single statement, whatever the values in it look like. */
  readonly isSingle?: boolean;
  /** The query without values, if the text has them. */
  readonly shown?: ShownQuery;
}

/** What the protocol's 16-bit count can hold. */
const MOST_PARAMETERS = 65_535;

/**
 * A query on its way to the server: taken apart once, bound to parameters any number of times. Each kind of cursor has its own.
 */
export abstract class QueryBinding {
  protected readonly query: Query;
  protected readonly context: LiteralContext;

  constructor(query: Query, context: LiteralContext) {
    this.query = query;
    this.context = context;
  }

  /** The query by itself, with the values that it carries. Raises `DataError` or `ProgrammingError` for what can't be sent. */
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
   * The query with parameters. Raises `ProgrammingError` if they do not fit, `DataError` or `ProgrammingError` for values that
   * can't be sent; `where` stands before the number of the value in the message.
   */
  abstract withParams(params: Params, where: string): BoundQuery;
}

/** `%s` and `%(name)s` become `$1` …, whose values go separately. */
export class ServerBinding extends QueryBinding {
  #converted: ConvertedQuery | null = null;

  override withParams(params: Params, where: string): BoundQuery {
    this.#converted ??= convert(this.query, params, this.context);
    const values = this.#converted.values(params);
    const dumped = dumpAll(values, this.context, where);
    const { text } = this.#converted;
    return typeof this.query === 'string'
      ? { text, params: dumped }
      : { text, params: dumped, ...shownIfLiterals(this.query) };
  }
}

/** Values become part of the text, as literals. */
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
    const literals = this.#converted
      .values(params)
      .map((value, i) => literal(value, this.context, `${where}$${String(i + 1)}`));
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

/** `$1` … stand in the query already. */
export class RawBinding extends QueryBinding {
  #text: string | null = null;
  #highest = 0;

  override withParams(params: Params, where: string): BoundQuery {
    if (!Array.isArray(params)) {
      throw new errors.ProgrammingError('a raw cursor takes the values of $1, $2 … as an array');
    }
    if (this.#text === null) {
      this.#text = checked(
        typeof this.query === 'string' ? this.query : textWithoutValues(partsOf(this.query), this.context),
      );
      for (const [, number] of this.#text.matchAll(/\$(\d+)/g))
        this.#highest = Math.max(this.#highest, Number(number));
    }
    // Some of these may stand in quotes, so that too few are found out by the server; too many it would not mind.
    if (params.length > this.#highest) {
      throw new errors.ProgrammingError(
        `the query has no $${String(params.length)}, but ${String(params.length)} parameters were passed`,
      );
    }
    return { text: this.#text, params: dumpAll(params, this.context, where), ...shownIfLiterals(this.query) };
  }
}

/** The query with the parameters, or by itself if there are none. */
export function bindOnce(binding: QueryBinding, params: Params | null | undefined): BoundQuery {
  return params == null ? binding.withoutParams() : binding.withParams(params, '');
}

/** Raises `ProgrammingError` for what is no query. */
export function checkQuery(query: unknown): void {
  if (typeof query === 'string' || isComposable(query)) return;
  throw new errors.ProgrammingError(
    `expected the query to be a string or composed by sql, got ${query === null ? 'null' : typeof query}`,
  );
}

/** What is shown of a query that has literals of its own, which may be secrets. */
function shownIfLiterals(query: Query): Pick<BoundQuery, 'shown'> {
  if (typeof query === 'string' || !hasLiterals(partsOf(query))) return {};
  return { shown: () => describeQuery(query) };
}

/** What an error message shows of a query, without the values it carries. */
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

function dumpAll(values: readonly unknown[], { adapters }: LiteralContext, where: string): DumpedParam[] {
  if (values.length > MOST_PARAMETERS) {
    throw new errors.ProgrammingError(
      `the query has ${String(values.length)} parameters; PostgreSQL takes ${String(MOST_PARAMETERS)} at most`,
    );
  }
  const dumped = new Array<DumpedParam>(values.length);
  for (let i = 0; i < values.length; i++) dumped[i] = dumpParam(values[i], adapters, placeOf(i + 1, where));
  return dumped;
}

/** The places of the first parameters, which would else be put together for each value that is sent. */
const PLACES = Array.from({ length: 100 }, (_, i) => `$${String(i)}`);

function placeOf(number: number, where: string): string {
  return where === '' && number < PLACES.length ? PLACES[number]! : `${where}$${String(number)}`;
}
