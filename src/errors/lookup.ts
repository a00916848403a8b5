import { adviceFor } from './advice.js';
import { brand, type DatabaseError, type ErrorOptions } from './base.js';
import { reportInStack } from './callers-stack.js';
import { Diagnostic } from './diagnostic.js';
import { baseOf, constantNameOf } from './sqlstate-bases.js';
import { ADVICE_LABEL } from './server-report.js';
import { SQLSTATES } from './sqlstate.js';

/** The class of a server error. */
export type DatabaseErrorClass = new (message: string, options?: ErrorOptions) => DatabaseError;

/** The name of a class in conditions.ts. */
export type Condition = keyof typeof SQLSTATES;

const bySqlstate = new Map<string, Condition>();
for (const name in SQLSTATES) bySqlstate.set(SQLSTATES[name as Condition], name as Condition);
let byConstantName: ReadonlyMap<string, Condition> | undefined;
const made = new Map<Condition, DatabaseErrorClass>();

/** Returns the class with this name. It is created at the first request, since few programs need many of them. */
export function conditionClass(name: Condition): DatabaseErrorClass {
  let found = made.get(name);
  if (found === undefined) {
    const sqlstate = SQLSTATES[name];
    const base = baseOf(sqlstate);
    // A class expression takes the name of its property.
    const holder = {
      [name]: class extends base {
        static override readonly sqlstate = sqlstate;
      },
    };
    found = holder[name]!;
    brand(found, name);
    made.set(name, found);
  }
  return found;
}

/**
 * Returns the error class for an SQLSTATE (`'23505'`) or its constant name (`'UNIQUE_VIOLATION'`), in upper or lower case
 * (Psycopg: `errors.lookup`). Raises `RangeError` for an unknown one.
 */
export function lookup(sqlstateOrConstantName: string): DatabaseErrorClass {
  const key = sqlstateOrConstantName.toUpperCase();
  byConstantName ??= new Map([...bySqlstate.values()].map((name) => [constantNameOf(name), name]));
  const name = bySqlstate.get(key) ?? byConstantName.get(key);
  if (name === undefined) {
    throw new RangeError(`there is no SQLSTATE or condition named ${sqlstateOrConstantName}`);
  }
  return conditionClass(name);
}

/** An advice about a parameter that has a name in the query, with that name. */
function withName(advice: string, primary: string, names: readonly string[] | null): string {
  const number = names === null ? undefined : /parameter \$(\d+)/.exec(primary)?.[1];
  return number === undefined ? advice : advice.replaceAll('%s', names![Number(number) - 1] ?? '%s');
}

/**
 * Makes the error for an `ErrorResponse`; `fields` are keyed by the protocol's letters. `position` converts the server's position
 * to one in `query`, if `query` is not the text that was sent.
 */
export function errorFromResponse(
  fields: ReadonlyMap<string, string>,
  query: string | null = null,
  parameterNames: readonly string[] | null = null,
  position?: (sent: number) => number | null,
): DatabaseError {
  const sqlstate = fields.get('C') ?? '';
  const name = bySqlstate.get(sqlstate);
  const errorClass = name === undefined ? baseOf(sqlstate) : conditionClass(name);
  const primary = fields.get('M') ?? 'the server reported an error without a message';
  const advice = adviceFor(sqlstate, primary, query);
  const message =
    advice === null ? primary : primary + ADVICE_LABEL + withName(advice, primary, parameterNames);
  const sent = fields.get('P');
  const error = new errorClass(message, {
    diag: new Diagnostic(fields),
    query,
    position: sent === undefined ? undefined : position?.(Number(sent)),
  });
  reportInStack(error);
  return error;
}
