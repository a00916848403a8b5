import * as errors from '../errors/index.js';
import { checkQuery, ClientBinding, type Query, type QueryBinding } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { TupleRow } from '../rows.js';
import { AsyncCursor } from './cursor.js';
import type { ExecuteOptions } from './options.js';

/**
 * A cursor that puts the values into the text of the query, as literals, before it sends it (Psycopg: `AsyncClientCursor`). It
 * takes parameters where the server takes none (`CREATE`, `SET` …), several statements with parameters, and one round trip without
 * preparing anything. Otherwise it is as `AsyncCursor`. Choose it by `cursorFactory`, or make one of a connection.
 *
 * @example
 * await using cur = new AsyncClientCursor(conn);
 * cur.mogrify('SELECT %s', ["it's"]); // SELECT 'it''s'
 * await cur.execute('SET search_path = %s; SELECT %s', ['app', 1]);
 */
export class AsyncClientCursor<R = TupleRow> extends AsyncCursor<R> {
  /**
   * The query as `execute()` would send it, with the values in it (Psycopg: `mogrify`). Raises `ProgrammingError` for parameters
   * that do not fit, `DataError` or `ProgrammingError` for values that can't be sent.
   */
  mogrify(query: Query, params?: Params | null): string {
    checkQuery(query);
    return this.bind(query, params).text;
  }

  /** @internal */
  protected override bindingOf(query: Query): QueryBinding {
    return new ClientBinding(query, this.literalContext());
  }

  /** @internal */
  protected override honoured(options: ExecuteOptions): ExecuteOptions {
    if (options.binary === true) {
      throw new errors.NotSupportedError(
        'a client cursor gets its results as text: execute without `binary`',
      );
    }
    return { ...options, prepare: false };
  }
}
