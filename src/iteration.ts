import { setMaxListeners } from 'node:events';
import { continuedStack, keepStack } from './errors/callers-stack.js';
import { onAbort, waitFor } from './waiting.js';

/**
 * One pass over what a user has given to iterate over, be it synchronous or not. The library waits for a user's source as for
 * anything else: until an abort, which the source need not answer.
 */
export class Iteration<T> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>;
  readonly #signal: AbortSignal;
  #isOver = false;

  /** Begins it. */
  constructor(items: Iterable<T> | AsyncIterable<T>, signal: AbortSignal) {
    this.#iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    this.#signal = signal;
  }

  /**
   * The next item, at once where the source has it at once, else a promise. Rejects with what the source fails with, or with the reason
   * of the signal as soon as that is aborted.
   */
  next(): IteratorResult<T, unknown> | Promise<IteratorResult<T, unknown>> {
    try {
      const step: IteratorResult<T, unknown> | Promise<IteratorResult<T, unknown>> = this.#iterator.next();
      if (isPromise(step)) return this.#awaited(this.#steps(step));
      if (step.done === true) this.#isOver = true;
      // As in `for await`, the items may be promises.
      else if (isPromise(step.value)) return this.#awaited(itemOf<T>(step.value));
      return step;
    } catch (error) {
      this.#isOver = true;
      throw keepStack(error);
    }
  }

  /** Tells the source that no more is wanted. It is not waited for: whoever asks for no more has no use for its answer. */
  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      const answer = this.#iterator.return?.();
      if (isPromise(answer)) answer.then(undefined, () => undefined);
    } catch {
      // What ended the iteration is what its user is told of.
    }
  }

  /** A source that has failed, or is at its end, is not to be left. */
  async #steps(step: PromiseLike<IteratorResult<T, unknown>>): Promise<IteratorResult<T, unknown>> {
    try {
      const result = await step;
      if (result.done === true) this.#isOver = true;
      return result;
    } catch (error) {
      this.#isOver = true;
      throw keepStack(error);
    }
  }

  #awaited<V>(promise: Promise<V>): Promise<V> {
    return waitFor(promise, { signal: this.#signal });
  }
}

async function itemOf<T>(promise: PromiseLike<unknown>): Promise<IteratorResult<T, unknown>> {
  return { done: false, value: (await promise) as T };
}

function isPromise<V>(value: V | PromiseLike<V>): value is PromiseLike<V> {
  return typeof (value as PromiseLike<V> | null | undefined)?.then === 'function';
}

/**
 * Applies `fn` to each item, at most `concurrency` at once, and takes no more items from their source than are being worked on. The
 * results are in the items' order. The first error, or an abort of `signal`, ends it: no more is taken from the source, which is not
 * awaited; jobs that have begun are, then the error is thrown. `fn` is given a signal that tells of either; any number of listeners may
 * use it.
 */
export async function boundedMap<I, O>(
  items: Iterable<I> | AsyncIterable<I>,
  fn: (item: I, index: number, signal: AbortSignal) => Promise<O>,
  concurrency: number,
  signal: AbortSignal | undefined,
): Promise<O[]> {
  signal?.throwIfAborted();
  const results: O[] = [];
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  let failure: { readonly error: unknown } | null = null;
  const fail = (error: unknown): void => {
    failure ??= { error };
    stop.abort(error);
  };
  const off =
    signal === undefined
      ? null
      : onAbort(signal, () => {
          fail(signal.reason);
        });
  const run = async (item: I, index: number): Promise<void> => {
    try {
      results[index] = await fn(item, index, stop.signal);
    } catch (error) {
      fail(error);
    }
  };
  const source = new Iteration(items, stop.signal);
  try {
    for (let index = 0; !stop.signal.aborted; index++) {
      const next = source.next();
      const { done, value } = next instanceof Promise ? await next : next;
      if (done === true) break;
      const job: Promise<void> = run(value, index).then(() => {
        running.delete(job);
      });
      running.add(job);
      if (running.size >= concurrency) await Promise.race(running);
    }
  } catch (error) {
    fail(error);
  } finally {
    source.leave();
    await Promise.all(running);
    off?.();
  }
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw continuedStack(failed.error);
  return results;
}
