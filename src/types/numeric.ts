import { DOT, MINUS, ZERO, trimmed } from './ascii.js';
import type { ByteWriter } from './byte-writer.js';
import { malformed, refused, shown, sized, wrongSize, type Place } from './codec.js';
import { parseSpecial, scanDecimal } from './decimal.js';
import { textual } from './textual.js';

const POSITIVE = 0x0000;
const NEGATIVE = 0x4000;
const NAN = 0xc000;
const INFINITY = 0xd000;
const MINUS_INFINITY = 0xf000;
/** The server's limits in decimal digits, before and after the decimal point. */
const MOST_INTEGRAL = 131_072;
const MOST_FRACTIONAL = 16_383;

function writeNumeric(text: string, out: ByteWriter, place: Place): void {
  const special = parseSpecial(text);
  if (special !== null) {
    writeHeader(0, 0, Number.isNaN(special) ? NAN : special < 0 ? MINUS_INFINITY : INFINITY, 0, out);
    return;
  }
  const number = trimmed(text);
  const decimal = scanDecimal(number);
  if (decimal === null) throw refused(place, `${shown(text)} is not a decimal number for numeric`);
  const { negative, exponent } = decimal;
  const fraction = number.slice(...decimal.fraction);
  const all = number.slice(...decimal.whole) + fraction;
  const digits = all.replace(/^0+/, '');
  // The number of digits before the decimal point; negative if zeros follow the point.
  const before = digits.length - fraction.length + exponent;
  const scale = Math.max(0, fraction.length - exponent);
  if ((digits !== '' && before > MOST_INTEGRAL) || scale > MOST_FRACTIONAL) {
    throw refused(place, `${shown(text)} is out of range for numeric`);
  }
  if (digits === '') {
    writeHeader(0, 0, POSITIVE, scale, out);
    return;
  }
  const weight = Math.ceil(before / 4) - 1;
  const lead = (weight + 1) * 4 - before;
  const padded = '0'.repeat(lead) + digits;
  const groups: number[] = [];
  for (let at = 0; at < padded.length; at += 4) groups.push(Number(padded.slice(at, at + 4).padEnd(4, '0')));
  while (groups.at(-1) === 0) groups.pop();
  writeHeader(groups.length, weight, negative ? NEGATIVE : POSITIVE, scale, out);
  for (let i = 0; i < groups.length; i++) out.int16(groups[i]!);
}

function writeHeader(groups: number, weight: number, sign: number, scale: number, out: ByteWriter): void {
  out.int16(groups);
  out.int16(weight);
  out.int16(sign);
  out.int16(scale);
}

const readNumeric = sized('numeric', 8, (bytes, start, end) => {
  const count = bytes.readUInt16BE(start);
  const weight = bytes.readInt16BE(start + 2);
  const sign = bytes.readUInt16BE(start + 4);
  const scale = bytes.readUInt16BE(start + 6);
  if (end - start !== 8 + 2 * count) throw wrongSize('numeric', start, end);
  if (sign === NAN) return 'NaN';
  if (sign === INFINITY) return 'Infinity';
  if (sign === MINUS_INFINITY) return '-Infinity';
  if ((sign !== POSITIVE && sign !== NEGATIVE) || scale > MOST_FRACTIONAL) {
    throw malformed('numeric', 'its sign or its scale is invalid');
  }
  let first = count;
  for (let i = count - 1; i >= 0; i--) {
    const group = bytes.readUInt16BE(start + 8 + 2 * i);
    if (group > 9999) throw malformed('numeric', 'a digit is out of range');
    if (group !== 0) first = i;
  }
  const group = (i: number): number => (i >= 0 && i < count ? bytes.readUInt16BE(start + 8 + 2 * i) : 0);
  let text = '';
  if (first === count || weight < first) text += '0';
  else {
    text += String(group(first));
    for (let i = first + 1; i <= weight; i++) text += String(group(i)).padStart(4, '0');
  }
  if (scale > 0) {
    let fraction = '';
    for (let i = weight + 1; fraction.length < scale; i++) fraction += String(group(i)).padStart(4, '0');
    text += `.${fraction.slice(0, scale)}`;
  }
  // The scale may have cut off all digits other than zero; there is no negative zero.
  return sign === NEGATIVE && /[1-9]/.test(text) ? `-${text}` : text;
});

const WORDS: readonly string[] = ['NaN', 'Infinity', '-Infinity'];

/** The end of a number in the server's form: no exponent, no leading zeros, no lone minus sign. */
function endOfText(bytes: Buffer, start: number, end: number): number {
  const isNegative = bytes[start] === MINUS;
  const from = isNegative ? start + 1 : start;
  const point = endOfDigits(bytes, from, end);
  if (point === from) return endOfWord(bytes, start, end);
  if (bytes[from] === ZERO && point > from + 1) return -1;
  if (point === end || bytes[point] !== DOT) return isNegative && isZero(bytes, from, point) ? -1 : point;
  const at = endOfDigits(bytes, point + 1, end);
  return at === point + 1 || (isNegative && isZero(bytes, from, at)) ? -1 : at;
}

function endOfWord(bytes: Buffer, start: number, end: number): number {
  const text = bytes.latin1Slice(start, Math.min(end, start + 9));
  const word = WORDS.find((known) => text.startsWith(known));
  return word === undefined ? -1 : start + word.length;
}

function endOfDigits(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at]! - ZERO) >>> 0 <= 9) at++;
  return at;
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! > ZERO) return false;
  return true;
}

/** numeric, exact at any scale: as text, or as base-10000 digits. */
export const numeric = textual<number | bigint>({
  endOfText,
  takes: (value) => typeof value === 'number' || typeof value === 'bigint',
  writeBinary: (value, out, place) => {
    writeNumeric(String(value), out, place);
  },
  textToBinary: writeNumeric,
  binaryToText: readNumeric,
});
