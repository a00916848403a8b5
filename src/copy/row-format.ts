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
