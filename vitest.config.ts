import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/leak-gate.ts'],
    pool: 'forks',
    // The tests share one server, and some of them measure.
    maxWorkers: 2,
    // Bounds for a machine that has much else to do: nobody waits for them but who fails.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000, interval: 20 } },
    execArgv: ['--expose-gc'],
    sequence: { hooks: 'stack' },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      // Declarations only, and what tools/generate-errors.ts writes.
      exclude: ['src/**/*.d.ts', 'src/errors/sqlstate.ts', 'src/errors/conditions.ts'],
      reporter: ['text-summary', 'html', 'json-summary'],
      thresholds: { lines: 90 },
    },
  },
});
