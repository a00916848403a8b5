import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import { checkText } from './check-text.js';
import { refused, type Codec, type Place } from './codec.js';

const FUNCTIONS = [
  'readText',
  'readBinary',
  'takes',
  'writeText',
  'writeBinary',
  'textToBinary',
  'binaryToText',
] as const;

/** A codec made of a user's, which may throw whatever it likes. Raises `ProgrammingError` for one that lacks a function it needs. */
export function checkedCodec<T>(codec: Codec<T>): Codec<T> {
  if (typeof codec !== 'object' || (codec as unknown) === null) {
    throw new errors.ProgrammingError(
      `expected a codec to be an object, got ${codec === null ? 'null' : typeof codec}`,
    );
  }
  for (const name of FUNCTIONS) {
    const value: unknown = codec[name];
    if (typeof value !== 'function' && (value !== undefined || name === 'readText')) {
      throw new errors.ProgrammingError(`expected ${name} of a codec to be a function, got ${typeof value}`);
    }
  }
  const { writeText, writeBinary, takes }: Readonly<Record<string, unknown>> = { ...codec };
  if ((writeText ?? writeBinary) !== undefined && takes === undefined) {
    throw new errors.ProgrammingError(
      'a codec that writes values needs takes(), which says what values these are',
    );
  }
  const { preferBinary, followsDateStyle } = codec;
  return {
    readText: (bytes, start, end) => codec.readText(bytes, start, end),
    ...(codec.readBinary && { readBinary: (bytes, start, end) => codec.readBinary!(bytes, start, end) }),
    preferBinary: codec.readBinary && preferBinary,
    followsDateStyle,
    ...(codec.takes && { takes: (value) => codec.takes!(value) }),
    ...(codec.writeText && {
      writeText: (value, place) =>
        checkedText(
          guarded(place, () => codec.writeText!(value, place)),
          place,
        ),
    }),
    ...(codec.writeBinary && {
      writeBinary: (value, out, place) => {
        guarded(place, () => {
          codec.writeBinary!(value, out, place);
        });
      },
    }),
    ...(codec.textToBinary && {
      textToBinary: (text, out, place) => {
        guarded(place, () => {
          codec.textToBinary!(text, out, place);
        });
      },
    }),
    ...(codec.binaryToText && {
      binaryToText: (bytes, start, end) => codec.binaryToText!(bytes, start, end),
    }),
  };
}

function guarded<R>(place: Place, write: () => R): R {
  try {
    return write();
  } catch (error) {
    if (error instanceof errors.Error) throw error;
    throw refused(place, `the codec of the value's type failed: ${thrownText(error)}`);
  }
}

function checkedText(text: unknown, place: Place): string | null {
  if (text === null) return null;
  if (typeof text === 'string') return checkText(text, place);
  throw refused(place, `writeText() of a codec has to return text or null, got ${typeof text}`);
}
