import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { conninfoToDict, errors, TransactionStatus, type AsyncConnection } from '../../src/index.js';
import { connect, dsn, makePool, rejection } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { heldStatement } from '../support/held-statement.js';
import { untilRunning } from '../support/until-running.js';

const IN_FLIGHT = 1000;

interface Counted {
  readonly proxy: FaultProxy;
  /** The maximum number of concurrent connections since the last `restart()`, beside those that were open then. */
  readonly most: () => number;
  readonly restart: () => void;
}

/** A proxy that counts concurrent connections. */
async function counted(): Promise<Counted> {
  const { host, port } = conninfoToDict(inject('dsn'));
  const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  let before = 0;
  let most = 0;
  proxy.onChunk = () => (most = Math.max(most, proxy.open.length));
  return {
    proxy,
    most: () => most - before,
    restart: () => {
      before = proxy.open.length;
      most = before;
    },
  };
}

type Start = (conn: AsyncConnection) => Promise<unknown>[];

const STARTS: Record<string, Start> = {
  'statements at once': (conn) =>
    Array.from({ length: IN_FLIGHT }, (_, i) => conn.execute('SELECT %s', [i], { prepare: false })),
  'prepared statements at once': (conn) =>
    Array.from({ length: IN_FLIGHT }, (_, i) => conn.execute('SELECT %s', [i], { prepare: true })),
  'statements of a pipeline': (conn) => [
    conn.withPipeline(async () => {
      for (let i = 0; i < IN_FLIGHT; i++) await conn.execute('SELECT %s', [i]);
    }),
  ],
  'executions of executemany()': (conn) => [
    conn.cursor().executemany(
      'SELECT %s',
      Array.from({ length: IN_FLIGHT }, (_, i) => [i]),
    ),
  ],
};

describe.each(Object.keys(STARTS))(`${String(IN_FLIGHT)} %s`, (kind) => {
  it('are cancelled one request at a time when their connection is closed', async () => {
    const { proxy, most, restart } = await counted();
    const conn = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const held = await heldStatement();
    const first = conn.execute(held.text);
    const all = Promise.allSettled([first, ...STARTS[kind]!(conn)]);
    await untilRunning(dsn(), conn.info.backendPid);
    restart();
    await conn.close();
    for (const { status } of await all) expect(status).toBe('rejected');
    expect(most()).toBeLessThanOrEqual(1);
  });

  it('are cancelled one request at a time when their connection is returned to its pool, which keeps it', async () => {
    const { proxy, most, restart } = await counted();
    const pool = makePool(
      { maxSize: 1, connectOptions: { autocommit: true } },
      { host: '127.0.0.1', port: proxy.port },
    );
    const conn = await pool.getconn();
    const pid = conn.info.backendPid;
    const held = await heldStatement();
    const all = Promise.allSettled([conn.execute(held.text), ...STARTS[kind]!(conn)]);
    await untilRunning(dsn(), pid);
    restart();
    await pool.putconn(conn);
    await all;
    expect(most()).toBeLessThanOrEqual(1);
    expect((await pool.execute('SELECT pg_backend_pid()')).rows).toEqual([[pid]]);
  });
});

describe('a statement of a pipeline that is aborted', () => {
  it.each(['first', 'in between', 'last'] as const)(
    'while it is %s is cancelled when it runs',
    async (place) => {
      const conn = await connect({ autocommit: true });
      const controller = new AbortController();
      const reason = new Error('enough');
      await conn.withPipeline(async () => {
        const before = place === 'first' ? null : await conn.execute('SELECT 5, pg_sleep(0.1)');
        const aborted = await conn.execute('SELECT pg_sleep(600)', null, { signal: controller.signal });
        const behind = place === 'last' ? null : await conn.execute('SELECT 6');
        controller.abort(reason);
        expect(await rejection(aborted.fetchone())).toBe(reason);
        if (before !== null) expect((await before.fetchone())?.[0]).toBe(5);
        if (behind !== null)
          expect(await rejection(behind.fetchone())).toBeInstanceOf(errors.PipelineAborted);
      });
      expect(await (await conn.execute('SELECT 7')).fetchone()).toEqual([7]);
    },
  );

  it('after it is done does not take the next one with it', async () => {
    const conn = await connect({ autocommit: true });
    const controller = new AbortController();
    await conn.withPipeline(async () => {
      const done = await conn.execute('SELECT 1', null, { signal: controller.signal });
      const behind = await conn.execute('SELECT 2 FROM pg_sleep(0.3)');
      // The server sends the answer to a statement that may be cancelled at once, without a request for it.
      await expect.poll(() => done.rowcount).toBe(1);
      controller.abort(new Error('too late'));
      expect(await behind.fetchone()).toEqual([2]);
      expect(await done.fetchone()).toEqual([1]);
    });
  });
});

describe('an abort on a slow network', () => {
  it.each([
    ['a statement', false],
    ['a statement of a pipeline', true],
  ])('of %s waits for the answer of the server', async (_, isPipelined) => {
    const { proxy } = await counted();
    const conn = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    proxy.latency = 0.12;
    const controller = new AbortController();
    const run = async (): Promise<void> => {
      const cursor = await conn.execute('SELECT pg_sleep(600)', null, { signal: controller.signal });
      await cursor.fetchone();
    };
    const rejected = rejection(isPipelined ? conn.withPipeline(run) : run());
    await untilRunning(dsn(), conn.info.backendPid);
    // The round trip has been measured.
    await new Promise((resolve) => setTimeout(resolve, 400));
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await rejected).toBe(reason);
    expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);
    proxy.latency = 0;
  });
});

describe('close() of a cursor', () => {
  it('whose statement has others behind it is bounded', async () => {
    const conn = await connect({ autocommit: true });
    const held = await heldStatement();
    const cursor = conn.cursor();
    const running = rejection(cursor.execute(held.text));
    const behind = conn.execute('SELECT 1');
    await cursor.close();
    await held.release();
    expect(await running).toBeInstanceOf(errors.InterfaceError);
    expect(await (await behind).fetchone()).toEqual([1]);
  });
});

describe('cancelSafe()', () => {
  it('cancels the statement that runs at the end of a pipeline', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE slow (id int)');
    await conn.execute(`CREATE FUNCTION pg_temp.sleep() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_sleep(600); RETURN NULL; END'`);
    await conn.execute(`CREATE CONSTRAINT TRIGGER at_end AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION pg_temp.sleep()`);
    const ended = rejection(
      conn.withPipeline(async (pipeline) => {
        const cursor = await conn.execute('INSERT INTO slow VALUES (1) RETURNING id');
        expect(await cursor.fetchone()).toEqual([1]);
        await pipeline.sync();
      }),
    );
    await untilRunning(dsn(), conn.info.backendPid);
    await expect
      .poll(async () => {
        await conn.cancelSafe();
        return conn.info.transactionStatus;
      })
      .toBe(TransactionStatus.IDLE);
    expect(await ended).toBeInstanceOf(errors.QueryCanceled);
  });

  it('rejects if the request cannot be delivered; the statement goes on, and can be cancelled later', async () => {
    const { proxy } = await counted();
    const conn = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const held = await heldStatement();
    const running = conn.execute(held.text);
    await untilRunning(dsn(), conn.info.backendPid);
    proxy.refuse();
    for (let i = 0; i < 2; i++) {
      const refusal = await rejection(conn.cancelSafe());
      expect(refusal).toBeInstanceOf(errors.OperationalError);
      expect(refusal.message).toContain('could not be delivered');
      expect(refusal.connection?.pid).toBe(conn.info.backendPid);
    }
    await proxy.accept();
    // Longer than a request that was delivered may remain without effect.
    await sleep(6000);
    expect(conn.info.transactionStatus).toBe(TransactionStatus.ACTIVE);
    await held.release();
    await running;
    const next = rejection(conn.execute('SELECT pg_sleep(600)'));
    await untilRunning(dsn(), conn.info.backendPid);
    await conn.cancelSafe();
    expect(await next).toBeInstanceOf(errors.QueryCanceled);
  }, 30_000);

  it('rejects if the request cannot be delivered, but a statement whose caller has given up is cancelled as soon as it can be', async () => {
    const { proxy } = await counted();
    const conn = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const controller = new AbortController();
    const running = rejection(conn.execute('SELECT pg_sleep(600)', null, { signal: controller.signal }));
    await untilRunning(dsn(), conn.info.backendPid);
    proxy.refuse();
    const refused = rejection(conn.cancelSafe());
    controller.abort(new RangeError('enough'));
    expect(await refused).toBeInstanceOf(errors.OperationalError);
    await proxy.accept();
    expect(await running).toBeInstanceOf(RangeError);
    expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
  });
});
