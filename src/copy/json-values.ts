import type { AdaptersMap } from '../adapt/adapters-map.js';
import { Oids } from '../adapt/oids.js';
import { isDate } from '../adapt/realm.js';
import { Json, Jsonb } from '../adapt/wrappers.js';

/** Whether a type is json, jsonb, or an array of one of them. */
export function isJsonType(oid: number, map: AdaptersMap): boolean {
  return isJson(map.elementType(oid)?.oid ?? oid);
}

function isJson(oid: number): boolean {
  return oid === Oids.json || oid === Oids.jsonb;
}

/**
 * The value as it is dumped where `setTypes()` said that it is JSON: wrapped, whatever it is, as Psycopg does it, unless its class
 * has a dumper of its own. For an array type each element is.
 */
export function asJson(value: unknown, oid: number, map: AdaptersMap): unknown {
  const element = map.elementType(oid)?.oid;
  if (element !== undefined && Array.isArray(value))
    return value.map((item) => wrapElement(item, element, map));
  return element === undefined ? wrap(value, oid, map) : value;
}

function wrapElement(value: unknown, oid: number, map: AdaptersMap): unknown {
  return Array.isArray(value) ? value.map((item) => wrapElement(item, oid, map)) : wrap(value, oid, map);
}

function wrap(value: unknown, oid: number, map: AdaptersMap): unknown {
  if (value === null || value instanceof Json) return value;
  if (typeof value === 'object' && !isDate(value) && map.dumperForObject(value) !== undefined)
    return value;
  return oid === Oids.json ? new Json(value) : new Jsonb(value);
}
