import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection } from './package.js';
import { Floor } from './floor.js';
import { OURS, race, type Contender, type Race } from './race.js';
import type { Setting } from './setting.js';

const ROWS = 20_000;
const COLUMNS = 5;

/** Column types, and the value of row `i` in column `c`. */
const VALUES: Readonly<Record<string, string>> = {
  int4: '(i * 104729::int8 + c) % 2147483647',
  int8: 'i * 1000000007::int8 + c',
  text: "'name of row ' || i || ', column ' || c",
  bool: '(i + c) % 2 = 0',
  float8: '(i + c) / 7.0::float8',
  timestamptz: "timestamptz '2024-01-01 00:00+00' + i * interval '61.234567 seconds' + c * interval '1 day'",
  jsonb:
    "jsonb_build_object('id', i, 'name', 'row ' || i, 'even', i % 2 = 0, 'tags', jsonb_build_array('a', c))",
  uuid: "md5(i || ',' || c)",
  'int4[]': 'ARRAY[i, c, i * 2, NULL, i + c]',
};

/** Fetching rows of one type, for each frequent type. All clients return values of the same classes. */
export async function loading({ dsn }: Setting): Promise<Race[]> {
  await using ours = await AsyncConnection.connect(dsn, { autocommit: true });
  // By default, the others return int8 as strings.
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.INT8, BigInt);
  const pgClient = new pg.Client({ connectionString: dsn, types });
  await pgClient.connect();
  const sql = postgres(dsn, { max: 1, types: { bigint: postgres.BigInt } });
  using floor = await Floor.connect(dsn);
  const all = 'SELECT * FROM bench_loading';
  const fetches: Record<string, () => Promise<readonly unknown[]>> = {
    [OURS]: async () => (await ours.execute(all)).fetchall(),
    postgres: async () => sql.unsafe(all).values(),
    pg: async () => (await pgClient.query<unknown[]>({ text: all, rowMode: 'array' })).rows,
  };
  const contenders: Contender[] = Object.entries(fetches).map(([name, fetch]) => ({
    name,
    run: async () => {
      for (let i = 0; i < 2; i++) if ((await fetch()).length !== ROWS) throw new Error('rows are missing');
    },
  }));
  contenders.push(
    Floor.contender(async () => {
      for (let i = 0; i < 2; i++) await floor.query(all);
    }),
  );
  const races: Race[] = [];
  try {
    for (const [type, value] of Object.entries(VALUES)) {
      const columns = Array.from({ length: COLUMNS }, (_, c) => {
        const own = value.replaceAll(/\bc\b/g, String(c));
        return `(${own})::${type} AS c${String(c)}`;
      });
      await ours.execute(
        `CREATE TABLE bench_loading AS SELECT ${columns.join(', ')} FROM generate_series(1, ${String(ROWS)}) AS i`,
      );
      await expectTheSame(fetches);
      races.push(
        await race(`load ${type}, ${String(ROWS)} rows × ${String(COLUMNS)}`, contenders, {
          operations: 2,
          goals: [
            { peers: ['postgres'], ratio: 1 },
            { peers: ['pg'], ratio: 1 },
          ],
        }),
      );
      await ours.execute('DROP TABLE bench_loading');
    }
  } finally {
    await ours.execute('DROP TABLE IF EXISTS bench_loading');
    await sql.end({ timeout: 5 });
    await pgClient.end();
  }
  return [...races, inAll('load all of these types', races)];
}

/** Checks that all clients return the same values, since less work would be no fair win. */
async function expectTheSame(fetches: Record<string, () => Promise<readonly unknown[]>>): Promise<void> {
  const seen = new Set<string>();
  for (const fetch of Object.values(fetches)) {
    const [first] = (await fetch()) as [unknown[]];
    const told = (value: unknown): string =>
      `${Object.prototype.toString.call(value)} ${value instanceof Date ? value.toISOString() : typeof value === 'bigint' ? String(value) : JSON.stringify(value)}`;
    seen.add(first.map(told).join());
  }
  if (seen.size !== 1) throw new Error(`the clients load different values: ${[...seen].join(' | ')}`);
}

/** The sum of several races, by their medians. */
export function inAll(workload: string, races: readonly Race[]): Race {
  const sum = (name: string, of: 'low' | 'median' | 'high'): number =>
    races.reduce((total, { entries }) => total + entries.find((entry) => entry.name === name)!.ms[of], 0);
  const ours = sum(OURS, 'median');
  return {
    kind: 'race',
    workload,
    operations: null,
    goals: [
      { peers: ['postgres'], ratio: 2 },
      { peers: ['pg'], ratio: 2 },
    ],
    entries: races[0]!.entries.map(({ name, floor }) => {
      const ms = { low: sum(name, 'low'), median: sum(name, 'median'), high: sum(name, 'high') };
      return {
        name,
        floor,
        ms,
        rounds: [ms.median],
        ratio: { low: ms.low / ours, median: ms.median / ours, high: ms.high / ours },
      };
    }),
  };
}
