import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { checkArgument, OBJECT } from '../options/kinds.js';
import type { Adapters, DumpedParam, Dumper } from './adaptation.js';
import { refused, withLoader, type Codec, type Place } from './codec.js';
import { Oids } from './oids.js';
import { Wrapper } from './wrappers.js';
import { checkText } from './write-text.js';

// Checks what users register: their functions may throw anything, and return anything.

/** Calls a user's function, called `name` in the error if it throws one that is not the library's. */
export function called<T>(name: () => string, place: Place, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof errors.Error) throw keepStack(error);
    throw new errors.DataError(`${place.toString()}: ${name()} failed: ${thrownText(error)}`, {
      cause: error,
    });
  }
}

/**
 * Converts a value for the server. Returns its text, whose type the server infers; `{ text, oid }` with an explicit type; a
 * wrapper to be sent in its place; or null for NULL. `place` names the parameter in error messages, such as `$2` or `$2[3]`.
 * `adapters` belong to the cursor that sends the value.
 */
export type CustomDumper<T> = (
  value: T,
  place: string,
  adapters: Adapters,
) => string | { readonly text: string | null; readonly oid?: number } | Wrapper | null;

const MAX_OID = 0xffff_ffff;

/** Wraps a user's dumper. */
export function checkedDumper(dumper: CustomDumper<never>): Dumper {
  const checked: Dumper = (value, place, map) => {
    const name = (): string => `the dumper of ${nameOf(value)}`;
    const result: unknown = called(name, place, () => dumper(value, place, map));
    if (result === null) return { text: null, oid: Oids.unknown };
    if (typeof result === 'string') return { text: checkText(result, place), oid: Oids.unknown };
    if (result instanceof Wrapper) {
      const next = map.dumperForObject(result);
      return next === undefined || next === checked
        ? result.dump(place, map)
        : next(result as never, place, map);
    }
    if (isDumped(result)) {
      return {
        text: result.text === null ? null : checkText(result.text, place),
        oid: result.oid ?? Oids.unknown,
      };
    }
    throw new errors.DataError(
      `${place}: ${name()} returned ${described(result)}; it has to return text, { text, oid }, a wrapper` +
        ' such as new Jsonb(…), or null',
    );
  };
  return checked;
}

function isDumped(result: unknown): result is Partial<DumpedParam> & Pick<DumpedParam, 'text'> {
  if (typeof result !== 'object' || result === null || !('text' in result)) return false;
  const { text, oid = Oids.unknown } = result as { text: unknown; oid?: unknown };
  return (
    (text === null || typeof text === 'string') &&
    typeof oid === 'number' &&
    Number.isInteger(oid) &&
    oid >= 0 &&
    oid <= MAX_OID
  );
}

/** The class of a value, as an error names what dumps it. */
export function nameOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `values of type ${typeof value}`;
  return (value as { constructor?: { name?: string } }).constructor?.name ?? 'plain objects';
}

function described(result: unknown): string {
  if (typeof result !== 'object' || result === null) return typeof result;
  return `an object with ${Object.keys(result).join(', ') || 'no properties'}`;
}

// --- codecs

const WRITERS = ['writeText', 'writeBinary', 'textToBinary'];
const FUNCTIONS = ['readText', 'readBinary', 'takes', 'binaryToText', ...WRITERS];

type Functions = Readonly<Record<string, ((...args: unknown[]) => unknown) | undefined>>;

/** Wraps a user's codec. Raises `ProgrammingError` for an incomplete codec. */
export function checkedCodec<T>(codec: Codec<T>): Codec<T> {
  checkArgument('a codec', codec, OBJECT);
  const functions = codec as unknown as Functions;
  const checked: Record<string, unknown> = {
    preferBinary: codec.readBinary && codec.preferBinary,
    followsDateStyle: codec.followsDateStyle,
  };
  for (const name of FUNCTIONS) {
    const given: unknown = functions[name];
    if (given === undefined && name !== 'readText') continue;
    if (typeof given !== 'function') {
      throw new errors.ProgrammingError(`expected ${name} of a codec to be a function, got ${typeof given}`);
    }
    checked[name] = WRITERS.includes(name)
      ? (value: unknown, ...where: Place[]) => written(functions, name, value, where)
      : (...args: unknown[]) => functions[name]!(...args);
  }
  if ((checked['writeText'] ?? checked['writeBinary']) !== undefined && checked['takes'] === undefined) {
    throw new errors.ProgrammingError(
      'a codec that writes values needs takes(), which says what values these are',
    );
  }
  return checked as unknown as Codec<T>;
}

/** Calls a user's writer; the last argument of every writer is the value's place. */
function written(functions: Functions, name: string, value: unknown, where: readonly Place[]): unknown {
  const place = where.at(-1)!;
  const text = called(
    () => "the codec of the value's type",
    place,
    () => functions[name]!(value, ...where),
  );
  if (name !== 'writeText' || text === null) return text;
  if (typeof text === 'string') return checkText(text, place);
  throw refused(place, `writeText() of a codec has to return text or null, got ${typeof text}`);
}

/** Combines a user's codec with the known codec of the type: text conversions of the known codec replace what the user's lacks. */
export function replaced(known: Codec, codec: Codec): Codec {
  const writers = codec.takes === undefined ? {} : { writeText: undefined, writeBinary: undefined };
  return { ...withLoader(known, codec.readText), ...writers, ...codec } as Codec;
}
