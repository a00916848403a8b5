import { readInt64 } from '../adapt/binary-time.js';
import type { BinaryType } from './binary-type.js';
import { writeBigInt64, writeInt64 } from './binary-type.js';
import type { Block } from './block.js';
import { shown, type RowPlace } from './row-place.js';

const INTEGER = /^\s*[+-]?\d+\s*$/;

/** int2, int4, oid and other integers of a type that fits a number. */
export function integerType(name: string, size: 2 | 4, min: number, max: number): BinaryType {
  const write = (value: number, out: Block, place: RowPlace): void => {
    if (value < min || value > max) throw outOfRange(String(value), name, place);
    if (size === 2) out.int16(value);
    else out.int32(value);
  };
  const read: (bytes: Buffer, at: number) => number =
    size === 2
      ? (bytes, at) => bytes.readInt16BE(at)
      : min < 0
        ? (bytes, at) => bytes.readInt32BE(at)
        : (bytes, at) => bytes.readUInt32BE(at);
  return {
    writeText: (text, out, place) => {
      write(Number(checkedInteger(text, name, place)), out, place);
    },
    writeValue: (value, out, place) => {
      if (typeof value === 'number') {
        if (!Number.isInteger(value)) throw notInteger(String(value), name, place);
        write(value, out, place);
        return true;
      }
      return false;
    },
    load: read,
    text: (bytes, start) => String(read(bytes, start)),
  };
}

const INT8_MAX = 2n ** 63n - 1n;

/** int8, as a bigint. */
export const int8: BinaryType = {
  writeText: (text, out, place) => {
    writeInt8(BigInt(checkedInteger(text, 'int8', place)), out, place);
  },
  writeValue: (value, out, place) => {
    if (typeof value === 'bigint') {
      writeInt8(value, out, place);
      return true;
    }
    if (typeof value === 'number') {
      if (!Number.isInteger(value)) throw notInteger(String(value), 'int8', place);
      if (Number.isSafeInteger(value)) writeInt64(value, out);
      else writeInt8(BigInt(value), out, place);
      return true;
    }
    return false;
  },
  load: (bytes, start) => bytes.readBigInt64BE(start),
  text: (bytes, start) => String(readInt64(bytes, start)),
};

function writeInt8(value: bigint, out: Block, place: RowPlace): void {
  if (value < -INT8_MAX - 1n || value > INT8_MAX) throw outOfRange(String(value), 'int8', place);
  writeBigInt64(value, out);
}

/** xid8, and what else is an unsigned integer of 64 bits. */
export const xid8: BinaryType = {
  writeText: (text, out, place) => {
    const value = BigInt(checkedInteger(text, 'xid8', place));
    if (value < 0n || value >= 2n ** 64n) throw outOfRange(text, 'xid8', place);
    writeBigInt64(BigInt.asIntN(64, value), out);
  },
  load: (bytes, start) => String(bytes.readBigUInt64BE(start)),
  text: (bytes, start) => String(bytes.readBigUInt64BE(start)),
};

const FLOAT = /^\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)\s*$/i;

/** float4 and float8. */
export function floatType(name: 'float4' | 'float8'): BinaryType {
  const size = name === 'float4' ? 4 : 8;
  const write = (value: number, out: Block, place: RowPlace): void => {
    out.room(8);
    if (size === 4) {
      const rounded = Math.fround(value);
      // As the server does, rather than storing infinity, or zero for what is not.
      if (Number.isFinite(value) && (!Number.isFinite(rounded) || (rounded === 0 && value !== 0))) {
        throw outOfRange(String(value), name, place);
      }
      out.bytes.writeFloatBE(value, out.length);
    } else {
      out.bytes.writeDoubleBE(value, out.length);
    }
    out.length += size;
  };
  const load = (bytes: Buffer, start: number): number =>
    size === 4 ? shortest(bytes.readFloatBE(start)) : bytes.readDoubleBE(start);
  return {
    writeText: (text, out, place) => {
      if (!FLOAT.test(text)) throw place.refuse(`${shown(text)} is not a number for ${name}`);
      const word = /(inf|nan)/i.exec(text)?.[1]?.toLowerCase();
      if (word !== undefined) {
        write(word === 'nan' ? NaN : text.trim().startsWith('-') ? -Infinity : Infinity, out, place);
        return;
      }
      const value = Number(text);
      if (!Number.isFinite(value) || (value === 0 && /[1-9]/.test(text.replace(/e.*/i, '')))) {
        throw outOfRange(text, name, place);
      }
      write(value, out, place);
    },
    writeValue: (value, out, place) => {
      if (typeof value !== 'number') return false;
      write(value, out, place);
      return true;
    },
    load,
    text: (bytes, start) => {
      const value = load(bytes, start);
      return Object.is(value, -0) ? '-0' : String(value);
    },
  };
}

/**
 * A float4 as the server writes it: the number with the fewest digits that is this float4 and no other, not the double next to it
 * (0.1, not 0.10000000149011612).
 */
function shortest(value: number): number {
  const size = Math.abs(value);
  // Up to 2^24 an integer is its own shortest form.
  if (!Number.isFinite(value) || (size <= 0x100_0000 && Number.isInteger(value))) return value;
  // Any decimal of six digits is told from its neighbours by a normal float4; a subnormal one may have but a bit.
  for (let digits = size < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits++) {
    const candidate = rounded(value, digits);
    if (Math.fround(candidate) === value && !isHalfway(candidate, value)) return candidate;
  }
  return rounded(value, 9);
}

const SMALLEST_NORMAL = 2 ** -126;

/** Rounded to so many digits; where that is a tie to the even one, unlike `toPrecision()`. */
function rounded(value: number, digits: number): number {
  const text = value.toPrecision(digits);
  const [next, exponent] = value.toExponential(digits).split('e') as [string, string];
  const last = Number(next.at(-2) === '.' ? next.at(-3) : next.at(-2));
  if (!next.endsWith('5') || last % 2 === 1 || !isTie(value, digits)) return Number(text);
  return Number(`${next.slice(0, -1)}e${exponent}`);
}

/** Whether nothing but zeros follows the digit behind the given number of digits. */
function isTie(value: number, digits: number): boolean {
  const [all] = value.toExponential(100).split('e') as [string];
  return /^0*$/.test(all.replace(/[-.]/g, '').slice(digits + 1));
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** Whether a number lies in the middle between a float4 and the next; the server wants its text to be beyond doubt. */
function isHalfway(candidate: number, value: number): boolean {
  if (candidate === value) return false;
  float[0] = value;
  bits[0]! += Math.abs(candidate) > Math.abs(value) ? 1 : -1;
  return candidate - value === (float[0] - value) / 2;
}

function checkedInteger(text: string, name: string, place: RowPlace): string {
  if (!INTEGER.test(text)) throw notInteger(shown(text), name, place);
  const trimmed = text.trim();
  return trimmed.startsWith('+') ? trimmed.slice(1) : trimmed;
}

function notInteger(value: string, name: string, place: RowPlace): Error {
  return place.refuse(`${value} is not an integer for ${name}`);
}

function outOfRange(value: string, name: string, place: RowPlace): Error {
  return place.refuse(`${value} is out of range for ${name}`);
}

const NUMERIC = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,9}))?\s*$/i;
const SPECIAL = /^\s*(?:(nan)|([+-]?)inf(?:inity)?)\s*$/i;
const POSITIVE = 0x0000;
const NEGATIVE = 0x4000;
const NAN = 0xc000;
const INFINITY = 0xd000;
const MINUS_INFINITY = 0xf000;
/** The server's limits, in decimal digits before and after the point. */
const MOST_INTEGRAL = 131_072;
const MOST_FRACTIONAL = 16_383;

/** numeric: digits of base 10000, exact at any scale. */
export const numeric: BinaryType = {
  writeText: writeNumeric,
  writeValue: (value, out, place) => {
    if (typeof value === 'number' || typeof value === 'bigint') {
      writeNumeric(String(value), out, place);
      return true;
    }
    return false;
  },
  load: (bytes, start) => readNumeric(bytes, start),
  text: (bytes, start) => readNumeric(bytes, start),
};

function writeNumeric(text: string, out: Block, place: RowPlace): void {
  const special = SPECIAL.exec(text);
  if (special !== null) {
    const sign = special[1] !== undefined ? NAN : special[2] === '-' ? MINUS_INFINITY : INFINITY;
    writeHeader(0, 0, sign, 0, out);
    return;
  }
  const match = NUMERIC.exec(text);
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) {
    throw place.refuse(`${shown(text)} is not a decimal number for numeric`);
  }
  const [, sign = '', integral = '', fraction = '', exponentText = '0'] = match;
  const exponent = Number(exponentText);
  const all = integral + fraction;
  const digits = all.replace(/^0+/, '');
  // How many digits stand before the point; negative if zeros follow it.
  const before = digits.length - fraction.length + exponent;
  const scale = Math.max(0, fraction.length - exponent);
  if ((digits !== '' && before > MOST_INTEGRAL) || scale > MOST_FRACTIONAL) {
    throw outOfRange(shown(text), 'numeric', place);
  }
  if (digits === '') {
    writeHeader(0, 0, POSITIVE, scale, out);
    return;
  }
  let weight = Math.ceil(before / 4) - 1;
  const lead = (weight + 1) * 4 - before;
  const padded = '0'.repeat(lead) + digits;
  const groups: number[] = [];
  for (let at = 0; at < padded.length; at += 4) groups.push(Number(padded.slice(at, at + 4).padEnd(4, '0')));
  while (groups.at(-1) === 0) groups.pop();
  let first = 0;
  for (; groups[first] === 0; first++) weight--;
  writeHeader(groups.length - first, weight, sign === '-' ? NEGATIVE : POSITIVE, scale, out);
  for (let i = first; i < groups.length; i++) out.int16(groups[i]!);
}

function writeHeader(groups: number, weight: number, sign: number, scale: number, out: Block): void {
  out.int16(groups);
  out.int16(weight);
  out.int16(sign);
  out.int16(scale);
}

function readNumeric(bytes: Buffer, start: number): string {
  const count = bytes.readUInt16BE(start);
  const weight = bytes.readInt16BE(start + 2);
  const sign = bytes.readUInt16BE(start + 4);
  const scale = bytes.readUInt16BE(start + 6);
  if (sign === NAN) return 'NaN';
  if (sign === INFINITY) return 'Infinity';
  if (sign === MINUS_INFINITY) return '-Infinity';
  const group = (i: number): number => (i >= 0 && i < count ? bytes.readUInt16BE(start + 8 + 2 * i) : 0);
  let text = sign === NEGATIVE ? '-' : '';
  if (weight < 0) text += '0';
  else {
    text += String(group(0));
    for (let i = 1; i <= weight; i++) text += String(group(i)).padStart(4, '0');
  }
  if (scale === 0) return text;
  let fraction = '';
  for (let i = weight + 1; fraction.length < scale; i++) fraction += String(group(i)).padStart(4, '0');
  return `${text}.${fraction.slice(0, scale)}`;
}
