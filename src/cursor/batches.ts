import { Iteration } from '../iteration.js';

/** Cuts a sequence into arrays, taking no more from it than is asked for. */
export class Batches<I, O> {
  readonly #iteration: Iteration<I>;
  readonly #size: number;
  readonly #map: (item: I, index: number) => O;
  #index = 0;
  #isOver = false;

  /** `map` is given each item and its index. An abort of `signal` ends the wait for an item. */
  constructor(
    items: Iterable<I> | AsyncIterable<I>,
    size: number,
    map: (item: I, index: number) => O,
    signal: AbortSignal,
  ) {
    this.#iteration = new Iteration(items, signal);
    this.#size = size;
    this.#map = map;
  }

  /** The next items, at most `size`; null at the end. */
  async next(): Promise<O[] | null> {
    const batch: O[] = [];
    while (!this.#isOver && batch.length < this.#size) {
      const next = this.#iteration.next();
      const { done, value } = next instanceof Promise ? await next : next;
      if (done === true) this.#isOver = true;
      else batch.push(this.#map(value, this.#index++));
    }
    return batch.length > 0 ? batch : null;
  }

  /** No more is wanted. */
  leave(): void {
    this.#iteration.leave();
  }
}
