import { describe, expect, inject, it } from 'vitest';
import { AsyncConnectionPool, conninfoToDict, errors, TransactionStatus } from '../../src/index.js';
import { limitsFor } from '../../src/session/limits.js';
import { connect, dsn, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { heldStatement } from '../support/held-statement.js';
import { untilRunning } from '../support/until-running.js';

/** How often an abort races with the end of its statement. */
const RACES = process.env['CI'] === undefined ? 300 : 2000;

async function proxyToServer(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(inject('dsn'));
  return FaultProxy.to({ host: String(host), port: Number(port) });
}

describe('an aborted statement', () => {
  it('rejects with the reason and leaves the connection usable', async () => {
    const connection = await connect({ autocommit: true });
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const running = connection.execute('select pg_sleep(20)', null, { signal: controller.signal });
    const rejected = expect(running).rejects.toBe(reason);
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort(reason);
    await rejected;
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('that still waits for its turn is never sent', async () => {
    const connection = await connect();
    await connection.execute('create temp table seen (id int)');
    await connection.commit();
    const controller = new AbortController();
    const first = connection.execute('select pg_sleep(0.1)');
    const second = connection.execute('insert into seen values (1)', null, { signal: controller.signal });
    const third = connection.execute('insert into seen values (2)');
    controller.abort();
    await expect(second).rejects.toHaveProperty('name', 'AbortError');
    await Promise.all([first, third]);
    expect(await (await connection.execute('select id from seen')).fetchall()).toEqual([[2]]);
  });

  it('in a transaction fails the transaction, as the server does', async () => {
    const connection = await connect();
    const controller = new AbortController();
    const running = connection.execute('select pg_sleep(20)', null, { signal: controller.signal });
    const rejected = expect(running).rejects.toHaveProperty('name', 'AbortError');
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort();
    await rejected;
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await connection.rollback();
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('whose signal was aborted before is not sent', async () => {
    const connection = await connect();
    await expect(
      connection.execute('select 1', null, { signal: AbortSignal.abort() }),
    ).rejects.toHaveProperty('name', 'AbortError');
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it(`never takes its successor with it, nor its result, whenever the abort comes: ${String(RACES)} times`, async () => {
    const connection = await connect({ autocommit: true });
    const ends = { aborted: 0, done: 0 };
    for (let i = 0; i < RACES; i++) {
      const controller = new AbortController();
      const target = connection
        // Some statements run until they are aborted.
        .execute('select pg_sleep(%s), %s::int', [i % 30 === 0 ? 60 : 0.002, 1_000_000 + i], {
          signal: controller.signal,
        })
        .then(
          async (cursor) => {
            expect((await cursor.fetchone())?.[1]).toBe(1_000_000 + i);
            ends.done++;
          },
          (error: unknown) => {
            expect(error).toBe(controller.signal.reason);
            ends.aborted++;
          },
        );
      const successor = connection.execute('select %s::int', [i]);
      // The abort comes at about the time that the statement takes; the timer's inaccuracy is intended.
      setTimeout(
        () => {
          controller.abort();
        },
        1 + Math.random() * 4,
      );
      await target;
      expect(await (await successor).fetchone()).toEqual([i]);
    }
    expect(ends.aborted + ends.done).toBe(RACES);
    expect(ends.aborted).toBeGreaterThanOrEqual(RACES / 30);
    expect(connection.closed).toBe(false);
  });

  it('is dropped as the fifth of ten waiting statements without a request to the server, and the others run in order', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const held = await heldStatement();
    const controller = new AbortController();
    const ended: number[] = [];
    const statements = Array.from({ length: 10 }, async (_, i) => {
      // Each has a signal of its own, so that none is sent before its turn.
      const { signal } = i === 4 ? controller : new AbortController();
      const text = i === 0 ? `${held.text}, 0` : `select 'number ${String(i)}', ${String(i)}`;
      const cursor = await connection.execute(text, null, { signal });
      ended.push(i);
      return (await cursor.fetchone())?.[1];
    });
    const settled = Promise.allSettled(statements);
    await untilRunning(dsn(), connection.info.backendPid);
    const { up } = { ...proxy.connections[0]!.bytes };
    controller.abort();
    await expect(statements[4]).rejects.toBe(controller.signal.reason);
    expect(ended).toEqual([]);
    expect(proxy.connections).toHaveLength(1);
    expect(proxy.connections[0]!.bytes.up).toBe(up);
    await held.release();
    const results = await settled;
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'aborted'))).toEqual([
      0,
      1,
      2,
      3,
      'aborted',
      5,
      6,
      7,
      8,
      9,
    ]);
    expect(ended).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9]);
    // No cancel request was sent, either.
    expect(proxy.connections).toHaveLength(1);
  });

  it('is cancelled although the request overtakes it on its way to the server', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const controller = new AbortController();
    const { up } = { ...proxy.connections[0]!.bytes };
    proxy.latency = 2;
    const onItsWay = new Promise<void>((resolve) => {
      proxy.onChunk = () => {
        resolve();
      };
    });
    const late = connection.execute('select pg_sleep(30)', null, { signal: controller.signal });
    const watched = expect(late).rejects.toBe('overtaken');
    await onItsWay;
    proxy.latency = 0;
    controller.abort('overtaken');
    await expect.poll(() => proxy.connections.length).toBeGreaterThan(1);
    // The first request arrived before the statement.
    expect(proxy.connections[0]!.bytes.up).toBe(up);
    await watched;
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
    expect(proxy.connections.length).toBeGreaterThan(2);
  });

  it('rejects without an answer from the server; its connection is closed, and the pool goes on', async () => {
    await using silent = await proxyToServer();
    let proxy = silent;
    await using pool = new AsyncConnectionPool(() => dsn({ host: '127.0.0.1', port: proxy.port }), {
      minSize: 1,
      maxSize: 2,
    });
    await pool.wait();
    const connection = await pool.getconn();
    const pid = connection.info.backendPid;
    await using working = await proxyToServer();
    proxy = working;
    const controller = new AbortController();
    const running = connection.execute('select pg_sleep(30)', null, { signal: controller.signal });
    const watched = expect(running).rejects.toBe('enough');
    await untilRunning(dsn(), pid);
    silent.blackHole.add('up').add('down');
    const started = performance.now();
    controller.abort('enough');
    await watched;
    // The promised bound is 100 ms; the call does not wait until the connection is closed.
    expect((performance.now() - started) / 1000).toBeLessThan(limitsFor(0).ending);
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
    await pool.putconn(connection);
    expect(connection.closed).toBe(true);
    silent.resetAll();
    await terminate(pid);
  });
});

describe('leaving a scope while a statement runs', () => {
  it('closes the cursor and cancels the statement', async () => {
    const connection = await connect({ autocommit: true });
    const begin = async (): Promise<Promise<unknown>[]> => {
      await using cursor = connection.cursor();
      const statement = cursor.execute('select pg_sleep(20)');
      statement.catch(() => undefined);
      return [statement];
    };
    const [running] = await begin();
    await expect(running).rejects.toBeInstanceOf(errors.InterfaceError);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('may be done twice at once: each waits for the end of the statement', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = connection.cursor();
    const running = expect(cursor.execute('select pg_sleep(20)')).rejects.toBeInstanceOf(
      errors.InterfaceError,
    );
    await untilRunning(dsn(), connection.info.backendPid);
    await Promise.all([cursor.close(), cursor.close()]);
    await running;
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });
});
