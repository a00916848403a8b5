import * as errors from '../errors/index.js';
import { ANYTHING } from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import { adaptersOf } from './adapters.js';
import type { CodecSource, Dumper, SessionSettings } from './adaptation.js';
import { withLoader } from './codec.js';
import { date } from './date.js';
import type { Loader } from '../wire/row-decoder.js';
import type { AdaptContext } from './adapters-map.js';
import { isoStyle } from './date-style.js';
import { interval, readInterval } from './interval.js';
import { time, timetz } from './time.js';
import { readInstant, timestamp, timestamptz } from './timestamp.js';
import { OffsetTime } from './offset-time.js';
import { Oids } from './oids.js';
import { checkMicroseconds, datedText, intervalText } from './temporal-text.js';

/** A Temporal object's members that the library uses. */
interface TemporalValue {
  toString(): string;
}

/** A Temporal object with a calendar. */
interface DatedValue extends TemporalValue {
  toString(options?: { calendarName?: 'never' }): string;
}

/** The members of the `Temporal` namespace that the library uses, the runtime's or a polyfill's. */
export interface TemporalApi {
  /** For date. */
  readonly PlainDate: new (year: number, month: number, day: number) => DatedValue;
  /** For time, and within an `OffsetTime` for timetz. */
  readonly PlainTime: new (
    hour?: number,
    minute?: number,
    second?: number,
    millisecond?: number,
    microsecond?: number,
  ) => TemporalValue;
  /** For timestamp. */
  readonly PlainDateTime: new (
    year: number,
    month: number,
    day: number,
    hour?: number,
    minute?: number,
    second?: number,
    millisecond?: number,
    microsecond?: number,
  ) => DatedValue;
  /** For timestamptz. */
  readonly Instant: new (epochNanoseconds: bigint) => TemporalValue;
  /** For parameters of timestamptz. */
  readonly ZonedDateTime: new (epochNanoseconds: bigint, timeZone: string) => { toInstant(): TemporalValue };
  /** For interval. */
  readonly Duration: new (
    years?: number,
    months?: number,
    weeks?: number,
    days?: number,
    hours?: number,
    minutes?: number,
    seconds?: number,
    milliseconds?: number,
    microseconds?: number,
  ) => TemporalValue;
}

/** Options of `registerTemporal()`. */
export interface TemporalOptions {
  /** A polyfill's `Temporal` namespace. @default the runtime's */
  Temporal?: TemporalApi | undefined;
}

const OPTIONS = new KnownOptions<TemporalOptions>('registerTemporal(context, options)', {
  Temporal: ANYTHING,
});
const CLASSES = ['PlainDate', 'PlainTime', 'PlainDateTime', 'Instant', 'ZonedDateTime', 'Duration'] as const;

/**
 * Loads dates and times as Temporal objects, exact to the microsecond, and sends such objects: on a connection, on a cursor, or
 * without a context on all connections made from now on. Arrays and ranges follow.
 *
 * | PostgreSQL  | loads as                                  | sent as it                                   |
 * | ----------- | ----------------------------------------- | -------------------------------------------- |
 * | date        | `Temporal.PlainDate`                      | `Temporal.PlainDate`                         |
 * | time        | `Temporal.PlainTime`                      | `Temporal.PlainTime`                         |
 * | timetz      | `OffsetTime`: a `PlainTime` and an offset | `OffsetTime`                                 |
 * | timestamp   | `Temporal.PlainDateTime`                  | `Temporal.PlainDateTime`                     |
 * | timestamptz | `Temporal.Instant`                        | `Temporal.Instant`, `Temporal.ZonedDateTime` |
 * | interval    | `Temporal.Duration`                       | `Temporal.Duration`                          |
 *
 * timestamptz loads as an `Instant`, since the server stores an instant; the session's time zone only affects its text.
 * `instant.toZonedDateTimeISO('Europe/Berlin')` gives the time in a zone of your choice.
 *
 * A value that Temporal cannot hold raises `DataError`: the infinities, 24:00, years beyond 275760, and intervals with mixed
 * signs. So does a parameter whose nanoseconds are not whole microseconds, which the server would round.
 *
 * Raises `NotSupportedError` if the runtime has no Temporal and no polyfill is given, and `ProgrammingError` for an object that
 * is not the `Temporal` namespace.
 *
 * @example
 * import { Temporal } from 'temporal-polyfill';
 * registerTemporal(conn, { Temporal });
 * const cur = await conn.execute('SELECT %s + 1', [Temporal.PlainDate.from('2024-02-28')]);
 * const [day] = (await cur.fetchone())!; // Temporal.PlainDate 2024-02-29
 */
export function registerTemporal(context?: AdaptContext | null, options: TemporalOptions = {}): void {
  OPTIONS.check(options);
  const adapters = adaptersOf(context);
  const temporal = checkTemporal(options.Temporal ?? (globalThis as { Temporal?: TemporalApi }).Temporal);
  const read = (oid: number, codec: CodecSource, reader: TextReader): void => {
    adapters.setCodec(oid, (context) =>
      withLoader(typeof codec === 'function' ? codec(context) : codec, reader(context.settings)),
    );
  };
  read(Oids.date, date, dateLoader(temporal));
  read(Oids.time, time, timeLoader(temporal));
  read(Oids.timetz, timetz, offsetTimeLoader(temporal));
  read(Oids.timestamp, timestamp, timestampLoader(temporal));
  read(Oids.timestamptz, timestamptz, instantLoader(temporal));
  read(Oids.interval, interval, durationLoader(temporal));
  adapters.setDumper(temporal.PlainDate, dated(Oids.date));
  adapters.setDumper(temporal.PlainTime, dumpTime);
  adapters.setDumper(temporal.PlainDateTime, dated(Oids.timestamp));
  adapters.setDumper(temporal.Instant, dumpInstant);
  adapters.setDumper(temporal.ZonedDateTime, dumpZoned);
  adapters.setDumper(temporal.Duration, dumpDuration);
}

function checkTemporal(temporal: TemporalApi | undefined): TemporalApi {
  if (temporal === undefined) {
    throw new errors.NotSupportedError(
      'this runtime has no Temporal: give registerTemporal() that of a polyfill, as in' +
        " `import { Temporal } from 'temporal-polyfill'; registerTemporal(conn, { Temporal })`",
    );
  }
  for (const name of CLASSES) {
    if (typeof temporal[name] !== 'function') {
      throw new errors.ProgrammingError(`the Temporal given to registerTemporal() has no ${name}`);
    }
  }
  return temporal;
}

// --- loading

const DATE = /^(\d{4,})-(\d\d)-(\d\d)(?: (\d[\d:.]*))?( BC)?$/;
const CLOCK = /^([01]\d|2[0-3]):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/;

type Clock = [hour: number, minute: number, second: number, millisecond: number, microsecond: number];

/** Parses a time of day; null for 24:00 and for malformed text. */
function readClock(text: string): Clock | null {
  const match = CLOCK.exec(text);
  if (match === null) return null;
  const [, hour, minute, second, fraction] = match;
  const micros = fraction === undefined ? 0 : Number(fraction.padEnd(6, '0'));
  return [Number(hour), Number(minute), Number(second), Math.trunc(micros / 1000), micros % 1000];
}

/** Returns the object made by `make`; raises `DataError` if it returns null or Temporal throws. */
function made(type: string, text: string, name: string, make: () => object | null): object {
  let cause: unknown;
  try {
    const value = make();
    if (value !== null) return value;
  } catch (error) {
    cause = error;
  }
  const why = cause instanceof Error ? ` (${cause.message})` : '';
  throw new errors.DataError(
    `the ${type} '${text}' can't be held by a Temporal.${name}${why}; cast it to text to see it`,
    { cause },
  );
}

function yearOf(year: string | undefined, bc: string | undefined): number {
  return bc === undefined ? Number(year) : 1 - Number(year);
}

/** Makes the reader of a type's text, which may depend on the session's settings. */
type TextReader = (settings: SessionSettings) => Loader;

function dateLoader({ PlainDate }: TemporalApi): TextReader {
  return (settings) => (bytes, start, end) => {
    const text = isoStyle(bytes.latin1Slice(start, end), 'date', settings);
    return made('date', text, 'PlainDate', () => {
      const match = DATE.exec(text);
      return match && new PlainDate(yearOf(match[1], match[5]), Number(match[2]), Number(match[3]));
    });
  };
}

function timestampLoader({ PlainDateTime }: TemporalApi): TextReader {
  return (settings) => (bytes, start, end) => {
    const text = isoStyle(bytes.latin1Slice(start, end), 'timestamp', settings);
    return made('timestamp', text, 'PlainDateTime', () => {
      const match = DATE.exec(text);
      const clock = readClock(match?.[4] ?? '');
      return (
        match &&
        clock &&
        new PlainDateTime(yearOf(match[1], match[5]), Number(match[2]), Number(match[3]), ...clock)
      );
    });
  };
}

function instantLoader({ Instant }: TemporalApi): TextReader {
  return (settings) => (bytes, start, end) => {
    const text = isoStyle(bytes.latin1Slice(start, end), 'timestamptz', settings);
    return made('timestamptz', text, 'Instant', () => {
      const instant = readInstant(text);
      return (
        instant &&
        new Instant(BigInt(instant.milliseconds) * 1_000_000n + BigInt(instant.microseconds * 1000))
      );
    });
  };
}

function timeLoader({ PlainTime }: TemporalApi): TextReader {
  return () => (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    return made('time', text, 'PlainTime', () => {
      const clock = readClock(text);
      return clock && new PlainTime(...clock);
    });
  };
}

function offsetTimeLoader({ PlainTime }: TemporalApi): TextReader {
  return () => (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    return made('timetz', text, 'PlainTime', () => {
      const at = text.search(/[+-]/);
      const clock = readClock(text.slice(0, at));
      return clock && new OffsetTime(new PlainTime(...clock), text.slice(at));
    });
  };
}

function durationLoader({ Duration }: TemporalApi): TextReader {
  return () => (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    return made('interval', text, 'Duration', () => {
      const interval = readInterval(text);
      if (interval === null) return null;
      const { years, months, days, hours, minutes, microseconds } = interval;
      const micros = microseconds % 1_000_000;
      return new Duration(
        years,
        months,
        0,
        days,
        hours,
        minutes,
        Math.trunc(microseconds / 1_000_000),
        Math.trunc(micros / 1000),
        micros % 1000,
      );
    });
  };
}

// --- dumping

function dated(oid: number): Dumper {
  return (value: DatedValue, place) => ({
    text: datedText(checkMicroseconds(value.toString({ calendarName: 'never' }), place)),
    oid,
  });
}

const dumpTime: Dumper = (value: TemporalValue, place) => ({
  text: checkMicroseconds(value.toString(), place),
  oid: Oids.time,
});

const dumpInstant: Dumper = (value: TemporalValue, place) => ({
  text: datedText(checkMicroseconds(value.toString(), place).replace('Z', '+00')),
  oid: Oids.timestamptz,
});

const dumpZoned: Dumper = (value: { toInstant(): TemporalValue }, place, map) =>
  dumpInstant(value.toInstant() as never, place, map);

const dumpDuration: Dumper = (value: TemporalValue, place) => ({
  text: intervalText(checkMicroseconds(value.toString(), place)),
  oid: Oids.interval,
});
