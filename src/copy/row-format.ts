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
