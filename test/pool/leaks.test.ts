import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { errors, type AsyncConnection, type AsyncConnectionPool } from '../../src/index.js';
import type { LeakMessage } from '../../src/diagnostics.js';
import { LeakWatch, Origin, type WatchedCheckout } from '../../src/pool/leak-watch.js';
import { admin, makePool } from '../support/database.js';
import { heard } from '../support/diagnostics.js';
import { heldStatement } from '../support/held-statement.js';
import { FakeClock } from '../support/fake-clock.js';
import { warningsOf } from '../support/warnings.js';

/** Runs two collections and their finalizers. */
async function collectTwice(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    // A connection object is registered a few milliseconds after its checkout, so the second collection finds it at the latest.
    await tick();
    globalThis.gc!();
    await sleep(10);
  }
}

// Promise 27: a leak is reported once, with the stack of the call that took the connection, and so is its end.
describe('a connection that is checked out for longer than leakThreshold', () => {
  it('is reported once, at that time, and once more when it is returned', async () => {
    const clock = new FakeClock();
    const watch = new LeakWatch('orders', 5, clock);
    const leaks = heard<LeakMessage>('usingpg:leak');
    const returns = heard<LeakMessage>('usingpg:leak-returned');
    const warnings = await warningsOf('USINGPG_LEAK', () => {
      const take = (backendPid: number): WatchedCheckout & { origin: Origin } => ({
        origin: new Origin(take),
        since: clock.now(),
        backendPid,
        hasEnded: false,
      });
      const [slow, quick] = [take(42), take(43)];
      watch.begin(slow, slow.origin);
      watch.begin(quick, quick.origin);
      clock.advance(4.9);
      watch.end(quick, false);
      expect(leaks).toEqual([]);
      clock.advance(0.2);
      expect(leaks).toHaveLength(1);
      clock.advance(100);
      watch.end(slow, false);
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/'orders' \(backend 42\) has been lent out for 5\.0 seconds/);
    expect(leaks).toMatchObject([{ pool: 'orders', backendPid: 42, seconds: 5, collected: false }]);
    expect(leaks[0]!.stack).toContain('leaks.test.ts');
    expect(returns).toMatchObject([{ pool: 'orders', backendPid: 42, collected: false }]);
    expect(returns[0]!.seconds).toBeCloseTo(105.1);
    expect(clock.pending).toBe(0);
  });

  it('is reported with the stack of the call that took it, for every kind of checkout', async () => {
    const pool = makePool({ maxSize: 4, leakThreshold: 0.5 });
    const leaks = heard<LeakMessage>('usingpg:leak');
    const returns = heard<LeakMessage>('usingpg:leak-returned');
    const untilReported = (): Promise<unknown> => expect.poll(() => leaks).toHaveLength(3);
    async function takenByGetconn(): Promise<void> {
      const connection = await pool.getconn();
      await untilReported();
      await pool.putconn(connection);
    }
    async function takenByScope(): Promise<void> {
      await using connection = await pool.connection();
      expect(connection.closed).toBe(false);
      await untilReported();
    }
    async function takenByCallback(): Promise<void> {
      await pool.withConnection(untilReported);
    }
    const warnings = await warningsOf('USINGPG_LEAK', async () => {
      await Promise.all([takenByGetconn(), takenByScope(), takenByCallback()]);
      // Shorter than the threshold, unless the machine is slow.
      const began = performance.now();
      await pool.execute('select 1');
      if (performance.now() - began < 400) expect(leaks).toHaveLength(3);
    });
    expect(warnings).toHaveLength(leaks.length);
    expect(leaks.map(({ backendPid }) => backendPid).sort()).toEqual(
      returns.map(({ backendPid }) => backendPid).sort(),
    );
    for (const name of ['takenByGetconn', 'takenByScope', 'takenByCallback']) {
      expect(warnings.filter((warning) => warning.includes(`${name} (`))).toHaveLength(1);
      expect(leaks.filter(({ stack }) => stack?.includes(name))).toHaveLength(1);
    }
    for (const { stack, seconds } of leaks) {
      expect(stack).toMatch(/^ +at .*\n/);
      expect(stack).toContain('leaks.test.ts');
      expect(seconds).toBeGreaterThanOrEqual(0.499);
    }
  });

  it('costs no stack if leakThreshold is off', async () => {
    const [off, on] = [makePool(), makePool({ leakThreshold: 10 })];
    await Promise.all([off.wait(), on.wait()]);
    const capture = vi.spyOn(Error, 'captureStackTrace');
    onTestFinished(() => {
      capture.mockRestore();
    });
    for (const [pool, stacks] of [
      [off, 0],
      [on, 1],
    ] as const) {
      capture.mockClear();
      await pool.putconn(await pool.getconn());
      expect(capture).toHaveBeenCalledTimes(stacks);
    }
  });
});

// Promise 27: a garbage-collected connection is back within two collections.
describe('a connection that was garbage-collected without being returned', () => {
  const uses: Record<string, (connection: AsyncConnection) => Promise<unknown>> = {
    'nothing else': () => Promise.resolve(),
    'a query': async (connection) => (await connection.execute('select 1')).fetchone(),
    'a prepared statement': async (connection) => {
      for (let i = 0; i < 7; i++) await connection.execute('select %s::int', [i]);
    },
    'an error': (connection) => connection.execute('selec').catch(() => undefined),
    'a statement of its own that fails': (connection) =>
      connection.execute('select %s', [Symbol('x') as never]).catch(() => undefined),
    'a server-side cursor': async (connection) => {
      const cursor = connection.cursor({ name: 'left' });
      await cursor.execute('select generate_series(1, 1000)');
      await cursor.fetchone();
    },
    'a block': (connection) => connection.transaction(),
    'a pipeline': (connection) =>
      connection.withPipeline(async () => {
        await connection.execute('select 1');
      }),
    'a stream left early': async (connection) => {
      for await (const row of connection.cursor().stream('select generate_series(1, 1000)')) {
        if (row[0] === 3) break;
      }
    },
    notices: async (connection) => {
      const seen: string[] = [];
      connection.addNoticeHandler(({ messagePrimary }) => seen.push(String(messagePrimary)));
      connection.addNotifyHandler(({ payload }) => seen.push(payload));
      // In a transaction, it would count as a write.
      await connection.setAutocommit(true);
      await connection.execute("do $$ begin raise notice 'hello'; end $$");
      expect(seen).toEqual(['hello']);
    },
    'two-phase commit': (connection) => connection.tpcBegin(connection.xid(1, 'lost', 'x')),
  };

  it.each(Object.entries(uses))('after %s is back within two collections', async (_what, use) => {
    const pool = makePool({ maxSize: 1 });
    await pool.wait();
    const leaks = heard<LeakMessage>('usingpg:leak');
    const loseOne = async (): Promise<number> => {
      const connection = await pool.getconn();
      await use(connection);
      return connection.info.backendPid;
    };
    let pid = 0;
    const warnings = await warningsOf('USINGPG_LEAK', async () => {
      pid = await loseOne();
      expect(pool.getStats().poolAvailable).toBe(0);
      await collectTwice();
      await expect.poll(() => pool.getStats().poolAvailable).toBe(1);
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/was garbage-collected after .* taken it back.*leakThreshold/);
    expect(leaks).toMatchObject([{ pool: pool.name, backendPid: pid, stack: null, collected: true }]);
    await using next = await pool.connection();
    expect(next.info.backendPid).toBe(pid);
    expect(await (await next.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('serves a waiting request, without its uncommitted work', async () => {
    const pool = makePool({ maxSize: 1, leakThreshold: 30 });
    await pool.execute('create table if not exists lost_and_found (id int)');
    onTestFinished(async () => {
      await admin('drop table lost_and_found');
    });
    const loseIt = async (): Promise<void> => {
      const connection = await pool.getconn();
      await connection.execute('insert into lost_and_found values (1)');
    };
    const returned = heard<LeakMessage>('usingpg:leak-returned');
    let warnings: string[] = [];
    const uncommitted = await warningsOf('USINGPG_UNCOMMITTED', async () => {
      warnings = await warningsOf('USINGPG_LEAK', async () => {
        await loseIt();
        const waiting = pool.execute('select count(*)::int from lost_and_found');
        await collectTwice();
        expect((await waiting).rows).toEqual([[0]]);
      });
    });
    expect(uncommitted).toHaveLength(1);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/It was taken here:\n(?:.*\n)*.*loseIt/);
    // It was not reported before, so its return is not reported, either.
    expect(returned).toEqual([]);
  });

  it('that was reported before is reported as returned, without a second warning', async () => {
    const pool = makePool({ maxSize: 1, leakThreshold: 0.02 });
    const reported = heard<LeakMessage>('usingpg:leak');
    const returned = heard<LeakMessage>('usingpg:leak-returned');
    const warnings = await warningsOf('USINGPG_LEAK', async () => {
      await (async () => {
        await (await pool.getconn()).execute('select 1');
      })();
      await expect.poll(() => reported).toHaveLength(1);
      await collectTwice();
      await expect.poll(() => pool.getStats().poolAvailable).toBe(1);
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('has been lent out');
    expect(returned).toMatchObject([{ collected: true }]);
  });

  it('is distinguished from returned connections, however many there were', async () => {
    const pool = makePool({ maxSize: 5 });
    const warnings = await warningsOf('USINGPG_LEAK', async () => {
      for (let round = 0; round < 20; round++) {
        await Promise.all(
          Array.from({ length: 50 }, async (_, i) => {
            const connection = await pool.getconn();
            if (i % 2 === 0) await connection.execute('select 1');
            else if (i % 3 === 0) await tick();
            await pool.putconn(connection);
          }),
        );
      }
      const lose = async (): Promise<void> => {
        await (await pool.getconn()).execute('select 1');
      };
      for (let i = 0; i < 3; i++) await lose();
      await collectTwice();
      await expect.poll(() => pool.getStats().poolAvailable).toBe(pool.getStats().poolSize);
    });
    expect(warnings).toHaveLength(3);
  });
});

describe('a connection that is in use', () => {
  const ways: Record<string, (pool: AsyncConnectionPool) => Promise<() => Promise<unknown>>> = {
    'its cursor': async (pool) => {
      const cursor = await (await pool.getconn()).execute('select generate_series(1, 3)');
      return () => cursor.fetchall();
    },
    'its block': async (pool) => {
      const transaction = await (await pool.getconn()).transaction();
      return () => transaction.commit();
    },
    'its notifications': async (pool) => {
      const connection = await pool.getconn();
      await connection.setAutocommit(true);
      await connection.execute('listen lost');
      const loop = connection.notifies();
      const first = loop.next();
      return async () => {
        await admin("notify lost, 'one'");
        await expect(first).resolves.toMatchObject({ value: { payload: 'one' } });
        await admin("notify lost, 'two'");
        await expect(loop.next()).resolves.toMatchObject({ value: { payload: 'two' } });
        await loop.return();
      };
    },
    'its stream': async (pool) => {
      const rows = (await pool.getconn())
        .cursor()
        .stream('select generate_series(1, 1000)', null, { size: 10 });
      await rows.next();
      return async () => {
        let count = 1;
        for await (const row of rows) count += row.length;
        expect(count).toBe(1000);
      };
    },
    'its COPY': async (pool) => {
      const connection = await pool.getconn();
      await connection.execute('create temp table copied (id int)');
      const copy = await connection.cursor().copy('copy copied from stdin');
      return async () => {
        await copy.writeRow([1]);
        await copy.finish();
      };
    },
    'a statement that runs': async (pool) => {
      const held = await heldStatement();
      const running = (await pool.getconn()).execute(held.text);
      return async () => {
        await held.release();
        await running;
      };
    },
  };

  it.each(Object.entries(ways))('by %s is left alone', async (_what, prepare) => {
    const pool = makePool({ maxSize: 1 });
    const goOn = await prepare(pool);
    await collectTwice();
    await collectTwice();
    await goOn();
    await pool.close(0);
  });
});

describe('the message of a timeout', () => {
  const timeoutOf = async (waiting: Promise<unknown>): Promise<string> => {
    const error: unknown = await waiting.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.PoolTimeout);
    return (error as Error).message;
  };

  it('names the task that waits for itself, with leakThreshold', async () => {
    const pool = makePool({ maxSize: 1, leakThreshold: 10 });
    const message = await pool.withConnection(async (outer) => {
      await outer.execute('select 1');
      return timeoutOf(
        (async () => {
          await sleep(1);
          return pool.execute('select 2', null, { timeout: 0.05 });
        })(),
      );
    });
    expect(message).toMatch(/the task that waits holds it itself, taken at .*leaks\.test\.ts:\d+:\d+/);
    expect(message).toContain('nothing is running on those lent out');
  });

  it('names each of several tasks that hold one connection and request another', async () => {
    const pool = makePool({ maxSize: 3, leakThreshold: 10 });
    let there = 0;
    let told = 0;
    const messages = await pool.map(
      [1, 2, 3],
      async () => {
        there++;
        while (there < 3) await sleep(1);
        const message = await timeoutOf(pool.withTransaction(() => Promise.resolve(), { timeout: 0.05 }));
        told++;
        while (told < 3) await sleep(1);
        return message;
      },
      { concurrency: 3 },
    );
    for (const message of messages) {
      expect(message).toMatch(
        /the task that waits holds 1 of them itself, taken at .*; others were taken at .*\(2 times\)/,
      );
    }
  });

  it('does not blame a task for connections of others, and reports where these were taken', async () => {
    const pool = makePool({ maxSize: 1, leakThreshold: 10 });
    const held = await heldStatement();
    async function holder(): Promise<void> {
      await pool.withConnection((connection) => connection.execute(held.text));
    }
    await pool.wait();
    const holding = holder();
    const message = await timeoutOf(pool.connection({ timeout: 0.05 }));
    expect(message).not.toContain('itself');
    expect(message).toMatch(/those lent out were taken at (?:async )?holder \(/);
    expect(message).not.toContain('nothing is running');
    await held.release();
    await holding;
    // The task has released it.
    await pool.withConnection(async () => Promise.resolve());
    const kept = await pool.getconn();
    expect(await timeoutOf(pool.connection({ timeout: 0.05 }))).not.toContain('the task that waits');
    await pool.putconn(kept);
  });

  it.each([
    ['connection()', (pool: AsyncConnectionPool) => pool.connection()],
    ['getconn()', (pool: AsyncConnectionPool) => pool.getconn()],
  ])('explains a wait of a task for itself without leakThreshold: %s', async (_, take) => {
    const pool = makePool({ maxSize: 1 });
    await using outer = await take(pool);
    await outer.execute('select 1');
    expect(await timeoutOf(pool.execute('select 2', null, { timeout: 0.05 }))).toContain(
      'nothing is running on those lent out; the only connection had been taken before this wait began, and none came back: if the' +
        ' code that waits holds it itself, it waits for itself; let it use that connection, or give it back first',
    );
    await using larger = makePool({ maxSize: 2 });
    await using working = await take(larger);
    await using waiting = await take(larger);
    const held = await heldStatement();
    const running = working.execute(held.text);
    await waiting.execute('select 1');
    expect(await timeoutOf(larger.connection({ timeout: 0.05 }))).toContain(
      'all 2 connections had been taken before this wait began, and none came back: if the code that waits holds one of those on' +
        ' which nothing is running itself',
    );
    await held.release();
    await running;
  });

  it('does not suspect a task that waits for a slow statement, or while connections come and go', async () => {
    const pool = makePool({ minSize: 2 });
    await pool.wait();
    const statement = await heldStatement();
    const slow = [1, 2].map(() => pool.execute(statement.text));
    expect(await timeoutOf(pool.connection({ timeout: 0.1 }))).not.toContain('waits for itself');
    await statement.release();
    await Promise.all(slow);

    const held = await pool.getconn();
    // The other connection changes hands while the last request waits.
    const passOn: (() => void)[] = [];
    const others = [0, 1].map((i) =>
      pool.withConnection(() => new Promise<void>((resolve) => (passOn[i] = resolve))),
    );
    await expect.poll(() => passOn).toHaveLength(1);
    const late = timeoutOf(pool.connection({ timeout: 0.3 }));
    passOn[0]!();
    expect(await late).not.toContain('waits for itself');
    passOn[1]!();
    await Promise.all(others);
    await pool.putconn(held);
  });

  it('names the task if it is known, else the places of the checkouts', async () => {
    const pool = makePool({ maxSize: 1, leakThreshold: 10 });
    const message = await pool.withConnection(() => timeoutOf(pool.connection({ timeout: 0.05 })));
    expect(message).toContain('the task that waits holds it itself');
    expect(message).not.toContain('if the code that waits');
    const held = await pool.getconn();
    // No known task holds it, so the place is reported.
    expect(await timeoutOf(pool.connection({ timeout: 0.05 }))).toMatch(
      /those lent out were taken at .*leaks\.test\.ts.*; the only connection had been taken before/,
    );
    await pool.putconn(held);
  });

  it('always reports how many connections are checked out, and for how long', async () => {
    const pool = makePool({ maxSize: 2 });
    const held = [await pool.getconn(), await pool.getconn()];
    await sleep(100);
    const message = await timeoutOf(pool.connection({ timeout: 0.05 }));
    expect(message).toMatch(
      /within 0\.05 seconds \(maxSize 2: 2 lent out for up to \d\.\d seconds, 0 idle, 0 connecting, 0 more waiting\)/,
    );
    expect(message).toContain('nothing is running on those lent out');
    for (const connection of held) await pool.putconn(connection);
  });
});
