/** How much data is gathered before it is sent, in bytes: a row is never cut, so a block may be larger. */
export const BLOCK = 65_536;
/** Room for the row that fills the block up, so that it need not grow. */
const SPARE = 8192;
/** What one huge row made of the memory is given back. */
const LARGEST_KEPT = 8 * BLOCK;

/** Memory in which rows are encoded, used again and again. What writes to it asks for `room()` first. */
export class Block {
  bytes = Buffer.allocUnsafeSlow(BLOCK + SPARE);
  /** How much of `bytes` has been written. */
  length = 0;

  /** Makes sure that `count` further bytes can be written. `bytes` may be another buffer afterwards. */
  room(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  append(data: Uint8Array): void {
    this.room(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  int16(value: number): void {
    this.room(2);
    const { bytes, length } = this;
    bytes[length] = value >> 8;
    bytes[length + 1] = value;
    this.length = length + 2;
  }

  int32(value: number): void {
    this.room(4);
    this.setInt32(this.length, value);
    this.length += 4;
  }

  /** Overwrites what stands at `at`: a length that was not known before. */
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

  /** Starts afresh in other memory: what has been written is somebody else's from here on. */
  handOver(): void {
    this.length = 0;
    this.bytes = Buffer.allocUnsafeSlow(BLOCK + SPARE);
  }

  /** Starts afresh. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > LARGEST_KEPT) this.bytes = Buffer.allocUnsafeSlow(BLOCK + SPARE);
  }
}
