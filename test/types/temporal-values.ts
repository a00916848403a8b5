import fc from 'fast-check';
import type { Temporal } from 'temporal-polyfill';
import { OffsetTime } from '../../src/index.js';
import {
  clockTime,
  offsetTime,
  reachableDate,
  reachableInstant,
  reachableTimestamp,
  unmixedInterval,
} from './values.js';

export interface TemporalType {
  /** Texts of values that Temporal can hold. */
  readonly texts: fc.Arbitrary<string>;
  /** Temporal objects that PostgreSQL can hold. */
  readonly values: fc.Arbitrary<unknown>;
  /** SQL for the parts of the value `v`, as integers. */
  readonly serverParts: string;
  /** The same parts of a Temporal object. */
  readonly parts: (value: never) => string;
}

const DATE_PARTS = "concat_ws(',', extract(year FROM v), extract(month FROM v), extract(day FROM v))";
const MICROSECONDS =
  '((extract(hour FROM v)::int8 * 60 + extract(minute FROM v)::int8) * 60000000 + extract(microseconds FROM v)::int8)';

const number = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

function dateParts({ year, month, day }: Temporal.PlainDate | Temporal.PlainDateTime): string {
  return [year > 0 ? year : year - 1, month, day].join();
}

function timeParts(time: Temporal.PlainTime | Temporal.PlainDateTime): string {
  return micros(time.hour, time.minute, time.second, time.millisecond, time.microsecond);
}

function micros(hours: number, minutes: number, seconds: number, millis: number, rest: number): string {
  const whole = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds);
  return String((whole * 1000n + BigInt(millis)) * 1000n + BigInt(rest));
}

function secondsEast(offset: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(':').map(Number);
  return (offset.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
}

/** The six types, with values of one Temporal implementation. */
export function temporalTypes({
  PlainDate,
  PlainTime,
  Duration,
}: typeof Temporal): Readonly<Record<string, TemporalType>> {
  // PostgreSQL's range begins and ends later than Temporal's.
  const first = PlainDate.from('-004713-11-24');
  const last = PlainDate.from('+275760-09-13');
  const epoch = PlainDate.from('1970-01-01');
  const dates = fc.oneof(
    number(-25_567, 29_219).map((days) => epoch.add({ days })),
    number(0, first.until(last).days).map((days) => first.add({ days })),
    fc
      .constantFrom('0000-12-31', '0001-01-01', '9999-12-31', '+010000-01-01')
      .map((text) => PlainDate.from(text)),
    fc.constantFrom(first, last),
  );
  const times = fc.oneof(
    fc
      .tuple(number(0, 23), number(0, 59), number(0, 59), number(0, 999), number(0, 999))
      .map((parts) => new PlainTime(...parts)),
    fc
      .constantFrom('00:00', '23:59:59.999999', '00:00:00.000001', '12:00:00.5')
      .map((text) => PlainTime.from(text)),
  );
  const dateTimes = fc.tuple(dates, times).map(([date, time]) => date.toPlainDateTime(time));
  const instants = fc.tuple(dates, times).map(([date, time]) =>
    date
      // Only midnight of the last day is within the range.
      .toZonedDateTime({ timeZone: 'UTC', plainTime: date.equals(last) ? PlainTime.from('00:00') : time })
      .toInstant(),
  );
  // Units may exceed the next larger unit, as long as the server can hold the value.
  const durations = fc
    .tuple(
      number(0, 89_478_484),
      number(0, 2 ** 30 - 1),
      number(0, 153_391_688),
      number(0, 2 ** 30 - 1),
      number(0, 1_000_000_000),
      number(0, 1_000_000_000),
      number(0, 2 ** 40),
      number(0, 2 ** 50),
      number(0, 2 ** 52),
    )
    .chain((units) => fc.tuple(fc.constant(units), number(0, 2 ** units.length - 1), fc.boolean()))
    .map(([units, which, negative]) => {
      const duration = new Duration(...units.map((count, i) => ((which >> i) & 1 ? count : 0)));
      return negative ? duration.negated() : duration;
    });

  return {
    date: { texts: reachableDate, values: dates, serverParts: DATE_PARTS, parts: dateParts },
    time: { texts: clockTime, values: times, serverParts: `${MICROSECONDS}::text`, parts: timeParts },
    timetz: {
      texts: offsetTime,
      values: fc
        .tuple(times, offsetTime)
        .map(([time, text]) => new OffsetTime(time, /[+-].*/.exec(text)![0])),
      serverParts: `concat_ws(',', ${MICROSECONDS}, extract(timezone FROM v))`,
      parts: ({ time, offset }: OffsetTime<Temporal.PlainTime>) =>
        `${timeParts(time)},${String(secondsEast(offset))}`,
    },
    timestamp: {
      texts: reachableTimestamp,
      values: dateTimes,
      serverParts: `concat_ws(',', ${DATE_PARTS}, ${MICROSECONDS})`,
      parts: (value: Temporal.PlainDateTime) => `${dateParts(value)},${timeParts(value)}`,
    },
    timestamptz: {
      texts: reachableInstant,
      values: fc.oneof(
        instants,
        fc
          .tuple(instants, fc.constantFrom('Europe/Berlin', 'Asia/Kathmandu', '-12:34'))
          .map(([instant, zone]) => instant.toZonedDateTimeISO(zone)),
      ),
      serverParts: '(extract(epoch FROM v) * 1000000)::int8::text',
      parts: ({ epochNanoseconds }: Temporal.Instant) => String(epochNanoseconds / 1000n),
    },
    interval: {
      texts: unmixedInterval,
      values: durations,
      serverParts: `concat_ws(',', extract(year FROM v) * 12 + extract(month FROM v), extract(day FROM v), ${MICROSECONDS})`,
      parts: (value: Temporal.Duration) =>
        [
          value.years * 12 + value.months,
          value.weeks * 7 + value.days,
          micros(value.hours, value.minutes, value.seconds, value.milliseconds, value.microseconds),
        ].join(),
    },
  };
}
