import { trimmed } from './ascii.js';
import { readInt32 } from '../wire/backend-messages.js';
import { TWO_32 } from './byte-writer.js';
import { civilDate, daysFromCivil, isCivil } from './calendar.js';
import { refused, shown, type Place } from './codec.js';

// Converts dates and times between text, ISO 8601 or the server's form under DateStyle ISO, and the numbers of the binary format: days
// in 32-bit and microseconds in 64-bit integers, from 2000-01-01.

/** Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
export const EPOCH_DAYS = 10_957;
export const EPOCH_MILLISECONDS = EPOCH_DAYS * 86_400_000;
/** Microseconds of a day. */
export const DAY = 86_400_000_000;

export const INT32_MAX = 0x7fff_ffff;
export const INT32_MIN = -0x8000_0000;
export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

/** PostgreSQL's range in days from 2000-01-01: from 4714-11-24 BC to 5874897-12-31; for timestamps, to 294276-12-31. */
export const FIRST_DAY = -2_451_545;
export const LAST_DAY = 2_145_031_948;
export const FIRST_MICROSECOND = BigInt(FIRST_DAY) * BigInt(DAY);
const LAST_TIMESTAMP_DAY = 106_751_982;
export const LAST_MICROSECOND = BigInt(LAST_TIMESTAMP_DAY + 1) * BigInt(DAY) - 1n;

/** If the upper half of an int8 exceeds this in absolute value, the whole is no exact `number`. */
const EXACT_HIGH = 0x10_0000;

/** Reads the 64-bit integer at `at`: as a `number` if that is exact, else as a `bigint`. */
export function readInt64(bytes: Buffer, at: number): number | bigint {
  const high = readInt32(bytes, at);
  if (high >= -EXACT_HIGH && high < EXACT_HIGH) return high * TWO_32 + (readInt32(bytes, at + 4) >>> 0);
  return bytes.readBigInt64BE(at);
}

// --- numbers to text

/** A number below 100 in two digits. */
export function two(value: number): string {
  return value < 10 ? `0${String(value)}` : String(value);
}

/** Formats a date, given in days from 2000-01-01, in the server's form. `clock` is the text behind the day, but before BC. */
export function dateText(days: number, clock = ''): string {
  const { year, month, day } = civilDate(days + EPOCH_DAYS);
  const written = String(year > 0 ? year : 1 - year).padStart(4, '0');
  return `${written}-${two(month)}-${two(day)}${clock}${year > 0 ? '' : ' BC'}`;
}

/** Formats a time of day in the server's form; the hours may exceed 24. */
export function timeText(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1_000_000);
  const fraction = microseconds - seconds * 1_000_000;
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return clock + fractionText(fraction);
}

/** Formats the microseconds of a second, with the decimal point. */
export function fractionText(microseconds: number): string {
  return microseconds === 0 ? '' : `.${String(microseconds).padStart(6, '0').replace(/0+$/, '')}`;
}

/** Formats a zone's offset, given in seconds east of UTC, in the server's form. */
export function offsetText(seconds: number): string {
  const offset = Math.abs(seconds);
  let text = `${seconds < 0 ? '-' : '+'}${two(Math.floor(offset / 3600))}`;
  if (offset % 3600 !== 0) text += `:${two(Math.floor(offset / 60) % 60)}`;
  if (offset % 60 !== 0) text += `:${two(offset % 60)}`;
  return text;
}

/**
 * Formats a timestamp, given in microseconds from 2000-01-01, in the server's form; `zone` is appended to the time. Null if it is
 * out of range.
 */
export function timestampText(total: number | bigint, zone: string): string | null {
  let days: number;
  let microseconds: number;
  if (typeof total === 'number') {
    days = Math.floor(total / DAY);
    microseconds = total - days * DAY;
  } else {
    if (total === INT64_MAX) return 'infinity';
    if (total === INT64_MIN) return '-infinity';
    if (total < FIRST_MICROSECOND || total > LAST_MICROSECOND) return null;
    const rest = ((total % BigInt(DAY)) + BigInt(DAY)) % BigInt(DAY);
    days = Number((total - rest) / BigInt(DAY));
    microseconds = Number(rest);
  }
  return dateText(days, ` ${timeText(microseconds)}${zone}`);
}

// --- text to numbers

export type MomentType = 'date' | 'time' | 'timetz' | 'timestamp' | 'timestamptz';

const DATE = String.raw`(\d{4,7})-(\d\d)-(\d\d)`;
const CLOCK = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?: ?(Z|[+-]\d\d(?:(?::\d\d){1,2}|(?:\d\d){1,2})?))?`;
const WITH_DATE = new RegExp(String.raw`^${DATE}(?:[T ]${CLOCK})?( BC)?$`, 'i');
const WITHOUT_DATE = new RegExp(String.raw`^${CLOCK}$`, 'i');
const INFINITE = /^([+-]?)infinity$/i;
/** The server's own limit. */
const LONGEST = 128;

/** The parts of a point in time; without a date, the days are 0. */
export interface Moment {
  /** Days from 2000-01-01. */
  readonly days: number;
  /** Microseconds of the day. */
  readonly microseconds: number;
  /** Seconds east of UTC; 0 for a type without a zone, for which the server ignores it, too. */
  readonly offset: number;
}

/** Parses a text of the type; raises `DataError` for any other text. */
export function parseMoment(text: string, type: MomentType, place: Place): Moment {
  const hasDate = type !== 'time' && type !== 'timetz';
  const match = text.length > LONGEST ? null : (hasDate ? WITH_DATE : WITHOUT_DATE).exec(trimmed(text));
  if (match === null) {
    throw refused(place, `${shown(text)} can't be sent as ${type}: the binary format needs ISO 8601`);
  }
  let days = 0;
  if (hasDate) {
    const written = Number(match[1]);
    const year = match[9] === undefined ? written : 1 - written;
    const month = Number(match[2]);
    const day = Number(match[3]);
    if (written === 0 || !isCivil(year, month, day)) {
      throw refused(place, `${shown(text)} is not a day of the calendar`);
    }
    days = daysFromCivil(year, month, day) - EPOCH_DAYS;
  }
  const clock = hasDate ? 4 : 1;
  const hours = Number(match[clock] ?? 0);
  const minutes = Number(match[clock + 1] ?? 0);
  const seconds = Number(match[clock + 2] ?? 0);
  const fraction = match[clock + 3];
  const zone = match[clock + 4];
  // As on the server, second 60 and hour 24 mean the next minute and the next day.
  const microseconds =
    ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 +
    (fraction === undefined ? 0 : microsecondsOf(fraction));
  if (hours > 24 || minutes > 59 || seconds > 60 || microseconds > DAY) {
    throw refused(place, `${shown(text)} is not a time of day`);
  }
  const isZoned = hasZone(type);
  // The server ignores the offset for other types, but not an invalid one.
  const offset = isZoned || zone !== undefined ? offsetOf(zone, text, type, place) : 0;
  return { days, microseconds, offset: isZoned ? offset : 0 };
}

function hasZone(type: MomentType): boolean {
  return type === 'timestamptz' || type === 'timetz';
}

/** 1 or -1 for an infinity; 0 for any other text. */
export function infinitySign(text: string): 1 | -1 | 0 {
  const match = text.length > LONGEST ? null : INFINITE.exec(trimmed(text));
  return match === null ? 0 : match[1] === '-' ? -1 : 1;
}

/** Rounds to microseconds, ties to even, as the server does. */
export function microsecondsOf(fraction: string): number {
  if (fraction.length <= 6) return Number(fraction.padEnd(6, '0'));
  const exact = Number(`0.${fraction}`) * 1_000_000;
  const floor = Math.floor(exact);
  const rest = exact - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

function offsetOf(zone: string | undefined, text: string, type: string, place: Place): number {
  if (zone === undefined) {
    throw refused(
      place,
      `${shown(text)} can't be sent as ${type}: it needs its offset from UTC, such as +02 or Z`,
    );
  }
  const offset = zone.toUpperCase() === 'Z' ? 0 : secondsEast(zone);
  if (Number.isNaN(offset)) throw refused(place, `the time zone of ${shown(text)} is out of range`);
  return offset;
}

/** Seconds east of UTC of an offset such as `+05:45`; NaN if it is out of range. The server accepts offsets below 16 hours. */
export function secondsEast(zone: string): number {
  const digits = zone.slice(1).replaceAll(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2, 4));
  const seconds = Number(digits.slice(4, 6));
  if (hours > 15 || minutes > 59 || seconds > 59) return NaN;
  const offset = (hours * 60 + minutes) * 60 + seconds;
  return zone.startsWith('-') ? 0 - offset : offset;
}

const NANOSECONDS = /\.\d{7}/;

/** Raises `DataError` for nanoseconds that are not whole microseconds, which PostgreSQL would round. */
export function checkMicroseconds(text: string, place: string): string {
  if (NANOSECONDS.test(text)) {
    throw refused(
      place,
      `${text} has nanoseconds, but PostgreSQL keeps microseconds; round it, with` +
        " .round({ smallestUnit: 'microsecond' }) say",
    );
  }
  return text;
}

/**
 * Parses a text that the server writes under DateStyle ISO; null for any other text, and for the infinities. The server's text is
 * the one that formatting its parts gives again.
 */
export function isoMoment(text: string, type: MomentType): Moment | null {
  let moment: Moment;
  try {
    moment = parseMoment(text, type, type);
  } catch {
    return null;
  }
  const { days, microseconds, offset } = moment;
  const clock = timeText(microseconds) + (hasZone(type) ? offsetText(offset) : '');
  if (type === 'time' || type === 'timetz') return clock === text ? moment : null;
  const again = dateText(days, type === 'date' ? '' : ` ${clock}`);
  const dayInUtc = days + Math.floor((microseconds - offset * 1_000_000) / DAY);
  const isInRange = dayInUtc >= FIRST_DAY && dayInUtc <= (type === 'date' ? LAST_DAY : LAST_TIMESTAMP_DAY);
  return again === text && isInRange && microseconds < DAY ? moment : null;
}
