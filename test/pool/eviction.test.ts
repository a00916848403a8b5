import { describe, expect, it } from 'vitest';
import { errors, type AsyncConnection, type AsyncConnectionPool } from '../../src/index.js';
import { backends, makePool } from '../support/database.js';

/** Uses the pool's one connection, and returns whether the pool kept it. */
async function staysAfter(
  pool: AsyncConnectionPool,
  use: (connection: AsyncConnection) => Promise<unknown>,
): Promise<boolean> {
  let before = 0;
  await pool.withConnection(async (connection) => {
    before = connection.info.backendPid;
    await use(connection).catch((error: unknown) => {
      expect(error).toBeInstanceOf(errors.Error);
    });
    await connection.rollback();
  });
  let after = 0;
  await pool.withConnection((connection) => {
    after = connection.info.backendPid;
  });
  await expect.poll(backends).toEqual([after]);
  return before === after;
}

const raise = (sqlstate: string): string =>
  `do $$ begin raise exception using errcode = '${sqlstate}'; end $$`;

// After a failover, or a shutdown that a pooler reports, a connection may be alive and useless.
describe('a connection whose server indicates that another would work', () => {
  it.each(['08000', '08003', '08006', '08P01', '57P01', '57P02', '57P03'])(
    'by SQLSTATE %s is replaced when it is returned, however it was used',
    async (sqlstate) => {
      const pool = makePool();
      const uses: ((connection: AsyncConnection) => Promise<unknown>)[] = [
        (connection) => connection.execute(raise(sqlstate)),
        // The rejection is not awaited.
        (connection) => {
          void connection.execute(raise(sqlstate)).catch(() => undefined);
          return Promise.resolve();
        },
        (connection) => connection.withPipeline(() => connection.execute(raise(sqlstate))),
        (connection) => connection.withTransaction(() => connection.execute(raise(sqlstate))),
      ];
      for (const use of uses) expect(await staysAfter(pool, use)).toBe(false);
      expect(pool.getStats()).toMatchObject({ returnsBad: uses.length, poolSize: 1 });
    },
  );

  it('is replaced for an error of a stream or a COPY, too', async () => {
    const pool = makePool();
    const failing = `create function pg_temp.gone(int) returns int language plpgsql as
      $$ begin if $1 > 3 then raise exception using errcode = '08006'; end if; return $1; end $$`;
    const uses: ((connection: AsyncConnection) => Promise<unknown>)[] = [
      async (connection) => {
        await connection.execute(failing);
        for await (const row of connection
          .cursor()
          .stream('select pg_temp.gone(i) from generate_series(1, 9) i'))
          expect(row[0]).toBeLessThan(4);
      },
      async (connection) => {
        await connection.execute(failing);
        await connection
          .cursor()
          .withCopy('copy (select pg_temp.gone(i) from generate_series(1, 9) i) to stdout', async (copy) => {
            for await (const block of copy) expect(block.length).toBeGreaterThan(0);
          });
      },
    ];
    for (const use of uses) expect(await staysAfter(pool, use)).toBe(false);
  });

  it.each(['22012', '40001', '55P03', '57014', '57P04', '25006'])(
    'is kept after SQLSTATE %s, which concerns a statement',
    async (sqlstate) => {
      const pool = makePool();
      expect(await staysAfter(pool, (connection) => connection.execute(raise(sqlstate)))).toBe(true);
      expect(pool.getStats().returnsBad).toBe(0);
    },
  );

  it('by being read-only is replaced if target_session_attrs=read-write is required', async () => {
    const becomeReadOnly = async (connection: AsyncConnection): Promise<void> => {
      await connection.execute('set transaction_read_only = on');
      await expect(connection.execute('create table never (id int)')).rejects.toBeInstanceOf(
        errors.ReadOnlySqlTransaction,
      );
    };
    const pool = makePool({}, { target_session_attrs: 'read-write' });
    expect(await staysAfter(pool, becomeReadOnly)).toBe(false);
    expect(pool.getStats().returnsBad).toBe(1);
    await pool.close();
    for (const params of [{}, { target_session_attrs: 'any' }, { target_session_attrs: 'primary' }]) {
      const other = makePool({}, params);
      expect(await staysAfter(other, becomeReadOnly)).toBe(true);
      await other.close();
    }
  });

  it('is kept if its user made it read-only', async () => {
    const pool = makePool({}, { target_session_attrs: 'read-write' });
    expect(
      await staysAfter(pool, async (connection) => {
        await connection.setReadOnly(true);
        await connection.execute('create table never (id int)');
      }),
    ).toBe(true);
  });

  it('is not lent again: a waiting request gets its replacement', async () => {
    const pool = makePool({ maxSize: 1 });
    const connection = await pool.getconn();
    const { backendPid } = connection.info;
    await connection.execute(raise('57P01')).catch(() => undefined);
    const waiting = pool.getconn(10);
    await pool.putconn(connection);
    const next = await waiting;
    expect(next.info.backendPid).not.toBe(backendPid);
    expect(await (await next.execute('select 1')).fetchone()).toEqual([1]);
    await pool.putconn(next);
  });
});
