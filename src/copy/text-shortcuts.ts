import { BACKSLASH, COLON, DOT, MINUS, TAB, ZERO } from '../types/ascii.js';
import type { Block } from './block.js';
import { IS_LITTLE_ENDIAN, TWO_32 } from '../types/byte-writer.js';
import { civilDate } from '../types/calendar.js';
import type { NativeValues } from '../types/native-values.js';

/** The maximum size of a value other than a string, including the preceding tab. */
const MOST = 32;
/** For longer strings, Node's own encoder is faster. */
const LONGEST_STRING = 64;
/** Whole numbers below this have no exponent when printed. */
const PLAIN_INTEGER = 1e15;
const EIGHT_DIGITS = 1e8;
/** The upper halves of bigints below `PLAIN_INTEGER` are below this. */
const PLAIN_HIGH = 2 ** 17;

const DAY = 86_400_000;
const YEAR_1 = Date.parse('0001-01-01T00:00:00Z');
const YEAR_10000 = Date.UTC(10_000, 0);

/** The tens digits of the numbers below 100. */
const TENS = Uint8Array.from({ length: 100 }, (_, number) => ZERO + Math.floor(number / 10));
const ONES = Uint8Array.from({ length: 100 }, (_, number) => ZERO + (number % 10));

// A bigint and its halves; the lower half comes first on little-endian machines.
const bigints = new BigInt64Array(1);
const halves = new Int32Array(bigints.buffer);

/**
 * Writes the most frequent values in the text format, as `BinaryShortcuts` does in the binary format: a single function that
 * avoids creating strings.
 */
export class TextShortcuts {
  readonly #native: NativeValues;
  readonly #width: number;
  /** The last day written, and its text up to the T. */
  #day = NaN;
  readonly #dayText = Buffer.alloc(11);
  /** The columns that it must not handle. */
  except: readonly boolean[] | null = null;

  constructor(width: number, native: NativeValues) {
    this.#width = width;
    this.#native = native;
  }

  /**
   * Writes values of `row` from index `from` on, each preceded by a tab except the row's first. Returns the index of the first
   * value that it does not handle, of which nothing has been written, or the row's length.
   */
  write(row: readonly unknown[], from: number, out: Block): number {
    const width = this.#width;
    const native = this.#native;
    out.room((width - from) * MOST);
    let { bytes, length: at } = out;
    let i = from;
    for (; i < width; i++) {
      const value = row[i];
      if (this.except?.[i] === true && value !== null) break;
      let end = at;
      if (i > 0) bytes[end++] = TAB;
      if (typeof value === 'string') {
        const { length } = value;
        if (length > LONGEST_STRING || !native.string) break;
        out.length = end;
        out.room(length + (width - i) * MOST);
        bytes = out.bytes;
        let j = 0;
        for (; j < length; j++) {
          const code = value.charCodeAt(j);
          // Non-ASCII characters, and those that need a backslash or cannot be stored, are rare enough for the general encoder.
          if (code >= 0x80 || code <= 13 || code === BACKSLASH) break;
          bytes[end + j] = code;
        }
        if (j < length) break;
        end += length;
      } else if (typeof value === 'number') {
        if (!native.number || Object.is(value, -0)) break;
        if (Number.isInteger(value)) {
          if (value >= PLAIN_INTEGER || value <= -PLAIN_INTEGER) break;
          end = writeInteger(value, bytes, end);
        } else end = writeAscii(String(value), bytes, end);
      } else if (value === null) {
        bytes[end] = BACKSLASH;
        bytes[end + 1] = 0x4e;
        end += 2;
      } else if (typeof value === 'boolean' && native.boolean) {
        bytes[end++] = value ? 0x74 : 0x66;
      } else if (
        typeof value === 'bigint' &&
        native.bigint &&
        IS_LITTLE_ENDIAN &&
        BigInt.asIntN(64, value) === value
      ) {
        bigints[0] = value;
        const high = halves[1]!;
        end =
          high < PLAIN_HIGH && high >= -PLAIN_HIGH
            ? writeInteger(high * TWO_32 + (halves[0]! >>> 0), bytes, end)
            : writeAscii(String(value), bytes, end);
      } else if (typeof value === 'object' && native.isDate(value)) {
        const time = value.getTime();
        if (!(time >= YEAR_1 && time < YEAR_10000)) break;
        end = this.#date(time, bytes, end);
      } else break;
      at = end;
    }
    out.length = at;
    return i;
  }

  /** Writes a date in the form of `toISOString()`. */
  #date(time: number, bytes: Buffer, start: number): number {
    const days = Math.floor(time / DAY);
    if (days !== this.#day) this.#takeDay(days);
    const text = this.#dayText;
    let at = start;
    for (let i = 0; i < 11; i++) bytes[at++] = text[i]!;
    let rest = (time - days * DAY) | 0;
    const hours = (rest / 3_600_000) | 0;
    rest -= hours * 3_600_000;
    const minutes = (rest / 60_000) | 0;
    rest -= minutes * 60_000;
    const seconds = (rest / 1000) | 0;
    rest -= seconds * 1000;
    const hundreds = (rest / 100) | 0;
    writeTwo(hours, bytes, at);
    bytes[at + 2] = COLON;
    writeTwo(minutes, bytes, at + 3);
    bytes[at + 5] = COLON;
    writeTwo(seconds, bytes, at + 6);
    bytes[at + 8] = DOT;
    bytes[at + 9] = ZERO + hundreds;
    writeTwo(rest - hundreds * 100, bytes, at + 10);
    bytes[at + 12] = 0x5a;
    return at + 13;
  }

  /** Formats a day. Most dates of a table are on the same day as the previous one, or close to it. */
  #takeDay(days: number): void {
    this.#day = days;
    const { year, month, day } = civilDate(days);
    const text = this.#dayText;
    const century = (year / 100) | 0;
    writeTwo(century, text, 0);
    writeTwo(year - century * 100, text, 2);
    text[4] = MINUS;
    writeTwo(month, text, 5);
    text[7] = MINUS;
    writeTwo(day, text, 8);
    text[10] = 0x54;
  }
}

/** Writes a number below 100 in two digits. */
function writeTwo(value: number, bytes: Buffer, at: number): void {
  bytes[at] = TENS[value]!;
  bytes[at + 1] = ONES[value]!;
}

/** Writes a short ASCII string. The caller has reserved the room, as for the functions below. */
function writeAscii(text: string, bytes: Buffer, at: number): number {
  const { length } = text;
  for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Writes an integer of at most 15 digits. */
function writeInteger(value: number, bytes: Buffer, start: number): number {
  let at = start;
  let rest = value;
  if (rest < 0) {
    bytes[at++] = MINUS;
    rest = -rest;
  }
  if (rest < EIGHT_DIGITS) return writeSmall(rest | 0, bytes, at);
  // Dividing 32-bit integers takes a fraction of the time.
  const high = Math.floor(rest / EIGHT_DIGITS);
  at = writeSmall(high, bytes, at);
  let low = (rest - high * EIGHT_DIGITS) | 0;
  for (let end = at + 6; end >= at; end -= 2) {
    const hundreds = (low / 100) | 0;
    writeTwo(low - hundreds * 100, bytes, end);
    low = hundreds;
  }
  return at + 8;
}

/** Writes an integer from 0 to 99,999,999. */
function writeSmall(value: number, bytes: Buffer, start: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  const stop = start + digits;
  let rest = value;
  let at = stop;
  while (at - start >= 2) {
    const hundreds = (rest / 100) | 0;
    bytes[--at] = ONES[rest - hundreds * 100]!;
    bytes[--at] = TENS[rest - hundreds * 100]!;
    rest = hundreds;
  }
  if (at > start) bytes[start] = ZERO + rest;
  return stop;
}
