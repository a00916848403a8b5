import { ByteWriter } from '../types/byte-writer.js';

/** The size at which gathered data is sent, in bytes. Rows are not split, so a block may be larger. */
export const BLOCK = 65_536;
/** Room for the row that completes a block, so that the block need not grow. */
const SPARE = 8192;
/** Memory above this size, which a huge row has caused, is released. */
const LARGEST_KEPT = 8 * BLOCK;

/** Reusable memory in which rows are encoded. Writers must call `room()` first. */
export class Block extends ByteWriter {
  constructor() {
    super(BLOCK + SPARE);
  }

  /** Continues in new memory; the written block belongs to its receiver. */
  handOver(): void {
    this.length = 0;
    this.bytes = Buffer.allocUnsafeSlow(BLOCK + SPARE);
  }

  /** Discards the content. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > LARGEST_KEPT) this.bytes = Buffer.allocUnsafeSlow(BLOCK + SPARE);
  }
}
