import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnectionPool,
  conninfoToDict,
  type AsyncConnection,
  type ConninfoParams,
  type PoolOptions,
} from '../../src/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { warningsOf } from '../support/warnings.js';
import { startOwnServer, type OwnServer } from '../support/server.js';
import { query } from './bank.js';

let server: OwnServer;

beforeAll(async () => {
  server = await startOwnServer({ sql: 'CREATE ROLE standby LOGIN' });
});

afterAll(() => server.stop());

async function proxied(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(server.dsn);
  const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

/** Seconds after which the first attempt, and after which a later one, gives up a silent host: far more than the test takes. */
const FIRST = 2;
const LATER = 600;

/** A pool of several hosts, whose later attempts would wait for a silent one for minutes, unless the parameters say otherwise. */
function poolOf(
  proxies: readonly FaultProxy[],
  parameters: ConninfoParams = {},
  options: PoolOptions = {},
): AsyncConnectionPool {
  let attempts = 0;
  const pool = new AsyncConnectionPool(
    () => ({
      host: proxies.map(() => '127.0.0.1').join(','),
      port: proxies.map(({ port }) => String(port)).join(','),
      user: 'postgres',
      dbname: 'postgres',
      connect_timeout: attempts++ === 0 ? FIRST : LATER,
      ...parameters,
    }),
    { minSize: 0, maxSize: 4, numWorkers: 1, timeout: 60, ...options },
  );
  onTestFinished(() => pool.close());
  return pool;
}

function silence(proxy: FaultProxy): void {
  proxy.blackHole.add('up').add('down');
}

function waitingFor(proxy: FaultProxy): number {
  return proxy.open.filter(({ left }) => !left).length;
}

it('a pool waits once for a host that is silent, and asks it beside its searches from then on', async () => {
  const [silent, other] = [await proxied(), await proxied()];
  silence(silent);
  const pool = poolOf([silent, other]);
  const connections = [await pool.getconn()];
  expect(silent.connections).toHaveLength(1);
  for (let i = 0; i < 3; i++) connections.push(await pool.getconn());
  expect(connections.map(({ info }) => info.port)).toEqual(Array(4).fill(other.port));
  // One attempt is under way, of which no request waits for the end.
  expect(silent.connections).toHaveLength(2);
  expect(waitingFor(silent)).toBe(1);
  for (const connection of connections) await pool.putconn(connection);
  await pool.close();
  await expect.poll(() => waitingFor(silent)).toBe(0);
});

it('a host that answers again has its place in the order again', async () => {
  const [silent, other] = [await proxied(), await proxied()];
  silence(silent);
  const pool = poolOf([silent, other], {}, { maxSize: 1 });
  expect((await pool.withConnection(({ info }) => info)).port).toBe(other.port);
  await pool.drain();
  expect((await pool.withConnection(({ info }) => info)).port).toBe(other.port);
  silent.blackHole.clear();
  silent.resetAll();
  await expect
    .poll(async () => {
      await pool.drain();
      return (await pool.withConnection(({ info }) => info)).port;
    })
    .toBe(silent.port);
});

it('a search whose other hosts will not do does not wait for a silent one, so that a new primary is found at once', async () => {
  const [silent, standby] = [await proxied(), await proxied()];
  await query(server.dsn, 'ALTER ROLE standby SET default_transaction_read_only = on');
  silence(silent);
  const pool = poolOf([silent, standby], { user: 'standby', target_session_attrs: 'read-write' });
  const waiting = pool.getconn();
  await expect.poll(() => pool.getStats().connectionsErrors).toBeGreaterThanOrEqual(4);
  // The attempt beside the first search that passed the host over is still under way.
  expect(silent.connections).toHaveLength(2);
  expect(waitingFor(silent)).toBe(1);
  await query(server.dsn, 'ALTER ROLE standby SET default_transaction_read_only = off');
  const connection = await waiting;
  expect(connection.info.port).toBe(standby.port);
  expect(waitingFor(silent)).toBe(1);
  await pool.putconn(connection);
});

it('a host that did not answer the check of a connection is asked last by the first search', async () => {
  const [silent, other] = [await proxied(), await proxied()];
  const pool = poolOf(
    [silent, other],
    { connect_timeout: LATER },
    {
      maxSize: 1,
      checkAfter: 0,
      checkTimeout: 1,
      check: (conn) => AsyncConnectionPool.checkConnection(conn),
    },
  );
  expect((await pool.withConnection(({ info }) => info)).port).toBe(silent.port);
  silence(silent);
  expect((await pool.withConnection(({ info }) => info)).port).toBe(other.port);
  silent.resetAll();
});

it.each<[string, (connection: AsyncConnection) => Promise<void>]>([
  [
    'a cancel request',
    async (connection) => {
      const stuck = connection.execute('SELECT 1', [], { signal: AbortSignal.timeout(1) });
      await expect(stuck).rejects.toThrow();
    },
  ],
  ['the ROLLBACK of a connection that comes back', async () => undefined],
])('a host that did not answer %s is asked last by the first search', async (_, use) => {
  const [silent, other] = [await proxied(), await proxied()];
  const pool = poolOf([silent, other], { connect_timeout: LATER }, { maxSize: 1 });
  const connection = await pool.getconn();
  await connection.execute('SELECT 1');
  expect(connection.info.port).toBe(silent.port);
  silence(silent);
  await use(connection);
  await pool.putconn(connection);
  expect((await pool.withConnection(({ info }) => info)).port).toBe(other.port);
});

const never = (): Promise<void> => new Promise(() => undefined);

const sleeping = async (connection: AsyncConnection): Promise<void> => {
  await connection.execute('SELECT pg_sleep(600)');
};

it.each([
  ['reset', 'never ends', never],
  ['reset', 'executes a slow statement', sleeping],
  ['check', 'never ends', never],
  ['check', 'executes a slow statement', sleeping],
  ['configure', 'never ends', never],
  ['configure', 'executes a slow statement', sleeping],
] as const)('a host is not silent whose %s hook %s', async (hook, _, wait) => {
  const [one, other] = [await proxied(), await proxied()];
  let calls = 0;
  const pool = poolOf(
    [one, other],
    {},
    {
      maxSize: 1,
      checkAfter: 0,
      checkTimeout: 1,
      [hook]: async (connection: AsyncConnection) => {
        if (++calls === 1) await wait(connection);
      },
    },
  );
  await warningsOf('USINGPG_RESET_FAILED', async () => {
    await pool.withConnection(({ info }) => info);
  });
  expect((await pool.withConnection(({ info }) => info)).port).toBe(one.port);
  expect(calls).toBeGreaterThan(1);
  expect(other.connections).toEqual([]);
});

it('a host that did not answer the statement of a `reset` is asked last by the first search', async () => {
  const [silent, other] = [await proxied(), await proxied()];
  const pool = poolOf(
    [silent, other],
    { connect_timeout: LATER },
    {
      maxSize: 1,
      checkTimeout: 1,
      reset: async (connection) => {
        if (connection.info.port !== silent.port) return;
        silence(silent);
        await connection.execute('SELECT 1');
      },
    },
  );
  await warningsOf('USINGPG_RESET_FAILED', async () => {
    expect((await pool.withConnection(({ info }) => info)).port).toBe(silent.port);
    expect((await pool.withConnection(({ info }) => info)).port).toBe(other.port);
  });
  silent.resetAll();
});

it('hosts that are all silent are tried in their order, each with its connect_timeout', async () => {
  const [one, two] = [await proxied(), await proxied()];
  silence(one);
  silence(two);
  const pool = poolOf([one, two], { connect_timeout: FIRST }, { maxSize: 1 });
  const waiting = pool.getconn();
  await expect.poll(() => pool.getStats().connectionsErrors).toBe(1);
  await expect.poll(() => two.connections.length).toBe(2);
  expect(one.connections).toHaveLength(2);
  two.blackHole.clear();
  const connection = await waiting;
  expect(connection.info.port).toBe(two.port);
  await pool.putconn(connection);
});
