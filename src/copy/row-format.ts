import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { AdaptersMap } from '../types/adapters-map.js';
import type { Place } from '../types/codec.js';
import { tooLarge } from '../types/dump.js';
import type { Loader } from '../wire/row-decoder.js';
import type { Block } from './block.js';

/**
 * The position of a value in the data, for error messages. One mutable object serves a whole COPY, since a text per value would
 * be expensive.
 */
class RowPlace implements Place {
  /** From 0. */
  row = 0;
  /** From 0. */
  column = 0;

  toString(): string {
    return `row ${String(this.row + 1)}, column ${String(this.column + 1)}`;
  }
}

/** Encodes the rows of a COPY … FROM. */
export abstract class RowWriter {
  protected readonly out: Block;
  protected readonly map: AdaptersMap;
  protected readonly columns: number;
  protected readonly place = new RowPlace();

  constructor(out: Block, map: AdaptersMap, columns: number) {
    this.out = out;
    this.map = map;
    this.columns = columns;
  }

  /** Appends a row; if it throws, nothing has been appended. */
  write(row: readonly unknown[]): void {
    this.#checkWidth(row);
    const { out } = this;
    const start = out.length;
    try {
      this.encode(row);
    } catch (error) {
      out.length = start;
      throw tooLarge(error, this.place);
    }
    this.place.row++;
  }

  protected abstract encode(row: readonly unknown[]): void;

  /** Sets the columns' types for the following rows. */
  abstract setTypes(oids: readonly number[]): void;

  /** Tells the writer that bytes are written without it. Only the binary format needs to know. */
  passed?(): void;

  /** Appends the end of the format, if it has one. */
  end?(): void;

  #checkWidth(row: unknown): void {
    const { place, columns } = this;
    if (!Array.isArray(row)) {
      throw new errors.ProgrammingError(
        `row ${String(place.row + 1)}: expected writeRow() to get an array of values, got ${row === null ? 'null' : typeof row}`,
      );
    }
    if (row.length !== columns) {
      throw new (errors.conditionClass('BadCopyFileFormat'))(
        `row ${String(place.row + 1)} has ${String(row.length)} values, but the COPY takes ${String(columns)} columns`,
      );
    }
  }
}

/** Decodes the rows of a COPY … TO. */
export abstract class RowReader {
  protected readonly map: AdaptersMap;
  protected loaders: readonly Loader[];
  protected piece: Buffer = Buffer.alloc(0);
  /** The position of the next row in the piece. */
  protected at = 0;
  /** The number of rows so far. */
  protected rows = 0;

  /** `load` loads the values until their types are set. */
  constructor(map: AdaptersMap, columns: number, load: Loader) {
    this.map = map;
    this.loaders = new Array<Loader>(columns).fill(load);
  }

  /** Adds the next piece of data, which consists of whole rows. Called after `next()` has returned null. */
  feed(piece: Buffer): void {
    this.piece = piece;
    this.at = 0;
  }

  /** Returns data that was fed and not decoded, which counts as read from then on; null if there is none. */
  rest(): Buffer | null {
    const { piece, at } = this;
    this.at = piece.length;
    return at < piece.length ? piece.subarray(at) : null;
  }

  /** Returns the next row; null if another piece is needed. If it throws, the next call continues with the following row. */
  abstract next(): unknown[] | null;

  /** Sets the columns' types for the following rows. */
  abstract setTypes(oids: readonly number[]): void;

  /** Adds the position in the data to a loader's error. */
  protected failed(error: unknown, column: number): Error {
    const detail = error instanceof Error ? error.message : thrownText(error);
    return new errors.DataError(`row ${String(this.rows)}, column ${String(column + 1)}: ${detail}`, {
      cause: error,
    });
  }
}
