import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as tick } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { AsyncConnectionPool, AsyncNullConnectionPool, type PoolOptions } from '../../src/index.js';
import { dsn, terminate } from '../support/database.js';

const requests = new AsyncLocalStorage<object | string>();

function makePool(options: PoolOptions, Class = AsyncConnectionPool): AsyncConnectionPool {
  const pool = requests.run('the pool', () => new Class(dsn(), options));
  onTestFinished(() => pool.close());
  return pool;
}

it.each([
  ['a pool', AsyncConnectionPool, { minSize: 0, maxSize: 2, numWorkers: 1 }],
  ['a null pool', AsyncNullConnectionPool, { maxSize: 2 }],
])(
  '%s makes and checks its connections in its own context, and its users continue in theirs',
  async (_which, Class, options) => {
    const seen: unknown[] = [];
    const pool = makePool(
      {
        ...options,
        connectOptions: () => {
          seen.push(requests.getStore());
          return {};
        },
        configure: async (connection) => {
          await connection.execute('select 1');
          await connection.rollback();
          seen.push(requests.getStore());
        },
      },
      Class,
    );
    const use = (name: string): Promise<void> =>
      requests
        .run(name, () =>
          pool.withConnection(async (connection) => {
            expect(requests.getStore()).toBe(name);
            await connection.execute('select 1');
            expect(requests.getStore()).toBe(name);
            // The pool itself replaces a lost connection.
            await terminate(connection.info.backendPid);
            await expect.poll(() => connection.closed).toBe(true);
            expect(requests.getStore()).toBe(name);
            throw new Error('lost');
          }),
        )
        .catch((error: unknown) => {
          expect((error as Error).message).toBe('lost');
        });
    await Promise.all(['one', 'two', 'three', 'four'].map(use));
    expect(seen.length).toBeGreaterThanOrEqual(8);
    expect(new Set(seen)).toEqual(new Set(['the pool']));
  },
);

it('check() checks idle connections in the pool’s own context', async () => {
  const seen: unknown[] = [];
  const pool = makePool({
    minSize: 1,
    check: async (connection) => {
      seen.push(requests.getStore());
      await AsyncConnectionPool.checkConnection(connection);
      seen.push(requests.getStore());
    },
  });
  await pool.wait();
  await new Promise((resolve) => setTimeout(resolve, 550));
  await requests.run('a request', () => pool.execute('select 1'));
  expect(seen).toEqual(['the pool', 'the pool']);
});

it('idle connections and finished waits keep no context of a request alive', async () => {
  const pool = makePool({ minSize: 0, maxSize: 3, maxIdle: 600 });
  const contexts: WeakRef<object>[] = [];
  const handle = (): Promise<unknown> => {
    const context = { request: contexts.length };
    contexts.push(new WeakRef(context));
    return requests.run(context, async () => {
      await pool.withConnection(async (connection) => {
        await connection.execute('select %s::int', [1]);
        await connection.withTransaction(async () => {
          await connection.execute('select 2');
        });
      });
      await pool.execute('select 3');
      await pool.connection({ timeout: 0, signal: AbortSignal.timeout(1000) }).then(
        (connection) => pool.putconn(connection),
        () => undefined,
      );
    });
  };
  await Promise.all(Array.from({ length: 10 }, handle));
  expect(pool.getStats().poolAvailable).toBeGreaterThan(0);
  // After a while, no promises and timers of the last turns are left.
  const alive = async (): Promise<number> => {
    await tick();
    globalThis.gc!();
    return contexts.filter((context) => context.deref() !== undefined).length;
  };
  await expect.poll(alive, { timeout: 10_000 }).toBe(0);
  expect(pool.getStats().poolAvailable).toBeGreaterThan(0);
});
