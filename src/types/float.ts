import { DOT, MINUS, ZERO, trimmed } from './ascii.js';
import type { ByteWriter } from './byte-writer.js';
import {
  fixed,
  notOfType,
  outOfRange,
  refused,
  shown,
  unreadable,
  type Codec,
  type Place,
  type Reader,
} from './codec.js';
import { two } from './date-text.js';
import { isDecimal, parseSpecial, scanDecimal } from './decimal.js';

const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => Number(`1e${String(exponent)}`));
/** 17 digits identify any double, so the server writes no more. */
const FLOAT_DIGITS = 17;

function readText(type: string, bytes: Buffer, start: number, end: number): number {
  const negative = bytes[start] === MINUS;
  const unsigned = negative ? start + 1 : start;
  let at = unsigned;
  let dot = -1;
  for (; at < end; at++) {
    if (bytes[at] === DOT && dot < 0) dot = at;
    else if (bytes[at] !== ZERO) break;
  }
  // The significant digits as two exact numbers, whose first one has up to nine digits.
  const significant = at;
  let behindHigh = at + 9;
  let high = 0;
  let low = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit >= 0 && digit <= 9) {
      if (at < behindHigh) high = high * 10 + digit;
      else low = low * 10 + digit;
    } else if (bytes[at] === DOT && dot < 0) {
      dot = at;
      behindHigh++;
    } else {
      break;
    }
  }
  const digits = at - significant - (dot >= significant ? 1 : 0);
  const decimals = dot < 0 ? 0 : end - dot - 1;
  const points = dot < 0 ? 0 : 1;
  if (at === end && at - unsigned > points && digits <= FLOAT_DIGITS && decimals < POWERS_OF_TEN.length) {
    const value = quotient(high * POWERS_OF_TEN[Math.max(0, digits - 9)]!, low, POWERS_OF_TEN[decimals]!);
    if (value !== null) return negative ? -value : value;
  }
  return readRareText(type, bytes.latin1Slice(start, end));
}

/**
 * Reads a float with an exponent or more digits, or one of the words for NaN and the infinities, which have JavaScript's
 * spelling.
 */
function readRareText(type: string, text: string): number {
  const value = Number(text);
  const isKnown = isDecimal(text)
    ? !isLost(value, text)
    : text === 'NaN' || text === 'Infinity' || text === '-Infinity';
  if (!isKnown) throw notOfType(type, text);
  return value;
}

/** Whether a decimal number overflows or underflows its type: the value is infinite, or zero although a digit is not. */
function isLost(value: number, text: string): boolean {
  return !Number.isFinite(value) || (value === 0 && /^[^e1-9]*[1-9]/i.test(text));
}

const SPLITTER = 2 ** 27 + 1;
const HALF_ULP = 2 ** -53;

/**
 * (high + low) / divisor, correctly rounded; null if two doubles are too close to decide. The integers' sum is below 10^17 and
 * the divisor is a power of ten up to 10^22, so all are exact. The algorithm is long division with two quotient digits, each of
 * which is a double, after Dekker ("A floating-point technique for extending the available precision", 1971).
 */
function quotient(high: number, low: number, divisor: number): number | null {
  const sum = high + low;
  const lost = low - (sum - high);
  const first = sum / divisor;
  if (lost === 0 && sum <= Number.MAX_SAFE_INTEGER) return first;

  // first * divisor, as product + rest.
  const product = first * divisor;
  let big = SPLITTER * first;
  const firstHigh = big - (big - first);
  const firstLow = first - firstHigh;
  big = SPLITTER * divisor;
  const divisorHigh = big - (big - divisor);
  const divisorLow = divisor - divisorHigh;
  const rest =
    firstLow * divisorLow -
    (product - firstHigh * divisorHigh - firstLow * divisorHigh - firstHigh * divisorLow);

  const second = (sum - product - rest + lost) / divisor;
  // The second digit is exact except for its last bits.
  const least = first + second * (1 - 8 * HALF_ULP);
  return least === first + second * (1 + 8 * HALF_ULP) ? least : null;
}

/**
 * Makes the codec of float4 or float8, as a number. Results are not requested in binary, since their text depends on
 * `extra_float_digits`, which the server does not report.
 */
function float(
  type: string,
  readBinary: Reader<number>,
  fits: (value: number) => boolean,
  append: (value: number, out: ByteWriter) => void,
  wholeDigits: number,
): Codec<number> {
  const write = (value: number, out: ByteWriter, place: Place): void => {
    if (!fits(value)) throw outOfRange(String(value), type, place);
    append(value, out);
  };
  return {
    readText: (bytes, start, end) => {
      const value = readText(type, bytes, start, end);
      if (!fits(value)) throw unreadable(type, bytes, start, end);
      return value;
    },
    readBinary,
    takes: (value) => typeof value === 'number',
    writeBinary: write,
    textToBinary: (text, out, place) => {
      const special = parseSpecial(text);
      if (special === null && scanDecimal(trimmed(text)) === null) {
        throw refused(place, `${shown(text)} is not a number for ${type}`);
      }
      const value = special ?? Number(text);
      if (special === null && isLost(value, text)) throw outOfRange(shown(text), type, place);
      write(value, out, place);
    },
    binaryToText: (bytes, start, end) => serverText(readBinary(bytes, start, end), wholeDigits),
  };
}

/**
 * Formats a float in the form of the server, which writes numbers of more than `wholeDigits` digits with an exponent. Its digits are
 * those of the same number, but not always the fewest.
 */
function serverText(value: number, wholeDigits: number): string {
  if (Object.is(value, -0)) return '-0';
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Math.abs(Number(exponent));
  const isPlain = exponent.startsWith('-') ? power < 5 : power < wholeDigits;
  return isPlain ? String(value) : `${digits}e${exponent[0]!}${two(power)}`;
}

export const float4 = float(
  'float4',
  fixed('float4', 4, (bytes, start) => shortest(bytes.readFloatBE(start))),
  // As on the server, an overflow or underflow is an error instead of infinity or zero.
  (value) => {
    const narrow = Math.fround(value);
    return (Number.isFinite(narrow) || !Number.isFinite(value)) && (narrow !== 0 || value === 0);
  },
  (value, out) => {
    out.float32(value);
  },
  6,
);

export const float8 = float(
  'float8',
  fixed('float8', 8, (bytes, start) => bytes.readDoubleBE(start)),
  () => true,
  (value, out) => {
    out.float64(value);
  },
  15,
);

/**
 * A float4 in the server's form: the number with the fewest digits that identifies this float4, and not the nearest double (0.1,
 * not 0.10000000149011612).
 */
function shortest(value: number): number {
  const size = Math.abs(value);
  // Integers up to 2^24 are their own shortest form.
  if (!Number.isFinite(value) || (size <= 0x100_0000 && Number.isInteger(value))) return value;
  // A normal float4 distinguishes all decimals of six digits; a subnormal one may have a single significant bit.
  for (let digits = size < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits++) {
    const candidate = rounded(value, digits);
    if (Math.fround(candidate) === value && !isHalfway(candidate, value)) return candidate;
  }
  return rounded(value, 9);
}

const SMALLEST_NORMAL = 2 ** -126;

/** Rounds to a number of digits, ties to even, unlike `toPrecision()`. */
function rounded(value: number, digits: number): number {
  const text = value.toPrecision(digits);
  const [next, exponent] = value.toExponential(digits).split('e') as [string, string];
  const last = Number(next.at(-2) === '.' ? next.at(-3) : next.at(-2));
  if (!next.endsWith('5') || last % 2 === 1 || !isTie(value, digits)) return Number(text);
  return Number(`${next.slice(0, -1)}e${exponent}`);
}

/** Whether only zeros follow the digit 5 after the given number of digits. */
function isTie(value: number, digits: number): boolean {
  const [all] = value.toExponential(100).split('e') as [string];
  return /^0*$/.test(all.replace(/[-.]/g, '').slice(digits + 1));
}

const single = new Float32Array(1);
const bits = new Int32Array(single.buffer);

/** Whether a number lies halfway between a float4 and its neighbour; the server does not write such ambiguous text. */
function isHalfway(candidate: number, value: number): boolean {
  if (candidate === value) return false;
  single[0] = value;
  bits[0]! += Math.abs(candidate) > Math.abs(value) ? 1 : -1;
  return candidate - value === (single[0] - value) / 2;
}
