import {
  DAY,
  EPOCH_DAYS,
  EPOCH_MILLISECONDS,
  INT64_MAX,
  INT64_MIN,
  dateText,
  instantOf,
  readInt64,
  timeText,
  timestampText,
  two,
} from '../adapt/binary-time.js';
import { daysFromCivil } from '../adapt/calendar.js';
import { readInterval, writeInterval } from '../adapt/interval.js';
import { isDate } from '../adapt/realm.js';
import type { BinaryType } from './binary-type.js';
import { writeBigInt64, writeInt64 } from './binary-type.js';
import type { Block } from './block.js';
import { shown, type RowPlace } from './row-place.js';

/** So many days of microseconds are exact as a number. */
const EXACT_DAYS = 100_000;

const INT32_MAX = 0x7fff_ffff;
const INT32_MIN = -0x8000_0000;
/** What PostgreSQL has, in days from 2000-01-01: from 4714-11-24 BC to 5874897-12-31, or with a time to 294276-12-31. */
const FIRST_DAY = -2_451_545;
const LAST_DATE = 2_145_031_948;
const FIRST_MICROSECOND = BigInt(FIRST_DAY) * BigInt(DAY);
const LAST_MICROSECOND = 106_751_983n * BigInt(DAY) - 1n;

const MONTH_LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const DATE = String.raw`(\d{4,7})-(\d\d)-(\d\d)`;
const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?`;
const ZONE = String.raw`(?:\s?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?))`;
const TIMESTAMP = new RegExp(String.raw`^\s*${DATE}(?:[T ]${TIME}${ZONE}?)?( BC)?\s*$`, 'i');
const TIME_OF_DAY = new RegExp(String.raw`^\s*${TIME}${ZONE}?\s*$`, 'i');
const INFINITE = /^\s*([+-]?)infinity\s*$/i;

/** A point in time taken apart: days from 2000-01-01, microseconds of the day, and seconds east of UTC if a zone is given. */
interface Moment {
  readonly days: number;
  readonly microseconds: number;
  readonly offset: number | null;
}

function parseMoment(text: string, type: string, place: RowPlace): Moment {
  const match = TIMESTAMP.exec(text);
  if (match === null) throw notIso(text, type, place);
  const [, yearText, monthText, dayText, hour = '0', minute = '0', second = '0', fraction = '', zone, bc] =
    match;
  const written = Number(yearText);
  const year = bc === undefined ? written : 1 - written;
  const month = Number(monthText);
  const day = Number(dayText);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const length = month === 2 && leap ? 29 : (MONTH_LENGTHS[month - 1] ?? 0);
  if (written === 0 || day < 1 || day > length)
    throw place.refuse(`${shown(text)} is not a day of the calendar`);
  return {
    days: daysFromCivil(year, month, day) - EPOCH_DAYS,
    microseconds: timeOfDay(text, hour, minute, second, fraction, place),
    offset: zone === undefined ? null : offsetOf(zone, text, place),
  };
}

/** Microseconds; a second 60 and an hour 24 are the next minute and day, as the server has it. */
function timeOfDay(
  text: string,
  hour: string,
  minute: string,
  second: string,
  fraction: string,
  place: RowPlace,
): number {
  const hours = Number(hour);
  const minutes = Number(minute);
  const seconds = Number(second);
  const parts = microsecondsOf(fraction);
  const time = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + parts;
  if (hours > 24 || minutes > 59 || seconds > 60 || time > DAY) {
    throw place.refuse(`${shown(text)} is not a time of day`);
  }
  return time;
}

/** The server rounds what is finer than a microsecond, ties to even. */
function microsecondsOf(fraction: string): number {
  if (fraction.length <= 6) return Number(fraction.padEnd(6, '0'));
  const exact = Number(`0.${fraction}`) * 1_000_000;
  const floor = Math.floor(exact);
  const rest = exact - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Seconds east of UTC. */
function offsetOf(zone: string, text: string, place: RowPlace): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const digits = zone.slice(1).replaceAll(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2, 4));
  const seconds = Number(digits.slice(4, 6));
  if (hours > 15 || minutes > 59 || seconds > 59)
    throw place.refuse(`the time zone of ${shown(text)} is out of range`);
  const offset = (hours * 60 + minutes) * 60 + seconds;
  return zone.startsWith('-') ? -offset : offset;
}

/** date, as ISO 8601 text. */
export const date: BinaryType = {
  writeText: (text, out, place) => {
    const infinite = INFINITE.exec(text);
    if (infinite !== null) {
      out.int32(infinite[1] === '-' ? INT32_MIN : INT32_MAX);
      return;
    }
    const { days } = parseMoment(text, 'date', place);
    if (days < FIRST_DAY || days > LAST_DATE) throw outOfRange(text, 'date', place);
    out.int32(days);
  },
  load: (bytes, start) => loadDate(bytes, start),
  text: (bytes, start) => loadDate(bytes, start),
};

function loadDate(bytes: Buffer, start: number): string {
  const days = bytes.readInt32BE(start);
  if (days === INT32_MAX) return 'infinity';
  if (days === INT32_MIN) return '-infinity';
  const { text, bc } = dateText(days);
  return bc ? `${text} BC` : text;
}

/** time, as ISO 8601 text. */
export const time: BinaryType = {
  writeText: (text, out, place) => {
    writeInt64(parseTime(text, 'time', place).microseconds, out);
  },
  load: (bytes, start) => timeText(Number(readInt64(bytes, start))),
  text: (bytes, start) => timeText(Number(readInt64(bytes, start))),
};

/** timetz, as ISO 8601 text. */
export const timetz: BinaryType = {
  writeText: (text, out, place) => {
    const { microseconds, offset } = parseTime(text, 'timetz', place);
    if (offset === null) throw zoneMissing(text, 'timetz', place);
    writeInt64(microseconds, out);
    out.int32(-offset);
  },
  load: (bytes, start) => loadTimetz(bytes, start),
  text: (bytes, start) => loadTimetz(bytes, start),
};

function parseTime(text: string, type: string, place: RowPlace): Omit<Moment, 'days'> {
  const match = TIME_OF_DAY.exec(text);
  if (match === null) throw notIso(text, type, place);
  const [, hour, minute, second = '0', fraction = '', zone] = match;
  return {
    microseconds: timeOfDay(text, hour!, minute!, second, fraction, place),
    offset: zone === undefined ? null : offsetOf(zone, text, place),
  };
}

function loadTimetz(bytes: Buffer, start: number): string {
  const west = bytes.readInt32BE(start + 8);
  const offset = Math.abs(west);
  let zone = `${west <= 0 ? '+' : '-'}${two(Math.floor(offset / 3600))}`;
  if (offset % 3600 !== 0) zone += `:${two(Math.floor(offset / 60) % 60)}`;
  if (offset % 60 !== 0) zone += `:${two(offset % 60)}`;
  return timeText(Number(readInt64(bytes, start))) + zone;
}

/** timestamp, as ISO 8601 text; a zone is ignored, as by the server. */
export const timestamp: BinaryType = {
  writeText: (text, out, place) => {
    if (writeInfinite(text, out)) return;
    writeMoment({ ...parseMoment(text, 'timestamp', place), offset: 0 }, text, 'timestamp', out, place);
  },
  load: (bytes, start) => {
    const text = timestampText(bytes, start, '');
    // As the loader of text: what has no form in ISO 8601 stays as it is.
    return text.endsWith('BC') ? text : text.replace(' ', 'T');
  },
  text: (bytes, start) => timestampText(bytes, start, ''),
};

/** timestamptz, as a `Date`. */
export const timestamptz: BinaryType = {
  writeText: (text, out, place) => {
    if (writeInfinite(text, out)) return;
    const moment = parseMoment(text, 'timestamptz', place);
    if (moment.offset === null) throw zoneMissing(text, 'timestamptz', place);
    writeMoment(moment, text, 'timestamptz', out, place);
  },
  writeValue: (value, out, place) => {
    if (!isDate(value)) return false;
    const milliseconds = value.getTime() - EPOCH_MILLISECONDS;
    if (Number.isNaN(milliseconds)) throw place.refuse('the Date is invalid');
    const days = Math.floor(milliseconds / 86_400_000);
    const moment = { days, microseconds: (milliseconds - days * 86_400_000) * 1000, offset: 0 };
    writeMoment(moment, '', 'timestamptz', out, place);
    return true;
  },
  load: instantOf,
  text: (bytes, start) => timestampText(bytes, start, '+00'),
};

function writeInfinite(text: string, out: Block): boolean {
  const infinite = INFINITE.exec(text);
  if (infinite === null) return false;
  writeBigInt64(infinite[1] === '-' ? INT64_MIN : INT64_MAX, out);
  return true;
}

function writeMoment(
  { days, microseconds, offset }: Moment,
  text: string,
  type: string,
  out: Block,
  place: RowPlace,
): void {
  const ofDay = microseconds - (offset ?? 0) * 1_000_000;
  if (days < -EXACT_DAYS || days > EXACT_DAYS) {
    const total = BigInt(days) * BigInt(DAY) + BigInt(ofDay);
    if (total < FIRST_MICROSECOND || total > LAST_MICROSECOND) throw outOfRange(text, type, place);
    writeBigInt64(total, out);
  } else {
    writeInt64(days * DAY + ofDay, out);
  }
}

const ISO_DURATION =
  /^\s*P(?:([+-]?\d+)Y)?(?:([+-]?\d+)M)?(?:([+-]?\d+)W)?(?:([+-]?\d+)D)?(?:T(?:([+-]?\d+)H)?(?:([+-]?\d+)M)?(?:([+-]?)(\d+)(?:\.(\d+))?S)?)?\s*$/;
/** interval, as an ISO 8601 duration; also in any form in which the server writes it. */
export const interval: BinaryType = {
  writeText: (text, out, place) => {
    const infinite = INFINITE.exec(text);
    if (infinite !== null) {
      const isNegative = infinite[1] === '-';
      writeBigInt64(isNegative ? INT64_MIN : INT64_MAX, out);
      for (let i = 0; i < 2; i++) out.int32(isNegative ? INT32_MIN : INT32_MAX);
      return;
    }
    const { months, days, microseconds } = parseInterval(text, place);
    const isTooLarge =
      months < INT32_MIN ||
      months > INT32_MAX ||
      days < INT32_MIN ||
      days > INT32_MAX ||
      microseconds < INT64_MIN ||
      microseconds > INT64_MAX;
    if (isTooLarge) throw outOfRange(text, 'interval', place);
    writeBigInt64(microseconds, out);
    out.int32(days);
    out.int32(months);
  },
  load: (bytes, start) => {
    const { months, days, microseconds, infinity } = readFields(bytes, start);
    if (infinity !== null) return infinity;
    const sign = microseconds < 0n ? -1 : 1;
    const seconds = microseconds / 1_000_000n;
    return writeInterval({
      years: Math.trunc(months / 12),
      months: months % 12,
      days,
      hours: Number(seconds / 3600n),
      minutes: Number((seconds / 60n) % 60n),
      microseconds: sign * Math.abs(Number(microseconds % 60_000_000n)),
    });
  },
  text: (bytes, start) => intervalText(bytes, start),
};

function parseInterval(
  text: string,
  place: RowPlace,
): { readonly months: number; readonly days: number; readonly microseconds: bigint } {
  const iso = ISO_DURATION.exec(text);
  if (iso !== null && /\d/.test(text) && !/T\s*$/.test(text)) {
    const [
      ,
      years = 0,
      months = 0,
      weeks = 0,
      days = 0,
      hours = '0',
      minutes = '0',
      sign,
      seconds = '0',
      fraction,
    ] = iso;
    const parts = BigInt(seconds) * 1_000_000n + BigInt(microsecondsOf(fraction ?? ''));
    return {
      months: Number(years) * 12 + Number(months),
      days: Number(weeks) * 7 + Number(days),
      microseconds:
        (BigInt(hours) * 3600n + BigInt(minutes) * 60n) * 1_000_000n + (sign === '-' ? -parts : parts),
    };
  }
  const fields = readInterval(text.trim());
  if (fields === null || !/\d/.test(text)) {
    throw place.refuse(`${shown(text)} can't be sent as interval: write it as ISO 8601 has it, P1DT2H30M`);
  }
  const { years, months, days, hours, minutes, microseconds } = fields;
  return {
    months: years * 12 + months,
    days,
    microseconds: (BigInt(hours) * 3600n + BigInt(minutes) * 60n) * 1_000_000n + BigInt(microseconds),
  };
}

interface ReadInterval {
  readonly microseconds: bigint;
  readonly days: number;
  readonly months: number;
  readonly infinity: 'infinity' | '-infinity' | null;
}

function readFields(bytes: Buffer, start: number): ReadInterval {
  const microseconds = bytes.readBigInt64BE(start);
  const days = bytes.readInt32BE(start + 8);
  const months = bytes.readInt32BE(start + 12);
  const infinity =
    months === INT32_MAX && days === INT32_MAX && microseconds === INT64_MAX
      ? 'infinity'
      : months === INT32_MIN && days === INT32_MIN && microseconds === INT64_MIN
        ? '-infinity'
        : null;
  return { microseconds, days, months, infinity };
}

/** As the server writes it with IntervalStyle `postgres`. */
function intervalText(bytes: Buffer, start: number): string {
  const { microseconds: time, days, months, infinity } = readFields(bytes, start);
  if (infinity !== null) return infinity;
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

function notIso(text: string, type: string, place: RowPlace): Error {
  return place.refuse(`${shown(text)} can't be sent as ${type}: the binary format needs ISO 8601`);
}

function zoneMissing(text: string, type: string, place: RowPlace): Error {
  return place.refuse(
    `${shown(text)} can't be sent as ${type}: it needs its offset from UTC, such as +02 or Z`,
  );
}

function outOfRange(text: string, type: string, place: RowPlace): Error {
  return place.refuse(`${text === '' ? 'the Date' : shown(text)} is out of range for ${type}`);
}
