import type { Codec } from '../src/index.js';

const IS_POINT = 0x8000_0000;
const MOST_DIMENSIONS = 100;

/**
 * Vectors as `Float64Array`, for the type `cube` of the extension of that name, if its values are points. It shows how a codec
 * with a binary format is written. The format of pgvector's `vector` differs in its header, and its numbers are `float4`.
 */
export const vector: Codec<Float64Array> = {
  // (1, 2, 3)
  readText: (bytes, start, end) => {
    const text = bytes.toString('latin1', start, end);
    if (!/^\([^()]*\)$/.test(text)) throw new Error(`${text} is not a vector`);
    return Float64Array.from(text.slice(1, -1).split(','), Number);
  },
  // The number of dimensions, then each as a float8.
  readBinary: (bytes, start, end) => {
    const header = end - start >= 4 ? bytes.readUInt32BE(start) : 0;
    const dimensions = header - IS_POINT;
    if (dimensions < 0 || dimensions > MOST_DIMENSIONS || end - start !== 4 + 8 * dimensions) {
      throw new Error('a cube that is not a vector');
    }
    return Float64Array.from({ length: dimensions }, (_, i) => bytes.readDoubleBE(start + 4 + 8 * i));
  },
  // The binary format is less work than the text, and the same under every setting.
  preferBinary: 'columns',
  takes: (value) => value instanceof Float64Array,
  writeText: (value) => `(${value.join(',')})`,
  writeBinary: (value, out) => {
    out.int32(IS_POINT | value.length);
    for (const number of value) out.float64(number);
  },
};
