export {
  DatabaseError,
  DataError,
  Error,
  IntegrityError,
  InterfaceError,
  InternalError,
  NotSupportedError,
  OperationalError,
  ProgrammingError,
  Warning,
  type ErrorOptions,
} from './base.js';
export * from './client.js';
export { Diagnostic } from './diagnostic.js';
export type { ErrorConnection, ErrorPool } from './location.js';
export { lookup, type DatabaseErrorClass } from './lookup.js';
export * from './conditions.js';
