import { ProtocolViolation, readInt32, type Field } from './backend-messages.js';

/**
 * Reads one value, in text format unless it is a loader of another, from `bytes[start..end)`. The buffer belongs to the socket: a
 * loader copies what it keeps.
 */
export type Loader = (bytes: Buffer, start: number, end: number) => unknown;

/**
 * Makes a row of the body of a `DataRow`, `bytes[start..end)`: a count, and then a length and the bytes for each value; a
 * length of -1 is NULL. Throws `ProtocolViolation` where these contradict each other, or the columns, so that no value is ever
 * taken for another's.
 */
export interface RowDecoder {
  decode(bytes: Buffer, start: number, end: number): unknown;
}

/** How the values of a column are sent, as `Bind` has it. */
export const TEXT_FORMAT = 0;
export const BINARY_FORMAT = 1;

/** What a result is asked for as, and what makes rows of it then. */
export interface RowPlan {
  /** The format of each column; undefined: text, all of them. */
  readonly formats: readonly number[] | undefined;
  readonly decoder: RowDecoder;
}

/** Has the rows of a result made. */
export interface RowDecoderSource {
  /** The decoder of a result in text format, once its columns are known. */
  decoderFor(fields: readonly Field[]): RowDecoder;
  /** The formats of a result whose columns are known beforehand, and its decoder; without it, it is text. */
  planFor?(fields: readonly Field[]): RowPlan;
}

/** Rows as arrays of their values. */
export class TupleDecoder implements RowDecoder {
  readonly #loaders: readonly Loader[];

  constructor(loaders: readonly Loader[]) {
    this.#loaders = loaders;
  }

  decode(bytes: Buffer, start: number, end: number): unknown[] {
    const loaders = this.#loaders;
    const width = loaders.length;
    const row = new Array<unknown>(width);
    checkWidth(bytes, start, end, width);
    let at = start + 2;
    for (let i = 0; i < width; i++) {
      const length = readInt32(bytes, at);
      at += 4;
      if (length < 0) {
        if (length !== -1) throw contradiction();
        row[i] = null;
      } else {
        const stop = at + length;
        if (stop > end) throw contradiction();
        row[i] = loaders[i]!(bytes, at, stop);
        at = stop;
      }
    }
    if (at !== end) throw contradiction();
    return row;
  }
}

/** Rows as objects with a property for each column. */
export class ObjectDecoder implements RowDecoder {
  readonly #names: readonly string[];
  readonly #loaders: readonly Loader[];

  private constructor(names: readonly string[], loaders: readonly Loader[]) {
    this.#names = names;
    this.#loaders = loaders;
  }

  /** Null for columns that an object can't hold one by one: with the same name twice, or that of the prototype. */
  static create(names: readonly string[], loaders: readonly Loader[]): ObjectDecoder | null {
    const distinct = new Set(names).size === names.length && !names.includes('__proto__');
    return distinct ? new ObjectDecoder(names, loaders) : null;
  }

  decode(bytes: Buffer, start: number, end: number): Record<string, unknown> {
    const names = this.#names;
    const loaders = this.#loaders;
    const width = names.length;
    const row: Record<string, unknown> = {};
    checkWidth(bytes, start, end, width);
    let at = start + 2;
    for (let i = 0; i < width; i++) {
      const length = readInt32(bytes, at);
      at += 4;
      if (length < 0) {
        if (length !== -1) throw contradiction();
        row[names[i]!] = null;
      } else {
        const stop = at + length;
        if (stop > end) throw contradiction();
        row[names[i]!] = loaders[i]!(bytes, at, stop);
        at = stop;
      }
    }
    if (at !== end) throw contradiction();
    return row;
  }

  /** The values of a row made here, in the order of the columns. */
  valuesOf(row: Readonly<Record<string, unknown>>): unknown[] {
    return this.#names.map((name) => row[name]);
  }
}

function checkWidth(bytes: Buffer, start: number, end: number, width: number): void {
  if (end - start < 2 || ((bytes[start]! << 8) | bytes[start + 1]!) !== width) {
    throw new ProtocolViolation('a row with another number of values than there are columns');
  }
}

function contradiction(): ProtocolViolation {
  return new ProtocolViolation('a row whose values contradict its length');
}
