import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  conninfoToDict,
  errors,
  type AsyncConnection,
} from '../../src/index.js';
import { backends, dsn } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

async function proxied(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(inject('dsn'));
  const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

/** The number of sockets of this process. */
function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

// Promise 25: close is bounded, and leaves nothing behind.
describe('close() of a pool on a silent network leaves no socket of a connection', () => {
  const silence = (proxy: FaultProxy): void => {
    proxy.blackHole.add('up').add('down');
  };
  it.each<[string, (connection: AsyncConnection, proxy: FaultProxy) => Promise<unknown>]>([
    [
      'in `configure`, which waits for an answer',
      async (connection, proxy) => {
        silence(proxy);
        await connection.execute('select 1');
      },
    ],
    [
      'in `configure`, which waits for something else',
      (_connection, proxy) => {
        silence(proxy);
        return new Promise(() => undefined);
      },
    ],
    [
      'in a `configure` that has closed it, and hears nothing',
      async (connection, proxy) => {
        silence(proxy);
        await connection.close();
        await new Promise(() => undefined);
      },
    ],
  ])('%s', async (_what, configure) => {
    const proxy = await proxied();
    const before = sockets();
    let configuring = 0;
    const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: proxy.port }), {
      minSize: 2,
      configure: async (connection) => {
        configuring++;
        await configure(connection, proxy);
      },
    });
    await expect.poll(() => configuring).toBeGreaterThan(0);
    const waiting = expect(pool.connection({ timeout: 60 })).rejects.toBeInstanceOf(errors.PoolClosed);
    // Subtracts the proxy's sockets, of which each connection has two.
    const own = (): number => sockets() - before - 2 * proxy.connections.length;
    expect(own()).toBeGreaterThan(0);
    await pool.close(0.2);
    await waiting;
    await expect.poll(own).toBeLessThanOrEqual(0);
    expect(pool.getStats()).toMatchObject({ poolSize: 0, poolAvailable: 0 });
    await proxy[Symbol.asyncDispose]();
    await expect.poll(sockets).toBe(before);
  });

  it('that is being made, of either kind of pool', async () => {
    for (const Class of [AsyncConnectionPool, AsyncNullConnectionPool]) {
      const proxy = await proxied();
      silence(proxy);
      const before = sockets();
      const pool = new Class(dsn({ host: '127.0.0.1', port: proxy.port }), { maxSize: 4 });
      const waiting = expect(pool.connection({ timeout: 60 })).rejects.toBeInstanceOf(errors.PoolClosed);
      await expect.poll(() => proxy.connections.length).toBeGreaterThan(0);
      await pool.close(0.2);
      await waiting;
      expect(pool.getStats().poolSize).toBe(0);
      await proxy[Symbol.asyncDispose]();
      await expect.poll(sockets).toBe(before);
    }
  });

  it('that is being checked', async () => {
    const proxy = await proxied();
    const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: proxy.port }), { minSize: 3 });
    await pool.wait();
    silence(proxy);
    const checking = pool.check();
    await pool.close(0.2);
    await checking;
    expect(pool.getStats()).toMatchObject({ poolSize: 0, poolAvailable: 0 });
    await proxy[Symbol.asyncDispose]();
    await expect.poll(() => backends()).toEqual([]);
  });
});
