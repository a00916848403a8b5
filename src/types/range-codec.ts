import { CLOSE_BRACE, CLOSE_PARENTHESIS, COMMA, OPEN_BRACE, OPEN_PARENTHESIS } from './ascii.js';
import type { Loader } from '../wire/row-decoder.js';
import type { Adapters, CodecSource, DumpedParam } from './adaptation.js';
import { BinaryReader } from './binary-reader.js';
import type { ByteWriter } from './byte-writer.js';
import { compound, malformed, malformedText, writeSized } from './codec.js';
import type { BoundCodec, Codec, Place, Reader, ValueWriter } from './codec.js';
import { dumpParam } from './dump.js';
import { FieldReader, quoteField } from './field-reader.js';
import { Multirange } from './multirange.js';
import { Oids } from './oids.js';
import { Range } from './range.js';

type Bounds = Range<unknown>;

/** The codec of the range type `name` over the type with the oid `subtype`. */
export function rangeOf(name: string, subtype: number): CodecSource {
  const make = ({ readText, readBinary, write }: BoundCodec): Codec<Bounds> => ({
    readText: textReader(readText),
    readBinary: readBinary && binaryReader(readBinary, name),
    takes: (value) => value instanceof Range,
    writeBinary: write && rangeWriter(write),
  });
  return ({ codecFor }) => compound([codecFor(subtype)], make, rangeText);
}

/** The codec of the multirange type `name` over the type with the oid `subtype`. */
export function multirangeOf(name: string, subtype: number): CodecSource {
  const make = ({ readText, readBinary, write }: BoundCodec): Codec<Multirange<unknown>> => ({
    readText: multirangeTextReader(readText),
    readBinary: readBinary && multirangeBinaryReader(readBinary, name),
    takes: (value) => value instanceof Multirange,
    writeBinary: write && multirangeWriter(write),
  });
  const textOf = ({ ranges }: Multirange<unknown>): string => `{${ranges.map(rangeText).join(',')}}`;
  return ({ codecFor }) => compound([codecFor(subtype)], make, textOf);
}

// --- the text format

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const LETTER_E = 0x65;
const EMPTY_WORD = 'empty';

function textReader(readBound: Loader): Loader {
  return (bytes, start, end) => {
    const reader = new FieldReader(bytes, start, end);
    const range = readRange(reader, readBound);
    if (range === null || reader.at !== end) throw malformedText('range', bytes, start, end);
    return range;
  };
}

function multirangeTextReader(readBound: Loader): Loader {
  return (bytes, start, end) => {
    const reader = new FieldReader(bytes, start, end);
    const ranges: Bounds[] = [];
    let next = reader.next() === OPEN_BRACE ? COMMA : -1;
    if (next === COMMA && reader.peek() === CLOSE_BRACE) next = reader.next();
    while (next === COMMA) {
      const range = readRange(reader, readBound);
      if (range === null) break;
      ranges.push(range);
      next = reader.next();
    }
    if (next !== CLOSE_BRACE || reader.at !== end) throw malformedText('multirange', bytes, start, end);
    return new Multirange(ranges);
  };
}

/** Reads a range's text; null if it is malformed. */
function readRange(reader: FieldReader, readBound: Loader): Bounds | null {
  const open = reader.next();
  if (open === LETTER_E) {
    const end = reader.at - 1 + EMPTY_WORD.length;
    if (end > reader.end || reader.bytes.latin1Slice(reader.at - 1, end) !== EMPTY_WORD) return null;
    reader.at = end;
    return Range.empty();
  }
  if (open !== OPEN_BRACKET && open !== OPEN_PARENTHESIS) return null;
  const lower = reader.read(readBound, CLOSE_BRACKET);
  if (reader.next() !== COMMA) return null;
  const upper = reader.read(readBound, CLOSE_BRACKET);
  const close = reader.next();
  if (close !== CLOSE_BRACKET && close !== CLOSE_PARENTHESIS) return null;
  return new Range(lower, upper, String.fromCharCode(open, close));
}

/** The text of a range whose bounds are texts. */
function rangeText(range: Bounds): string {
  if (range.isempty) return 'empty';
  const [lower, upper] = [range.lower, range.upper] as (string | null)[];
  return `${range.lowerInc ? '[' : '('}${quoteField(lower!)},${quoteField(upper!)}${range.upperInc ? ']' : ')'}`;
}

// --- the binary format: flags, then each finite bound with its length

const EMPTY = 0x01;
const LOWER_INCLUSIVE = 0x02;
const UPPER_INCLUSIVE = 0x04;
const LOWER_INFINITE = 0x08;
const UPPER_INFINITE = 0x10;
const KNOWN_FLAGS = 0x1f;

function binaryReader(readBound: Loader, name: string): Reader<Bounds> {
  return (bytes, start, end) => {
    const reader = new BinaryReader(name, bytes, start, end);
    const flags = reader.int8();
    if ((flags & ~KNOWN_FLAGS) !== 0) throw malformed(name, 'its flags are not known');
    const bound = (missing: number): unknown => {
      if ((flags & (EMPTY | missing)) !== 0) return null;
      const value = reader.value((all, from, to) => ({ is: readBound(all, from, to) }));
      if (value === null) throw malformed(name, 'a bound is NULL');
      return value.is;
    };
    const lower = bound(LOWER_INFINITE);
    const upper = bound(UPPER_INFINITE);
    reader.end();
    if ((flags & EMPTY) !== 0) return Range.empty();
    // A missing bound is never inclusive.
    const open = (flags & LOWER_INCLUSIVE) !== 0 ? '[' : '(';
    const close = (flags & UPPER_INCLUSIVE) !== 0 ? ']' : ')';
    return new Range(lower, upper, open + close);
  };
}

/** Makes the reader of a multirange: the number of ranges, then each with its length. */
function multirangeBinaryReader(readBound: Loader, name: string): Loader {
  const readRange = binaryReader(readBound, name);
  return (bytes, start, end) => {
    const reader = new BinaryReader(name, bytes, start, end);
    // Each range takes at least five bytes: its length and its flags.
    const ranges = Array.from({ length: reader.count(5) }, () => {
      const range = reader.value(readRange);
      if (range === null) throw reader.contradiction();
      return range;
    });
    reader.end();
    return new Multirange(ranges);
  };
}

function rangeWriter(write: ValueWriter) {
  return (range: Bounds, out: ByteWriter, place: Place): void => {
    const flagsAt = out.length;
    out.int8(0);
    let flags = range.isempty ? EMPTY : 0;
    if (range.lowerInc) flags |= LOWER_INCLUSIVE;
    if (range.upperInc) flags |= UPPER_INCLUSIVE;
    if (!range.isempty && !writeBound(range.lower, write, out, place)) flags |= LOWER_INFINITE;
    if (!range.isempty && !writeBound(range.upper, write, out, place)) flags |= UPPER_INFINITE;
    out.bytes[flagsAt] = flags;
  };
}

function multirangeWriter(write: ValueWriter) {
  const writeRange = rangeWriter(write);
  return (multirange: Multirange<unknown>, out: ByteWriter, place: Place): void => {
    out.int32(multirange.length);
    for (const range of multirange) {
      const start = out.length;
      out.int32(0);
      writeRange(range, out, place);
      out.setInt32(start, out.length - start - 4);
    }
  };
}

/** Writes a bound with its length. Returns false for a missing bound, which writes nothing. */
function writeBound(value: unknown, write: ValueWriter, out: ByteWriter, place: Place): boolean {
  const start = out.length;
  const isThere = writeSized(write, value, out, place, true);
  if (!isThere) out.length = start;
  return isThere;
}

// --- parameters

/** Dumps a range; its bounds determine its type. */
export function dumpRange(range: Range<unknown>, place: string, map: Adapters): DumpedParam {
  const { text, subtype } = dumpBounds(range, place, map);
  return { text, oid: map.rangeOf(subtype) };
}

/** Dumps a multirange; its first bound determines its type. */
export function dumpMultirange(multirange: Multirange<unknown>, place: string, map: Adapters): DumpedParam {
  let subtype: number | null = null;
  const texts = multirange.ranges.map((range, i) => {
    const dumped = dumpBounds(range, `${place}[${String(i)}]`, map);
    subtype ??= range.lower === null && range.upper === null ? null : dumped.subtype;
    return dumped.text;
  });
  return { text: `{${texts.join(',')}}`, oid: map.multirangeOf(subtype ?? Oids.unknown) };
}

/** Dumps a range's bounds. `subtype` is the oid of their type; 0 lets the server infer it. */
function dumpBounds(
  range: Range<unknown>,
  place: string,
  map: Adapters,
): { readonly text: string; readonly subtype: number } {
  if (range.isempty) return { text: 'empty', subtype: Oids.unknown };
  const lower = dumpParam(range.lower, map, `${place}.lower`);
  const upper = dumpParam(range.upper, map, `${place}.upper`);
  const representative = range.lower ?? range.upper;
  return {
    text: rangeText(new Range(lower.text, upper.text, range.bounds)),
    // As in Psycopg, the server infers the type of a range of integers: it does not cast an int4range to an int8range or a
    // numrange.
    subtype: isInteger(representative) ? Oids.unknown : (range.lower === null ? upper : lower).oid,
  };
}

function isInteger(value: unknown): boolean {
  return typeof value === 'bigint' || Number.isInteger(value);
}
