import { readInt32 } from '../wire/backend-messages.js';
import { malformed, type Reader } from './codec.js';

/** Reads the parts of a compound value in the binary format, with bounds checks. */
export class BinaryReader {
  readonly #type: string;
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  /** `type` names the value in error messages. */
  constructor(type: string, bytes: Buffer, start: number, end: number) {
    this.#type = type;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Reads one byte. */
  int8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  /** Reads a signed 32-bit integer. */
  int32(): number {
    return readInt32(this.#bytes, this.#take(4));
  }

  /** Reads an oid. */
  oid(): number {
    return this.int32() >>> 0;
  }

  /**
   * Reads the number of parts that follow, each of at least `size` bytes; a number that exceeds the remaining bytes is an error.
   */
  count(size: number): number {
    const count = this.int32();
    if (count < 0 || count > this.left / size) throw this.contradiction();
    return count;
  }

  /** Reads a value with its length; null for NULL. */
  value<T>(read: Reader<T>): T | null {
    const length = this.int32();
    if (length === -1) return null;
    if (length < 0) throw this.contradiction();
    const start = this.#take(length);
    return read(this.#bytes, start, start + length);
  }

  /** Reads `count` values, each with its length; null for NULL. */
  values(count: number, read: Reader<unknown>): unknown[] {
    const bytes = this.#bytes;
    const end = this.#end;
    const values = new Array<unknown>(count);
    let at = this.#at;
    for (let i = 0; i < count; i++) {
      if (at + 4 > end) throw this.contradiction();
      const length = readInt32(bytes, at);
      at += 4;
      if (length < 0) {
        if (length !== -1) throw this.contradiction();
        values[i] = null;
        continue;
      }
      const stop = at + length;
      if (stop > end) throw this.contradiction();
      values[i] = read(bytes, at, stop);
      at = stop;
    }
    this.#at = at;
    return values;
  }

  /** The number of remaining bytes. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Checks that all bytes have been read. */
  end(): void {
    if (this.#at !== this.#end) throw this.contradiction();
  }

  /** The error for a value whose parts contradict its length. */
  contradiction(): Error {
    return malformed(this.#type, 'its parts contradict its length');
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.left) throw this.contradiction();
    this.#at = at + count;
    return at;
  }
}
