/** A decimal number taken apart: its digits before and behind the point, and the power of ten that they are multiplied by. */
export interface Decimal {
  readonly negative: boolean;
  readonly integral: string;
  readonly fraction: string;
  readonly exponent: number;
}

const ZERO = 0x30;
const DOT = 0x2e;
const PLUS = 0x2b;
const MINUS = 0x2d;
const LETTER_E = 0x65;
const LOWER_CASE = 0x20;

/** Takes a decimal number apart, in any form that the server reads. Null for what is none. Looks at each character once. */
export function parseDecimal(text: string): Decimal | null {
  const trimmed = text.trim();
  const sign = trimmed.charCodeAt(0);
  const start = sign === PLUS || sign === MINUS ? 1 : 0;
  const point = endOfDigits(trimmed, start);
  const from = trimmed.charCodeAt(point) === DOT ? point + 1 : point;
  const end = from === point ? point : endOfDigits(trimmed, from);
  if (point === start && end === from) return null;
  const exponent = end === trimmed.length ? 0 : exponentOf(trimmed, end);
  if (exponent === null) return null;
  return {
    negative: sign === MINUS,
    integral: trimmed.slice(start, point),
    fraction: trimmed.slice(from, end),
    exponent,
  };
}

/** Whether a text is a float as the server writes it, without white space or a plus sign before it. */
export function isDecimal(text: string): boolean {
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  let at = endOfDigits(text, start);
  if (at === start) return false;
  if (text.charCodeAt(at) === DOT) {
    const from = at + 1;
    at = endOfDigits(text, from);
    if (at === from) return false;
  }
  return at === text.length || exponentOf(text, at) !== null;
}

function endOfDigits(text: string, start: number): number {
  let at = start;
  // Behind the last character there is NaN, which is no digit.
  for (;;) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return at;
    at++;
  }
}

/** The exponent that a number ends with; null if something else is there. */
function exponentOf(text: string, start: number): number | null {
  if ((text.charCodeAt(start) | LOWER_CASE) !== LETTER_E) return null;
  const sign = text.charCodeAt(start + 1);
  const from = sign === PLUS || sign === MINUS ? start + 2 : start + 1;
  const end = endOfDigits(text, from);
  return end === from || end !== text.length ? null : Number(text.slice(start + 1));
}

const SPECIAL = /^\s*(?:(nan)|([+-]?)inf(?:inity)?)\s*$/i;
/** No word of these is longer; white space is not worth reading. */
const LONGEST_SPECIAL = 40;

/** The number that a word stands for: NaN or an infinity. Null for what is none. */
export function parseSpecial(text: string): number | null {
  const match = text.length > LONGEST_SPECIAL ? null : SPECIAL.exec(text);
  if (match === null) return null;
  return match[1] !== undefined ? NaN : match[2] === '-' ? -Infinity : Infinity;
}
