/**
 * Cuts a sequence into arrays of at most `size` items, taking no more from it than the caller asks for. `map` is given each
 * item and its index; the source is closed on every way out.
 */
export async function* batches<I, O>(
  items: Iterable<I> | AsyncIterable<I>,
  size: number,
  map: (item: I, index: number) => O,
): AsyncGenerator<O[], void> {
  let batch: O[] = [];
  let index = 0;
  if (Symbol.iterator in items) {
    for (const item of items) {
      batch.push(map(item, index++));
      if (batch.length === size) {
        yield batch;
        batch = [];
      }
    }
  } else {
    for await (const item of items) {
      batch.push(map(item, index++));
      if (batch.length === size) {
        yield batch;
        batch = [];
      }
    }
  }
  if (batch.length > 0) yield batch;
}
