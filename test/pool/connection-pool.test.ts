import { once } from 'node:events';
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  TransactionStatus,
  type PoolOptions,
} from '../../src/index.js';
import { admin, backends, dsn, makePool, terminate } from '../support/database.js';
import { heard } from '../support/diagnostics.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { freePort } from '../support/server.js';
import { warningsOf } from '../support/warnings.js';

// Promises 1 to 7 and 38: never more backends than `maxSize`; no connection with two owners; waiters first come, first served;
// timeouts in time; nothing lost by aborts; a bounded queue; growth by need; each waiter in its own async context.
describe('checking out connections', () => {
  it('serves 1,000 tasks of 20 statements over 10 connections without a wrong row', async () => {
    const pool = makePool({ minSize: 1, maxSize: 10 });
    let wrong = 0;
    let peak = 0;
    let done = false;
    const watch = (async () => {
      while (!done) {
        peak = Math.max(peak, (await backends()).length);
        await sleep(10);
      }
    })();
    await Promise.all(
      Array.from({ length: 1000 }, async (_, task) => {
        await using connection = await pool.connection({ timeout: 60 });
        await using cursor = connection.cursor();
        for (let i = 0; i < 20; i++) {
          await cursor.execute('select %s::int, %s::int', [task, i]);
          const row = await cursor.fetchone();
          if (row?.[0] !== task || row[1] !== i) wrong++;
        }
        await connection.commit();
      }),
    );
    done = true;
    await watch;
    expect(wrong).toBe(0);
    expect(peak).toBeGreaterThan(1);
    expect(peak).toBeLessThanOrEqual(10);
    await pool.close();
    expect(await backends()).toEqual([]);
  }, 300_000);

  it('lends in turn with load_balance_hosts=random, so that every host has its part, else the last used first', async () => {
    for (const [load_balance_hosts, used] of [
      ['random', 3],
      ['disable', 1],
    ] as const) {
      await using pool = makePool({ minSize: 3 }, { load_balance_hosts });
      await pool.wait();
      const pids: number[] = [];
      for (let i = 0; i < 9; i++) {
        await pool.withConnection(({ info }) => {
          pids.push(info.backendPid);
        });
      }
      expect(new Set(pids).size).toBe(used);
      expect(pids.slice(3)).toEqual(pids.slice(0, 6));
    }
  });

  it('never has more backends than maxSize, over 10,000 checkouts by 200 workers', async () => {
    const pool = makePool({ minSize: 0, maxSize: 10 });
    const peaks: number[] = [];
    let done = false;
    const watch = (async () => {
      while (!done) {
        peaks.push((await backends()).length);
        await sleep(5);
      }
    })();
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        for (let i = 0; i < 50; i++) {
          const connection = await pool.getconn(60);
          // Some connections are lost, so that others must be made.
          if (i === 25 && Math.random() < 0.1) await connection.close();
          else await connection.execute('select 1');
          await pool.putconn(connection);
        }
      }),
    );
    done = true;
    await watch;
    expect(pool.getStats().requestsNum).toBe(10_000);
    expect(Math.max(...peaks)).toBeLessThanOrEqual(10);
  }, 300_000);

  it('never gives one connection to two owners, over 50,000 checkouts with double returns', async () => {
    const pool = makePool({ maxSize: 10, configure: (connection) => connection.setAutocommit(true) });
    let mismatches = 0;
    let misuses = 0;
    const owners = new Map<number, string>();
    await Promise.all(
      Array.from({ length: 50 }, async (_, worker) => {
        for (let i = 0; i < 1000; i++) {
          const token = `${String(worker)}-${String(i)}`;
          const connection = await pool.getconn(60);
          const { backendPid } = connection.info;
          if (owners.has(backendPid)) mismatches++;
          owners.set(backendPid, token);
          if (i % 5 === 0) {
            const set = connection.execute("select set_config('usingpg.token', %s, false)", [token]);
            const read = connection.execute("select current_setting('usingpg.token')");
            await set;
            if ((await (await read).fetchone())?.[0] !== token) mismatches++;
          } else await tick();
          if (owners.get(backendPid) !== token) mismatches++;
          owners.delete(backendPid);
          await pool.putconn(connection);
          const again = i % 2 === 0 ? pool.putconn(connection) : connection.execute('select 1');
          await again.catch((error: unknown) => {
            expect(error).toBeInstanceOf(i % 2 === 0 ? errors.ProgrammingError : errors.InterfaceError);
            misuses++;
          });
        }
      }),
    );
    expect(mismatches).toBe(0);
    expect(misuses).toBe(50_000);
    expect(pool.getStats().poolAvailable).toBe(pool.getStats().poolSize);
  }, 300_000);

  it('serves waiters in the order they came', async () => {
    const pool = makePool({ maxSize: 1 });
    const served: number[] = [];
    await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        await using connection = await pool.connection({ timeout: 60 });
        expect(connection.closed).toBe(false);
        served.push(i);
      }),
    );
    expect(served).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it('times out in time and leaves nothing waiting', async () => {
    const pool = makePool({ maxSize: 1 });
    const held = await pool.getconn();
    const late: number[] = [];
    await Promise.all(
      Array.from({ length: 500 }, async () => {
        const began = performance.now();
        await expect(pool.connection({ timeout: 0.2 })).rejects.toBeInstanceOf(errors.PoolTimeout);
        late.push(performance.now() - began - 200);
      }),
    );
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThan(-5);
    // 25 ms on an idle machine.
    expect(late[Math.floor(late.length * 0.99)]).toBeLessThan(5000);
    expect(pool.getStats().requestsWaiting).toBe(0);
    const waiting = pool.getconn(60);
    await pool.putconn(held);
    await pool.putconn(await waiting);
  });

  it('loses nothing to aborts, whenever they come', async () => {
    const pool = makePool({ maxSize: 2 });
    await pool.wait();
    let aborted = 0;
    let served = 0;
    for (let round = 0; round < 200; round++) {
      const held = [await pool.getconn(5), await pool.getconn(5)];
      const attempts = Array.from({ length: 100 }, async (_, i) => {
        const controller = new AbortController();
        const waiting = pool.connection({ signal: controller.signal });
        if (i % 4 === 0) controller.abort();
        else if (i % 4 === 1)
          queueMicrotask(() => {
            controller.abort();
          });
        else if (i % 4 === 2)
          setImmediate(() => {
            controller.abort();
          });
        try {
          await using connection = await waiting;
          expect(connection.closed).toBe(false);
          served++;
        } catch (error) {
          expect(error).toHaveProperty('name', 'AbortError');
          aborted++;
        }
      });
      for (const connection of held) void pool.putconn(connection);
      await Promise.all(attempts);
      const stats = pool.getStats();
      expect([stats.poolSize, stats.poolAvailable, stats.requestsWaiting]).toEqual([2, 2, 0]);
    }
    expect(aborted + served).toBe(20_000);
    expect(served).toBeGreaterThanOrEqual(5_000);
    expect(aborted).toBeGreaterThan(0);
  }, 300_000);

  it('refuses requests beyond maxWaiting at once', async () => {
    const pool = makePool({ maxSize: 1, maxWaiting: 5 });
    await pool.wait();
    const held = await pool.getconn();
    const callers = Array.from({ length: 100 }, () => pool.getconn(5));
    const settled = Promise.allSettled(callers);
    expect(pool.getStats().requestsWaiting).toBe(5);
    let early = 0;
    for (const caller of callers) caller.catch(() => early++);
    await tick();
    // No connection has been returned yet.
    expect(early).toBe(95);
    void pool.putconn(held);
    for (const [i, caller] of callers.slice(0, 5).entries()) {
      expect(i).toBeLessThan(5);
      await pool.putconn(await caller);
    }
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(95);
    for (const result of refused) {
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.TooManyRequests);
    }
  });

  it('grows by need: a burst of short work opens no more connections than it uses', async () => {
    let connecting = 0;
    let most = 0;
    class Slow extends AsyncConnection {
      static override async connect(...args: unknown[]): Promise<never> {
        most = Math.max(most, ++connecting);
        await sleep(150);
        try {
          return (await (AsyncConnection.connect as (...all: unknown[]) => Promise<unknown>).apply(
            this,
            args,
          )) as never;
        } finally {
          connecting--;
        }
      }
    }
    const pool = makePool({
      minSize: 1,
      maxSize: 20,
      connectionClass: Slow as unknown as typeof AsyncConnection,
    });
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        await using connection = await pool.connection();
        expect(connection.closed).toBe(false);
        await sleep(2);
      }),
    );
    const { connectionsNum } = pool.getStats();
    expect(connectionsNum).toBeLessThanOrEqual(20);
    expect(most).toBeLessThanOrEqual(3);
    await sleep(400);
    expect(pool.getStats().connectionsNum).toBe(connectionsNum);
  });

  // Promise 36: a checkout of an idle connection and its return cost no round trip.
  it('sends nothing to the server, over 1,000 checkouts', async () => {
    const { host, port } = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: host!, port: Number(port) });
    await using pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: proxy.port }), { minSize: 1 });
    await pool.wait();
    const { bytes } = proxy.connections[0]!;
    /** The size of a statement together with everything sent before it. */
    const costOfOne = async (): Promise<number> => {
      const { up } = bytes;
      await pool.execute('select 1');
      return bytes.up - up;
    };
    await costOfOne();
    const cost = await costOfOne();
    for (let i = 0; i < 1000; i++) await pool.putconn(await pool.getconn());
    expect(await costOfOne()).toBe(cost);
    expect(pool.getStats()).toMatchObject({ requestsNum: 1003, requestsQueued: 0, connectionsNum: 1 });
  });

  it('keeps the async context of each waiter its own', async () => {
    const storage = new AsyncLocalStorage<number>();
    const pool = makePool({ maxSize: 2 });
    await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        storage.run(i, async () => {
          await using connection = await pool.connection();
          expect(storage.getStore()).toBe(i);
          await connection.execute('select 1');
          expect(storage.getStore()).toBe(i);
        }),
      ),
    );
  });
});

// Promise 24: a returned connection has no trace of its borrower.
describe('a returned connection', () => {
  it('is rolled back and idle for the next borrower, whatever its state was', async () => {
    const pool = makePool({ maxSize: 1 });
    const leaveBehind: ((connection: AsyncConnection) => Promise<unknown> | undefined)[] = [
      (connection) => connection.execute('select pg_advisory_xact_lock(4711)'),
      (connection) => connection.execute('selec').catch(() => undefined),
      (connection) => void connection.execute('select pg_sleep(20)').catch(() => undefined),
      (connection) =>
        void Promise.allSettled([connection.execute('select pg_sleep(20)'), connection.execute('select 1')]),
      (connection) => connection.execute("set local work_mem = '1MB'"),
      (connection) => connection.execute('create temp table leftover (id int)'),
      (connection) => connection.transaction(),
    ];
    let pid = 0;
    for (const leave of leaveBehind) {
      // Creating a table counts as a write.
      await warningsOf('USINGPG_UNCOMMITTED', async () => {
        await using connection = await pool.connection();
        pid ||= connection.info.backendPid;
        await leave(connection);
      });
      await using next = await pool.connection();
      expect(next.info.backendPid).toBe(pid);
      expect(next.info.transactionStatus).toBe(TransactionStatus.IDLE);
      const [row] = await admin<{ state: string; locks: bigint }>(
        `select state, (select count(*) from pg_locks where pid = $1 and locktype = 'advisory') as locks
           from pg_stat_activity where pid = $1`,
        [pid],
      );
      expect(row).toEqual({ state: 'idle', locks: '0' });
      const cursor = await next.execute(
        "select to_regclass('pg_temp.leftover'), current_setting('work_mem')",
      );
      expect((await cursor.fetchone())?.[0]).toBeNull();
    }
  });

  it('is like new with a `reset` that discards everything, whatever its borrower has committed', async () => {
    const pool = makePool({
      maxSize: 1,
      reset: async (connection) => {
        await connection.setAutocommit(true);
        await connection.execute('discard all');
        await connection.setAutocommit(false);
      },
    });
    const traces = async (connection: AsyncConnection): Promise<unknown> => {
      const cursor = await connection.execute(`select
        (select count(*)::int from pg_listening_channels()), to_regclass('pg_temp.leftover'), current_setting('work_mem'),
        (select count(*)::int from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
        (select count(*)::int from pg_cursors where is_holdable),
        (select count(*)::int from pg_prepared_statements)`);
      return cursor.fetchone();
    };
    const before = await pool.withConnection(traces);
    for (let round = 0; round < 50; round++) {
      const pid = await pool.withConnection(async (connection) => {
        await connection.execute('listen leftover');
        await connection.execute('create temp table leftover (id int)');
        await connection.execute("set work_mem = '77MB'");
        await connection.execute('select pg_advisory_lock(4711)');
        await connection.execute('declare leftover cursor with hold for select 1');
        for (let i = 0; i < 6; i++) await connection.execute('select %s::int', [i]);
        return connection.info.backendPid;
      });
      await using next = await pool.connection();
      expect(next.info.backendPid).toBe(pid);
      expect(await traces(next)).toEqual(before);
      for (let i = 0; i < 7; i++) {
        expect(await (await next.execute('select %s::int', [i])).fetchone()).toEqual([i]);
      }
    }
  });

  it('is dead to its borrower, cursors and blocks included', async () => {
    const pool = makePool();
    const connection = await pool.getconn();
    const cursor = await connection.execute('select 1');
    await connection.rollback();
    const block = await connection.transaction();
    await pool.putconn(connection);
    expect(connection.closed).toBe(true);
    for (const use of [
      () => connection.execute('select 1'),
      () => connection.commit(),
      () => connection.rollback(),
      () => connection.setAutocommit(true),
      () => connection.transaction(),
      () => cursor.execute('select 1'),
      () => cursor.fetchone(),
      () => cursor.executemany('select %s', [[1]]),
      () => block.commit(),
    ]) {
      await expect((async () => use())()).rejects.toBeInstanceOf(errors.InterfaceError);
    }
    expect(() => connection.cursor()).toThrow(errors.InterfaceError);
    await connection.close();
    await connection[Symbol.asyncDispose]();
    const next = await pool.getconn();
    expect(await (await next.execute('select 1')).fetchone()).toEqual([1]);
    await pool.putconn(next);
  });

  it('of another pool, or of none, is refused', async () => {
    const [one, other] = [makePool(), makePool()];
    const connection = await one.getconn();
    await expect(other.putconn(connection)).rejects.toBeInstanceOf(errors.ProgrammingError);
    await one.putconn(connection);
    const alone = await AsyncConnection.connect(dsn());
    await expect(one.putconn(alone)).rejects.toThrow(one.name);
    await alone.close();
  });

  it('that was lost is replaced and counted', async () => {
    const pool = makePool({ maxSize: 2 });
    const connection = await pool.getconn();
    await terminate(connection.info.backendPid);
    await expect(connection.execute('select 1')).rejects.toBeInstanceOf(errors.AdminShutdown);
    await pool.putconn(connection);
    expect(pool.getStats().returnsBad).toBe(1);
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
  });

  it('with uncommitted writes raises one warning per pool, a message and a count, and never with a commit', async () => {
    const pool = makePool();
    await pool.execute('create table if not exists visit (id int)');
    onTestFinished(async () => {
      await admin('drop table visit');
    });
    const messages = heard('usingpg:uncommitted');
    const warnings = await warningsOf('USINGPG_UNCOMMITTED', async () => {
      for (let i = 0; i < 3; i++) {
        await using connection = await pool.connection();
        await connection.execute('insert into visit values (%s)', [i]);
      }
      await pool.withConnection((connection) => connection.execute('select * from visit'));
      await using writer = await pool.connection();
      await writer.execute('insert into visit values (9)');
      await writer.commit();
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(pool.name);
    expect(messages).toHaveLength(3);
    expect(pool.getStats().returnsUncommitted).toBe(3);
    expect(await admin('select id from visit')).toEqual([{ id: 9 }]);
  });
});

describe('withConnection(), execute() and map()', () => {
  it('commit if the callback returns and roll back if it throws', async () => {
    const pool = makePool();
    await pool.execute('create table if not exists ledger (id int)');
    onTestFinished(async () => {
      await admin('drop table ledger');
    });
    const boom = new Error('boom');
    await pool.withConnection((connection) => {
      // Not awaited here: the commit waits for it.
      void connection.execute('insert into ledger values (1)');
    });
    await expect(
      pool.withConnection(async (connection) => {
        await connection.execute('insert into ledger values (2)');
        throw boom;
      }),
    ).rejects.toBe(boom);
    const result = await pool.execute('insert into ledger values (%s) returning id', [3]);
    expect(result).toMatchObject({ rows: [[3]], rowcount: 1, statusmessage: 'INSERT 0 1' });
    expect(result.description).toMatchObject([{ name: 'id', typeDisplay: 'int4' }]);
    expect(await admin('select id from ledger order by 1')).toEqual([{ id: 1 }, { id: 3 }]);
  });

  it('reject when the connection was lost before the commit', async () => {
    const pool = makePool();
    await expect(
      pool.withConnection(async (connection) => {
        await connection.execute('select 1');
        await terminate(connection.info.backendPid);
        while (!connection.closed) await sleep(1);
      }),
    ).rejects.toBeInstanceOf(errors.AdminShutdown);
  });

  it('map in order, at most `concurrency` at once, from both kinds of sources', async () => {
    const pool = makePool({ maxSize: 4 });
    let running = 0;
    let most = 0;
    async function* source(): AsyncGenerator<number> {
      for (let i = 0; i < 40; i++) {
        await sleep(0);
        yield i;
      }
    }
    const square = async (connection: AsyncConnection, item: number, index: number): Promise<number> => {
      most = Math.max(most, ++running);
      const cursor = await connection.execute('select %s::int', [item * index]);
      running--;
      return ((await cursor.fetchone()) as [number])[0];
    };
    const expected = Array.from({ length: 40 }, (_, i) => i * i);
    expect(await pool.map(expected.keys(), square, { concurrency: 3 })).toEqual(expected);
    expect(most).toBeLessThanOrEqual(3);
    expect(await pool.map(source(), square)).toEqual(expected);
    await expect(pool.map([1], square, { concurrency: 0 })).rejects.toBeInstanceOf(errors.ProgrammingError);
  });

  it('stop map() at the first error, and when it is aborted', async () => {
    const pool = makePool({ maxSize: 2 });
    const seen: number[] = [];
    await expect(
      pool.map(Array.from({ length: 100 }).keys(), async (connection, item, _index, { signal }) => {
        seen.push(item);
        // On a busy machine, later items could be done before the fourth has failed.
        if (item > 3 && !signal.aborted) await once(signal, 'abort');
        await connection.execute('select 1 / %s::int', [item - 3]);
      }),
    ).rejects.toBeInstanceOf(errors.DivisionByZero);
    expect(seen.length).toBeLessThan(10);
    const controller = new AbortController();
    await expect(
      pool.map(
        Array.from({ length: 100 }).keys(),
        async (_connection, item) => {
          if (item === 3) controller.abort();
          await Promise.resolve();
        },
        { signal: controller.signal },
      ),
    ).rejects.toHaveProperty('name', 'AbortError');
  });
});

describe('opening and closing', () => {
  it('happens in the background, and requests get the error of a failed attempt', async () => {
    const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: await freePort() }), { minSize: 1 });
    const error: unknown = await pool.connection({ timeout: 2 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    expect((error as Error).message).toContain('connection refused');
    expect((error as Error).cause).toBeInstanceOf(errors.OperationalError);
    await pool.close();
  });

  it('with `wait` rejects with the reason when there is no server, and closes the pool', async () => {
    const pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: await freePort() }), { open: false });
    expect(pool.closed).toBe(true);
    await expect(pool.connection()).rejects.toBeInstanceOf(errors.PoolClosed);
    const error: unknown = await pool.open({ wait: true, timeout: 2 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    expect((error as Error).cause).toBeInstanceOf(errors.OperationalError);
    expect(pool.closed).toBe(true);
    await expect(pool.open()).rejects.toBeInstanceOf(errors.OperationalError);
  });

  it('closes idle and borrowed connections, refuses waiters, and is bounded', async () => {
    const pool = makePool({ minSize: 2, maxSize: 2 });
    await pool.wait();
    const [busy, idleInHand] = [await pool.getconn(), await pool.getconn()];
    const running = busy.execute('select pg_sleep(20)').catch((error: unknown) => error);
    const waiting = Promise.allSettled([pool.connection(), pool.connection()]);
    const began = performance.now();
    await pool.close(0.3);
    expect(performance.now() - began).toBeLessThan(10_000);
    for (const result of await waiting) {
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(errors.PoolClosed);
    }
    expect(await running).toBeInstanceOf(errors.OperationalError);
    await pool.putconn(idleInHand);
    await expect(pool.connection()).rejects.toBeInstanceOf(errors.PoolClosed);
    // A backend whose connection was dropped takes a moment to notice.
    await expect.poll(backends).toEqual([]);
    await pool.close();
  });

  it('while connecting leaves no connection', async () => {
    for (let i = 0; i < 20; i++) {
      const pool = new AsyncConnectionPool(dsn(), { minSize: 3 });
      if (i % 2 === 0) await sleep(i / 2);
      await pool.close();
    }
    // A backend in its startup takes a moment to notice.
    await expect.poll(backends).toEqual([]);
  });
});

describe('maintenance', () => {
  it('configures each connection once, resets it on return, and discards one left in a transaction', async () => {
    const calls: string[] = [];
    const pool = makePool({
      configure: async (connection) => {
        calls.push('configure');
        await connection.setAutocommit(true);
      },
      reset: async (connection) => {
        calls.push('reset');
        await connection.execute('select 1');
      },
    });
    for (let i = 0; i < 2; i++) {
      await using connection = await pool.connection();
      expect(connection.autocommit).toBe(true);
    }
    expect(calls).toEqual(['configure', 'reset', 'reset']);
    const messy = makePool({
      reset: async (connection) => {
        await connection.execute('select 1');
      },
    });
    const warnings = await warningsOf('USINGPG_RESET_FAILED', async () => {
      await messy.execute('select 1');
    });
    expect(warnings[0]).toContain('INTRANS');
    expect(messy.getStats().returnsBad).toBe(1);
    const unready = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      open: false,
      configure: async (connection) => {
        await connection.execute('select 1');
      },
    });
    const error: unknown = await unready.open({ wait: true, timeout: 2 }).catch((reason: unknown) => reason);
    expect((error as Error).cause).toHaveProperty('message', expect.stringContaining('`configure`'));
  });

  it('checks a connection before lending it, unless it was just used', async () => {
    let checks = 0;
    const pool = makePool({
      check: async (connection) => {
        checks++;
        await AsyncConnectionPool.checkConnection(connection);
      },
    });
    // The second use follows the first at once, unless the machine is slow.
    await expect
      .poll(async () => {
        await pool.execute('select 1');
        const began = performance.now();
        checks = 0;
        await pool.execute('select 1');
        return performance.now() - began < 400 ? checks : 'too late';
      })
      .toBe(0);
    checks = 0;
    await sleep(550);
    await pool.execute('select 1');
    expect(checks).toBe(1);
  });

  it('resizes, drains, checks, and has correct statistics', async () => {
    const pool = makePool({ minSize: 2, maxSize: 4 });
    await pool.wait();
    const connection = await pool.getconn();
    await sleep(20);
    await pool.putconn(connection);
    await expect(Promise.all(Array.from({ length: 5 }, () => pool.getconn(3)))).rejects.toBeInstanceOf(
      errors.PoolTimeout,
    );
    await expect.poll(() => pool.getStats().poolSize).toBe(4);
    const stats = pool.getStats();
    expect(stats).toMatchObject({
      poolMin: 2,
      poolMax: 4,
      poolSize: 4,
      poolAvailable: 0,
      requestsWaiting: 0,
      requestsNum: 6,
      requestsQueued: 3,
      requestsErrors: 1,
      returnsBad: 0,
      connectionsNum: 4,
      connectionsErrors: 0,
      connectionsLost: 0,
      returnsUncommitted: 0,
    });
    expect(stats.usageMs).toBeGreaterThanOrEqual(19);
    expect(stats.requestsWaitMs).toBeGreaterThanOrEqual(95);
    expect(stats.connectionsMs).toBeGreaterThan(0);
    expect(pool.popStats().requestsNum).toBe(6);
    expect(pool.getStats().requestsNum).toBe(0);
    await pool.close(0.1);

    const other = makePool({ minSize: 2 });
    await other.wait();
    const before = await backends();
    await other.drain();
    await other.wait();
    await other.check();
    expect((await backends()).some((pid) => before.includes(pid))).toBe(false);
    await other.resize(1, 3);
    expect([other.minSize, other.maxSize]).toEqual([1, 3]);
    await other.resize(2);
    expect(other.maxSize).toBe(2);
    await expect(other.resize(3, 2)).rejects.toBeInstanceOf(errors.ProgrammingError);
    const [victim] = await backends();
    await terminate(victim!);
    await other.wait();
    await other.check();
    expect((await other.execute('select 1')).rows).toEqual([[1]]);
    expect(other.getStats().connectionsLost).toBe(1);
  });

  it('takes the parameters of each connection from a function', async () => {
    let asked = 0;
    const pool = new AsyncConnectionPool(
      async () => {
        asked++;
        return Promise.resolve(dsn());
      },
      { minSize: 2 },
    );
    await pool.wait();
    expect(asked).toBe(2);
    await pool.close();
  });

  it('refuses invalid options at once', () => {
    for (const options of [
      { minSize: -1 },
      { maxSize: 0, minSize: 0 },
      { minSize: 5, maxSize: 4 },
      { maxSize: 2 },
      { timeout: -1 },
      { maxWaiting: 1.5 },
      { numWorkers: 0 },
      { check: 'yes' },
      { maxLifetime: Number.NaN },
      { maxUses: -1 },
      { maxUses: 1.5 },
      { max: 10 },
    ] as PoolOptions[]) {
      expect(() => new AsyncConnectionPool(dsn(), options)).toThrow(errors.ProgrammingError);
    }
  });
});
