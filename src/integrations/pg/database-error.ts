import { errors } from '../../index.js';

/** The `name` of the server's errors in node-postgres. */
const NAME = 'error';

/** node-postgres's fields of a server's error; what the server did not send is missing. */
export interface ServerFields {
  /** The SQLSTATE, such as `23505`; for an error of the network, the system's code, such as `ECONNREFUSED`. */
  code?: string;
  /** ERROR, FATAL or PANIC, in the server's language. */
  severity?: string;
  /** Details of the problem. */
  detail?: string;
  /** A suggestion what to do. */
  hint?: string;
  /** The position in the query, in characters from 1. */
  position?: string;
  /** The position in `internalQuery`, in characters from 1. */
  internalPosition?: string;
  /** The query that failed inside the server, such as one of a PL/pgSQL function. */
  internalQuery?: string;
  /** The call stack of the server. */
  where?: string;
  /** The schema of the object concerned. */
  schema?: string;
  /** The table concerned. */
  table?: string;
  /** The column concerned. */
  column?: string;
  /** The data type concerned. */
  dataType?: string;
  /** The constraint that was violated. */
  constraint?: string;
  /** The file of the server's source code that reported it. */
  file?: string;
  /** The line of the server's source code that reported it. */
  line?: string;
  /** The function of the server's source code that reported it. */
  routine?: string;
}

// An interface of the class's name declares the fields, which are assigned.
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type
export interface DatabaseError extends ServerFields {}

/**
 * node-postgres's class of the server's errors. Errors of this library with an SQLSTATE are its instances: they have its fields beside
 * their own (`diag`, `query`) and the name `error`, and remain instances of their own classes, such as `errors.UniqueViolation`.
 *
 * @example
 * import { DatabaseError, Pool } from 'usingpg/pg';
 *
 * try {
 *   await new Pool().query('INSERT INTO city VALUES ($1)', [1]);
 * } catch (error) {
 *   if (error instanceof DatabaseError && error.constraint === 'city_pkey') console.log('it is there');
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging
export class DatabaseError extends Error {
  /** The length of the server's message in bytes; 0 if it is not known. */
  readonly length: number;

  /** Makes an error as a test needs one. */
  constructor(message: string, length = 0, name = NAME) {
    super(message);
    this.length = length;
    this.name = name;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    return this === DatabaseError && value instanceof errors.Error && value.sqlstate !== null;
  }
}

/**
 * An error as node-postgres's users get it: one of the library has node-postgres's fields, and what a parameter or a parser of theirs has
 * thrown is itself, without the `DataError` around it.
 */
export function withServerFields(error: unknown): unknown {
  if (error instanceof errors.DataError && error.sqlstate === null && error.cause !== undefined)
    return error.cause;
  if (error instanceof errors.Error && !Object.hasOwn(error, 'code')) {
    for (const [name, value] of Object.entries(fieldsOf(error))) {
      if (value != null)
        Object.defineProperty(error, name, { value, enumerable: true, writable: true, configurable: true });
    }
  }
  return error;
}

type Fields = { readonly [name in keyof ServerFields]: string | null | undefined };

function fieldsOf(error: errors.Error): Fields & { readonly name?: string } {
  const { diag } = error;
  if (error.sqlstate === null) return { code: systemCode(error) };
  return { name: NAME, code: error.sqlstate, ...serverFields(diag), severity: diag.severity ?? 'ERROR' };
}

/** node-postgres's names for the fields of an error or a notice. */
export function serverFields(diag: errors.Diagnostic): Fields {
  return {
    severity: diag.severity,
    detail: diag.messageDetail,
    hint: diag.messageHint,
    position: diag.statementPosition,
    internalPosition: diag.internalPosition,
    internalQuery: diag.internalQuery,
    where: diag.context,
    schema: diag.schemaName,
    table: diag.tableName,
    column: diag.columnName,
    dataType: diag.datatypeName,
    constraint: diag.constraintName,
    file: diag.sourceFile,
    line: diag.sourceLine,
    routine: diag.sourceFunction,
  };
}

/** The operating system's code of the error that led to this one. */
function systemCode(error: Error): string | undefined {
  let cause = error.cause;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++, cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return undefined;
}

/** The SQLSTATE of an error, if it has one. */
export function sqlstateOf(error: unknown): string | null {
  return error instanceof errors.Error ? error.sqlstate : null;
}
