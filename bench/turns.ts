/** Whether another process does the same work with another build, so that each waits while the other works. */
export const alternates = process.argv.includes('--alternate');

/**
 * Lets the other process work until it calls this function, too; resolves at once without another process. A workload calls it
 * before each measurement, so that the rounds of the two alternate and neither affects the other's times.
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
