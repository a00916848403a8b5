/**
 * The cure: each task takes its own connection and its own cursor. In your project: from 'usingpg'.
 */
import { AsyncConnectionPool } from '../src/index.js';
import { withDatabase } from './database.js';

const TASKS = 100;
const CONNECTIONS = 10;

await withDatabase(async (dsn) => {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: CONNECTIONS });
  const backends = new Set<unknown>();

  const answers = await Promise.all(
    Array.from({ length: TASKS }, async (_, task) => {
      await using connection = await pool.connection();
      await using cursor = connection.cursor();
      await cursor.execute('SELECT %s::int4 * 2, pg_backend_pid()', [task]);
      const row = await cursor.fetchone();
      backends.add(row?.[1]);
      return row?.[0];
    }),
  );

  const wrong = answers.filter((answer, task) => answer !== task * 2).length;
  console.log(`${String(TASKS)} tasks at once, at most ${String(CONNECTIONS)} connections`);
  console.log(`  wrong results: ${String(wrong)}`);
  console.log(`  connections used: ${String(backends.size)}`);
  const { requestsNum, requestsQueued, poolSize } = pool.getStats();
  console.log(
    `  the pool: ${String(requestsNum)} requests, ${String(requestsQueued)} had to wait, size now ${String(poolSize)}`,
  );
});
