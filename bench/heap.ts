import { AsyncConnectionPool } from '../src/index.js';

const CHECKOUTS = 100_000;

/** What stays on the heap after many checkouts, as a sentence. */
export async function heap(dsn: string): Promise<string> {
  if (globalThis.gc === undefined) return 'heap: not measured, run with --expose-gc';
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 10 });
  await pool.wait();
  // Compiled code and caches are paid for once, before counting.
  await checkouts(pool, CHECKOUTS / 10);
  const before = await settledHeap(globalThis.gc);
  await checkouts(pool, CHECKOUTS);
  const after = await settledHeap(globalThis.gc);
  const grown = (after - before) / 1024;
  return (
    `heap around ${String(CHECKOUTS)} checkouts: ${mebibytes(before)} before, ${mebibytes(after)} after, ` +
    `${grown >= 0 ? '+' : ''}${grown.toFixed(0)} KiB`
  );
}

async function checkouts(pool: AsyncConnectionPool, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await pool.putconn(await pool.getconn());
}

async function settledHeap(collect: NonNullable<typeof globalThis.gc>): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
}
