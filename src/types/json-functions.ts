import { checkArgument, FUNCTION } from '../options/kinds.js';
import { adaptersOf } from './adapters.js';
import type { AdaptContext } from './adapters-map.js';
import { Oids } from './oids.js';
import { Json, type JsonDumps } from './wrappers.js';

/** Parses JSON. */
export type JsonLoads = (text: string) => unknown;

/**
 * Sets the function that parses json and jsonb in place of `JSON.parse` (Psycopg: `set_json_loads`): on a connection, on a
 * cursor, or without a context on all connections made from now on. Raises `ProgrammingError` if `loads` is not a function.
 *
 * @example
 * import { parse } from 'lossless-json'; // keeps every digit
 * setJsonLoads((text) => parse(text), conn);
 */
export function setJsonLoads(loads: JsonLoads, context?: AdaptContext | null): void {
  checkArgument('the argument of setJsonLoads()', loads, FUNCTION);
  const adapters = adaptersOf(context);
  for (const oid of [Oids.json, Oids.jsonb]) {
    adapters.setLoader(oid, (bytes, start, end) => loads(bytes.utf8Slice(start, end)));
  }
}

/**
 * Sets the function that serialises the values of `Json` and `Jsonb` in place of `JSON.stringify` (Psycopg: `set_json_dumps`): on
 * a connection, on a cursor, or without a context on all connections made from now on. A wrapper's own `dumps` takes precedence.
 * Raises `ProgrammingError` if `dumps` is not a function.
 *
 * @example
 * // bigints as numbers
 * setJsonDumps((value) => stringify(value), conn);
 */
export function setJsonDumps(dumps: JsonDumps, context?: AdaptContext | null): void {
  checkArgument('the argument of setJsonDumps()', dumps, FUNCTION);
  adaptersOf(context).setDumper(Json, (value: Json, place: string) => value.dumpWith(dumps, place));
}
