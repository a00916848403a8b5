import * as errors from '../errors/index.js';
import type { AdaptersMap, DumpedParam, Dumper } from './adapters-map.js';
import { dumpArray } from './dump-array.js';
import { Oids } from './oids.js';

export type { DumpedParam };

const NULL: DumpedParam = { text: null, oid: Oids.unknown };

/**
 * What is sent for a value. `place` names it in errors: `$2`, or `$2[3]` inside an array. Raises `ProgrammingError` for a value
 * of a type that can't be sent, `DataError` for a value that its type can't hold.
 */
export function dumpParam(value: unknown, map: AdaptersMap, place: string): DumpedParam {
  if (value === null) return NULL;
  const type = typeof value;
  const dumper: Dumper | undefined =
    type === 'object' ? map.dumperForObject(value as object) : map.dumperForType(type);
  if (dumper !== undefined) return dumper(value as never, place);
  if (Array.isArray(value)) {
    return dumpArray(value, map, place, (element, where) => dumpParam(element, map, where));
  }
  throw new errors.ProgrammingError(`${place}: ${refusal(value)}`);
}

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
      return name === 'Object' || name === ''
        ? "a plain object can't be sent as it is: wrap it as new Jsonb(value) for jsonb, or new Json(value) for json"
        : `an object of class ${name} can't be sent as it is: convert it, wrap it as new Jsonb(value) for jsonb, or register` +
            ' a dumper with adapters.registerDumper()';
    }
  }
}
