import { RawBinding, type Query, type QueryBinding } from '../query/binding.js';
import type { TupleRow } from '../rows.js';
import { AsyncCursor } from './cursor.js';

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
