import { BACKSLASH } from './ascii.js';
import type { ByteWriter } from './byte-writer.js';
import { refused, type Place } from './codec.js';

/** Up to this length, a loop is faster than a call of a native method. */
const SHORT = 48;

const TO_ESCAPE = /[\0\b-\r\\]/;

/** The letters that follow the backslash in \b \t \n \v \f \r, which escape the bytes from 8 to 13 in COPY's text format. */
export const ESCAPE_LETTERS = Buffer.from('btnvfr', 'latin1');

/** Raises `DataError` for a string that the server would reject or that UTF-8 cannot represent. */
export function checkText(value: string, place: Place): string {
  if (value.includes('\0')) throw nulRefused(place);
  if (!value.isWellFormed()) throw surrogateRefused(place);
  return value;
}

function nulRefused(place: Place): Error {
  return refused(place, "PostgreSQL text can't contain a NUL character ('\\0')");
}

function surrogateRefused(place: Place): Error {
  return refused(place, "the string has a lone surrogate, which can't be encoded as UTF-8");
}

/** Quotes a text as an element of an array or a part of an hstore. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Writes a string as UTF-8. Raises `DataError` for a NUL character or a lone surrogate, which the server cannot store. */
export function writeUtf8(text: string, out: ByteWriter, place: Place): void {
  if (text.length > SHORT) {
    if (text.includes('\0')) throw nulRefused(place);
    writeLong(text, out, place);
    return;
  }
  const { length } = text;
  out.room(3 * length);
  const { bytes } = out;
  let at = out.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) {
      if (code === 0) throw nulRefused(place);
      bytes[at++] = code;
    } else {
      out.length = at;
      i += writeCharacter(text, i, code, out, place);
      at = out.length;
    }
  }
  out.length = at;
}

/** Writes a string as a field of COPY's text format: UTF-8 with escaped delimiters. */
export function writeEscaped(text: string, out: ByteWriter, place: Place): void {
  const { length } = text;
  if (length > SHORT && !TO_ESCAPE.test(text)) {
    writeLong(text, out, place);
    return;
  }
  out.room(3 * length);
  const { bytes } = out;
  let at = out.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) {
      out.length = at;
      i += writeCharacter(text, i, code, out, place);
      at = out.length;
    } else if (code > 13 && code !== BACKSLASH) {
      bytes[at++] = code;
    } else if (code >= 8) {
      bytes[at++] = BACKSLASH;
      bytes[at++] = code === BACKSLASH ? BACKSLASH : ESCAPE_LETTERS[code - 8]!;
    } else if (code === 0) {
      throw nulRefused(place);
    } else {
      bytes[at++] = code;
    }
  }
  out.length = at;
}

function writeLong(text: string, out: ByteWriter, place: Place): void {
  if (!text.isWellFormed()) throw surrogateRefused(place);
  // A UTF-16 unit takes at most three bytes of UTF-8.
  out.room(3 * text.length);
  out.length += out.bytes.utf8Write(text, out.length);
}

/** Writes the non-ASCII character at `index`, for which room is reserved. Returns its number of UTF-16 units minus one. */
function writeCharacter(text: string, index: number, code: number, out: ByteWriter, place: Place): number {
  const { bytes } = out;
  let at = out.length;
  if (code < 0x800) {
    bytes[at++] = 0xc0 | (code >> 6);
  } else if (code < 0xd800 || code > 0xdfff) {
    bytes[at++] = 0xe0 | (code >> 12);
    bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
  } else {
    const point = text.codePointAt(index)!;
    if (point < 0x10000) throw surrogateRefused(place);
    bytes[at++] = 0xf0 | (point >> 18);
    bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
    bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
    bytes[at++] = 0x80 | (point & 0x3f);
    out.length = at;
    return 1;
  }
  bytes[at++] = 0x80 | (code & 0x3f);
  out.length = at;
  return 0;
}
