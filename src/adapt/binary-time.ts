import { civilDate } from './calendar.js';
import { loadRareInstant } from './load-datetime.js';

// What the binary format has for dates and times: days and microseconds from 2000-01-01, in integers of 32 and 64 bits.

/** Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts. */
export const EPOCH_DAYS = 10_957;
export const EPOCH_MILLISECONDS = EPOCH_DAYS * 86_400_000;
/** Microseconds of a day. */
export const DAY = 86_400_000_000;

export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);
const TWO_32 = 0x1_0000_0000;
/** Above it in absolute value, the upper half of an int8 makes a number that is not exact. */
const EXACT_HIGH = 0x10_0000;

/** The integer of 64 bits at `at`, as a number if that is exact. */
export function readInt64(bytes: Buffer, at: number): number | bigint {
  const high = bytes.readInt32BE(at);
  if (high >= -EXACT_HIGH && high < EXACT_HIGH) return high * TWO_32 + bytes.readUInt32BE(at + 4);
  return bytes.readBigInt64BE(at);
}

export function two(value: number): string {
  return value < 10 ? `0${String(value)}` : String(value);
}

/** The date of a day from 2000-01-01, as the server writes it, without BC. */
export function dateText(days: number): { readonly text: string; readonly bc: boolean } {
  const { year, month, day } = civilDate(days + EPOCH_DAYS);
  const bc = year <= 0;
  return { text: `${String(bc ? 1 - year : year).padStart(4, '0')}-${two(month)}-${two(day)}`, bc };
}

/** The time of day, or any number of hours, as the server writes it. */
export function timeText(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1_000_000);
  const fraction = microseconds - seconds * 1_000_000;
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return fraction === 0 ? text : `${text}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
}

/** A timestamp as the server writes it; `zone` is what it writes behind the time. */
export function timestampText(bytes: Buffer, start: number, zone: string): string {
  const total = readInt64(bytes, start);
  let days: number;
  let microseconds: number;
  if (typeof total === 'number') {
    days = Math.floor(total / DAY);
    microseconds = total - days * DAY;
  } else {
    if (total === INT64_MAX) return 'infinity';
    if (total === INT64_MIN) return '-infinity';
    const rest = ((total % BigInt(DAY)) + BigInt(DAY)) % BigInt(DAY);
    days = Number((total - rest) / BigInt(DAY));
    microseconds = Number(rest);
  }
  const { text, bc } = dateText(days);
  return `${text} ${timeText(microseconds)}${zone}${bc ? ' BC' : ''}`;
}

/** A timestamptz, as a `Date`; microseconds are cut off. What a `Date` can't hold is a `DataError`. */
export function instantOf(bytes: Buffer, start: number): Date {
  const microseconds = readInt64(bytes, start);
  if (typeof microseconds === 'number') return new Date(Math.floor(microseconds / 1000) + EPOCH_MILLISECONDS);
  const rest = ((microseconds % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((microseconds - rest) / 1000n) + EPOCH_MILLISECONDS);
  // The infinities too are beyond a Date. The loader of their text says so.
  return Number.isNaN(date.getTime()) ? loadRareInstant(timestampText(bytes, start, '+00')) : date;
}
