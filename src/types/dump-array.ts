import * as errors from '../errors/index.js';
import type { Adapters, DumpedParam } from './adaptation.js';
import { MAX_DIMENSIONS } from './array.js';
import { Oids } from './oids.js';

/** Integer types by increasing width; mixed integers make an array of the widest. */
const INTEGER_WIDTHS: readonly number[] = [Oids.int2, Oids.int4, Oids.int8, Oids.numeric];
const FLOAT_TAKES: readonly number[] = [Oids.int2, Oids.int4, Oids.int8];

/** Types whose elements never need quotes. */
const UNQUOTED_TYPES: ReadonlySet<number> = new Set([
  ...INTEGER_WIDTHS,
  Oids.bool,
  Oids.float4,
  Oids.float8,
  Oids.oid,
]);

/** Matches the empty string, the word NULL, and the characters with a meaning in an array literal. */
const NEEDS_QUOTES = /^(?:null)?$|["\\{},; \t\n\v\f\r]/i;

/**
 * Dumps an array of any depth as an array of its elements' type. If the server infers that type, `delimiter` separates the
 * elements. Raises `DataError` for elements of different types, or for a nested array whose parts differ in length.
 */
export function dumpArray(
  array: readonly unknown[],
  map: Adapters,
  place: string,
  dumpElement: (value: unknown, place: string) => DumpedParam,
  delimiter = ',',
): DumpedParam {
  let oid: number | null = null;
  // A float array may include integers that are numbers, which a float holds exactly; a bigint it may not hold exactly.
  let numbers = true;
  let first: unknown = null;
  const shape: number[] = [];
  let leafDepth = -1;

  const dumpLevel = (level: readonly unknown[], depth: number, where: string): Parts => {
    if (depth === MAX_DIMENSIONS) {
      throw new errors.DataError(
        `${where}: an array can have ${String(MAX_DIMENSIONS)} dimensions at most, and can't contain itself`,
      );
    }
    if (shape.length === depth) shape.push(level.length);
    else if (shape[depth] !== level.length) throw ragged(where);
    const parts: (string | Parts)[] = [];
    for (let i = 0; i < level.length; i++) {
      const value = level[i];
      const here = `${where}[${String(i)}]`;
      if (Array.isArray(value) && map.dumperForObject(value) === undefined) {
        if (depth === leafDepth) throw ragged(here);
        parts.push(dumpLevel(value, depth + 1, here));
        continue;
      }
      if (leafDepth < 0) leafDepth = shape.length - 1;
      if (depth !== leafDepth) throw ragged(here);
      if (value === null) {
        parts.push('NULL');
        continue;
      }
      const dumped = dumpElement(value, here);
      numbers &&= typeof value === 'number';
      if (oid === null) {
        oid = dumped.oid;
        first = value;
      } else if (oid !== dumped.oid) {
        // As in Psycopg, an object (such as a range) whose type the server infers fits any other object of its class.
        oid =
          (oid === Oids.unknown || dumped.oid === Oids.unknown) && haveOneClass(first, value)
            ? oid || dumped.oid
            : commonType(oid, dumped.oid, numbers, here, map);
      }
      const { text } = dumped;
      if (text === null) parts.push('NULL');
      else
        parts.push(
          UNQUOTED_TYPES.has(dumped.oid) || needsNoQuotes(text, value, dumped.oid, map) ? text : quote(text),
        );
    }
    return parts;
  };

  const parts = dumpLevel(array, 0, place);
  // As in Psycopg, the server infers the type of an array without elements.
  if (oid === null) return { text: joined(parts, ',', shape.length), oid: Oids.unknown };
  const type = map.type(oid);
  return {
    text: joined(parts, type?.delimiter ?? delimiter, shape.length),
    oid: type?.arrayOid ?? Oids.unknown,
  };
}

/** The elements of a level. They are joined last, since the delimiter depends on the types of all elements. */
type Parts = readonly (string | Parts)[];

function joined(parts: Parts, delimiter: string, dimensions: number): string {
  const texts =
    dimensions === 1 ? parts : parts.map((part) => joined(part as Parts, delimiter, dimensions - 1));
  return `{${texts.join(delimiter)}}`;
}

function haveOneClass(first: unknown, second: unknown): boolean {
  return (
    typeof first === 'object' &&
    typeof second === 'object' &&
    first?.constructor !== undefined &&
    first.constructor === second?.constructor
  );
}

function commonType(known: number, other: number, numbers: boolean, place: string, map: Adapters): number {
  const wide = Math.max(INTEGER_WIDTHS.indexOf(known), INTEGER_WIDTHS.indexOf(other));
  if (INTEGER_WIDTHS.includes(known) && INTEGER_WIDTHS.includes(other)) return INTEGER_WIDTHS[wide]!;
  if (numbers && (known === Oids.float8 || other === Oids.float8)) {
    if (FLOAT_TAKES.includes(known) || FLOAT_TAKES.includes(other)) return Oids.float8;
  }
  throw new errors.DataError(
    `${place}: an array can't mix ${typeName(known, map)} and ${typeName(other, map)}; all elements need one type`,
  );
}

function typeName(oid: number, map: Adapters): string {
  return oid === Oids.unknown ? 'text' : (map.type(oid)?.name ?? `type ${String(oid)}`);
}

function ragged(place: string): Error {
  return new errors.DataError(`${place}: nested arrays must all have the same length and depth`);
}

/** Whether an element needs no quotes. As in Psycopg, elements are quoted only if necessary, which depends on the delimiter. */
function needsNoQuotes(text: string, value: unknown, oid: number, map: Adapters): boolean {
  if (NEEDS_QUOTES.test(text)) return false;
  if (typeof value === 'string' && oid === Oids.unknown) return true;
  const delimiter = map.type(oid)?.delimiter;
  return delimiter === ',' || delimiter === ';';
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
