import { BACKSLASH, ZERO } from './ascii.js';
import { readBytes } from './text.js';
import type { ByteWriter } from './byte-writer.js';
import { refused, shown, unreadable, type Codec, type Place } from './codec.js';
import { isUint8Array } from './realm.js';

const LETTER_X = 0x78;
/** PostgreSQL allows white space between the pairs of hexadecimal digits. */
const BETWEEN_PAIRS = /[ \t\n\r]+/;

/** bytea, as bytes. */
export const bytea: Codec<Uint8Array> = {
  readText: (bytes, start, end) => {
    if (end - start >= 2 && bytes[start] === BACKSLASH && bytes[start + 1] === LETTER_X) {
      const loaded = Buffer.from(bytes.latin1Slice(start + 2, end), 'hex');
      // Node stops decoding at the first character that is no hexadecimal digit.
      if (2 * loaded.length === end - start - 2) return loaded;
    } else {
      const loaded = unescape(bytes, start, end);
      if (loaded !== null) return loaded;
    }
    throw unreadable('bytea', bytes, start, end);
  },
  readBinary: readBytes,
  preferBinary: 'columns',
  takes: isUint8Array,
  writeBinary: (value, out) => {
    out.append(value);
  },
  textToBinary: (text, out, place) => {
    if (/^\\x/i.test(text)) {
      const pairs = text.slice(2).split(BETWEEN_PAIRS);
      if (pairs.some(({ length }) => length % 2 !== 0)) throw notBytes(text, place);
      writeHex(pairs.join(''), out, () => notBytes(text, place));
      return;
    }
    const bytes = Buffer.from(text);
    const loaded = unescape(bytes, 0, bytes.length);
    if (loaded === null) throw notBytes(text, place);
    out.append(loaded);
  },
  binaryToText: (bytes, start, end) => `\\x${bytes.hexSlice(start, end)}`,
};

function notBytes(text: string, place: Place): Error {
  return refused(place, `${shown(text)} is not a bytea: pass a Uint8Array`);
}

/** Decodes the `escape` format: a backslash is doubled or precedes three octal digits. Null for malformed text. */
function unescape(bytes: Buffer, start: number, end: number): Buffer | null {
  const loaded = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte !== BACKSLASH) {
      loaded[length++] = byte;
    } else if (at + 1 < end && bytes[at + 1] === BACKSLASH) {
      loaded[length++] = BACKSLASH;
      at++;
    } else {
      const value = at + 3 < end ? octal(bytes, at + 1) : -1;
      if (value < 0) return null;
      loaded[length++] = value;
      at += 3;
    }
  }
  return loaded.subarray(0, length);
}

/** The byte written as three octal digits; -1 if they are not octal digits. */
function octal(bytes: Buffer, at: number): number {
  const [first, second, third] = [bytes[at]! - ZERO, bytes[at + 1]! - ZERO, bytes[at + 2]! - ZERO];
  const valid = first >= 0 && first <= 3 && second >= 0 && second <= 7 && third >= 0 && third <= 7;
  return valid ? (first << 6) | (second << 3) | third : -1;
}

/** Appends the bytes of a hexadecimal text; raises the error made by `refuse` if the text is malformed. */
export function writeHex(digits: string, out: ByteWriter, refuse: () => Error): void {
  const size = digits.length / 2;
  out.room(size);
  if (!Number.isInteger(size) || out.bytes.write(digits, out.length, 'hex') !== size) throw refuse();
  out.length += size;
}
