import * as errors from '../errors/index.js';
import { ANYTHING } from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import type { CodecSource, Dumper } from './adaptation.js';
import { adaptersOf } from './adapters.js';
import type { AdaptContext } from './adapters-map.js';
import { civilDate } from './calendar.js';
import { withLoader } from './codec.js';
import { isoStyle, type DatedType } from './date-style.js';
import {
  checkMicroseconds,
  DAY,
  EPOCH_DAYS,
  isoMoment,
  offsetText,
  type Moment,
  type MomentType,
} from './date-text.js';
import { date, time, timestamp, timestamptz, timetz } from './datetime.js';
import { clockFields, interval, readInterval, writeInterval, type IntervalFields } from './interval.js';
import { OffsetTime } from './offset-time.js';
import { Oids } from './oids.js';

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
  const { PlainDate, PlainTime, PlainDateTime, Instant, Duration } = temporal;
  const load = <P>(
    type: MomentType | 'interval',
    codec: CodecSource,
    holder: keyof TemporalApi,
    parse: (text: string, type: never) => P | null,
    make: (parts: P) => object,
  ): void => {
    adapters.setCodec(Oids[type], (context) =>
      withLoader(typeof codec === 'function' ? codec(context) : codec, (bytes, start, end) => {
        const text = bytes.latin1Slice(start, end);
        const iso = isDated(type) ? isoStyle(text, type, context.settings) : text;
        let cause: unknown;
        try {
          const parts = parse(iso, type as never);
          if (parts !== null) return make(parts);
        } catch (error) {
          cause = error;
        }
        const why = cause instanceof Error ? ` (${cause.message})` : '';
        throw new errors.DataError(
          `the ${type} '${iso}' can't be held by a Temporal.${holder}${why}; cast it to text to see it`,
          { cause },
        );
      }),
    );
  };
  load('date', date, 'PlainDate', momentOf, (moment) => new PlainDate(...dayOf(moment)));
  load('time', time, 'PlainTime', momentOf, (moment) => new PlainTime(...clockOf(moment)));
  load('timetz', timetz, 'PlainTime', momentOf, (moment) => {
    return new OffsetTime(new PlainTime(...clockOf(moment)), offsetText(moment.offset));
  });
  load('timestamp', timestamp, 'PlainDateTime', momentOf, (moment) => {
    return new PlainDateTime(...dayOf(moment), ...clockOf(moment));
  });
  load('timestamptz', timestamptz, 'Instant', momentOf, ({ days, microseconds, offset }) => {
    const ofDay = BigInt(microseconds - offset * 1_000_000);
    return new Instant((BigInt(days + EPOCH_DAYS) * BigInt(DAY) + ofDay) * 1000n);
  });
  load('interval', interval, 'Duration', readInterval, (fields) => {
    const { years, months, days, hours, minutes, microseconds } = fields;
    return new Duration(years, months, 0, days, hours, minutes, ...secondsOf(microseconds));
  });
  for (const [className, dump] of Object.entries(DUMPERS)) {
    adapters.setDumper(temporal[className as keyof TemporalApi], dump);
  }
}

function checkTemporal(temporal: TemporalApi | undefined): TemporalApi {
  if (temporal === undefined) {
    throw new errors.NotSupportedError(
      'this runtime has no Temporal: give registerTemporal() that of a polyfill, as in' +
        " `import { Temporal } from 'temporal-polyfill'; registerTemporal(conn, { Temporal })`",
    );
  }
  for (const name of Object.keys(DUMPERS) as (keyof TemporalApi)[]) {
    if (typeof temporal[name] !== 'function') {
      throw new errors.ProgrammingError(`the Temporal given to registerTemporal() has no ${name}`);
    }
  }
  return temporal;
}

// --- loading

/** Parses the server's text under DateStyle ISO; null for the values that Temporal does not know: the infinities, and 24:00. */
function momentOf(text: string, type: MomentType): Moment | null {
  const moment = isoMoment(text, type);
  return moment !== null && moment.microseconds < DAY ? moment : null;
}

function isDated(type: string): type is DatedType {
  return type.startsWith('date') || type.startsWith('timestamp');
}

function dayOf({ days }: Moment): [year: number, month: number, day: number] {
  const { year, month, day } = civilDate(days + EPOCH_DAYS);
  return [year, month, day];
}

type Seconds = [seconds: number, milliseconds: number, microseconds: number];

function clockOf({ microseconds }: Moment): [hours: number, minutes: number, ...Seconds] {
  const minutes = Math.floor(microseconds / 60_000_000);
  return [Math.floor(minutes / 60), minutes % 60, ...secondsOf(microseconds % 60_000_000)];
}

function secondsOf(microseconds: number): Seconds {
  const milliseconds = Math.trunc(microseconds / 1000);
  return [Math.trunc(milliseconds / 1000), milliseconds % 1000, microseconds % 1000];
}

// --- dumping

/** Dumps an object by its text, which `convert` turns into the server's. */
function textDumper(oid: number, convert: (text: string) => string): Dumper {
  return (value: DatedValue, place) => ({
    text: convert(checkMicroseconds(value.toString({ calendarName: 'never' }), place)),
    oid,
  });
}

const DATE = /^(-\d{6}|\+\d{6}|\d{4})(-.*)$/;

/** Converts years: ISO 8601 has a year 0 and signed years, PostgreSQL has years BC. */
function datedText(text: string): string {
  const [, year, rest] = DATE.exec(text)!;
  const number = Number(year);
  return number > 0
    ? `${String(number).padStart(4, '0')}${rest!}`
    : `${String(1 - number).padStart(4, '0')}${rest!} BC`;
}

/** The fields of a Temporal.Duration: those of an interval, and further units. */
interface DurationValue extends TemporalValue, IntervalFields {
  readonly weeks: number;
  readonly seconds: number;
  readonly milliseconds: number;
  readonly nanoseconds: number;
}

/**
 * Dumps a duration in a form that the server reads the same under every IntervalStyle: without weeks, and with a sign on each
 * field. The seconds are below a minute, since the server parses them as a floating point number.
 */
const dumpDuration: Dumper = (duration: DurationValue, place) => {
  checkMicroseconds(duration.toString(), place);
  const { years, months, weeks, days, hours, minutes, seconds } = duration;
  const time =
    ((BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds)) * 1_000_000n +
    BigInt(duration.milliseconds) * 1000n +
    BigInt(duration.microseconds) +
    BigInt(duration.nanoseconds) / 1000n;
  return {
    text: writeInterval({ years, months, days: 7 * weeks + days, ...clockFields(time) }),
    oid: Oids.interval,
  };
};

const dumpInstant = textDumper(Oids.timestamptz, (text) => datedText(text.replace('Z', '+00')));

const DUMPERS: Readonly<Record<keyof TemporalApi, Dumper>> = {
  PlainDate: textDumper(Oids.date, datedText),
  PlainTime: textDumper(Oids.time, (text) => text),
  PlainDateTime: textDumper(Oids.timestamp, datedText),
  Instant: dumpInstant,
  ZonedDateTime: (value: { toInstant(): TemporalValue }, place, map) =>
    dumpInstant(value.toInstant() as never, place, map),
  Duration: dumpDuration,
};
