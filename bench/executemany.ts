import pg from 'pg';
import { AsyncConnection } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const INSERTS = 5000;

/** Inserting many rows, one statement each, in one transaction. */
export async function executemany(dsn: string): Promise<Line[]> {
  await using conn = await AsyncConnection.connect(dsn);
  const pgClient = new pg.Client(dsn);
  await pgClient.connect();
  const create = 'CREATE TEMP TABLE bench_inserts (id int4, name text)';
  const rows = Array.from({ length: INSERTS }, (_, i) => [i, `name ${String(i)}`] as const);
  try {
    await conn.execute(create);
    await conn.commit();
    await pgClient.query(create);
    return await race(
      `${String(INSERTS)} inserts`,
      [
        {
          name: OURS,
          run: async () => {
            await conn.cursor().executemany('INSERT INTO bench_inserts VALUES (%s, %s)', rows);
            await conn.rollback();
          },
        },
        {
          name: 'pg, one by one',
          run: async () => {
            await pgClient.query('BEGIN');
            for (const row of rows) {
              await pgClient.query({
                name: 'insert',
                text: 'INSERT INTO bench_inserts VALUES ($1, $2)',
                values: [...row],
              });
            }
            await pgClient.query('ROLLBACK');
          },
        },
      ],
      { operations: INSERTS },
    );
  } finally {
    await pgClient.end();
  }
}
