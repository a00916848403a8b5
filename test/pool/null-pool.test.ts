import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  errors,
  TransactionStatus,
  type PoolOptions,
} from '../../src/index.js';
import { backends, dsn, terminate } from '../support/database.js';
import { freePort } from '../support/server.js';

function makePool(options: PoolOptions = {}, conninfo = dsn()): AsyncNullConnectionPool {
  const pool = new AsyncNullConnectionPool(conninfo, options);
  onTestFinished(() => pool.close());
  return pool;
}

async function nowhere(): Promise<string> {
  return dsn({ host: '127.0.0.1', port: await freePort() });
}

describe('a null pool', () => {
  it('connects for each request and keeps no connection', async () => {
    const pool = makePool();
    expect(pool).toBeInstanceOf(AsyncConnectionPool);
    expect([pool.minSize, pool.maxSize, pool.closed]).toEqual([0, 0, false]);
    expect(await backends()).toEqual([]);
    const pids = new Set<number>();
    for (let i = 0; i < 3; i++) {
      await using connection = await pool.connection();
      pids.add(connection.info.backendPid);
      // The previous connection is being closed, without any delay before this request.
      await expect.poll(backends).toEqual([connection.info.backendPid]);
      expect(pool.getStats()).toMatchObject({ poolSize: 1, poolAvailable: 0 });
    }
    expect(pids.size).toBe(3);
    await expect.poll(backends).toEqual([]);
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
    expect(pool.getStats()).toMatchObject({
      poolMin: 0,
      poolMax: 0,
      poolSize: 0,
      poolAvailable: 0,
      requestsNum: 4,
      requestsQueued: 0,
      requestsWaitMs: 0,
      requestsErrors: 0,
      returnsBad: 0,
      connectionsNum: 4,
      connectionsErrors: 0,
    });
  });

  it('has no limit without maxSize', async () => {
    const pool = makePool({ numWorkers: 1 });
    const connections = await Promise.all(Array.from({ length: 12 }, () => pool.getconn()));
    expect(await backends()).toHaveLength(12);
    expect(pool.getStats()).toMatchObject({ poolSize: 12, requestsQueued: 0 });
    for (const connection of connections) await pool.putconn(connection);
  });

  it('resets a returned connection for a waiting request, and otherwise closes it', async () => {
    const calls: string[] = [];
    const pool = makePool({
      maxSize: 1,
      configure: () => void calls.push('configure'),
      reset: () => void calls.push('reset'),
    });
    const held = await pool.getconn();
    const { backendPid } = held.info;
    await held.execute('selec').catch(() => undefined);
    const served: number[] = [];
    const waiting = Array.from({ length: 3 }, async (_, i) => {
      await using connection = await pool.connection();
      expect(connection.info.backendPid).toBe(backendPid);
      expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
      served.push(i);
    });
    expect(pool.getStats()).toMatchObject({ requestsWaiting: 3, requestsQueued: 3 });
    await pool.putconn(held);
    await Promise.all(waiting);
    expect(served).toEqual([0, 1, 2]);
    // The last connection was not needed, so it was not reset.
    expect(calls).toEqual(['configure', 'reset', 'reset', 'reset']);
    expect(pool.getStats()).toMatchObject({ poolSize: 0, connectionsNum: 1, requestsWaiting: 0 });
    await expect.poll(backends).toEqual([]);
  });

  it('never has more backends than maxSize, however many workers there are', async () => {
    const pool = makePool({ maxSize: 4 });
    let most = 0;
    let done = false;
    const watch = (async () => {
      while (!done) {
        most = Math.max(most, (await backends()).length);
        await sleep(2);
      }
    })();
    await Promise.all(
      Array.from({ length: 40 }, async (_, worker) => {
        for (let i = 0; i < 10; i++) {
          const connection = await pool.getconn(60);
          if ((i + worker) % 10 === 0) await connection.close();
          else await connection.execute('select 1');
          await pool.putconn(connection);
          if (i % 3 === 0) await sleep(worker % 7);
        }
      }),
    );
    done = true;
    await watch;
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
    // An attempt may be in progress for which no request waits any more.
    await expect.poll(() => pool.getStats().poolSize).toBe(0);
    const stats = pool.getStats();
    expect(stats).toMatchObject({ requestsNum: 400, requestsErrors: 0, returnsBad: 40 });
    // Most requests got a returned connection.
    expect(stats.connectionsNum).toBeLessThan(400);
  });

  it('refuses requests and times out like any pool', async () => {
    const pool = makePool({ maxSize: 2, maxWaiting: 1, timeout: 0.1 });
    // Each of these has a connection made for it, so none is waiting.
    const held = await Promise.all([pool.getconn(30), pool.getconn(30)]);
    const late = pool.getconn();
    await expect(pool.getconn()).rejects.toBeInstanceOf(errors.TooManyRequests);
    await expect(late).rejects.toThrow(/maxSize 2: 2 lent out/);
    await expect(pool.getconn({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    expect(pool.getStats()).toMatchObject({ requestsNum: 5, requestsQueued: 1, requestsErrors: 3 });
    for (const connection of held) await pool.putconn(connection);
    await pool.close();
    await expect(pool.connection()).rejects.toBeInstanceOf(errors.PoolClosed);
  });

  it('rejects a request with the connection error at once', async () => {
    const pool = makePool({ timeout: 60 }, await nowhere());
    const began = performance.now();
    const results = await Promise.allSettled([pool.connection(), pool.execute('select 1'), pool.getconn()]);
    expect(performance.now() - began).toBeLessThan(20_000);
    for (const result of results) {
      const { reason } = result as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(errors.OperationalError);
      expect(reason).not.toBeInstanceOf(errors.PoolTimeout);
      expect(String(reason)).toContain('connection refused');
    }
    expect(pool.getStats()).toMatchObject({
      requestsErrors: 3,
      connectionsNum: 3,
      connectionsErrors: 3,
      poolSize: 0,
    });
  });

  it('recovers when the server is reachable again', async () => {
    let target = await nowhere();
    const pool = new AsyncNullConnectionPool(() => target, { maxSize: 1 });
    await expect(pool.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
    target = dsn();
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
    await pool.close();
  });

  it('rejects a request after its timeout, and serves the next one with the late connection', async () => {
    let asked = 0;
    let tell: (conninfo: string) => void = () => undefined;
    const pool = new AsyncNullConnectionPool(
      () => {
        asked++;
        return new Promise<string>((resolve) => (tell = resolve));
      },
      { maxSize: 1 },
    );
    await expect(pool.connection({ timeout: 0.05 })).rejects.toThrow('1 connecting');
    tell(dsn());
    await using connection = await pool.connection();
    expect(connection.closed).toBe(false);
    expect(asked).toBe(1);
    await pool.putconn(connection);
    await pool.close();
  });
});

describe('wait() of a null pool', () => {
  it('makes a connection as a test, and keeps none', async () => {
    const pool = makePool({ open: false });
    await pool.open({ wait: true });
    await expect.poll(backends).toEqual([]);
    expect(pool.getStats()).toMatchObject({ connectionsNum: 1, requestsNum: 0, poolSize: 0 });
    await using connection = await pool.connection();
    // A checked-out connection proves it as well.
    await pool.wait(30);
    expect(connection.closed).toBe(false);
    expect(pool.getStats().connectionsNum).toBe(2);
  });

  it('tries again, and serves requests in the meantime', async () => {
    let asked = 0;
    const gone = await nowhere();
    const pool = new AsyncNullConnectionPool(() => (++asked === 1 ? gone : dsn()));
    const waiting = pool.wait(10);
    await expect.poll(() => pool.getStats().connectionsErrors).toBe(1);
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
    await waiting;
    expect(asked).toBe(2);
    await pool.close();
  });

  it('rejects with the connection error, and closes the pool', async () => {
    let failures = 0;
    const pool = makePool(
      {
        reconnectTimeout: 0.05,
        reconnectFailed: () => {
          failures++;
        },
      },
      await nowhere(),
    );
    const error: unknown = await pool.wait(2).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    expect((error as Error).message).toMatch(/not ready after 2 seconds: 0 of 1 .*connection refused/);
    expect((error as Error).cause).toBeInstanceOf(errors.OperationalError);
    expect(pool.closed).toBe(true);
    expect(failures).toBeGreaterThan(0);
  });
});

describe('the maintenance of a null pool', () => {
  it('refuses a minimum size, at any time', async () => {
    for (const options of [{ minSize: 1 }, { minSize: -1 }, { maxSize: -1 }, { maxSize: 1.5 }]) {
      expect(() => new AsyncNullConnectionPool(dsn(), options)).toThrow(errors.ProgrammingError);
    }
    const pool = makePool({ maxSize: 3 });
    await expect(pool.resize(1, 3)).rejects.toThrow('`minSize` to be 0');
    await expect(pool.resize(0, -1)).rejects.toBeInstanceOf(errors.ProgrammingError);
    expect([pool.minSize, pool.maxSize]).toEqual([0, 3]);
    await pool.resize(0, 5);
    expect(pool.maxSize).toBe(5);
    await pool.resize(0);
    expect(pool.maxSize).toBe(0);
    expect(pool.getStats().poolMax).toBe(0);
  });

  it('resizes while connections are checked out and requests wait', async () => {
    const pool = makePool({ maxSize: 1 });
    const first = await pool.getconn();
    const waiting = [pool.getconn(), pool.getconn()];
    expect(pool.getStats().requestsWaiting).toBe(2);
    await pool.resize(0, 3);
    const others = await Promise.all(waiting);
    expect(await backends()).toHaveLength(3);
    await pool.resize(0, 1);
    const last = pool.getconn();
    for (const connection of [first, ...others]) await pool.putconn(connection);
    const connection = await last;
    await expect.poll(backends).toEqual([connection.info.backendPid]);
    await pool.putconn(connection);
  });

  it('drains: checked-out connections are closed, not lent again', async () => {
    const pool = makePool({ maxSize: 1 });
    const held = await pool.getconn();
    const { backendPid } = held.info;
    await pool.drain();
    const next = pool.getconn();
    await pool.putconn(held);
    const connection = await next;
    expect(connection.info.backendPid).not.toBe(backendPid);
    await pool.putconn(connection);
    await pool.check();
    expect(pool.getStats()).toMatchObject({ poolSize: 0, connectionsNum: 2, connectionsLost: 0 });
  });

  it('takes the parameters of each connection from the function, and counts connections that are lost when they are returned', async () => {
    const names = ['first', 'second'];
    const pool = new AsyncNullConnectionPool(
      () => dsn({ dbname: 'postgres' }),
      // A function, like psycopg_pool's `kwargs`.
      {
        connectOptions: () => Promise.resolve({ autocommit: names.shift() === 'second' }),
        closeReturns: true,
      },
    );
    expect(pool.closeReturns).toBe(false);
    const seen: boolean[] = [];
    for (let i = 0; i < 2; i++) {
      await using connection = await pool.connection();
      seen.push(connection.autocommit);
      if (i === 1) await terminate(connection.info.backendPid);
      while (i === 1 && !connection.closed) await sleep(1);
    }
    expect(seen).toEqual([false, true]);
    expect(pool.getStats().returnsBad).toBe(1);
    await pool.close();
  });

  it('maps with the given concurrency if it has no maxSize', async () => {
    const pool = makePool();
    const double = (_: unknown, item: number): Promise<number> => Promise.resolve(item * 2);
    await expect(pool.map([1, 2], double)).rejects.toThrow('`concurrency`');
    expect(await pool.map([1, 2, 3], double, { concurrency: 2 })).toEqual([2, 4, 6]);
    expect(pool.getStats().connectionsNum).toBeLessThanOrEqual(3);
    const sized = makePool({ maxSize: 2 });
    expect(await sized.map([1, 2, 3], double)).toEqual([2, 4, 6]);
  });
});
