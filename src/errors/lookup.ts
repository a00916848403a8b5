import { brand, type DatabaseError, type ErrorOptions } from './base.js';
import { baseOf, constantNameOf } from './sqlstate-bases.js';
import { SQLSTATES } from './sqlstate.js';

/** The class of a server error. */
export type DatabaseErrorClass = new (message: string, options?: ErrorOptions) => DatabaseError;

/** The name of a class in conditions.ts. */
export type Condition = keyof typeof SQLSTATES;

const bySqlstate = new Map<string, Condition>();
for (const name in SQLSTATES) bySqlstate.set(SQLSTATES[name as Condition], name as Condition);
let byConstantName: ReadonlyMap<string, Condition> | undefined;
const made = new Map<Condition, DatabaseErrorClass>();

/** The name of the class for an SQLSTATE; undefined for one that the server does not document. */
export function conditionOf(sqlstate: string): Condition | undefined {
  return bySqlstate.get(sqlstate);
}

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
  const name = conditionOf(key) ?? byConstantName.get(key);
  if (name === undefined) {
    throw new RangeError(`there is no SQLSTATE or condition named ${sqlstateOrConstantName}`);
  }
  return conditionClass(name);
}
