import { trimmed } from './ascii.js';
import type { CodecContext, SessionSettings } from './adaptation.js';
import { fixed, notOfType, refused, outOfRange, shown, type Codec } from './codec.js';
import {
  fractionText,
  infinitySign,
  INT32_MAX,
  INT32_MIN,
  INT64_MAX,
  INT64_MIN,
  microsecondsOf,
  timeText,
} from './date-text.js';

/** An interval. Each field has its own sign, as in PostgreSQL, and is an exact integer. */
export interface IntervalFields {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly microseconds: number;
}

const SECONDS = String.raw`\d+(?:\.\d+)?`;

/** Separates a field with a unit from the next one. */
const NEXT = String.raw`(?: (?=[-+\d])|(?= ago$|$))`;
/** IntervalStyle postgres: 1 year 2 mons -3 days +04:05:06.7 */
const POSTGRES = new RegExp(
  String.raw`^(?=.)(?:([+-]?\d+) years?${NEXT})?(?:([+-]?\d+) mons?${NEXT})?(?:([+-]?\d+) days?${NEXT})?` +
    String.raw`(?:([+-]?)(\d+):(\d\d):(${SECONDS}))?$`,
);
/** IntervalStyle postgres_verbose: @ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago */
const VERBOSE = new RegExp(
  String.raw`^@ (?=.*\d)(?:0|(?:(-?\d+) years?${NEXT})?(?:(-?\d+) mons?${NEXT})?(?:(-?\d+) days?${NEXT})?` +
    String.raw`(?:(-?\d+) hours?${NEXT})?(?:(-?\d+) mins?${NEXT})?(?:(-?${SECONDS}) secs?)?)( ago)?$`,
);
/** IntervalStyle iso_8601: P1Y2M-3DT4H5M6.7S; also the other forms of ISO 8601, which users may send. */
const ISO_8601 = new RegExp(
  String.raw`^P(?=[-\dT])(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?` +
    String.raw`(?:T(?=[-\d])(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?${SECONDS})S)?)?$`,
);
/** IntervalStyle sql_standard in full, for mixed signs or if both parts are present: +1-2 -3 +4:05:06.7 */
const SQL_MIXED = new RegExp(String.raw`^([+-])(\d+)-(\d+) ([+-])(\d+) ([+-])(\d+):(\d\d):(${SECONDS})$`);
/** IntervalStyle sql_standard in short, with one sign for all fields: 1-2, 3 4:05:06.7, 4:05:06.7, 0 */
const SQL_PLAIN = new RegExp(String.raw`^(-?)(?:(\d+)-(\d+)|(?:(\d+) )?(\d+):(\d\d):(${SECONDS})|0)$`);

/** The server's texts are not longer. */
const LONGEST = 200;

/** Parses the server's text of an interval. The four values of `IntervalStyle` can be told apart. Null for any other text. */
export function readInterval(text: string): IntervalFields | null {
  const fields = text.length > LONGEST ? null : readStyles(text);
  if (fields === null || !isExact(fields)) return null;
  // In the form with colons, minutes and seconds must be below 60.
  const isClock = text.includes(':');
  return isClock && (Math.abs(fields.minutes) > 59 || Math.abs(fields.microseconds) >= 60_000_000)
    ? null
    : fields;
}

function isExact({ years, months, days, hours, minutes, microseconds }: IntervalFields): boolean {
  // The sum of the sizes is exact only if all of them are.
  const sum = Math.abs(years) + Math.abs(months) + Math.abs(days) + Math.abs(hours) + Math.abs(minutes);
  return Number.isSafeInteger(sum) && Number.isSafeInteger(microseconds);
}

function readStyles(text: string): IntervalFields | null {
  let match = POSTGRES.exec(text);
  if (match !== null) {
    const [, years, months, days, sign, hours, minutes, seconds] = match;
    return fieldsOf([years, months, days, hours, minutes, seconds], 1, factorOf(sign));
  }
  match = ISO_8601.exec(text);
  if (match !== null) {
    const [, years, months, weeks, days = '0', hours, minutes, seconds] = match;
    const allDays = weeks === undefined ? days : String(7 * Number(weeks) + Number(days));
    return fieldsOf([years, months, allDays, hours, minutes, seconds], 1, 1, iso8601Seconds);
  }
  match = VERBOSE.exec(text);
  if (match !== null) {
    const factor = match[7] === undefined ? 1 : -1;
    return fieldsOf(match.slice(1, 7), factor, factor, verboseSeconds);
  }
  match = SQL_MIXED.exec(text);
  if (match !== null) {
    const [, date = '', years, months, day = '', days, sign, ...clock] = match;
    return fieldsOf([date + years!, date + months!, day + days!, ...clock], 1, factorOf(sign));
  }
  match = SQL_PLAIN.exec(text);
  return match && fieldsOf(match.slice(2, 8), factorOf(match[1]), factorOf(match[1]));
}

function factorOf(sign: string | undefined): number {
  return sign === '-' ? -1 : 1;
}

type Digits = string | undefined;

/**
 * The fields from their digits, which may have signs of their own; `factor` and `clock` are the signs of the date and of the clock.
 * `readSeconds` reads the seconds, which the server rounds in a way of its own for each form.
 */
function fieldsOf(
  [years, months, days, hours, minutes, seconds]: readonly Digits[],
  factor: number,
  clock: number,
  readSeconds = clockSeconds,
): IntervalFields {
  return {
    years: times(factor, years),
    months: times(factor, months),
    days: times(factor, days),
    hours: times(clock, hours),
    minutes: times(clock, minutes),
    microseconds: seconds === undefined ? 0 : clock * readSeconds(seconds) || 0,
  };
}

function times(factor: number, digits: Digits): number {
  return digits === undefined ? 0 : factor * Number(digits) || 0;
}

/** The microseconds of the seconds of a clock: ties are rounded to even. */
function clockSeconds(seconds: string): number {
  const [whole, fraction] = seconds.split('.', 2);
  return Number(whole) * 1_000_000 + (fraction === undefined ? 0 : microsecondsOf(fraction));
}

/** The microseconds of `-6.7S`: the server takes the fraction from the number in double precision. */
function iso8601Seconds(seconds: string): number {
  const whole = Math.trunc(Number(seconds));
  return whole * 1_000_000 + tiesToZero((Number(seconds) - whole) * 1_000_000);
}

/** The microseconds of `-6.7 secs`: the server reads the fraction apart. */
function verboseSeconds(seconds: string): number {
  const [whole = '', fraction = ''] = seconds.split('.', 2);
  return Number(whole) * 1_000_000 + tiesToZero(factorOf(seconds[0]) * Number(`0.${fraction}`) * 1_000_000);
}

/** Rounds like the server where a number has a unit. */
function tiesToZero(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) > 0.5 ? whole + Math.sign(value) : whole;
}

/** A text whose only sign is a minus at its beginning. */
const ONE_MINUS = /^(?:@ )?-[^-+]*$/;
/** `-1 2:03:04`, as the style sql_standard writes it. */
const MINUS_DAYS = /^-\d+ \d+:/;

/**
 * Parses a text as the server does that is to store it. Unlike in a text of the server, a minus at the beginning is the sign of the
 * first field only, unless IntervalStyle is sql_standard.
 */
function readWritten(text: string, settings: SessionSettings): IntervalFields | null {
  const fields = readInterval(text);
  if (fields === null || !ONE_MINUS.test(text)) return fields;
  if (settings.get('IntervalStyle') === 'sql_standard') {
    const sign = text.endsWith('ago') ? 1 : -1;
    return mapped(fields, (value) => sign * Math.abs(value));
  }
  return MINUS_DAYS.test(text) ? { ...mapped(fields, Math.abs), days: fields.days } : fields;
}

function mapped(fields: IntervalFields, change: (value: number) => number): IntervalFields {
  const { years, months, days, hours, minutes, microseconds } = fields;
  return {
    years: change(years),
    months: change(months),
    days: change(days),
    hours: change(hours),
    minutes: change(minutes),
    microseconds: change(microseconds),
  };
}

/** Formats an interval as ISO 8601, which the server reads the same under every IntervalStyle. */
export function writeInterval({ years, months, days, hours, minutes, microseconds }: IntervalFields): string {
  const date = field(years, 'Y') + field(months, 'M') + field(days, 'D');
  const time =
    field(hours, 'H') + field(minutes, 'M') + (microseconds === 0 ? '' : `${decimal(microseconds)}S`);
  if (time !== '') return `P${date}T${time}`;
  return date === '' ? 'PT0S' : `P${date}`;
}

function field(count: number, unit: string): string {
  return count === 0 ? '' : `${String(count)}${unit}`;
}

function decimal(microseconds: number): string {
  const absolute = Math.abs(microseconds);
  const whole = String(Math.floor(absolute / 1_000_000));
  return `${microseconds < 0 ? '-' : ''}${whole}${fractionText(absolute % 1_000_000)}`;
}

/** Since this version of the server there are infinite intervals, whose binary format was that of a finite one before. */
const FIRST_WITH_INFINITY = 17;

function hasInfinity(settings: SessionSettings): boolean {
  return !(Number.parseInt(settings.get('server_version') ?? '', 10) < FIRST_WITH_INFINITY);
}

/** interval, as an ISO 8601 duration, whatever the session's IntervalStyle is. An infinity keeps the server's form. */
export const interval = ({ settings }: CodecContext): Codec => ({
  readText: (bytes, start, end) => {
    const text = bytes.latin1Slice(start, end);
    const fields = readInterval(text);
    if (fields !== null) {
      if (isNormal(fields)) return writeInterval(fields);
      const read = binaryFields(fields);
      if (read !== null) return isoText(read);
    }
    if ((text === 'infinity' || text === '-infinity') && hasInfinity(settings)) return text;
    throw notOfType('interval', text);
  },
  readBinary: fixed('interval', 16, (bytes, start) => {
    const read = readBinary(bytes, start, settings);
    return typeof read === 'string' ? read : isoText(read);
  }),
  textToBinary: (text, out, place) => {
    const infinity = infinitySign(text);
    if (infinity !== 0) {
      if (!hasInfinity(settings)) throw refused(place, 'this server has no infinite interval');
      out.int64(infinity < 0 ? INT64_MIN : INT64_MAX);
      for (let i = 0; i < 2; i++) out.int32(infinity < 0 ? INT32_MIN : INT32_MAX);
      return;
    }
    // The server takes no white space around ISO 8601.
    const inside = trimmed(text);
    const fields = readWritten(inside.startsWith('P') ? text : inside, settings);
    if (fields === null) {
      throw refused(
        place,
        `${shown(text)} can't be sent as interval: write it as ISO 8601 has it, P1DT2H30M`,
      );
    }
    const written = binaryFields(fields);
    if (written === null) throw outOfRange(shown(text), 'interval', place);
    out.int64(written.microseconds);
    out.int32(written.days);
    out.int32(written.months);
  },
  binaryToText: fixed('interval', 16, (bytes, start) => {
    const read = readBinary(bytes, start, settings);
    return typeof read === 'string' ? read : postgresStyle(read);
  }),
});

/** An interval's fields in the binary format. */
interface BinaryFields {
  readonly microseconds: bigint;
  readonly days: number;
  readonly months: number;
}

/** Whether the server would write these fields: each is below one of the next larger, and has its sign. */
function isNormal({ years, months, days, hours, minutes, microseconds }: IntervalFields): boolean {
  return (
    Math.abs(years) < 170_000_000 &&
    Math.abs(months) < 12 &&
    years * months >= 0 &&
    (days | 0) === days &&
    Math.abs(hours) < 2_500_000_000 &&
    Math.abs(minutes) < 60 &&
    Math.abs(microseconds) < 60_000_000 &&
    hours * minutes >= 0 &&
    hours * microseconds >= 0 &&
    minutes * microseconds >= 0
  );
}

/** The fields in the binary format; null if they are out of range. */
function binaryFields({
  years,
  months,
  days,
  hours,
  minutes,
  microseconds,
}: IntervalFields): BinaryFields | null {
  const allMonths = years * 12 + months;
  const time = (BigInt(hours) * 3600n + BigInt(minutes) * 60n) * 1_000_000n + BigInt(microseconds);
  const fits = (allMonths | 0) === allMonths && (days | 0) === days && BigInt.asIntN(64, time) === time;
  return fits ? { microseconds: time, days, months: allMonths } : null;
}

/** Formats an interval as ISO 8601. */
function isoText({ microseconds, days, months }: BinaryFields): string {
  return writeInterval({
    years: Math.trunc(months / 12),
    months: months % 12,
    days,
    ...clockFields(microseconds),
  });
}

/** Reads the binary format: the fields, or the text of an infinity. */
function readBinary(bytes: Buffer, start: number, settings: SessionSettings): BinaryFields | string {
  const microseconds = bytes.readBigInt64BE(start);
  const days = bytes.readInt32BE(start + 8);
  const months = bytes.readInt32BE(start + 12);
  if (hasInfinity(settings)) {
    if (months === INT32_MAX && days === INT32_MAX && microseconds === INT64_MAX) return 'infinity';
    if (months === INT32_MIN && days === INT32_MIN && microseconds === INT64_MIN) return '-infinity';
  }
  return { microseconds, days, months };
}

/** Splits a time into fields, all of them with its sign. */
export function clockFields(time: bigint): Pick<IntervalFields, 'hours' | 'minutes' | 'microseconds'> {
  return {
    hours: Number(time / 3_600_000_000n),
    minutes: Number((time / 60_000_000n) % 60n),
    microseconds: Number(time % 60_000_000n),
  };
}

/** Formats an interval in the form of IntervalStyle `postgres`. */
function postgresStyle({ microseconds: time, days, months }: BinaryFields): string {
  const parts: string[] = [];
  let isBefore = false;
  const add = (value: number, unit: string): void => {
    if (value === 0) return;
    parts.push(`${isBefore && value > 0 ? '+' : ''}${String(value)} ${unit}${value === 1 ? '' : 's'}`);
    isBefore = value < 0;
  };
  add(Math.trunc(months / 12), 'year');
  add(months % 12, 'mon');
  add(days, 'day');
  if (time !== 0n || parts.length === 0) {
    const absolute = time < 0n ? -time : time;
    const seconds = absolute / 1_000_000n;
    const hours = seconds / 3600n;
    const text = timeText(Number(absolute - hours * 3_600_000_000n)).slice(2);
    parts.push(`${time < 0n ? '-' : isBefore ? '+' : ''}${String(hours).padStart(2, '0')}${text}`);
  }
  return parts.join(' ');
}
