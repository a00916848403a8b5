import { civilDate } from './calendar.js';

// Converts the binary format of dates and times to text: days in 32-bit and microseconds in 64-bit integers, from 2000-01-01.

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
export const LAST_MICROSECOND = 106_751_983n * BigInt(DAY) - 1n;

const TWO_32 = 0x1_0000_0000;
/** If the upper half of an int8 exceeds this in absolute value, the whole is no exact `number`. */
const EXACT_HIGH = 0x10_0000;

/** Reads the 64-bit integer at `at`: as a `number` if that is exact, else as a `bigint`. */
export function readInt64(bytes: Buffer, at: number): number | bigint {
  const high = bytes.readInt32BE(at);
  if (high >= -EXACT_HIGH && high < EXACT_HIGH) return high * TWO_32 + bytes.readUInt32BE(at + 4);
  return bytes.readBigInt64BE(at);
}

function two(value: number): string {
  return value < 10 ? `0${String(value)}` : String(value);
}

/** Formats a date, given in days from 2000-01-01, in the server's form but without BC. */
export function dateText(days: number): { readonly text: string; readonly bc: boolean } {
  const { year, month, day } = civilDate(days + EPOCH_DAYS);
  const bc = year <= 0;
  return { text: `${String(bc ? 1 - year : year).padStart(4, '0')}-${two(month)}-${two(day)}`, bc };
}

/** Formats a time of day in the server's form; the hours may exceed 24. */
export function timeText(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1_000_000);
  const fraction = microseconds - seconds * 1_000_000;
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return fraction === 0 ? text : `${text}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
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
  const { text, bc } = dateText(days);
  return `${text} ${timeText(microseconds)}${zone}${bc ? ' BC' : ''}`;
}
