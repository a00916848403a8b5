import { Clients } from './clients.js';
import { Floor } from './floor.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const FASTER = [{ peers: ['pg', 'postgres'], ratio: 1.5 }];
const WIDTH = 100;
const MEGABYTE = 2 ** 20;

/** The fetches: name and query. */
const FETCHES: readonly (readonly [workload: string, query: string])[] = [
  [
    `2000 rows × ${String(WIDTH)}`,
    `SELECT ${Array.from({ length: WIDTH }, (_, c) => (c % 2 === 0 ? `i + ${String(c)}` : `'text ' || i`))
      .map((value, c) => `${value} AS c${String(c)}`)
      .join(', ')} FROM generate_series(1, 2000) AS i`,
  ],
  [
    '10 texts of 1 MB',
    `SELECT repeat('0123456789abcdef', ${String(MEGABYTE / 16)}) FROM generate_series(1, 10)`,
  ],
  [
    '10 bytea of 1 MB',
    `SELECT decode(repeat('00ff10ab', ${String(MEGABYTE / 4)}), 'hex') FROM generate_series(1, 10)`,
  ],
  [
    '20000 jsonb',
    `SELECT jsonb_build_object('id', i, 'name', 'row ' || i, 'tags', jsonb_build_array('a', 'b', i), 'nested', jsonb_build_object('even', i % 2 = 0)) FROM generate_series(1, 20000) AS i`,
  ],
  [
    '20000 int4[] and text[]',
    `SELECT ARRAY[i, i + 1, i + 2, NULL, i * 2] AS numbers, ARRAY['first', 'text ' || i, 'with, comma'] AS texts FROM generate_series(1, 20000) AS i`,
  ],
];

/** Wide rows, large values, documents and arrays, as tuples. */
export async function values({ dsn }: Setting): Promise<Race[]> {
  await using clients = await Clients.connect(dsn);
  const { ours, postgres, pg } = clients;
  using floor = await Floor.connect(dsn);
  const races: Race[] = [];
  for (const [workload, query] of FETCHES) {
    // A table in memory, so that generating the rows is not measured; large values are stored uncompressed.
    await ours.execute(`CREATE TABLE bench_values AS ${query}`);
    try {
      const all = 'SELECT * FROM bench_values';
      races.push(
        await race(
          workload,
          [
            { name: OURS, run: async () => (await ours.execute(all)).fetchall() },
            { name: 'postgres', run: async () => postgres.unsafe(all).values() },
            { name: 'pg', run: async () => pg.query({ text: all, rowMode: 'array' }) },
            Floor.contender(() => floor.query(all)),
          ],
          { goals: FASTER },
        ),
      );
    } finally {
      await ours.execute('DROP TABLE bench_values');
    }
  }
  return races;
}
