import type { DatabaseError, ErrorOptions } from './base.js';
import { Diagnostic } from './diagnostic.js';
import { baseOf } from './sqlstate-bases.js';
import { SQLSTATE_CLASSES } from './sqlstate.js';

/** The class of an error of the server. */
export type DatabaseErrorClass = new (message: string, options?: ErrorOptions) => DatabaseError;

const byCode = new Map<string, DatabaseErrorClass>();
for (const [sqlstate, constantName, errorClass] of SQLSTATE_CLASSES) {
  byCode.set(sqlstate, errorClass);
  byCode.set(constantName, errorClass);
}

/**
 * The class for an SQLSTATE (`'23505'`) or its constant name (`'UNIQUE_VIOLATION'`), in upper or lower case. Raises a
 * `RangeError` if there is none (Psycopg: `errors.lookup`).
 */
export function lookup(sqlstateOrConstantName: string): DatabaseErrorClass {
  const found = byCode.get(sqlstateOrConstantName.toUpperCase());
  if (found === undefined)
    throw new RangeError(`there is no SQLSTATE or condition named ${sqlstateOrConstantName}`);
  return found;
}

/** The error that an `ErrorResponse` with these fields, by the protocol's letter, stands for. */
export function errorFromResponse(
  fields: ReadonlyMap<string, string>,
  query: string | null = null,
): DatabaseError {
  const sqlstate = fields.get('C') ?? '';
  const errorClass = byCode.get(sqlstate) ?? baseOf(sqlstate);
  let message = fields.get('M') ?? 'the server reported an error without a message';
  const detail = fields.get('D');
  const hint = fields.get('H');
  if (detail !== undefined) message += `\nDETAIL:  ${detail}`;
  if (hint !== undefined) message += `\nHINT:  ${hint}`;
  return new errorClass(message, { diag: new Diagnostic(fields), query });
}
