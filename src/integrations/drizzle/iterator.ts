import { errors } from '../../index.js';
import { CallOptions } from '../../options/call-options.js';
import { OBJECT, SIGNAL, whole } from '../../options/kinds.js';
import { UsingpgPreparedQuery } from './prepared-query.js';

/** A query whose result is an array of rows: a query builder's, a relational one, or a prepared one. */
export interface IteratedQuery<Row> {
  /** Gives all rows. */
  execute(placeholderValues?: Record<string, unknown>): Promise<readonly Row[]>;
}

/** Options of `iterator()`. */
export interface IteratorOptions {
  /** The values of the query's placeholders, `sql.placeholder(name)`. */
  placeholderValues?: Record<string, unknown> | undefined;
  /** The number of rows fetched at a time. @default as many as take about 256 KiB */
  size?: number | undefined;
  /** Ends the iteration when it is aborted: the loop rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

const OPTIONS = new CallOptions<IteratorOptions>('db.iterator(query, options)', {
  placeholderValues: OBJECT,
  size: whole(1),
  signal: SIGNAL,
});

/** What Drizzle's query builders have, but not in its declarations: it prepares a query without a name for the server. */
interface Preparable {
  _prepare?(): unknown;
}

export function iterate<Row>(
  query: IteratedQuery<Row>,
  options: IteratorOptions = {},
): AsyncGenerator<Row, void, void> {
  OPTIONS.check(options);
  const prepared = query instanceof UsingpgPreparedQuery ? query : (query as Preparable)._prepare?.();
  if (!(prepared instanceof UsingpgPreparedQuery)) {
    throw new errors.ProgrammingError(
      'iterator() needs a query of a database made by drizzle() of usingpg/drizzle',
    );
  }
  const { placeholderValues, size, signal } = options;
  return prepared.iterator(placeholderValues, { size, signal }) as AsyncGenerator<Row, void, void>;
}
