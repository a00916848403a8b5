import type { Loader } from '../wire/row-decoder.js';
import type { Block } from './block.js';
import type { RowPlace } from './row-place.js';

/** The binary format of a type. */
export interface BinaryType {
  /** Encodes a value given as text, in the form in which the server writes it. Raises `DataError` for any other. */
  writeText(text: string, out: Block, place: RowPlace): void;
  /** Encodes a value of JavaScript; false if it has to be text. Raises `DataError` for one that the type can't hold. */
  writeValue?(value: unknown, out: Block, place: RowPlace): boolean;
  /** The value, as the library loads it from text. */
  readonly load: Loader;
  /** The value as the server would write it, for loaders that read text. */
  text(bytes: Buffer, start: number, end: number): string;
}

const TWO_32 = 0x1_0000_0000;

/** An integer of 64 bits that is exact as a number. */
export function writeInt64(value: number, out: Block): void {
  const high = Math.floor(value / TWO_32);
  out.int32(high);
  out.int32(value - high * TWO_32);
}

export function writeBigInt64(value: bigint, out: Block): void {
  out.room(8);
  out.bytes.writeBigInt64BE(value, out.length);
  out.length += 8;
}
