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

/** int8, as a bigint. */
export const loadBigint: Loader = (bytes, start, end) =>
  end - start <= EXACT_DIGITS
    ? BigInt(loadInteger(bytes, start, end) as number)
    : BigInt(bytes.latin1Slice(start, end));

const DOT = 0x2e;
const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => Number(`1e${String(exponent)}`));

/** float4 and float8; also NaN and the infinities are spelt as in JavaScript. */
export const loadFloat: Loader = (bytes, start, end) => {
  // An integer of up to 15 digits and a power of ten of up to 22 are exact, so that their quotient is rounded once, correctly.
  if (end - start <= EXACT_DIGITS + 1) {
    let at = start;
    const negative = bytes[at] === MINUS;
    if (negative) at++;
    let digits = 0;
    let dot = -1;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte >= ZERO && byte <= ZERO + 9) digits = digits * 10 + (byte - ZERO);
      else if (byte === DOT && dot < 0) dot = at;
      else break;
    }
    if (at === end) {
      const value = dot < 0 ? digits : digits / POWERS_OF_TEN[end - dot - 1]!;
      return negative ? -value : value;
    }
  }
  return Number(bytes.latin1Slice(start, end));
};
