import { ProtocolViolation } from '../wire/backend-messages.js';
import { readInt32 } from '../wire/integers.js';
import type { Loader } from '../wire/row-decoder.js';
import type { LoaderMaker } from './adapters-map.js';
import { instantOf } from './binary-time.js';
import { instantLoader } from './load-datetime.js';
import { bigintOf, loadBigint, loadInteger } from './load-numbers.js';
import { loadBoolean, loadBytes, loadText } from './load-text.js';
import { Oids } from './oids.js';

// Loaders of the binary format, for the types of which it is less work, above all for the server. Each gives what the loader of
// the text gives, whatever the session's settings are. That is why floats are not among them: their text depends on
// extra_float_digits, of which nobody is told.

/** The binary format of a type. */
export interface BinaryFormat {
  /** What loads its text. Where somebody has registered another loader, that one is to be given the text. */
  readonly text: Loader | LoaderMaker | undefined;
  readonly load: Loader;
  /** Whether it is worth it for a column of the type, rather than for its arrays only. */
  readonly forColumns: boolean;
}

/** What the server has for the dimensions of an array, at most. */
const MOST_DIMENSIONS = 6;

function checkSize(start: number, end: number, size: number): void {
  if (end - start !== size) throw contradiction();
}

function contradiction(): ProtocolViolation {
  return new ProtocolViolation('a value whose length contradicts its type');
}

const int2: Loader = (bytes, start, end) => {
  checkSize(start, end, 2);
  return ((bytes[start]! << 24) >> 16) | bytes[start + 1]!;
};

const int4: Loader = (bytes, start, end) => {
  checkSize(start, end, 4);
  return readInt32(bytes, start);
};

const oid: Loader = (bytes, start, end) => {
  checkSize(start, end, 4);
  return readInt32(bytes, start) >>> 0;
};

const int8: Loader = (bytes, start, end) => {
  checkSize(start, end, 8);
  return bigintOf(readInt32(bytes, start), readInt32(bytes, start + 4));
};

const bool: Loader = (bytes, start, end) => {
  checkSize(start, end, 1);
  return bytes[start] === 1;
};

const bytea: Loader = (bytes, start, end) => {
  const loaded = Buffer.allocUnsafe(end - start);
  bytes.copy(loaded, 0, start, end);
  return loaded;
};

const instant: Loader = (bytes, start, end) => {
  checkSize(start, end, 8);
  return instantOf(bytes, start);
};

/** Loads arrays of any depth, as `arrayLoader()` loads their text. */
export function binaryArrayLoader(loadElement: Loader): Loader {
  return (bytes, start, end) => new BinaryArrayReader(bytes, start, end, loadElement).array();
}

class BinaryArrayReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #loadElement: Loader;
  readonly #lengths: number[] = [];
  #at: number;

  constructor(bytes: Buffer, start: number, end: number, loadElement: Loader) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#loadElement = loadElement;
  }

  array(): unknown[] {
    const dimensions = this.#int32();
    if (dimensions < 0 || dimensions > MOST_DIMENSIONS) throw contradiction();
    // Whether there are NULLs, and the type of the elements, which goes with that of the column.
    this.#int32();
    this.#int32();
    let elements = 1;
    for (let i = 0; i < dimensions; i++) {
      const length = this.#int32();
      // The lower bound has no place in JavaScript.
      this.#int32();
      elements *= length;
      // Each element takes four bytes at least, so that no more than have arrived is made room for.
      if (length < 0 || elements > (this.#end - this.#at) / 4) throw contradiction();
      this.#lengths.push(length);
    }
    const array = dimensions === 0 ? [] : this.#level(0);
    if (this.#at !== this.#end) throw contradiction();
    return array;
  }

  #level(depth: number): unknown[] {
    const length = this.#lengths[depth]!;
    const elements = new Array<unknown>(length);
    if (depth + 1 < this.#lengths.length) {
      for (let i = 0; i < length; i++) elements[i] = this.#level(depth + 1);
      return elements;
    }
    const bytes = this.#bytes;
    const end = this.#end;
    const loadElement = this.#loadElement;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      if (at + 4 > end) throw contradiction();
      const size = readInt32(bytes, at);
      at += 4;
      if (size < 0) {
        if (size !== -1) throw contradiction();
        elements[i] = null;
        continue;
      }
      const stop = at + size;
      if (stop > end) throw contradiction();
      elements[i] = loadElement(bytes, at, stop);
      at = stop;
    }
    this.#at = at;
    return elements;
  }

  #int32(): number {
    const at = this.#at;
    if (at + 4 > this.#end) throw contradiction();
    this.#at = at + 4;
    return readInt32(this.#bytes, at);
  }
}

const BPCHAR = 1042;
const VARCHAR = 1043;
const NAME = 19;
const asText: BinaryFormat = { text: undefined, load: loadText, forColumns: false };

/** The types whose values are asked for in the binary format, where it is known beforehand that they are to come. */
export const BINARY_FORMATS: ReadonlyMap<number, BinaryFormat> = new Map([
  [Oids.int2, { text: loadInteger, load: int2, forColumns: true }],
  [Oids.int4, { text: loadInteger, load: int4, forColumns: true }],
  [Oids.oid, { text: loadInteger, load: oid, forColumns: true }],
  [Oids.int8, { text: loadBigint, load: int8, forColumns: true }],
  [Oids.timestamptz, { text: instantLoader, load: instant, forColumns: true }],
  [Oids.bytea, { text: loadBytes, load: bytea, forColumns: true }],
  [Oids.bool, { text: loadBoolean, load: bool, forColumns: false }],
  [Oids.text, asText],
  [VARCHAR, asText],
  [BPCHAR, asText],
  [NAME, asText],
] satisfies [number, BinaryFormat][]);
