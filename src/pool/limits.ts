import { deadline, type Clock } from './clock.js';

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

/** How long something is waited for. */
export interface Limits {
  readonly clock: Clock;
  /** Infinity: for ever. */
  readonly seconds: number;
  /** What to say when they are over. */
  readonly late: () => unknown;
  /** Ends the wait before that, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What `promise` comes to, unless one of the limits is reached first; then it rejects. */
export function within<V>(promise: Promise<V>, { clock, seconds, late, signal }: Limits): Promise<V> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      settle();
      reject(signal?.reason as Error);
    };
    const timer = deadline(clock, seconds, () => {
      settle();
      reject(late());
    });
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
    promise.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}
