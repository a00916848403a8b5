/** The parts of the text of a decimal number, `-12.50e3`: offsets into it. */
export interface DecimalText {
  readonly negative: boolean;
  /** Where the digits before the point begin, and end. */
  readonly whole: readonly [start: number, end: number];
  /** Where the digits behind the point begin, and end. */
  readonly fraction: readonly [start: number, end: number];
  /** The power of ten; ±Infinity if it is written with more digits than a number has. */
  readonly exponent: number;
  /** Whether it has neither point nor exponent. */
  readonly isInteger: boolean;
}

/** Takes the text of a decimal number apart, in one pass; null if it is none. White space is not part of it. */
export function scanDecimal(text: string): DecimalText | null {
  let at = 0;
  const sign = text[0];
  if (sign === '-' || sign === '+') at++;
  const wholeStart = at;
  at = endOfDigits(text, at);
  const wholeEnd = at;
  const hasPoint = text[at] === '.';
  const fractionStart = hasPoint ? at + 1 : at;
  at = hasPoint ? endOfDigits(text, fractionStart) : at;
  const fractionEnd = at;
  if (wholeEnd - wholeStart + fractionEnd - fractionStart === 0) return null;
  let exponent = 0;
  const hasExponent = text[at] === 'e' || text[at] === 'E';
  if (hasExponent) {
    const start = at + 1;
    const digits = text[start] === '-' || text[start] === '+' ? start + 1 : start;
    at = endOfDigits(text, digits);
    if (at === digits) return null;
    exponent = Number(text.slice(start, at));
  }
  if (at < text.length) return null;
  return {
    negative: sign === '-',
    whole: [wholeStart, wholeEnd],
    fraction: [fractionStart, fractionEnd],
    exponent,
    isInteger: !hasPoint && !hasExponent,
  };
}

function endOfDigits(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code >= 0x30 && code <= 0x39; code = text.charCodeAt(at)) at++;
  return at;
}
