import pg from 'pg';
import { AsyncConnectionPool } from './package.js';
import type { Curve, Figures } from './findings.js';
import { growth } from './growth.js';
import { OURS, race } from './race.js';
import type { Finding, Setting } from './setting.js';

const CHECKOUTS = 10_000;

/** A checkout and its return, without a statement in between. */
export async function checkout({ dsn, quick }: Setting): Promise<Finding[]> {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 1 });
  await pool.wait();
  const pgPool = new pg.Pool({ connectionString: dsn, max: 1 });
  try {
    const idle = await race(
      `${String(CHECKOUTS)} checkouts and returns`,
      [
        { name: OURS, run: () => checkouts(pool, CHECKOUTS) },
        { name: 'pg', run: () => pgCheckouts(pgPool, CHECKOUTS) },
      ],
      { operations: CHECKOUTS, goals: [{ peers: ['pg'], ratio: 2 }] },
    );
    const each: Figures = {
      kind: 'figures',
      title: 'one checkout and its return',
      unit: 'µs',
      values: idle.entries.map(({ name, ms }) => ({ name, value: (ms.median * 1000) / CHECKOUTS })),
      goal: { most: 5, text: 'at most 5 µs' },
    };
    const waiters = await growth(
      { title: 'Checkouts with more tasks that wait for one connection', x: 'waiters', y: 'µs each' },
      quick ? [1, 100] : [1, 10, 100, 1000, 10_000],
      {
        [OURS]: (count) => Promise.all(Array.from({ length: count }, () => checkouts(pool, 1))),
        pg: (count) => Promise.all(Array.from({ length: count }, () => pgCheckouts(pgPool, 1))),
      },
      (ms, count) => (ms * 1000) / count,
    );
    return [idle, each, waiters, await byConnections(dsn, quick ? [1, 20] : [1, 2, 5, 10, 20, 50, 100, 200])];
  } finally {
    await pgPool.end();
  }
}

/** Checkouts from pools of increasing size, using all connections in turn. */
async function byConnections(dsn: string, sizes: readonly number[]): Promise<Curve> {
  const series: Record<string, (readonly [number, number])[]> = { [OURS]: [], pg: [] };
  for (const size of sizes) {
    await using pool = new AsyncConnectionPool(dsn, { minSize: size, maxSize: size, numWorkers: 10 });
    await pool.wait(60);
    const ours = await growth(
      { title: '', x: '', y: '' },
      [size],
      { [OURS]: () => checkouts(pool, CHECKOUTS) },
      (ms) => (ms * 1000) / CHECKOUTS,
    );
    series[OURS]!.push(ours.series[0]!.points[0]!);
    await pool.close();
    const pgPool = new pg.Pool({ connectionString: dsn, max: size });
    await Promise.all(Array.from({ length: size }, () => pgPool.query('SELECT 1')));
    const peer = await growth(
      { title: '', x: '', y: '' },
      [size],
      { pg: () => pgCheckouts(pgPool, CHECKOUTS) },
      (ms) => (ms * 1000) / CHECKOUTS,
    );
    series['pg']!.push(...(peer.series[0]?.points ?? []));
    await pgPool.end();
  }
  return {
    kind: 'curve',
    title: 'Checkouts from a larger pool',
    x: 'connections',
    y: 'µs each',
    series: Object.entries(series).map(([name, points]) => ({ name, points })),
  };
}

async function checkouts(pool: AsyncConnectionPool, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await pool.putconn(await pool.getconn());
}

async function pgCheckouts(pool: pg.Pool, count: number): Promise<void> {
  for (let i = 0; i < count; i++) (await pool.connect()).release();
}
