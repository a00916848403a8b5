import { readInt32 } from '../wire/backend-messages.js';
import {
  fixed,
  refused,
  shown,
  textual,
  unreadable,
  wrongSize,
  type Codec,
  type Place,
  type Reader,
} from './codec.js';

const MINUS = 0x2d;
const ZERO = 0x30;
/** Integers of this many digits are exact as a `number`. */
const EXACT_DIGITS = 15;
const UINT32_MAX = 0xffff_ffff;

/** Makes the codec of an integer of at most 32 bits, as a number. */
function integer(
  type: string,
  min: number,
  max: number,
  readBinary: Reader<number>,
  size: 2 | 4,
): Codec<number> {
  const checked = (value: number, place: Place): number => {
    if (value < min || value > max) throw refused(place, `${String(value)} is out of range for ${type}`);
    return value;
  };
  return {
    readText: (bytes, start, end) => {
      const negative = bytes[start] === MINUS;
      let at = negative ? start + 1 : start;
      let value = 0;
      // Negative as soon as a character is no digit, or if there is none.
      let valid = end - at - 1;
      for (; at < end; at++) {
        const digit = bytes[at]! - ZERO;
        valid |= digit | (9 - digit);
        value = value * 10 + digit;
      }
      if (negative) value = 0 - value;
      if (valid < 0 || value < min || value > max) throw unreadable(type, bytes, start, end);
      return value;
    },
    readBinary,
    takes: isNumber,
    writeBinary: (value, out, place) => {
      if (!Number.isInteger(value)) throw notInteger(String(value), type, place);
      if (size === 2) out.int16(checked(value, place));
      else out.int32(checked(value, place));
    },
    textToBinary: (text, out, place) => {
      const value = checked(Number(integerText(text, type, place)), place);
      if (size === 2) out.int16(value);
      else out.int32(value);
    },
    binaryToText: (bytes, start, end) => String(readBinary(bytes, start, end)),
  };
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}

export const int2: Codec<number> = {
  ...integer(
    'int2',
    -0x8000,
    0x7fff,
    (bytes, start, end) => {
      if (end - start !== 2) throw wrongSize('int2', start, end);
      return ((bytes[start]! << 24) >> 16) | bytes[start + 1]!;
    },
    2,
  ),
  preferBinary: 'columns',
};

export const int4: Codec<number> = {
  ...integer(
    'int4',
    -0x8000_0000,
    0x7fff_ffff,
    (bytes, start, end) => {
      if (end - start !== 4) throw wrongSize('int4', start, end);
      return readInt32(bytes, start);
    },
    4,
  ),
  preferBinary: 'columns',
};

export const oid: Codec<number> = {
  ...integer(
    'oid',
    0,
    UINT32_MAX,
    (bytes, start, end) => {
      if (end - start !== 4) throw wrongSize('oid', start, end);
      return readInt32(bytes, start) >>> 0;
    },
    4,
  ),
  preferBinary: 'columns',
};

const words = new Int32Array(2);
const bigints = new BigInt64Array(words.buffer);
const [LOW, HIGH] = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** Combines two halves to a bigint. Reading it from memory takes half the time of `BigInt()`. */
function bigintOf(high: number, low: number): bigint {
  words[HIGH] = high;
  words[LOW] = low;
  return bigints[0]!;
}

const INT8_MAX = 2n ** 63n - 1n;

/** int8, as a bigint. */
export const int8: Codec<number | bigint> = {
  readText: (bytes, start, end) => {
    const negative = bytes[start] === MINUS;
    let at = negative ? start + 1 : start;
    const exact = end - at <= EXACT_DIGITS;
    let value = 0;
    let valid = end - at - 1;
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      valid |= digit | (9 - digit);
      value = value * 10 + digit;
    }
    if (valid < 0) throw unreadable('int8', bytes, start, end);
    if (exact) {
      if (negative) value = -value;
      return bigintOf(Math.floor(value / 0x1_0000_0000), value | 0);
    }
    // The digits are bounded before BigInt() parses them, which is slow for a long text.
    const large = value < 1e20 ? BigInt(bytes.latin1Slice(start, end)) : null;
    if (large === null || BigInt.asIntN(64, large) !== large) throw unreadable('int8', bytes, start, end);
    return large;
  },
  readBinary: (bytes, start, end) => {
    if (end - start !== 8) throw wrongSize('int8', start, end);
    return bigintOf(readInt32(bytes, start), readInt32(bytes, start + 4));
  },
  preferBinary: 'columns',
  takes: (value) => typeof value === 'bigint' || typeof value === 'number',
  writeBinary: (value, out, place) => {
    if (typeof value === 'number') {
      if (!Number.isInteger(value)) throw notInteger(String(value), 'int8', place);
      if (Number.isSafeInteger(value)) {
        out.int64(value);
        return;
      }
    }
    out.int64(checkedInt8(BigInt(value), place));
  },
  textToBinary: (text, out, place) => {
    out.int64(checkedInt8(BigInt(integerText(text, 'int8', place)), place));
  },
  binaryToText: fixed('int8', 8, (bytes, start) => String(bytes.readBigInt64BE(start))),
};

function checkedInt8(value: bigint, place: Place): bigint {
  if (value < -INT8_MAX - 1n || value > INT8_MAX) {
    throw refused(place, `${String(value)} is out of range for int8`);
  }
  return value;
}

/**
 * Makes the codec of an unsigned integer that loads as the server's text, since it is an identifier: a transaction's or a
 * command's.
 */
function unsigned(type: string, size: 4 | 8): Codec {
  const max = 2n ** BigInt(8 * size) - 1n;
  return textual({
    textToBinary: (text, out, place) => {
      const value = BigInt(integerText(text, type, place));
      if (value < 0n || value > max) throw refused(place, `${shown(text)} is out of range for ${type}`);
      if (size === 4) out.int32(Number(value));
      else out.int64(BigInt.asIntN(64, value));
    },
    binaryToText: fixed(type, size, (bytes, start) =>
      String(size === 4 ? bytes.readUInt32BE(start) : bytes.readBigUInt64BE(start)),
    ),
  });
}

export const xid = unsigned('xid', 4);
export const cid = unsigned('cid', 4);
export const xid8 = unsigned('xid8', 8);

const INTEGER = /^\s*[+-]?\d+\s*$/;
const LEADING = /^(?:\+|(-))?0*(?=\d)/;
/** The maximum number of digits of any integer type; a longer text is not parsed. */
const MOST_DIGITS = 20;

/** The digits of an integer given as text, preceded by a minus sign if it is negative. */
function integerText(text: string, type: string, place: Place): string {
  if (!INTEGER.test(text)) throw notInteger(shown(text), type, place);
  const digits = text.trim().replace(LEADING, '$1');
  if (digits.length > MOST_DIGITS + 1) throw refused(place, `${shown(text)} is out of range for ${type}`);
  return digits;
}

function notInteger(value: string, type: string, place: Place): Error {
  return refused(place, `${value} is not an integer for ${type}`);
}
