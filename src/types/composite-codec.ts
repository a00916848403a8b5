import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Loader } from '../wire/row-decoder.js';
import type { CodecContext } from './adaptation.js';
import { BinaryReader } from './binary-reader.js';
import type { ByteWriter } from './byte-writer.js';
import {
  checkedReader,
  compound,
  writeSized,
  type BoundCodec,
  type Codec,
  type Place,
  type ValueWriter,
} from './codec.js';
import { isPlainObject } from './realm.js';
import { compositeText, fieldValues, type CompositeFields } from './composite-fields.js';
import { FieldReader, quoteField } from './field-reader.js';
import { readText } from './text.js';

/** Makes the codec of a composite type. `make` receives the values of all fields; plain objects are written. */
export function compositeOf(
  type: CompositeFields,
  make: (values: unknown[]) => unknown,
  { codecFor, adapters }: CodecContext,
): Codec<object> {
  const fields = type.fieldTypes.map((oid) => codecFor(oid));
  const own = fieldsCodec(type, fields, make);
  const texts = compound(
    fields,
    (parts) => fieldsCodec(type, parts, (values) => values),
    (values) => `(${(values as (string | null)[]).map(quoteField).join(',')})`,
  );
  return {
    ...own,
    textToBinary: texts.textToBinary,
    binaryToText: texts.binaryToText,
    takes: isPlainObject,
    writeText: (object, place) => compositeText(type, fieldValues(type, object, place), adapters, place),
  };
}

function fieldsCodec(
  type: CompositeFields,
  fields: readonly BoundCodec[],
  make: (values: unknown[]) => unknown,
): Codec<object> {
  const readers = every(fields, (field) => field.readBinary);
  const writers = every(fields, (field) => field.write);
  return {
    readText: textReader(type, fields.map(checkedReader), make),
    readBinary: readers && binaryReader(type, readers, make),
    writeBinary:
      writers &&
      ((object, out, place) => {
        writeFields(type, writers, fieldValues(type, object, place), out, place);
      }),
  };
}

/** Returns `of(field)` of all fields; undefined if any of them is undefined. */
function every<T>(fields: readonly BoundCodec[], of: (field: BoundCodec) => T | undefined): T[] | undefined {
  const all = fields.map(of);
  return all.includes(undefined) ? undefined : (all as T[]);
}

function changed(type: CompositeFields, problem: string, cause?: unknown): Error {
  return new errors.DataError(
    `a value of the composite type ${type.name} ${problem}; if the type has been changed, fetch and register it again`,
    { cause },
  );
}

function wrongCount(type: CompositeFields, found: number): Error {
  return changed(type, `has ${String(found)} fields, but ${String(type.fieldNames.length)} were registered`);
}

/** The loader of a field; its errors name the field. */
function ofField(type: CompositeFields, i: number, load: Loader): Loader {
  return (bytes, start, end) => {
    try {
      return load(bytes, start, end);
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : thrownText(cause);
      throw changed(type, `can't be loaded, in its field ${type.fieldNames[i]!}: ${problem}`, cause);
    }
  };
}

// --- the text format

const OPEN_PARENTHESIS = 0x28;
const CLOSE_PARENTHESIS = 0x29;
const COMMA = 0x2c;

function textReader(
  type: CompositeFields,
  loaders: readonly Loader[],
  make: (values: unknown[]) => unknown,
): Loader {
  const count = loaders.length;
  const readers = loaders.map((load, i) => ofField(type, i, load));
  return (bytes, start, end) => {
    const values: unknown[] = [];
    const found = readFields(bytes, start, end, values, (i) => readers[i]);
    // A composite with one field that is NULL has the same text as one without fields.
    if (found === 0 && count === 1) values.push(null);
    else if (found !== count) throw wrongCount(type, found);
    return make(values);
  };
}

/** An anonymous record, whose text does not tell its fields' types: an array of the fields' texts. */
export const record: Codec = {
  readText: (bytes, start, end) => {
    const values: unknown[] = [];
    readFields(bytes, start, end, values, () => readText);
    return values;
  },
};

/** Returns the number of fields. Adds the values of those that have a loader to `values`. */
function readFields(
  bytes: Buffer,
  start: number,
  end: number,
  values: unknown[],
  loaderOf: (index: number) => Loader | undefined,
): number {
  const reader = new FieldReader(bytes, start, end);
  if (reader.next() === OPEN_PARENTHESIS) {
    if (end - start === 2 && reader.peek() === CLOSE_PARENTHESIS) return 0;
    for (let count = 1; ; count++) {
      values.push(reader.read(loaderOf(count - 1) ?? ignore, CLOSE_PARENTHESIS));
      const next = reader.next();
      if (next === CLOSE_PARENTHESIS && reader.at === end) return count;
      if (next !== COMMA) break;
    }
  }
  throw new errors.DataError(
    `the composite value ${bytes.utf8Slice(start, Math.min(end, start + 60))} is malformed`,
  );
}

const ignore: Loader = () => null;

// --- the binary format: number of fields; for each, its type's oid and its value with its length

function binaryReader<T>(
  type: CompositeFields,
  loaders: readonly Loader[],
  make: (values: unknown[]) => T,
): (bytes: Buffer, start: number, end: number) => T {
  const { name, fieldTypes, fieldNames } = type;
  const readers = loaders.map((load, i) => ofField(type, i, load));
  return (bytes, start, end) => {
    const reader = new BinaryReader(name, bytes, start, end);
    const count = reader.count(8);
    if (count !== loaders.length) throw wrongCount(type, count);
    const values = readers.map((load, i) => {
      const oid = reader.oid();
      if (oid !== fieldTypes[i]) {
        throw changed(type, `has another type in its field ${fieldNames[i]!} than was registered`);
      }
      return reader.value(load);
    });
    reader.end();
    return make(values);
  };
}

function writeFields(
  { fieldNames, fieldTypes }: CompositeFields,
  writers: readonly ValueWriter[],
  values: readonly unknown[],
  out: ByteWriter,
  place: Place,
): void {
  out.int32(writers.length);
  writers.forEach((write, i) => {
    out.int32(fieldTypes[i]!);
    writeSized(write, values[i], out, `${place.toString()}.${fieldNames[i]!}`, false);
  });
}
