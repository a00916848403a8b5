import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/leak-gate.ts'],
    pool: 'forks',
    // The tests share one server, and some of them measure.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
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
