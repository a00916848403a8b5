import { MINUS, ZERO, trimmed } from './ascii.js';
import { readInt32 } from '../wire/backend-messages.js';
import { IS_LITTLE_ENDIAN, TWO_32, type ByteWriter } from './byte-writer.js';
import { fixed, outOfRange, refused, shown, unreadable, wrongSize } from './codec.js';
import type { Codec, Place, Reader } from './codec.js';
import { parseInteger } from './decimal.js';
import { textual } from './textual.js';

/** Integers of this many digits are exact as a `number`. */
const EXACT_DIGITS = 15;

/** Makes the codec of an integer of at most 32 bits, as a number. */
function integer(
  type: string,
  size: 2 | 4,
  min: number,
  max: number,
  readBinary: Reader<number>,
): Codec<number> {
  const write = (value: number, out: ByteWriter, place: Place): void => {
    if (value < min || value > max) throw outOfRange(String(value), type, place);
    if (size === 2) out.int16(value);
    else out.int32(value);
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
    preferBinary: 'columns',
    takes: (value) => typeof value === 'number',
    writeBinary: (value, out, place) => {
      if (!Number.isInteger(value)) throw notInteger(String(value), type, place);
      write(value, out, place);
    },
    textToBinary: (text, out, place) => {
      write(Number(integerOf(text, type, place)), out, place);
    },
    binaryToText: (bytes, start, end) => String(readBinary(bytes, start, end)),
  };
}

// These readers check the length themselves: by fixed(), which all types call, loading an integer takes twice the time.

export const int2 = integer('int2', 2, -0x8000, 0x7fff, (bytes, start, end) => {
  if (end - start !== 2) throw wrongSize('int2', start, end);
  return ((bytes[start]! << 24) >> 16) | bytes[start + 1]!;
});

export const int4 = integer('int4', 4, -0x8000_0000, 0x7fff_ffff, (bytes, start, end) => {
  if (end - start !== 4) throw wrongSize('int4', start, end);
  return readInt32(bytes, start);
});

const anyOid = integer('oid', 4, 0, 0xffff_ffff, (bytes, start, end) => {
  if (end - start !== 4) throw wrongSize('oid', start, end);
  return readInt32(bytes, start) >>> 0;
});

export const oid: Codec<number | bigint> = {
  ...anyOid,
  readText: (bytes, start, end) => {
    if (bytes[start] === ZERO && end - start > 1) throw unreadable('oid', bytes, start, end);
    return anyOid.readText(bytes, start, end);
  },
  textToBinary: (text, out, place) => {
    refuseOctal(text, 'oid', place);
    anyOid.textToBinary!(text, out, place);
  },
};

const words = new Int32Array(2);
const bigints = new BigInt64Array(words.buffer);
const [LOW, HIGH] = IS_LITTLE_ENDIAN ? [0, 1] : [1, 0];

/** Combines two halves to a bigint. Reading it from memory takes half the time of `BigInt()`. */
function bigintOf(high: number, low: number): bigint {
  words[HIGH] = high;
  words[LOW] = low;
  return bigints[0]!;
}

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
      return bigintOf(Math.floor(value / TWO_32), value | 0);
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
    if (typeof value === 'number' && !Number.isInteger(value)) throw notInteger(String(value), 'int8', place);
    if (typeof value === 'number' && Number.isSafeInteger(value)) out.int64(value);
    else writeInt8(BigInt(value), out, place);
  },
  textToBinary: (text, out, place) => {
    writeInt8(integerOf(text, 'int8', place), out, place);
  },
  binaryToText: fixed('int8', 8, (bytes, start) => String(bytes.readBigInt64BE(start))),
};

function writeInt8(value: bigint, out: ByteWriter, place: Place): void {
  if (BigInt.asIntN(64, value) !== value) throw outOfRange(String(value), 'int8', place);
  out.int64(value);
}

const OCTAL = /^[+-]?0\d/;

/** The server reads an identifier with a leading zero as an octal number. */
function refuseOctal(text: string, type: string, place: Place): void {
  if (OCTAL.test(trimmed(text))) throw notInteger(shown(text), type, place);
}

/**
 * Makes the codec of an unsigned integer that loads as the server's text, since it is an identifier: a transaction's or a
 * command's.
 */
function unsigned(type: string, size: 4 | 8): Codec {
  return textual({
    textToBinary: (text, out, place) => {
      refuseOctal(text, type, place);
      const value = integerOf(text, type, place);
      if (BigInt.asUintN(8 * size, value) !== value) throw outOfRange(shown(text), type, place);
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

/** Exceeds all integer types. */
const LARGEST = 10n ** 20n;

/** The integer in a text for a value of the type. */
function integerOf(text: string, type: string, place: Place): bigint {
  const integer = parseInteger(text);
  if (integer === null) throw notInteger(shown(text), type, place);
  // A longer text is not parsed to its end.
  if (integer > LARGEST || integer < -LARGEST) throw outOfRange(shown(text), type, place);
  return integer;
}

function notInteger(value: string, type: string, place: Place): Error {
  return refused(place, `${value} is not an integer for ${type}`);
}
