import * as errors from '../errors/index.js';
import { COMPOSABLE } from '../query/brand.js';
import type { Adapters, DumpedParam, Dumper } from './adaptation.js';
import { Oids } from './oids.js';
import { dumpArray } from './dump-array.js';
import { isPromise } from './realm.js';

export type { DumpedParam };

const NULL: DumpedParam = { text: null, oid: Oids.unknown };

/**
 * Dumps a parameter. `place` names it in errors: `$2`, or `$2[3]` inside an array. Raises `ProgrammingError` for a value of a
 * type that cannot be sent, `DataError` for a value that its type cannot hold.
 */
export function dumpParam(value: unknown, adapters: Adapters, place: string): DumpedParam {
  if (value === null) return NULL;
  const type = typeof value;
  if (type === 'object' && COMPOSABLE in (value as object)) throw composed(place);
  const dumper: Dumper | undefined =
    type === 'object' ? adapters.dumperForObject(value as object) : adapters.dumperForType(type);
  if (dumper !== undefined) return dumper(value as never, place, adapters);
  if (Array.isArray(value)) {
    return dumpArray(value, adapters, place, (element, where) => dumpParam(element, adapters, where));
  }
  const ofAnyClass = type === 'object' ? adapters.dumperForType('object') : undefined;
  if (ofAnyClass !== undefined) return ofAnyClass(value as never, place, adapters);
  throw new errors.ProgrammingError(`${place}: ${refusal(value)}`);
}

/**
 * Dumps a value whose type is known, such as a composite's field. The codec of the type writes the objects that it takes, and
 * `dumpParam()` any other value; arrays are handled element by element, with the type's delimiter. If the caller has `named` the
 * type, the codec also writes strings and numbers, which are otherwise sent as text of the type.
 */
export function dumpAs(
  value: unknown,
  oid: number,
  adapters: Adapters,
  place: string,
  named = false,
): DumpedParam {
  const codec = adapters.codecFor(oid);
  if (
    codec.writeText !== undefined &&
    (named || typeof value === 'object') &&
    codec.takes?.(value) === true
  ) {
    return { text: codec.writeText(value, place), oid };
  }
  if (Array.isArray(value) && adapters.dumperForObject(value) === undefined) {
    const element = adapters.elementType(adapters.type(oid)?.baseOid ?? oid);
    if (
      element !== undefined &&
      (element.delimiter !== ',' || adapters.codecFor(element.oid).writeText !== undefined)
    ) {
      const dumpElement = (item: unknown, where: string): DumpedParam =>
        dumpAs(item, element.oid, adapters, where, named);
      return dumpArray(value, adapters, place, dumpElement, element.delimiter);
    }
  }
  return dumpParam(value, adapters, place);
}

function composed(place: string): Error {
  return new errors.ProgrammingError(
    `${place}: a composed query is not a value: put it into the query with sql\`…\` or format(), a list of them with join()`,
  );
}

const NO_TYPE_FOR: ReadonlySet<string> = new Set(['Temporal.PlainYearMonth', 'Temporal.PlainMonthDay']);

function refusal(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return "undefined can't be sent to the server; use null for NULL";
    case 'function':
      return `a function (${value.name === '' ? 'anonymous' : value.name}) can't be sent to the server; did you mean to call it?`;
    case 'symbol':
      return "a symbol can't be sent to the server; use its description";
    default: {
      const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'Object';
      if (isPromise(value)) return "a promise can't be sent to the server; did you forget to await it?";
      const temporal = /^\[object (Temporal\.\w+)\]$/.exec(Object.prototype.toString.call(value))?.[1];
      if (temporal !== undefined) {
        return NO_TYPE_FOR.has(temporal)
          ? `PostgreSQL has no type for a ${temporal}; send its text, with .toString(), or a Temporal.PlainDate`
          : `a ${temporal} can't be sent unless registerTemporal(conn, { Temporal }) has been given the Temporal that made it`;
      }
      return name === 'Object' || name === ''
        ? "a plain object can't be sent as it is: wrap it as new Jsonb(value) for jsonb, or new Json(value) for json"
        : `an object of class ${name} can't be sent as it is: convert it, wrap it as new Jsonb(value) for jsonb, or register` +
            ' a dumper with adapters.registerDumper()';
    }
  }
}
