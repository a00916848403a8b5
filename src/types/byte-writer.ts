const FIRST = 1024;
export const TWO_32 = 0x1_0000_0000;
/** Whether a typed array has the low bytes of a number first, as on nearly all machines that Node runs on. */
export const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A growing buffer for values in the binary format, in network byte order. */
export class ByteWriter {
  /** The buffer; growing replaces it. */
  bytes: Buffer;
  /** The number of bytes written to `bytes`. */
  length = 0;

  constructor(size = FIRST) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Reserves `count` bytes. May replace `bytes`. */
  room(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  /** Appends bytes. */
  append(data: Uint8Array): void {
    this.room(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  /** Appends one byte. */
  int8(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  /** Appends a 16-bit integer. */
  int16(value: number): void {
    this.room(2);
    const { bytes, length } = this;
    bytes[length] = value >> 8;
    bytes[length + 1] = value;
    this.length = length + 2;
  }

  /** Appends a 32-bit integer. */
  int32(value: number): void {
    this.room(4);
    this.setInt32(this.length, value);
    this.length += 4;
  }

  /** Appends a 64-bit integer; a `number` must be a safe integer. */
  int64(value: number | bigint): void {
    if (typeof value === 'number') {
      const high = Math.floor(value / TWO_32);
      this.int32(high);
      this.int32(value - high * TWO_32);
      return;
    }
    this.room(8);
    this.bytes.writeBigInt64BE(value, this.length);
    this.length += 8;
  }

  /** Appends a 32-bit float. */
  float32(value: number): void {
    this.room(4);
    this.bytes.writeFloatBE(value, this.length);
    this.length += 4;
  }

  /** Appends a 64-bit float. */
  float64(value: number): void {
    this.room(8);
    this.bytes.writeDoubleBE(value, this.length);
    this.length += 8;
  }

  /** Overwrites the 32-bit integer at `at`, such as a length that was unknown before. */
  setInt32(at: number, value: number): void {
    const { bytes } = this;
    bytes[at] = value >> 24;
    bytes[at + 1] = value >> 16;
    bytes[at + 2] = value >> 8;
    bytes[at + 3] = value;
  }

  /** The bytes written so far; valid until the next write. */
  written(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}
