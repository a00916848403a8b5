import { expect } from 'vitest';

/** Milliseconds of this process's own CPU time, which other processes do not affect. */
function work(act: () => unknown): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * An amount of work that always passes, of which garbage collection may be the most. A quadratic algorithm takes seconds for the
 * sizes of the tests.
 */
const LITTLE = 1000;

/**
 * Expects linear work: eight times the size must take about eight times the work, where quadratic work would take 64 times. The
 * best of several runs counts. `act` may throw an error of the library.
 */
export function expectLinear(act: (size: number) => unknown, size: number): void {
  const run = (times: number): number => work(() => act(times));
  const large = run(8 * size);
  if (large < LITTLE) return;
  expectLinearWork(Math.min(large, run(8 * size)), [run(size), run(size), run(size)]);
}

/** The same for work that has been measured, in milliseconds: `large` is that for eight times the size of `small`. */
export function expectLinearWork(large: number, small: readonly number[]): void {
  if (large >= LITTLE) expect(large).toBeLessThan(24 * Math.min(...small));
}
