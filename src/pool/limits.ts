import { systemClock, type Timer } from './clock.js';

/** What `result` comes to, unless `signal` is aborted first; then it rejects with its reason. */
export async function unlessAborted<V>(result: V | PromiseLike<V>, signal: AbortSignal): Promise<V> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
  });
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([aborted, result]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** What `promise` comes to, unless that takes longer than so many seconds; then it rejects with what `late` gives. */
export async function within<V>(seconds: number, promise: Promise<V>, late: () => Error): Promise<V> {
  let timer: Timer | null = null;
  const over = new Promise<never>((_, reject) => {
    if (!Number.isFinite(seconds)) return;
    timer = systemClock.after(
      seconds,
      () => {
        reject(late());
      },
      true,
    );
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    (timer as Timer | null)?.cancel();
  }
}
