import type { Statements } from './statements.js';

/** The key of the method that makes one of this module's own objects run on a client. */
export const SUBMIT: unique symbol = Symbol('usingpg.pg.submit');

/** What `client.query()` takes in place of a query and returns: a `Cursor`, a `Query`, or a stream of pg-query-stream. */
export interface Submittable {
  /** Called by node-postgres's client with its Connection; the clients of this module do without it. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- node-postgres's Connection, which does not exist here
  submit(connection: any): void;
}

/** An object of this module that runs on a client. */
export interface OwnSubmittable extends Submittable {
  callback?: unknown;
  [SUBMIT](statements: Statements): void;
}

/** Whether a value is to be submitted rather than a query. */
export function isSubmittable(value: unknown): value is Submittable {
  return (
    typeof value === 'object' && value !== null && 'submit' in value && typeof value.submit === 'function'
  );
}
