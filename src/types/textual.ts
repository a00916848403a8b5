import { MINUS, SPACE } from './ascii.js';
import { ByteWriter } from './byte-writer.js';
import { writeHex } from './bytea.js';
import { fixed, malformed, refused, shown, sized, type BinaryFormat, type Codec } from './codec.js';

// Types that load as the server's text although their binary format is another one.

/**
 * Makes the codec of such a type, whose text contains no blanks, from the conversions between its formats; `more` are functions that
 * it has of its own. Unless `endOfText` is one of them, a text is valid if writing and reading preserves it.
 */
export function textual<V>({
  textToBinary,
  binaryToText,
  ...more
}: Partial<Codec<V>> & BinaryFormat): Codec<V> {
  return {
    readText: (bytes, start, end) => bytes.latin1Slice(start, end),
    endOfText: (bytes, start, end) => {
      let at = start;
      while (at < end && bytes[at]! > SPACE) at++;
      const text = bytes.latin1Slice(start, at);
      if (scratch.bytes.length > LARGEST_KEPT) scratch = new ByteWriter();
      scratch.length = 0;
      try {
        textToBinary(text, scratch, 'text');
      } catch {
        return -1;
      }
      return binaryToText(scratch.bytes, 0, scratch.length) === text ? at : -1;
    },
    readBinary: binaryToText,
    textToBinary,
    binaryToText,
    ...more,
  };
}

/** Receives values that are written only to validate them. */
let scratch = new ByteWriter();
const LARGEST_KEPT = 65_536;

const PG_LSN = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i;

const hex = (half: number): string => half.toString(16).toUpperCase();

/** pg_lsn, a position in the write-ahead log, as text. */
export const pgLsn = textual({
  textToBinary: (text, out, place) => {
    const [, high, low] = PG_LSN.exec(text) ?? [];
    if (high === undefined) throw refused(place, `${shown(text)} is not a pg_lsn`);
    out.int32(Number.parseInt(high, 16));
    out.int32(Number.parseInt(low!, 16));
  },
  binaryToText: fixed(
    'pg_lsn',
    8,
    (bytes, start) => `${hex(bytes.readUInt32BE(start))}/${hex(bytes.readUInt32BE(start + 4))}`,
  ),
});

const BITS = /^b?([01]*)$/i;

const bits = (type: string) =>
  textual({
    textToBinary: (text, out, place) => {
      const digits = BITS.exec(text)?.[1];
      if (digits === undefined) throw refused(place, `${shown(text)} is not a bit string of 0 and 1`);
      out.int32(digits.length);
      for (let at = 0; at < digits.length; at += 8) {
        out.int8(Number.parseInt(digits.slice(at, at + 8).padEnd(8, '0'), 2));
      }
    },
    // The number of bits, then the bits.
    binaryToText: sized(type, 4, (bytes, start, end) => {
      const count = bytes.readInt32BE(start);
      if (count < 0 || Math.ceil(count / 8) !== end - start - 4) {
        throw malformed(type, 'its length contradicts its number of bits');
      }
      let text = '';
      for (let at = start + 4; at < end; at++) text += bytes[at]!.toString(2).padStart(8, '0');
      return text.slice(0, count);
    }),
  });

/** bit and varbit, as strings of 0 and 1. */
export const bit = bits('bit');
export const varbit = bits('varbit');

const OCTAL = /^\\([0-3][0-7]{2})$/;
/** A byte beyond ASCII; the server writes others as they are. */
const WRITTEN_OCTAL = /^\\[23][0-7]{2}$/;

function charText(byte: number): string {
  if (byte === 0) return '';
  return byte > 0x7f ? `\\${byte.toString(8)}` : String.fromCharCode(byte);
}

/**
 * "char": one byte. A zero byte is empty text. A byte beyond ASCII is written as three octal digits, as in PostgreSQL 16 and
 * later.
 */
export const char = textual({
  readText: (bytes, start, end) =>
    end - start === 1 ? charText(bytes[start]!) : bytes.utf8Slice(start, end),
  endOfText: (bytes, start, end) =>
    end - start < 2 || (end - start === 4 && WRITTEN_OCTAL.test(bytes.latin1Slice(start, end))) ? end : -1,
  textToBinary: (value, out, place) => {
    const octal = OCTAL.exec(value)?.[1];
    const byte = octal !== undefined ? Number.parseInt(octal, 8) : value === '' ? 0 : value.charCodeAt(0);
    if (octal === undefined && (value.length > 1 || byte > 0x7f)) {
      throw refused(place, `${shown(value)} is not one byte for "char"`);
    }
    out.int8(byte);
  },
  binaryToText: fixed('"char"', 1, (bytes, start) => charText(bytes[start]!)),
});

const UUID = /^(\{)?([0-9a-f]{4}(?:-?[0-9a-f]{4}){7})(\})?$/i;
/** 1 for bytes that are not lower-case hexadecimal digits. */
const NO_DIGIT = new Uint8Array(256).fill(1);
for (const digit of Buffer.from('0123456789abcdef', 'latin1')) NO_DIGIT[digit] = 0;

/** The end of a uuid in the server's form, 01234567-89ab-cdef-0123-456789abcdef. */
function endOfUuid(bytes: Buffer, start: number, end: number): number {
  const last = start + 36;
  if (end < last) return -1;
  let wrong = 0;
  // Testing four digits at a time takes half the time of one by one.
  for (let at = start; at < last; at += 4) {
    wrong +=
      NO_DIGIT[bytes[at]!]! +
      NO_DIGIT[bytes[at + 1]!]! +
      NO_DIGIT[bytes[at + 2]!]! +
      NO_DIGIT[bytes[at + 3]!]!;
  }
  const isUuid =
    wrong === 4 &&
    bytes[start + 8] === MINUS &&
    bytes[start + 13] === MINUS &&
    bytes[start + 18] === MINUS &&
    bytes[start + 23] === MINUS;
  return isUuid ? last : -1;
}

const readUuid = fixed('uuid', 16, (bytes, start) => {
  const digits = bytes.hexSlice(start, start + 16);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
});

/** uuid, as text. */
export const uuid = textual({
  endOfText: endOfUuid,
  textToBinary: (text, out, place) => {
    const refuse = (): Error => refused(place, `${shown(text)} is not a uuid`);
    const match = UUID.exec(text);
    if (match === null || (match[1] === undefined) !== (match[3] === undefined)) throw refuse();
    writeHex(match[2]!.replaceAll('-', ''), out, refuse);
  },
  binaryToText: readUuid,
});
