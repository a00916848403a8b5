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

/** A codec made of a user's, whose writers may throw whatever they like. Raises `ProgrammingError` for one that lacks what it needs. */
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

/** What a writer gives, whose last argument is the place of the value. */
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

/** A user's codec in place of the one that is known: what it does not do is done by way of text, as that one has it. */
export function replaced(known: Codec, codec: Codec): Codec {
  const writers = codec.takes === undefined ? {} : { writeText: undefined, writeBinary: undefined };
  return { ...withLoader(known, codec.readText), ...writers, ...codec } as Codec;
}
