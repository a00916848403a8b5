import type { Place } from '../types/codec.js';

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
