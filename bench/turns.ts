/** Whether another process does the same work with another build, and each waits while the other works. */
export const alternates = process.argv.includes('--alternate');

/**
 * Lets the other process work until it calls this as well; resolves at once where there is none. A workload calls it before
 * whatever it times, so that the rounds of the two alternate and nothing of the one is timed with the other.
 */
export function turn(): Promise<void> {
  if (!alternates) return Promise.resolve();
  return new Promise((resolve) => {
    process.once('message', () => {
      resolve();
    });
    process.send!('waiting');
  });
}
