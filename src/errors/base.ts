import { Diagnostic } from './diagnostic.js';

const NO_FIELDS: ReadonlyMap<string, string> = new Map();
/** The same in every copy of the package, so that the ESM and the CommonJS copy know each other's errors. */
const BRAND = Symbol.for('usingpg.error');

/** What an error may be made with besides its message. */
export interface ErrorOptions {
  /** What led to it. */
  cause?: unknown;
  /** The query it belongs to. */
  query?: string | null | undefined;
  /** What the server said. */
  diag?: Diagnostic;
  /** The SQLSTATE, where there is one without a `diag`. */
  sqlstate?: string | null;
}

/** Gives a class its name and what `instanceof` knows it by, neither of which a minifier changes. */
export function brand(errorClass: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(errorClass.prototype, 'name', { value: name, configurable: true, writable: true });
  Object.defineProperty(errorClass.prototype, BRAND, { value: name });
}

/** The root of all errors that this library raises (Psycopg: `Error`). */
class Error extends globalThis.Error {
  /** What the server said; each field is null if the error is not the server's. */
  declare readonly diag: Diagnostic;
  /** The SQLSTATE of the error, five characters; null if it is not the server's. */
  readonly sqlstate: string | null;
  /** The query as it was sent; null if the error belongs to none. */
  declare readonly query: string | null;

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.sqlstate = options.sqlstate ?? options.diag?.sqlstate ?? null;
    // Not enumerable: printing an error shows its message and its SQLSTATE, not everything there is to know.
    Object.defineProperty(this, 'diag', {
      value: options.diag ?? new Diagnostic(NO_FIELDS),
      configurable: true,
    });
    Object.defineProperty(this, 'query', { value: options.query ?? null, configurable: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    const name: unknown = Object.hasOwn(this.prototype, BRAND)
      ? Reflect.get(this.prototype, BRAND)
      : undefined;
    if (name === undefined || typeof value !== 'object' || value === null) return false;
    for (let link: unknown = value; link !== null; link = Object.getPrototypeOf(link)) {
      if (Object.hasOwn(link as object, BRAND) && Reflect.get(link as object, BRAND) === name) return true;
    }
    return false;
  }
}
export { Error };
brand(Error, 'Error');

/** An important warning (Psycopg: `Warning`). */
export class Warning extends globalThis.Error {}
Object.defineProperty(Warning.prototype, 'name', { value: 'Warning', configurable: true, writable: true });

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

/** A problem with the operation of the database that the programmer need not have caused. */
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
