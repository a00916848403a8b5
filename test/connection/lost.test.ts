import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, test } from 'vitest';
import { errors, type AsyncConnection, type LostMessage } from '../../src/index.js';
import { connect, makePool, terminate } from '../support/database.js';
import { heard } from '../support/diagnostics.js';
import { warningsOf } from '../support/warnings.js';

async function lose(connection: AsyncConnection): Promise<void> {
  await terminate(connection.info.backendPid);
  await expect.poll(() => connection.broken).toBe(true);
}

test('a listener is called once, with the server’s last error', async () => {
  const conn = await connect();
  const seen: unknown[] = [];
  conn.onLost((error) => seen.push(error));
  await lose(conn);
  expect(seen).toEqual([expect.any(errors.AdminShutdown)]);
  await expect(conn.execute('SELECT 1')).rejects.toThrow(errors.AdminShutdown);
  await conn.close();
  expect(seen).toHaveLength(1);
});

test('a statement that runs has rejected before the listener is called', async () => {
  const conn = await connect();
  const running = conn
    .execute('SELECT pg_terminate_backend(pg_backend_pid())')
    .catch((error: unknown) => error);
  const lost = new Promise((resolve) => conn.onLost(resolve));
  expect(await Promise.all([running, lost])).toEqual([
    expect.any(errors.AdminShutdown),
    expect.any(errors.AdminShutdown),
  ]);
});

test('a connection that is closed is not lost', async () => {
  const seen: unknown[] = [];
  const lost = heard<LostMessage>('usingpg:lost');
  const conn = await connect();
  conn.onLost((error) => seen.push(error));
  await conn.close();
  const pool = makePool();
  const lent = await pool.getconn();
  lent.onLost((error) => seen.push(error));
  await pool.close(0);
  expect([seen, lost]).toEqual([[], []]);
});

test('each registration has its own remover, and may be removed twice', async () => {
  const conn = await connect();
  let calls = 0;
  const count = (): void => {
    calls++;
  };
  const remove = conn.onLost(count);
  conn.onLost(count);
  conn.onLost(count);
  remove();
  remove();
  await lose(conn);
  expect(calls).toBe(2);
});

test('a listener is called in the asynchronous context of its registration', async () => {
  const storage = new AsyncLocalStorage<string>();
  const conn = await connect();
  let seen: string | undefined;
  storage.run('registered here', () => {
    conn.onLost(() => (seen = storage.getStore()));
  });
  await lose(conn);
  expect(seen).toBe('registered here');
});

test('a listener that throws causes a warning, and the others are called', async () => {
  const conn = await connect();
  let called = false;
  conn.onLost(() => {
    throw new Error('no');
  });
  conn.onLost(() => (called = true));
  const warnings = await warningsOf('Warning', () => lose(conn));
  expect(warnings).toEqual(['a loss handler threw: Error: no']);
  expect(called).toBe(true);
});

test('a connection that was returned tells its borrower nothing more; `configure` hears of each session', async () => {
  const seen: string[] = [];
  const pool = makePool({
    maxSize: 1,
    configure: (conn) => {
      conn.onLost(() => seen.push('configure'));
    },
  });
  const first = await pool.getconn();
  first.onLost(() => seen.push('first'));
  await pool.putconn(first);
  expect(() => first.onLost(() => undefined)).toThrow(errors.InterfaceError);
  const second = await pool.getconn();
  second.onLost(() => seen.push('second'));
  await lose(second);
  await pool.putconn(second);
  expect(seen).toEqual(['configure', 'second']);
});

test('a lost connection and a value that is no function are refused', async () => {
  const conn = await connect();
  expect(() => conn.onLost('closed' as never)).toThrow(errors.ProgrammingError);
  await lose(conn);
  expect(() => conn.onLost(() => undefined)).toThrow(errors.AdminShutdown);
});

test('usingpg:lost reports each loss, of idle connections of a pool, too', async () => {
  const lost = heard<LostMessage>('usingpg:lost');
  const conn = await connect();
  const pool = makePool({ name: 'losing' });
  const { backendPid, host, port, dbname, user } = await pool.withConnection(({ info }) => info);
  await terminate(backendPid);
  await expect.poll(() => lost.length).toBe(1);
  await lose(conn);
  const where = { host, port, dbname, user, error: expect.any(errors.AdminShutdown) as unknown };
  expect(lost).toEqual([
    { ...where, pool: 'losing', backendPid },
    { ...where, pool: null, backendPid: conn.info.backendPid },
  ]);
});

test('info.session is the same object at every checkout of a session, and another for another session', async () => {
  const pool = makePool({ maxSize: 1 });
  const sessionOf = (): Promise<object> => pool.withConnection(({ info }) => info.session);
  const session = await sessionOf();
  expect(await sessionOf()).toBe(session);
  expect(new WeakMap([[session, 'prepared']]).get(await sessionOf())).toBe('prepared');
  expect((await connect()).info.session).not.toBe(session);
  await pool.drain();
  expect(await sessionOf()).not.toBe(session);
  await pool
    .withConnection(async (conn) => {
      const before = conn.info.session;
      await lose(conn);
      expect(conn.info.session).toBe(before);
    })
    .catch(() => undefined);
});
