import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';

const ZERO = 0x30;
const DASH = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const SPACE = 0x20;
const DOT = 0x2e;

function two(bytes: Buffer, at: number): number {
  return (bytes[at]! - ZERO) * 10 + (bytes[at + 1]! - ZERO);
}

/** timestamptz, as a `Date`; microseconds are cut off. What a `Date` can't hold is a `DataError`. */
export const loadInstant: Loader = (bytes, start, end) => {
  // 2024-01-02 03:04:05[.678901]+01[:30[:15]], by far the most frequent form.
  if (
    end - start < 22 ||
    bytes[start + 4] !== DASH ||
    bytes[start + 10] !== SPACE ||
    bytes[end - 1] === 0x43
  ) {
    return loadRareInstant(bytes.latin1Slice(start, end));
  }
  let at = start + 19;
  let milliseconds = 0;
  if (bytes[at] === DOT) {
    at++;
    for (let scale = 100; isDigit(bytes[at]); at++) {
      milliseconds += (bytes[at]! - ZERO) * scale;
      scale = scale === 100 ? 10 : scale === 10 ? 1 : 0;
    }
  }
  const sign = bytes[at] === PLUS ? 1 : bytes[at] === DASH ? -1 : 0;
  if (sign === 0) return loadRareInstant(bytes.latin1Slice(start, end));
  let offset = two(bytes, at + 1) * 3600;
  if (bytes[at + 3] === COLON) offset += two(bytes, at + 4) * 60;
  if (bytes[at + 6] === COLON && at + 6 < end) offset += two(bytes, at + 7);
  const days = daysSinceEpoch(
    two(bytes, start) * 100 + two(bytes, start + 2),
    two(bytes, start + 5),
    two(bytes, start + 8),
  );
  const seconds = two(bytes, start + 11) * 3600 + two(bytes, start + 14) * 60 + two(bytes, start + 17);
  return new Date((days * 86_400 + seconds - sign * offset) * 1000 + milliseconds);
};

/** The days from 1970-01-01 to a day of the Gregorian calendar, whose years are counted from March for it. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

const INSTANT =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/;

function loadRareInstant(text: string): Date {
  const match = INSTANT.exec(text);
  if (match === null) {
    throw new errors.DataError(
      text.endsWith('infinity')
        ? `timestamptz '${text}' can't be held by a Date; cast it to text to see it`
        : `timestamptz '${text}' can't be read: DateStyle has to be ISO`,
    );
  }
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second,
    fraction = '',
    sign,
    hours,
    minutes = '0',
    seconds = '0',
    bc,
  ] = match;
  const date = new Date(0);
  date.setUTCFullYear(bc === undefined ? Number(year) : 1 - Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, '0').slice(0, 3)));
  const offset = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  const instant = new Date(date.getTime() - (sign === '-' ? -offset : offset));
  if (Number.isNaN(instant.getTime())) {
    throw new errors.DataError(`timestamptz '${text}' can't be held by a Date; cast it to text to see it`);
  }
  return instant;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9;
}

/**
 * timestamp, as ISO 8601 text. Years before Christ, the infinities and styles other than ISO stay as the server writes them,
 * for it to read again.
 */
export const loadTimestamp: Loader = (bytes, start, end) => {
  const text = bytes.latin1Slice(start, end);
  if (bytes[start + 4] !== DASH && bytes[start + 5] !== DASH && bytes[start + 6] !== DASH) return text;
  return text.endsWith('BC') ? text : text.replace(' ', 'T');
};

const POSTGRES_INTERVAL =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/;

/** interval, as ISO 8601 text. What the session's IntervalStyle writes in another way than 'postgres' stays as it is. */
export const loadInterval: Loader = (bytes, start, end) => {
  const text = bytes.latin1Slice(start, end);
  const match = POSTGRES_INTERVAL.exec(text);
  if (match === null || text === '') return text;
  const [, years, months, days, sign = '', hours, minutes, seconds] = match;
  const minus = sign === '-' ? '-' : '';
  let date = '';
  if (years !== undefined) date += `${plain(years)}Y`;
  if (months !== undefined) date += `${plain(months)}M`;
  if (days !== undefined) date += `${plain(days)}D`;
  let time = '';
  if (hours !== undefined && Number(hours) !== 0) time += `${minus}${String(BigInt(hours))}H`;
  if (minutes !== undefined && minutes !== '00') time += `${minus}${String(Number(minutes))}M`;
  if (seconds !== undefined && Number(seconds) !== 0) {
    time += `${minus}${seconds.startsWith('0') ? seconds.slice(1) : seconds}S`;
  }
  if (time !== '') return `P${date}T${time}`;
  return date === '' ? 'PT0S' : `P${date}`;
};

function plain(count: string): string {
  return count.startsWith('+') ? count.slice(1) : count;
}
