import { ProtocolViolation, readInt32, type Field } from './backend-messages.js';

/**
 * Reads one value from `bytes[start..end)`, in text format unless the loader is made for another. The buffer belongs to the
 * socket, so a loader must copy what it keeps.
 */
export type Loader = (bytes: Buffer, start: number, end: number) => unknown;

/**
 * Makes a row from the body of a `DataRow`, `bytes[start..end)`: a count, then for each value its length and its bytes; a length
 * of -1 is NULL. Throws `ProtocolViolation` if these contradict each other or the columns, so that values can never shift between
 * columns.
 */
export interface RowDecoder {
  decode(bytes: Buffer, start: number, end: number): unknown;
}

/** The format codes of `Bind`. */
export const TEXT_FORMAT = 0;
export const BINARY_FORMAT = 1;

/** The formats to request for a result and the decoder for rows in these formats. */
export interface RowPlan {
  /** The format of each column; undefined: text, all of them. */
  readonly formats: readonly number[] | undefined;
  readonly decoder: RowDecoder;
}

/** Supplies the decoders of a statement's results. */
export interface RowDecoderSource {
  /** The decoder of a result in text format. Called once its columns are known. */
  decoderFor(fields: readonly Field[]): RowDecoder;
  /** The formats and decoder of a result whose columns are known before execution. If undefined, results come in text format. */
  planFor?(fields: readonly Field[]): RowPlan;
}

/** Makes rows as arrays of values. */
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

/** Makes rows as objects with a property per column. */
export class ObjectDecoder implements RowDecoder {
  readonly #names: readonly string[];
  readonly #loaders: readonly Loader[];

  private constructor(names: readonly string[], loaders: readonly Loader[]) {
    this.#names = names;
    this.#loaders = loaders;
  }

  /** Returns null if an object cannot hold the columns separately: two have the same name, or one is named `__proto__`. */
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

  /** The values of a row made by this decoder, in the order of the columns. */
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
