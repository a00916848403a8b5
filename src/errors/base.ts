import { types } from 'node:util';
import { INSPECT } from '../inspect.js';
import { Diagnostic } from './diagnostic.js';
import { setHidden, setShown, type ErrorConnection, type ErrorPool } from './location.js';
import { serverReport } from './server-report.js';

/** Of an error that is not the server's: one for all, as it never changes. */
const NO_DIAGNOSTIC = new Diagnostic(new Map());
/** The same in every copy of the package, so that two that are installed know each other's errors. */
const BRAND = Symbol.for('usingpg.error');

/** What an error may be made with besides its message. */
export interface ErrorOptions {
  /** What led to it. */
  cause?: unknown;
  /** The query it belongs to, without values. */
  query?: string | null | undefined;
  /** What the server said. */
  diag?: Diagnostic | undefined;
  /** The server's position, counted in `query`; null if it can't be. @default that of `diag` */
  position?: number | null | undefined;
  /** The SQLSTATE, where it is neither the class's nor in a `diag`. */
  sqlstate?: string | null | undefined;
  /** The connection it arose on. */
  connection?: ErrorConnection | null | undefined;
  /** The state of the pool it arose in. */
  pool?: ErrorPool | undefined;
}

/** Gives a class its name and what `instanceof` knows it by, neither of which a bundler or a minifier changes. */
export function brand(errorClass: { readonly prototype: globalThis.Error }, name: string): void {
  Object.defineProperty(errorClass, 'name', { value: name, configurable: true });
  Object.defineProperty(errorClass.prototype, 'name', { value: name, configurable: true, writable: true });
  Object.defineProperty(errorClass.prototype, BRAND, { value: name });
}

/** Whether `value` is of the class `branded`, of this copy of the package or of another one. */
function isBranded(branded: { readonly prototype: globalThis.Error }, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(branded, value)) return true;
  // A class that a user derives has no brand of its own, and no copies.
  if (!Object.hasOwn(branded.prototype, BRAND) || typeof value !== 'object' || value === null) return false;
  const name: unknown = Reflect.get(branded.prototype, BRAND);
  for (let link: unknown = value; link !== null; link = Object.getPrototypeOf(link)) {
    if (Object.hasOwn(link as object, BRAND) && Reflect.get(link as object, BRAND) === name) return true;
  }
  return false;
}

/** What an error says in its stack. @internal */
export const REPORT: unique symbol = Symbol('usingpg.report');
const POSITION: unique symbol = Symbol('usingpg.position');
/** How many characters of a query are printed. */
const LONGEST_QUERY = 1000;

/** The root of all errors that this library raises (Psycopg: `Error`). */
class Error extends globalThis.Error {
  /** The SQLSTATE that the class stands for; null if it stands for more than one. */
  static readonly sqlstate: string | null = null;

  /** What the server said; each field is null if the error is not the server's. */
  declare readonly diag: Diagnostic;
  /** The SQLSTATE of the error, five characters: its class's, else the server's, else null. */
  declare readonly sqlstate: string | null;
  /**
   * The query, with `$1` … in place of values, be it the client that has put them into the text (`AsyncClientCursor`, COPY); null if the error
   * belongs to none.
   */
  declare readonly query: string | null;
  /** The connection that the error arose on, frozen; null if it belongs to none. */
  declare readonly connection: ErrorConnection | null;
  /** The state of the pool when it could not give a connection, frozen; null for other errors. */
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

  /** What its stack begins with, behind the name: the message and what else the server said. @internal */
  get [REPORT](): string {
    const { message, diag, query } = this;
    return diag === NO_DIAGNOSTIC ? message : serverReport(message, diag, query, this[POSITION]);
  }

  /** The fields of the error for a log: no values of parameters but those that the server tells of, and no secrets. Empty fields are left out. */
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

/** How many causes of causes are shown. */
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

/** Whether it is an Error, also one of another realm, as what Node throws is to a test runner's sandbox. */
function isNativeError(value: unknown): value is globalThis.Error {
  return value instanceof globalThis.Error || types.isNativeError(value);
}

function causeAsJson(cause: unknown, depth: number): unknown {
  if (cause instanceof Error) return asJson(cause, depth);
  if (isNativeError(cause)) return { name: cause.name, message: cause.message };
  // Not every object has a text of its own, and a log must not fail over one.
  return Object(cause) === cause ? Object.prototype.toString.call(cause) : String(cause);
}

/** An important warning (Psycopg: `Warning`). */
export class Warning extends globalThis.Error {
  static {
    brand(this, 'Warning');
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isBranded(this, value);
  }
}

/** A wrong use of the library rather than of the database. */
export class InterfaceError extends Error {
  static {
    brand(this, 'InterfaceError');
  }
}

/** An error related to the database. */
export class DatabaseError extends Error {
  static {
    brand(this, 'DatabaseError');
  }
}

/** A problem with the data: out of range, malformed … */
export class DataError extends DatabaseError {
  static {
    brand(this, 'DataError');
  }
}

/** An error of the database's operation that is not necessarily the programmer's fault: a lost connection, a full disk … */
export class OperationalError extends DatabaseError {
  static {
    brand(this, 'OperationalError');
  }
}

/** The relational integrity of the database would be violated. */
export class IntegrityError extends DatabaseError {
  static {
    brand(this, 'IntegrityError');
  }
}

/** The database met an internal error, or is in the wrong state for the operation. */
export class InternalError extends DatabaseError {
  static {
    brand(this, 'InternalError');
  }
}

/** A mistake in the program: wrong SQL, wrong number of parameters … */
export class ProgrammingError extends DatabaseError {
  static {
    brand(this, 'ProgrammingError');
  }
}

/** Something that the database or this library does not support. */
export class NotSupportedError extends DatabaseError {
  static {
    brand(this, 'NotSupportedError');
  }
}
