import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Place } from '../types/codec.js';

/** Encodes the rows of a COPY … FROM. */
export interface RowWriter {
  /** The number of encoded rows. */
  readonly rows: number;
  /** Appends a row; if it throws, nothing has been appended. */
  write(row: readonly unknown[]): void;
  /** Sets the columns' types for the following rows. */
  setTypes(oids: readonly number[]): void;
  /** Tells the writer that bytes are written without it. */
  passed(): void;
  /** Appends the end of the format. */
  end(): void;
}

/** Decodes the rows of a COPY … TO. */
export interface RowReader {
  /** Adds the next piece of data, which consists of whole rows. Called after `next()` has returned null. */
  feed(piece: Buffer): void;
  /** Returns the next row; null if another piece is needed. If it throws, the next call continues with the following row. */
  next(): unknown[] | null;
  /** Returns data that was fed and not decoded, which counts as read from then on; null if there is none. */
  rest(): Buffer | null;
  /** Sets the columns' types for the following rows. */
  setTypes(oids: readonly number[]): void;
}

/**
 * The position of a value in the data, for error messages. One mutable object serves a whole COPY, since a text per value would
 * be expensive.
 */
export class RowPlace implements Place {
  /** From 0. */
  row = 0;
  /** From 0. */
  column = 0;

  toString(): string {
    return `row ${String(this.row + 1)}, column ${String(this.column + 1)}`;
  }
}

/** Adds the position in the data to a loader's error. */
export function loadFailed(error: unknown, row: number, column: number): Error {
  const detail = error instanceof Error ? error.message : thrownText(error);
  return new errors.DataError(`row ${String(row)}, column ${String(column + 1)}: ${detail}`, {
    cause: error,
  });
}

/**
 * Returns the number of a row's values. Raises an error for a value that is no row, or for a row with a wrong number of columns.
 */
export function checkedWidth(row: unknown, columns: number, place: RowPlace): number {
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
  return columns;
}
