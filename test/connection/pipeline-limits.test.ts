import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { AsyncConnection, conninfoToDict, errors, type AsyncPipeline } from '../../src/index.js';
import { MOST_BYTES, MOST_PIPELINED } from '../../src/session/limits.js';
import { connect, dsn, makePool, rejection } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { heldStatement } from '../support/held-statement.js';

/** A connection through a proxy that blocks the server's bytes after `hold()`. */
async function heldUp(): Promise<{ conn: AsyncConnection; proxy: FaultProxy; hold: () => void }> {
  const { host, port } = conninfoToDict(inject('dsn'));
  const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const conn = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
  return { conn, proxy, hold: () => proxy.blackHole.add('down') };
}

/** Waits until `count()` has been the same for a while. */
async function standstill(count: () => number): Promise<number> {
  let before = -1;
  await expect
    .poll(
      () => {
        const now = count();
        const isSame = now === before;
        before = now;
        return isSame && now > 0;
      },
      { interval: 300 },
    )
    .toBe(true);
  return before;
}

describe('execute() in a pipeline', () => {
  it.each([
    ['statements', 1, MOST_PIPELINED],
    ['bytes', 100_000, Math.ceil(MOST_BYTES / 100_000)],
  ])('waits when too many %s are not answered', async (_, length, most) => {
    const { conn, hold, proxy } = await heldUp();
    hold();
    let executed = 0;
    const text = 'x'.repeat(length);
    const loop = conn.withPipeline(async () => {
      for (;;) {
        await conn.execute('SELECT %s', [text]);
        executed++;
      }
    });
    const ended = rejection(loop);
    await expect.poll(() => executed).toBe(most - 1);
    expect(await standstill(() => executed)).toBe(most - 1);
    proxy.resetAll();
    expect(await ended).toBeInstanceOf(errors.OperationalError);
    expect(executed).toBe(most);
  });

  it('lets timers and aborts run, and everything sent is answered', async () => {
    const conn = await connect({ autocommit: true });
    const enough = AbortSignal.timeout(200);
    const cursors: { fetchone(): Promise<unknown> }[] = [];
    // Without a turn of the event loop this would never end.
    await conn.withPipeline(async () => {
      while (!enough.aborted) cursors.push(await conn.execute('SELECT %s::int', [cursors.length]));
    });
    expect(await cursors.at(-1)!.fetchone()).toEqual([cursors.length - 1]);
  });

  it.each(['execute()', 'executemany()'])('%s that waits ends with its signal', async (door) => {
    const { conn, hold, proxy } = await heldUp();
    hold();
    const controller = new AbortController();
    const { signal } = controller;
    const ended = rejection(
      conn.withPipeline(async () => {
        let executed = 0;
        const waiting = (async () => {
          for (;;) {
            if (door === 'execute()') await conn.execute('SELECT %s', ['x'.repeat(10_000)], { signal });
            else await conn.cursor().executemany('SELECT %s', [['x'.repeat(500_000)]], { signal });
            executed++;
          }
        })();
        const failed = rejection(waiting);
        await standstill(() => executed);
        controller.abort(new RangeError('enough'));
        const error = await failed;
        // The end of the pipeline has to wait for the network.
        proxy.resetAll();
        throw error;
      }),
    );
    expect(await ended).toBeInstanceOf(RangeError);
  });

  it.each<[string, (conn: AsyncConnection, proxy: FaultProxy) => unknown]>([
    ['lost', (_, proxy) => proxy.resetAll()],
    ['closed', (conn) => conn.close()],
  ])('that waits rejects when the connection is %s', async (_, end) => {
    const { conn, hold, proxy } = await heldUp();
    hold();
    let executed = 0;
    const ended = rejection(
      conn.withPipeline(async () => {
        for (; ; executed++) await conn.execute('SELECT 1');
      }),
    );
    await standstill(() => executed);
    proxy.blackHole.clear();
    await end(conn, proxy);
    expect(await ended).toBeInstanceOf(errors.OperationalError);
  });

  it('that waits rejects when the connection is returned to its pool, which goes on', async () => {
    const pool = makePool({ maxSize: 1, connectOptions: { autocommit: true } });
    const held = await heldStatement();
    const conn = await pool.getconn();
    let executed = 0;
    const ended = rejection(
      conn.withPipeline(async () => {
        await conn.execute(held.text);
        for (; ; executed++) await conn.execute('SELECT 1');
      }),
    );
    await standstill(() => executed);
    await pool.putconn(conn);
    expect(await ended).toBeInstanceOf(errors.InterfaceError);
    expect((await pool.execute('SELECT 7')).rows).toEqual([[7]]);
  });

  it('resolves when an aborted sync() has ended the statements it waited for', async () => {
    const conn = await connect({ autocommit: true });
    const held = await heldStatement();
    const controller = new AbortController();
    const reason = new RangeError('enough');
    await conn.withPipeline(async (pipeline: AsyncPipeline) => {
      const executing = [conn.execute(held.text)];
      for (let i = 0; i < 3 * MOST_PIPELINED; i++) executing.push(conn.execute('SELECT %s', [i]));
      const synced = rejection(pipeline.sync({ signal: controller.signal }));
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.abort(reason);
      expect(await synced).toBe(reason);
      await Promise.allSettled(executing);
      expect(await (await conn.execute('SELECT 8')).fetchone()).toEqual([8]);
    });
  });
});

describe('executemany()', () => {
  it.each([true, false])(
    'takes no more items from its source than are in flight (in a pipeline: %s)',
    async (isPipelined) => {
      const { conn, hold, proxy } = await heldUp();
      hold();
      let taken = 0;
      function* source(): Generator<[string]> {
        for (; taken < 1000; taken++) yield ['x'.repeat(1_000_000)];
      }
      const cursor = conn.cursor();
      const run = (): Promise<void> => cursor.executemany('SELECT %s', source());
      const ended = rejection(isPipelined ? conn.withPipeline(run) : run());
      expect(await standstill(() => taken)).toBeLessThan(10);
      proxy.resetAll();
      expect(await ended).toBeInstanceOf(errors.OperationalError);
    },
  );

  it('stores all rows of many batches, or none', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE large (i int PRIMARY KEY, t text)');
    const text = 'x'.repeat(400_000);
    const rows = Array.from({ length: 20 }, (_, i) => [i, text]);
    const insert = (values: typeof rows): Promise<void> =>
      conn.cursor().executemany('INSERT INTO large VALUES (%s, %s)', values);
    await insert(rows);
    expect(await rejection(insert([[100, text], ...rows]))).toBeInstanceOf(errors.UniqueViolation);
    const cursor = await conn.execute('SELECT count(*)::int, max(i) FROM large');
    expect(await cursor.fetchone()).toEqual([20, 19]);
  });
});

describe('a fetch in a pipeline', () => {
  it.each<[string, (conn: AsyncConnection, pipeline: AsyncPipeline) => Promise<unknown>]>([
    ['a BEGIN', (conn) => conn.execute('BEGIN')],
    ['a commit()', (conn) => conn.commit()],
    ['a COMMIT behind a comment', (conn) => conn.execute('/* why */ COMMIT')],
    ['a sync()', (_, pipeline) => pipeline.sync()],
    ['a statement of another transaction', (conn) => conn.withTransaction(() => conn.execute('SELECT 3'))],
  ])('gets its row although its statement waits behind %s', async (_, before) => {
    for (const autocommit of [true, false]) {
      await using conn = await AsyncConnection.connect(dsn(), { autocommit });
      await conn.withPipeline(async (pipeline) => {
        await conn.execute('SELECT 1');
        const preceding = before(conn, pipeline);
        const cursor = await conn.execute('SELECT 2');
        expect(await cursor.fetchone()).toEqual([2]);
        await preceding;
      });
      await conn.rollback();
    }
  });
});
