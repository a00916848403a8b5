import { Iteration } from '../iteration.js';

/** The maximum size of a batch. */
export interface BatchLimits<O> {
  readonly items: number;
  /** The bytes, not counting the last item. */
  readonly bytes: number;
  bytesOf(item: O): number;
}

/** Splits a sequence into arrays, and takes items only when a batch is requested. */
export class Batches<I, O> {
  readonly #iteration: Iteration<I>;
  readonly #limits: BatchLimits<O>;
  readonly #map: (item: I, index: number) => O;
  #index = 0;
  #isOver = false;

  /** `map` converts each item, given with its index. An abort of `signal` ends the wait for an item. */
  constructor(
    items: Iterable<I> | AsyncIterable<I>,
    limits: BatchLimits<O>,
    map: (item: I, index: number) => O,
    signal: AbortSignal,
  ) {
    this.#iteration = new Iteration(items, signal);
    this.#limits = limits;
    this.#map = map;
  }

  /** Returns the items of the next batch; null at the end. */
  async next(): Promise<O[] | null> {
    const limits = this.#limits;
    const batch: O[] = [];
    let bytes = 0;
    while (!this.#isOver && batch.length < limits.items && bytes < limits.bytes) {
      const next = this.#iteration.next();
      const { done, value } = next instanceof Promise ? await next : next;
      if (done === true) {
        this.#isOver = true;
        continue;
      }
      const item = this.#map(value, this.#index++);
      batch.push(item);
      bytes += limits.bytesOf(item);
    }
    return batch.length > 0 ? batch : null;
  }

  /** Ends the batches: no further item is taken. */
  leave(): void {
    this.#iteration.leave();
  }
}
