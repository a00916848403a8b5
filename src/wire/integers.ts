/** The integer of 32 bits at `at`, where there are four bytes: whoever reads messages has seen to that. */
export function readInt32(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
