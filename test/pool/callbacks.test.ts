import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { AsyncConnectionPool, errors, IsolationLevel, type AsyncConnection } from '../../src/index.js';
import type { ReconnectMessage } from '../../src/diagnostics.js';
import { admin, backends, dsn, makePool } from '../support/database.js';
import { heard } from '../support/diagnostics.js';
import { warningsOf } from '../support/warnings.js';

/** Milliseconds after which a used connection is checked. */
const UNUSED = 550;
const never = (): Promise<void> => new Promise(() => undefined);

describe('a check', () => {
  it('that leaves a transaction open does not affect the borrower’s commit', async () => {
    const pool = makePool({
      check: async (connection) => {
        await connection.execute('select 1');
      },
    });
    await admin('create table callbacks_check (id int)');
    for (const options of [{}, { isolationLevel: IsolationLevel.SERIALIZABLE }]) {
      await pool.wait();
      await sleep(UNUSED);
      await pool.withTransaction(
        (connection) => connection.execute('insert into callbacks_check values (1)'),
        options,
      );
    }
    expect(await admin('select id from callbacks_check')).toHaveLength(2);
    await admin('drop table callbacks_check');
    expect(pool.getStats()).toMatchObject({ connectionsNum: 1, connectionsLost: 0 });
  });

  it('that catches a server error leaves no failed transaction to the borrower', async () => {
    const pool = makePool({
      check: async (connection) => {
        await connection.execute('selec').catch(() => undefined);
      },
    });
    await pool.wait();
    await sleep(UNUSED);
    await pool.withConnection((connection) => connection.execute('select 1'));
    expect(pool.getStats()).toMatchObject({ connectionsNum: 1, returnsBad: 0 });
  });

  it('that loses the connection without an error counts as one that throws', async () => {
    const pool = makePool({ check: (connection) => connection.close() });
    await pool.wait();
    await sleep(UNUSED);
    await pool.withConnection((connection) => connection.execute('select 1'));
    expect(pool.getStats()).toMatchObject({ connectionsNum: 2, connectionsLost: 1, returnsBad: 0 });
  });
});

describe('a configure', () => {
  it.each([
    ['that waits for the server', (connection: AsyncConnection) => connection.execute('select pg_sleep(60)')],
    ['that never ends', never],
  ])('%s is abandoned with its connection when the pool closes', async (_what, wait) => {
    let called = false;
    const pool = makePool({
      configure: async (connection) => {
        called = true;
        await wait(connection);
      },
    });
    await expect.poll(() => called).toBe(true);
    await pool.close();
    await expect.poll(() => backends()).toEqual([]);
  });

  it('that takes longer than connect_timeout fails, and another attempt is made', async () => {
    let calls = 0;
    const failed = heard<ReconnectMessage>('usingpg:reconnect');
    const pool = makePool({ configure: () => (++calls === 1 ? never() : undefined) }, { connect_timeout: 2 });
    await expect.poll(() => failed).toHaveLength(1);
    expect(failed[0]!.error).toBeInstanceOf(errors.ConnectionTimeout);
    expect((failed[0]!.error as Error).message).toContain('`configure` was not done');
    await pool.execute('select 1');
    expect(pool.getStats()).toMatchObject({ connectionsNum: 2, connectionsErrors: 1, poolSize: 1 });
  });
});

describe('a function that a pool asks for each connection', () => {
  it.each(['connection parameters', 'connectOptions'])(
    'for its %s may take no longer than connect_timeout; another attempt is made',
    async (what) => {
      vi.stubEnv('PGCONNECT_TIMEOUT', '2');
      onTestFinished(() => void vi.unstubAllEnvs());
      let calls = 0;
      const once = <T>(given: T): (() => T | Promise<T>) => {
        return () => (++calls === 1 ? new Promise<T>(() => undefined) : given);
      };
      const failed = heard<ReconnectMessage>('usingpg:reconnect');
      const pool =
        what === 'connectOptions'
          ? new AsyncConnectionPool(dsn(), { minSize: 1, connectOptions: once({}) })
          : new AsyncConnectionPool(once(dsn()), { minSize: 1 });
      onTestFinished(() => pool.close());
      await expect.poll(() => failed).toHaveLength(1);
      expect(failed[0]!.error).toBeInstanceOf(errors.ConnectionTimeout);
      expect((failed[0]!.error as Error).message).toMatch(
        new RegExp(what + '`? did not answer within 2 seconds'),
      );
      await pool.execute('select 1');
      expect(calls).toBe(2);
    },
  );
});

describe('a reset', () => {
  it('sends notices to the pool’s handlers, not to the previous borrower’s', async () => {
    const raise = (text: string): string => `do $$ begin raise notice '${text}'; end $$`;
    const heard: string[] = [];
    const listen = (connection: AsyncConnection, who: string): void => {
      connection.addNoticeHandler((notice) => heard.push(`${who}: ${String(notice.messagePrimary)}`));
    };
    const pool = makePool({
      connectOptions: { autocommit: true },
      configure: async (connection) => {
        listen(connection, 'pool');
      },
      reset: async (connection) => {
        await connection.execute(raise('reset'));
      },
    });
    await pool.withConnection(async (connection) => {
      listen(connection, 'borrower');
      await connection.execute(raise('use'));
    });
    expect(heard).toEqual(['pool: use', 'borrower: use', 'pool: reset']);
  });

  it.each([
    [
      'waits for a server that does not answer',
      (connection: AsyncConnection) => connection.execute('select pg_sleep(60)'),
    ],
    ['never ends', never],
  ])('that %s is abandoned after checkTimeout, and the connection replaced', async (_what, wait) => {
    let calls = 0;
    const pool = makePool({
      checkTimeout: 1.5,
      reset: async (connection) => {
        if (++calls === 1) await wait(connection);
      },
    });
    const warnings = await warningsOf('USINGPG_RESET_FAILED', async () => {
      const connection = await pool.connection();
      await pool.putconn(connection);
    });
    expect(warnings).toEqual([expect.stringContaining('1.5 seconds (checkTimeout)')]);
    await pool.execute('select 1');
    expect(pool.getStats()).toMatchObject({ connectionsNum: 2, returnsBad: 1, poolSize: 1 });
    await admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`,
    );
  });
});
