import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { AsyncConnectionPool, conninfoToDict, errors } from '../../src/index.js';
import { dsn } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { startOwnServer, type OwnServer } from '../support/server.js';

// Promise 19: a checkout survives idle connections whose network has gone silent.
describe('idle connections that no longer answer', () => {
  /** A pool of 10 idle connections, half of which no longer get answers. */
  async function halfLost({
    check,
    checkTimeout,
  }: {
    check: boolean;
    checkTimeout: number;
  }): Promise<AsyncConnectionPool> {
    const { host, port } = conninfoToDict(inject('dsn'));
    const proxies = [
      await FaultProxy.to({ host: host!, port: Number(port) }),
      await FaultProxy.to({ host: host!, port: Number(port) }),
    ] as const;
    let made = 0;
    const pool = new AsyncConnectionPool(
      // New connections use the working way.
      () => dsn({ host: '127.0.0.1', port: proxies[made++ < 5 ? 0 : 1].port }),
      {
        minSize: 10,
        numWorkers: 1,
        ...(check ? { check: (connection) => AsyncConnectionPool.checkConnection(connection) } : {}),
        checkTimeout,
      },
    );
    onTestFinished(async () => {
      await pool.close();
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    });
    await pool.wait();
    expect(proxies.map(({ connections }) => connections.length)).toEqual([5, 5]);
    // Longer than a connection stays unchecked after its last use.
    await sleep(600);
    proxies[0].blackHole.add('up').add('down');
    return pool;
  }

  it('are found by `check` within checkTimeout, and replaced within one wave of checkouts', async () => {
    const CHECK_TIMEOUT = 2;
    const pool = await halfLost({ check: true, checkTimeout: CHECK_TIMEOUT });
    const times: number[] = [];
    const checkOut = async (): Promise<void> => {
      const began = performance.now();
      const connection = await pool.getconn(60);
      times.push(performance.now() - began);
      expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
      await pool.putconn(connection);
    };
    await Promise.all(Array.from({ length: 10 }, checkOut));
    // All are checked at once, and five of them are replaced. A loaded machine may take some seconds.
    expect(Math.max(...times)).toBeLessThan(CHECK_TIMEOUT * 1000 + 6000);
    expect(pool.getStats()).toMatchObject({ connectionsLost: 5, requestsErrors: 0 });
    await sleep(600);
    await Promise.all(Array.from({ length: 10 }, checkOut));
    // What no request waits for is replaced one by one, after random pauses.
    await expect.poll(() => pool.getStats()).toMatchObject({ connectionsLost: 5, poolSize: 10 });
  });

  it('are closed when they are returned within a transaction, if their ROLLBACK is not answered', async () => {
    const { host, port } = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: host!, port: Number(port) });
    const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: proxy.port }), { minSize: 1 });
    try {
      const connection = await pool.getconn();
      await connection.execute('select 1');
      proxy.blackHole.add('up').add('down');
      const began = performance.now();
      await pool.putconn(connection);
      expect(performance.now() - began).toBeLessThan(30_000);
      expect(pool.getStats().returnsBad).toBe(1);
      proxy.blackHole.clear();
      expect((await pool.execute('select 2')).rows).toEqual([[2]]);
    } finally {
      proxy.resetAll();
      await pool.close();
    }
  });

  it('do not hold up a request beyond its timeout or its abort', async () => {
    const CHECK_TIMEOUT = 6;
    const pool = await halfLost({ check: true, checkTimeout: CHECK_TIMEOUT });
    const requests = Array.from({ length: 10 }, (_, i) =>
      pool.getconn(i % 2 === 0 ? { timeout: 1.5 } : { timeout: 60, signal: AbortSignal.timeout(1500) }),
    );
    const began = performance.now();
    const results = await Promise.allSettled(requests);
    // Long before the checks have failed.
    expect(performance.now() - began).toBeLessThan(CHECK_TIMEOUT * 1000 - 1000);
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed) {
      if (reason instanceof errors.PoolTimeout) expect(reason.message).toContain('within 1.5 seconds');
      else expect(reason).toHaveProperty('name', 'TimeoutError');
    }
    for (const result of results) if (result.status === 'fulfilled') await pool.putconn(result.value);
    // Their checks fail in the meantime, and other connections replace them.
    await expect.poll(() => pool.getStats()).toMatchObject({ poolSize: 10, poolAvailable: 10 });
    expect(pool.getStats().connectionsLost).toBe(failed.length);
  });

  it('are found by pool.check() within checkTimeout', async () => {
    const CHECK_TIMEOUT = 1;
    const pool = await halfLost({ check: false, checkTimeout: CHECK_TIMEOUT });
    const began = performance.now();
    await pool.check();
    expect(performance.now() - began).toBeLessThan(5 * CHECK_TIMEOUT * 1000 + 6000);
    expect(pool.getStats().connectionsLost).toBe(5);
    await pool.wait();
    await Promise.all(Array.from({ length: 30 }, () => pool.execute('select 1')));
  });
});

// Promise 20: a server that crashes and restarts is used again at once.
describe('a server that crashes and is started again', () => {
  let server: OwnServer;
  beforeAll(async () => {
    server = await startOwnServer();
  });
  afterAll(() => server.stop());

  it('is used again within 1.5 seconds, without errors from before', async () => {
    const SIZE = 4;
    const DOWN = 5;
    const pool = new AsyncConnectionPool(server.dsn, { minSize: SIZE, timeout: 100 });
    onTestFinished(() => pool.close());
    await pool.wait();
    const log: { began: number; ended: number; error: unknown }[] = [];
    const running = new Set<Promise<void>>();
    const request = async (): Promise<void> => {
      const began = performance.now();
      const error: unknown = await pool.execute('select 1').then(
        () => null,
        (reason: unknown) => reason,
      );
      log.push({ began, ended: performance.now(), error });
    };
    // 50 per second.
    const load = setInterval(() => {
      const one: Promise<void> = request().finally(() => running.delete(one));
      running.add(one);
    }, 20);
    await sleep(500);
    const crashed = performance.now();
    await server.crash();
    await sleep(DOWN * 1000);
    await server.restart();
    const accepted = performance.now();
    await expect.poll(() => running.size).toBeLessThan(5);
    await sleep(500);
    clearInterval(load);
    await Promise.all(running);

    const first = Math.min(
      ...log.filter(({ ended, error }) => error === null && ended > accepted - 500).map(({ ended }) => ended),
    );
    // A loaded machine may take some seconds more than the 1.5.
    expect((first - accepted) / 1000).toBeLessThan(5);
    const failed = log.filter(({ error }) => error !== null);
    for (const { error } of failed) expect(error).toBeInstanceOf(errors.OperationalError);
    // At most the statements that ran during the crash fail; later requests have waited.
    expect(failed.length).toBeLessThanOrEqual(SIZE);
    expect(failed.filter(({ began }) => began > crashed + 1000)).toEqual([]);
    expect(log.length).toBeGreaterThan(100);
    expect(pool.getStats()).toMatchObject({ poolSize: SIZE, poolAvailable: SIZE, requestsWaiting: 0 });
    // One attempt per second while it was down, beside the first ones.
    const down = Math.ceil((accepted - crashed) / 1000);
    expect(pool.getStats().connectionsErrors).toBeLessThanOrEqual(SIZE + down + 3);
  });
});
