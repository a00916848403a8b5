import * as errors from '../errors/index.js';
import type { Adapters, DumpedParam } from './adaptation.js';
import { MOST_DIMENSIONS } from './array.js';
import { Oids } from './oids.js';

/** Integers of different size make an array of the largest. */
const WIDER: readonly number[] = [Oids.int2, Oids.int4, Oids.int8, Oids.numeric];
const FLOAT_TAKES: readonly number[] = [Oids.int2, Oids.int4, Oids.int8];

/** Types whose elements need no quotes. */
const BARE: ReadonlySet<number> = new Set([...WIDER, Oids.bool, Oids.float4, Oids.float8, Oids.oid]);

/** The empty string, the word NULL, and what means something within an array. */
const NEEDS_QUOTES = /^(?:null)?$|["\\{},; \t\n\v\f\r]/i;

/**
 * Dumps an array of any depth as an array of its elements' type; where the server decides on that, `delimiter` separates them.
 * Raises `DataError` if the elements are of different types, or if the parts of a nested array differ in length.
 */
export function dumpArray(
  array: readonly unknown[],
  map: Adapters,
  place: string,
  dumpElement: (value: unknown, place: string) => DumpedParam,
  delimiter = ',',
): DumpedParam {
  let oid: number | null = null;
  // A float takes the integers of numbers in, which it holds exactly; of bigints it does not.
  let numbers = true;
  let first: unknown = null;
  const shape: number[] = [];
  let leafDepth = -1;

  const dumpLevel = (level: readonly unknown[], depth: number, where: string): Parts => {
    if (depth === MOST_DIMENSIONS) {
      throw new errors.DataError(
        `${where}: an array can have ${String(MOST_DIMENSIONS)} dimensions at most, and can't contain itself`,
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
        // As in Psycopg: of objects of one class, which ranges are, those whose type the server decides fit any other.
        oid =
          (oid === Oids.unknown || dumped.oid === Oids.unknown) && haveOneClass(first, value)
            ? oid || dumped.oid
            : commonType(oid, dumped.oid, numbers, here, map);
      }
      const { text } = dumped;
      if (text === null) parts.push('NULL');
      else parts.push(BARE.has(dumped.oid) || standsBare(text, value, dumped.oid, map) ? text : quote(text));
    }
    return parts;
  };

  const parts = dumpLevel(array, 0, place);
  // As in Psycopg, an array without elements is left to the server.
  if (oid === null) return { text: joined(parts, ',', shape.length), oid: Oids.unknown };
  const type = map.type(oid);
  return {
    text: joined(parts, type?.delimiter ?? delimiter, shape.length),
    oid: type?.arrayOid ?? Oids.unknown,
  };
}

/** The elements of a level of an array: what separates them is known when all have been seen. */
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
  const wide = Math.max(WIDER.indexOf(known), WIDER.indexOf(other));
  if (WIDER.includes(known) && WIDER.includes(other)) return WIDER[wide]!;
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

/** As in Psycopg, quotes are only where they have to be; what the delimiter will be has to be known for that. */
function standsBare(text: string, value: unknown, oid: number, map: Adapters): boolean {
  if (NEEDS_QUOTES.test(text)) return false;
  if (typeof value === 'string' && oid === Oids.unknown) return true;
  const delimiter = map.type(oid)?.delimiter;
  return delimiter === ',' || delimiter === ';';
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
