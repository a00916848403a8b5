import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Place } from '../types/codec.js';

/** Encodes the rows of a COPY … FROM. */
export interface RowWriter {
  /** How many rows have been encoded. */
  readonly rows: number;
  /** Appends a row; if it raises, nothing has been appended. */
  write(row: readonly unknown[]): void;
  /** From here on the columns are of these types. */
  setTypes(oids: readonly number[]): void;
  /** Says that data has been, or is going to be, written past the writer. */
  passed(): void;
  /** Appends what the format ends with. */
  end(): void;
}

/** Decodes the rows of a COPY … TO. */
export interface RowReader {
  /** The next piece of data, whole rows. To be called when `next()` has given null. */
  feed(piece: Buffer): void;
  /** The next row; null if another piece is needed. If it raises, the next call goes on with the row behind. */
  next(): unknown[] | null;
  /** What has been fed and not been decoded; from here on it counts as read. Null if there is nothing. */
  rest(): Buffer | null;
  /** From here on the columns are of these types. */
  setTypes(oids: readonly number[]): void;
}

/** Where in the data a value stands, for error messages. One object for a whole COPY: a text for each value would cost more. */
export class RowPlace implements Place {
  /** Counted from 0. */
  row = 0;
  /** Counted from 0. */
  column = 0;

  toString(): string {
    return `row ${String(this.row + 1)}, column ${String(this.column + 1)}`;
  }
}

/** Says where in the data a loader failed. */
export function loadFailed(error: unknown, row: number, column: number): Error {
  const detail = error instanceof Error ? error.message : thrownText(error);
  return new errors.DataError(`row ${String(row)}, column ${String(column + 1)}: ${detail}`, {
    cause: error,
  });
}

/** How many values a row has. Raises for what is no row, or one with another number of columns than the COPY. */
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
