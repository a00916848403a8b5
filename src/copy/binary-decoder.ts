import type { AdaptersMap } from '../adapt/adapters-map.js';
import { builtinAdapters } from '../adapt/adapters.js';
import { quoteField } from '../adapt/field-reader.js';
import { Multirange } from '../adapt/multirange.js';
import { Range } from '../adapt/range.js';
import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import type { BinaryType } from './binary-type.js';
import { loadRaw } from './binary-scalars.js';
import { scalarType } from './binary-types.js';

/** What can be read of a type: its value, and its text for loaders that want that. */
type Readable = Pick<BinaryType, 'load' | 'text'>;

/**
 * The loader of a type from the binary format: it gives what the map's loader of the same type gives from text, also if that is
 * one that somebody has registered. A type that is not known loads as its bytes, as in Psycopg. Raises `NotSupportedError` for
 * one that has a loader but can't be turned into the text which that reads.
 */
export function binaryLoaderFor(oid: number, map: AdaptersMap): Loader {
  const readable = readableOf(oid, map);
  if (readable !== null) return readable.load;
  if (!map.hasLoader(oid)) return loadRaw;
  throw new errors.NotSupportedError(
    `the type ${map.type(oid)?.name ?? String(oid)} can't be read in the binary format here; copy in the text format`,
  );
}

function readableOf(oid: number, map: AdaptersMap): Readable | null {
  const known = scalarType(oid, map) ?? compoundOf(oid, map);
  if (known === null || !map.loadsOtherwise(oid, builtinAdapters)) return known;
  return { text: known.text, load: byText(map.loaderFor(oid), known.text) };
}

function byText(loader: Loader, text: BinaryType['text']): Loader {
  return (bytes, start, end) => {
    const written = Buffer.from(text(bytes, start, end));
    return loader(written, 0, written.length);
  };
}

function compoundOf(oid: number, map: AdaptersMap): Readable | null {
  const element = map.elementType(oid);
  const { baseOid, rangeOf, multirangeOf } = map.type(oid) ?? {};
  if (element !== undefined) return over(element.oid, map, (part) => arrayOf(part, element.delimiter));
  if (baseOid !== undefined) return readableOf(baseOid, map);
  if (rangeOf !== undefined) return over(rangeOf, map, rangeOver);
  if (multirangeOf !== undefined) return over(multirangeOf, map, multirangeOver);
  return null;
}

function over(oid: number, map: AdaptersMap, make: (part: Readable) => Readable): Readable | null {
  const part = readableOf(oid, map);
  return part === null ? null : make(part);
}

function arrayOf(element: Readable, delimiter: string): Readable {
  const read = <T>(
    bytes: Buffer,
    start: number,
    leaf: (bytes: Buffer, start: number, end: number) => T,
    none: T,
    join: (items: T[]) => T,
  ): T => {
    const dimensions = bytes.readInt32BE(start);
    const lengths = Array.from({ length: dimensions }, (_, i) => bytes.readInt32BE(start + 12 + 8 * i));
    let at = start + 12 + 8 * dimensions;
    const readLevel = (depth: number): T => {
      const items: T[] = [];
      for (let i = 0; i < lengths[depth]!; i++) {
        if (depth < dimensions - 1) {
          items.push(readLevel(depth + 1));
          continue;
        }
        const length = bytes.readInt32BE(at);
        at += 4;
        if (length < 0) {
          items.push(none);
        } else {
          items.push(leaf(bytes, at, at + length));
          at += length;
        }
      }
      return join(items);
    };
    return dimensions === 0 ? join([]) : readLevel(0);
  };
  return {
    load: (bytes, start) =>
      read<unknown>(
        bytes,
        start,
        (all, from, to) => element.load(all, from, to),
        null,
        (items) => items,
      ),
    text: (bytes, start) =>
      read(
        bytes,
        start,
        (all, from, to) => `"${element.text(all, from, to).replace(/["\\]/g, '\\$&')}"`,
        'NULL',
        (items) => `{${items.join(delimiter)}}`,
      ),
  };
}

const EMPTY = 0x01;
const LOWER_INCLUSIVE = 0x02;
const UPPER_INCLUSIVE = 0x04;
const LOWER_INFINITE = 0x08;
const UPPER_INFINITE = 0x10;

/** Reads the bounds of a range with `read`, those that there are. */
function boundsOf<T>(
  bytes: Buffer,
  start: number,
  read: (bytes: Buffer, start: number, end: number) => T,
): { readonly flags: number; readonly lower: T | null; readonly upper: T | null } {
  const flags = bytes[start]!;
  let at = start + 1;
  const next = (missing: number): T | null => {
    if ((flags & (EMPTY | missing)) !== 0) return null;
    const length = bytes.readInt32BE(at);
    at += 4 + length;
    return read(bytes, at - length, at);
  };
  return { flags, lower: next(LOWER_INFINITE), upper: next(UPPER_INFINITE) };
}

function brackets(flags: number): readonly [open: string, close: string] {
  return [(flags & LOWER_INCLUSIVE) !== 0 ? '[' : '(', (flags & UPPER_INCLUSIVE) !== 0 ? ']' : ')'];
}

function rangeOver(bound: Readable): Readable {
  return {
    load: (bytes, start) => {
      const { flags, lower, upper } = boundsOf<unknown>(bytes, start, (all, from, to) =>
        bound.load(all, from, to),
      );
      return (flags & EMPTY) !== 0 ? Range.empty() : new Range(lower, upper, brackets(flags).join(''));
    },
    text: (bytes, start) => {
      const { flags, lower, upper } = boundsOf(bytes, start, (all, from, to) => bound.text(all, from, to));
      const [open, close] = brackets(flags);
      return (flags & EMPTY) !== 0 ? 'empty' : `${open}${quoteField(lower)},${quoteField(upper)}${close}`;
    },
  };
}

function multirangeOver(bound: Readable): Readable {
  const range = rangeOver(bound);
  const each = <T>(
    bytes: Buffer,
    start: number,
    read: (bytes: Buffer, start: number, end: number) => T,
  ): T[] => {
    const count = bytes.readInt32BE(start);
    let at = start + 4;
    return Array.from({ length: count }, () => {
      const length = bytes.readInt32BE(at);
      at += 4 + length;
      return read(bytes, at - length, at);
    });
  };
  return {
    load: (bytes, start) =>
      new Multirange(each(bytes, start, (all, from, to) => range.load(all, from, to) as Range<unknown>)),
    text: (bytes, start) => `{${each(bytes, start, (all, from, to) => range.text(all, from, to)).join(',')}}`,
  };
}
