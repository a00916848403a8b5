import * as errors from '../errors/index.js';
import { quoteIdentifier } from './identifier.js';
import type { AdaptersMap, DumpedParam, TypeEntry } from '../types/adapters-map.js';
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
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const HEX_BYTES = /^\\x[0-9a-fA-F]*$/;
/** Below it, an oid means the same type on every server. */
const FIRST_OID_OF_USERS = 16_384;

/**
 * The value as an SQL literal, dumped as it would be if it were sent as a parameter, with a cast to its type where the quotes
 * hide it. `place` names it in errors. Raises what `dumpParam()` raises, and `NotSupportedError` if the client's encoding is not
 * UTF8, in which quotes might not be where they seem.
 */
export function literal(value: unknown, context: LiteralContext, place: string): string {
  const encoding = context.parameterStatus('client_encoding');
  if (encoding !== null && encoding !== 'UTF8') {
    throw new errors.NotSupportedError(
      `${place}: a literal can't be made while client_encoding is ${encoding}; set it to UTF8`,
    );
  }
  const dumped = dumpParam(value, context.adapters, place);
  if (dumped.text === null) return 'NULL';
  return bare(dumped.text, dumped) ?? quoted(dumped.text, dumped, context, place);
}

/** The literal of a type that needs no quotes; null where it does. */
function bare(text: string, { oid }: DumpedParam): string | null {
  if (oid === Oids.bool) return text === 't' ? 'true' : text === 'f' ? 'false' : null;
  if (!NUMBERS.has(oid) || !NUMBER.test(text)) return null;
  const isFloat = oid === Oids.float4 || oid === Oids.float8;
  // As a number, -0 would be the integer 0, and 1 an integer where a float is meant.
  if (isFloat && text === '-0') return null;
  const number = isFloat && /^[+-]?\d+$/.test(text) ? `${text}.0` : text;
  // Behind a minus sign, a second one would begin a comment.
  return number.startsWith('-') ? ` ${number}` : number;
}

function quoted(text: string, { oid }: DumpedParam, context: LiteralContext, place: string): string {
  checkText(text, place);
  const type = castType(oid, context.adapters);
  const cast = type === null ? '' : `::${type}`;
  const isPlain =
    !text.includes('\\') ||
    (oid === Oids.bytea &&
      HEX_BYTES.test(text) &&
      context.parameterStatus('standard_conforming_strings') === 'on');
  const body = text.replaceAll("'", "''");
  // With an E, backslashes mean the same whatever standard_conforming_strings is; the space keeps it from joining a word.
  return isPlain ? `'${body}'${cast}` : ` E'${body.replaceAll('\\', '\\\\')}'${cast}`;
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
  return oid < FIRST_OID_OF_USERS ? name : (sqlName ?? quoteIdentifier(name));
}
