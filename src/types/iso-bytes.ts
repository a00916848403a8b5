import { COLON, DOT, MINUS, PLUS, ZERO } from './ascii.js';
import { isCivil } from './calendar.js';

// Recognises dates and times in the bytes of the server's text under DateStyle ISO.

/** `2024-01-02` */
export const DAY_LENGTH = 10;
/** `03:04:05` */
export const CLOCK_LENGTH = 8;

/** Exceeds every part of a date or time, so that range checks refuse it. */
const NO_NUMBER = 0xffff;

/** The numbers in two digits, by their bytes: a look-up takes half the time of the arithmetic and its checks. */
const NUMBERS = new Uint16Array(0x1_0000).fill(NO_NUMBER);
for (let number = 0; number < 100; number++) {
  NUMBERS[((ZERO + Math.floor(number / 10)) << 8) | (ZERO + (number % 10))] = number;
}

/** The number in two digits; `NO_NUMBER` if they are no digits. */
export function two(bytes: Buffer, at: number): number {
  return NUMBERS[(bytes[at]! << 8) | bytes[at + 1]!]!;
}

/** Whether a date with a four-digit year begins at `at`, where at least `DAY_LENGTH` bytes remain. */
export function isDay(bytes: Buffer, at: number): boolean {
  const year = two(bytes, at) * 100 + two(bytes, at + 2);
  return (
    year >= 1 &&
    year <= 9999 &&
    bytes[at + 4] === MINUS &&
    bytes[at + 7] === MINUS &&
    isCivil(year, two(bytes, at + 5), two(bytes, at + 8))
  );
}

/** Where a time of day before 24:00 ends that begins at `start`; -1 if there is none, or a last 0 of a fraction, which the server leaves out. */
export function endOfClock(bytes: Buffer, start: number, end: number): number {
  const whole = start + CLOCK_LENGTH;
  const valid =
    whole <= end &&
    two(bytes, start) <= 23 &&
    bytes[start + 2] === COLON &&
    two(bytes, start + 3) <= 59 &&
    bytes[start + 5] === COLON &&
    two(bytes, start + 6) <= 59;
  if (!valid) return -1;
  const at = endOfFraction(bytes, whole, end);
  return at > whole && bytes[at - 1] === ZERO ? -1 : at;
}

/** Where a fraction ends that may begin at `start`; -1 if it has no digits. */
export function endOfFraction(bytes: Buffer, start: number, end: number): number {
  if (start === end || bytes[start] !== DOT) return start;
  const last = Math.min(end, start + 7);
  let at = start + 1;
  while (at < last && isDigit(bytes[at]!)) at++;
  return at > start + 1 ? at : -1;
}

export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

/** The end of the offset from UTC that begins at `start`; -1 if there is none, or last minutes or seconds of 00, which the server leaves out. */
export function endOfOffset(bytes: Buffer, start: number, end: number): number {
  if (start < 0) return -1;
  let at = start + 3;
  while (at < start + 9 && at + 2 < end && bytes[at] === COLON) at += 3;
  if (at > end || (at > start + 3 && two(bytes, at - 2) === 0)) return -1;
  return Number.isNaN(readOffset(bytes, start, at)) ? -1 : at;
}

/** The offset in `bytes[start..end)`, in seconds east of UTC; NaN if it is malformed. */
export function readOffset(bytes: Buffer, start: number, end: number): number {
  const size = end - start;
  const sign = bytes[start] === PLUS ? 1 : bytes[start] === MINUS ? -1 : 0;
  if (sign === 0 || (size !== 3 && size !== 6 && size !== 9)) return NaN;
  const hours = two(bytes, start + 1);
  const minutes = size < 6 ? 0 : bytes[start + 3] === COLON ? two(bytes, start + 4) : NO_NUMBER;
  const seconds = size < 9 ? 0 : bytes[start + 6] === COLON ? two(bytes, start + 7) : NO_NUMBER;
  if (hours > 15 || minutes > 59 || seconds > 59) return NaN;
  return sign * ((hours * 60 + minutes) * 60 + seconds);
}
