const FIRST = 1024;
const TWO_32 = 0x1_0000_0000;

/** Memory that values are appended to in the binary format: numbers in network order, with the most significant byte first. */
export class ByteWriter {
  /** The memory; another one once there is no more room in it. */
  bytes: Buffer;
  /** How much of `bytes` has been written. */
  length = 0;

  constructor(size = FIRST) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Makes sure that `count` further bytes can be written. `bytes` may be another buffer afterwards. */
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

  /** Appends a byte. */
  int8(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  /** Appends an integer of 16 bits. */
  int16(value: number): void {
    this.room(2);
    const { bytes, length } = this;
    bytes[length] = value >> 8;
    bytes[length + 1] = value;
    this.length = length + 2;
  }

  /** Appends an integer of 32 bits. */
  int32(value: number): void {
    this.room(4);
    this.setInt32(this.length, value);
    this.length += 4;
  }

  /** Appends an integer of 64 bits; a number has to be exact. */
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

  /** Appends a float of 32 bits. */
  float32(value: number): void {
    this.room(4);
    this.bytes.writeFloatBE(value, this.length);
    this.length += 4;
  }

  /** Appends a float of 64 bits. */
  float64(value: number): void {
    this.room(8);
    this.bytes.writeDoubleBE(value, this.length);
    this.length += 8;
  }

  /** Overwrites the integer of 32 bits at `at`: a length that was not known before. */
  setInt32(at: number, value: number): void {
    const { bytes } = this;
    bytes[at] = value >> 24;
    bytes[at + 1] = value >> 16;
    bytes[at + 2] = value >> 8;
    bytes[at + 3] = value;
  }

  /** What has been written; valid until the next write. */
  written(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}
