/**
 * A report over five million rows in flat memory: the rows are read as they arrive and summed up, and are never all in memory. In
 * your project: from 'usingpg'.
 */
import { AsyncConnection } from '../src/index.js';
import { withDatabase } from './database.js';
import { progressBar } from './progress-bar.js';

const ROWS = 5_000_000;
const BRANCHES = 5;

await withDatabase(async (dsn) => {
  await using connection = await AsyncConnection.connect(dsn);
  await using cursor = connection.cursor();
  const bar = progressBar('sales', ROWS);
  const totals = new Map<number, { sales: number; cents: number }>();
  let rows = 0;
  let before = 0;
  let most = 0;
  const start = performance.now();
  const sales = cursor.stream(
    'SELECT i %% %(branches)s AS branch, (i * 7919::int8 %% 10000)::int4 AS cents, md5(i::text) AS receipt FROM generate_series(1, %(rows)s) i',
    { branches: BRANCHES, rows: ROWS },
  );
  for await (const [branch, cents] of sales as AsyncIterable<[number, number, string]>) {
    const total = totals.get(branch) ?? { sales: 0, cents: 0 };
    total.sales++;
    total.cents += cents;
    totals.set(branch, total);
    if (++rows % 50_000 !== 0) continue;
    bar.increment(50_000);
    const memory = process.memoryUsage.rss();
    // The memory for the first rows, such as compiled code and the heap's initial size, is not counted.
    if (rows === 500_000) before = memory;
    most = Math.max(most, memory);
  }
  bar.stop();
  const seconds = (performance.now() - start) / 1000;

  console.log('\nbranch      sales          turnover');
  for (const [branch, { sales: count, cents }] of [...totals].sort(([a], [b]) => a - b)) {
    console.log(
      `${String(branch).padStart(6)} ${String(count).padStart(10)} ${(cents / 100).toFixed(2).padStart(17)}`,
    );
  }
  console.log(
    `\n${String(rows)} rows in ${seconds.toFixed(1)} s, ${(rows / seconds / 1000).toFixed(0)} thousand a second`,
  );
  console.log(`memory grew by ${String(Math.max(0, Math.round((most - before) / 2 ** 20)))} MiB`);
});
