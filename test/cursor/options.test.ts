import { expect, test } from 'vitest';
import { AsyncConnection, AsyncConnectionPool, TransactionStatus } from '../../src/index.js';
import { dsn } from '../support/database.js';

test('an undefined option means the same as none, in every call', async () => {
  const nothing = { signal: undefined, rowFactory: undefined };
  await using conn = await AsyncConnection.connect(dsn(), {
    ...nothing,
    autocommit: undefined,
    cursorFactory: undefined,
    prepareThreshold: undefined,
    context: undefined,
  });
  expect([conn.autocommit, conn.prepareThreshold]).toEqual([false, 5]);
  const cur = conn.cursor({ rowFactory: undefined });
  await cur.execute('SELECT %s', [1], { prepare: undefined, binary: undefined, signal: undefined });
  expect(await cur.fetchone()).toEqual([1]);
  await cur.executemany('SELECT %s', [[1]], { returning: undefined, signal: undefined });
  for await (const row of cur.stream('SELECT 1', null, { size: undefined, signal: undefined })) {
    expect(row).toEqual([1]);
  }
  await using named = conn.cursor({
    name: 'c',
    scrollable: undefined,
    withhold: undefined,
    rowFactory: undefined,
  });
  await named.execute('SELECT 1');
  expect(await named.fetchone()).toEqual([1]);
  await using tx = await conn.transaction({ savepointName: undefined, forceRollback: undefined });
  await tx.commit({ signal: undefined });
  await conn.commit({ signal: undefined });
  for await (const _ of conn.notifies({ timeout: 0, stopAfter: undefined, signal: undefined }))
    expect(_).toBeNull();
  await conn.rollback();
  expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);

  await using pool = new AsyncConnectionPool(dsn(), {
    minSize: 1,
    maxSize: undefined,
    open: false,
    name: undefined,
    timeout: undefined,
    maxIdle: undefined,
    check: undefined,
    connectOptions: undefined,
    connectionClass: undefined,
  });
  expect(pool.name).toMatch(/^pool-/);
});
