import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AsyncConnection } from '../../src/index.js';
import { admin, makePool } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';

beforeAll(() => admin('CREATE TABLE left_behind (id int); INSERT INTO left_behind VALUES (1), (2)'));
afterAll(() => admin('DROP TABLE left_behind'));

const INSERT = 'INSERT INTO left_behind VALUES (3)';

/** The number of reports of uncommitted writes by a pool, after the return of a connection that was used this way. */
async function uncommitted(
  act: (conn: AsyncConnection) => Promise<unknown>,
  autocommit: boolean,
): Promise<number> {
  const pool = makePool({ connectOptions: { autocommit } });
  await warningsOf('USINGPG_UNCOMMITTED', async () => {
    await using conn = await pool.connection();
    await act(conn);
  });
  return pool.getStats().returnsUncommitted;
}

async function copyOut(conn: AsyncConnection): Promise<void> {
  const rows = await conn.cursor().withCopy('COPY left_behind TO STDOUT', async (copy) => {
    let count = 0;
    for await (const row of copy.rows()) count += row.length;
    return count;
  });
  expect(rows).toBeGreaterThan(0);
}

async function copyIn(conn: AsyncConnection): Promise<void> {
  await conn.cursor().withCopy('COPY left_behind FROM STDIN', (copy) => copy.writeRow([3]));
}

describe('a returned connection has uncommitted writes after', () => {
  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    ['a COPY FROM STDIN', copyIn],
    [
      'a COPY TO STDOUT behind an INSERT',
      async (conn) => {
        await conn.execute(INSERT);
        await copyOut(conn);
      },
    ],
    ['CREATE TABLE AS', (conn) => conn.execute('CREATE TABLE left_behind_too AS SELECT 1 AS a')],
    ['SELECT INTO', (conn) => conn.execute('SELECT 1 AS a INTO left_behind_too')],
    [
      'a stream of what an INSERT returns',
      async (conn) => {
        for await (const row of conn.cursor().stream(`${INSERT} RETURNING id`)) expect(row).toEqual([3]);
      },
    ],
    [
      'a block within the transaction that was rolled back, behind an INSERT',
      async (conn) => {
        await conn.execute(INSERT);
        const block = await conn.transaction();
        await conn.execute(INSERT);
        await block.rollback();
      },
    ],
    [
      'a pipeline',
      (conn) =>
        conn.withPipeline(async () => {
          await conn.execute(INSERT);
          await conn.execute('SELECT 1');
        }),
    ],
  ])('%s', async (_, act) => {
    expect(await uncommitted(act, false)).toBe(1);
  });

  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    [
      'an INSERT, while another statement is in flight',
      async (conn) => {
        await conn.execute(INSERT);
        conn.execute('SELECT pg_sleep(60)').catch(() => undefined);
      },
    ],
    [
      'an INSERT, while several statements wait',
      async (conn) => {
        await conn.execute(INSERT);
        for (let i = 0; i < 3; i++) conn.execute('SELECT pg_sleep(60)').catch(() => undefined);
      },
    ],
    [
      'an INSERT, within a stream that was left unread',
      async (conn) => {
        await conn.execute(INSERT);
        await conn.cursor().stream('SELECT generate_series(1, 100000)').next();
      },
    ],
  ])('%s', async (_, act) => {
    expect(await uncommitted(act, false)).toBe(1);
  });

  it('an INSERT in the last of several transactions of one text', async () => {
    const text = `BEGIN; ${INSERT}; COMMIT; BEGIN; ${INSERT}`;
    expect(await uncommitted((conn) => conn.execute(text), true)).toBe(1);
    await admin('DELETE FROM left_behind WHERE id = 3');
  });
});

describe('a returned connection has no uncommitted writes after', () => {
  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    ['a COPY TO STDOUT', copyOut],
    ['a SELECT, of no columns', (conn) => conn.execute('SELECT')],
    [
      'a COPY FROM STDIN that was given up',
      async (conn) => {
        await using copy = await conn.cursor().copy('COPY left_behind FROM STDIN');
        await copy.writeRow([3]);
      },
    ],
    [
      'a block within the transaction whose writes were rolled back',
      async (conn) => {
        await conn.execute('SELECT 1');
        const failing = conn.withTransaction(async () => {
          await conn.execute(INSERT);
          throw new Error('not this time');
        });
        await expect(failing).rejects.toThrow('not this time');
      },
    ],
    [
      'a block within the transaction whose rollback() could have been aborted',
      async (conn) => {
        await conn.execute('SELECT 1');
        const block = await conn.transaction();
        await conn.execute(INSERT);
        await block.rollback({ signal: new AbortController().signal });
      },
    ],
    [
      'a statement that has failed behind an INSERT',
      async (conn) => {
        await conn.execute(INSERT);
        await expect(conn.execute('SELECT 1/0')).rejects.toThrow('division');
      },
    ],
  ])('%s', async (_, act) => {
    expect(await uncommitted(act, false)).toBe(0);
  });

  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    [
      'a commit() that was not waited for but done',
      async (conn) => {
        await conn.execute(INSERT);
        await Promise.all([conn.commit(), conn.execute('SELECT 1')]);
        conn.execute('SELECT pg_sleep(60)').catch(() => undefined);
      },
    ],
    [
      'nothing but a SELECT in flight',
      async (conn) => {
        await conn.execute('SELECT 1');
        conn.execute('SELECT pg_sleep(60)').catch(() => undefined);
      },
    ],
  ])('%s', async (_, act) => {
    expect(await uncommitted(act, false)).toBe(0);
    await admin('DELETE FROM left_behind WHERE id = 3');
  });

  it.each([
    ['a COMMIT that is followed by another transaction', [`BEGIN; ${INSERT}; COMMIT; BEGIN; SELECT 1`]],
    ['COMMIT AND CHAIN', ['BEGIN', INSERT, 'COMMIT AND CHAIN']],
  ])('%s', async (_, texts) => {
    const act = async (conn: AsyncConnection): Promise<void> => {
      for (const text of texts) await conn.execute(text);
    };
    expect(await uncommitted(act, true)).toBe(0);
    await admin('DELETE FROM left_behind WHERE id = 3');
  });
});
