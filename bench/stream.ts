import QueryStream from 'pg-query-stream';
import { Clients } from './clients.js';
import type { Figures } from './findings.js';
import { Floor } from './floor.js';
import { OURS, race } from './race.js';
import type { Finding, Setting } from './setting.js';

const ROWS = 200_000;
const LONG = 5_000_000;
const TABLE = `CREATE TABLE bench_stream AS SELECT i AS id, 'name of row ' || i AS name, i / 7.0::float8 AS ratio FROM generate_series(1, ${String(ROWS)}) AS i`;
const QUERY = `SELECT * FROM bench_stream LIMIT ${String(ROWS)}`;
/** Rows that the others fetch at a time: as many as we do. With their own defaults it takes them longer. */
const BATCH = 5000;

/** Reading many rows as they come, one by one. */
export async function stream({ dsn, python, quick }: Setting): Promise<Finding[]> {
  await using clients = await Clients.connect(dsn);
  const { ours, postgres, pg } = clients;
  using floor = await Floor.connect(dsn);
  const counted = (source: () => AsyncIterable<unknown>) => async (): Promise<void> => {
    let rows = 0;
    for await (const _row of source()) rows++;
    expectRows(rows);
  };
  await ours.execute(TABLE);
  try {
    const raced = await race(
      `stream of ${String(ROWS)} rows`,
      [
        { name: OURS, run: counted(() => ours.cursor().stream(QUERY)) },
        {
          name: 'pg-query-stream',
          run: counted(() =>
            pg.query(new QueryStream(QUERY, [], { batchSize: BATCH, highWaterMark: BATCH })),
          ),
        },
        {
          name: 'postgres',
          run: async () => {
            let rows = 0;
            for await (const batch of postgres.unsafe(QUERY).cursor(BATCH)) rows += batch.length;
            expectRows(rows);
          },
        },
        ...(python?.contenders('stream', ROWS) ?? []),
        Floor.contender(() => floor.query(QUERY)),
      ],
      {
        goals: [
          { peers: ['pg-query-stream'], ratio: 2 },
          { peers: ['postgres'], ratio: 2 },
        ],
      },
    );
    return [raced, await memory(clients, quick ? ROWS * 2 : LONG)];
  } finally {
    await ours.execute('DROP TABLE bench_stream');
  }
}

/** How much resident memory grows while millions of rows go by. */
async function memory({ ours }: Clients, count: number): Promise<Figures> {
  const query = `SELECT i, 'name of row ' || i FROM generate_series(1, ${String(count)}) AS i`;
  let rows = 0;
  let before = 0;
  let most = 0;
  for await (const _row of ours.cursor().stream(query)) {
    // What the first rows need, compiled code and a heap that has found its size, is not what is asked for.
    if (++rows === ROWS) before = process.memoryUsage.rss();
    if (rows % 50_000 === 0) most = Math.max(most, process.memoryUsage.rss());
  }
  return {
    kind: 'figures',
    title: `resident memory grown in a stream of ${String(rows)} rows`,
    unit: 'MiB',
    values: [{ name: OURS, value: (most - before) / 2 ** 20 }],
  };
}

function expectRows(rows: number): void {
  if (rows !== ROWS) throw new Error(`expected ${String(ROWS)} rows, got ${String(rows)}`);
}
