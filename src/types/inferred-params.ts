import * as errors from '../errors/index.js';
import type { Adapters, DumpedParam } from './adaptation.js';
import { adaptersOf } from './adapters.js';
import type { AdaptContext, AdaptersMap } from './adapters-map.js';
import { daysFromCivil } from './calendar.js';
import { called, nameOf } from './custom-adapters.js';
import { dateText, EPOCH_DAYS, offsetText } from './date-text.js';
import { dumpParam } from './dump.js';
import { dumpBytes } from './dump-scalars.js';
import { Oids } from './oids.js';
import { Json } from './wrappers.js';

/**
 * Makes a copy of a map, by default of the global `adapters`, for queries whose parameters get their types from the server, as
 * those of query builders written for node-postgres: `WHERE price > $1`, `LIMIT $1`. Pass it as `context`. What is sent is what
 * node-postgres sends:
 *
 * | value                                     | is sent, without a type, as                                                    |
 * | ----------------------------------------- | ------------------------------------------------------------------------------ |
 * | `number`, `bigint`, `boolean`             | its text: `1.5`, `true`                                                        |
 * | `undefined`                               | NULL                                                                           |
 * | `Date`                                    | local time with its offset: `2024-01-02T03:04:05.678+01:00`                    |
 * | `Buffer`, `Uint8Array` and other views    | its bytes, in binary format: a `text` column takes them as UTF-8. In arrays, the text of a bytea |
 * | an array                                  | PostgreSQL's array, `{1,2}`, its elements by these rules. **Not** JSON: for a json column, pass `JSON.stringify(array)` or `new Jsonb(array)` |
 * | an object with a method `toPostgres()`    | what the method returns, by these rules                                        |
 * | any other object                          | JSON                                                                           |
 *
 * Where the query does not tell the type (`SELECT $1`), the server takes it for text. Wrappers such as `new Jsonb(…)` and
 * `new Int8(…)`, ranges, and classes with a dumper of their own keep their types. Unlike in node-postgres, functions, symbols,
 * promises and an invalid `Date` are refused.
 *
 * @example
 * const context = inferredParams(adapters);
 * await conn.execute('UPDATE city SET tags = %s, info = %s WHERE id = %s', [['port'], { size: 5 }, 1], { context });
 */
export function inferredParams(context?: AdaptContext | null): AdaptersMap {
  const map = adaptersOf(context).clone();
  map.setDumper('number', untyped);
  map.setDumper('bigint', untyped);
  map.setDumper('boolean', untyped);
  map.setDumper('undefined', () => ({ text: null, oid: Oids.unknown }));
  map.setDumper(Date, localTime);
  map.setDumper(Uint8Array, untypedBytes);
  map.setDumper('object', (value, place, adapters) =>
    called(
      () => `the dumper of ${nameOf(value)}`,
      place,
      () => preparedObject(value, place, adapters),
    ),
  );
  return map;
}

function untyped(value: number | bigint | boolean): DumpedParam {
  return { text: String(value), oid: Oids.unknown };
}

/** Bytes whose type the server infers. Within arrays and literals they are the text of a bytea. */
function untypedBytes(value: Uint8Array): DumpedParam {
  // The caller may use the memory again before the query leaves.
  const bytes = Buffer.from(value);
  return {
    oid: Oids.unknown,
    bytes,
    get text() {
      return dumpBytes(bytes).text;
    },
  };
}

/** An object that says itself how it is sent, as node-postgres allows. */
interface Preparable {
  toPostgres(prepareValue: (value: unknown) => string | null): unknown;
}

/** Dumps an object whose class has no dumper. */
function preparedObject(value: object, place: string, adapters: Adapters): DumpedParam {
  if (ArrayBuffer.isView(value))
    return untypedBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (isPreparable(value)) return dumpParam(prepared(value, place, adapters), adapters, place);
  const json = new Json(value);
  return { text: adapters.dumperForObject(json)!(json as never, place, adapters).text, oid: Oids.unknown };
}

/** What an object has itself replaced by; that may be such an object again. */
function prepared(value: Preparable, place: string, adapters: Adapters): unknown {
  const seen = new Set<unknown>();
  let current: unknown = value;
  while (isPreparable(current)) {
    if (seen.has(current))
      throw new errors.DataError(`${place}: toPostgres() of the object leads back to the object`);
    seen.add(current);
    current = current.toPostgres((part) => dumpParam(part, adapters, place).text);
  }
  return current;
}

function isPreparable(value: unknown): value is Preparable {
  return (
    typeof value === 'object' &&
    value !== null &&
    'toPostgres' in value &&
    typeof value.toPostgres === 'function'
  );
}

/** Dumps a Date in the local time of the process, with the offset: a date gets the local day, a timestamp the local time. */
function localTime(value: Date, place: string): DumpedParam {
  const time = value.getTime();
  if (Number.isNaN(time)) throw new errors.DataError(`${place}: the Date is invalid`);
  // Without a Date of the local time, which would be out of range close to the last instant of all.
  const days = daysFromCivil(value.getFullYear(), value.getMonth() + 1, value.getDate());
  const minutes = value.getHours() * 60 + value.getMinutes();
  const ofDay = (minutes * 60 + value.getSeconds()) * 1000 + value.getMilliseconds();
  const offset = offsetText(Math.round((days * 86_400_000 + ofDay - time) / 1000));
  const clock = `${new Date(ofDay).toISOString().slice(10, -1)}${offset}${offset.length === HOURS_ONLY ? ':00' : ''}`;
  return { text: dateText(days - EPOCH_DAYS, clock), oid: Oids.unknown };
}

/** The length of an offset such as +01, which node-postgres writes as +01:00. */
const HOURS_ONLY = 3;
