import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnectionPool } from './package.js';
import { Floor } from './floor.js';
import { raceInTurns } from './one-processor.js';
import { OURS, type Race } from './race.js';
import type { Setting } from './setting.js';

const TRANSACTIONS = 500;
const INSERT = 'INSERT INTO bench_transaction VALUES ($1, $2)';

/** Transactions that store a row, by each pool's own form: BEGIN, the insert, COMMIT. */
export async function transaction({ dsn, python }: Setting): Promise<Race[]> {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 1 });
  await pool.wait(60);
  // The disk would take the same time for all clients.
  await pool.execute('CREATE UNLOGGED TABLE bench_transaction (id int4, name text)');
  const sql = postgres(dsn, { max: 1 });
  const pgPool = new pg.Pool({ connectionString: dsn, max: 1 });
  using floor = await Floor.connect(dsn);
  const inserts = Array.from({ length: TRANSACTIONS }, (_, i) =>
    Floor.statement(INSERT, [String(i), 'a name'], 'BEGIN'),
  );
  const commit = Floor.statement('COMMIT', []);
  const clients: Record<string, (i: number) => Promise<unknown>> = {
    [OURS]: (i) =>
      pool.withTransaction((conn) =>
        conn.execute('INSERT INTO bench_transaction VALUES (%s, %s)', [i, 'a name']),
      ),
    postgres: (i) => sql.begin((tx) => tx`INSERT INTO bench_transaction VALUES (${i}, ${'a name'})`),
    pg: async (i) => {
      const client = await pgPool.connect();
      await client.query('BEGIN');
      await client.query({ name: 'bench', text: INSERT, values: [i, 'a name'] });
      await client.query('COMMIT');
      client.release();
    },
    'bytes thrown away': async (i) => {
      await floor.ask(inserts[i]!);
      await floor.ask(commit);
    },
  };
  try {
    return [
      await raceInTurns(
        { dsn, python },
        `${String(TRANSACTIONS)} transactions that insert a row`,
        Object.entries(clients).map(([name, once]) => ({
          name,
          floor: name === 'bytes thrown away',
          run: async () => {
            for (let i = 0; i < TRANSACTIONS; i++) await once(i);
          },
        })),
        {
          operations: TRANSACTIONS,
          goals: [
            { peers: ['pg'], ratio: 1.4 },
            { peers: ['postgres'], ratio: 1.4 },
          ],
        },
      ),
    ];
  } finally {
    await sql.end({ timeout: 5 });
    await pgPool.end();
    await pool.execute('DROP TABLE bench_transaction');
  }
}
