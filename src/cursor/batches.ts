import * as errors from '../errors/index.js';
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
  readonly #isAsync: boolean;
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
    this.#isAsync = Symbol.asyncIterator in items;
    this.#limits = limits;
    this.#map = map;
  }

  /** Returns the items of the next batch; null at the end. Raises `ProgrammingError` if a synchronous source yields a promise. */
  async next(): Promise<O[] | null> {
    const limits = this.#limits;
    const batch: O[] = [];
    let bytes = 0;
    while (!this.#isOver && batch.length < limits.items && bytes < limits.bytes) {
      const next = this.#iteration.next();
      if (next instanceof Promise && !this.#isAsync) throw this.#notSynchronous(next);
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

  /** The error for a promise, which might wait for the connection that a synchronous source has to itself. */
  #notSynchronous(item: Promise<unknown>): Error {
    item.catch(() => undefined);
    return new errors.ProgrammingError(
      `[${String(this.#index)}] is a promise, which a synchronous source of parameters can't yield: await it before, for example by` +
        ' Promise.all(), or pass an asynchronous iterable',
    );
  }

  /** Ends the batches: no further item is taken. */
  leave(): void {
    this.#iteration.leave();
  }
}
