import { DOT, LOWER_CASE, MINUS, PLUS, ZERO, trimmed } from './ascii.js';

/** The parts of a decimal number's text such as `-12.50e3`, as offsets. */
export interface DecimalText {
  readonly negative: boolean;
  /** Start and end of the digits before the decimal point. */
  readonly whole: readonly [start: number, end: number];
  /** Start and end of the digits after the decimal point. */
  readonly fraction: readonly [start: number, end: number];
  /** The exponent; ±Infinity if its digits exceed a `number`. */
  readonly exponent: number;
  /** Whether the number has neither decimal point nor exponent. */
  readonly isInteger: boolean;
}

const LETTER_E = 0x65;

/** Splits the text of a decimal number in one pass; null if it is none. White space is not accepted. */
export function scanDecimal(text: string): DecimalText | null {
  const sign = text.charCodeAt(0);
  const start = sign === PLUS || sign === MINUS ? 1 : 0;
  const point = endOfDigits(text, start);
  const from = text.charCodeAt(point) === DOT ? point + 1 : point;
  const end = from === point ? point : endOfDigits(text, from);
  if (point - start + end - from === 0) return null;
  const exponent = end === text.length ? 0 : exponentOf(text, end);
  if (exponent === null) return null;
  return {
    negative: sign === MINUS,
    whole: [start, point],
    fraction: [from, end],
    exponent,
    isInteger: from === point && end === text.length,
  };
}

/** Exceeds the digits of any integer type. */
const TOO_MANY_DIGITS = 40;

/**
 * The integer in a text, which may be surrounded by white space; null if there is none. Only the first digits of an integer that
 * exceeds all types are taken, since BigInt() takes minutes for a text of a megabyte.
 */
export function parseInteger(text: string): bigint | null {
  const number = trimmed(text);
  const decimal = scanDecimal(number);
  if (decimal?.isInteger !== true) return null;
  const [start, end] = decimal.whole;
  let first = start;
  while (number.charCodeAt(first) === ZERO && first < end - 1) first++;
  const integer = BigInt(number.slice(first, Math.min(end, first + TOO_MANY_DIGITS)));
  return decimal.negative ? -integer : integer;
}

/** Whether a text is a float in the server's form, without white space or a leading plus sign. */
export function isDecimal(text: string): boolean {
  const decimal = scanDecimal(text);
  if (decimal === null || text.charCodeAt(0) === PLUS) return false;
  const { whole, fraction } = decimal;
  const hasPoint = fraction[0] > whole[1];
  return whole[1] > whole[0] && (!hasPoint || fraction[1] > fraction[0]);
}

function endOfDigits(text: string, start: number): number {
  let at = start;
  // charCodeAt() past the end gives NaN, which is no digit.
  for (;;) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return at;
    at++;
  }
}

/** Reads the exponent that ends a number; null for any other text. */
function exponentOf(text: string, start: number): number | null {
  if ((text.charCodeAt(start) | LOWER_CASE) !== LETTER_E) return null;
  const sign = text.charCodeAt(start + 1);
  const from = sign === PLUS || sign === MINUS ? start + 2 : start + 1;
  const end = endOfDigits(text, from);
  return end === from || end !== text.length ? null : Number(text.slice(start + 1));
}

const SPECIAL = /^(?:(nan)|([+-]?)inf(?:inity)?)$/i;
/** An upper bound for the length of these words; longer white space is not worth scanning. */
const LONGEST_SPECIAL = 40;

/** The value of a word: NaN or an infinity; null for any other text. */
export function parseSpecial(text: string): number | null {
  const match = text.length > LONGEST_SPECIAL ? null : SPECIAL.exec(trimmed(text));
  if (match === null) return null;
  return match[1] !== undefined ? NaN : match[2] === '-' ? -Infinity : Infinity;
}
