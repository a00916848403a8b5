import QueryStream from 'pg-query-stream';
import { dictRow } from './package.js';
import { Clients } from './clients.js';
import type { Figures } from './findings.js';
import { Floor } from './floor.js';
import { OURS, race, type Contender } from './race.js';
import type { Finding, Setting } from './setting.js';

const ROWS = 200_000;
const LONG = 5_000_000;
const TABLE = `CREATE TABLE bench_stream AS SELECT i AS id, 'name of row ' || i AS name, i / 7.0::float8 AS ratio FROM generate_series(1, ${String(ROWS)}) AS i`;
const QUERY = `SELECT * FROM bench_stream LIMIT ${String(ROWS)}`;
/** Rows at a time, the same for all clients; both peers are fastest with it. */
const BATCH = 5000;
/** The batch size in an example of postgres.js's documentation; it has no default. */
const POSTGRES_BATCH = 100;

const GOALS = [
  { peers: ['pg-query-stream', 'pg-query-stream, its default'], ratio: 2 },
  { peers: ['postgres', `postgres, batches of ${String(POSTGRES_BATCH)}`], ratio: 2 },
];

/** Reading many rows as they arrive, one by one, as objects. */
export async function stream({ dsn, python, quick }: Setting): Promise<Finding[]> {
  await using clients = await Clients.connect(dsn);
  const { ours, postgres, pg } = clients;
  using floor = await Floor.connect(dsn);
  const counted = (source: () => AsyncIterable<unknown>) => async (): Promise<void> => {
    let rows = 0;
    for await (const _row of source()) rows++;
    expectRows(rows);
  };
  const postgresBy = (size: number) => async (): Promise<void> => {
    let rows = 0;
    for await (const batch of postgres.unsafe(QUERY).cursor(size)) for (const _row of batch) rows++;
    expectRows(rows);
  };
  const pgBy = (config: { batchSize?: number; highWaterMark?: number }): (() => Promise<void>) =>
    counted(() => pg.query(new QueryStream(QUERY, [], config)));
  await ours.execute(TABLE);
  try {
    const contenders: Contender[] = [
      { name: OURS, run: counted(() => ours.cursor({ rowFactory: dictRow }).stream(QUERY)) },
      { name: `${OURS}, tuples`, run: counted(() => ours.cursor().stream(QUERY)) },
      {
        name: `${OURS}, batches of ${String(BATCH)}`,
        run: counted(() => ours.cursor({ rowFactory: dictRow }).stream(QUERY, null, { size: BATCH })),
      },
      { name: 'pg-query-stream', run: pgBy({ batchSize: BATCH, highWaterMark: BATCH }) },
      { name: 'pg-query-stream, its default', run: pgBy({}) },
      { name: 'postgres', run: postgresBy(BATCH) },
      { name: `postgres, batches of ${String(POSTGRES_BATCH)}`, run: postgresBy(POSTGRES_BATCH) },
    ];
    const thrownAway = Floor.contender(() => floor.query(QUERY));
    const raced = await race(
      `stream of ${String(ROWS)} rows`,
      [...contenders, ...(python?.contenders('stream', ROWS) ?? []), thrownAway],
      { goals: GOALS },
    );
    const worked = await race(
      `stream of ${String(ROWS)} rows, CPU time of the client`,
      [...contenders, thrownAway].map(byCpuTime),
      { goals: GOALS },
    );
    return [raced, worked, await memory(clients, quick ? ROWS * 2 : LONG)];
  } finally {
    await ours.execute('DROP TABLE bench_stream');
  }
}

/** The same contender, measured by this process's CPU time, which does not depend on other load. */
function byCpuTime(contender: Contender): Contender {
  return {
    ...contender,
    run: async () => {
      const before = process.cpuUsage();
      await contender.run();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    },
  };
}

/** The growth of resident memory while millions of rows pass. */
async function memory({ ours }: Clients, count: number): Promise<Figures> {
  const query = `SELECT i, 'name of row ' || i FROM generate_series(1, ${String(count)}) AS i`;
  let rows = 0;
  let before = 0;
  let most = 0;
  for await (const _row of ours.cursor().stream(query)) {
    // The growth for the first rows, such as compiled code and the heap's initial size, is not counted.
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
