import * as errors from '../errors/index.js';
import { checkQuery, ClientBinding, type Query, type QueryBinding } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { TupleRow } from '../rows.js';
import { AsyncCursor } from './cursor.js';
import type { ExecuteOptions } from './options.js';

/**
 * A cursor that inserts the values into the query's text as literals before sending it (Psycopg: `AsyncClientCursor`). It allows
 * parameters where the server does not (`CREATE`, `SET` …) and several statements with parameters, and needs one round trip
 * without a prepared statement. As in Psycopg, a `number`, a `bigint` and a `Float8` are written bare, so that their digits determine
 * the type: 5n is an integer, 1.5 a numeric. Other wrappers keep their types. In other respects it behaves like `AsyncCursor`. Select
 * it by `cursorFactory`, or construct one with a connection.
 *
 * @example
 * await using cur = new AsyncClientCursor(conn);
 * cur.mogrify('SELECT %s', ["it's"]); // SELECT 'it''s'
 * await cur.execute('SET search_path = %s; SELECT %s', ['app', 1]);
 */
export class AsyncClientCursor<R = TupleRow> extends AsyncCursor<R> {
  /**
   * Returns the query as `execute()` would send it, with its values (Psycopg: `mogrify`). Raises `ProgrammingError` for
   * parameters that do not match the placeholders, `DataError` or `ProgrammingError` for values that cannot be sent.
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
