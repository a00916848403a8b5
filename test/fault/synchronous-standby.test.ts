import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncConnection, AsyncConnectionPool, errors } from '../../src/index.js';
import { query } from './bank.js';
import { startOwnServer, type OwnServer } from '../support/server.js';

let server: OwnServer;

beforeAll(async () => {
  server = await startOwnServer({ sql: 'CREATE TABLE acknowledged (id int)' });
  // A standby that never comes.
  await query(server.dsn, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await query(server.dsn, 'SELECT pg_reload_conf()');
});

afterAll(() => server.stop());

/** Waits until a COMMIT waits for the standby, and cancels it, as an administrator may. */
async function cancelWaiting(): Promise<void> {
  await expect
    .poll(() =>
      query<{ cancelled: boolean }>(
        server.dsn,
        "SELECT pg_cancel_backend(pid) AS cancelled FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
      ),
    )
    .toEqual([{ cancelled: true }]);
}

async function ids(): Promise<number[]> {
  const rows = await query<{ id: number }>(server.dsn, 'SELECT id FROM acknowledged ORDER BY id');
  return rows.map(({ id }) => id);
}

describe('a COMMIT that waits for a synchronous standby', () => {
  it('has an unknown outcome when its wait is cancelled, and the connection is usable', async () => {
    await using conn = await AsyncConnection.connect(server.dsn);
    await conn.execute('INSERT INTO acknowledged VALUES (1)');
    const committed = conn.commit();
    committed.catch(() => undefined);
    await cancelWaiting();
    const error = await committed.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect((error as Error).message).toMatch(/without its synchronous standby.*canceling wait/);
    expect((error as Error).cause).toMatchObject({ diag: { severityNonlocalized: 'WARNING' } });
    expect(await ids()).toContain(1);
    expect(await (await conn.execute('SELECT 2')).fetchone()).toEqual([2]);
    // Nothing is written, so nothing has to be replicated, and the earlier notice is none of this COMMIT.
    await conn.commit();
  });

  it('has an unknown outcome when its signal is aborted', async () => {
    await using conn = await AsyncConnection.connect(server.dsn);
    await conn.execute('INSERT INTO acknowledged VALUES (2)');
    await expect(conn.commit({ signal: AbortSignal.timeout(200) })).rejects.toBeInstanceOf(
      errors.TransactionOutcomeUnknown,
    );
  });

  it('is not repeated by a pool', async () => {
    await using pool = new AsyncConnectionPool(server.dsn, { minSize: 1 });
    let runs = 0;
    const running = pool.withTransaction(async (conn) => {
      runs++;
      await conn.execute('INSERT INTO acknowledged VALUES (3)');
    });
    running.catch(() => undefined);
    await cancelWaiting();
    await expect(running).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(runs).toBe(1);
    expect(await ids()).toContain(3);
  });
});

describe('a PREPARE TRANSACTION that waits for a synchronous standby', () => {
  it('has an unknown outcome when its wait is cancelled, and can be ended by its connection', async () => {
    await using conn = await AsyncConnection.connect(server.dsn);
    await conn.tpcBegin('waiting');
    await conn.execute('INSERT INTO acknowledged VALUES (30)');
    const prepared = conn.tpcPrepare();
    prepared.catch(() => undefined);
    await cancelWaiting();
    await expect(prepared).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    const ended = conn.tpcRollback();
    ended.catch(() => undefined);
    await cancelWaiting();
    await expect(ended).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(await conn.tpcRecover()).toEqual([]);
    expect(await ids()).not.toContain(30);
  });
});

describe.each(['tpcCommit', 'tpcRollback'] as const)('%s() that waits for a synchronous standby', (end) => {
  it.each(['an administrator', 'its signal'])(
    'has an unknown outcome when %s cancels its wait, and leaves no two-phase transaction',
    async (who) => {
      const xid = `${end} ${who}`;
      await using conn = await AsyncConnection.connect(server.dsn);
      await conn.tpcBegin(xid);
      await conn.execute('INSERT INTO acknowledged VALUES (31)');
      const prepared = conn.tpcPrepare();
      prepared.catch(() => undefined);
      await cancelWaiting();
      await expect(prepared).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);

      const ended = conn[end](undefined, {
        signal: who === 'its signal' ? AbortSignal.timeout(200) : undefined,
      });
      ended.catch(() => undefined);
      if (who === 'an administrator') await cancelWaiting();
      const error = await ended.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(errors.TransactionOutcomeUnknown);
      expect(error).toMatchObject({
        query: `${end === 'tpcCommit' ? 'COMMIT' : 'ROLLBACK'} PREPARED '${xid}'`,
      });
      expect(await conn.tpcRecover()).toEqual([]);

      // The next transaction of the connection is an ordinary one.
      await conn.execute('SELECT 1');
      await conn.commit();
      await conn.tpcBegin('next');
      await conn.tpcRollback();
    },
  );
});

describe('a statement in autocommit that waits for a synchronous standby', () => {
  it.each([
    ['an INSERT', (conn: AsyncConnection) => conn.execute('INSERT INTO acknowledged VALUES (%s)', [10])],
    [
      'a text without parameters',
      (conn: AsyncConnection) => conn.execute('INSERT INTO acknowledged VALUES (11)'),
    ],
    [
      'several statements',
      (conn: AsyncConnection) => conn.execute('SELECT 1; INSERT INTO acknowledged VALUES (12)'),
    ],
    [
      'a COMMIT in a text',
      (conn: AsyncConnection) => conn.execute('BEGIN; INSERT INTO acknowledged VALUES (13); COMMIT'),
    ],
    [
      'an UPDATE of many',
      (conn: AsyncConnection) => conn.cursor().executemany('INSERT INTO acknowledged VALUES (%s)', [[14]]),
    ],
    ['a DDL statement', (conn: AsyncConnection) => conn.execute('CREATE TABLE IF NOT EXISTS made (id int)')],
    [
      'a COPY',
      (conn: AsyncConnection) =>
        conn.cursor().withCopy('COPY acknowledged FROM STDIN', (copy) => copy.writeRow([15])),
    ],
    [
      'a pipeline',
      (conn: AsyncConnection) =>
        conn.withPipeline(async () => {
          await conn.execute('INSERT INTO acknowledged VALUES (%s)', [16]);
        }),
    ],
  ])('has an unknown outcome when its wait is cancelled: %s', async (_, run) => {
    await using conn = await AsyncConnection.connect(server.dsn, { autocommit: true });
    const running = run(conn);
    running.catch(() => undefined);
    await cancelWaiting();
    const error = await running.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect((error as Error).message).toMatch(/without its synchronous standby.*canceling wait/);
    // The notice is that statement's alone, and the connection is usable.
    expect(await (await conn.execute('SELECT 2')).fetchone()).toEqual([2]);
  });

  it('names its own query in the error', async () => {
    await using conn = await AsyncConnection.connect(server.dsn, { autocommit: true });
    const running = conn.execute('INSERT INTO acknowledged VALUES (%s)', [20]);
    running.catch(() => undefined);
    await cancelWaiting();
    await expect(running).rejects.toMatchObject({ query: 'INSERT INTO acknowledged VALUES ($1)' });
    expect(await ids()).toContain(20);
  });

  it('has an unknown outcome when its signal is aborted, since it is done', async () => {
    await using conn = await AsyncConnection.connect(server.dsn, { autocommit: true });
    const running = conn.execute('INSERT INTO acknowledged VALUES (21)', null, {
      signal: AbortSignal.timeout(200),
    });
    await expect(running).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    expect(await ids()).toContain(21);
  });

  it('that fails otherwise has its own error', async () => {
    await using conn = await AsyncConnection.connect(server.dsn, { autocommit: true });
    const running = conn.execute('BEGIN; INSERT INTO acknowledged VALUES (22); COMMIT; SELECT 1/0');
    running.catch(() => undefined);
    await cancelWaiting();
    await expect(running).rejects.toBeInstanceOf(errors.DivisionByZero);
  });
});
