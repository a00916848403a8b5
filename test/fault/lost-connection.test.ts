import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  TransactionStatus,
  type PoolOptions,
} from '../../src/index.js';
import { limitsFor } from '../../src/session/limits.js';
import { admin, applicationName, backends, connect, dsn, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { untilRunning } from '../support/until-running.js';

async function untilClosed(connection: AsyncConnection): Promise<void> {
  while (!connection.closed) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** A pool behind a proxy of its own; both are closed when the test ends. */
async function proxiedPool(options: PoolOptions): Promise<{ pool: AsyncConnectionPool; proxy: FaultProxy }> {
  const { host, port } = conninfoToDict(inject('dsn'));
  const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: proxy.port }), options);
  onTestFinished(() => pool.close());
  return { pool, proxy };
}

describe('a backend that is killed', () => {
  it('while idle: the next statement rejects with the server’s error, and so does every later one', async () => {
    const connection = await connect();
    await terminate(connection.info.backendPid);
    await untilClosed(connection);
    for (let i = 0; i < 3; i++) {
      await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.AdminShutdown);
    }
    expect(connection.broken).toBe(true);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.UNKNOWN);
    await expect(connection.commit()).rejects.toBeInstanceOf(errors.AdminShutdown);
  });

  it('while a statement runs: that one and the waiting ones reject with the server’s error', async () => {
    const connection = await connect();
    const pid = connection.info.backendPid;
    const running = [
      connection.execute('select pg_sleep(20)'),
      connection.execute('select 2'),
      connection.commit(),
    ];
    const settled = Promise.allSettled(running);
    while (
      (await admin('select 1 from pg_stat_activity where pid = $1 and query like $2', [pid, '%pg_sleep%']))
        .length === 0
    );
    await terminate(pid);
    for (const result of await settled) {
      expect(result.status).toBe('rejected');
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.AdminShutdown);
    }
  });

  it('in a transaction: its work is undone, and its block rejects', async () => {
    await admin('create table if not exists killed (id int)');
    try {
      const connection = await connect();
      await expect(
        connection.withTransaction(async () => {
          await connection.execute('insert into killed values (1)');
          await terminate(connection.info.backendPid);
          await untilClosed(connection);
        }),
      ).rejects.toBeInstanceOf(errors.AdminShutdown);
      expect(await admin('select * from killed')).toEqual([]);
    } finally {
      await admin('drop table killed');
    }
  });

  it('never makes a statement escape its transaction, at any of its statements and under concurrent load', async () => {
    const ROUNDS = 500;
    const LANES = 4;
    const STEPS = 6;
    await admin('create table if not exists escaped (round int, step int)');
    const stop = new AbortController();
    // Concurrent load, on connections that come and go beside the killed ones.
    const pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 2 });
    let answered = 0;
    const traffic = [1, 2].map(async (worker) => {
      while (!stop.signal.aborted) {
        const { rows } = await pool.execute('select %s::int, %s::int', [worker, ++answered]);
        expect(rows[0]![0]).toBe(worker);
        await sleep(5);
      }
    });
    const runRound = async (round: number): Promise<void> => {
      const connection = await AsyncConnection.connect(dsn());
      // The last position is before the COMMIT.
      const killAt = round % (STEPS + 1);
      let failed = 0;
      for (let step = 0; step <= STEPS; step++) {
        if (step === killAt)
          await pool.execute('select pg_terminate_backend(%s)', [connection.info.backendPid]);
        if (step === STEPS) break;
        try {
          await connection.execute('insert into escaped values (%s, %s)', [round, step]);
        } catch (error) {
          expect(error).toBeInstanceOf(errors.OperationalError);
          failed++;
        }
        if (failed > 0)
          await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
      }
      if (failed === 0) await untilClosed(connection);
      await expect(connection.commit()).rejects.toBeInstanceOf(errors.OperationalError);
      await connection.close();
    };
    try {
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < ROUNDS) await runRound(next++);
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      expect(await admin('select * from escaped')).toEqual([]);
      expect(answered).toBeGreaterThan(ROUNDS / 10);
    } finally {
      stop.abort();
      await Promise.all(traffic);
      await pool.close();
      await admin('drop table escaped');
    }
  }, 300_000);

  it('of an idle checked-out connection is not replaced for its borrower, whose next statement rejects', async () => {
    const { pool, proxy } = await proxiedPool({ minSize: 1, maxSize: 1 });
    await using connection = await pool.connection();
    await connection.execute('select 1');
    await terminate(connection.info.backendPid);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.AdminShutdown);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.AdminShutdown);
    expect(proxy.connections).toHaveLength(1);
  });

  it('is not replaced silently for the user of the connection', async () => {
    const target = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: target['host']!, port: Number(target['port']) });
    const connection = await AsyncConnection.connect(dsn({ host: '127.0.0.1', port: proxy.port }));
    await connection.execute('select 1');
    proxy.resetAll();
    await untilClosed(connection);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.OperationalError);
    expect(proxy.connections).toHaveLength(1);
    await connection.close();
  });
});

describe('a network that swallows everything', () => {
  it('is abandoned at once when the signal is aborted, and the pool goes on without the connection', async () => {
    const { pool, proxy } = await proxiedPool({ minSize: 1, maxSize: 1 });
    let lost: AsyncConnection;
    {
      await using connection = await pool.connection();
      lost = connection;
      const controller = new AbortController();
      const running = connection.execute('select pg_sleep(60)', null, { signal: controller.signal });
      const rejected = expect(running).rejects.toBe('enough');
      await untilRunning(dsn(), connection.info.backendPid);
      proxy.blackHole.add('up').add('down');
      const began = performance.now();
      controller.abort('enough');
      await rejected;
      // The promised bound is 0.1 seconds: the connection is closed later, but the call does not wait for that.
      expect((performance.now() - began) / 1000).toBeLessThan(limitsFor(0).ending);
      await expect.poll(() => connection.broken).toBe(true);
    }
    proxy.blackHole.clear();
    const { rows } = await pool.execute('select pg_backend_pid()', null, { timeout: 10 });
    expect(rows[0]![0]).not.toBe(lost.info.backendPid);
    // The server does not know that the client is gone.
    proxy.resetAll();
    await admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)' and application_name = $1`,
      [applicationName()],
    );
  });
});

describe('closing', () => {
  it('a pool is bounded, whatever the state of its connections, and leaves no socket', async () => {
    const LIMIT = 0.5;
    for (const isBlackHoled of [false, true]) {
      await admin('create table if not exists closing (id int)');
      const { pool, proxy } = await proxiedPool({ minSize: 5, maxSize: 6, numWorkers: 5 });
      await pool.wait();
      const [busy, copyIn, copyOut, quiet] = [
        await pool.getconn(),
        await pool.getconn(),
        await pool.getconn(),
        await pool.getconn(),
      ];
      await quiet.execute('select 1');
      const running = busy.execute('select pg_sleep(60)').catch((error: unknown) => error);
      const writing = await copyIn.cursor().copy('copy closing from stdin');
      await writing.writeRow([1]);
      const reading = await copyOut.cursor().copy('copy (select generate_series(1, 1000000)) to stdout');
      await reading.read();
      // One connection is idle. The next is being made for a waiting request, and never completes.
      proxy.blackHole.add('up').add('down');
      const last = await pool.getconn();
      const waiting = Promise.allSettled([pool.connection(), pool.connection(), pool.execute('select 1')]);
      await expect.poll(() => proxy.connections.length).toBe(6);
      if (!isBlackHoled) proxy.blackHole.clear();
      const began = performance.now();
      await pool.close(LIMIT);
      expect((performance.now() - began) / 1000).toBeLessThan(LIMIT + 4);
      for (const result of await waiting) {
        expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.PoolClosed);
      }
      for (const lent of [busy, copyIn, copyOut, quiet, last]) expect(lent.closed).toBe(true);
      await expect.poll(() => proxy.open.filter(({ left }) => !left)).toEqual([]);
      expect(await running).toBeInstanceOf(errors.OperationalError);
      await expect(writing.finish()).rejects.toBeInstanceOf(errors.Error);
      await expect(pool.connection()).rejects.toBeInstanceOf(errors.PoolClosed);
      for (const lent of [busy, copyIn, copyOut, quiet, last]) await pool.putconn(lent);
      proxy.blackHole.clear();
      proxy.resetAll();
      await admin(
        'select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = $1',
        [applicationName()],
      );
      expect(await admin('select * from closing')).toEqual([]);
      await admin('drop table closing');
    }
  });

  it('with everything in flight rejects it all and leaves no backend', async () => {
    const connection = await connect();
    const running = Promise.allSettled([
      connection.execute('select pg_sleep(20)'),
      ...Array.from({ length: 20 }, (_, i) => connection.execute('select %s', [i])),
      connection.commit(),
    ]);
    await connection.close();
    for (const result of await running) {
      expect(result.status).toBe('rejected');
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.OperationalError);
    }
    expect(connection.closed).toBe(true);
    expect(connection.broken).toBe(false);
    await connection.close();
    await expect(connection.execute('select 1')).rejects.toThrow('the connection is closed');
  });

  it('is bounded when the server no longer answers', async () => {
    const target = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: target['host']!, port: Number(target['port']) });
    const idle = await AsyncConnection.connect(dsn({ host: '127.0.0.1', port: proxy.port }));
    proxy.blackHole.add('up').add('down');
    const began = performance.now();
    await idle.close();
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it('rolls back before it resolves, so that a lock is free right after the scope', async () => {
    await admin('create table if not exists locked (id int)');
    try {
      for (let i = 0; i < 20; i++) {
        {
          await using connection = await AsyncConnection.connect(dsn());
          await connection.execute('lock table locked in access exclusive mode');
        }
        await admin(
          "begin; set local lock_timeout = '1ms'; lock table locked in access exclusive mode; rollback",
        );
      }
      expect(await admin('select * from locked')).toEqual([]);
      expect(await backends()).toEqual([]);
    } finally {
      await admin('drop table locked');
    }
  });
});
