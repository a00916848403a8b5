import { BACKSLASH, TAB } from '../types/ascii.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import { dumpAs, dumpParam } from '../types/dump.js';
import * as errors from '../errors/index.js';
import { checkedReader, type Reader } from '../types/codec.js';
import { readText } from '../types/text.js';
import { ESCAPE_LETTERS, writeEscaped } from '../types/write-text.js';
import type { Loader } from '../wire/row-decoder.js';
import { RowReader, RowWriter } from './row-format.js';
import { TextShortcuts } from './text-shortcuts.js';

const NEWLINE = 0x0a;
const LETTER_N = 0x4e;

/** Encodes rows in the text format. */
export class TextRowWriter extends RowWriter {
  readonly #native = this.map.codecs.native;
  readonly #shortcuts = new TextShortcuts(this.columns, this.#native);
  #types: readonly number[] | null = null;
  /** For each column whether its codec, or its elements' codec, writes text; null if none does. */
  #typed: readonly boolean[] | null = null;

  setTypes(oids: readonly number[]): void {
    this.#types = oids;
    const { codecFor } = this.map.codecs;
    const typed = oids.map((oid) => codecFor(this.map.elementType(oid)?.oid ?? oid).writeText !== undefined);
    this.#typed = typed.includes(true) ? typed : null;
    this.#shortcuts.except = this.#typed;
  }

  protected encode(row: readonly unknown[]): void {
    const { out, columns } = this;
    const shortcuts = this.#shortcuts;
    for (let i = shortcuts.write(row, 0, out); i < columns; i = shortcuts.write(row, i + 1, out)) {
      if (i > 0) out.int8(TAB);
      this.place.column = i;
      this.#value(row[i], i);
    }
    out.int8(NEWLINE);
  }

  /** Writes a value that the shortcuts do not handle. */
  #value(value: unknown, column: number): void {
    const { out, place, map } = this;
    if (this.#typed?.[column] !== true) {
      if (typeof value === 'string' && this.#native.string) {
        writeEscaped(value, out, place);
        return;
      }
      if (typeof value === 'object' && value !== null && this.#native.isBytes(value)) {
        this.#bytes(value);
        return;
      }
    }
    const { text } =
      this.#types === null
        ? dumpParam(value, map, place.toString())
        : dumpAs(value, this.#types[column]!, map, place.toString(), true);
    if (text === null) {
      out.int8(BACKSLASH);
      out.int8(LETTER_N);
    } else writeEscaped(text, out, place);
  }

  /** Writes bytes as \x and hexadecimal digits; the format doubles the backslash. */
  #bytes(value: Uint8Array): void {
    const { out } = this;
    out.room(3 + 2 * value.length);
    const { bytes } = out;
    let at = out.length;
    bytes[at++] = BACKSLASH;
    bytes[at++] = BACKSLASH;
    bytes[at++] = 0x78;
    for (const byte of value) {
      bytes[at++] = HEX_DIGITS[byte >> 4]!;
      bytes[at++] = HEX_DIGITS[byte & 0x0f]!;
    }
    out.length = at;
  }
}

const HEX_DIGITS = Buffer.from('0123456789abcdef', 'latin1');

/** The character for each letter after a backslash; letters that the server does not use stand for themselves. */
const UNESCAPED = Uint8Array.from({ length: 256 }, (_, byte) => byte);
ESCAPE_LETTERS.forEach((letter, i) => {
  UNESCAPED[letter] = 8 + i;
});

/** Finds the end of a value and loads it. */
interface BoundedReader {
  readonly endOfText: Reader<number>;
  readonly readText: Loader;
}

/** Decodes rows in the text format. */
export class TextRowReader extends RowReader {
  /** For columns whose codec checks a value and finds its end in one pass, the reader that does so. */
  #bounded: readonly (BoundedReader | undefined)[] = [];
  /** The buffer for a field with escapes removed. */
  #plain = Buffer.allocUnsafe(256);

  constructor(map: AdaptersMap, columns: number) {
    super(map, columns, readText);
  }

  setTypes(oids: readonly number[]): void {
    const codecs = oids.map((oid) => this.map.codecFor(oid));
    this.loaders = codecs.map(checkedReader);
    this.#bounded = codecs.map(({ endOfText, readText }) => endOfText && { endOfText, readText });
  }

  next(): unknown[] | null {
    const bytes = this.piece;
    let start = this.at;
    if (start >= bytes.length) return null;
    const loaders = this.loaders;
    const bounded = this.#bounded;
    const width = loaders.length;
    const row = new Array<unknown>(width);
    this.rows++;
    let column = 0;
    try {
      if (width === 0) {
        if (bytes[start] !== NEWLINE) throw this.#malformed('it has more columns than the COPY announced');
        this.at = start + 1;
        return row;
      }
      for (;;) {
        let byte = bytes[start]!;
        let at = start;
        let escapes = 0;
        let load = loaders[column];
        const reader = bounded[column];
        const end =
          reader === undefined || byte === BACKSLASH ? -1 : reader.endOfText(bytes, start, bytes.length);
        if (end >= 0 && end < bytes.length && (bytes[end] === TAB || bytes[end] === NEWLINE)) {
          at = end;
          byte = bytes[at]!;
          load = reader!.readText;
        } else {
          for (;;) {
            // Below a newline, only a tab ends a field; most bytes are above it.
            while (byte > NEWLINE && byte !== BACKSLASH) byte = bytes[++at]!;
            if (byte === TAB || byte === NEWLINE) break;
            if (at >= bytes.length) throw this.#malformed('its end is missing');
            if (byte === BACKSLASH) {
              escapes++;
              at++;
            }
            byte = bytes[++at]!;
          }
        }
        // The position advances before the field is loaded, so that after a loader's error reading continues at the next field.
        this.at = at + 1;
        if (load === undefined) throw this.#malformed('it has more columns than the COPY announced');
        row[column] = escapes === 0 ? load(bytes, start, at) : this.#escaped(load, start, at, escapes);
        column++;
        if (byte === NEWLINE) {
          if (column < width) {
            throw this.#malformed(`it has ${String(column)} columns, expected ${String(width)}`);
          }
          return row;
        }
        start = at + 1;
      }
    } catch (error) {
      this.#skipRow();
      throw this.failed(error, column);
    }
  }

  #escaped(loader: Loader, start: number, end: number, escapes: number): unknown {
    const bytes = this.piece;
    if (end - start === 2 && bytes[start + 1] === LETTER_N) return null;
    const length = end - start - escapes;
    if (this.#plain.length < length) this.#plain = Buffer.allocUnsafe(2 * length);
    const plain = this.#plain;
    let target = 0;
    for (let source = start; source < end; source++) {
      const byte = bytes[source]!;
      plain[target++] = byte === BACKSLASH ? UNESCAPED[bytes[++source]!]! : byte;
    }
    return loader(plain, 0, length);
  }

  /** Skips the rest of a row that failed, unless it was read to its end. */
  #skipRow(): void {
    const bytes = this.piece;
    if (this.at > 0 && bytes[this.at - 1] === NEWLINE) return;
    const end = bytes.indexOf(NEWLINE, this.at);
    this.at = end < 0 ? bytes.length : end + 1;
  }

  #malformed(problem: string): Error {
    return new errors.DataError(`the row is malformed: ${problem}`);
  }
}
