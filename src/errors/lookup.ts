import {
  DatabaseError,
  DataError,
  IntegrityError,
  InternalError,
  NotSupportedError,
  OperationalError,
  ProgrammingError,
  type ErrorOptions,
} from './base.js';
import { Diagnostic } from './diagnostic.js';
import { SQLSTATE_CLASSES } from './sqlstate.js';

/** The class of an error of the server. */
export type DatabaseErrorClass = new (message: string, options?: ErrorOptions) => DatabaseError;

const byCode = new Map<string, DatabaseErrorClass>();
for (const [sqlstate, constantName, errorClass] of SQLSTATE_CLASSES) {
  byCode.set(sqlstate, errorClass);
  byCode.set(constantName, errorClass);
}

/** The base of the errors whose class of SQLSTATE, its first two characters or its first one, is this. */
const BASES: Readonly<Record<string, DatabaseErrorClass>> = {
  '08': OperationalError,
  '0A': NotSupportedError,
  '10': ProgrammingError,
  '20': ProgrammingError,
  '21': ProgrammingError,
  '22': DataError,
  '23': IntegrityError,
  '24': InternalError,
  '25': InternalError,
  '26': ProgrammingError,
  '27': OperationalError,
  '28': OperationalError,
  '2B': InternalError,
  '2D': InternalError,
  '2F': OperationalError,
  '34': ProgrammingError,
  '38': OperationalError,
  '39': OperationalError,
  '3B': OperationalError,
  '3D': ProgrammingError,
  '3F': ProgrammingError,
  '40': OperationalError,
  '42': ProgrammingError,
  '44': ProgrammingError,
  '53': OperationalError,
  '54': OperationalError,
  '55': OperationalError,
  '57': OperationalError,
  '58': OperationalError,
  F: OperationalError,
  H: OperationalError,
  P: ProgrammingError,
  X: InternalError,
};

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
  const errorClass =
    byCode.get(sqlstate) ?? BASES[sqlstate.slice(0, 2)] ?? BASES[sqlstate.slice(0, 1)] ?? DatabaseError;
  let message = fields.get('M') ?? 'the server reported an error without a message';
  const detail = fields.get('D');
  const hint = fields.get('H');
  if (detail !== undefined) message += `\nDETAIL:  ${detail}`;
  if (hint !== undefined) message += `\nHINT:  ${hint}`;
  return new errorClass(message, { diag: new Diagnostic(fields), query });
}
