import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  AsyncConnection,
  type AsyncConnectionPool,
  type PoolOptions,
  type TupleRow,
} from '../../src/index.js';
import { makePool } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';

/** Milliseconds after which a returned connection is checked. */
const UNUSED = 550;

/** A checkout of each kind; a successful one ends by itself. */
const DOORS: [string, (pool: AsyncConnectionPool) => Promise<unknown>][] = [
  ['connection()', async (pool) => pool.putconn(await pool.connection())],
  ['getconn()', async (pool) => pool.putconn(await pool.getconn())],
  ['withConnection()', (pool) => pool.withConnection(() => 1)],
  ['withTransaction()', (pool) => pool.withTransaction(() => 1)],
  ['execute()', (pool) => pool.execute('select 1')],
  ['map()', (pool) => pool.map([1], () => Promise.resolve(1))],
];

describe("a pool's connection class", () => {
  it.each(DOORS)('that throws when %s makes a connection does not block a slot', async (_door, checkOut) => {
    let throws = false;
    class Moody<R = TupleRow> extends AsyncConnection<R> {
      constructor(...args: ConstructorParameters<typeof AsyncConnection<R>>) {
        super(...args);
        if (throws) throw new Error('not today');
      }
    }
    const pool = makePool({ maxSize: 1, connectionClass: Moody });
    await pool.wait();
    throws = true;
    for (let i = 0; i < 3; i++) await expect(checkOut(pool)).rejects.toThrow('not today');
    throws = false;
    await checkOut(pool);
    expect(pool.getStats()).toMatchObject({
      poolSize: 1,
      poolAvailable: 1,
      connectionsNum: 1,
      returnsBad: 0,
    });
  });

  it('that has begun a statement before it throws loses its connection, which the next borrower does not notice', async () => {
    let throws = false;
    class Busy<R = TupleRow> extends AsyncConnection<R> {
      constructor(...args: ConstructorParameters<typeof AsyncConnection<R>>) {
        super(...args);
        if (!throws) return;
        this.execute('create temp table left_here (id int)').catch(() => undefined);
        throw new Error('not today');
      }
    }
    const pool = makePool({ maxSize: 1, connectionClass: Busy });
    await pool.wait();
    throws = true;
    await expect(pool.connection()).rejects.toThrow('not today');
    throws = false;
    const { rows } = await pool.execute("select to_regclass('left_here')");
    expect(rows).toEqual([[null]]);
    expect(pool.getStats()).toMatchObject({ connectionsNum: 2, poolSize: 1, poolAvailable: 1 });
  });
});

describe('a user’s code that throws', () => {
  const oops = (): never => {
    throw new Error('not today');
  };
  it.each<[string, PoolOptions]>([
    ['a configure', { configure: oops }],
    ['a reset', { reset: oops }],
    ['a function for the options', { connectOptions: oops }],
  ])('does not block a slot: %s', async (_which, options) => {
    let calls = 0;
    const once = Object.fromEntries(
      Object.entries(options).map(([name, fn]) => [
        name,
        (...args: unknown[]) => (++calls === 1 ? (fn as (...all: unknown[]) => unknown)(...args) : {}),
      ]),
    );
    const pool = makePool({ maxSize: 1, ...once });
    const use = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) expect((await pool.execute('select 1')).rows).toEqual([[1]]);
    };
    await ('reset' in options ? warningsOf('USINGPG_RESET_FAILED', use) : use());
    expect(calls).toBeGreaterThan(1);
    expect(pool.getStats()).toMatchObject({ poolSize: 1, poolAvailable: 1, requestsErrors: 0 });
  });

  it('in a row factory does not prevent the connection’s return', async () => {
    const pool = makePool({ maxSize: 1, connectOptions: { rowFactory: oops } });
    for (let i = 0; i < 3; i++) await expect(pool.execute('select 1')).rejects.toThrow('not today');
    expect(pool.getStats()).toMatchObject({ poolAvailable: 1, connectionsNum: 1 });
  });
});

describe('one signal', () => {
  it('serves a thousand waits for a connection without a warning, and its abort ends them all', async () => {
    const pool = makePool({ maxSize: 1 });
    const held = await pool.getconn();
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = Array.from({ length: 1000 }, () =>
      pool.getconn({ signal }).catch((error: unknown) => error),
    );
    expect(pool.getStats().requestsWaiting).toBe(1000);
    controller.abort('enough');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['enough']));
    expect(pool.getStats()).toMatchObject({ requestsWaiting: 0, requestsErrors: 1000 });
    await pool.putconn(held);
  });

  it('serves a thousand successive waits that succeed, and keeps no listener', async () => {
    const pool = makePool({ maxSize: 2 });
    const { signal } = new AbortController();
    const use = async (): Promise<void> => {
      const connection = await pool.connection({ signal });
      await pool.putconn(connection);
    };
    await Promise.all(Array.from({ length: 1000 }, use));
    expect(pool.getStats()).toMatchObject({ requestsNum: 1000, requestsErrors: 0, requestsWaiting: 0 });
    await expect.poll(() => pool.getStats().poolAvailable).toBe(2);
  });
});

describe('a request for a connection that is checked first', () => {
  it('counts as queued if the check fails and it has to wait for another connection, but not if it passes', async () => {
    let works = true;
    const pool = makePool({
      maxSize: 1,
      check: () => {
        if (!works) throw new Error('not today');
      },
    });
    await pool.wait();
    await sleep(UNUSED);
    await pool.execute('select 1');
    expect(pool.getStats()).toMatchObject({ requestsNum: 1, requestsQueued: 0, requestsWaitMs: 0 });
    works = false;
    await sleep(UNUSED);
    await pool.execute('select 1');
    const { requestsWaitMs, ...stats } = pool.getStats();
    expect(stats).toMatchObject({ requestsNum: 2, requestsQueued: 1, connectionsLost: 1, connectionsNum: 2 });
    expect(requestsWaitMs).toBeGreaterThan(0);
  });
});
