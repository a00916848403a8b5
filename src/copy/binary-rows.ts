import type { AdaptersMap } from '../types/adapters-map.js';
import { dumpParam } from '../types/dump.js';
import * as errors from '../errors/index.js';
import type { ByteWriter } from '../types/byte-writer.js';
import { refused, writeSized, type Place, type ValueWriter } from '../types/codec.js';
import { Oids } from '../types/oids.js';
import { readBytes } from '../types/text.js';
import { writeUtf8 } from '../types/write-text.js';
import { BinaryShortcuts } from './binary-shortcuts.js';
import { RowReader, RowWriter } from './row-format.js';

/** The signature, the flags, and the length of the header extension. */
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const SIGNATURE = HEADER.subarray(0, 11);
/** Flags in the upper half change the format, so a reader that does not know them must fail. */
const CRITICAL_FLAGS = 0xffff_0000;
const TRAILER = -1;

/** Encodes rows in the binary format. */
export class BinaryRowWriter extends RowWriter {
  #writers: readonly ValueWriter[] | null = null;
  #shortcuts: BinaryShortcuts | null = null;
  #hasPassed = false;

  setTypes(oids: readonly number[]): void {
    const { codecs } = this.map;
    this.#writers = oids.map((oid) => codecs.codecFor(oid).write ?? refuse(oid, 'written', this.map));
    this.#shortcuts = new BinaryShortcuts(oids, codecs.native);
  }

  /** Written bytes include the header. */
  override passed(): void {
    this.#hasPassed = true;
  }

  protected encode(row: readonly unknown[]): void {
    const { out, place, columns } = this;
    if (place.row === 0 && !this.#hasPassed) out.append(HEADER);
    out.int16(columns);
    const shortcuts = this.#shortcuts;
    for (
      let i = shortcuts?.write(row, 0, out) ?? 0;
      i < columns;
      i = shortcuts?.write(row, i + 1, out) ?? i + 1
    ) {
      place.column = i;
      writeSized(this.#writers?.[i] ?? this.#guess, row[i], out, place, true);
    }
  }

  override end(): void {
    if (this.place.row === 0) {
      // As in Psycopg, bytes written without rows are taken to be the whole file.
      if (this.#hasPassed) return;
      this.out.append(HEADER);
    }
    this.out.int16(TRAILER);
  }

  /** Writes a value of a column without a named type as the type that it would have as a parameter. */
  readonly #guess: ValueWriter = (value, out, place) => writeGuessed(value, out, place, this.map);
}

function refuse(oid: number, what: 'read' | 'written', map: AdaptersMap): never {
  throw new errors.NotSupportedError(
    `the type ${map.type(oid)?.name ?? String(oid)} can't be ${what} in the binary format here; copy in the text format`,
  );
}

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
export class BinaryRowReader extends RowReader {
  #begun = false;
  #ended = false;

  constructor(map: AdaptersMap, columns: number) {
    super(map, columns, readBytes);
  }

  setTypes(oids: readonly number[]): void {
    this.loaders = oids.map((oid) => this.map.codecFor(oid).readBinary ?? refuse(oid, 'read', this.map));
  }

  override rest(): Buffer | null {
    const rest = super.rest();
    if (rest !== null) this.#begun = true;
    return rest;
  }

  next(): unknown[] | null {
    const bytes = this.piece;
    if (!this.#begun && bytes.length > 0) this.#readHeader();
    if (this.at >= bytes.length || this.#ended) return null;
    const count = bytes.readInt16BE(this.at);
    this.at += 2;
    if (count === TRAILER) {
      this.#ended = true;
      return null;
    }
    this.rows++;
    const { loaders } = this;
    const width = loaders.length;
    if (count !== width) {
      throw this.#malformed(`it has ${String(count)} columns, expected ${String(width)}`);
    }
    const row = new Array<unknown>(width);
    // An error of a value is thrown only after the whole row has been passed, so that the next call continues with the next row.
    let failed: Error | null = null;
    for (let i = 0; i < width; i++) {
      const start = this.at + 4;
      const length = start <= bytes.length ? bytes.readInt32BE(this.at) : Infinity;
      if (length > bytes.length - start) throw this.#malformed('its end is missing');
      this.at = start + Math.max(0, length);
      if (length < 0) {
        row[i] = null;
        continue;
      }
      try {
        row[i] = loaders[i]!(bytes, start, this.at);
      } catch (error) {
        failed ??= this.failed(error, i);
      }
    }
    if (failed !== null) throw failed;
    return row;
  }

  #readHeader(): void {
    const bytes = this.piece;
    this.#begun = true;
    if (bytes.length < HEADER.length || !bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) {
      throw this.#refused("the data can't be read: it doesn't begin with the signature of binary COPY data");
    }
    if ((bytes.readUInt32BE(SIGNATURE.length) & CRITICAL_FLAGS) !== 0) {
      throw this.#refused("the data can't be read: its flags announce a format that is not known here");
    }
    this.at = HEADER.length + bytes.readUInt32BE(SIGNATURE.length + 4);
  }

  #malformed(problem: string): Error {
    return this.#refused(`row ${String(this.rows)} is malformed: ${problem}`);
  }

  /** The error for a piece of which the rest can't be read. */
  #refused(message: string): Error {
    this.at = this.piece.length;
    return new errors.DataError(message);
  }
}
