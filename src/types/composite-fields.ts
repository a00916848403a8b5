import { dumpAs } from './dump.js';
import type { Adapters } from './adaptation.js';
import { isPlainObject } from './realm.js';
import { refused, type Place } from './codec.js';
import { quoteField } from './field-reader.js';

/** The parts of a composite type that sending a value needs. */
export interface CompositeFields {
  readonly name: string;
  readonly oid: number;
  readonly fieldNames: readonly string[];
  readonly fieldTypes: readonly number[];
}

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
