import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AsyncConnection, errors, type UncommittedMessage } from '../../src/index.js';
import { admin, dsn, rejection } from '../support/database.js';
import { heard } from '../support/diagnostics.js';
import { warningsOf } from '../support/warnings.js';

beforeAll(() => admin('CREATE TABLE forgotten (id int)'));
beforeEach(() => admin('TRUNCATE forgotten'));
afterAll(() => admin('DROP TABLE forgotten'));

const INSERT = 'INSERT INTO forgotten VALUES (1)';

async function stored(): Promise<number> {
  return (await admin('SELECT 1 FROM forgotten')).length;
}

/** The warnings and messages of connections that are each used by one of `acts` and left. */
async function told(...acts: ((conn: AsyncConnection) => Promise<unknown>)[]): Promise<{
  warnings: string[];
  messages: UncommittedMessage[];
}> {
  const messages = heard<UncommittedMessage>('usingpg:uncommitted');
  const warnings = await warningsOf('USINGPG_UNCOMMITTED', async () => {
    for (const act of acts) {
      await using conn = await AsyncConnection.connect(dsn());
      await act(conn);
    }
  });
  return { warnings, messages };
}

describe('a connection without a pool that is left', () => {
  // This must be the first test, since the warning is emitted once per process.
  it('with uncommitted writes raises one warning, and a message each time, also with a statement in flight', async () => {
    let pid = 0;
    const { warnings, messages } = await told(
      async (conn) => {
        pid = conn.info.backendPid;
        await conn.execute(INSERT);
      },
      async (conn) => {
        await conn.execute(INSERT);
        void conn.execute('SELECT pg_sleep(20)').catch(() => undefined);
      },
      async (conn) => {
        await conn.withTransaction(async () => {
          await conn.execute(INSERT);
          await conn.close();
        });
      },
    );
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('was closed with writes that were not committed');
    expect(messages).toHaveLength(3);
    expect(messages[0]).toEqual({ pool: null, backendPid: pid });
    expect(await stored()).toBe(0);
  });

  it('with what a WITH has written raises a message', async () => {
    const { messages } = await told(
      (conn) =>
        conn.execute('WITH one AS (INSERT INTO forgotten VALUES (1) RETURNING id) SELECT id FROM one'),
      (conn) =>
        conn.execute(
          '/* all */ with gone as materialized ( delete from forgotten returning id) select %s',
          [1],
        ),
    );
    expect(messages).toHaveLength(2);
  });

  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    ['with what it has read', (conn) => conn.execute('SELECT 1')],
    [
      'with what a WITH has read',
      (conn) => conn.execute('WITH one AS (SELECT id FROM forgotten FOR UPDATE) SELECT id FROM one'),
    ],
    [
      'with what was committed',
      async (conn) => {
        await conn.execute(INSERT);
        await conn.commit();
      },
    ],
    [
      'with writes that a failed statement has undone',
      async (conn) => {
        await conn.execute(INSERT);
        await conn.execute('SELECT 1/0').catch(() => undefined);
      },
    ],
    [
      'twice',
      async (conn) => {
        await conn.close();
        await conn.close();
      },
    ],
  ])('%s raises none', async (_, act) => {
    expect(await told(act)).toEqual({ warnings: [], messages: [] });
  });
});

describe('AsyncConnection.withConnection()', () => {
  it('commits when its callback returns, resolves with its result, and closes', async () => {
    let conn: AsyncConnection | null = null;
    const result = await AsyncConnection.withConnection(dsn(), async (connection) => {
      conn = connection;
      await connection.execute(INSERT);
      return 'done';
    });
    expect(result).toBe('done');
    expect(conn!.closed).toBe(true);
    expect(await stored()).toBe(1);
  });

  it('rolls back when its callback throws, without a warning, and closes', async () => {
    let conn: AsyncConnection | null = null;
    const { warnings, messages } = await told(async () => {
      const error = await rejection(
        AsyncConnection.withConnection(dsn(), async (connection) => {
          conn = connection;
          await connection.execute(INSERT);
          void connection.execute('SELECT pg_sleep(20)').catch(() => undefined);
          throw new Error('no');
        }),
      );
      expect(error.message).toBe('no');
    });
    expect([warnings, messages]).toEqual([[], []]);
    expect(conn!.closed).toBe(true);
    expect(await stored()).toBe(0);
  });

  it('waits for statements that its callback did not await, before it commits', async () => {
    await AsyncConnection.withConnection(dsn(), (connection) => {
      void connection.execute(INSERT);
    });
    expect(await stored()).toBe(1);
  });

  it('closes when the commit fails', async () => {
    let conn: AsyncConnection | null = null;
    const failing = AsyncConnection.withConnection(dsn(), async (connection) => {
      conn = connection;
      await connection.execute(INSERT);
      await connection.execute('SELECT 1/0').catch(() => undefined);
    });
    const error = await rejection(failing);
    expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
    expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
    expect(conn!.closed).toBe(true);
  });

  it('succeeds where its callback has closed the connection', async () => {
    const closing = AsyncConnection.withConnection(dsn(), async (connection) => {
      await connection.execute('SELECT 1');
      await connection.close();
      return 'fine';
    });
    expect(await closing).toBe('fine');
  });

  it('takes the options of connect(), and makes connections of the class it is called on', async () => {
    class Own extends AsyncConnection {}
    const seen = await Own.withConnection(
      dsn(),
      (connection) => [connection instanceof Own, connection.autocommit],
      {
        autocommit: true,
      },
    );
    expect(seen).toEqual([true, true]);
  });
});
