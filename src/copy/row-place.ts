import * as errors from '../errors/index.js';

/** Where in the data a value stands, for error messages. One object for a whole COPY: a text for each value would cost more. */
export class RowPlace {
  /** Counted from 0. */
  row = 0;
  /** Counted from 0. */
  column = 0;

  toString(): string {
    return `row ${String(this.row + 1)}, column ${String(this.column + 1)}`;
  }

  /** An error about the value that is being written. */
  refuse(problem: string): errors.DataError {
    return new errors.DataError(`${this.toString()}: ${problem}`);
  }
}

const LONGEST_SHOWN = 60;

/** A value's text as an error message shows it. */
export function shown(text: string): string {
  return `'${text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN - 1)}…`}'`;
}
