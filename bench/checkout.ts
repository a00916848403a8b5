import pg from 'pg';
import { AsyncConnectionPool } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const CHECKOUTS = 20_000;

/** Taking a connection and giving it back, without a statement in between. */
export async function checkout(dsn: string): Promise<Line[]> {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 10 });
  await pool.wait();
  const pgPool = new pg.Pool({ connectionString: dsn, max: 10 });
  try {
    (await pgPool.connect()).release();
    return await race(
      `${String(CHECKOUTS)} checkouts and returns`,
      [
        {
          name: OURS,
          run: async () => {
            for (let i = 0; i < CHECKOUTS; i++) await pool.putconn(await pool.getconn());
          },
        },
        {
          name: 'pg-pool',
          run: async () => {
            for (let i = 0; i < CHECKOUTS; i++) (await pgPool.connect()).release();
          },
        },
      ],
      { operations: CHECKOUTS },
    );
  } finally {
    await pgPool.end();
  }
}
