import { dictRow } from './package.js';
import { Clients, slonikSql } from './clients.js';
import { Floor } from './floor.js';
import { growth } from './growth.js';
import { OURS, race } from './race.js';
import type { Finding, Setting } from './setting.js';

const ROWS = 20_000;
/** Consecutive fetches, so that the server's caches are warm for all clients. */
const FETCHES = 3;
/** One column of each of the most frequent types. */
const QUERY = `
  SELECT i::int4 AS id, 'name of row ' || i AS name, (i * 1000000007::int8) AS big, i / 7.0::float8 AS ratio,
         i % 2 = 0 AS even, timestamptz '2024-01-01 00:00+00' + i * interval '1 second' AS at, (i / 100.0)::numeric(12, 2) AS price
  FROM generate_series(1, ${String(ROWS)}) AS i`;
const ALL = 'SELECT * FROM bench_rows';
const MOST_ROWS = 1_000_000;

/** Fetching many rows, as tuples and as objects, with each client's default types. */
export async function fetchRows({ dsn, python, quick }: Setting): Promise<Finding[]> {
  await using clients = await Clients.connect(dsn);
  using floor = await Floor.connect(dsn);
  const { ours, postgres, pg, pgPromise, slonik } = clients;
  // All read one table from memory; otherwise generating the rows would be measured, too.
  await ours.execute(`CREATE TABLE bench_rows AS ${QUERY}`);
  try {
    const thrownAway = Floor.contender(async () => {
      for (let i = 0; i < FETCHES; i++) await floor.query(ALL);
    });
    const tuples = await race(
      `fetch ${String(ROWS)} rows × 7, tuples`,
      [
        { name: OURS, run: again(async () => (await ours.execute(ALL)).fetchall()) },
        { name: 'postgres', run: again(async () => postgres.unsafe(ALL).values()) },
        {
          name: 'pg',
          run: again(async () => (await pg.query<unknown[]>({ text: ALL, rowMode: 'array' })).rows),
        },
        ...(python?.contenders('fetch_tuples', FETCHES) ?? []),
        thrownAway,
      ],
      {
        operations: FETCHES,
        goals: [
          { peers: ['postgres'], ratio: 2.3 },
          { peers: ['pg'], ratio: 3 },
          { peers: ['asyncpg'], ratio: 1 },
        ],
      },
    );
    const objects = await race(
      `fetch ${String(ROWS)} rows × 7, objects`,
      [
        {
          name: OURS,
          run: again(async () => (await ours.execute(ALL, undefined, { rowFactory: dictRow })).fetchall()),
        },
        { name: 'postgres', run: again(async () => postgres.unsafe(ALL)) },
        { name: 'pg', run: again(async () => (await pg.query<object>(ALL)).rows) },
        { name: 'pg-promise', run: again(async () => pgPromise.any(ALL)) },
        { name: 'slonik', run: again(async () => slonik.any(slonikSql.unsafe`SELECT * FROM bench_rows`)) },
        ...(python?.contenders('fetch_objects', FETCHES, ['psycopg']) ?? []),
        thrownAway,
      ],
      {
        operations: FETCHES,
        goals: [
          { peers: ['postgres'], ratio: 2.3 },
          { peers: ['pg'], ratio: 3 },
        ],
      },
    );
    const series = (rows: number): string =>
      `SELECT i, 'name ' || i FROM generate_series(1, ${String(rows)}) AS i`;
    const curve = await growth(
      { title: 'Fetching more rows', x: 'rows', y: 'milliseconds' },
      [1, 10, 100, 1000, 10_000, 100_000, ...(quick ? [] : [MOST_ROWS])],
      {
        [OURS]: async (rows) => (await ours.execute(series(rows))).fetchall(),
        postgres: async (rows) => postgres.unsafe(series(rows)).values(),
        pg: async (rows) => pg.query({ text: series(rows), rowMode: 'array' }),
      },
    );
    return [tuples, objects, curve];
  } finally {
    await ours.execute('DROP TABLE bench_rows');
  }
}

function again(fetch: () => Promise<readonly unknown[]>): () => Promise<void> {
  return async () => {
    for (let i = 0; i < FETCHES; i++) {
      const { length } = await fetch();
      if (length !== ROWS) throw new Error(`expected ${String(ROWS)} rows, got ${String(length)}`);
    }
  };
}
