import { defineConfig } from 'vitest/config';

/** The tests on a cluster: they need no other server, and the machine for themselves. */
export default defineConfig({
  test: {
    include: ['test/cluster/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    // Limits for a busy machine; only failing tests take that long.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000, interval: 50 } },
    // Each event happens to the cluster that the one before has left.
    bail: 1,
  },
});
