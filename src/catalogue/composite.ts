import { adaptersOf } from '../types/adapters.js';
import type { AdaptContext } from '../types/adapters-map.js';
import { Wrapper } from '../types/wrappers.js';
import type { AsyncConnection } from '../connection/connection.js';
import type { WaitOptions } from '../connection/options.js';
import * as errors from '../errors/index.js';
import { FUNCTION } from '../options/kinds.js';
import { KnownOptions } from '../options/known-options.js';
import type { Adapters, DumpedParam } from '../types/adaptation.js';
import { compositeOf, compositeText, fieldValues } from '../types/composite-codec.js';
import { called } from '../types/custom-adapters.js';
import {
  checkInfo,
  fetchType,
  TYPE_COLUMNS,
  TypeInfo,
  type TypeInfoOptions,
  type TypeName,
} from './type-info.js';

const COMPOSITE_QUERY = `
  SELECT ${TYPE_COLUMNS},
    array(
      SELECT attname::text FROM pg_attribute
      WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    ) AS "fieldNames",
    array(
      SELECT atttypid FROM pg_attribute
      WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    ) AS "fieldTypes"
  FROM pg_type t
  WHERE t.oid = to_regtype(%s) AND t.typtype = 'c'`;

/** A composite type, or a table's row type, read from the server's catalogue (Psycopg: `CompositeInfo`). */
export class CompositeInfo extends TypeInfo {
  /** The fields' names, in order. */
  readonly fieldNames: readonly string[];
  /** The oids of the fields' types, in the same order. */
  readonly fieldTypes: readonly number[];

  constructor(
    name: string,
    oid: number,
    arrayOid: number,
    options: TypeInfoOptions & {
      readonly fieldNames: readonly string[];
      readonly fieldTypes: readonly number[];
    },
  ) {
    super(name, oid, arrayOid, options);
    const { fieldNames, fieldTypes } = options;
    if (fieldNames.length !== fieldTypes.length) {
      throw new errors.ProgrammingError(
        `a CompositeInfo needs a type for each field, got ${String(fieldTypes.length)} for ${String(fieldNames.length)} fields`,
      );
    }
    this.fieldNames = fieldNames;
    this.fieldTypes = fieldTypes;
  }

  /** Like `TypeInfo.fetch()`; also null if the type is not a composite. */
  static override async fetch<R>(
    conn: AsyncConnection<R>,
    name: TypeName,
    options: WaitOptions = {},
  ): Promise<CompositeInfo | null> {
    type More = { readonly fieldNames: string[]; readonly fieldTypes: number[] };
    const row = await fetchType<More>(conn, name, COMPOSITE_QUERY, options);
    return row && new CompositeInfo(row.name, row.oid, row.arrayOid, row);
  }
}

/** Options of `registerComposite()`. */
export interface CompositeOptions<T> {
  /**
   * A class or function that makes the object of a composite from its fields' values, which it receives as arguments in order.
   * Objects of a class are also sent as the composite; their properties must have its fields' names.
   *
   * @default plain objects with a property for each field, in order
   */
  factory?: ((new (...values: never[]) => T) | ((...values: never[]) => T)) | undefined;
  /** Makes the object of a composite; takes precedence over `factory` (Psycopg: `make_object`). */
  makeObject?: ((values: readonly unknown[], info: CompositeInfo) => T) | undefined;
  /** Returns the fields' values, in order, of an object of the class `factory` (Psycopg: `make_sequence`). */
  makeSequence?: ((object: T, info: CompositeInfo) => readonly unknown[]) | undefined;
}

const OPTIONS = new KnownOptions<CompositeOptions<unknown>>('registerComposite(info, context, options)', {
  factory: FUNCTION,
  makeObject: FUNCTION,
  makeSequence: FUNCTION,
});

/**
 * Loads a composite type as objects with a property for each field, or as `factory` makes them (Psycopg: `register_composite`):
 * on a connection, on a cursor, or without a context on all connections made from now on. Arrays of the type and composites with
 * such fields follow. To send one, wrap it as `new Composite(info, { … })`, or register a class as `factory`. Raises
 * `ProgrammingError` for null, which `CompositeInfo.fetch()` returns for a missing type.
 *
 * @example
 * // CREATE TYPE card AS (value int, suit text)
 * class Card {
 *   constructor(readonly value: number, readonly suit: string) {}
 * }
 * registerComposite(await CompositeInfo.fetch(conn, 'card'), conn, { factory: Card });
 * await conn.execute('SELECT %s', [new Card(8, 'hearts')]);
 */
export function registerComposite<T = Record<string, unknown>>(
  info: CompositeInfo | null,
  context?: AdaptContext | null,
  options: CompositeOptions<T> = {},
): void {
  const type = checkInfo(info, CompositeInfo, 'registerComposite', 'is there such a composite type?');
  OPTIONS.check(options);
  const { factory, makeObject, makeSequence } = options;
  const factoryClass = isClass(factory) ? factory : null;
  if (factoryClass === null && makeSequence !== undefined) {
    throw new errors.ProgrammingError(
      'registerComposite() takes `makeSequence` only with a class as `factory`, whose objects it converts',
    );
  }
  const adapters = adaptersOf(context);
  type.register(adapters);

  let make: (values: unknown[]) => unknown;
  if (makeObject !== undefined) make = (values) => makeObject(values, type);
  else if (factoryClass !== null) make = (values) => new factoryClass(...(values as never[]));
  else if (factory !== undefined) {
    const call = factory as (...values: never[]) => T;
    make = (values) => call(...(values as never[]));
  } else make = plainObjects(type.fieldNames);
  adapters.setCodec(type.oid, (context) => compositeOf(type, make, context));
  if (factoryClass !== null) {
    adapters.setDumper(factoryClass, (object: T, place: string, map: Adapters) => ({
      text: compositeText(type, sequenceOf(object, type, makeSequence, place), map, place),
      oid: type.oid,
    }));
  }
}

/**
 * A parameter of a composite type: an object with a property for each field, or an array of the fields' values in order. A nested
 * plain object needs no wrapper if its field's type is a registered composite or hstore. Raises `DataError` when it is sent if
 * the fields do not match the type.
 *
 * @example
 * await conn.execute('INSERT INTO hand VALUES (%s)', [new Composite(card, { value: 8, suit: 'hearts' })]);
 */
export class Composite extends Wrapper {
  /** The composite type. */
  readonly info: CompositeInfo;
  /** The fields' values, by name or in order. */
  readonly value: Readonly<Record<string, unknown>> | readonly unknown[];

  constructor(info: CompositeInfo | null, value: Readonly<Record<string, unknown>> | readonly unknown[]) {
    super();
    this.info = checkInfo(info, CompositeInfo, 'new Composite', 'is there such a composite type?');
    if (typeof value !== 'object' || (value as unknown) === null) {
      throw new errors.DataError(
        `a Composite needs an object or an array of the values of its fields, got ${(value as unknown) === null ? 'null' : typeof value}`,
      );
    }
    this.value = value;
  }

  /** @internal */
  override dump(place: string, map: Adapters): DumpedParam {
    const { info, value } = this;
    return { text: compositeText(info, fieldValues(info, value, place), map, place), oid: info.oid };
  }
}

function sequenceOf<T>(
  object: T,
  type: CompositeInfo,
  makeSequence: CompositeOptions<T>['makeSequence'],
  place: string,
): readonly unknown[] {
  if (makeSequence === undefined) return fieldValues(type, object as object, place);
  const name = (): string => `the makeSequence of the composite type ${type.name}`;
  const values: unknown = called(name, place, () => makeSequence(object, type));
  if (Array.isArray(values)) return values;
  throw new errors.DataError(`${place}: ${name()} has to return an array, got ${typeof values}`);
}

function plainObjects(names: readonly string[]): (values: unknown[]) => unknown {
  if (names.includes('__proto__')) {
    // Assigning the field `__proto__` would set the prototype.
    return (values) => Object.fromEntries(names.map((name, i) => [name, values[i]]));
  }
  return (values) => {
    const object: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) object[names[i]!] = values[i];
    return object;
  };
}

function isClass<T>(value: CompositeOptions<T>['factory']): value is new (...values: never[]) => T {
  return (
    typeof value === 'function' && Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false
  );
}
