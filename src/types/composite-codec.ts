import { CLOSE_PARENTHESIS, COMMA, OPEN_PARENTHESIS } from './ascii.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Loader } from '../wire/row-decoder.js';
import type { Adapters, CodecContext } from './adaptation.js';
import { BinaryReader } from './binary-reader.js';
import { checkedReader, compound, malformedText, refused, writeSized } from './codec.js';
import type { BoundCodec, Codec, Place } from './codec.js';
import { dumpAs } from './dump.js';
import { FieldReader, quoteField } from './field-reader.js';
import { isPlainObject } from './realm.js';
import { readText } from './text.js';

/** A composite type. */
export interface CompositeFields {
  readonly name: string;
  readonly oid: number;
  readonly fieldNames: readonly string[];
  readonly fieldTypes: readonly number[];
}

type Make = (values: unknown[]) => unknown;

/** Makes the codec of a composite type. `make` receives the values of all fields; plain objects are written. */
export function compositeOf(
  type: CompositeFields,
  make: Make,
  { codecFor, adapters }: CodecContext,
): Codec<object> {
  const fields = type.fieldTypes.map((oid) => codecFor(oid));
  const { textToBinary, binaryToText } = compound(
    fields,
    (...parts) => fieldsCodec(type, parts, (values) => values),
    (values) => `(${(values as (string | null)[]).map(quoteField).join(',')})`,
  );
  return {
    ...fieldsCodec(type, fields, make),
    textToBinary,
    binaryToText,
    takes: isPlainObject,
    writeText: (object, place) => compositeText(type, fieldValues(type, object, place), adapters, place),
  };
}

function fieldsCodec(type: CompositeFields, fields: readonly BoundCodec[], make: Make): Codec<object> {
  return {
    readText: textReader(type, fields.map(checkedReader), make),
    readBinary: binaryReader(type, fields, make),
    writeBinary: binaryWriter(type, fields),
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

function textReader(type: CompositeFields, loaders: readonly Loader[], make: Make): Loader {
  const count = loaders.length;
  const readers = loaders.map((load, i) => ofField(type, i, load));
  return (bytes, start, end) => {
    const values: unknown[] = [];
    const found = readFields(bytes, start, end, values, (i) => readers[i] ?? ignore);
    // A composite with one field that is NULL has the same text as one without fields.
    if (found === 0 && count === 1) values.push(null);
    else if (found !== count) throw wrongCount(type, found);
    return make(values);
  };
}

const ignore: Loader = () => null;

/** An anonymous record, whose text does not tell its fields' types: an array of the fields' texts. */
export const record: Codec = {
  readText: (bytes, start, end) => {
    const values: unknown[] = [];
    readFields(bytes, start, end, values, () => readText);
    return values;
  },
};

/** Adds the values of the fields to `values`. Returns their number. */
function readFields(
  bytes: Buffer,
  start: number,
  end: number,
  values: unknown[],
  loaderOf: (index: number) => Loader,
): number {
  const reader = new FieldReader(bytes, start, end);
  if (reader.next() === OPEN_PARENTHESIS) {
    if (end - start === 2 && reader.peek() === CLOSE_PARENTHESIS) return 0;
    for (let count = 1; ; count++) {
      values.push(reader.read(loaderOf(count - 1), CLOSE_PARENTHESIS));
      const next = reader.next();
      if (next === CLOSE_PARENTHESIS && reader.at === end) return count;
      if (next !== COMMA) break;
    }
  }
  throw malformedText('composite value', bytes, start, end);
}

// --- the binary format: number of fields; for each, its type's oid and its value with its length

function binaryReader(type: CompositeFields, fields: readonly BoundCodec[], make: Make): Loader | undefined {
  const { name, fieldTypes, fieldNames } = type;
  const readers = every(fields, ({ readBinary }) => readBinary)?.map((load, i) => ofField(type, i, load));
  return (
    readers &&
    ((bytes, start, end) => {
      const reader = new BinaryReader(name, bytes, start, end);
      const count = reader.count(8);
      if (count !== readers.length) throw wrongCount(type, count);
      const values = readers.map((load, i) => {
        if (reader.oid() !== fieldTypes[i]) {
          throw changed(type, `has another type in its field ${fieldNames[i]!} than was registered`);
        }
        return reader.value(load);
      });
      reader.end();
      return make(values);
    })
  );
}

function binaryWriter(type: CompositeFields, fields: readonly BoundCodec[]): Codec<object>['writeBinary'] {
  const { fieldNames, fieldTypes } = type;
  const writers = every(fields, ({ write }) => write);
  return (
    writers &&
    ((object, out, place) => {
      const values = fieldValues(type, object, place);
      out.int32(writers.length);
      writers.forEach((write, i) => {
        out.int32(fieldTypes[i]!);
        writeSized(write, values[i], out, `${place.toString()}.${fieldNames[i]!}`, false);
      });
    })
  );
}

// --- the values of the fields

/** The text of a composite from its fields' values, in order. Raises `DataError` for too many or too few values. */
export function compositeText(
  type: CompositeFields,
  values: readonly unknown[],
  adapters: Adapters,
  place: string,
): string {
  checkCount(type, values, place);
  const fields = type.fieldNames.map((field, i) =>
    quoteField(dumpAs(values[i], type.fieldTypes[i]!, adapters, `${place}.${field}`).text),
  );
  return `(${fields.join(',')})`;
}

function checkCount({ name, fieldNames }: CompositeFields, values: readonly unknown[], place: Place): void {
  if (values.length === fieldNames.length) return;
  throw refused(
    place,
    `the composite type ${name} has ${String(fieldNames.length)} fields (${fieldNames.join(', ')}),` +
      ` but ${String(values.length)} values were given`,
  );
}

/**
 * The values of a composite's fields, in order: an array's elements, or an object's properties with the fields' names. Raises
 * `DataError` for a missing property, and for a property of a plain object that is no field.
 */
export function fieldValues(type: CompositeFields, object: object, place: Place): readonly unknown[] {
  const { name, fieldNames } = type;
  if (Array.isArray(object)) {
    checkCount(type, object, place);
    return object;
  }
  const missing = fieldNames.filter((field) => !hasField(object, field));
  const unknown = isPlainObject(object) ? Object.keys(object).filter((key) => !fieldNames.includes(key)) : [];
  if (missing.length + unknown.length > 0) {
    throw refused(
      place,
      `the object does not fit the composite type ${name} (${fieldNames.join(', ')}):` +
        (missing.length > 0
          ? ` it lacks ${missing.join(', ')}`
          : ` it has ${unknown.join(', ')} beyond that`),
    );
  }
  return fieldNames.map((field) => (object as Record<string, unknown>)[field]);
}

/** Whether an object has a property of its own or from its class, except for `constructor` and what `Object.prototype` defines. */
function hasField(object: object, field: string): boolean {
  if (Object.hasOwn(object, field)) return true;
  if (field === 'constructor') return false;
  let link = Object.getPrototypeOf(object) as object | null;
  while (link !== null && !Object.hasOwn(link, field)) link = Object.getPrototypeOf(link) as object | null;
  return link !== null && Object.getPrototypeOf(link) !== null;
}
