import { errors } from '../../index.js';
import type { Callback } from './callbacks.js';
import { Cursor, type CursorConfig } from './cursor.js';
import type { Statements } from './statements.js';
import type { QueryResults } from './statement.js';
import { SUBMIT, type OwnSubmittable, type Submittable } from './submit.js';

/** A cursor of pg-cursor. */
interface PgCursor extends Submittable {
  readonly text: string;
  readonly values: readonly unknown[] | null;
  readonly _conf?: CursorConfig;
  read: Cursor['read'];
  close: Cursor['close'];
  emit(event: string, ...args: unknown[]): boolean;
  listenerCount(event: string): number;
}

/**
 * Runs a submittable on a client. Cursors of pg-cursor and streams of pg-query-stream, which would speak the protocol themselves, are
 * served by a `Cursor` of this module. Raises `NotSupportedError` for any other.
 */
export function submit(
  submittable: Submittable,
  statements: Statements,
  callback: Callback<[QueryResults]> | undefined,
): void {
  // As in node-postgres, it is the submittable that calls back.
  if (callback !== undefined) Object.assign(submittable, { callback });
  if (SUBMIT in submittable) {
    (submittable as OwnSubmittable)[SUBMIT](statements);
  } else if ('cursor' in submittable && isPgCursor(submittable.cursor)) {
    submittable.cursor = servedBy(submittable.cursor, statements);
  } else if (isPgCursor(submittable)) {
    servedBy(submittable, statements);
  } else {
    throw new errors.NotSupportedError(
      `client.query() cannot run a ${submittable.constructor.name}, which speaks node-postgres's protocol itself: only cursors of` +
        ' pg-cursor and streams of pg-query-stream are known. For COPY, use cursor.copy() of usingpg',
    );
  }
}

function isPgCursor(value: unknown): value is PgCursor {
  if (typeof value !== 'object' || value === null) return false;
  return (
    ['read', 'close', 'handleDataRow', 'emit'].every(
      (name) => typeof Reflect.get(value, name) === 'function',
    ) && 'text' in value
  );
}

/** Makes a cursor that does the work of one of pg-cursor, and gets its calls. */
function servedBy(theirs: PgCursor, statements: Statements): Cursor {
  const cursor = new Cursor(theirs.text, theirs.values ?? undefined, theirs._conf);
  cursor.on('end', (result) => theirs.emit('end', result));
  cursor.on('error', (error) => theirs.listenerCount('error') > 0 && theirs.emit('error', error));
  theirs.read = cursor.read.bind(cursor);
  theirs.close = cursor.close.bind(cursor);
  cursor[SUBMIT](statements);
  return cursor;
}
