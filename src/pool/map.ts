import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';
import { checkSignal, checkWhole } from './arguments.js';

/**
 * Applies `fn` to each item, at most `concurrency` at once, taking no more items from their source than are being worked on. The
 * results are in the items' order. The first error stops the source; what has begun is waited for, then the error is thrown. `fn`
 * is given a signal that follows `signal`, which all items may listen to at once.
 */
export async function boundedMap<I, O>(
  items: Iterable<I> | AsyncIterable<I>,
  fn: (item: I, index: number, signal: AbortSignal | undefined) => Promise<O>,
  concurrency: number,
  signal: AbortSignal | undefined,
): Promise<O[]> {
  checkWhole('concurrency', concurrency, 1);
  checkSignal(signal);
  signal?.throwIfAborted();
  const limit = pLimit(concurrency);
  const results: O[] = [];
  const running = new Set<Promise<void>>();
  const follower = signal === undefined ? undefined : new AbortController();
  const abort = (): void => {
    follower?.abort(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  if (follower !== undefined) setMaxListeners(0, follower.signal);
  let failure: { readonly error: unknown } | null = null;
  const run = async (item: I, index: number): Promise<void> => {
    try {
      results[index] = await fn(item, index, follower?.signal);
    } catch (error) {
      failure ??= { error };
    }
  };
  let count = 0;
  const isOver = (): boolean => failure !== null || signal?.aborted === true;
  try {
    for await (const item of items) {
      if (isOver()) break;
      const index = count++;
      const job: Promise<void> = limit(() => run(item, index)).then(() => {
        running.delete(job);
      });
      running.add(job);
      if (running.size >= concurrency) await Promise.race(running);
      if (isOver()) break;
    }
  } finally {
    await Promise.all(running);
    signal?.removeEventListener('abort', abort);
  }
  signal?.throwIfAborted();
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
  return results;
}
