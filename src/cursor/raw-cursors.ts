import { RawBinding, type Query, type QueryBinding } from '../query/binding.js';
import type { TupleRow } from '../rows.js';
import { AsyncCursor } from './cursor.js';
import { AsyncServerCursor } from './server-cursor.js';

/**
 * A cursor whose queries have the server's own placeholders, `$1`, `$2` …, and are sent unchanged (Psycopg: `AsyncRawCursor`).
 * Parameters are an array; a percent sign has no special meaning.
 *
 * @example
 * await using cur = new AsyncRawCursor(conn);
 * await cur.execute('SELECT $1::int % $2 = 0', [10, 5]);
 */
export class AsyncRawCursor<R = TupleRow> extends AsyncCursor<R> {
  /** @internal */
  protected override bindingOf(query: Query): QueryBinding {
    return new RawBinding(query, this.literalContext());
  }
}

/**
 * A server-side cursor whose queries have the server's own placeholders, `$1`, `$2` … (Psycopg: `AsyncRawServerCursor`). Select
 * it by `serverCursorFactory`, or construct one with a connection.
 *
 * @example
 * conn.serverCursorFactory = AsyncRawServerCursor;
 * await using cur = conn.cursor({ name: 'cities' });
 * await cur.execute('SELECT name FROM city WHERE country = $1', ['FR']);
 */
export class AsyncRawServerCursor<R = TupleRow> extends AsyncServerCursor<R> {
  /** @internal */
  protected override bindingOf(query: Query): QueryBinding {
    return new RawBinding(query, this.literalContext());
  }
}
