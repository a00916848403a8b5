import { beforeEach, afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  errors,
  IsolationLevel,
  Rollback,
  TransactionStatus,
  TypeInfo,
} from '../../src/index.js';
import { admin, connect } from '../support/database.js';
import { startOwnServer } from '../support/server.js';

// A block's BEGIN is sent with its first statement, whatever that is, and everything in the block is in its transaction.

const { IDLE, INTRANS } = TransactionStatus;
const INSERT = 'INSERT INTO begun VALUES (%s)';

beforeAll(() => admin('CREATE TABLE begun (id int)'));
beforeEach(() => admin('TRUNCATE begun'));
afterAll(() => admin('DROP TABLE begun'));

async function stored(): Promise<number[]> {
  return (await admin<{ id: number }>('SELECT id FROM begun ORDER BY id')).map(({ id }) => id);
}

async function* slowly<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) {
    await new Promise((resolve) => setImmediate(resolve));
    yield item;
  }
}

/** Each way to the server; all store 1 and 2. */
const DOORS: Readonly<Record<string, (conn: AsyncConnection) => Promise<unknown>>> = {
  'execute()': async (conn) => {
    await conn.execute(INSERT, [1]);
    await conn.execute(INSERT, [2]);
  },
  'execute() twice at once': (conn) => Promise.all([1, 2].map((id) => conn.execute(INSERT, [id]))),
  'execute() of a prepared statement': async (conn) => {
    for (const id of [1, 2]) await conn.execute(INSERT, [id], { prepare: true });
  },
  'execute() of several statements': (conn) =>
    conn.execute('INSERT INTO begun VALUES (1); INSERT INTO begun VALUES (2)'),
  'executemany()': (conn) => conn.cursor().executemany(INSERT, [[1], [2]]),
  'executemany() with returned rows': (conn) =>
    conn.cursor().executemany(`${INSERT} RETURNING id`, [[1], [2]], { returning: true }),
  'executemany() from an asynchronous source': (conn) =>
    conn.cursor().executemany(INSERT, slowly([[1], [2]])),
  'a pipeline': (conn) =>
    conn.withPipeline(async () => {
      for (const id of [1, 2]) await conn.execute(INSERT, [id]);
    }),
  'executemany() in a pipeline': (conn) =>
    conn.withPipeline(() => conn.cursor().executemany(INSERT, [[1], [2]])),
  'stream()': async (conn) => {
    for (const id of [1, 2])
      for await (const row of conn.cursor().stream(`${INSERT} RETURNING id`, [id])) expect(row).toEqual([id]);
  },
  'COPY into a table': (conn) =>
    conn.cursor().withCopy('COPY begun FROM STDIN', async (copy) => {
      for (const id of [1, 2]) await copy.writeRow([id]);
    }),
  'COPY of the rows that a statement returns': async (conn) => {
    const rows: unknown[] = [];
    for (const id of [1, 2])
      await conn
        .cursor()
        .withCopy(`COPY (INSERT INTO begun VALUES (${String(id)}) RETURNING id) TO STDOUT`, async (copy) => {
          copy.setTypes(['int4']);
          for await (const row of copy.rows()) rows.push(row);
        });
    expect(rows).toEqual([[1], [2]]);
  },
  'a server-side cursor': async (conn) => {
    const cursor = conn.cursor({ name: 'numbers' });
    await cursor.execute('SELECT generate_series(1, 2)');
    for (const [id] of await cursor.fetchall()) await conn.execute(INSERT, [id]);
    await cursor.close();
  },
  'a block within it': async (conn) => {
    for (const id of [1, 2]) await conn.withTransaction(() => conn.execute(INSERT, [id]));
  },
  'a block within it that is rolled back': async (conn) => {
    await conn.withTransaction(async () => {
      await conn.execute(INSERT, [3]);
      throw new Rollback();
    });
    for (const id of [1, 2]) await conn.execute(INSERT, [id]);
  },
  'a lookup of a type': async (conn) => {
    await TypeInfo.fetch(conn, 'int4');
    for (const id of [1, 2]) await conn.execute(INSERT, [id]);
  },
};

describe.each([
  ['in autocommit', true],
  ['outside of autocommit', false],
])('%s, a block that begins with', (_, autocommit) => {
  it.each(Object.entries(DOORS))('%s is one transaction', async (_door, act) => {
    const conn = await connect({ autocommit });
    await expect(
      conn.withTransaction(async () => {
        await act(conn);
        expect(conn.info.transactionStatus).toBe(INTRANS);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(conn.info.transactionStatus).toBe(IDLE);
    expect(await stored()).toEqual([]);
    await conn.withTransaction(() => act(conn));
    expect(conn.info.transactionStatus).toBe(IDLE);
    expect(await stored()).toEqual([1, 2]);
  });

  it('a statement that fails, is rolled back by its end', async () => {
    const conn = await connect({ autocommit });
    const swallowed = conn.withTransaction(async () => {
      await expect(conn.execute('SELECT 1/0')).rejects.toBeInstanceOf(errors.DivisionByZero);
      await expect(conn.execute(INSERT, [1])).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    });
    await expect(swallowed).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(await stored()).toEqual([]);
    await conn.withTransaction(() => conn.execute(INSERT, [1]));
    expect(await stored()).toEqual([1]);
  });

  it('a statement that is aborted before it is sent, has its other statements in the transaction', async () => {
    const conn = await connect({ autocommit });
    await using transaction = await conn.transaction();
    const signal = AbortSignal.abort('enough');
    await expect(conn.execute(INSERT, [1], { signal })).rejects.toBe('enough');
    expect(conn.info.transactionStatus).toBe(INTRANS);
    await conn.execute(INSERT, [2]);
    await transaction.rollback();
    expect(await stored()).toEqual([]);
  });

  it('statements sent while it is being opened, includes them', async () => {
    const conn = await connect({ autocommit });
    const [, transaction] = await Promise.all([
      conn.execute('COMMIT'),
      conn.transaction(),
      conn.execute(INSERT, [1]),
    ]);
    await transaction.rollback();
    expect(await stored()).toEqual([]);
    expect(conn.info.transactionStatus).toBe(IDLE);
  });
});

it('a block without statements sends nothing, and counts as a transaction', async () => {
  const conn = await connect();
  await using transaction = await conn.transaction();
  expect(conn.info.transactionStatus).toBe(INTRANS);
  const state = (): Promise<object[]> =>
    admin('SELECT state, query FROM pg_stat_activity WHERE pid = $1', [conn.info.backendPid]);
  expect(await state()).toEqual([{ state: 'idle', query: '' }]);
  await expect(conn.setAutocommit(true)).rejects.toThrow('a transaction block is open');
  await expect(conn.setIsolationLevel(null)).rejects.toThrow('a transaction block is open');
  await expect(conn.tpcBegin('x')).rejects.toThrow('connection in transaction status INTRANS');
  await expect(conn.commit()).rejects.toThrow('commit() is not possible inside a transaction block');
  await transaction.commit();
  expect(await state()).toEqual([{ state: 'idle', query: '' }]);
  expect(conn.info.transactionStatus).toBe(IDLE);
  await conn.setAutocommit(true);
});

it('a block whose transaction a statement has ended begins no other in autocommit', async () => {
  const conn = await connect({ autocommit: true });
  await expect(
    conn.withTransaction(async () => {
      await conn.execute(INSERT, [1]);
      await conn.execute('ROLLBACK');
      expect(conn.info.transactionStatus).toBe(IDLE);
      await conn.execute(INSERT, [2]);
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  expect(await stored()).toEqual([2]);
});

describe('a BEGIN that the server refuses', () => {
  it('fails the first statement and every later one, none of which runs outside of the block', async () => {
    // A standby refuses the isolation level.
    const server = await startOwnServer({ standby: true });
    onTestFinished(() => server.stop());
    const conn = await AsyncConnection.connect(server.dsn, { autocommit: true });
    onTestFinished(() => conn.close());
    await conn.setIsolationLevel(IsolationLevel.SERIALIZABLE);
    const refusal = /serializable mode in a hot standby/;
    await conn.withTransaction(async () => {
      for (let i = 0; i < 3; i++) await expect(conn.execute('SELECT 1')).rejects.toThrow(refusal);
      await expect(conn.withTransaction(() => Promise.resolve())).rejects.toThrow(refusal);
      const inPipeline = conn.withPipeline(async () => {
        await conn.execute('SELECT 1');
      });
      await expect(inPipeline).rejects.toThrow(refusal);
      await expect(conn.execute('SELECT 1')).rejects.toThrow(refusal);
    });
    await conn.setIsolationLevel(null);
    await conn.withTransaction(async () => {
      expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
    });
  });
});
