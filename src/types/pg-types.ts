import { MINUS, ZERO } from './ascii.js';
import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import type { CodecContext, CodecSource } from './adaptation.js';
import { adaptersOf } from './adapters.js';
import type { AdaptContext, AdaptersMap } from './adapters-map.js';
import { arrayOf } from './array.js';
import { civilDate } from './calendar.js';
import { shown, withLoader, type Codec } from './codec.js';
import { EPOCH_DAYS, infinitySign, INT32_MAX, INT32_MIN, parseMoment } from './date-text.js';
import { date, looksCommon, timestamp, timestamptz } from './datetime.js';
import { DEFINITIONS } from './definitions.js';
import { readInterval } from './interval.js';
import { CLOCK_LENGTH, DAY_LENGTH, two } from './iso-bytes.js';
import { Oids } from './oids.js';
import { PostgresInterval } from './postgres-interval.js';
import { readText } from './text.js';

/** The types that load as with the library's own conversions. */
const SAME: ReadonlySet<string> = new Set(
  'bool bytea int2 int4 oid float4 float8 json jsonb text varchar bpchar name "char" uuid xml'.split(' '),
);

/** The types whose arrays node-postgres parses. It leaves other arrays as text. */
const IN_ARRAYS: ReadonlySet<string> = new Set(
  (
    'bool bytea int2 int4 oid int8 float4 float8 numeric json jsonb text varchar bpchar regproc uuid cidr inet macaddr money' +
    ' point date time timetz timestamp timestamptz interval numrange'
  ).split(' '),
);

/**
 * Makes a copy of a map, by default of the global `adapters`, in which all built-in types load as with node-postgres and its
 * package pg-types, version 2; the copy has no default loader. Enums, composites and other types registered in the map keep
 * their loaders. It is for a program or a library that expects these values; pass it as `context`.
 *
 * | PostgreSQL                   | you get                                                                                        |
 * | ---------------------------- | ---------------------------------------------------------------------------------------------- |
 * | int8, numeric                | `string`                                                                                       |
 * | date, timestamp              | `Date`, in the local time of the process                                                       |
 * | timestamptz                  | `Date`                                                                                         |
 * | infinity of these            | `Infinity`, `-Infinity`                                                                        |
 * | interval                     | `PostgresInterval`, an object of its parts                                                     |
 * | point, circle                | `{ x, y }`, `{ x, y, radius }`                                                                 |
 * | arrays that pg-types parses  | arrays; numeric[] as an array of `number`                                                      |
 * | other arrays, ranges, record | the server's text                                                                              |
 * | other types                  | as with usingpg: bool, int2, int4, oid, floats, bytea and JSON as values, the rest as text     |
 *
 * The values differ from node-postgres in three points: a date outside of a `Date`'s range raises `DataError` (there, an invalid
 * `Date`), an infinite interval is the server's text (an empty object), and no `DateStyle` or `IntervalStyle` changes a value.
 *
 * @example
 * const context = pgTypes(inferredParams(adapters));
 * const cur = await conn.execute('SELECT count(*) FROM city', null, { context });
 * const [count] = (await cur.fetchone())!; // '3', a string
 */
export function pgTypes(context?: AdaptContext | null): AdaptersMap {
  const map = adaptersOf(context).clone();
  map.setDefaultLoader(null);
  for (const { name, oid, arrayOid, codec } of DEFINITIONS) {
    map.setCodec(oid, CODECS[name] ?? codec);
    if (CODECS[name] === undefined && !SAME.has(name)) map.setLoader(oid, LOADERS[name] ?? readText);
    if (arrayOid === 0) continue;
    map.forget(arrayOid);
    if (!IN_ARRAYS.has(name)) map.setLoader(arrayOid, readText);
  }
  map.setCodec(map.type(Oids.numeric)!.arrayOid, floats);
  map.registerDumper(PostgresInterval, (interval) => interval.toPostgres());
  return map;
}

/** numeric[], which node-postgres loads as floats, though it loads numeric as text. */
const floats: CodecSource = (context) => {
  const element = withLoader(context.codecFor(Oids.numeric), (bytes, start, end) =>
    Number(bytes.latin1Slice(start, end)),
  );
  return arrayOf(element, context.adapters.type(Oids.numeric)!, context);
};

const CODECS: Readonly<Record<string, CodecSource>> = {
  date: inLocalTime('date', date),
  timestamp: inLocalTime('timestamp', timestamp),
  timestamptz: (context: CodecContext): Codec => {
    const codec = timestamptz(context);
    return {
      ...codec,
      readText: (bytes, start, end) =>
        // No other text begins with a minus or an i.
        bytes[start] === MINUS || bytes[start] === LETTER_I
          ? infinity(bytes.latin1Slice(start, end))
          : codec.readText(bytes, start, end),
      readBinary: (bytes, start, end) => {
        // The upper half of the microseconds of an infinity, which no date reaches.
        const high = end - start === 8 ? bytes.readInt32BE(start) : 0;
        if (high === INT32_MAX) return Infinity;
        return high === INT32_MIN ? -Infinity : codec.readBinary!(bytes, start, end);
      },
    };
  },
};

const LETTER_I = 0x69;

const LOADERS: Readonly<Record<string, Loader>> = {
  interval: (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    const fields = readInterval(text);
    return fields === null ? text : new PostgresInterval(fields);
  },
  point: (bytes, start, end) => {
    const [x, y] = numbersIn(bytes.latin1Slice(start, end));
    return { x, y };
  },
  circle: (bytes, start, end) => {
    const [x, y, radius] = numbersIn(bytes.latin1Slice(start, end));
    return { x, y, radius };
  },
};

/** The numbers in a point `(1,2)` or a circle `<(1,2),3>`. */
function numbersIn(text: string): number[] {
  return text
    .split(/[<(),>]+/)
    .slice(1, -1)
    .map(Number);
}

/** The codec of a type without a time zone whose values load as a Date in the local time of the process. */
function inLocalTime(type: 'date' | 'timestamp', source: (context: CodecContext) => Codec): CodecSource {
  return (context) => {
    const codec = source(context);
    return {
      ...codec,
      readText: (bytes, start, end) =>
        readCommon(bytes, start, end) ?? localDate(codec.readText(bytes, start, end) as string, type),
      readBinary: (bytes, start, end) => localDate(codec.readBinary!(bytes, start, end) as string, type),
    };
  };
}

/** Reads the most frequent form of a date or timestamp: `2024-01-02[ 03:04:05[.678901]]`; null for another form. */
function readCommon(bytes: Buffer, start: number, end: number): Date | null {
  const isDay = end - start === DAY_LENGTH && bytes[start + 4] === MINUS;
  if (!isDay && !looksCommon(bytes, start, end)) return null;
  const year = two(bytes, start) * 100 + two(bytes, start + 2);
  const ofDay = isDay ? 0 : clockMilliseconds(bytes, start + DAY_LENGTH + 1, end);
  return local(year, two(bytes, start + 5), two(bytes, start + 8), ofDay);
}

/** The milliseconds since midnight of `03:04:05[.678901]`. */
function clockMilliseconds(bytes: Buffer, start: number, end: number): number {
  let milliseconds = ((two(bytes, start) * 60 + two(bytes, start + 3)) * 60 + two(bytes, start + 6)) * 1000;
  for (let at = start + CLOCK_LENGTH + 1, scale = 100; at < end && scale > 0; at++) {
    milliseconds += (bytes[at]! - ZERO) * scale;
    scale = (scale / 10) | 0;
  }
  return milliseconds;
}

/** A Date of the ISO 8601 text of a date or timestamp. */
function localDate(text: string, type: 'date' | 'timestamp'): Date | number {
  if (infinitySign(text) !== 0) return infinity(text);
  const { days, microseconds } = parseMoment(text, type, type);
  const { year, month, day } = civilDate(days + EPOCH_DAYS);
  const date = local(year, month, day, Math.floor(microseconds / 1000));
  if (!Number.isNaN(date.getTime())) return date;
  throw new errors.DataError(`the ${type} ${shown(text)} can't be held by a Date; cast it to text to see it`);
}

/** A Date of local time. Its constructor takes the years 0 to 99 for those from 1900. */
function local(year: number, month: number, day: number, milliseconds: number): Date {
  // A Date without a time takes fewer steps.
  const date =
    milliseconds === 0
      ? new Date(year, month - 1, day)
      : new Date(year, month - 1, day, 0, 0, 0, milliseconds);
  if (year >= 0 && year <= 99) date.setFullYear(year, month - 1, day);
  return date;
}

function infinity(text: string): number {
  return infinitySign(text) * Infinity;
}
