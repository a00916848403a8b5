import { setMaxListeners } from 'node:events';
import type { LimitFunction } from 'p-limit';
import { continuedStack, keepStack } from './errors/callers-stack.js';
import { loadPLimit } from './packages.js';
import { onAbort, waitFor } from './waiting.js';

/**
 * One pass over a user's synchronous or asynchronous iterable. Each wait for the source ends with the abort of a signal, even if
 * the source never answers.
 */
export class Iteration<T> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>;
  readonly #signal: AbortSignal;
  #isOver = false;

  constructor(items: Iterable<T> | AsyncIterable<T>, signal: AbortSignal) {
    this.#iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    this.#signal = signal;
  }

  /**
   * The next item: immediately if the source has it, else as a promise. Rejects with the source's error, or with the reason of
   * the signal once it is aborted.
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

  /**
   * Tells the source that no more items will be requested. The library does not wait for the source's answer, which it has no use
   * for.
   */
  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      const answer = this.#iterator.return?.();
      if (isPromise(answer)) answer.then(undefined, () => undefined);
    } catch {
      // The error that ended the iteration takes precedence.
    }
  }

  /** Awaits a step. A source that has failed or ended must not be told to return. */
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

/** Runs calls in their order, at most `concurrency` at once. */
export function limited(concurrency: number): <V>(fn: () => Promise<V>) => Promise<V> {
  let limit: LimitFunction | undefined;
  return async (fn) => {
    if (limit === undefined) {
      const pLimit = await loadPLimit();
      limit ??= pLimit(concurrency);
    }
    return limit(fn);
  };
}

/**
 * Applies `fn` to each item, at most `concurrency` at once, and takes items from their source only as they are processed. The
 * results have the items' order. The first error, or an abort of `signal`, ends the operation: no more items are taken, and the
 * source is not awaited. The error is thrown after the running calls have ended. `fn` receives a signal that is aborted in both
 * cases; any number of listeners may use it. An abort of `closing` ends only the wait for the source: the running calls go on, and
 * then its reason is thrown.
 */
export async function boundedMap<I, O>(
  items: Iterable<I> | AsyncIterable<I>,
  fn: (item: I, index: number, signal: AbortSignal) => Promise<O>,
  concurrency: number,
  { signal, closing }: { readonly signal: AbortSignal | undefined; readonly closing: AbortSignal },
): Promise<O[]> {
  signal?.throwIfAborted();
  const limit = (await loadPLimit())(concurrency);
  const results: O[] = [];
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  try {
    setMaxListeners(0, stop.signal);
  } catch {
    // Not a signal of Node's, but jsdom's, which warns of no number of listeners.
  }
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
      // The end may have come before the job's turn.
      stop.signal.throwIfAborted();
      results[index] = await fn(item, index, stop.signal);
    } catch (error) {
      fail(error);
    }
  };
  const source = new Iteration(items, stop.signal);
  try {
    for (let index = 0; !stop.signal.aborted; index++) {
      const next = source.next();
      const { done, value } = next instanceof Promise ? await waitFor(next, { signal: closing }) : next;
      if (done === true) break;
      const job: Promise<void> = limit(run, value, index).then(() => {
        running.delete(job);
      });
      running.add(job);
      if (limit.activeCount + limit.pendingCount >= concurrency) await Promise.race(running);
    }
  } catch (error) {
    if (closing.aborted && error === closing.reason) failure ??= { error };
    else fail(error);
  } finally {
    source.leave();
    await Promise.all(running);
    off?.();
  }
  if (failure !== null) throw continuedStack(failure.error);
  return results;
}
