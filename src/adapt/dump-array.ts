import * as errors from '../errors/index.js';
import type { AdaptersMap, DumpedParam } from './adapters-map.js';
import { Oids } from './oids.js';

/** Integers of different size make an array of the largest. */
const WIDER: readonly number[] = [Oids.int2, Oids.int4, Oids.int8, Oids.numeric];
const FLOAT_TAKES: readonly number[] = [Oids.int2, Oids.int4, Oids.int8];

/** The server's own limit. */
const MOST_DIMENSIONS = 6;

/** Types whose elements need no quotes. */
const BARE: ReadonlySet<number> = new Set([...WIDER, Oids.bool, Oids.float4, Oids.float8, Oids.oid]);

/**
 * Dumps an array of any depth as an array of its elements' type. Raises `DataError` if the elements are of different types, or
 * if the parts of a nested array differ in length.
 */
export function dumpArray(
  array: readonly unknown[],
  map: AdaptersMap,
  place: string,
  dumpElement: (value: unknown, place: string) => DumpedParam,
): DumpedParam {
  let oid: number | null = null;
  // A float takes the integers of numbers in, which it holds exactly; of bigints it does not.
  let numbers = true;
  const shape: number[] = [];
  let leafDepth = -1;

  const dumpLevel = (level: readonly unknown[], depth: number, where: string): string => {
    if (depth === MOST_DIMENSIONS) {
      throw new errors.DataError(
        `${where}: an array can have ${String(MOST_DIMENSIONS)} dimensions at most, and can't contain itself`,
      );
    }
    if (shape.length === depth) shape.push(level.length);
    else if (shape[depth] !== level.length) throw ragged(where);
    const parts: string[] = [];
    for (let i = 0; i < level.length; i++) {
      const value = level[i];
      const here = `${where}[${String(i)}]`;
      if (Array.isArray(value)) {
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
      oid = oid === null ? dumped.oid : commonType(oid, dumped.oid, numbers, here, map);
      parts.push(dumped.text === null ? 'NULL' : BARE.has(dumped.oid) ? dumped.text : quote(dumped.text));
    }
    return `{${parts.join(map.type(oid ?? Oids.text)?.delimiter ?? ',')}}`;
  };

  const text = dumpLevel(array, 0, place);
  // Psycopg leaves an array without elements to the server.
  if (oid === null) return { text: isEmpty(array) ? '{}' : text, oid: Oids.unknown };
  return { text, oid: map.type(oid)?.arrayOid ?? Oids.unknown };
}

function commonType(known: number, other: number, numbers: boolean, place: string, map: AdaptersMap): number {
  if (known === other) return known;
  const wide = Math.max(WIDER.indexOf(known), WIDER.indexOf(other));
  if (WIDER.includes(known) && WIDER.includes(other)) return WIDER[wide]!;
  if (numbers && (known === Oids.float8 || other === Oids.float8)) {
    if (FLOAT_TAKES.includes(known) || FLOAT_TAKES.includes(other)) return Oids.float8;
  }
  throw new errors.DataError(
    `${place}: an array can't mix ${typeName(known, map)} and ${typeName(other, map)}; all elements need one type`,
  );
}

function typeName(oid: number, map: AdaptersMap): string {
  return oid === Oids.unknown ? 'text' : (map.type(oid)?.name ?? `type ${String(oid)}`);
}

function ragged(place: string): Error {
  return new errors.DataError(`${place}: nested arrays must all have the same length and depth`);
}

function isEmpty(array: readonly unknown[]): boolean {
  return array.every((item) => Array.isArray(item) && isEmpty(item));
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
