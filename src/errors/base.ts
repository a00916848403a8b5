import { types } from 'node:util';
import { INSPECT } from '../inspect.js';
import { Diagnostic } from './diagnostic.js';
import { setHidden, setShown, type ErrorConnection, type ErrorPool } from './location.js';
import { serverReport } from './server-report.js';

/** The diagnostic of all errors that do not come from the server; one object, since it never changes. */
const NO_DIAGNOSTIC = new Diagnostic(new Map());
/** `Symbol.for` makes the key the same in every copy of the package, so that two installed copies recognise each other's errors. */
const BRAND = Symbol.for('usingpg.error');

/** The optional properties of an error. */
export interface ErrorOptions {
  /** The error that led to this one. */
  cause?: unknown;
  /** The query, without values. */
  query?: string | null | undefined;
  /** The fields of the server's error. */
  diag?: Diagnostic | undefined;
  /** The server's position as an index of `query`; null if it is not known. @default that of `diag` */
  position?: number | null | undefined;
  /** The SQLSTATE, if neither the class nor `diag` has one. */
  sqlstate?: string | null | undefined;
  /** The connection on which the error occurred. */
  connection?: ErrorConnection | null | undefined;
  /** The state of the pool in which the error occurred. */
  pool?: ErrorPool | undefined;
}

/** Gives a class its name and its mark for `instanceof`, neither of which a bundler or minifier changes. */
export function brand(errorClass: { readonly prototype: globalThis.Error }, name: string): void {
  Object.defineProperty(errorClass, 'name', { value: name, configurable: true });
  Object.defineProperty(errorClass.prototype, 'name', { value: name, configurable: true, writable: true });
  Object.defineProperty(errorClass.prototype, BRAND, { value: name });
}

/** Whether `value` is an instance of `branded`, of this or another copy of the package. */
function isBranded(branded: { readonly prototype: globalThis.Error }, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(branded, value)) return true;
  // A user's subclass has no mark of its own, and exists only once.
  if (!Object.hasOwn(branded.prototype, BRAND) || typeof value !== 'object' || value === null) return false;
  const name: unknown = Reflect.get(branded.prototype, BRAND);
  for (let link: unknown = value; link !== null; link = Object.getPrototypeOf(link)) {
    if (Object.hasOwn(link as object, BRAND) && Reflect.get(link as object, BRAND) === name) return true;
  }
  return false;
}

/** The text of an error in its stack. @internal */
export const REPORT: unique symbol = Symbol.for('usingpg.report');
const POSITION: unique symbol = Symbol('usingpg.position');
/** The number of a query's characters that are printed. */
const LONGEST_QUERY = 1000;

/** The base class of all errors that this library raises (Psycopg: `Error`). */
class Error extends globalThis.Error {
  /** The SQLSTATE of the class; null if the class covers several. */
  static readonly sqlstate: string | null = null;

  /** The fields of the server's error (Psycopg: `diag`); each is null if the error does not come from the server. */
  declare readonly diag: Diagnostic;
  /** The SQLSTATE of the error, five characters: the class's, else the server's, else null (Psycopg: `sqlstate`). */
  declare readonly sqlstate: string | null;
  /**
   * The query, with `$1` … in place of values, even if the client inserted them into the text (`AsyncClientCursor`, COPY); null if
   * the error concerns no query.
   */
  declare readonly query: string | null;
  /** The connection on which the error occurred, frozen; null if there was none. */
  declare readonly connection: ErrorConnection | null;
  /** The state of the pool when it could not provide a connection, frozen; null for other errors. */
  declare readonly pool: ErrorPool | null;
  declare readonly [POSITION]: number | null | undefined;

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const sqlstate = options.sqlstate ?? new.target.sqlstate ?? options.diag?.sqlstate ?? null;
    setShown(this, 'sqlstate', sqlstate);
    setShown(this, 'query', options.query ?? null);
    setHidden(this, 'diag', options.diag ?? NO_DIAGNOSTIC);
    const { connection, pool, position } = options;
    if (connection != null) setShown(this, 'connection', connection);
    if (pool !== undefined) setShown(this, 'pool', Object.freeze(pool));
    if (position !== undefined) setHidden(this, POSITION, position);
  }

  /** The text after the name in the stack: the message and the server's other fields. @internal */
  get [REPORT](): string {
    const { message, diag, query } = this;
    return diag === NO_DIAGNOSTIC ? message : serverReport(message, diag, query, this[POSITION]);
  }

  /**
   * The error's fields for a log, without secrets, and without parameter values except those in the server's own messages. Empty
   * fields are omitted.
   */
  toJSON(): Record<string, unknown> {
    return asJson(this, MOST_CAUSES);
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isBranded(this, value);
  }
}
export { Error };
brand(Error, 'Error');
setHidden(Error.prototype, 'connection', null);
setHidden(Error.prototype, 'pool', null);
setHidden(Error.prototype, POSITION, undefined);
setHidden(Error.prototype, INSPECT, inspected);

/** As `util.inspect()` prints it: like any error, but with no more than the beginning of a long query. */
function inspected(this: Error): Error {
  const { query } = this;
  if (query === null || query.length <= LONGEST_QUERY) return this;
  const value = `${query.slice(0, LONGEST_QUERY)}… (${String(query.length)} characters)`;
  return Object.create(Object.getPrototypeOf(this) as object, {
    ...Object.getOwnPropertyDescriptors(this),
    query: { value, enumerable: true },
    [INSPECT]: { value: undefined },
  }) as Error;
}

/** The depth to which causes are shown. */
const MOST_CAUSES = 5;

function asJson(error: Error, depth: number): Record<string, unknown> {
  const { name, message, sqlstate, query, connection, pool, cause } = error;
  const { messageDetail: detail, messageHint: hint } = error.diag;
  const json: Record<string, unknown> = { name, message };
  for (const [key, value] of Object.entries({ sqlstate, detail, hint, query, connection, pool })) {
    if (value !== null) json[key] = value;
  }
  if (cause !== undefined && depth > 0) json['cause'] = causeAsJson(cause, depth - 1);
  return json;
}

/** Whether a value is an Error of any realm; in a test runner's sandbox, Node's own errors come from another realm. */
function isNativeError(value: unknown): value is globalThis.Error {
  return value instanceof globalThis.Error || types.isNativeError(value);
}

function causeAsJson(cause: unknown, depth: number): unknown {
  if (cause instanceof Error) return asJson(cause, depth);
  if (isNativeError(cause)) return { name: cause.name, message: cause.message };
  // Some objects have no conversion to a string, which must not make a log fail.
  return Object(cause) === cause ? Object.prototype.toString.call(cause) : String(cause);
}

/** An important warning (Psycopg: `Warning`); the library does not raise it. */
export class Warning extends globalThis.Error {
  static {
    brand(this, 'Warning');
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isBranded(this, value);
  }
}

/**
 * An error in the use of the library's interface rather than of the database (Psycopg: `InterfaceError`): a closed connection or
 * cursor, an operation out of order.
 */
export class InterfaceError extends Error {
  static {
    brand(this, 'InterfaceError');
  }
}

/** An error related to the database (Psycopg: `DatabaseError`). */
export class DatabaseError extends Error {
  static {
    brand(this, 'DatabaseError');
  }
}

/** An error in the processed data (Psycopg: `DataError`): a value out of range, malformed text, … */
export class DataError extends DatabaseError {
  static {
    brand(this, 'DataError');
  }
}

/**
 * An error in the database's operation, not necessarily under the programmer's control (Psycopg: `OperationalError`): a lost
 * connection, a full disk, …
 */
export class OperationalError extends DatabaseError {
  static {
    brand(this, 'OperationalError');
  }
}

/** A violation of the database's relational integrity (Psycopg: `IntegrityError`): a duplicate key, a missing foreign key, … */
export class IntegrityError extends DatabaseError {
  static {
    brand(this, 'IntegrityError');
  }
}

/** An internal error of the database, or a wrong state for the operation (Psycopg: `InternalError`): a failed transaction, … */
export class InternalError extends DatabaseError {
  static {
    brand(this, 'InternalError');
  }
}

/** A mistake in the program (Psycopg: `ProgrammingError`): wrong SQL, a wrong number of parameters, … */
export class ProgrammingError extends DatabaseError {
  static {
    brand(this, 'ProgrammingError');
  }
}

/** A feature that the database or this library does not support (Psycopg: `NotSupportedError`). */
export class NotSupportedError extends DatabaseError {
  static {
    brand(this, 'NotSupportedError');
  }
}
