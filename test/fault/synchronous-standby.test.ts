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
