import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { errors, Rollback, TransactionStatus, type AsyncConnection } from '../../src/index.js';
import { admin, connect, makePool, rejection, terminate } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';

const { IDLE, INTRANS } = TransactionStatus;

beforeAll(() => admin('CREATE TABLE blocks (id int)'));
beforeEach(() => admin('TRUNCATE blocks'));
afterAll(() => admin('DROP TABLE blocks'));

const insert = (conn: AsyncConnection, id: number): Promise<unknown> =>
  conn.execute('INSERT INTO blocks VALUES (%s)', [id]);

async function stored(): Promise<number[]> {
  return (await admin<{ id: number }>('SELECT id FROM blocks ORDER BY id')).map(({ id }) => id);
}

/** Makes a statement fail and ignores its error. */
async function fail(conn: AsyncConnection): Promise<void> {
  await expect(conn.execute('SELECT 1/0')).rejects.toBeInstanceOf(errors.DivisionByZero);
}

describe('a commit that the server answers with ROLLBACK', () => {
  it('has the error of the statement that failed first as its cause', async () => {
    const conn = await connect();
    await insert(conn, 1);
    await fail(conn);
    await expect(conn.execute('SELECT 2')).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    const error = await rejection(conn.commit());
    expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(error.sqlstate).toBe('25P02');
    expect(error.message).toContain(
      'nothing was committed: a statement of the transaction has failed (division by zero)',
    );
    expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
    expect(error.connection?.pid).toBe(conn.info.backendPid);
    expect(conn.info.transactionStatus).toBe(IDLE);
    // The error is reported once.
    await conn.commit();
    await insert(conn, 2);
    await conn.commit();
    expect(await stored()).toEqual([2]);
  });

  it('does not have an error as its cause that a savepoint has undone', async () => {
    const conn = await connect();
    await conn.withTransaction(async () => {
      await insert(conn, 1);
      await expect(conn.withTransaction(() => fail(conn))).rejects.toBeInstanceOf(
        errors.InFailedSqlTransaction,
      );
      expect(conn.info.transactionStatus).toBe(INTRANS);
      await insert(conn, 2);
    });
    expect(await stored()).toEqual([1, 2]);
    await conn.execute('SAVEPOINT here');
    await fail(conn);
    await conn.execute('ROLLBACK TO here');
    await expect(conn.execute('SELEC')).rejects.toBeInstanceOf(errors.SyntaxError);
    expect((await rejection(conn.commit())).cause).toBeInstanceOf(errors.SyntaxError);
  });

  it('does not happen where the user has rolled back before', async () => {
    const conn = await connect();
    await insert(conn, 1);
    await fail(conn);
    await conn.rollback();
    await conn.commit();
    await conn.withTransaction(async () => {
      await fail(conn);
      await conn.execute('ROLLBACK');
    });
    expect(conn.info.transactionStatus).toBe(IDLE);
  });

  it('is reported for a COMMIT in a text by the next call that commits, unless a statement has succeeded since', async () => {
    const conn = await connect();
    const lose = async (): Promise<void> => {
      await insert(conn, 1);
      await fail(conn);
      expect((await conn.execute('COMMIT; SELECT 1')).statusmessage).toBe('ROLLBACK');
    };
    await lose();
    await conn.rollback();
    await insert(conn, 1);
    await fail(conn);
    await conn.execute('END');
    expect((await rejection(conn.commit())).cause).toBeInstanceOf(errors.DivisionByZero);
    await insert(conn, 1);
    await fail(conn);
    await conn.execute('COMMIT');
    await insert(conn, 2);
    await conn.commit();
    expect(await stored()).toEqual([2]);
  });

  it.each([
    'END WORK',
    '-- the end\nCOMMIT',
    '/* the end */ commit',
    'COMMIT AND CHAIN',
    "PREPARE TRANSACTION 'refused'",
  ])(
    'is reported for %j, alone, in executemany() and in a pipeline, by the next call that commits',
    async (text) => {
      const conn = await connect();
      const ways: (() => Promise<unknown>)[] = [
        () => conn.execute(text),
        () => conn.cursor().executemany(text, [[]]),
        () => conn.withPipeline(() => conn.execute(text)),
      ];
      for (const lose of ways) {
        await insert(conn, 1);
        await fail(conn);
        await lose();
        expect((await rejection(conn.commit())).cause).toBeInstanceOf(errors.DivisionByZero);
        expect(conn.info.transactionStatus).toBe(IDLE);
        await conn.commit();
      }
      expect(await stored()).toEqual([]);
    },
  );

  it('is raised by pool.execute() where the statement commits', async () => {
    const pool = makePool({ maxSize: 1 });
    await admin(`CREATE TABLE checked (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)`);
    try {
      await expect(pool.execute('INSERT INTO checked VALUES (1), (1)')).rejects.toBeInstanceOf(
        errors.UniqueViolation,
      );
      expect((await pool.execute('SELECT count(*)::int FROM checked')).rows).toEqual([[0]]);
    } finally {
      await admin('DROP TABLE checked');
    }
  });

  it('is raised by the end of a pipeline in autocommit that has undone statements reported as successful', async () => {
    const conn = await connect({ autocommit: true });
    const lose = async (): Promise<void> => {
      const done = await conn.execute('INSERT INTO blocks VALUES (1)');
      const failing = await conn.execute('SELECT 1/0');
      await done.nextset();
      expect(done.rowcount).toBe(1);
      await expect(failing.fetchone()).rejects.toBeInstanceOf(errors.DivisionByZero);
    };
    const error = await rejection(conn.withPipeline(lose));
    expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
    await conn.withPipeline(async (pipeline) => {
      await expect(lose().then(() => pipeline.sync())).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
      await insert(conn, 2);
      await pipeline.sync();
      // Earlier rows are stored, and an empty segment loses nothing.
      const failing = await conn.execute('SELECT 1/0');
      await expect(failing.fetchone()).rejects.toBeInstanceOf(errors.DivisionByZero);
    });
    expect(await stored()).toEqual([2]);
  });

  it('is raised by tpcCommit() without a first phase', async () => {
    const conn = await connect();
    await conn.tpcBegin('lost');
    await insert(conn, 1);
    await fail(conn);
    const error = await rejection(conn.tpcCommit());
    expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
    expect(conn.info.transactionStatus).toBe(IDLE);
    await insert(conn, 2);
    await conn.commit();
    expect(await stored()).toEqual([2]);
  });
});

describe('a transaction block', () => {
  it('is committed when the server has answered, not before', async () => {
    const conn = await connect();
    const transaction = await conn.transaction();
    await insert(conn, 1);
    const committing = transaction.commit();
    expect(transaction.active).toBe(true);
    await expect(transaction.commit()).rejects.toThrow("the transaction is being ended: it can't commit");
    await committing;
    expect(transaction.active).toBe(false);
    await expect(transaction.rollback()).rejects.toThrow("has been committed already: it can't rollback");
  });

  it('is not committed if the commit has failed', async () => {
    const conn = await connect();
    const transaction = await conn.transaction();
    await fail(conn);
    await expect(transaction.commit()).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    await expect(transaction.commit()).rejects.toThrow("has been rolled back already: it can't commit");
    await conn.withTransaction(() => insert(conn, 1));
    expect(await stored()).toEqual([1]);
  });

  it('waits for the end that its callback has begun, and reports its outcome', async () => {
    const conn = await connect();
    await conn.withTransaction(async (transaction) => {
      await insert(conn, 1);
      void transaction.commit().catch(() => undefined);
    });
    expect(await stored()).toEqual([1]);
    const failing = conn.withTransaction(async (transaction) => {
      await fail(conn);
      void transaction.commit().catch(() => undefined);
    });
    await expect(failing).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
  });

  it('ended by its callback, which got the failure, settles as the callback does', async () => {
    const conn = await connect();
    const end = await conn.withTransaction(async (transaction) => {
      await fail(conn);
      return transaction.commit().then(
        () => 'stored',
        () => 'not stored',
      );
    });
    expect(end).toBe('not stored');
  });

  it('that ends before its inner block fails, and so does the inner block', async () => {
    const conn = await connect();
    const outer = await conn.transaction();
    const inner = await conn.transaction();
    await expect(outer.commit()).rejects.toBeInstanceOf(errors.OutOfOrderTransactionNesting);
    await expect(inner.commit()).rejects.toBeInstanceOf(errors.OutOfOrderTransactionNesting);
    await conn.rollback();
    await conn.withTransaction(() => insert(conn, 1));
    expect(await stored()).toEqual([1]);
  });

  it('rolls back without an error when its connection is lost', async () => {
    const conn = await connect();
    const transaction = await conn.transaction();
    await terminate(conn.info.backendPid);
    await expect.poll(() => conn.closed).toBe(true);
    expect(transaction.active).toBe(false);
    await transaction.rollback();
    expect(
      await conn.withTransaction(() => Promise.reject(new Rollback())).catch((error: unknown) => error),
    ).toBeInstanceOf(errors.AdminShutdown);
  });

  it('ends well if its callback closes the connection, and so do those around it', async () => {
    const conn = await connect();
    const end = await conn.withTransaction(() =>
      conn.withTransaction(async () => {
        await conn.execute('SELECT 1');
        await conn.close();
        return 'fine';
      }),
    );
    expect(end).toBe('fine');
  });
});

describe('a connection that its user ends within a callback', () => {
  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    ['closes', (conn) => conn.close()],
    ['gives back', (conn) => conn[Symbol.asyncDispose]()],
  ])('has nothing to commit after the user %s it, and the form succeeds', async (_, end) => {
    const pool = makePool({ maxSize: 1 });
    const use = async (conn: AsyncConnection): Promise<string> => {
      await conn.execute('SELECT 1');
      await end(conn);
      return 'fine';
    };
    expect(await pool.withConnection(use)).toBe('fine');
    expect(await pool.map([1], use)).toEqual(['fine']);
    expect(await pool.withTransaction(use)).toBe('fine');
    expect(await pool.withConnection((conn) => conn.withTransaction(() => use(conn)))).toBe('fine');
    expect((await pool.execute('SELECT 1')).rows).toEqual([[1]]);
  });

  it('reports its loss if it was lost before', async () => {
    const pool = makePool({ maxSize: 1 });
    const lose = async (conn: AsyncConnection): Promise<void> => {
      await insert(conn, 1);
      await terminate(conn.info.backendPid);
      await expect.poll(() => conn.closed).toBe(true);
      await conn.close();
    };
    await expect(pool.withConnection(lose)).rejects.toBeInstanceOf(errors.AdminShutdown);
    await expect(pool.withTransaction(lose)).rejects.toBeInstanceOf(errors.AdminShutdown);
    expect(await stored()).toEqual([]);
  });
});

describe('uncommitted writes of a pool’s connection', () => {
  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    [
      'given back while a statement is in flight',
      async (conn) => {
        await insert(conn, 1);
        void conn.execute('SELECT pg_sleep(20)').catch(() => undefined);
      },
    ],
    [
      'closed',
      async (conn) => {
        await insert(conn, 1);
        await conn.close();
      },
    ],
  ])('are counted if it is %s', async (_, act) => {
    const pool = makePool();
    const warnings = await warningsOf('USINGPG_UNCOMMITTED', async () => {
      await using conn = await pool.connection();
      await act(conn);
    });
    expect(warnings).toHaveLength(1);
    expect(pool.getStats().returnsUncommitted).toBe(1);
    expect(await stored()).toEqual([]);
  });

  it('are counted if the commit was in flight and did not succeed', async () => {
    const pool = makePool();
    await warningsOf('USINGPG_UNCOMMITTED', async () => {
      await using conn = await pool.connection();
      await insert(conn, 1);
      void conn.commit().catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    });
    expect(await stored()).toEqual(pool.getStats().returnsUncommitted === 0 ? [1] : []);
  });
});
