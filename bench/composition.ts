import postgres from 'postgres';
import { slonikPool, slonikSql } from './clients.js';
import { AsyncConnection, sql } from './package.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const QUERIES = 4000;
const AT_ONCE = 50;
const FRAGMENTS = 10_000;

/** Composed queries: many small ones, and one of many fragments. */
export async function composition(setting: Setting): Promise<Race[]> {
  return [await smallOnes(setting), await largeOne(setting)];
}

/** The cost of composing a query (a name, a fragment with a value, two further values) compared with writing it down. */
async function smallOnes({ dsn }: Setting): Promise<Race> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  const peer = postgres(dsn, { max: 1 });
  try {
    return await race(
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
          name: `${OURS}, the same as a string`,
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
  } finally {
    await peer.end({ timeout: 5 });
  }
}

/** A query of many fragments, each with a value of its own, composed and executed with the same text and values by all clients. */
async function largeOne({ dsn }: Setting): Promise<Race> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  const peer = postgres(dsn, { max: 1 });
  const slonik = await slonikPool(dsn, 1);
  const numbers = Array.from({ length: FRAGMENTS }, (_, i) => i);
  const count = async (counted: Promise<unknown>): Promise<void> => {
    if ((await counted) !== FRAGMENTS) throw new Error('fragments are missing');
  };
  try {
    return await race(
      `composing ${String(FRAGMENTS)} fragments`,
      [
        {
          name: OURS,
          run: () =>
            count(
              (async () => {
                const fragments = numbers.map((i) => sql`${i}::int4`);
                const cur = await conn.execute(
                  sql`SELECT cardinality(ARRAY[${sql.SQL(', ').join(fragments)}])`,
                );
                return (await cur.fetchone())?.[0];
              })(),
            ),
        },
        {
          name: 'postgres',
          run: () =>
            count(
              (async () => {
                // It concatenates the fragments of an array.
                const fragments = numbers.map((i) => (i === 0 ? peer`${i}::int4` : peer`, ${i}::int4`));
                return (await peer`SELECT cardinality(ARRAY[${fragments}])`.values())[0]?.[0];
              })(),
            ),
        },
        {
          name: 'slonik',
          run: () =>
            count(
              slonik.oneFirst(
                slonikSql.unsafe`SELECT cardinality(ARRAY[${slonikSql.join(
                  numbers.map((i) => slonikSql.fragment`${i}::int4`),
                  slonikSql.fragment`, `,
                )}])`,
              ),
            ),
        },
      ],
      { goals: [{ peers: ['postgres', 'slonik'], ratio: 1 }] },
    );
  } finally {
    await peer.end({ timeout: 5 });
    await slonik.end();
  }
}

/** Runs `query` for every number, partly concurrently, and checks that each call got its own answer. */
async function someAtOnce(query: (i: number) => Promise<unknown>): Promise<void> {
  let wrong = 0;
  for (let first = 0; first < QUERIES; first += AT_ONCE) {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => query(first + i)));
    wrong += answers.filter((answer, i) => Number(answer) !== first + i).length;
  }
  if (wrong > 0) throw new Error(`${String(wrong)} queries got another's answer`);
}
