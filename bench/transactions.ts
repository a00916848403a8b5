import pg from 'pg';
import { AsyncConnectionPool } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const TRANSACTIONS = 1000;
const CONNECTIONS = 10;

/** Many tasks, each a transaction of one statement on a pooled connection. */
export async function transactions(dsn: string): Promise<Line[]> {
  await using pool = new AsyncConnectionPool(dsn, { minSize: CONNECTIONS, maxSize: CONNECTIONS });
  await pool.wait();
  const pgPool = new pg.Pool({ connectionString: dsn, max: CONNECTIONS });
  try {
    return await race(
      `${String(TRANSACTIONS)} transactions of one statement, ${String(CONNECTIONS)} connections`,
      [
        {
          name: OURS,
          run: () =>
            eachTask((i) =>
              pool.withConnection(async (conn) => {
                await conn.execute('SELECT %s::int4', [i]);
              }),
            ),
        },
        {
          name: 'pg-pool',
          run: () =>
            eachTask(async (i) => {
              const client = await pgPool.connect();
              try {
                await client.query('BEGIN');
                await client.query('SELECT $1::int4', [i]);
                await client.query('COMMIT');
              } finally {
                client.release();
              }
            }),
        },
      ],
      { operations: TRANSACTIONS },
    );
  } finally {
    await pgPool.end();
  }
}

async function eachTask(task: (i: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: TRANSACTIONS }, (_, i) => task(i)));
}
