import { BACKSLASH, CLOSE_BRACE, LOWER_CASE, OPEN_BRACE, QUOTE, trimmed, WHITE_SPACE } from './ascii.js';
import type { Loader } from '../wire/row-decoder.js';
import type { Adapters, CodecContext, TypeEntry } from './adaptation.js';
import { BinaryReader } from './binary-reader.js';
import type { ByteWriter } from './byte-writer.js';
import {
  compound,
  malformed,
  malformedText,
  refused,
  shown,
  writeSized,
  type BoundCodec,
  type Codec,
  type Place,
  type ValueWriter,
} from './codec.js';
import { unknown } from './text.js';
import { quoted } from './write-text.js';

/** Makes the codec of arrays of any depth. Lower bounds other than 1 are dropped, since JavaScript has none. */
export function arrayOf(element: BoundCodec, type: TypeEntry, context: CodecContext): Codec<unknown[]> {
  const { delimiter } = type;
  // Types that share a reader are interchangeable in a binary array: varchar for text. All unknown types share one, too.
  const fits = (oid: number): boolean =>
    element.readBinary !== unknown.readBinary && context.codecFor(oid).readBinary === element.readBinary;
  const make = ({ readText, readBinary, write }: BoundCodec): Codec<unknown[]> => ({
    readText: textReader(readText, delimiter),
    readBinary: readBinary && binaryReader(readBinary, type, fits),
    takes: Array.isArray,
    writeBinary:
      write &&
      ((array, out, place) => {
        writeArray(flattened(array, context.adapters, place), type.oid, write, out, place);
      }),
  });
  const codec = compound([element], make, (texts) => {
    const { shape, elements } = flattened(texts, context.adapters, 'array');
    const written = elements.map((text) => (text === null ? 'NULL' : quoted(text as string)));
    return braced(written, shape, delimiter);
  });
  return {
    ...codec,
    textToBinary:
      codec.textToBinary &&
      ((text, out, place) => {
        if (trimmed(text).startsWith('[')) {
          throw refused(
            place,
            `${shown(text)} has lower bounds, which arrays lack here: copy in the text format`,
          );
        }
        codec.textToBinary!(text, out, place);
      }),
    preferBinary: element.preferBinary && 'columns',
    followsDateStyle: element.followsDateStyle,
  };
}

// --- the shape

/** The server's limit. */
const MAX_DIMENSIONS = 6;

/** An array in the server's representation. */
export interface FlatArray {
  /** The lengths of its dimensions. */
  readonly shape: readonly number[];
  /** The elements of all dimensions in order. */
  readonly elements: readonly unknown[];
}

/** Flattens nested arrays. Raises `DataError` for parts that differ in length or depth, and for too many dimensions. */
export function flattened(array: readonly unknown[], adapters: Adapters, place: Place): FlatArray {
  const shape: number[] = [];
  const elements: unknown[] = [];
  let leafDepth = -1;
  const addLevel = (level: readonly unknown[], depth: number, where: Place): void => {
    if (depth === MAX_DIMENSIONS) {
      throw refused(
        where,
        `an array can have ${String(MAX_DIMENSIONS)} dimensions at most, and can't contain itself`,
      );
    }
    shape[depth] ??= level.length;
    if (shape[depth] !== level.length) throw ragged(where);
    for (let i = 0; i < level.length; i++) {
      const value = level[i];
      if (!Array.isArray(value) || adapters.dumperForObject(value) !== undefined) {
        if (leafDepth < 0) leafDepth = shape.length - 1;
        if (depth !== leafDepth) throw ragged(`${where.toString()}[${String(i)}]`);
        elements.push(value);
      } else {
        const inner = `${where.toString()}[${String(i)}]`;
        if (depth === leafDepth) throw ragged(inner);
        addLevel(value, depth + 1, inner);
      }
    }
  };
  addLevel(array, 0, place);
  return { shape, elements };
}

function ragged(place: Place): Error {
  return refused(place, 'nested arrays must all have the same length and depth');
}

// --- the text format

/** The text of an array of this shape, whose elements have the texts. */
export function braced(
  texts: readonly string[],
  [length = 0, ...inner]: readonly number[],
  delimiter: string,
): string {
  if (inner.length === 0) return `{${texts.join(delimiter)}}`;
  const size = texts.length / length;
  const parts = Array.from({ length }, (_, i) =>
    braced(texts.slice(i * size, (i + 1) * size), inner, delimiter),
  );
  return `{${parts.join(delimiter)}}`;
}

/** The bounds of each dimension, which precede the braces of an array with lower bounds other than 1: [0:1][2:3]={{…},{…}} */
const BOUNDS = /^(?:\[-?\d{1,10}:-?\d{1,10}\]){1,6}=/;
const LONGEST_BOUNDS = MAX_DIMENSIONS * '[-2147483648:-2147483648]'.length + 1;

function textReader(readElement: Loader, delimiter: string): Loader {
  const kinds = kindsOf(delimiter.charCodeAt(0));
  return (bytes, start, end) => {
    let at = start;
    let bounds = '';
    if (bytes[at] !== OPEN_BRACE) {
      bounds = BOUNDS.exec(bytes.latin1Slice(at, Math.min(end, at + LONGEST_BOUNDS)))?.[0] ?? '';
      at += bounds.length;
    }
    if (at < end && bytes[at] === OPEN_BRACE) {
      const reader = new TextArrayReader(bytes, at, end, readElement, kinds);
      const elements = reader.level(0);
      if (
        elements !== null &&
        reader.isAtEnd &&
        (bounds === '' || reader.hasShape(shapeOf(bounds), elements))
      ) {
        return reader.isEmpty ? [] : elements;
      }
    }
    throw malformedText('array', bytes, start, end);
  };
}

/** What a byte is in the text of an array, outside of quotes. */
const PLAIN = 0;
const SPACE = 1;
const SEPARATOR = 2;
const CLOSE = 3;
const SPECIAL = 4;

/** What each byte is in an array with this separator. */
function kindsOf(separator: number): Uint8Array {
  const kinds = new Uint8Array(256);
  for (const space of Buffer.from(WHITE_SPACE)) kinds[space] = SPACE;
  for (const special of [OPEN_BRACE, QUOTE, BACKSLASH]) kinds[special] = SPECIAL;
  kinds[CLOSE_BRACE] = CLOSE;
  kinds[separator] = SEPARATOR;
  return kinds;
}

/** The lengths of the dimensions from their bounds; NaN where a bound, or the index behind it, is no 32-bit integer. */
function shapeOf(bounds: string): number[] {
  return Array.from(bounds.matchAll(/(-?\d+):(-?\d+)/g), (bound) => {
    const lower = Number(bound[1]);
    const next = Number(bound[2]) + 1;
    return (lower | 0) === lower && (next | 0) === next ? next - lower : NaN;
  });
}

class TextArrayReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #readElement: Loader;
  readonly #kinds: Uint8Array;
  /** The lengths of the dimensions found so far; null for a one-dimensional array. */
  #lengths: number[] | null = null;
  #leafDepth = -1;
  #at: number;

  constructor(bytes: Buffer, at: number, end: number, readElement: Loader, kinds: Uint8Array) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#readElement = readElement;
    this.#kinds = kinds;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Whether the array has no elements; the server then gives it no dimensions. */
  get isEmpty(): boolean {
    return this.#lengths?.at(-1) === 0;
  }

  /** Whether the dimensions of the array, whose outermost elements are given, have these lengths. */
  hasShape(shape: readonly number[], elements: readonly unknown[]): boolean {
    const lengths = this.#lengths ?? [elements.length];
    return lengths.length === shape.length && lengths.every((length, i) => length > 0 && length === shape[i]);
  }

  /** Reads the elements up to the closing brace; null if the array is malformed. */
  level(depth: number): unknown[] | null {
    const bytes = this.#bytes;
    const end = this.#end;
    const readElement = this.#readElement;
    const kinds = this.#kinds;
    const elements: unknown[] = [];
    let at = this.#after(SPACE, this.#at + 1);
    if (at >= end || depth === MAX_DIMENSIONS) return null;
    if (bytes[at] === CLOSE_BRACE) {
      this.#at = at + 1;
      return this.#fits(elements, depth, true);
    }
    const isNested = bytes[at] === OPEN_BRACE;
    while (at < end) {
      const first = bytes[at]!;
      if (kinds[first] === SPACE) {
        at++;
        continue;
      }
      if ((first === OPEN_BRACE) !== isNested) return null;
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
        let byte = first;
        let to = at;
        while (kinds[byte] === PLAIN && ++to < end) byte = bytes[to]!;
        if (kinds[byte] === SPACE) to = this.#endOfWords(to);
        if (to === at) return null;
        elements.push(isNull(bytes, at, to) ? null : readElement(bytes, at, to));
        at = to;
      }
      if (at >= end) return null;
      let kind = kinds[bytes[at++]!];
      if (kind === SPACE) {
        at = this.#after(SPACE, at);
        if (at >= end) return null;
        kind = kinds[bytes[at++]!];
      }
      if (kind === SEPARATOR) continue;
      if (kind !== CLOSE) return null;
      this.#at = at;
      return this.#fits(elements, depth, !isNested);
    }
    return null;
  }

  /** The end of the last word of an element without quotes whose first word ends here. */
  #endOfWords(endOfFirst: number): number {
    let end = endOfFirst;
    let at = this.#after(SPACE, end);
    while (at < this.#end && this.#kinds[this.#bytes[at]!] === PLAIN) {
      end = this.#after(PLAIN, at);
      at = this.#after(SPACE, end);
    }
    return end;
  }

  #after(kind: number, start: number): number {
    let at = start;
    while (at < this.#end && this.#kinds[this.#bytes[at]!] === kind) at++;
    return at;
  }

  /** Returns the elements if this depth always has the same length and all leaves have the same depth; else null. */
  #fits(elements: unknown[], depth: number, isLeaf: boolean): unknown[] | null {
    if (depth === 0 && isLeaf) return elements;
    if (isLeaf) {
      if (this.#leafDepth < 0) this.#leafDepth = depth;
      else if (this.#leafDepth !== depth) return null;
    }
    const lengths = (this.#lengths ??= []);
    lengths[depth] ??= elements.length;
    return lengths[depth] === elements.length ? elements : null;
  }

  /** Reads a quoted element; undefined if the closing quote is missing. */
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

/** Whether an unquoted element is NULL, in any case. */
function isNull(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    (bytes[start]! | LOWER_CASE) === 0x6e &&
    (bytes[start + 1]! | LOWER_CASE) === 0x75 &&
    (bytes[start + 2]! | LOWER_CASE) === 0x6c &&
    (bytes[start + 3]! | LOWER_CASE) === 0x6c
  );
}

// --- the binary format: the number of dimensions, a flag for NULLs, the oid of the element type, the length and the lower
// bound of each dimension, the elements

function binaryReader(readElement: Loader, { name, oid }: TypeEntry, fits: (oid: number) => boolean): Loader {
  const arrayName = `${name}[]`;
  return (bytes, start, end) => {
    const reader = new BinaryReader(arrayName, bytes, start, end);
    const dimensions = reader.int32();
    if (dimensions < 0 || dimensions > MAX_DIMENSIONS) throw reader.contradiction();
    // The flag for NULLs, which each element's length makes redundant.
    reader.int32();
    const found = reader.oid();
    if (found !== oid && !fits(found)) {
      throw malformed(arrayName, `its elements are of the type with the oid ${String(found)}`);
    }
    const lengths: number[] = [];
    let elements = 1;
    for (let i = 0; i < dimensions; i++) {
      const length = reader.int32();
      // The lower bound, which JavaScript arrays lack.
      reader.int32();
      elements *= length;
      // Each element takes at least four bytes, which bounds the memory that a corrupt length can allocate.
      if (length < 0 || elements > reader.left / 4) throw reader.contradiction();
      lengths.push(length);
    }
    const array = dimensions === 0 || elements === 0 ? [] : readLevel(reader, lengths, 0, readElement);
    reader.end();
    return array;
  };
}

function readLevel(
  reader: BinaryReader,
  lengths: readonly number[],
  depth: number,
  readElement: Loader,
): unknown[] {
  const length = lengths[depth]!;
  if (depth + 1 === lengths.length) return reader.values(length, readElement);
  return Array.from({ length }, () => readLevel(reader, lengths, depth + 1, readElement));
}

function writeArray(
  { shape, elements }: FlatArray,
  elementOid: number,
  write: ValueWriter,
  out: ByteWriter,
  place: Place,
): void {
  const isEmpty = elements.length === 0;
  out.int32(isEmpty ? 0 : shape.length);
  const flagAt = out.length;
  out.int32(0);
  out.int32(elementOid);
  if (isEmpty) return;
  for (const length of shape) {
    out.int32(length);
    out.int32(1);
  }
  for (const value of elements) {
    if (!writeSized(write, value, out, place, true)) out.setInt32(flagAt, 1);
  }
}
