import type { Loader } from '../wire/row-decoder.js';

const MINUS = 0x2d;
const ZERO = 0x30;
/** Any integer of so many digits is exact as a number. */
const EXACT_DIGITS = 15;

/** int2, int4, oid and whatever else is an integer that fits a number. */
export const loadInteger: Loader = (bytes, start, end) => {
  let at = start;
  const negative = bytes[at] === MINUS;
  if (negative) at++;
  let value = 0;
  for (; at < end; at++) value = value * 10 + (bytes[at]! - ZERO);
  return negative ? -value : value;
};

const words = new Int32Array(2);
const bigints = new BigInt64Array(words.buffer);
const [LOW, HIGH] = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** The bigint of these halves: reading it out of memory takes half the time of `BigInt()`. */
export function bigintOf(high: number, low: number): bigint {
  words[HIGH] = high;
  words[LOW] = low;
  return bigints[0]!;
}

/** int8, as a bigint. */
export const loadBigint: Loader = (bytes, start, end) => {
  if (end - start > EXACT_DIGITS) return BigInt(bytes.latin1Slice(start, end));
  const value = loadInteger(bytes, start, end) as number;
  return bigintOf(Math.floor(value / 0x1_0000_0000), value | 0);
};

const DOT = 0x2e;
const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => Number(`1e${String(exponent)}`));
/** No double takes more digits to be told from its neighbours, so the server writes no more. */
const FLOAT_DIGITS = 17;

/** float4 and float8; also NaN and the infinities are spelt as in JavaScript. */
export const loadFloat: Loader = (bytes, start, end) => {
  let at = start;
  const negative = bytes[at] === MINUS;
  if (negative) at++;
  // The significant digits as two numbers, each exact: high * 10^lowDigits + low.
  let high = 0;
  let low = 0;
  let digits = 0;
  let dot = -1;
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit >= 0 && digit <= 9) {
      if (digits < 9) high = high * 10 + digit;
      else low = low * 10 + digit;
      if (digits > 0 || digit > 0) digits++;
    } else if (bytes[at] === DOT && dot < 0) {
      dot = at;
    } else {
      break;
    }
  }
  const decimals = dot < 0 ? 0 : end - dot - 1;
  if (at === end && digits <= FLOAT_DIGITS && decimals < POWERS_OF_TEN.length) {
    const value = quotient(high * POWERS_OF_TEN[Math.max(0, digits - 9)]!, low, POWERS_OF_TEN[decimals]!);
    if (value !== null) return negative ? -value : value;
  }
  return Number(bytes.latin1Slice(start, end));
};

const SPLITTER = 2 ** 27 + 1;
const HALF_ULP = 2 ** -53;

/**
 * (high + low) / divisor, correctly rounded, for integers whose sum is below 10^17 and a power of ten up to 10^22, all exact; null
 * if two doubles are too close to call. It is long division with a quotient of two digits, each of them a double, after
 * Dekker ("A floating-point technique for extending the available precision", 1971).
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
  // The second digit is right but for its last bits.
  const least = first + second * (1 - 8 * HALF_ULP);
  return least === first + second * (1 + 8 * HALF_ULP) ? least : null;
}
