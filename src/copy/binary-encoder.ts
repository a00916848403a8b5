import type { AdaptersMap } from '../adapt/adapters-map.js';
import { dumpAs, dumpParam } from '../adapt/dump.js';
import { arrayLoader } from '../adapt/load-array.js';
import { multirangeLoader, rangeLoader } from '../adapt/load-range.js';
import { loadText } from '../adapt/load-text.js';
import type { Multirange } from '../adapt/multirange.js';
import { Oids } from '../adapt/oids.js';
import type { Range } from '../adapt/range.js';
import type { Loader } from '../wire/row-decoder.js';
import { scalarType } from './binary-types.js';
import type { Block } from './block.js';
import { writeUtf8 } from './encode-text.js';
import { asJson, isJsonType } from './json-values.js';
import type { NativeValues } from './native-values.js';
import type { RowPlace } from './row-place.js';

/** Encodes the values of one type in the binary format, without their length. */
export interface BinaryEncoder {
  /** Encodes a value; false for NULL, of which nothing is written. */
  write(value: unknown, out: Block, place: RowPlace): boolean;
  /** Encodes what a dumper has made of a value. */
  writeText(text: string, out: Block, place: RowPlace): void;
}

/** The encoder of a type; null if there is none. */
export function encoderOf(oid: number, map: AdaptersMap, native: NativeValues): BinaryEncoder | null {
  const type = scalarType(oid, map);
  if (type !== null) {
    const json = isJsonType(oid, map);
    return {
      write: (value, out, place) => {
        if (value === null) return false;
        if (!json && native.has(value)) {
          if (typeof value === 'string') {
            type.writeText(value, out, place);
            return true;
          }
          if (type.writeValue?.(value, out, place) === true) return true;
        }
        const { text } = dumpAs(json ? asJson(value, oid, map) : value, oid, map, place.toString());
        if (text === null) return false;
        type.writeText(text, out, place);
        return true;
      },
      writeText: (text, out, place) => {
        type.writeText(text, out, place);
      },
    };
  }
  const entry = map.type(oid);
  const element = map.elementType(oid);
  if (element !== undefined) return arrayEncoder(oid, element.oid, element.delimiter, map, native);
  if (entry?.baseOid !== undefined) return encoderOf(entry.baseOid, map, native);
  if (entry?.rangeOf !== undefined) return rangeEncoder(oid, entry.rangeOf, map, native);
  if (entry?.multirangeOf !== undefined) return multirangeEncoder(oid, entry.multirangeOf, map, native);
  return null;
}

/** Encodes values whose type is to be guessed of them, as it is for parameters. */
export class GuessingEncoder {
  readonly #map: AdaptersMap;
  readonly #native: NativeValues;
  readonly #encoders = new Map<number, BinaryEncoder | null>();

  constructor(map: AdaptersMap, native: NativeValues) {
    this.#map = map;
    this.#native = native;
  }

  write(value: unknown, out: Block, place: RowPlace): boolean {
    if (value === null) return false;
    if (typeof value === 'string' && this.#native.string) {
      writeUtf8(value, out, place);
      return true;
    }
    const { text, oid } = dumpParam(value, this.#map, place.toString());
    if (text === null) return false;
    if (oid === Oids.unknown && typeof value === 'object' && this.#native.has(value)) {
      throw place.refuse("the type of this value isn't known: name the types of the columns with setTypes()");
    }
    const encoder = oid === Oids.unknown ? null : this.#encoderOf(oid, place);
    if (encoder === null) {
      writeUtf8(text, out, place);
    } else if (typeof value !== 'object' && this.#native.has(value)) {
      encoder.write(value, out, place);
    } else {
      encoder.writeText(text, out, place);
    }
    return true;
  }

  #encoderOf(oid: number, place: RowPlace): BinaryEncoder {
    let encoder = this.#encoders.get(oid);
    if (encoder === undefined) {
      encoder = encoderOf(oid, this.#map, this.#native);
      this.#encoders.set(oid, encoder);
    }
    if (encoder === null) {
      const name =
        this.#map.type(oid)?.name ?? this.#map.elementType(oid)?.name ?? `with the oid ${String(oid)}`;
      throw place.refuse(`the type ${name} has no binary format here; copy in the text format`);
    }
    return encoder;
  }
}

/** A value with its length before it; NULL has the length -1. */
export function writeWithLength(
  value: unknown,
  encoder: Pick<BinaryEncoder, 'write'>,
  out: Block,
  place: RowPlace,
): boolean {
  const start = out.length;
  out.int32(-1);
  if (!encoder.write(value, out, place)) return false;
  out.setInt32(start, out.length - start - 4);
  return true;
}

const MOST_DIMENSIONS = 6;

/** Dimensions, whether there is a NULL, the elements' type, length and lower bound of each dimension, and the elements. */
function arrayEncoder(
  oid: number,
  elementOid: number,
  delimiter: string,
  map: AdaptersMap,
  native: NativeValues,
): BinaryEncoder | null {
  const element = encoderOf(elementOid, map, native);
  if (element === null) return null;
  const writeArray = (array: readonly unknown[], out: Block, place: RowPlace): void => {
    const shape = shapeOf(array, native, place);
    if (shape.includes(0)) {
      out.int32(0);
      out.int32(0);
      out.int32(elementOid);
      return;
    }
    out.int32(shape.length);
    const flagAt = out.length;
    out.int32(0);
    out.int32(elementOid);
    for (const length of shape) {
      out.int32(length);
      out.int32(1);
    }
    let hasNull = false;
    const writeLevel = (level: readonly unknown[], depth: number): void => {
      if (level.length !== shape[depth]) throw ragged(place);
      for (const value of level) {
        const isLeaf = depth === shape.length - 1;
        if (isLevel(value, native)) {
          if (isLeaf) throw ragged(place);
          writeLevel(value, depth + 1);
        } else {
          if (!isLeaf) throw ragged(place);
          if (!writeWithLength(value, element, out, place)) hasNull = true;
        }
      }
    };
    writeLevel(array, 0);
    if (hasNull) out.setInt32(flagAt, 1);
  };

  return compoundEncoder(
    oid,
    map,
    (value) => native.isArray(value),
    arrayLoader(loadText, delimiter),
    writeArray,
  );
}

function isLevel(value: unknown, native: NativeValues): value is unknown[] {
  return typeof value === 'object' && value !== null && native.isArray(value);
}

/** The lengths of the dimensions, going by the first element of each. */
function shapeOf(array: readonly unknown[], native: NativeValues, place: RowPlace): number[] {
  const shape: number[] = [];
  for (let level: unknown = array; isLevel(level, native); level = level[0]) {
    if (shape.length === MOST_DIMENSIONS) {
      throw place.refuse(
        `an array can have ${String(MOST_DIMENSIONS)} dimensions at most, and can't contain itself`,
      );
    }
    shape.push(level.length);
  }
  return shape;
}

function ragged(place: RowPlace): Error {
  return place.refuse('nested arrays must all have the same length and depth');
}

const EMPTY = 0x01;
const LOWER_INCLUSIVE = 0x02;
const UPPER_INCLUSIVE = 0x04;
const LOWER_INFINITE = 0x08;
const UPPER_INFINITE = 0x10;

/** Flags, and each bound that there is. */
function rangeEncoder(
  oid: number,
  subtype: number,
  map: AdaptersMap,
  native: NativeValues,
): BinaryEncoder | null {
  const writeRange = rangeWriter(subtype, map, native);
  if (writeRange === null) return null;
  return compoundEncoder(oid, map, (value) => native.isRange(value), rangeLoader(loadText), writeRange);
}

/** How many ranges, and each with its length. */
function multirangeEncoder(
  oid: number,
  subtype: number,
  map: AdaptersMap,
  native: NativeValues,
): BinaryEncoder | null {
  const writeRange = rangeWriter(subtype, map, native);
  if (writeRange === null) return null;
  const writeAll = (multirange: Multirange<unknown>, out: Block, place: RowPlace): void => {
    out.int32(multirange.length);
    for (const range of multirange) {
      const start = out.length;
      out.int32(0);
      writeRange(range, out, place);
      out.setInt32(start, out.length - start - 4);
    }
  };
  return compoundEncoder(
    oid,
    map,
    (value) => native.isMultirange(value),
    multirangeLoader(loadText),
    writeAll,
  );
}

function rangeWriter(
  subtype: number,
  map: AdaptersMap,
  native: NativeValues,
): ((range: Range<unknown>, out: Block, place: RowPlace) => void) | null {
  const bound = encoderOf(subtype, map, native);
  if (bound === null) return null;
  return (range, out, place) => {
    out.room(1);
    const flagsAt = out.length++;
    let flags = 0;
    if (range.isempty) {
      flags = EMPTY;
    } else {
      if (range.lowerInc) flags |= LOWER_INCLUSIVE;
      if (range.upperInc) flags |= UPPER_INCLUSIVE;
      if (!writeBound(range.lower, bound, out, place)) flags |= LOWER_INFINITE;
      if (!writeBound(range.upper, bound, out, place)) flags |= UPPER_INFINITE;
    }
    out.bytes[flagsAt] = flags;
  };
}

/** False for a bound that there is not, of which nothing is written. */
function writeBound(value: unknown, encoder: BinaryEncoder, out: Block, place: RowPlace): boolean {
  const start = out.length;
  const written = writeWithLength(value, encoder, out, place);
  if (!written) out.length = start;
  return written;
}

/**
 * The encoder of a type whose values are made of others. What `isNative` is what `write` writes; anything else, as the text that
 * its dumper makes of it, has to be parsed by `parse` first.
 */
function compoundEncoder<T extends object>(
  oid: number,
  map: AdaptersMap,
  isNative: (value: object) => boolean,
  parse: Loader,
  write: (value: T, out: Block, place: RowPlace) => void,
): BinaryEncoder {
  const writeText = (text: string, out: Block, place: RowPlace): void => {
    write(parseText(parse, text, place) as T, out, place);
  };
  return {
    write: (value, out, place) => {
      if (value === null) return false;
      if (typeof value === 'object' && isNative(value)) {
        write(value as T, out, place);
        return true;
      }
      const { text } = dumpAs(value, oid, map, place.toString());
      if (text === null) return false;
      writeText(text, out, place);
      return true;
    },
    writeText,
  };
}

function parseText(parse: Loader, text: string, place: RowPlace): unknown {
  const bytes = Buffer.from(text);
  try {
    return parse(bytes, 0, bytes.length);
  } catch (error) {
    throw place.refuse((error as Error).message);
  }
}
