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

/** float4 and float8; also NaN and the infinities are spelt as in JavaScript. */
export const loadFloat: Loader = (bytes, start, end) => Number(bytes.latin1Slice(start, end));
