import { Oids } from '../types/oids.js';
import { IS_LITTLE_ENDIAN, TWO_32 } from '../types/byte-writer.js';
import { EPOCH_MILLISECONDS } from '../types/date-text.js';
import type { Block } from './block.js';
import type { NativeValues } from '../types/native-values.js';

/** The kinds of values of the most frequent columns; 0 for all others. */
const OTHER = 0;
const INT2 = 1;
const INT4 = 2;
const INT8 = 3;
const FLOAT8 = 4;
const BOOL = 5;
const TEXT = 6;
const TIMESTAMPTZ = 7;

const KINDS: ReadonlyMap<number, number> = new Map([
  [Oids.int2, INT2],
  [Oids.int4, INT4],
  [Oids.int8, INT8],
  [Oids.float8, FLOAT8],
  [Oids.bool, BOOL],
  [Oids.text, TEXT],
  [Oids.varchar, TEXT],
  [Oids.timestamptz, TIMESTAMPTZ],
]);

/** The maximum size of a fixed-size value written here: its length and eight bytes. */
const MOST = 12;
/** For longer strings, Node's own encoder is faster. */
const LONGEST_STRING = 64;

/** Milliseconds from 2000-01-01 up to which the microseconds are an exact `number`. */
const EXACT_MILLISECONDS = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

// An eight-byte value and its bytes, which are in reverse order on little-endian machines.
const double = new Float64Array(1);
const bigints = new BigInt64Array(double.buffer);
const words = new Uint32Array(double.buffer);
const bytesOf = new Uint8Array(double.buffer);

/**
 * Writes the most frequent values of the most frequent types, with their lengths, in the binary format. It is a single function
 * without calls through objects, so that it compiles to little more than the stores; it is several times as fast as the general
 * encoders.
 */
export class BinaryShortcuts {
  readonly #kinds: Uint8Array;
  readonly #native: NativeValues;

  constructor(oids: readonly number[], native: NativeValues) {
    this.#native = native;
    this.#kinds = Uint8Array.from(oids, (oid) => (IS_LITTLE_ENDIAN ? (KINDS.get(oid) ?? OTHER) : OTHER));
  }

  /**
   * Writes values of `row` from index `from` on. Returns the index of the first value that it does not handle, of which nothing
   * has been written, or the row's length.
   */
  write(row: readonly unknown[], from: number, out: Block): number {
    const kinds = this.#kinds;
    const native = this.#native;
    const width = kinds.length;
    out.room((width - from) * MOST);
    let { bytes, length: at } = out;
    let i = from;
    for (; i < width; i++) {
      const value = row[i];
      if (value === null) {
        bytes[at] = bytes[at + 1] = bytes[at + 2] = bytes[at + 3] = 0xff;
        at += 4;
        continue;
      }
      const kind = kinds[i];
      if (kind === INT4) {
        if (typeof value !== 'number' || (value | 0) !== value || !native.number) break;
        bytes[at] = bytes[at + 1] = bytes[at + 2] = 0;
        bytes[at + 3] = 4;
        bytes[at + 4] = value >> 24;
        bytes[at + 5] = value >> 16;
        bytes[at + 6] = value >> 8;
        bytes[at + 7] = value;
        at += 8;
      } else if (kind === TEXT) {
        if (typeof value !== 'string' || value.length > LONGEST_STRING || !native.string) break;
        const { length } = value;
        out.length = at;
        out.room(length + (width - i) * MOST);
        bytes = out.bytes;
        let j = 0;
        for (; j < length; j++) {
          const code = value.charCodeAt(j);
          if (code >= 0x80 || code === 0) break;
          bytes[at + 4 + j] = code;
        }
        if (j < length) break;
        bytes[at] = bytes[at + 1] = bytes[at + 2] = 0;
        bytes[at + 3] = length;
        at += 4 + length;
      } else if (kind === BOOL) {
        if (typeof value !== 'boolean' || !native.boolean) break;
        bytes[at] = bytes[at + 1] = bytes[at + 2] = 0;
        bytes[at + 3] = 1;
        bytes[at + 4] = value ? 1 : 0;
        at += 5;
      } else if (kind === INT2) {
        if (typeof value !== 'number' || (value << 16) >> 16 !== value || !native.number) break;
        bytes[at] = bytes[at + 1] = bytes[at + 2] = 0;
        bytes[at + 3] = 2;
        bytes[at + 4] = value >> 8;
        bytes[at + 5] = value;
        at += 6;
      } else {
        if (kind === FLOAT8) {
          if (typeof value !== 'number' || !native.number) break;
          double[0] = value;
        } else if (kind === INT8) {
          if (typeof value === 'bigint') {
            if (BigInt.asIntN(64, value) !== value || !native.bigint) break;
            bigints[0] = value;
          } else if (typeof value === 'number' && Number.isSafeInteger(value) && native.number) {
            bigints[0] = BigInt(value);
          } else break;
        } else if (kind === TIMESTAMPTZ) {
          if (typeof value !== 'object' || !native.isDate(value)) break;
          const milliseconds = value.getTime() - EPOCH_MILLISECONDS;
          // The comparison is false for an invalid Date, too.
          if (!(Math.abs(milliseconds) <= EXACT_MILLISECONDS)) break;
          const microseconds = milliseconds * 1000;
          const high = Math.floor(microseconds / TWO_32);
          words[1] = high;
          words[0] = microseconds - high * TWO_32;
        } else break;
        bytes[at] = bytes[at + 1] = bytes[at + 2] = 0;
        bytes[at + 3] = 8;
        bytes[at + 4] = bytesOf[7]!;
        bytes[at + 5] = bytesOf[6]!;
        bytes[at + 6] = bytesOf[5]!;
        bytes[at + 7] = bytesOf[4]!;
        bytes[at + 8] = bytesOf[3]!;
        bytes[at + 9] = bytesOf[2]!;
        bytes[at + 10] = bytesOf[1]!;
        bytes[at + 11] = bytesOf[0]!;
        at += 12;
      }
    }
    out.length = at;
    return i;
  }
}
