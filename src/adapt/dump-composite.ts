import * as errors from '../errors/index.js';
import type { AdaptersMap, DumpedParam } from './adapters-map.js';
import { dumpAs } from './dump.js';
import { quoteField } from './field-reader.js';
import { isPlainObject } from './realm.js';

/** What has to be known of a composite type to send a value of it. */
export interface CompositeFields {
  readonly name: string;
  readonly oid: number;
  readonly fieldNames: readonly string[];
  readonly fieldTypes: readonly number[];
}

/** Dumps a composite of the values of its fields, in order. Raises `DataError` if there are more or fewer than fields. */
export function dumpComposite(
  type: CompositeFields,
  values: readonly unknown[],
  map: AdaptersMap,
  place: string,
): DumpedParam {
  const { name, oid, fieldNames, fieldTypes } = type;
  if (values.length !== fieldNames.length) {
    throw new errors.DataError(
      `${place}: the composite type ${name} has ${String(fieldNames.length)} fields (${fieldNames.join(', ')}),` +
        ` but ${String(values.length)} values were given`,
    );
  }
  const fields = fieldNames.map((field, i) =>
    quoteField(dumpAs(values[i], fieldTypes[i]!, map, `${place}.${field}`).text),
  );
  return { text: `(${fields.join(',')})`, oid };
}

/**
 * The values of a composite's fields, from an object's properties of the same names. Raises `DataError` for one that is
 * missing, and in a plain object also for one that is no field.
 */
export function fieldValues(type: CompositeFields, object: object, place: string): unknown[] {
  if (Array.isArray(object)) return object as unknown[];
  const { name, fieldNames } = type;
  const missing = fieldNames.filter((field) => !(field in object));
  const unknown = isPlainObject(object) ? Object.keys(object).filter((key) => !fieldNames.includes(key)) : [];
  if (missing.length + unknown.length > 0) {
    throw new errors.DataError(
      `${place}: the object does not fit the composite type ${name} (${fieldNames.join(', ')}):` +
        (missing.length > 0
          ? ` it lacks ${missing.join(', ')}`
          : ` it has ${unknown.join(', ')} beyond that`),
    );
  }
  return fieldNames.map((field) => (object as Record<string, unknown>)[field]);
}
