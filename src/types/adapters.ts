import * as errors from '../errors/index.js';
import { DEFINITIONS } from './definitions.js';
import { AdaptersMap, type AdaptContext } from './adapters-map.js';
import { dumpMultirange, dumpRange } from './range-codec.js';
import { dumpBoolean, dumpBytes, dumpDate, dumpInteger, dumpNumber, dumpText } from './dump-scalars.js';
import { Multirange } from './multirange.js';
import { Range } from './range.js';
import { Wrapper } from './wrappers.js';

/**
 * The global adapters, which every new connection copies (Psycopg: `psycopg.adapters`). The built-in conversions are:
 *
 * | PostgreSQL                              | you get                                      | you may pass                              |
 * | --------------------------------------- | -------------------------------------------- | ----------------------------------------- |
 * | int2, int4, oid                         | `number`                                     | `number`, `Int2`, `Int4`, `Oid`           |
 * | int8                                    | `bigint`                                     | `bigint`, `number`, `Int8`                |
 * | float4, float8                          | `number`                                     | `number`, `Float4`, `Float8`              |
 * | numeric                                 | `string`, exact                              | `Numeric`, `bigint`, `number`             |
 * | text, varchar, char, name, uuid         | `string`                                     | `string`                                  |
 * | bool                                    | `boolean`                                    | `boolean`                                 |
 * | bytea                                   | `Buffer`                                     | `Uint8Array`                              |
 * | json, jsonb                             | the parsed value                             | `Json`, `Jsonb`                           |
 * | timestamptz                             | `Date`, to the millisecond                   | `Date`                                    |
 * | date, time, timetz, timestamp, interval | ISO 8601 `string`, exact                     | `string`                                  |
 * | arrays                                  | arrays, with null for NULL                   | arrays of one type                        |
 * | ranges, multiranges                     | `Range`, `Multirange`                        | `Range`, `Multirange`                     |
 * | record                                  | an array of its fields' texts                |                                           |
 * | any other                               | the server's text                            | `string`                                  |
 *
 * The server infers the type of a string, so a string can be a value of any type. An integral `number` is sent as the smallest of
 * int2, int4 and int8 that holds it, any other `number` as float8. A `bigint` is sent as int8, or as numeric if it is out of
 * range. null is NULL. `undefined`, functions, symbols and plain objects raise `ProgrammingError`. Composites, enums and hstore
 * need a registration (`registerComposite()`, `registerEnum()`, `registerHstore()`). `registerTemporal()` loads dates and times
 * as Temporal objects.
 */
export const adapters = new AdaptersMap();

for (const { codec, ...type } of DEFINITIONS) {
  adapters.registerType(type);
  adapters.setCodec(type.oid, codec);
}

adapters.setDumper('number', dumpNumber);
adapters.setDumper('bigint', dumpInteger);
adapters.setDumper('string', dumpText);
adapters.setDumper('boolean', dumpBoolean);
adapters.setDumper(Date, dumpDate);
adapters.setDumper(Uint8Array, dumpBytes);
adapters.setDumper(Wrapper, (value: Wrapper, place, map) => value.dump(place, map));
adapters.setDumper(Range, dumpRange);
adapters.setDumper(Multirange, dumpMultirange);

/** The library's own adapters, without global registrations. */
export const builtinAdapters = adapters.clone();

/**
 * The adapters of a connection or a cursor; without a context, the global ones. Raises `ProgrammingError` for an object without
 * adapters.
 */
export function adaptersOf(context: AdaptContext | null = null): AdaptersMap {
  if (context === null) return adapters;
  if (context.adapters instanceof AdaptersMap) return context.adapters;
  throw new errors.ProgrammingError(
    'the context of a registration is a connection, a cursor, or an adapters map; without one it is global',
  );
}
