import postgres from 'postgres';
import { AsyncConnection, sql } from './package.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const QUERIES = 4000;
const AT_ONCE = 50;

/** What it costs to compose a query (a name, a fragment with a value, two values more) rather than to write it down. */
export async function composition({ dsn }: Setting): Promise<Race[]> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  const peer = postgres(dsn, { max: 1 });
  try {
    const raced = await race(
      `${String(QUERIES)} composed queries, ${String(AT_ONCE)} at once`,
      [
        {
          name: OURS,
          run: () =>
            someAtOnce(async (i) => {
              const condition = sql`${i}::int4 >= ${0}::int4`;
              const cur = await conn.execute(
                sql`SELECT ${i}::int4 AS ${sql.identifier('value')} WHERE ${condition}`,
              );
              return (await cur.fetchone())?.[0];
            }),
        },
        {
          name: 'the same as a string',
          run: () =>
            someAtOnce(async (i) => {
              const cur = await conn.execute('SELECT %s::int4 AS "value" WHERE %s::int4 >= %s::int4', [
                i,
                i,
                0,
              ]);
              return (await cur.fetchone())?.[0];
            }),
        },
        {
          name: 'postgres',
          run: () =>
            someAtOnce(async (i) => {
              const condition = peer`${i}::int4 >= ${0}::int4`;
              const rows = await peer`SELECT ${i}::int4 AS ${peer('value')} WHERE ${condition}`.values();
              return rows[0]?.[0];
            }),
        },
      ],
      { operations: QUERIES },
    );
    return [raced];
  } finally {
    await peer.end({ timeout: 5 });
  }
}

/** Runs `query` for every number, some of them without awaiting in between, and sees that each got its own answer. */
async function someAtOnce(query: (i: number) => Promise<unknown>): Promise<void> {
  let wrong = 0;
  for (let first = 0; first < QUERIES; first += AT_ONCE) {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => query(first + i)));
    wrong += answers.filter((answer, i) => Number(answer) !== first + i).length;
  }
  if (wrong > 0) throw new Error(`${String(wrong)} queries got another's answer`);
}
