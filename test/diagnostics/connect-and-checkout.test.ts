import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  errors,
  type CheckoutMessage,
  type ConnectMessage,
} from '../../src/index.js';
import { dsn } from '../support/database.js';
import { ended, traced } from '../support/diagnostics.js';
import { freePort } from '../support/server.js';

describe('the channel usingpg:connect', () => {
  it('reports a connection with its server and user', async () => {
    const seen = traced<ConnectMessage>('usingpg:connect');
    await using connection = await AsyncConnection.connect(dsn());
    expect(seen.map(({ event }) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(seen[0]!.message).toMatchObject({ pool: null, backendPid: null, seconds: null });
    const { host, port, dbname, user, backendPid } = connection.info;
    expect(ended(seen)).toEqual([
      {
        pool: null,
        host,
        port,
        dbname,
        user,
        backendPid,
        seconds: expect.any(Number) as number,
        error: undefined,
        sqlstate: null,
      },
    ]);
  });

  it('reports the host that was connected to, if the first one is unsuitable', async () => {
    await using direct = await AsyncConnection.connect(dsn());
    const { host, port } = direct.info;
    const closed = await freePort();
    const seen = traced<ConnectMessage>('usingpg:connect');
    await using _ = await AsyncConnection.connect(
      dsn({ host: `127.0.0.1,${host}`, port: `${String(closed)},${String(port)}` }),
    );
    expect(seen[0]!.message).toMatchObject({ host: '127.0.0.1', port: closed });
    expect(ended(seen)).toMatchObject([{ host, port }]);
  });

  it('reports a failed connection, and the SQLSTATE of a refused one', async () => {
    const seen = traced<ConnectMessage>('usingpg:connect');
    const port = await freePort();
    const attempt = AsyncConnection.connect(dsn({ host: '127.0.0.1', port }));
    await expect(attempt).rejects.toThrow(errors.OperationalError);
    await expect(AsyncConnection.connect(dsn({ dbname: 'there_is_none' }))).rejects.toThrow();
    expect(seen.map(({ event }) => event).slice(0, 5)).toEqual([
      'start',
      'end',
      'error',
      'asyncStart',
      'asyncEnd',
    ]);
    const error = await attempt.catch((reason: unknown) => reason);
    expect(ended(seen)).toMatchObject([
      { error, sqlstate: null, port, backendPid: null },
      { sqlstate: '3D000', dbname: 'there_is_none', backendPid: null },
    ]);
  });

  it('names the pool that connects, also with a connection class', async () => {
    class Connection<R> extends AsyncConnection<R> {}
    const seen = traced<ConnectMessage>('usingpg:connect');
    await using pool = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      name: 'connecting',
      connectionClass: Connection,
      connectOptions: { autocommit: true },
    });
    await pool.wait();
    expect(ended(seen)).toMatchObject([{ pool: 'connecting' }]);
  });
});

describe('the channel usingpg:checkout', () => {
  it('reports a checkout, whether it had to wait, and the connection', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, name: 'lending' });
    await pool.wait();
    const seen = traced<CheckoutMessage>('usingpg:checkout');
    const first = await pool.connection();
    const second = pool.getconn({ timeout: 20 });
    await first[Symbol.asyncDispose]();
    await pool.putconn(await second);
    expect(seen[0]!.message).toMatchObject({ backendPid: null, seconds: null });
    const { backendPid } = first.info;
    const seconds = expect.any(Number) as number;
    const known = { pool: 'lending', error: undefined, sqlstate: null, backendPid, seconds };
    expect(ended(seen)).toEqual([
      { ...known, timeout: 30, waited: false },
      { ...known, timeout: 20, waited: true },
    ]);
  });

  it('reports a checkout that was aborted, timed out, or found the pool closed', async () => {
    const pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    await pool.wait();
    const seen = traced<CheckoutMessage>('usingpg:checkout');
    const held = await pool.connection();
    const controller = new AbortController();
    const reason = new Error('never mind');
    const aborted = pool.connection({ signal: controller.signal });
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(pool.connection({ timeout: 0.01 })).rejects.toThrow(errors.PoolTimeout);
    await held[Symbol.asyncDispose]();
    await pool.close();
    await expect(pool.connection()).rejects.toThrow(errors.PoolClosed);
    const failed = ended(seen).filter(({ error }) => error !== undefined);
    expect(failed.map(({ error }) => (error as Error).name)).toEqual(['Error', 'PoolTimeout', 'PoolClosed']);
    expect(failed[0]!.error).toBe(reason);
    for (const { backendPid } of failed) expect(backendPid).toBeNull();
  });

  it('belongs to its caller’s context; a connect that it needs belongs to the context that made the pool', async () => {
    const path = new AsyncLocalStorage<string>();
    const paths: string[] = [];
    for (const name of ['checkout', 'connect', 'query']) {
      const { start } = tracingChannel<string, object>(`usingpg:${name}`);
      start.bindStore(path, () => {
        const own = `${path.getStore() ?? ''}/${name}`;
        paths.push(own);
        return own;
      });
      onTestFinished(() => {
        start.unbindStore(path);
      });
    }
    await using pool = path.run('application', () => new AsyncNullConnectionPool(dsn()));
    await path.run('request', () => pool.execute('select 1'));
    expect(paths).toEqual(['request/checkout', 'application/connect', 'request/query', 'request/query']);
  });
});
