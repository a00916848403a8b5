/**
 * Reads one value in text format from `bytes[start..end)`. The buffer belongs to the socket: a loader copies what it keeps.
 */
export type Loader = (bytes: Buffer, start: number, end: number) => unknown;

/**
 * Decodes the body of a `DataRow`, which begins at `start`, with one loader per column.
 *
 * The row format is a count and then a length and the bytes for each value; a length of -1 is NULL.
 */
export function decodeRow(bytes: Buffer, start: number, loaders: readonly Loader[]): unknown[] {
  const width = loaders.length;
  const row = new Array<unknown>(width);
  let at = start + 2;
  for (let i = 0; i < width; i++) {
    const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    at += 4;
    if (length < 0) {
      row[i] = null;
    } else {
      row[i] = loaders[i]!(bytes, at, at + length);
      at += length;
    }
  }
  return row;
}
