import { AsyncRawCursor, errors, type AsyncConnection, type ExecuteOptions } from '../../index.js';
import type { Callback } from './callbacks.js';
import { fieldsOf, Result } from './result.js';
import type { SessionState } from './session-state.js';
import { makingOf, type CustomTypes } from './type-parsers.js';

// As in node-postgres's declarations, values, rows and the arguments of events have no types here.
/* eslint-disable @typescript-eslint/no-explicit-any */
/** The values of a query's parameters. */
export type Values = readonly any[];
/** A row as an array. */
export type ArrayRow = any[];
/** A row of any kind. */
export type AnyRow = any;
/** A row as an object with a property for each column. */
export type QueryResultRow = Record<string, any>;
/** A listener of an event. */
export type Listener = (...args: any[]) => void;
/* eslint-enable @typescript-eslint/no-explicit-any */

/** A query with its options; `I` is the type of its values. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in node-postgres's declarations
export interface QueryConfig<I = any[]> {
  /** The text, with `$1`, `$2` … for the values. */
  text?: string | undefined;
  /** The values of `$1`, `$2` …. */
  values?: I | undefined;
  /** Prepares the statement under this name, which stands for the text in later queries of the connection. */
  name?: string | undefined;
  /** 'array': rows are arrays of values, not objects. */
  rowMode?: string | undefined;
  /** The parsers of the values. */
  types?: CustomTypes | undefined;
  /** 'extended': the text is one statement, even without values. */
  queryMode?: string | undefined;
  /** Milliseconds until the query is cancelled. @default that of the client */
  query_timeout?: number | undefined;
}

/** The results of a query: an array if the text has several statements. */
export type QueryResults = Result | Result[];

/** A query that gives rows as arrays. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in node-postgres's declarations
export interface QueryArrayConfig<I = any[]> extends QueryConfig<I> {
  rowMode: 'array';
}

/** A query as it was passed to `query()`, checked. */
export interface Statement {
  readonly text: string | undefined;
  readonly values: readonly unknown[];
  readonly name: string | undefined;
  readonly asArrays: boolean;
  readonly types: CustomTypes | undefined;
  readonly extended: boolean;
  /** Milliseconds; undefined: the client's. */
  readonly timeout: number | undefined;
}

/** The message of the error of `query()` without a query. */
export const NO_QUERY = 'Client was passed a null or undefined query';

/** The callback among the arguments of `query()`. Raises `TypeError` if there is no query, or the callback is no function. */
export function callbackOf(
  query: unknown,
  values: unknown,
  callback: unknown,
): Callback<[QueryResults]> | undefined {
  if (query === undefined || query === null) throw new TypeError(NO_QUERY);
  const given: unknown =
    callback ??
    (typeof values === 'function'
      ? values
      : typeof query === 'object' && 'callback' in query
        ? query.callback
        : null);
  if (given === undefined || given === null) return undefined;
  if (typeof given !== 'function') throw new TypeError('callback is not a function');
  return given as Callback<[QueryResults]>;
}

/** Checks the other arguments of `query()`. Raises `ProgrammingError`. */
export function statementOf(query: unknown, values: unknown): Statement {
  const config: QueryConfig = typeof query === 'object' ? query! : { text: query as string };
  const given: unknown = (typeof values === 'function' ? undefined : values) ?? config.values ?? NO_VALUES;
  const { text, name, types } = config;
  if (typeof text !== 'string' && typeof name !== 'string') {
    throw new errors.ProgrammingError(
      'A query must have either text or a name. Supplying neither is unsupported.',
    );
  }
  if (!Array.isArray(given)) throw new errors.ProgrammingError('Query values must be an array');
  return {
    text: text ?? undefined,
    values: given,
    name: name === '' ? undefined : name,
    asArrays: config.rowMode === 'array',
    types,
    extended: config.queryMode === 'extended',
    timeout: config.query_timeout,
  };
}

const NO_VALUES: readonly unknown[] = [];

/** The options of the library for a statement. `binary` makes it use the extended protocol. */
function optionsOf({ name, extended }: Statement, { preparesUnnamed }: SessionState): ExecuteOptions {
  if (name !== undefined) return NAMED;
  if (preparesUnnamed) return extended ? EXTENDED : PLAIN;
  return extended ? EXTENDED_ONCE : ONCE;
}

const NAMED: ExecuteOptions = { prepare: true };
const PLAIN: ExecuteOptions = {};
const EXTENDED: ExecuteOptions = { binary: true };
const ONCE: ExecuteOptions = { prepare: false };
const EXTENDED_ONCE: ExecuteOptions = { prepare: false, binary: true };

/** Executes a statement: the result, or an array of results if the text has several statements. */
export async function runStatement(
  connection: AsyncConnection,
  state: SessionState,
  statement: Statement,
  signal: AbortSignal | undefined,
): Promise<QueryResults> {
  const { name, asArrays, extended } = statement;
  const text = name === undefined ? statement.text! : state.textOf(name, statement.text);
  const cursor = new AsyncRawCursor(connection, makingOf(statement.types ?? state.types, asArrays));
  const isSimple = name === undefined && !extended && statement.values.length === 0;
  const options = optionsOf(statement, state);
  await cursor.execute(
    text,
    isSimple ? undefined : statement.values,
    signal === undefined ? options : { ...options, signal },
  );
  if (name !== undefined) state.remember(name, text);
  const rowMode = asArrays ? 'array' : undefined;
  const results: Result[] = [];
  do {
    const { description, statusmessage } = cursor;
    results.push(
      description === null
        ? new Result(rowMode, [], [], statusmessage)
        : new Result(rowMode, fieldsOf(description), await cursor.fetchall(), statusmessage),
    );
  } while (isSimple && (await cursor.nextset()) === true);
  return results.length === 1 ? results[0]! : results;
}
