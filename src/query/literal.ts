import * as errors from '../errors/index.js';
import { quoteIdentifier } from './identifier.js';
import type { AdaptersMap, TypeEntry } from '../types/adapters-map.js';
import { scanDecimal } from '../types/decimal.js';
import { dumpParam } from '../types/dump.js';
import { checkText } from '../types/check-text.js';
import { Oids } from '../types/oids.js';

/** What a literal depends on besides its value. */
export interface LiteralContext {
  readonly adapters: AdaptersMap;
  /** A setting that the server reports; null if it does not, or if there is no server. */
  parameterStatus(name: string): string | null;
}

/** What literals depend on that are sent to a server. */
export class SessionLiterals implements LiteralContext {
  readonly adapters: AdaptersMap;
  readonly #parameters: ReadonlyMap<string, string>;

  /** `parameters` are those that the server reports. */
  constructor(adapters: AdaptersMap, parameters: ReadonlyMap<string, string>) {
    this.adapters = adapters;
    this.#parameters = parameters;
  }

  parameterStatus(name: string): string | null {
    return this.#parameters.get(name) ?? null;
  }
}

/** Types whose values stand without quotes, as far as they look like this. */
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
/** Below it, an oid means the same type on every server. */
const FIRST_OID_OF_USERS = 16_384;
/** Of a type that is called as a keyword of SQL, which would give it a length of one character or bit. */
const NEEDS_QUOTES: ReadonlySet<string> = new Set(['bit']);

/** A value as it stands in a text of SQL, which depends on what follows. */
export interface SqlLiteral {
  /** In general. */
  readonly text: string;
  /** Before a cast, which binds tighter than a minus sign and tells a numeric from a float. */
  readonly beforeCast: string;
  /** Before `[…]`, `.field` and `(…)`, which would belong to the type that the literal is cast to. */
  readonly beforeSubscript: string;
}

/**
 * The value as an SQL literal, dumped as it would be if it were sent as a parameter, with a cast to its type where the quotes
 * hide it. `place` names it in errors. Raises what `dumpParam()` raises, and `NotSupportedError` if the client's encoding is not
 * UTF8, in which quotes might not be where they seem.
 */
export function literal(value: unknown, context: LiteralContext, place: string): SqlLiteral {
  const encoding = context.parameterStatus('client_encoding');
  if (encoding !== null && encoding !== 'UTF8') {
    throw new errors.NotSupportedError(
      `${place}: a literal can't be made while client_encoding is ${encoding}; set it to UTF8`,
    );
  }
  const { text, oid } = dumpParam(value, context.adapters, place);
  if (text === null) return same('NULL');
  if (oid === Oids.bool && (text === 't' || text === 'f')) return same(text === 't' ? 'true' : 'false');
  const isFloat = oid === Oids.float4 || oid === Oids.float8;
  const decimal = NUMBERS.has(oid) ? scanDecimal(text) : null;
  // As a number, -0 would be the integer 0.
  if (decimal === null || (isFloat && text === '-0')) return quoted(text, oid, context, place);
  // As a number, 1 would be an integer where a float is meant.
  const number = isFloat && decimal.isInteger ? `${text}.0` : text;
  // Behind a minus sign, a second one would begin a comment.
  const bare = number.startsWith('-') ? ` ${number}` : number;
  // With a point it is a numeric, whose text is another one than that of a float.
  const beforeCast = isFloat
    ? quoted(text, oid, context, place).text
    : /^[+-]/.test(number)
      ? `(${number})`
      : number;
  return { text: bare, beforeCast, beforeSubscript: bare };
}

function quoted(text: string, oid: number, context: LiteralContext, place: string): SqlLiteral {
  checkText(text, place);
  const isPlain =
    !text.includes('\\') ||
    (oid === Oids.bytea &&
      HEX_BYTES.test(text) &&
      context.parameterStatus('standard_conforming_strings') === 'on');
  const body = text.replaceAll("'", "''");
  // With an E, backslashes mean the same whatever standard_conforming_strings is; the space keeps it from joining a word.
  const string = isPlain ? `'${body}'` : ` E'${body.replaceAll('\\', '\\\\')}'`;
  const type = castType(oid, context.adapters);
  if (type === null) return same(string);
  const cast = `${string}::${type}`;
  return { text: cast, beforeCast: cast, beforeSubscript: `(${cast})` };
}

function same(text: string): SqlLiteral {
  return { text, beforeCast: text, beforeSubscript: text };
}

/** The type to cast a quoted literal to; null where the server is to decide. */
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
