import { errors } from '../../index.js';
import type { Client } from './client.js';
import type { Callback } from './callbacks.js';
import { Cursor, type CursorConfig } from './cursor.js';

/** The key of the method that makes one of this module's own objects run on a client. @internal */
export const SUBMIT: unique symbol = Symbol('usingpg.pg.submit');

/** What `client.query()` takes in place of a query and returns: a `Cursor`, a `Query`, or a stream of pg-query-stream. */
export interface Submittable {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- node-postgres's Connection, which does not exist here
  submit(connection: any): void;
}

/** An object of this module that runs on a client. */
interface Own extends Submittable {
  callback?: unknown;
  [SUBMIT](client: Client): void;
}

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

/** Whether a value is to be submitted rather than a query. */
export function isSubmittable(value: unknown): value is Submittable {
  return typeof value === 'object' && value !== null && 'submit' in value && typeof value.submit === 'function';
}

/**
 * Runs a submittable on a client. Cursors of pg-cursor and streams of pg-query-stream, which would speak the protocol themselves, are
 * served by a `Cursor` of this module. Raises `NotSupportedError` for any other.
 */
export function submit(submittable: Submittable, client: Client, callback: Callback<[unknown]> | undefined): void {
  // As in node-postgres, it is the submittable that calls back.
  if (callback !== undefined) Object.assign(submittable, { callback });
  if (SUBMIT in submittable) {
    (submittable as Own)[SUBMIT](client);
  } else if ('cursor' in submittable && isPgCursor(submittable.cursor)) {
    submittable.cursor = servedBy(submittable.cursor, client);
  } else if (isPgCursor(submittable)) {
    servedBy(submittable, client);
  } else {
    throw new errors.NotSupportedError(
      `client.query() cannot run a ${submittable.constructor.name}, which speaks node-postgres's protocol itself: only cursors of` +
        ' pg-cursor and streams of pg-query-stream are known. For COPY, use cursor.copy() of usingpg',
    );
  }
}

function isPgCursor(value: unknown): value is PgCursor {
  if (typeof value !== 'object' || value === null) return false;
  return ['read', 'close', 'handleDataRow', 'emit'].every((name) => typeof Reflect.get(value, name) === 'function') && 'text' in value;
}

/** Makes a cursor that does the work of one of pg-cursor, and gets its calls. */
function servedBy(theirs: PgCursor, client: Client): Cursor {
  const cursor = new Cursor(theirs.text, theirs.values ?? undefined, theirs._conf);
  cursor.on('end', (result) => theirs.emit('end', result));
  cursor.on('error', (error) => theirs.listenerCount('error') > 0 && theirs.emit('error', error));
  theirs.read = cursor.read.bind(cursor);
  theirs.close = cursor.close.bind(cursor);
  cursor[SUBMIT](client);
  return cursor;
}
