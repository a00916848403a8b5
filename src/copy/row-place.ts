import type { Place } from '../types/codec.js';

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
