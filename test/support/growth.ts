import { expect } from 'vitest';

/** Milliseconds of this process's own work: what else runs on the machine does not count. */
function work(act: () => unknown): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** So little work always passes: of that, collecting garbage may be the most. What is quadratic takes seconds at the sizes of the tests. */
const LITTLE = 1000;

/**
 * Expects work that grows with the size: eight times the size is to be about eight times the work, where quadratic work would be 64
 * times as much. The best of several runs counts. `act` may throw what the library refuses.
 */
export function expectLinear(act: (size: number) => unknown, size: number): void {
  const run = (times: number): number => work(() => act(times));
  const large = run(8 * size);
  if (large < LITTLE) return;
  const small = Math.min(run(size), run(size), run(size));
  expect(Math.min(large, run(8 * size))).toBeLessThan(24 * small);
}
