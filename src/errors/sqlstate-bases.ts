import {
  DatabaseError,
  DataError,
  IntegrityError,
  InternalError,
  NotSupportedError,
  OperationalError,
  ProgrammingError,
} from './base.js';

/** The base class by the SQLSTATE's class: its first two characters, or for a family of classes its first one. */
const BASES: Readonly<Record<string, typeof DatabaseError>> = {
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
 * Returns the DB-API class of an SQLSTATE, known or not (Psycopg: `get_base_exception`). A separate module, since the generator
 * of the classes uses it, too.
 */
export function baseOf(sqlstate: string): typeof DatabaseError {
  return BASES[sqlstate.slice(0, 2)] ?? BASES[sqlstate.slice(0, 1)] ?? DatabaseError;
}

/** The name of a class's condition in the server's list. */
export function constantNameOf(className: string): string {
  return className
    .replace(/(?:_|Ext)$/, '')
    .replace(/(?<=.)(?=[A-Z])/g, '_')
    .toUpperCase();
}
