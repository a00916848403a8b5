import { TYPED } from '../query/brand.js';
import { Json, Jsonb } from './wrappers.js';
import * as errors from '../errors/index.js';
import type { CodecContext } from './adaptation.js';
import { malformed, notOfType, type BinaryFormat, type Codec } from './codec.js';
import { isHstoreDumper } from './hstore.js';
import { readText, readUtf8 } from './text.js';
import { writeUtf8 } from './write-text.js';
import { isDate } from './realm.js';

/**
 * Makes the codec of json or jsonb, whose values are parsed JSON, from the conversions of the JSON text to and from the binary
 * format. It takes any value as if it were wrapped, unless the value's class has a dumper of its own.
 */
function jsonCodec(type: string, wrapper: typeof Json, { textToBinary, binaryToText }: BinaryFormat) {
  return ({ adapters }: CodecContext): Codec => ({
    readText: (bytes, start, end) => parse(type, readText(bytes, start, end)),
    readBinary: (bytes, start, end) => parse(type, binaryToText(bytes, start, end)),
    takes: (value) => {
      if (typeof value !== 'object' || value === null || isDate(value)) return value !== null;
      const dumper = adapters.dumperForObject(value);
      return dumper === undefined ? !(TYPED in value) : isHstoreDumper(dumper);
    },
    writeText: (value, place) => {
      const wrapped = new wrapper(value);
      return adapters.dumperForObject(wrapped)!(wrapped as never, place, adapters).text;
    },
    textToBinary,
    binaryToText,
  });
}

function parse(type: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new errors.DataError(`${notOfType(type, text).message}: ${(cause as Error).message}`, { cause });
  }
}

export const json = jsonCodec('json', Json, { textToBinary: writeUtf8, binaryToText: readUtf8 });

const VERSION = 1;

/** jsonb, whose binary format is a version byte and the JSON text. */
export const jsonb = jsonCodec('jsonb', Jsonb, {
  textToBinary: (text, out, place) => {
    out.int8(VERSION);
    writeUtf8(text, out, place);
  },
  binaryToText: (bytes, start, end) => {
    if (start === end || bytes[start] !== VERSION) throw malformed('jsonb', 'its version is not known');
    return readUtf8(bytes, start + 1, end);
  },
});
