/** What node-postgres calls when a call with a callback has ended. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in node-postgres's declarations
export type Callback<T extends readonly unknown[]> = (error: any, ...result: T) => void;

/**
 * Reports the end of a promise to a callback: its error, or `noError` and what `args` makes of its value; clients say null, pools
 * undefined. An exception of the callback is an uncaught one, as it would be in node-postgres, not a rejection.
 */
export function report<T, A extends readonly unknown[]>(
  promise: Promise<T>,
  callback: Callback<A>,
  args: (value: T) => readonly [...A],
  noError: null | undefined,
): void {
  promise.then(
    (value) => {
      call(callback as (...given: unknown[]) => void, noError, ...args(value));
    },
    (error: unknown) => {
      call(callback as (...given: unknown[]) => void, error);
    },
  );
}

function call(callback: (...given: unknown[]) => void, ...given: unknown[]): void {
  try {
    callback(...given);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** The promise, or its end reported to the callback if there is one. */
export function promiseOr<T, A extends readonly unknown[]>(
  promise: Promise<T>,
  callback: Callback<A> | undefined,
  args: (value: T) => readonly [...A],
): Promise<T> | undefined {
  if (callback === undefined) return promise;
  report(promise, callback, args, null);
  return undefined;
}
