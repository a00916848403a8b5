import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection, dictRow } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const ROWS = 20_000;
/** Fetches in a row, so that the server's caches are warm for everybody. */
const FETCHES = 4;
/** One column of each of the types that most tables are made of. */
const QUERY = `
  SELECT i::int4 AS id, 'name of row ' || i AS name, (i * 1000000007::int8) AS big, i / 7.0::float8 AS ratio,
         i % 2 = 0 AS even, timestamptz '2024-01-01 00:00+00' + i * interval '1 second' AS at, (i / 100.0)::numeric(12, 2) AS price
  FROM generate_series(1, ${String(ROWS)}) AS i`;

/** Fetching many rows, as tuples and as objects. */
export async function fetchRows(dsn: string): Promise<Line[]> {
  await using ours = await AsyncConnection.connect(dsn, { autocommit: true });
  const pgClient = new pg.Client(dsn);
  await pgClient.connect();
  const sql = postgres(dsn, { max: 1 });
  try {
    // All read one table from memory: generating the rows would be timed with everybody.
    await ours.execute(`CREATE TABLE bench_rows AS ${QUERY}`);
    const all = 'SELECT * FROM bench_rows';
    const tuples = await race(
      `fetch ${String(ROWS)} rows × 7 columns, tuples`,
      [
        { name: OURS, run: again(async () => (await ours.execute(all)).fetchall()) },
        { name: 'postgres .values()', run: again(async () => sql.unsafe(all).values()) },
        {
          name: "pg rowMode 'array'",
          run: again(async () => (await pgClient.query({ text: all, rowMode: 'array' })).rows),
        },
      ],
      { operations: FETCHES },
    );
    const objects = await race(
      `fetch ${String(ROWS)} rows × 7 columns, objects`,
      [
        {
          name: OURS,
          run: again(async () => (await ours.execute(all, undefined, { rowFactory: dictRow })).fetchall()),
        },
        { name: 'postgres', run: again(async () => sql.unsafe(all)) },
        { name: 'pg', run: again(async () => (await pgClient.query(all)).rows) },
      ],
      { operations: FETCHES },
    );
    return [...tuples, ...objects];
  } finally {
    await ours.execute('DROP TABLE IF EXISTS bench_rows');
    await sql.end({ timeout: 5 });
    await pgClient.end();
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
