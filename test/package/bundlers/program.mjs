// What every bundler is given: a pool, a transaction, COPY, a cancelled statement, and whether classes are known by themselves.
import { inspect } from 'node:util';
import { AsyncConnectionPool, errors, Jsonb, sql } from 'usingpg';

export async function program(dsn) {
  const pool = new AsyncConnectionPool(dsn, { minSize: 1 });
  const done = [];
  try {
    const { rows } = await pool.execute(sql`SELECT ${42}::int, ${new Jsonb({ a: 1 })}::jsonb`);
    done.push(JSON.stringify(rows));
    const error = await pool.execute('SELECT 1/0').catch((reason) => reason);
    done.push(`${error.name} ${String(error instanceof errors.DivisionByZero)}`);
    const doubled = await pool.map(
      [1, 2],
      async (conn, item) => (await (await conn.execute('SELECT 2 * %s', [item])).fetchone())[0],
    );
    done.push(doubled.join());
    await pool.withConnection(async (conn) => {
      await conn.execute('CREATE TEMP TABLE copied (a int)');
      await conn.cursor().withCopy('COPY copied FROM STDIN', async (copy) => {
        for (let i = 1; i <= 1000; i++) await copy.writeRow([i]);
      });
      done.push(String((await (await conn.execute('SELECT sum(a) FROM copied')).fetchone())[0]));
    });
    const signal = AbortSignal.timeout(50);
    const stopped = await pool.execute('SELECT pg_sleep(60)', [], { signal }).catch((reason) => reason);
    done.push(String(stopped === signal.reason));
    done.push(inspect(pool).split(' ')[0]);
  } finally {
    await pool.close();
  }
  return done.join('; ');
}
