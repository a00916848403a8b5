import { expect, inject, it } from 'vitest';
import { AsyncConnectionPool, conninfoToDict } from '../../src/index.js';
import { dsn, makePool } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

async function proxyToServer(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(inject('dsn'));
  return FaultProxy.to({ host: String(host), port: Number(port) });
}

it('a pool whose wait() is aborted continues opening', async () => {
  await using proxy = await proxyToServer();
  proxy.latency = 0.1;
  const pool = makePool({}, { host: '127.0.0.1', port: proxy.port });
  await expect(pool.wait({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
  await expect(pool.wait({ signal: AbortSignal.timeout(20) })).rejects.toHaveProperty('name', 'TimeoutError');
  expect(pool.closed).toBe(false);
  proxy.latency = 0;
  await pool.wait();
  expect((await pool.execute('select 1')).rows).toEqual([[1]]);
});

it('a pool whose open() was aborted before is not opened', async () => {
  await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, open: false });
  await expect(pool.open({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
  expect(pool.closed).toBe(true);
  const controller = new AbortController();
  const opening = pool.open({ wait: true, signal: controller.signal });
  controller.abort('meanwhile');
  await expect(opening).rejects.toBe('meanwhile');
  expect((await pool.execute('select 1')).rows).toEqual([[1]]);
});

it('an aborted check() leaves no connection behind, and a check in progress ends in its time', async () => {
  await using proxy = await proxyToServer();
  const { host, port } = conninfoToDict(dsn());
  let made = 0;
  // New connections use the working way.
  const source = (): string =>
    made++ < 3 ? dsn({ host: '127.0.0.1', port: proxy.port }) : dsn({ host: host!, port: Number(port) });
  await using pool = new AsyncConnectionPool(source, { minSize: 3, numWorkers: 1, checkTimeout: 1 });
  await pool.wait();
  await expect(pool.check({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
  expect(pool.getStats().poolAvailable).toBe(3);
  proxy.blackHole.add('down');
  const controller = new AbortController();
  const checking = pool.check({ signal: controller.signal });
  setTimeout(() => {
    controller.abort('enough');
  }, 20);
  await expect(checking).rejects.toBe('enough');
  // One connection's check is in progress, without an answer; the others are unchanged.
  await expect.poll(() => pool.getStats().connectionsLost).toBe(1);
  proxy.blackHole.clear();
  await expect.poll(() => pool.getStats()).toMatchObject({ poolAvailable: 3, poolSize: 3 });
  expect((await pool.execute('select 1')).rows).toEqual([[1]]);
});
