import * as errors from '../errors/index.js';
import type { Adapters, DumpedParam } from './adaptation.js';
import { flattened, subscripts } from './array-shape.js';
import { Oids } from './oids.js';
import { quoted } from './write-text.js';

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
  const { shape, elements } = flattened(array, map, place);
  let oid: number | null = null;
  // A float array may include integers that are numbers, which a float holds exactly; a bigint it may not hold exactly.
  let numbers = true;
  let first: unknown = null;
  const texts: string[] = [];
  for (let i = 0; i < elements.length; i++) {
    const value = elements[i];
    if (value === null) {
      texts.push('NULL');
      continue;
    }
    const here = place + subscripts(i, shape);
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
    if (text === null) texts.push('NULL');
    else
      texts.push(
        UNQUOTED_TYPES.has(dumped.oid) || needsNoQuotes(text, value, dumped.oid, map) ? text : quoted(text),
      );
  }
  // As in Psycopg, the server infers the type of an array without elements.
  if (oid === null) return { text: braced(texts, shape, ','), oid: Oids.unknown };
  const type = map.type(oid);
  return {
    text: braced(texts, shape, type?.delimiter ?? delimiter),
    oid: type?.arrayOid ?? Oids.unknown,
  };
}

function braced(
  texts: readonly string[],
  [length = 0, ...inner]: readonly number[],
  delimiter: string,
): string {
  if (inner.length === 0) return `{${texts.join(delimiter)}}`;
  const size = texts.length / length;
  const parts = Array.from({ length }, (_, i) =>
    braced(texts.slice(i * size, (i + 1) * size), inner, delimiter),
  );
  return `{${parts.join(delimiter)}}`;
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

/** Whether an element needs no quotes. As in Psycopg, elements are quoted only if necessary, which depends on the delimiter. */
function needsNoQuotes(text: string, value: unknown, oid: number, map: Adapters): boolean {
  if (NEEDS_QUOTES.test(text)) return false;
  if (typeof value === 'string' && oid === Oids.unknown) return true;
  const delimiter = map.type(oid)?.delimiter;
  return delimiter === ',' || delimiter === ';';
}
