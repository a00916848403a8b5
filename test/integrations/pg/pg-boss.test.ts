import PgBoss from 'pg-boss';
import { expect, onTestFinished, test } from 'vitest';
import { admin } from '../../support/database.js';
import { makePool } from './clients.js';

test('pg-boss sends, works, retries and completes jobs over a pool', async () => {
  const schema = 'facade_boss';
  const pool = makePool({ max: 5 });
  onTestFinished(async () => {
    await admin(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });
  const boss = new PgBoss({
    schema,
    db: { executeSql: (text, values) => pool.query(text, values) },
    supervise: false,
    schedule: false,
  });
  const told: unknown[] = [];
  boss.on('error', (error) => told.push(error));
  await boss.start();
  try {
    await boss.createQueue('mail');
    const sent = await boss.send('mail', { to: 'Rome' }, { priority: 2 });
    const jobs = await boss.fetch<{ to: string }>('mail');
    expect(jobs.map(({ id, data }) => [id, data])).toEqual([[sent, { to: 'Rome' }]]);
    await boss.complete('mail', sent!);
    expect((await boss.getJobById('mail', sent!))?.state).toBe('completed');

    const failing = await boss.send('mail', {}, { retryLimit: 1 });
    await boss.fetch('mail');
    await boss.fail('mail', failing!, new Error('no connection'));
    expect((await boss.getJobById('mail', failing!))?.state).toBe('retry');
    await boss.deleteJob('mail', failing!);

    const worked: unknown[] = [];
    await boss.work('mail', { pollingIntervalSeconds: 0.5 }, ([job]) => {
      worked.push(job?.data);
      return Promise.resolve();
    });
    await boss.insert([
      { name: 'mail', data: { n: 1 } },
      { name: 'mail', data: { n: 2 } },
    ]);
    await expect.poll(() => worked).toHaveLength(2);
    expect(told).toEqual([]);
  } finally {
    await boss.stop({ graceful: true, wait: true, timeout: 20_000 });
  }
});
