import type { AdaptersMap } from '../types/adapters-map.js';
import { dumpParam } from '../types/dump.js';
import * as errors from '../errors/index.js';
import type { ByteWriter } from '../types/byte-writer.js';
import { refused, writeSized, type Place, type ValueWriter } from '../types/codec.js';
import { Oids } from '../types/oids.js';
import { readBytes } from '../types/text.js';
import { writeUtf8 } from '../types/write-text.js';
import type { Loader } from '../wire/row-decoder.js';
import { BinaryShortcuts } from './binary-shortcuts.js';
import type { Block } from './block.js';
import { checkedWidth, loadFailed, RowPlace, type RowReader, type RowWriter } from './row-format.js';

/** The signature, the flags, and the length of the header extension. */
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const SIGNATURE = HEADER.subarray(0, 11);
/** Flags in the upper half change the format, so a reader that does not know them must fail. */
const CRITICAL_FLAGS = 0xffff_0000;
const TRAILER = -1;

/** Encodes rows in the binary format. */
export class BinaryRowWriter implements RowWriter {
  readonly #out: Block;
  readonly #map: AdaptersMap;
  readonly #columns: number;
  readonly #place = new RowPlace();
  /** Writes values of columns without a named type. */
  readonly #guess: ValueWriter;
  #writers: readonly ValueWriter[] | null = null;
  #shortcuts: BinaryShortcuts | null = null;
  #begun = false;
  #hasRows = false;

  constructor(out: Block, map: AdaptersMap, columns: number) {
    this.#out = out;
    this.#map = map;
    this.#columns = columns;
    this.#guess = (value, out, place) => writeGuessed(value, out, place, map);
  }

  get rows(): number {
    return this.#place.row;
  }

  setTypes(oids: readonly number[]): void {
    this.#writers = oids.map((oid) => {
      const { write } = this.#map.codecFor(oid);
      if (write !== undefined) return write;
      throw new errors.NotSupportedError(
        `the type ${this.#map.type(oid)?.name ?? String(oid)} can't be written in the binary format here; copy in the text format`,
      );
    });
    this.#shortcuts = new BinaryShortcuts(oids, this.#map.codecs.native);
  }

  /** Written bytes include the header. */
  passed(): void {
    this.#begun = true;
  }

  write(row: readonly unknown[]): void {
    const width = checkedWidth(row, this.#columns, this.#place);
    const out = this.#out;
    const start = out.length;
    const begun = this.#begun;
    try {
      this.#begin();
      out.int16(width);
      const shortcuts = this.#shortcuts;
      for (
        let i = shortcuts?.write(row, 0, out) ?? 0;
        i < width;
        i = shortcuts?.write(row, i + 1, out) ?? i + 1
      ) {
        this.#place.column = i;
        writeSized(this.#writers?.[i] ?? this.#guess, row[i], out, this.#place, true);
      }
    } catch (error) {
      out.length = start;
      this.#begun = begun;
      throw error;
    }
    this.#hasRows = true;
    this.#place.row++;
  }

  end(): void {
    // As in Psycopg, bytes written without rows are taken to be the whole file.
    if (this.#begun && !this.#hasRows) return;
    this.#begin();
    this.#out.int16(TRAILER);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#out.append(HEADER);
    this.#begun = true;
  }
}

/** Writes a value as the type that it would have as a parameter. Returns false for NULL. */
function writeGuessed(value: unknown, out: ByteWriter, place: Place, map: AdaptersMap): boolean {
  if (value === null) return false;
  const { codecFor, native } = map.codecs;
  if (typeof value === 'string' && native.string) {
    writeUtf8(value, out, place);
    return true;
  }
  const { text, oid } = dumpParam(value, map, place.toString());
  if (text === null) return false;
  if (oid === Oids.unknown) {
    if (typeof value === 'object' && native.leaves(value)) {
      throw refused(
        place,
        "the type of this value isn't known: name the types of the columns with setTypes()",
      );
    }
    writeUtf8(text, out, place);
    return true;
  }
  const { write, textToBinary } = codecFor(oid);
  if (typeof value !== 'object' && write !== undefined && native.leaves(value)) {
    return write(value, out, place, false);
  }
  if (textToBinary === undefined) {
    const name = map.type(oid)?.name ?? map.elementType(oid)?.name ?? `with the oid ${String(oid)}`;
    throw refused(place, `the type ${name} has no binary format here; copy in the text format`);
  }
  textToBinary(text, out, place);
  return true;
}

/** Decodes rows in the binary format. */
export class BinaryRowReader implements RowReader {
  readonly #map: AdaptersMap;
  #loaders: readonly Loader[];
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  #begun = false;
  #ended = false;
  #rows = 0;

  constructor(map: AdaptersMap, columns: number) {
    this.#map = map;
    this.#loaders = new Array<Loader>(columns).fill(readBytes);
  }

  setTypes(oids: readonly number[]): void {
    this.#loaders = oids.map((oid) => {
      const { readBinary } = this.#map.codecFor(oid);
      if (readBinary !== undefined) return readBinary;
      throw new errors.NotSupportedError(
        `the type ${this.#map.type(oid)?.name ?? String(oid)} can't be read in the binary format here; copy in the text format`,
      );
    });
  }

  feed(piece: Buffer): void {
    this.#piece = piece;
    this.#at = 0;
  }

  rest(): Buffer | null {
    const { length } = this.#piece;
    const rest = this.#at < length ? this.#piece.subarray(this.#at) : null;
    this.#at = length;
    if (length > 0) this.#begun = true;
    return rest;
  }

  next(): unknown[] | null {
    const bytes = this.#piece;
    if (!this.#begun && bytes.length > 0) this.#readHeader();
    if (this.#at >= bytes.length || this.#ended) return null;
    const count = bytes.readInt16BE(this.#at);
    this.#at += 2;
    if (count === TRAILER) {
      this.#ended = true;
      return null;
    }
    this.#rows++;
    const loaders = this.#loaders;
    const width = loaders.length;
    if (count !== width) {
      this.#at = bytes.length;
      throw new errors.DataError(
        `row ${String(this.#rows)} is malformed: it has ${String(count)} columns, expected ${String(width)}`,
      );
    }
    const row = new Array<unknown>(width);
    // An error of a value is thrown only after the whole row has been passed, so that the next call continues with the next row.
    let failed: Error | null = null;
    for (let i = 0; i < width; i++) {
      const start = this.#at + 4;
      const length = start <= bytes.length ? bytes.readInt32BE(this.#at) : Infinity;
      if (length > bytes.length - start) {
        this.#at = bytes.length;
        throw new errors.DataError(`row ${String(this.#rows)} is malformed: its end is missing`);
      }
      this.#at = start + Math.max(0, length);
      if (length < 0) {
        row[i] = null;
        continue;
      }
      try {
        row[i] = loaders[i]!(bytes, start, this.#at);
      } catch (error) {
        failed ??= loadFailed(error, this.#rows, i);
      }
    }
    if (failed !== null) throw failed;
    return row;
  }

  #readHeader(): void {
    const bytes = this.#piece;
    this.#begun = true;
    if (bytes.length < HEADER.length || !bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) {
      throw this.#refuse("it doesn't begin with the signature of binary COPY data");
    }
    if ((bytes.readUInt32BE(SIGNATURE.length) & CRITICAL_FLAGS) !== 0) {
      throw this.#refuse('its flags announce a format that is not known here');
    }
    this.#at = HEADER.length + bytes.readUInt32BE(SIGNATURE.length + 4);
  }

  #refuse(problem: string): Error {
    this.#at = this.#piece.length;
    return new errors.DataError(`the data can't be read: ${problem}`);
  }
}
