import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';
import { continuedStack } from '../errors/callers-stack.js';
import { Iteration } from '../iteration.js';
import { onAbort } from '../waiting.js';
import { checkSignal, checkWhole } from './options.js';

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
  checkWhole('concurrency', concurrency, 1);
  checkSignal(signal);
  signal?.throwIfAborted();
  const limit = pLimit(concurrency);
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
      // The job may have waited for its place until after the end.
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
      const { done, value } = next instanceof Promise ? await next : next;
      if (done === true) break;
      const job: Promise<void> = limit(() => run(value, index)).then(() => {
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
