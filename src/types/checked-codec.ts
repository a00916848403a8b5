import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { checkText } from './check-text.js';
import { refused, withLoader, type Codec, type Place } from './codec.js';

const FUNCTIONS = [
  'readText',
  'readBinary',
  'takes',
  'binaryToText',
  'writeText',
  'writeBinary',
  'textToBinary',
];
const WRITERS = ['writeText', 'writeBinary', 'textToBinary'];

type Functions = Readonly<Record<string, ((...args: unknown[]) => unknown) | undefined>>;

/** Wraps a user's codec, whose writers may throw anything. Raises `ProgrammingError` for an incomplete codec. */
export function checkedCodec<T>(codec: Codec<T>): Codec<T> {
  if (typeof codec !== 'object' || (codec as unknown) === null) {
    throw new errors.ProgrammingError(
      `expected a codec to be an object, got ${codec === null ? 'null' : typeof codec}`,
    );
  }
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
  let text: unknown;
  try {
    text = functions[name]!(value, ...where);
  } catch (error) {
    if (error instanceof errors.Error) throw keepStack(error);
    throw refused(place, `the codec of the value's type failed: ${thrownText(error)}`);
  }
  if (name !== 'writeText' || text === null) return text;
  if (typeof text === 'string') return checkText(text, place);
  throw refused(place, `writeText() of a codec has to return text or null, got ${typeof text}`);
}

/** Combines a user's codec with the known codec of the type: text conversions of the known codec replace what the user's lacks. */
export function replaced(known: Codec, codec: Codec): Codec {
  const writers = codec.takes === undefined ? {} : { writeText: undefined, writeBinary: undefined };
  return { ...withLoader(known, codec.readText), ...writers, ...codec } as Codec;
}
