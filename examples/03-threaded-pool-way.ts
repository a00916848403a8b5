/**
 * For those who come from Psycopg's ThreadedConnectionPool: getconn and putconn, with `try … finally`.
 * Prefer `await using` (04): there is no `finally` to forget. In your project: from 'usingpg'.
 */
import { AsyncConnectionPool } from '../src/index.js';
import { withDatabase } from './database.js';
import { wrapped } from './print.js';

await withDatabase(async (dsn) => {
  const pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 10 });
  try {
    await pool.wait();

    const work = async (task: number): Promise<unknown> => {
      const connection = await pool.getconn();
      try {
        const cursor = connection.cursor();
        await cursor.execute('SELECT %s::int4 + 1', [task]);
        const row = await cursor.fetchone();
        await connection.commit();
        return row?.[0];
      } finally {
        // Also rolls back uncommitted work and cuts `connection` off: any later use raises an error.
        await pool.putconn(connection);
      }
    };

    const answers = await Promise.all(Array.from({ length: 50 }, (_, task) => work(task)));
    const right = answers.filter((answer, task) => answer === task + 1).length;
    console.log(`${String(right)} of ${String(answers.length)} tasks got their own answer`);

    const stale = await pool.getconn();
    await pool.putconn(stale);
    await stale.execute('SELECT 1').catch((error: unknown) => {
      console.log(wrapped(`a connection used after putconn: ${String(error)}`));
    });
  } finally {
    await pool.close();
  }
  console.log(`pool closed: ${String(pool.closed)}`);
});
