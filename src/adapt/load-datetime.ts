import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import type { LoaderMaker } from './adapters-map.js';
import { daysFromCivil } from './calendar.js';
import { isoStyle } from './date-style.js';
import { readInterval, writeInterval } from './interval.js';

const ZERO = 0x30;
const DASH = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const SPACE = 0x20;
const DOT = 0x2e;
const LETTER_C = 0x43;
const LETTER_T = 0x54;

function two(bytes: Buffer, at: number): number {
  return (bytes[at]! - ZERO) * 10 + (bytes[at + 1]! - ZERO);
}

/** date, as ISO 8601 text. Years before Christ and the infinities stay as the server writes them, for it to read again. */
export const dateLoader: LoaderMaker = (_, settings) => (bytes, start, end) => {
  const text = bytes.latin1Slice(start, end);
  return bytes[start + 4] === DASH ? text : isoStyle(text, 'date', settings);
};

/** timestamp, as ISO 8601 text; the same goes for what ISO 8601 has no way to write. */
export const timestampLoader: LoaderMaker = (_, settings) => (bytes, start, end) => {
  if (bytes[start + 4] === DASH && bytes[start + 10] === SPACE && bytes[end - 1] !== LETTER_C) {
    // One text made of the bytes, rather than one put together from two.
    bytes[start + 10] = LETTER_T;
    const text = bytes.latin1Slice(start, end);
    bytes[start + 10] = SPACE;
    return text;
  }
  const text = isoStyle(bytes.latin1Slice(start, end), 'timestamp', settings);
  return text.endsWith('BC') ? text : text.replace(' ', 'T');
};

/** timestamptz, as a `Date`; microseconds are cut off. What a `Date` can't hold is a `DataError`. */
export const instantLoader: LoaderMaker = (_, settings) => (bytes, start, end) => {
  // 2024-01-02 03:04:05[.678901]+01[:30[:15]], by far the most frequent form.
  if (
    end - start < 22 ||
    bytes[start + 4] !== DASH ||
    bytes[start + 10] !== SPACE ||
    bytes[end - 1] === LETTER_C
  ) {
    return loadRareInstant(isoStyle(bytes.latin1Slice(start, end), 'timestamptz', settings));
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
  if (sign === 0) return loadRareInstant(isoStyle(bytes.latin1Slice(start, end), 'timestamptz', settings));
  let offset = two(bytes, at + 1) * 3600;
  if (bytes[at + 3] === COLON && at + 3 < end) offset += two(bytes, at + 4) * 60;
  if (bytes[at + 6] === COLON && at + 6 < end) offset += two(bytes, at + 7);
  const days = daysFromCivil(
    two(bytes, start) * 100 + two(bytes, start + 2),
    two(bytes, start + 5),
    two(bytes, start + 8),
  );
  const seconds = two(bytes, start + 11) * 3600 + two(bytes, start + 14) * 60 + two(bytes, start + 17);
  return new Date((days * 86_400 + seconds - sign * offset) * 1000 + milliseconds);
};

const INSTANT =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/;

/** An instant as the server writes it under DateStyle ISO. */
export interface Instant {
  /** From 1970-01-01T00:00:00Z; beyond what a `Date` holds, too. */
  readonly milliseconds: number;
  /** Those that the milliseconds leave over: 0 to 999. */
  readonly microseconds: number;
}

/** Reads an instant; null for the infinities, and what else is none. */
export function readInstant(text: string): Instant | null {
  const match = INSTANT.exec(text);
  if (match === null) return null;
  const [
    ,
    years,
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
  const year = bc === undefined ? Number(years) : 1 - Number(years);
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  const time = Number(hour) * 3600 + Number(minute) * 60 + Number(second) + (sign === '-' ? offset : -offset);
  const micros = Number(fraction.padEnd(6, '0'));
  return {
    milliseconds:
      (daysFromCivil(year, Number(month), Number(day)) * 86_400 + time) * 1000 + Math.floor(micros / 1000),
    microseconds: micros % 1000,
  };
}

/** An instant of a form that is rare, or none. What a `Date` can't hold is a `DataError`. */
export function loadRareInstant(text: string): Date {
  const instant = readInstant(text);
  const date = new Date(instant?.milliseconds ?? NaN);
  if (Number.isNaN(date.getTime())) {
    throw new errors.DataError(
      `the timestamptz '${text}' can't be held by a Date; cast it to text to see it`,
    );
  }
  return date;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9;
}

/** interval, as ISO 8601 text, whatever the session's IntervalStyle is. An infinity stays as the server writes it. */
export const loadInterval: Loader = (bytes, start, end) => {
  const text = bytes.latin1Slice(start, end);
  const fields = readInterval(text);
  if (fields !== null) return writeInterval(fields);
  if (text.endsWith('infinity')) return text;
  throw new errors.DataError(
    `the interval '${text}' can't be read: it is written in none of the known styles`,
  );
};
