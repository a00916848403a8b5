import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  AsyncConnectionPool,
  AsyncNullConnectionPool,
  errors,
  Listener,
  type EvictMessage,
  type GapMessage,
  type LeakMessage,
  type NoticeMessage,
  type PoolOptions,
  type ReconnectMessage,
  type RetryMessage,
  type ReturnMessage,
  type UncommittedMessage,
} from '../../src/index.js';
import { dsn, terminate } from '../support/database.js';
import { heard } from '../support/diagnostics.js';
import { freePort } from '../support/server.js';
import { warningsOf } from '../support/warnings.js';

async function readyPool(options: PoolOptions = {}): Promise<AsyncConnectionPool> {
  const pool = new AsyncConnectionPool(dsn(), { minSize: 1, ...options });
  await pool.wait();
  return pool;
}

function pidOf(pool: AsyncConnectionPool): Promise<number> {
  return pool.withConnection(({ info }) => info.backendPid);
}

describe('the channel usingpg:evict', () => {
  const evictions = (): EvictMessage[] => heard<EvictMessage>('usingpg:evict');

  it('reports a lost connection, checked out or idle', async () => {
    await using pool = await readyPool({ name: 'losing' });
    const seen = evictions();
    const backendPid = await pidOf(pool);
    await terminate(backendPid);
    await expect.poll(() => seen).toEqual([{ pool: 'losing', backendPid, reason: 'lost' }]);
    const lent = await pool.connection();
    await terminate(lent.info.backendPid);
    await expect.poll(() => lent.broken).toBe(true);
    await lent[Symbol.asyncDispose]();
    expect(seen[1]).toEqual({ pool: 'losing', backendPid: lent.info.backendPid, reason: 'lost' });
  });

  it('reports a connection that has reached its lifetime or was idle for too long', async () => {
    await using old = await readyPool({ name: 'old', maxLifetime: 0.05 });
    await using idle = await readyPool({ name: 'idle', minSize: 0, maxSize: 1, maxIdle: 0.05 });
    const seen = evictions();
    await pidOf(idle);
    await expect
      .poll(() => new Map(seen.map(({ pool, reason }) => [pool, reason])))
      .toEqual(
        new Map([
          ['old', 'lifetime'],
          ['idle', 'idle'],
        ]),
      );
    await old.close();
  });

  it('reports a connection that has served as many checkouts as it may', async () => {
    await using pool = await readyPool({ maxUses: 2 });
    const seen = evictions();
    const backendPid = await pidOf(pool);
    expect(await pidOf(pool)).toBe(backendPid);
    expect(await pidOf(pool)).not.toBe(backendPid);
    expect(seen).toEqual([{ pool: pool.name, backendPid, reason: 'uses' }]);
  });

  it('reports a connection that failed its check', async () => {
    await using pool = await readyPool({ check: () => Promise.reject(new Error('no')) });
    const seen = evictions();
    const backendPid = await pidOf(pool);
    // A connection that was just used is not checked.
    await sleep(600);
    expect(await pidOf(pool)).not.toBe(backendPid);
    expect(seen).toMatchObject([{ backendPid, reason: 'check' }]);
  });

  it('reports a connection that was unusable when it was returned', async () => {
    await using pool = await readyPool({ reset: () => Promise.reject(new Error('no')) });
    const seen = evictions();
    await warningsOf('USINGPG_RESET_FAILED', () => pidOf(pool));
    expect(seen).toMatchObject([{ reason: 'unusable' }]);
  });

  it('reports why the pool no longer needs a connection', async () => {
    const pool = await readyPool({ minSize: 2, maxSize: 2 });
    const seen = evictions();
    await pool.resize(1, 1);
    expect(seen.map(({ reason }) => reason)).toEqual(['surplus']);
    const lent = await pool.connection();
    await pool.drain();
    await lent[Symbol.asyncDispose]();
    expect(seen.map(({ reason }) => reason)).toEqual(['surplus', 'drained']);
    await pool.withConnection(() => undefined);
    await pool.close();
    expect(seen.map(({ reason }) => reason)).toEqual(['surplus', 'drained', 'closed']);
    await using none = new AsyncNullConnectionPool(dsn());
    await none.execute('select 1');
    expect(seen[3]).toMatchObject({ pool: none.name, reason: 'unneeded' });
  });
});

describe('the channel usingpg:return', () => {
  it('tells of each connection that was given back, and for how long it was lent out', async () => {
    await using pool = await readyPool({ name: 'lending' });
    const seen = heard<ReturnMessage>('usingpg:return');
    const backendPid = await pidOf(pool);
    expect(seen).toEqual([{ pool: 'lending', backendPid, seconds: expect.any(Number) }]);
    const connection = await pool.getconn();
    await sleep(50);
    expect(seen).toHaveLength(1);
    await pool.putconn(connection);
    expect(seen).toHaveLength(2);
    // Timers may be early by a millisecond.
    expect(seen[1]!.seconds).toBeGreaterThan(0.045);
    await connection[Symbol.asyncDispose]();
    expect(seen).toHaveLength(2);
  });

  it('tells of one that the pool does not keep as well, and not of a checkout that failed', async () => {
    await using pool = await readyPool({ name: 'losing' });
    const returned = heard<ReturnMessage>('usingpg:return');
    const evicted = heard<EvictMessage>('usingpg:evict');
    {
      await using connection = await pool.connection();
      await terminate(connection.info.backendPid);
      await expect.poll(() => connection.broken).toBe(true);
      await expect(pool.connection({ timeout: 0.01 })).rejects.toThrow(errors.PoolTimeout);
      expect(returned).toEqual([]);
    }
    expect(returned).toHaveLength(1);
    expect(evicted).toMatchObject([{ backendPid: returned[0]!.backendPid, reason: 'lost' }]);
  });
});

describe('the channel usingpg:reconnect', () => {
  it('reports each failed attempt to connect, and when the next one follows', async () => {
    const seen = heard<ReconnectMessage>('usingpg:reconnect');
    const port = await freePort();
    await using pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port }), {
      minSize: 1,
      name: 'trying',
      reconnectTimeout: 0.3,
    });
    await expect.poll(() => seen.at(-1)?.delay).toBeNull();
    expect(seen.length).toBeGreaterThan(1);
    for (const { pool: name, error, delay } of seen) {
      expect(name).toBe('trying');
      expect(error).toBeInstanceOf(errors.OperationalError);
      if (delay !== null) expect(delay).toBeLessThan(60);
    }
    await pool.close();
  });
});

describe('the other channels', () => {
  it('usingpg:uncommitted reports uncommitted writes', async () => {
    await using pool = await readyPool({ name: 'uncommitted' });
    const seen = heard<UncommittedMessage>('usingpg:uncommitted');
    const backendPid = await pidOf(pool);
    await warningsOf('USINGPG_UNCOMMITTED', async () => {
      await using connection = await pool.connection();
      await connection.execute('create temp table unwanted (n int)');
    });
    expect(seen).toEqual([{ pool: 'uncommitted', backendPid }]);
  });

  it('usingpg:leak and usingpg:leak-returned report a connection that is checked out for too long', async () => {
    await using pool = await readyPool({ name: 'leaking', leakThreshold: 0.02 });
    const leaks = heard<LeakMessage>('usingpg:leak');
    const returned = heard<LeakMessage>('usingpg:leak-returned');
    await warningsOf('USINGPG_LEAK', async () => {
      await using _ = await pool.connection();
      await expect.poll(() => leaks).toHaveLength(1);
      expect(returned).toEqual([]);
    });
    const known = { pool: 'leaking', collected: false, backendPid: await pidOf(pool) };
    expect(leaks).toMatchObject([known]);
    expect(leaks[0]!.stack).toContain('events.test.ts');
    expect(returned).toMatchObject([known]);
    expect(returned[0]!.seconds).toBeGreaterThanOrEqual(leaks[0]!.seconds);
  });

  it('usingpg:retry reports a transaction that is repeated', async () => {
    await using pool = await readyPool({ name: 'retrying' });
    const seen = heard<RetryMessage>('usingpg:retry');
    let attempts = 0;
    await pool.withTransaction(async (connection) => {
      if (attempts++ > 0) return;
      await connection.execute("do $$ begin raise sqlstate '40001'; end $$");
    });
    expect(seen).toMatchObject([{ pool: 'retrying', retry: 1, error: { sqlstate: '40001' } }]);
    expect(seen[0]!.delay).toBeGreaterThan(0);
  });

  it('usingpg:gap reports that a listener has lost its connection and listens again', async () => {
    await using pool = await readyPool({ name: 'listening', minSize: 1, maxSize: 2 });
    const seen = heard<GapMessage>('usingpg:gap');
    await using listener = new Listener(pool, ['one', 'two']);
    const before = new Date();
    const evicted = heard<EvictMessage>('usingpg:evict');
    const idle = await pidOf(pool);
    await listener.listen();
    await terminate(idle);
    await expect.poll(() => seen).toHaveLength(1);
    const [{ pool: name, channels, since, error }] = seen as [GapMessage];
    expect([name, channels]).toEqual(['listening', ['one', 'two']]);
    expect(error).toBeInstanceOf(errors.AdminShutdown);
    expect(since.getTime()).toBeGreaterThanOrEqual(before.getTime() - 2000);
    expect(evicted).toMatchObject([{ backendPid: idle, reason: 'lost' }]);
  });

  it('usingpg:notice reports the server’s notices', async () => {
    await using pool = await readyPool({ name: 'noticing' });
    const seen = heard<NoticeMessage>('usingpg:notice');
    await using connection = await pool.connection();
    await connection.setAutocommit(true);
    await connection.execute("do $$ begin raise warning 'mind the %', 'gap'; end $$");
    const { host, port, dbname, user, backendPid } = connection.info;
    expect(seen).toMatchObject([{ pool: 'noticing', host, port, dbname, user, backendPid }]);
    expect(seen[0]!.diag).toMatchObject({
      severityNonlocalized: 'WARNING',
      sqlstate: '01000',
      messagePrimary: 'mind the gap',
    });
  });
});
