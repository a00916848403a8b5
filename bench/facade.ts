import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import type * as Facade from '../src/integrations/pg/index.js';
import { PACKAGE } from './package.js';
import { OURS, race } from './race.js';
import type { Finding, Setting } from './setting.js';

const SELECTS = 500;
const INSERTS = 1000;
const ROWS = 20_000;
const TABLE = `
  CREATE TABLE bench_facade AS
  SELECT i::int4 AS id, 'name of row ' || i AS name, (i * 1000000007::int8) AS big, i / 7.0::float8 AS ratio, i % 2 = 0 AS even,
         timestamptz '2024-01-01 00:00+00' + i * interval '1 second' AS at, (i / 100.0)::numeric(12, 2) AS price
  FROM generate_series(1, ${String(ROWS)}) AS i`;

/** What both pools take and give. */
interface Pool {
  query(text: string, values?: unknown[]): Promise<{ rows: { n: number }[]; rowCount: number | null }>;
  end(): Promise<void>;
}

/** usingpg/pg beside pg: the same calls of the same interface. */
export async function facade({ dsn }: Setting): Promise<Finding[]> {
  const { Pool } = (await import(pathToFileURL(resolve(PACKAGE, 'dist/pg.js')).href)) as typeof Facade;
  const config = { connectionString: dsn, max: 1 };
  const pools: Readonly<Record<string, Pool>> = { [OURS]: new Pool(config), pg: new pg.Pool(config) };
  const contenders = (run: (pool: Pool) => Promise<void>): { name: string; run: () => Promise<void> }[] =>
    Object.entries(pools).map(([name, pool]) => ({ name, run: () => run(pool) }));
  const noSlower = [{ peers: ['pg'], ratio: 1 }];
  await pools[OURS]!.query(TABLE);
  try {
    return [
      await race(
        `${String(SELECTS)} small selects, pool.query()`,
        contenders(async (pool) => {
          for (let i = 0; i < SELECTS; i++) {
            const { rows } = await pool.query('SELECT $1::int4 AS n', [i]);
            if (rows[0]?.n !== i) throw new Error(`wrong answer to ${String(i)}`);
          }
        }),
        { operations: SELECTS, goals: noSlower },
      ),
      await race(
        `${String(INSERTS)} inserts, pool.query()`,
        contenders(async (pool) => {
          await pool.query('CREATE TEMPORARY TABLE bench_sink (id int4, name text)');
          for (let i = 0; i < INSERTS; i++) {
            await pool.query('INSERT INTO bench_sink VALUES ($1, $2)', [i, `name ${String(i)}`]);
          }
          await pool.query('DROP TABLE bench_sink');
        }),
        { operations: INSERTS, goals: noSlower },
      ),
      await race(
        `${String(ROWS)} rows × 7, pool.query()`,
        contenders(async (pool) => {
          const { rowCount } = await pool.query('SELECT * FROM bench_facade');
          if (rowCount !== ROWS) throw new Error(`${String(rowCount)} rows`);
        }),
        { operations: 1, goals: [{ peers: ['pg'], ratio: 1.5 }] },
      ),
    ];
  } finally {
    await pools[OURS]!.query('DROP TABLE bench_facade');
    await Promise.all(Object.values(pools).map((pool) => pool.end()));
  }
}
