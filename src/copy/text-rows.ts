import type { AdaptersMap } from '../types/adapters-map.js';
import { dumpAs, dumpParam } from '../types/dump.js';
import type { NativeValues } from '../types/native-values.js';
import * as errors from '../errors/index.js';
import { checkedReader, type Reader } from '../types/codec.js';
import { readText } from '../types/text.js';
import { writeEscaped } from '../types/write-text.js';
import type { Loader } from '../wire/row-decoder.js';
import type { Block } from './block.js';
import { checkedWidth, loadFailed, RowPlace, type RowReader, type RowWriter } from './row-format.js';
import { TextShortcuts } from './text-shortcuts.js';

const TAB = 0x09;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const LETTER_N = 0x4e;

/** Encodes rows in the text format. */
export class TextRowWriter implements RowWriter {
  readonly #out: Block;
  readonly #map: AdaptersMap;
  readonly #columns: number;
  readonly #native: NativeValues;
  readonly #shortcuts: TextShortcuts;
  readonly #place = new RowPlace();
  #types: readonly number[] | null = null;
  /** For each column whether its codec, or its elements' codec, writes text; null if none does. */
  #typed: readonly boolean[] | null = null;

  constructor(out: Block, map: AdaptersMap, columns: number) {
    this.#out = out;
    this.#map = map;
    this.#columns = columns;
    this.#native = map.codecs.native;
    this.#shortcuts = new TextShortcuts(columns, this.#native);
  }

  get rows(): number {
    return this.#place.row;
  }

  setTypes(oids: readonly number[]): void {
    this.#types = oids;
    const { codecFor } = this.#map.codecs;
    const typed = oids.map((oid) => codecFor(this.#map.elementType(oid)?.oid ?? oid).writeText !== undefined);
    this.#typed = typed.includes(true) ? typed : null;
    this.#shortcuts.except = this.#typed;
  }

  passed(): void {
    // Text has neither a beginning nor an end.
  }

  end(): void {
    // The server needs no end-of-data marker.
  }

  write(row: readonly unknown[]): void {
    const width = checkedWidth(row, this.#columns, this.#place);
    const out = this.#out;
    const start = out.length;
    try {
      const shortcuts = this.#shortcuts;
      for (let i = shortcuts.write(row, 0, out); i < width; i = shortcuts.write(row, i + 1, out)) {
        if (i > 0) this.#byte(TAB);
        this.#place.column = i;
        this.#value(row[i], i);
      }
      this.#byte(NEWLINE);
    } catch (error) {
      out.length = start;
      throw error;
    }
    this.#place.row++;
  }

  #byte(byte: number): void {
    const out = this.#out;
    out.room(1);
    out.bytes[out.length++] = byte;
  }

  /** Writes a value that the shortcuts do not handle. */
  #value(value: unknown, column: number): void {
    const native = this.#native;
    const out = this.#out;
    const isTyped = this.#typed?.[column] === true;
    if (!isTyped && typeof value === 'string' && native.string) {
      writeEscaped(value, out, this.#place);
      return;
    }
    if (!isTyped && typeof value === 'object' && value !== null && native.isBytes(value)) {
      this.#bytes(value);
      return;
    }
    const place = this.#place.toString();
    const { text } =
      this.#types === null
        ? dumpParam(value, this.#map, place)
        : dumpAs(value, this.#types[column]!, this.#map, place, true);
    if (text === null) {
      this.#byte(BACKSLASH);
      this.#byte(LETTER_N);
    } else writeEscaped(text, out, this.#place);
  }

  /** Writes bytes as \x and hexadecimal digits; the format doubles the backslash. */
  #bytes(value: Uint8Array): void {
    const out = this.#out;
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
for (const [letter, byte] of [
  ['b', 8],
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
] as const) {
  UNESCAPED[letter.charCodeAt(0)] = byte;
}

/** Finds the end of a value and loads it. */
interface BoundedReader {
  readonly endOfText: Reader<number>;
  readonly readText: Loader;
}

/** Decodes rows in the text format. */
export class TextRowReader implements RowReader {
  readonly #map: AdaptersMap;
  #loaders: readonly Loader[];
  /** For columns whose codec checks a value and finds its end in one pass, the reader that does so. */
  #bounded: readonly (BoundedReader | undefined)[] = [];
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  /** The number of rows so far, for error messages. */
  #rows = 0;
  /** The buffer for a field with escapes removed. */
  #plain = Buffer.allocUnsafe(256);

  constructor(map: AdaptersMap, columns: number) {
    this.#map = map;
    this.#loaders = new Array<Loader>(columns).fill(readText);
  }

  setTypes(oids: readonly number[]): void {
    const codecs = oids.map((oid) => this.#map.codecFor(oid));
    this.#loaders = codecs.map(checkedReader);
    this.#bounded = codecs.map(({ endOfText, readText }) => endOfText && { endOfText, readText });
  }

  feed(piece: Buffer): void {
    this.#piece = piece;
    this.#at = 0;
  }

  rest(): Buffer | null {
    const { length } = this.#piece;
    const rest = this.#at < length ? this.#piece.subarray(this.#at) : null;
    this.#at = length;
    return rest;
  }

  next(): unknown[] | null {
    const bytes = this.#piece;
    if (this.#at >= bytes.length) return null;
    const loaders = this.#loaders;
    const width = loaders.length;
    const row = new Array<unknown>(width);
    this.#rows++;
    let column = 0;
    try {
      if (width === 0) {
        if (bytes[this.#at] !== NEWLINE) throw this.#malformed('it has more columns than the COPY announced');
        this.#at++;
        return row;
      }
      for (;;) {
        const start = this.#at;
        let byte = bytes[start]!;
        const bounded = byte === BACKSLASH ? undefined : this.#bounded[column];
        let at = bounded === undefined ? -1 : bounded.endOfText(bytes, start, bytes.length);
        const isBounded = at >= 0 && at < bytes.length && (bytes[at] === TAB || bytes[at] === NEWLINE);
        let escapes = 0;
        if (isBounded) {
          byte = bytes[at]!;
        } else {
          at = start;
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
        this.#at = at + 1;
        if (column === width) throw this.#malformed('it has more columns than the COPY announced');
        if (isBounded) row[column] = bounded!.readText(bytes, start, at);
        else if (escapes === 0) row[column] = loaders[column]!(bytes, start, at);
        else row[column] = this.#escaped(loaders[column]!, start, at, escapes);
        column++;
        if (byte === NEWLINE) {
          if (column < width)
            throw this.#malformed(`it has ${String(column)} columns, expected ${String(width)}`);
          return row;
        }
      }
    } catch (error) {
      this.#skipRow();
      throw loadFailed(error, this.#rows, column);
    }
  }

  #escaped(loader: Loader, start: number, end: number, escapes: number): unknown {
    const bytes = this.#piece;
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
    const bytes = this.#piece;
    if (this.#at > 0 && bytes[this.#at - 1] === NEWLINE) return;
    const end = bytes.indexOf(NEWLINE, this.#at);
    this.#at = end < 0 ? bytes.length : end + 1;
  }

  #malformed(problem: string): Error {
    return new errors.DataError(`the row is malformed: ${problem}`);
  }
}
