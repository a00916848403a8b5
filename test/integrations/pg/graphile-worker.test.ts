import {
  Logger,
  makeWorkerUtils,
  run,
  runMigrations,
  type RunnerOptions,
  type TaskList,
} from 'graphile-worker';
import { expect, onTestFinished, test } from 'vitest';
import { admin } from '../../support/database.js';
import { makePool } from './clients.js';

/** Options with a schema of its own, which is dropped when the test ends. */
function optionsFor(schema: string, taskList: TaskList, pollInterval: number): RunnerOptions {
  onTestFinished(async () => {
    await admin(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });
  return {
    // Its declarations name the class of node-postgres, whose interface the pool has.
    pgPool: makePool({ max: 5 }) as never,
    schema,
    taskList,
    pollInterval,
    concurrency: 3,
    noHandleSignals: true,
    parsedCronItems: [],
    logger: new Logger(() => () => undefined),
  };
}

test('graphile-worker migrates, is woken by LISTEN, and gives its tasks clients', async () => {
  const done: unknown[] = [];
  const options = optionsFor(
    'worker_listens',
    {
      greet: (payload) => {
        done.push(payload);
      },
      ask: async (_payload, helpers) => {
        const { rows } = await helpers.query<{ n: number }>('SELECT 1 AS n');
        await helpers.withPgClient((client) => client.query('SELECT 1'));
        done.push(rows[0]?.n);
      },
    },
    // Longer than the test: only notifications wake it.
    600_000,
  );
  await runMigrations(options);
  const runner = await run(options);
  const utils = await makeWorkerUtils(options);
  try {
    await utils.addJob('greet', { name: 'Rome' });
    await expect.poll(() => done).toEqual([{ name: 'Rome' }]);
    await utils.addJob('ask', {});
    await expect.poll(() => done).toContain(1);
    await expect.poll(() => admin('SELECT 1 FROM worker_listens.jobs')).toEqual([]);
  } finally {
    await utils.release();
    await runner.stop();
  }
});

test('graphile-worker retries a job that failed', async () => {
  const attempts: number[] = [];
  const options = optionsFor(
    'worker_retries',
    {
      fail: (_payload, { job }) => {
        attempts.push(job.attempts);
        if (job.attempts < 2) throw new Error('once more');
      },
    },
    50,
  );
  const runner = await run(options);
  try {
    const { id } = await runner.addJob('fail', {});
    await expect.poll(() => attempts).toEqual([1]);
    const error = async (): Promise<unknown> =>
      (
        await admin<{ error: unknown }>('SELECT last_error AS error FROM worker_retries.jobs WHERE id = $1', [
          id,
        ])
      )[0]?.error;
    await expect.poll(error).toBe('once more');
    const utils = await makeWorkerUtils(options);
    await utils.rescheduleJobs([id], { runAt: new Date() });
    await utils.release();
    await expect.poll(() => attempts).toEqual([1, 2]);
    await expect.poll(() => admin('SELECT 1 FROM worker_retries.jobs')).toEqual([]);
  } finally {
    await runner.stop();
  }
});
