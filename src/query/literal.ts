import * as errors from '../errors/index.js';
import { quoteIdentifier } from './identifier.js';
import type { AdaptersMap, DumpedParam, TypeEntry } from '../types/adapters-map.js';
import { parseInteger, scanDecimal } from '../types/decimal.js';
import { dumpParam, tooLarge } from '../types/dump.js';
import { checkText } from '../types/write-text.js';
import { Oids } from '../types/oids.js';

/** The context that a literal's text depends on. */
export interface LiteralContext {
  readonly adapters: AdaptersMap;
  /** A setting reported by the server; null if it is not reported, or without a server. */
  parameterStatus(name: string): string | null;
}

/** The context for literals sent to a server. */
export class SessionLiterals implements LiteralContext {
  readonly adapters: AdaptersMap;
  readonly #parameters: ReadonlyMap<string, string>;

  /** `parameters` are the settings that the server reports. */
  constructor(adapters: AdaptersMap, parameters: ReadonlyMap<string, string>) {
    this.adapters = adapters;
    this.#parameters = parameters;
  }

  parameterStatus(name: string): string | null {
    return this.#parameters.get(name) ?? null;
  }
}

/** Types whose values need no quotes if they look like a number. */
const NUMBERS: ReadonlySet<number> = new Set([
  Oids.int2,
  Oids.int4,
  Oids.int8,
  Oids.oid,
  Oids.numeric,
  Oids.float4,
  Oids.float8,
]);
const HEX_BYTES = /^\\x[0-9a-fA-F]*$/;
/** Oids below this one have the same meaning on every server. */
const FIRST_OID_OF_USERS = 16_384;
/** Types whose names are SQL keywords; unquoted, such a name would mean a length of one character or bit. */
const NEEDS_QUOTES: ReadonlySet<string> = new Set(['bit']);

/** A literal's text, which depends on what follows it. */
export interface SqlLiteral {
  /** The text if none of the cases below applies. */
  readonly text: string;
  /** Before a cast, which binds more tightly than a minus sign and distinguishes a numeric from a float. */
  readonly beforeCast: string;
  /** Before `[…]`, `.field` and `(…)`, which would otherwise apply to the type in the literal's cast. */
  readonly beforeSubscript: string;
}

/**
 * Makes the SQL literal of a value, dumped like a parameter, with a cast to its type where quotes hide the type. `place` names
 * the value in errors. Raises the errors of `dumpParam()`, and `NotSupportedError` if client_encoding is not UTF8, in which bytes
 * of a character may be mistaken for quotes.
 */
export function literal(value: unknown, context: LiteralContext, place: string): SqlLiteral {
  const encoding = context.parameterStatus('client_encoding');
  if (encoding !== null && encoding !== 'UTF8') {
    throw new errors.NotSupportedError(
      `${place}: a literal can't be made while client_encoding is ${encoding}; set it to UTF8`,
    );
  }
  try {
    const dumped = dumpParam(value, context.adapters, place);
    return literalOf(dumped, typeof value === 'object', context, place);
  } catch (error) {
    throw tooLarge(error, place);
  }
}

/** `isObject`: an object's type was chosen, by its class or its dumper, so that the literal must have no other. */
function literalOf(
  { text, oid }: DumpedParam,
  isObject: boolean,
  context: LiteralContext,
  place: string,
): SqlLiteral {
  if (text === null) return same('NULL');
  if (oid === Oids.bool && (text === 't' || text === 'f')) return same(text === 't' ? 'true' : 'false');
  const isFloat = oid === Oids.float4 || oid === Oids.float8;
  const decimal = NUMBERS.has(oid) ? scanDecimal(text) : null;
  // Without quotes, -0 would be the integer 0.
  if (decimal === null || (isFloat && text === '-0')) return quoted(text, oid, context, place);
  // As in Psycopg, a float8 is a decimal number, which the server converts where it needs a float8.
  if (isObject && oid !== Oids.float8 && oid !== typeOfBare(text, decimal.isInteger)) {
    return quoted(text, oid, context, place);
  }
  // Without a decimal point, the server would read an integer.
  const number = isFloat && decimal.isInteger ? `${text}.0` : text;
  const isSigned = /^[+-]/.test(number);
  // The space prevents a preceding minus sign from forming a comment, and other signs from forming an operator.
  const bare = isSigned ? ` ${number}` : number;
  // With a decimal point the server reads a numeric, whose text differs from a float's.
  // An oid is cast by other rules than an integer.
  const beforeCast =
    isFloat || oid === Oids.oid ? quoted(text, oid, context, place).text : isSigned ? `(${number})` : number;
  return { text: bare, beforeCast, beforeSubscript: bare };
}

/** The type that the server gives to a number without quotes. */
function typeOfBare(text: string, isInteger: boolean): number {
  const integer = isInteger ? parseInteger(text)! : null;
  if (integer === null || BigInt.asIntN(64, integer) !== integer) return Oids.numeric;
  return BigInt.asIntN(32, integer) === integer ? Oids.int4 : Oids.int8;
}

function quoted(text: string, oid: number, context: LiteralContext, place: string): SqlLiteral {
  checkText(text, place);
  const isPlain =
    !text.includes('\\') ||
    (oid === Oids.bytea &&
      HEX_BYTES.test(text) &&
      context.parameterStatus('standard_conforming_strings') === 'on');
  const body = text.replaceAll("'", "''");
  // In an E string, backslashes have one meaning whatever standard_conforming_strings is. The space separates the E from a
  // preceding word.
  const string = isPlain ? `'${body}'` : ` E'${body.replaceAll('\\', '\\\\')}'`;
  const type = castType(oid, context.adapters);
  if (type === null) return same(string);
  const cast = `${string}::${type}`;
  return { text: cast, beforeCast: cast, beforeSubscript: `(${cast})` };
}

function same(text: string): SqlLiteral {
  return { text, beforeCast: text, beforeSubscript: text };
}

/** The type to cast a quoted literal to; null lets the server infer it. */
function castType(oid: number, adapters: AdaptersMap): string | null {
  if (oid === Oids.unknown || oid === Oids.text) return null;
  const type = adapters.type(oid);
  if (type !== undefined) return typeName(type);
  const element = adapters.elementType(oid);
  return element === undefined ? null : `${typeName(element)}[]`;
}

function typeName({ name, oid, sqlName }: TypeEntry): string {
  if (NEEDS_QUOTES.has(name)) return quoteIdentifier(name);
  return oid < FIRST_OID_OF_USERS ? name : (sqlName ?? quoteIdentifier(name));
}
