import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection, Jsonb } from './package.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const STATEMENTS = 10_000;
const AT_ONCE = 500;
const TYPES = ['int4', 'int8', 'float8', 'bool', 'text', 'text', 'timestamptz', 'jsonb', 'bytea', 'int4[]'];

/** 100,000 parameters of the most frequent types, for a statement that does next to nothing with them. */
export async function dumping({ dsn }: Setting): Promise<Race[]> {
  await using ours = await AsyncConnection.connect(dsn, { autocommit: true });
  const pgClient = new pg.Client({ connectionString: dsn, pipeline: true });
  await pgClient.connect();
  const sql = postgres(dsn, { max: 1, types: { bigint: postgres.BigInt } });
  const statement = (placeholder: (i: number) => string): string =>
    `SELECT 1 WHERE num_nulls(${TYPES.map((type, i) => `${placeholder(i)}::${type}`).join(', ')}) < 0`;
  const format = statement(() => '%s');
  const numbered = statement((i) => `$${String(i + 1)}`);
  const values = (i: number): unknown[] => [
    i,
    BigInt(i) * 1_000_000_007n,
    i / 7,
    i % 2 === 0,
    `name of row ${String(i)}`,
    null,
    new Date(1_700_000_000_000 + i),
    { id: i, name: 'a document' },
    Buffer.from(`bytes ${String(i)}`),
    [i, i + 1, i + 2],
  ];
  const sets = Array.from({ length: STATEMENTS }, (_, i) => values(i));
  const wrapped = sets.map((set) => set.map((value, i) => (TYPES[i] === 'jsonb' ? new Jsonb(value) : value)));
  try {
    return [
      await race(
        '100,000 parameters, 10 to a statement',
        [
          {
            name: OURS,
            run: () => someAtOnce((i) => ours.execute(format, wrapped[i])),
          },
          {
            name: 'usingpg, executemany',
            run: () => ours.cursor().executemany(format, wrapped),
          },
          {
            name: 'postgres',
            run: () => someAtOnce((i) => sql.unsafe(numbered, sets[i] as never[], { prepare: true })),
          },
          {
            name: 'pg, pipelining',
            run: () =>
              someAtOnce((i) => pgClient.query({ name: 'dumping', text: numbered, values: sets[i]! })),
          },
        ],
        { operations: STATEMENTS * TYPES.length, goals: [{ peers: ['postgres'], ratio: 1 }] },
      ),
    ];
  } finally {
    await sql.end({ timeout: 5 });
    await pgClient.end();
  }
}

async function someAtOnce(statement: (i: number) => PromiseLike<unknown>): Promise<void> {
  for (let first = 0; first < STATEMENTS; first += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => statement(first + i)));
  }
}
