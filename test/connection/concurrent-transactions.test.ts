import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CONTEXTS_ARE_FREE } from '../../src/connection/open-blocks.js';
import { errors, type AsyncConnection, type AsyncTransaction } from '../../src/index.js';
import { admin, connect, dsn, makePool, rejection } from '../support/database.js';

beforeAll(() => admin('CREATE TABLE interleaved (id int)'));
beforeEach(() => admin('TRUNCATE interleaved'));
afterAll(() => admin('DROP TABLE interleaved'));

const insert = (conn: AsyncConnection, id: number): Promise<unknown> =>
  conn.execute('INSERT INTO interleaved VALUES (%s)', [id]);

async function stored(): Promise<number[]> {
  return (await admin<{ id: number }>('SELECT id FROM interleaved ORDER BY id')).map(({ id }) => id);
}

/** A promise and the function that resolves it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Within this object's listeners, the asynchronous context of a callback is lost. */
class Elsewhere extends EventEmitter {
  readonly #work: (() => void)[] = [];
  readonly #timer = setInterval(() => {
    for (const act of this.#work.splice(0)) act();
  }, 1);

  /** Runs `act` in the asynchronous context in which this object was made. */
  run<T>(act: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#work.push(() => {
        act().then(resolve, reject);
      });
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

describe('a block of another task on a connection that is inside one', () => {
  it('is refused at once, of 20 that begin together all but the first, and the first is unharmed', async () => {
    const conn = await connect();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, id) =>
        conn.withTransaction(async () => {
          await insert(conn, id);
          await sleep(5);
          await insert(conn, id);
        }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      ...Array<string>(19).fill('rejected'),
    ]);
    for (const outcome of outcomes.slice(1)) {
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(errors.ConcurrentTransaction);
    }
    expect(await stored()).toEqual([0, 0]);
  });

  it.each<[string, (conn: AsyncConnection) => Promise<unknown>]>([
    ['withTransaction()', (conn) => conn.withTransaction(() => Promise.resolve())],
    ['transaction()', (conn) => conn.transaction()],
  ])('is refused as %s, before anything is sent', async (_, begin) => {
    const conn = await connect();
    const begun = gate();
    const done = gate();
    const first = conn.withTransaction(async () => {
      await insert(conn, 1);
      begun.open();
      await done.opened;
      await insert(conn, 2);
    });
    await begun.opened;
    const error = await rejection(begin(conn));
    expect(error).toBeInstanceOf(errors.ConcurrentTransaction);
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    done.open();
    await first;
    expect(await stored()).toEqual([1, 2]);
    // The connection is free again.
    await conn.withTransaction(() => insert(conn, 3));
    expect(await stored()).toEqual([1, 2, 3]);
  });

  it('gets an error that names both blocks and the last statement of the open one', async () => {
    const conn = await connect();
    const begun = gate();
    const done = gate();
    const outer = conn.withTransaction(() =>
      conn.withTransaction(
        async () => {
          await insert(conn, 1);
          begun.open();
          await done.opened;
        },
        { savepointName: 'first' },
      ),
    );
    await begun.opened;
    const { message } = await rejection(conn.transaction({ savepointName: 'second' }));
    expect(message).toContain('the block "first" of withTransaction()');
    expect(message).toContain('INSERT INTO interleaved VALUES ($1)');
    expect(message).toContain('the block "second" of transaction()');
    done.open();
    await outer;
  });

  it('is refused for sibling blocks within a block, too', async () => {
    const conn = await connect();
    await conn.withTransaction(async (outer) => {
      for (const begin of [conn, outer]) {
        const outcomes = await Promise.allSettled(
          [1, 2, 3].map((id) => begin.withTransaction(() => insert(conn, id))),
        );
        expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
      }
    });
    expect(await stored()).toEqual([1, 1]);
  });

  it('is refused while a block without a callback is being opened or ended', async () => {
    const conn = await connect();
    const opening = conn.transaction();
    await expect(conn.withTransaction(() => Promise.resolve())).rejects.toThrow(errors.ConcurrentTransaction);
    const transaction = await opening;
    await insert(conn, 1);
    const ending = transaction.commit();
    expect(transaction.active).toBe(true);
    await expect(conn.transaction()).rejects.toThrow(errors.ConcurrentTransaction);
    await ending;
    expect(transaction.active).toBe(false);
    expect(await stored()).toEqual([1]);
  });

  it('is refused from outside of a callback in which a block without a callback is open', async () => {
    const conn = await connect();
    using elsewhere = new Elsewhere();
    await conn.withTransaction(async () => {
      await using inner = await conn.transaction();
      await insert(conn, 1);
      await expect(elsewhere.run(() => conn.transaction())).rejects.toThrow(errors.ConcurrentTransaction);
      await conn.withTransaction(() => insert(conn, 2));
      await inner.commit();
    });
    expect(await stored()).toEqual([1, 2]);
  });

  it('is refused to a task started by the callback of a block that has ended', async () => {
    const conn = await connect();
    let late: Promise<unknown> = Promise.resolve();
    const go = gate();
    await conn.withTransaction(() => {
      late = go.opened.then(() => conn.withTransaction(() => insert(conn, 1)));
      return Promise.resolve();
    });
    const done = gate();
    const second = conn.withTransaction(() => done.opened);
    await expect.poll(() => conn.info.transactionStatus).toBe('INTRANS');
    go.open();
    await expect(late).rejects.toThrow(errors.ConcurrentTransaction);
    done.open();
    await second;
    expect(await stored()).toEqual([]);
  });

  it('is refused on a connection that a pool has lent which watches for leaks', async () => {
    const pool = makePool({ leakThreshold: 60 });
    using elsewhere = new Elsewhere();
    await pool.withTransaction(async (conn) => {
      await insert(conn, 1);
      await expect(elsewhere.run(() => conn.transaction())).rejects.toThrow(errors.ConcurrentTransaction);
      await conn.withTransaction(() => insert(conn, 2));
    });
    expect(await stored()).toEqual([1, 2]);
  });

  it('may execute statements', async () => {
    const conn = await connect();
    using elsewhere = new Elsewhere();
    await conn.withTransaction(async () => {
      await elsewhere.run(() => insert(conn, 1));
    });
    expect(await stored()).toEqual([1]);
  });
});

describe('a block that is begun within the callback of another', () => {
  it('nests at any depth', async () => {
    const conn = await connect();
    const nest = async (depth: number): Promise<void> => {
      await conn.withTransaction(async () => {
        await insert(conn, depth);
        if (depth < 20) await nest(depth + 1);
      });
    };
    await nest(1);
    expect(await stored()).toHaveLength(20);
  });

  it.each<[string, (act: () => Promise<unknown>) => Promise<unknown>]>([
    [
      'after other awaits',
      async (act) => {
        await sleep(1);
        await tick();
        return act();
      },
    ],
    [
      'in a timer',
      (act) =>
        new Promise((resolve, reject) => {
          setTimeout(() => {
            act().then(resolve, reject);
          }, 1);
        }),
    ],
    [
      'in a microtask',
      (act) =>
        new Promise((resolve, reject) => {
          queueMicrotask(() => {
            act().then(resolve, reject);
          });
        }),
    ],
    [
      'in a handler of an event',
      (act) =>
        new Promise((resolve, reject) => {
          const emitter = new EventEmitter();
          emitter.on('event', () => {
            act().then(resolve, reject);
          });
          setImmediate(() => emitter.emit('event'));
        }),
    ],
    [
      'in a loop over an asynchronous generator',
      async (act) => {
        async function* source(): AsyncGenerator<number> {
          await tick();
          yield 1;
        }
        for await (const _ of source()) await act();
      },
    ],
  ])('nests %s', async (_, begin) => {
    const conn = await connect();
    await conn.withTransaction(async () => {
      await insert(conn, 1);
      await expect(
        begin(() =>
          conn.withTransaction(async () => {
            await insert(conn, 2);
            throw new Error('not this');
          }),
        ),
      ).rejects.toThrow('not this');
      await begin(() => conn.withTransaction(() => insert(conn, 3)));
    });
    expect(await stored()).toEqual([1, 3]);
  });

  it('nests within blocks of other connections', async () => {
    const one = await connect();
    const other = await connect();
    await one.withTransaction(() =>
      other.withTransaction(() =>
        one.withTransaction(async () => {
          await other.withTransaction(() => insert(one, 1));
          await insert(other, 2);
        }),
      ),
    );
    expect(await stored()).toEqual([1, 2]);
  });

  it('nests explicitly where the context of the callback is lost', async () => {
    const conn = await connect();
    using elsewhere = new Elsewhere();
    await conn.withTransaction(async (transaction) => {
      await expect(elsewhere.run(() => conn.withTransaction(() => insert(conn, 1)))).rejects.toThrow(
        errors.ConcurrentTransaction,
      );
      await elsewhere.run(() => transaction.withTransaction(() => insert(conn, 2)));
      await elsewhere.run(async () => {
        await using inner = await transaction.transaction();
        expect(inner.savepointName).toBe('_pg3_2');
        await insert(conn, 3);
        await inner.commit();
      });
    });
    expect(await stored()).toEqual([2, 3]);
  });
});

describe('a block without a callback', () => {
  it('contains the blocks that any task begins on its connection, as a test’s own transaction needs', async () => {
    const conn = await connect();
    using elsewhere = new Elsewhere();
    const outer = await conn.transaction({ forceRollback: true });
    await elsewhere.run(() => conn.withTransaction(() => insert(conn, 1)));
    await using inner = await conn.transaction();
    await insert(conn, 2);
    await inner.commit();
    const cursor = await conn.execute('SELECT count(*)::int FROM interleaved');
    expect(await cursor.fetchone()).toEqual([2]);
    await outer.commit();
    expect(await stored()).toEqual([]);
  });

  it('can’t have another nested in it once it has ended', async () => {
    const conn = await connect();
    const transaction = await conn.transaction();
    await transaction.rollback();
    await expect(transaction.transaction()).rejects.toThrow(
      'the transaction has been rolled back already: no block can be opened in it',
    );
    await expect(transaction.withTransaction(() => Promise.resolve())).rejects.toThrow(
      errors.ProgrammingError,
    );
  });

  it('that could not be opened does not prevent others', async () => {
    const conn = await connect({ autocommit: true });
    const aborted = AbortSignal.abort(new Error('no'));
    await expect(conn.withTransaction(() => Promise.resolve(), { signal: aborted })).rejects.toThrow('no');
    const controller = new AbortController();
    const running = conn.execute('SELECT pg_sleep(0.05)');
    const opening: Promise<AsyncTransaction> = conn.transaction({ signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    await expect(opening).rejects.toThrow('changed my mind');
    await running;
    await conn.withTransaction(() => insert(conn, 1));
    await conn.commit();
    expect(await stored()).toEqual([1]);
  });
});

describe('the connection of pool.withTransaction()', () => {
  it.runIf(!CONTEXTS_ARE_FREE)(
    'belongs to the task that received it, whose open block cannot be left unnoticed',
    async () => {
      const pool = makePool();
      using elsewhere = new Elsewhere();
      const inner: AsyncTransaction[] = [];
      const block = pool.withTransaction(async (conn) => {
        await insert(conn, 1);
        inner.push(await elsewhere.run(() => conn.transaction()));
      });
      await expect(block).rejects.toThrow(errors.OutOfOrderTransactionNesting);
      expect(inner[0]?.active).toBe(false);
      expect(await stored()).toEqual([]);
    },
  );

  it('keeps the blocks of two tasks of its callback apart', async () => {
    await using pool = makePool({ maxSize: 1 });
    const outcomes = await pool.withTransaction(async (conn) => {
      const first = gate();
      const tasks = [
        conn.withTransaction(async () => {
          await insert(conn, 1);
          await first.opened;
        }),
        conn.withTransaction(() => insert(conn, 2)),
      ];
      await expect(tasks[1]).rejects.toBeInstanceOf(errors.ConcurrentTransaction);
      first.open();
      return Promise.allSettled(tasks);
    });
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(await stored()).toEqual([1]);
  });

  it('nests the blocks of its callback through timers and events, one within the other', async () => {
    await using pool = makePool({ maxSize: 1 });
    await pool.withTransaction(async (conn) => {
      await sleep(1);
      await conn.withTransaction(async () => {
        await tick();
        await conn.withTransaction(() => insert(conn, 3));
      });
      await insert(conn, 4);
    });
    expect(await stored()).toEqual([3, 4]);
  });

  it.runIf(!CONTEXTS_ARE_FREE)(
    'costs the promises of the process nothing where contexts are not free',
    async () => {
      // Since nothing else of the process uses a context, a promise has the execution id 0 as long as no hook runs for promises.
      const program = `
        import { executionAsyncId } from 'node:async_hooks';
        import { AsyncConnectionPool } from '${import.meta.resolve('../../src/index.ts')}';
        const pool = new AsyncConnectionPool(${JSON.stringify(dsn())}, { minSize: 1, maxSize: 1 });
        const idAfter = async (run) => { await run; await null; return executionAsyncId() };
        const ids = [
          await idAfter(pool.withTransaction((conn) => conn.execute('SELECT 1'))),
          await idAfter(pool.withConnection((conn) => conn.execute('SELECT 1'))),
          await idAfter(pool.withConnection((conn) => conn.withTransaction(() => conn.execute('SELECT 1')))),
        ];
        console.log(JSON.stringify(ids.map((id) => id === 0)));
        await pool.close();`;
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '--eval', program],
        { cwd: fileURLToPath(new URL('../..', import.meta.url)) },
      );
      expect(JSON.parse(stdout)).toEqual([true, true, false]);
    },
  );
});
