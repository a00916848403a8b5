/** How large a batch may be. */
export interface BatchLimits<O> {
  readonly items: number;
  /** Bytes, but for the last item. */
  readonly bytes: number;
  bytesOf(item: O): number;
}

/**
 * Cuts a sequence into arrays, taking no more from it than the caller asks for. `map` is given each item and its index; the source
 * is closed on every way out.
 */
export async function* batches<I, O>(
  items: Iterable<I> | AsyncIterable<I>,
  limits: BatchLimits<O>,
  map: (item: I, index: number) => O,
): AsyncGenerator<O[], void> {
  let batch: O[] = [];
  let bytes = 0;
  let index = 0;
  const isFullWith = (item: O): boolean => {
    batch.push(item);
    bytes += limits.bytesOf(item);
    return batch.length >= limits.items || bytes >= limits.bytes;
  };
  if (Symbol.iterator in items) {
    for (const item of items) {
      if (isFullWith(map(item, index++))) {
        yield batch;
        batch = [];
        bytes = 0;
      }
    }
  } else {
    for await (const item of items) {
      if (isFullWith(map(item, index++))) {
        yield batch;
        batch = [];
        bytes = 0;
      }
    }
  }
  if (batch.length > 0) yield batch;
}
