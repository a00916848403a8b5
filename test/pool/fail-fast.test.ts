import { expect, test } from 'vitest';
import { AsyncConnectionPool, AsyncNullConnectionPool, errors } from '../../src/index.js';
import { dsn, makePool, rejection } from '../support/database.js';
import { freePort } from '../support/server.js';

/** A test's patience: far more than the wait for an attempt, which the pool makes each second. */
const LONG = 100;

/** A pool of a server that refuses connections. */
async function unreachable(): Promise<AsyncConnectionPool> {
  const port = await freePort();
  return makePool({ minSize: 0, maxSize: 2, timeout: LONG }, { host: '127.0.0.1', port });
}

test.each<[string, (pool: AsyncConnectionPool) => Promise<unknown>]>([
  ['getconn()', (pool) => pool.getconn({ failFast: true })],
  ['connection()', (pool) => pool.connection({ failFast: true })],
  ['withConnection()', (pool) => pool.withConnection(() => undefined, { failFast: true })],
  ['withTransaction()', (pool) => pool.withTransaction(() => undefined, { failFast: true })],
  ['execute()', (pool) => pool.execute('SELECT 1', null, { failFast: true })],
  ['map()', (pool) => pool.map([1], async () => Promise.resolve(), { failFast: true })],
])('%s with failFast rejects with the error of the first attempt', async (_, call) => {
  const error = await rejection(call(await unreachable()));
  expect(error).toBeInstanceOf(errors.OperationalError);
  expect(error).not.toBeInstanceOf(errors.PoolTimeout);
  expect(error.message).toContain('connection refused');
  expect(error.stack).toContain('fail-fast.test.ts');
});

test('other requests go on waiting', async () => {
  const pool = await unreachable();
  const patience = new AbortController();
  const patient = rejection(pool.getconn({ signal: patience.signal }));
  const hasty = [pool.getconn({ failFast: true }), pool.getconn({ failFast: true })];
  for (const result of await Promise.allSettled(hasty)) expect(result.status).toBe('rejected');
  expect(pool.getStats().requestsWaiting).toBe(1);
  patience.abort(new Error('enough'));
  expect((await patient).message).toBe('enough');
});

test('an attempt that failed before the request does not count: the next one decides', async () => {
  const failing = await freePort();
  let isUp = false;
  const pool = new AsyncConnectionPool(() => (isUp ? dsn() : dsn({ host: '127.0.0.1', port: failing })), {
    minSize: 1,
    timeout: LONG,
  });
  await using _ = pool;
  await expect.poll(() => pool.getStats().connectionsErrors).toBe(1);
  isUp = true;
  expect((await pool.execute('SELECT 1', null, { failFast: true })).rows).toEqual([[1]]);
});

test('a request that waits for a connection to come back is served', async () => {
  const pool = makePool({ maxSize: 1, timeout: LONG });
  const lent = await pool.getconn();
  const waiting = pool.execute('SELECT 1', null, { failFast: true });
  await pool.putconn(lent);
  expect((await waiting).rows).toEqual([[1]]);
});

test('a pool that keeps no connections rejects with the error in any case', async () => {
  const port = await freePort();
  await using pool = new AsyncNullConnectionPool(dsn({ host: '127.0.0.1', port }), { timeout: LONG });
  for (const failFast of [false, true]) {
    const error = await rejection(pool.getconn({ failFast }));
    expect(error.message).toContain('connection refused');
  }
});

test('failFast belongs to calls that take a connection', async () => {
  const pool = makePool();
  const message = 'unknown option `failFast` of pool.wait()';
  expect((await rejection(pool.wait({ failFast: true } as never))).message).toContain(message);
  expect((await rejection(pool.getconn({ failFast: 1 as never }))).message).toContain('true or false');
});
