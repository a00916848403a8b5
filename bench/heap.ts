import { AsyncConnectionPool } from './package.js';
import { OURS } from './race.js';
import type { Figures } from './findings.js';
import type { Setting } from './setting.js';

/** The heap that remains after many checkouts. */
export async function heap({ dsn, quick }: Setting): Promise<Figures[]> {
  const count = quick ? 10_000 : 100_000;
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 10 });
  await pool.wait();
  // Compiled code and caches are excluded by a warm-up.
  await checkouts(pool, count / 10);
  const before = await settledHeap();
  await checkouts(pool, count);
  const after = await settledHeap();
  return [
    {
      kind: 'figures',
      title: `heap grown by ${String(count)} checkouts`,
      unit: 'KiB',
      values: [{ name: OURS, value: (after - before) / 1024 }],
    },
  ];
}

async function checkouts(pool: AsyncConnectionPool, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await pool.putconn(await pool.getconn());
}

async function settledHeap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}
