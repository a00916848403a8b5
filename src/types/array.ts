import * as errors from '../errors/index.js';
import { readInt32 } from '../wire/integers.js';
import type { Loader } from '../wire/row-decoder.js';
import type { CodecContext, TypeEntry } from './adaptation.js';
import type { ByteWriter } from './byte-writer.js';
import { malformed, refused, type BoundCodec, type Codec, type Place } from './codec.js';
import { readText } from './text.js';

/** The server's own limit. */
export const MOST_DIMENSIONS = 6;

/** The codec of arrays of any depth. Lower bounds other than 1 have no place in JavaScript. */
export function arrayOf(element: BoundCodec, type: TypeEntry, context: CodecContext): Codec<unknown[]> {
  const { readBinary, write, textToBinary, binaryToText } = element;
  const { delimiter } = type;
  const isLevel = (value: unknown): value is unknown[] =>
    Array.isArray(value) && context.adapters.dumperForObject(value) === undefined;
  const readTexts = textReader(readText, delimiter);
  const binaryReader = (read: Loader): Loader => {
    // A type whose values are read in the same way is as good: varchar for text.
    const fits = (oid: number): boolean => context.codecFor(oid).readBinary === readBinary;
    return (bytes, start, end) => new BinaryArrayReader(bytes, start, end, read, type, fits).array();
  };
  const readBinaryTexts = binaryToText && binaryReader(binaryToText);
  return {
    readText: textReader(element.readText, delimiter),
    readBinary: readBinary && binaryReader(readBinary),
    preferBinary: element.preferBinary === undefined ? undefined : 'columns',
    followsDateStyle: element.followsDateStyle,
    takes: Array.isArray,
    ...(write && {
      writeBinary: (array, out, place) => {
        writeArray(array, type.oid, isLevel, out, place, (value) => write(value, out, place, true));
      },
    }),
    textToBinary:
      textToBinary &&
      ((text, out, place) => {
        const array = parsed(readTexts, text, place) as unknown[];
        writeArray(array, type.oid, Array.isArray, out, place, (value) => {
          if (value !== null) textToBinary(value as string, out, place);
          return value !== null;
        });
      }),
    binaryToText:
      readBinaryTexts &&
      ((bytes, start, end) => arrayText(readBinaryTexts(bytes, start, end) as Texts, delimiter)),
  };
}

/** What `read` makes of a text, whose faults are those of the value at `place`. */
export function parsed(read: Loader, text: string, place: Place): unknown {
  const bytes = Buffer.from(text);
  try {
    return read(bytes, 0, bytes.length);
  } catch (error) {
    throw refused(place, (error as Error).message);
  }
}

type Texts = readonly (string | null | Texts)[];

function arrayText(items: Texts, delimiter: string): string {
  const texts = items.map((item) =>
    item === null
      ? 'NULL'
      : typeof item === 'string'
        ? `"${item.replace(/["\\]/g, '\\$&')}"`
        : arrayText(item, delimiter),
  );
  return `{${texts.join(delimiter)}}`;
}

// --- the text format

const OPEN = 0x7b;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const EQUALS = 0x3d;
/** What turns an ASCII letter into a small one. */
const LOWER_CASE = 0x20;

function textReader(readElement: Loader, delimiter: string): Loader {
  const separator = delimiter.charCodeAt(0);
  return (bytes, start, end) => {
    let at = start;
    // [0:1][2:3]={{…},{…}}
    if (bytes[at] !== OPEN) {
      while (at < end && bytes[at] !== EQUALS) at++;
      at++;
    }
    if (at < end && bytes[at] === OPEN) {
      const reader = new TextArrayReader(bytes, at, end, readElement, separator);
      const elements = reader.level(0);
      if (elements !== null && reader.isAtEnd) return elements;
    }
    throw new errors.DataError(`the array ${bytes.utf8Slice(start, Math.min(end, start + 60))} is malformed`);
  };
}

class TextArrayReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #readElement: Loader;
  readonly #separator: number;
  /** The lengths of the dimensions, as far as they have been seen. */
  readonly #lengths: number[] = [];
  #leafDepth = -1;
  #at: number;

  constructor(bytes: Buffer, at: number, end: number, readElement: Loader, separator: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#readElement = readElement;
    this.#separator = separator;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** The elements between two braces, behind which reading goes on; null if the array is malformed. */
  level(depth: number): unknown[] | null {
    const bytes = this.#bytes;
    const end = this.#end;
    const separator = this.#separator;
    const readElement = this.#readElement;
    const elements: unknown[] = [];
    let at = this.#at + 1;
    if (at >= end || depth === MOST_DIMENSIONS) return null;
    if (bytes[at] === CLOSE) {
      this.#at = at + 1;
      return this.#fits(elements, depth, true);
    }
    const isNested = bytes[at] === OPEN;
    while (at < end) {
      const first = bytes[at];
      if ((first === OPEN) !== isNested) return null;
      if (isNested) {
        this.#at = at;
        const inner = this.level(depth + 1);
        if (inner === null) return null;
        elements.push(inner);
        at = this.#at;
      } else if (first === QUOTE) {
        this.#at = at;
        const element = this.#quoted();
        if (element === undefined) return null;
        elements.push(element);
        at = this.#at;
      } else {
        const from = at;
        while (at < end && bytes[at] !== separator && bytes[at] !== CLOSE) at++;
        if (at === end) return null;
        elements.push(isNull(bytes, from, at) ? null : readElement(bytes, from, at));
      }
      if (at >= end) return null;
      const next = bytes[at++];
      if (next === CLOSE) {
        this.#at = at;
        return this.#fits(elements, depth, !isNested);
      }
      if (next !== separator) return null;
    }
    return null;
  }

  /** The elements, if there are as many as elsewhere in this depth, and all of the array are in one. */
  #fits(elements: unknown[], depth: number, isLeaf: boolean): unknown[] | null {
    if (isLeaf) {
      if (this.#leafDepth < 0) this.#leafDepth = depth;
      else if (this.#leafDepth !== depth) return null;
    }
    this.#lengths[depth] ??= elements.length;
    return this.#lengths[depth] === elements.length ? elements : null;
  }

  /** An element between quotes; undefined if the second one is missing. */
  #quoted(): unknown {
    const bytes = this.#bytes;
    const end = this.#end;
    const from = this.#at + 1;
    let at = from;
    let escaped = 0;
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) {
        escaped++;
        at++;
      }
      at++;
    }
    if (at >= end) return undefined;
    this.#at = at + 1;
    if (escaped === 0) return this.#readElement(bytes, from, at);
    const plain = Buffer.allocUnsafe(at - from - escaped);
    for (let source = from, target = 0; source < at; source++) {
      if (bytes[source] === BACKSLASH) source++;
      plain[target++] = bytes[source]!;
    }
    return this.#readElement(plain, 0, plain.length);
  }
}

/** Unquoted, NULL in whatever case is no value. */
function isNull(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    (bytes[start]! | LOWER_CASE) === 0x6e &&
    (bytes[start + 1]! | LOWER_CASE) === 0x75 &&
    (bytes[start + 2]! | LOWER_CASE) === 0x6c &&
    (bytes[start + 3]! | LOWER_CASE) === 0x6c
  );
}

// --- the binary format: dimensions, whether there is a NULL, the elements' type, length and lower bound of each dimension, elements

class BinaryArrayReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #readElement: Loader;
  readonly #type: TypeEntry;
  readonly #fits: (oid: number) => boolean;
  readonly #lengths: number[] = [];
  #at: number;

  constructor(
    bytes: Buffer,
    start: number,
    end: number,
    readElement: Loader,
    type: TypeEntry,
    fits: (oid: number) => boolean,
  ) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#readElement = readElement;
    this.#type = type;
    this.#fits = fits;
  }

  array(): unknown[] {
    const dimensions = this.#int32();
    if (dimensions < 0 || dimensions > MOST_DIMENSIONS) throw this.#contradiction();
    // Whether there are NULLs.
    this.#int32();
    const oid = this.#int32() >>> 0;
    if (oid !== this.#type.oid && !this.#fits(oid)) {
      throw malformed(`${this.#type.name}[]`, `its elements are of the type with the oid ${String(oid)}`);
    }
    let elements = 1;
    for (let i = 0; i < dimensions; i++) {
      const length = this.#int32();
      // The lower bound has no place in JavaScript.
      this.#int32();
      elements *= length;
      // Each element takes four bytes at least, so that no more than have arrived is made room for.
      if (length < 0 || elements > (this.#end - this.#at) / 4) throw this.#contradiction();
      this.#lengths.push(length);
    }
    const array = dimensions === 0 || elements === 0 ? [] : this.#level(0);
    if (this.#at !== this.#end) throw this.#contradiction();
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
    const readElement = this.#readElement;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      if (at + 4 > end) throw this.#contradiction();
      const size = readInt32(bytes, at);
      at += 4;
      if (size < 0) {
        if (size !== -1) throw this.#contradiction();
        elements[i] = null;
        continue;
      }
      const stop = at + size;
      if (stop > end) throw this.#contradiction();
      elements[i] = readElement(bytes, at, stop);
      at = stop;
    }
    this.#at = at;
    return elements;
  }

  #int32(): number {
    const at = this.#at;
    if (at + 4 > this.#end) throw this.#contradiction();
    this.#at = at + 4;
    return readInt32(this.#bytes, at);
  }

  #contradiction(): Error {
    return malformed(`${this.#type.name}[]`, 'its parts contradict its length');
  }
}

/** `isLevel` tells an array from an element, `writeElement` gives false for NULL. */
function writeArray(
  array: readonly unknown[],
  elementOid: number,
  isLevel: (value: unknown) => value is unknown[],
  out: ByteWriter,
  place: Place,
  writeElement: (value: unknown) => boolean,
): void {
  const shape = shapeOf(array, isLevel, place);
  const isEmpty = shape.includes(0);
  out.int32(isEmpty ? 0 : shape.length);
  const flagAt = out.length;
  out.int32(0);
  out.int32(elementOid);
  if (isEmpty) return;
  for (const length of shape) {
    out.int32(length);
    out.int32(1);
  }
  let hasNull = false;
  const writeLevel = (level: readonly unknown[], depth: number): void => {
    const isLeaf = depth === shape.length - 1;
    if (level.length !== shape[depth]) throw ragged(place);
    for (const value of level) {
      if (isLevel(value) === isLeaf) throw ragged(place);
      if (!isLeaf) {
        writeLevel(value as unknown[], depth + 1);
        continue;
      }
      const start = out.length;
      out.int32(-1);
      if (writeElement(value)) out.setInt32(start, out.length - start - 4);
      else hasNull = true;
    }
  };
  writeLevel(array, 0);
  if (hasNull) out.setInt32(flagAt, 1);
}

/** The lengths of the dimensions, going by the first element of each. */
function shapeOf(
  array: readonly unknown[],
  isLevel: (value: unknown) => value is unknown[],
  place: Place,
): number[] {
  const shape: number[] = [];
  for (let level: unknown = array; isLevel(level); level = level[0]) {
    if (shape.length === MOST_DIMENSIONS) {
      throw refused(
        place,
        `an array can have ${String(MOST_DIMENSIONS)} dimensions at most, and can't contain itself`,
      );
    }
    shape.push(level.length);
  }
  return shape;
}

function ragged(place: Place): Error {
  return refused(place, 'nested arrays must all have the same length and depth');
}
