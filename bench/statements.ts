import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const STATEMENTS = 4000;

/** Many statements at once on one connection, in autocommit mode and in a transaction. */
export async function statementsAtOnce(dsn: string): Promise<Line[]> {
  await using autocommit = await AsyncConnection.connect(dsn, { autocommit: true });
  await using transactional = await AsyncConnection.connect(dsn);
  const pgClient = new pg.Client(dsn);
  await pgClient.connect();
  const sql = postgres(dsn, { max: 1 });
  // All three with a statement prepared once: that is the default of two of them.
  const oursAtOnce = (conn: AsyncConnection): Promise<unknown> =>
    atOnce(async (i) => (await (await conn.execute('SELECT %s::int4', [i])).fetchone())?.[0]);
  const pgAtOnce = (): Promise<unknown> =>
    atOnce(async (i) => {
      const result = await pgClient.query<number[]>({
        name: 'bench',
        text: 'SELECT $1::int4',
        values: [i],
        rowMode: 'array',
      });
      return result.rows[0]?.[0];
    });
  try {
    const inAutocommit = await race(
      `${String(STATEMENTS)} statements at once, autocommit`,
      [
        { name: OURS, run: () => oursAtOnce(autocommit) },
        { name: 'pg', run: pgAtOnce },
        {
          name: 'postgres',
          run: () => atOnce(async (i) => (await sql`SELECT ${i}::int4`.values())[0]?.[0]),
        },
      ],
      { operations: STATEMENTS },
    );
    const inTransaction = await race(
      `${String(STATEMENTS)} statements at once, one transaction`,
      [
        {
          name: OURS,
          run: async () => {
            await oursAtOnce(transactional);
            await transactional.commit();
          },
        },
        {
          name: 'pg',
          run: async () => {
            await pgClient.query('BEGIN');
            await pgAtOnce();
            await pgClient.query('COMMIT');
          },
        },
        {
          name: 'postgres',
          run: () => sql.begin((tx) => atOnce(async (i) => (await tx`SELECT ${i}::int4`.values())[0]?.[0])),
        },
      ],
      { operations: STATEMENTS },
    );
    return [...inAutocommit, ...inTransaction];
  } finally {
    await sql.end({ timeout: 5 });
    await pgClient.end();
  }
}

/** Runs `statement` for every number without awaiting in between, and sees that each got its own answer. */
async function atOnce(statement: (i: number) => Promise<unknown>): Promise<void> {
  const answers = await Promise.all(Array.from({ length: STATEMENTS }, (_, i) => statement(i)));
  const wrong = answers.filter((answer, i) => Number(answer) !== i).length;
  if (wrong > 0) throw new Error(`${String(wrong)} statements got another's answer`);
}
