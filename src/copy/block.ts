import { ByteWriter } from '../types/byte-writer.js';

/** How much data is gathered before it is sent, in bytes: a row is never cut, so a block may be larger. */
export const BLOCK = 65_536;
/** Room for the row that fills the block up, so that it need not grow. */
const SPARE = 8192;
/** What one huge row made of the memory is given back. */
const LARGEST_KEPT = 8 * BLOCK;

/** Memory in which rows are encoded, used again and again. What writes to it asks for `room()` first. */
export class Block extends ByteWriter {
  constructor() {
    super(BLOCK + SPARE);
  }

  /** Continues in new memory: the written block belongs to its receiver from here on. */
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
