import * as errors from '../errors/index.js';
import { COMPOSABLE, TYPED } from '../query/brand.js';
import type { Adapters, DumpedParam, Dumper } from './adaptation.js';
import { braced, flattened } from './array.js';
import type { Place } from './codec.js';
import { Oids } from './oids.js';
import { isPromise } from './realm.js';
import { quoted } from './write-text.js';

const NULL: DumpedParam = { text: null, oid: Oids.unknown };

/**
 * Dumps a parameter. `place` names it in errors: `$2`, or `$2[3]` inside an array. Raises `ProgrammingError` for a value of a
 * type that cannot be sent, `DataError` for a value that its type cannot hold.
 */
export function dumpParam(value: unknown, adapters: Adapters, place: string): DumpedParam {
  if (value === null) return NULL;
  const type = typeof value;
  if (type === 'object' && COMPOSABLE in (value as object)) {
    throw new errors.ProgrammingError(`${place}: ${refusal(value)}`);
  }
  const dumper: Dumper | undefined =
    type === 'object' ? adapters.dumperForObject(value as object) : adapters.dumperForType(type);
  if (dumper !== undefined) return dumper(value as never, place, adapters);
  if (Array.isArray(value)) {
    return dumpArray(value, adapters, place, (element, where) => dumpParam(element, adapters, where));
  }
  const ofAnyClass =
    type === 'object' && !(TYPED in (value as object)) ? adapters.dumperForType('object') : undefined;
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

/** Whether a value is a composed query or a promise, which have no content of their own, so that as JSON they would be `{}`. */
export function isHollow(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (COMPOSABLE in value || isPromise(value));
}

/** The error for a value whose text exceeds the longest string of JavaScript; any other error as it is, such as a stack overflow. */
export function tooLarge(error: unknown, place: Place): unknown {
  if (!isTooLong(error)) return error;
  return new errors.DataError(`${place.toString()}: the text is too large: ${error.message}`, {
    cause: error,
  });
}

function isTooLong(error: unknown): error is Error {
  if ((error as { code?: unknown } | null)?.code === 'ERR_STRING_TOO_LONG') return true;
  return error instanceof RangeError && error.message === (messageOfTooLong ??= tooLongHere());
}

/** Engines have messages of their own for a string that is too long, and the class of the error means other things, too. */
let messageOfTooLong: string | null = null;

function tooLongHere(): string {
  try {
    return 'xx'.repeat(2 ** 30);
  } catch (error) {
    return (error as Error).message;
  }
}

const NO_TYPE_FOR: ReadonlySet<string> = new Set(['Temporal.PlainYearMonth', 'Temporal.PlainMonthDay']);

/** Why a value cannot be sent, and what to do. */
export function refusal(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return "undefined can't be sent to the server; use null for NULL";
    case 'function':
      return `a function (${value.name === '' ? 'anonymous' : value.name}) can't be sent to the server; did you mean to call it?`;
    case 'symbol':
      return "a symbol can't be sent to the server; use its description";
    default: {
      const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'Object';
      if (COMPOSABLE in (value as object)) {
        return 'a composed query is not a value: put it into the query with sql`…` or format(), a list of them with join()';
      }
      if (TYPED in (value as object)) {
        return `this ${name} was made by another copy of usingpg, which this one does not know: install one version only`;
      }
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

// --- arrays

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
function dumpArray(
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

/** The subscripts of an element, such as `[1][0]`. */
function subscripts(index: number, shape: readonly number[]): string {
  if (shape.length === 1) return `[${String(index)}]`;
  let text = '';
  let rest = index;
  for (const length of shape.toReversed()) {
    text = `[${String(rest % length)}]${text}`;
    rest = Math.floor(rest / length);
  }
  return text;
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
