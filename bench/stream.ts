import pg from 'pg';
import QueryStream from 'pg-query-stream';
import postgres from 'postgres';
import { AsyncConnection } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const ROWS = 200_000;
const QUERY = `SELECT i AS id, 'name of row ' || i AS name, i / 7.0::float8 AS ratio FROM generate_series(1, ${String(ROWS)}) AS i`;
const LONG = 5_000_000;

/** Reading many rows as they come, one by one. */
export async function stream(dsn: string): Promise<Line[]> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  const pgClient = new pg.Client(dsn);
  await pgClient.connect();
  const sql = postgres(dsn, { max: 1 });
  try {
    return await race(
      `stream of ${String(ROWS)} rows`,
      [
        {
          name: OURS,
          run: async () => {
            let rows = 0;
            for await (const _row of conn.cursor().stream(QUERY)) rows++;
            expectRows(rows);
          },
        },
        {
          name: 'pg-query-stream',
          run: async () => {
            let rows = 0;
            // Batches as large as ours, rather than the default of 100 rows, with which it takes longer.
            const source = pgClient.query(
              new QueryStream(QUERY, [], { batchSize: 5000, highWaterMark: 5000 }),
            );
            for await (const _row of source) rows++;
            expectRows(rows);
          },
        },
        {
          name: 'postgres .cursor()',
          run: async () => {
            let rows = 0;
            for await (const batch of sql.unsafe(QUERY).cursor(5000)) rows += batch.length;
            expectRows(rows);
          },
        },
      ],
      { rounds: 5 },
    );
  } finally {
    await sql.end({ timeout: 5 });
    await pgClient.end();
  }
}

/** How much resident memory grows while millions of rows go by. */
export async function streamMemory(dsn: string): Promise<string> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  const query = QUERY.replace(String(ROWS), String(LONG));
  let rows = 0;
  let before = 0;
  let most = 0;
  for await (const _row of conn.cursor().stream(query)) {
    // What the first rows need, compiled code and a heap that has found its size, is not what is asked for.
    if (++rows === ROWS) before = process.memoryUsage.rss();
    if (rows % 50_000 === 0) most = Math.max(most, process.memoryUsage.rss());
  }
  return `stream of ${String(rows)} rows: resident memory grew by ${((most - before) / 2 ** 20).toFixed(0)} MiB`;
}

function expectRows(rows: number): void {
  if (rows !== ROWS) throw new Error(`expected ${String(ROWS)} rows, got ${String(rows)}`);
}
