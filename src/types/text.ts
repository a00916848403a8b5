import { trimmed } from './ascii.js';
import { isUtf8 } from 'node:buffer';
import { malformed, refused, shown, unreadable, wrongSize, type Codec, type Reader } from './codec.js';
import { writeUtf8 } from './write-text.js';

/** Reads the server's text, of any type. */
export const readText: Reader<string> = (bytes, start, end) => bytes.utf8Slice(start, end);

/** Up to this length, a loop is faster than a call of a native method. */
const SHORT = 48;

/** Reads text in the binary format. In a COPY the bytes may be of another type, so they are checked. */
export const readUtf8: Reader<string> = (bytes, start, end) => {
  if (end - start <= SHORT) {
    let at = start;
    while (at < end && (bytes[at]! - 1) >>> 0 < 0x7f) at++;
    if (at === end) return bytes.latin1Slice(start, end);
  }
  const value = bytes.subarray(start, end);
  if (value.includes(0) || !isUtf8(value)) throw malformed('text', 'it is not UTF-8, or has a NUL character');
  return bytes.utf8Slice(start, end);
};

/** Types whose binary format equals their text: text, varchar, xml, enums … */
export const text: Codec = {
  readText,
  readBinary: readUtf8,
  preferBinary: 'arrays',
  textToBinary: writeUtf8,
  binaryToText: readUtf8,
};

/** Text types that are rare in arrays, or whose arrays must be requested as text. */
export const rareText: Codec = { ...text, preferBinary: undefined };

/** Copies the bytes, since a slice would keep the socket's whole chunk alive. */
export const readBytes: Reader<Buffer> = (bytes, start, end) => {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
};

/** Unregistered types: the server's text, or bytes where only the binary format is available. */
export const unknown: Codec = {
  readText,
  // A reader of its own tells an array of them from one of bytea.
  readBinary: (bytes, start, end) => readBytes(bytes, start, end),
};

const LETTER_T = 0x74;
const LETTER_F = 0x66;
const TRUE = /^(?:t|tr|tru|true|y|ye|yes|on|1)$/i;
const FALSE = /^(?:f|fa|fal|fals|false|n|no|of|off|0)$/i;

const readBool: Reader<boolean> = (bytes, start, end) => {
  if (end - start !== 1) throw wrongSize('bool', start, end);
  return bytes[start] !== 0;
};

export const bool: Codec<boolean> = {
  readText: (bytes, start, end) => {
    const letter = bytes[start];
    if (end - start !== 1 || (letter !== LETTER_T && letter !== LETTER_F)) {
      throw unreadable('bool', bytes, start, end);
    }
    return letter === LETTER_T;
  },
  readBinary: readBool,
  preferBinary: 'arrays',
  takes: (value) => typeof value === 'boolean',
  writeBinary: (value, out) => {
    out.int8(value ? 1 : 0);
  },
  textToBinary: (value, out, place) => {
    const word = trimmed(value);
    const isTrue = TRUE.test(word);
    if (!isTrue && !FALSE.test(word)) throw refused(place, `${shown(value)} is not a bool`);
    out.int8(isTrue ? 1 : 0);
  },
  binaryToText: (bytes, start, end) => (readBool(bytes, start, end) ? 't' : 'f'),
};
