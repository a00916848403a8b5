import { afterAll, beforeAll, expect, it } from 'vitest';
import { seedFrom } from '../support/random.js';
import { startOwnServer, type OwnServer } from '../support/server.js';
import { warningsOf } from '../support/warnings.js';
import { runChaos, type ChaosReport } from './chaos.js';

const IN_CI = process.env['CI'] !== undefined && process.env['CI'] !== '' && process.env['CI'] !== 'false';
const SECONDS = Number(process.env['CHAOS_SECONDS'] ?? (IN_CI ? 60 : 10));
const SEED = seedFrom('CHAOS_SEED', Date.now() % 1_000_000);

let server: OwnServer;

beforeAll(async () => {
  server = await startOwnServer();
});

afterAll(() => server.stop());

it(
  'transfers of money under faults neither lose nor create money, and every answer was right',
  async () => {
    let report!: ChaosReport;
    // If a task's statement fails, the disposer of its scope cannot see the error.
    await warningsOf('USINGPG_UNCOMMITTED', async () => {
      report = await runChaos({ server, seconds: SECONDS, seed: SEED });
    });
    const { summary, violations, acknowledged } = report;
    console.log(summary);
    expect(violations, `CHAOS_SEED=${String(SEED)}: ${summary}`).toEqual([]);
    // If everything was refused, the run proves nothing.
    expect(acknowledged).toBeGreaterThan(SECONDS);
  },
  (SECONDS + 150) * 1000,
);
