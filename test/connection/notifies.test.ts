import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { describe, expect, it } from 'vitest';
import type { AsyncConnection } from '../../src/index.js';
import {
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  Notify,
  TransactionStatus,
  type NotifiesOptions,
} from '../../src/index.js';
import { admin, connect, dsn, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { untilRunning } from '../support/until-running.js';
import { warningsOf } from '../support/warnings.js';

/** A connection that listens to a channel. */
async function listening(channel: string): Promise<AsyncConnection> {
  const connection = await connect({ autocommit: true });
  await connection.execute(`listen "${channel}"`);
  return connection;
}

async function notify(channel: string, ...payloads: readonly (string | number)[]): Promise<void> {
  for (const payload of payloads) await admin('select pg_notify($1, $2)', [channel, String(payload)]);
}

async function payloads(connection: AsyncConnection, options: NotifiesOptions = {}): Promise<string[]> {
  const all: string[] = [];
  for await (const { payload } of connection.notifies(options)) all.push(payload);
  return all;
}

describe('notifies()', () => {
  it('yields notifications with channel, payload and sender', async () => {
    const connection = await listening('n_1');
    const sender = await connect({ autocommit: true });
    const sent = sleep(20).then(() => sender.execute("select pg_notify('n_1', %s)", ['é☃ payload']));
    for await (const received of connection.notifies()) {
      expect(received).toBeInstanceOf(Notify);
      expect(received).toEqual({ channel: 'n_1', payload: 'é☃ payload', pid: sender.info.backendPid });
      break;
    }
    // The server notifies listeners before it answers the sender.
    await sent;
    await connection.execute('notify n_1');
    expect(await payloads(connection, { stopAfter: 1 })).toEqual(['']);
  });

  it('first yields what has arrived since LISTEN, with or without statements in between', async () => {
    const connection = await listening('n_2');
    await notify('n_2', 1, 2);
    expect(await payloads(connection, { stopAfter: 2 })).toEqual(['1', '2']);
    await notify('n_2', 3);
    await connection.execute('select 1');
    await notify('n_2', 4);
    await connection.execute('select 1');
    expect(await payloads(connection, { timeout: 0 })).toEqual(['3', '4']);
  });

  it('loses nothing between two loops: neither the rest of a packet, nor on break, throw or timeout', async () => {
    const connection = await listening('n_3');
    await admin("select pg_notify('n_3', n::text) from generate_series(1, 10) n");
    expect(await payloads(connection, { stopAfter: 1 })).toEqual(['1']);
    for await (const { payload } of connection.notifies()) if (payload === '3') break;
    await expect(async () => {
      for await (const { payload } of connection.notifies()) if (payload === '5') throw new Error('out');
    }).rejects.toThrow('out');
    await notify('n_3', 11);
    expect(await payloads(connection, { stopAfter: 2 })).toEqual(['6', '7']);
    expect(await payloads(connection, { stopAfter: 4 })).toEqual(['8', '9', '10', '11']);
    expect(await payloads(connection, { timeout: 0.1 })).toEqual([]);
    await notify('n_3', 12, 13);
    expect(await payloads(connection, { stopAfter: 2 })).toEqual(['12', '13']);
  });

  it('goes on while other statements run, in order', async () => {
    const connection = await listening('n_4');
    const loop = payloads(connection, { stopAfter: 100 });
    for (let i = 0; i < 100; i++) {
      await Promise.all([connection.execute('select pg_sleep(0.001)'), notify('n_4', i)]);
    }
    expect(await loop).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('has ended with its last notification, even if next() is not called again', async () => {
    const connection = await listening('n_last');
    await notify('n_last', 'a', 'b', 'c');
    const first = connection.notifies({ stopAfter: 1 });
    expect((await first.next()).value?.payload).toBe('a');
    const second = connection.notifies({ stopAfter: 2 });
    expect((await second.next()).value?.payload).toBe('b');
    // The first loop is not affected by the end of the second.
    expect((await first.next()).done).toBe(true);
    await expect(connection.notifies().next()).rejects.toBeInstanceOf(errors.ProgrammingError);
    expect((await second.next()).value?.payload).toBe('c');
  });

  it('ends after its timeout, in seconds', async () => {
    const connection = await listening('n_5');
    const started = performance.now();
    expect(await payloads(connection, { timeout: 0.2 })).toEqual([]);
    expect(performance.now() - started).toBeGreaterThan(199);
    // The timeout is neither in milliseconds nor in minutes.
    expect(performance.now() - started).toBeLessThan(11_000);
    expect(await payloads(connection, { timeout: 0 })).toEqual([]);
  });

  it('with a timeout of 0 yields what has reached this machine', async () => {
    const connection = await listening('n_6');
    await notify('n_6', 1, 2, 3);
    // The answers arrive at the socket, which is not read meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    expect(await payloads(connection, { timeout: 0 })).toEqual(['1', '2', '3']);
  });

  it('ends after its timeout although notifications never cease', async () => {
    const connection = await listening('n_7');
    let over = false;
    const flood = (async () => {
      while (!over) await notify('n_7', 'x');
    })();
    expect((await payloads(connection, { timeout: 1 })).length).toBeGreaterThan(0);
    over = true;
    await flood;
  });

  it('rejects with the reason of an abort, before and while it waits, and the connection goes on', async () => {
    const connection = await listening('n_8');
    const controller = new AbortController();
    const reason = new Error('enough');
    const loop = payloads(connection, { signal: controller.signal });
    setTimeout(() => {
      controller.abort(reason);
    }, 20);
    await expect(loop).rejects.toBe(reason);
    await expect(payloads(connection, { signal: controller.signal })).rejects.toBe(reason);
    await notify('n_8', 1);
    expect(await payloads(connection, { stopAfter: 1 })).toEqual(['1']);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it('yields the notifications of a transaction after its end', async () => {
    const connection = await connect();
    await connection.execute('listen n_9');
    await connection.commit();
    await connection.execute('select 1');
    await notify('n_9', 1);
    expect(await payloads(connection, { timeout: 0.05 })).toEqual([]);
    await connection.rollback();
    expect(await payloads(connection, { stopAfter: 1 })).toEqual(['1']);
  });

  it('throws the server’s error when the connection is killed, once, after all that has arrived', async () => {
    const connection = await listening('n_10');
    let arrived = 0;
    connection.addNotifyHandler(() => arrived++);
    const loop = connection.notifies();
    await notify('n_10', 1, 2);
    await expect.poll(() => arrived).toBe(2);
    const seen: string[] = [];
    seen.push((await loop.next()).value!.payload);
    await terminate(connection.info.backendPid);
    while (!connection.closed) await sleep(1);
    seen.push((await loop.next()).value!.payload);
    expect(seen).toEqual(['1', '2']);
    await expect(loop.next()).rejects.toBeInstanceOf(errors.AdminShutdown);
    expect(await loop.next()).toEqual({ done: true, value: undefined });
    await expect(payloads(connection)).rejects.toBeInstanceOf(errors.OperationalError);
  });

  it('throws an OperationalError when the connection is reset or closed while it waits', async () => {
    const { host, port } = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: String(host), port: Number(port) });
    const reset = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const loop = expect(payloads(reset)).rejects.toBeInstanceOf(errors.OperationalError);
    await sleep(20);
    proxy.resetAll();
    await loop;

    const closed = await listening('n_11');
    const other = expect(payloads(closed)).rejects.toBeInstanceOf(errors.OperationalError);
    await sleep(20);
    await closed.close();
    await other;
  });

  it('ends with the checkout: by its return, or by the end of the pool', async () => {
    const pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 2 });
    const returned = await pool.connection();
    const first = expect(payloads(returned)).rejects.toBeInstanceOf(errors.InterfaceError);
    await sleep(20);
    await pool.putconn(returned);
    await first;
    expect(() => returned.notifies()).toThrow(errors.InterfaceError);

    const kept = await pool.connection();
    const second = expect(payloads(kept)).rejects.toBeInstanceOf(errors.OperationalError);
    await sleep(20);
    await pool.close(0.1);
    await second;
    await pool.putconn(kept);
  });

  it('keeps the pool aware of lost connections while it waits, and after', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1 });
    for (let i = 0; i < 3; i++) {
      await pool.withConnection(async (connection) => {
        await connection.setAutocommit(true);
        expect(await payloads(connection, { timeout: 0 })).toEqual([]);
      });
      const [pid] = await pool.withConnection((connection) => [connection.info.backendPid]);
      await terminate(pid);
      await expect.poll(() => pool.getStats().connectionsLost).toBe(i + 1);
      expect((await pool.execute('select 1')).rows).toEqual([[1]]);
    }
  });

  it('refuses a second loop at the same time, and the first goes on', async () => {
    const connection = await listening('n_12');
    const first = payloads(connection, { stopAfter: 1 });
    await expect(payloads(connection)).rejects.toBeInstanceOf(errors.ProgrammingError);
    await notify('n_12', 1);
    expect(await first).toEqual(['1']);
  });

  it('leaves no timer, no listener of its signal and nothing on the session when it is left unfinished', async () => {
    await using pool = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      maxSize: 1,
      connectOptions: { autocommit: true },
    });
    const { signal } = new AbortController();
    /** Takes one notification and drops the loop. */
    const take = async (options: NotifiesOptions): Promise<string | undefined> => {
      await using connection = await pool.connection();
      await connection.execute("notify n_13, 'x'");
      return (await connection.notifies(options).next()).value?.payload;
    };
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    await pool.execute('listen n_13');
    const before = timers();
    for (let i = 0; i < 5; i++) expect(await take({ timeout: 60, signal })).toBe('x');
    expect(timers()).toBeLessThanOrEqual(before);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    // So many calls that recursion would exceed the stack.
    for (let i = 0; i < 12_000; i++) await take({});
    await terminate(await pool.withConnection((connection) => connection.info.backendPid));
    await expect.poll(() => pool.getStats().connectionsLost).toBe(1);
    expect((await pool.execute('select 6')).rows).toEqual([[6]]);
  });

  it('has one timer and one listener while it waits, and none after it is left', async () => {
    const connection = await listening('n_14');
    const controller = new AbortController();
    const { signal } = controller;
    const loop = connection.notifies({ timeout: 60, signal });
    for (let i = 0; i < 3; i++) {
      const next = loop.next();
      await expect.poll(() => getEventListeners(signal, 'abort').length).toBe(1);
      await notify('n_14', i);
      expect((await next).value?.payload).toBe(String(i));
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    }
    expect(await loop.return()).toEqual({ done: true, value: undefined });
    await notify('n_14', 'later');
    expect(await payloads(connection, { timeout: 5, stopAfter: 1 })).toEqual(['later']);
  });

  it.each(['closed', 'returned', 'dropped with its pool'] as const)(
    'rejects at once when its connection is %s',
    async (how) => {
      const pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1 });
      const connection = await pool.connection();
      const loop = expect(connection.notifies({ timeout: 60 }).next()).rejects.toBeInstanceOf(
        how === 'returned' ? errors.InterfaceError : errors.OperationalError,
      );
      if (how === 'closed') await connection.close();
      if (how === 'returned') await pool.putconn(connection);
      if (how === 'dropped with its pool') await pool.close(0);
      await loop;
      await pool.close();
    },
  );

  it('keeps what arrives between loops once it has been called, with and without handlers', async () => {
    const connection = await connect({ autocommit: true });
    const heard: string[] = [];
    connection.addNotifyHandler(({ payload }) => void heard.push(payload));
    await connection.execute('listen n_15');
    const unused = connection.notifies({ timeout: 0 });
    await notify('n_15', 1);
    await connection.execute('select 1');
    expect(await payloads(connection, { timeout: 5, stopAfter: 1 })).toEqual(['1']);
    await notify('n_15', 2, 3);
    await connection.execute('select 1');
    for await (const { payload } of connection.notifies({ timeout: 5 })) {
      expect(payload).toBe('2');
      break;
    }
    connection.addNotifyHandler(() => undefined);
    await notify('n_15', 4);
    expect(await payloads(connection, { timeout: 5, stopAfter: 2 })).toEqual(['3', '4']);
    expect(await unused.next()).toEqual({ done: true, value: undefined });
    expect(heard).toEqual(['1', '2', '3', '4']);
  });

  it('begins with what came since the last statement, of which a connection with a handler keeps the last 1,000', async () => {
    const connection = await connect({ autocommit: true });
    let heard = 0;
    connection.addNotifyHandler(() => {
      heard++;
    });
    await connection.execute('listen n_17');
    await admin("select pg_notify('n_17', n::text) from generate_series(1, 1500) n");
    await expect.poll(() => heard).toBe(1500);
    const expected = Array.from({ length: 1000 }, (_, i) => String(i + 501));
    expect(await payloads(connection, { timeout: 0 })).toEqual(expected);
  });

  it('reports the gap and its size once if more than 100,000 notifications wait for a loop', async () => {
    const connection = await listening('n_16');
    await admin("select pg_notify('n_16', n::text) from generate_series(1, 100007) n");
    await connection.execute('select 1');
    await notify('n_16', 'dropped as well');
    await connection.execute('select 1');
    let last = 0;
    const loop = async (): Promise<void> => {
      for await (const { payload } of connection.notifies({ timeout: 0 })) last = Number(payload);
    };
    await expect(loop()).rejects.toMatchObject({
      name: 'OperationalError',
      message: expect.stringContaining('8 notifications were dropped') as string,
    });
    expect(last).toBe(100_000);
    await notify('n_16', 'after');
    expect(await payloads(connection, { timeout: 5, stopAfter: 1 })).toEqual(['after']);
  });

  it('reports the gap if more than 64 MB of notifications wait for a loop, and keeps as much again after it', async () => {
    const connection = await listening('n_64');
    for (let round = 0; round < 2; round++) {
      await admin("select pg_notify('n_64', rpad(n::text, 6400)) from generate_series(1, 10004) n");
      await connection.execute('select 1');
      let last = 0;
      const loop = async (): Promise<void> => {
        for await (const { payload } of connection.notifies({ timeout: 0 })) last = Number(payload);
      };
      await expect(loop()).rejects.toThrow('4 notifications were dropped');
      expect(last).toBe(10_000);
    }
  });

  it.each([
    { timeout: -1 },
    { timeout: NaN },
    { timeout: '1' },
    { stopAfter: 0 },
    { stopAfter: 1.5 },
    { stopAfter: NaN },
  ])('refuses %j at once', async (options) => {
    const connection = await connect();
    expect(() => connection.notifies(options as NotifiesOptions)).toThrow(errors.ProgrammingError);
  });
});

describe('a notify handler', () => {
  it('is called with each notification until it is removed', async () => {
    const connection = await listening('h_1');
    const heard: Notify[] = [];
    const handler = (received: Notify): void => void heard.push(received);
    connection.addNotifyHandler(handler);
    await notify('h_1', 1, 2);
    await expect.poll(() => heard.map(({ payload }) => payload)).toEqual(['1', '2']);
    connection.removeNotifyHandler(handler);
    expect(() => {
      connection.removeNotifyHandler(handler);
    }).toThrow(errors.ProgrammingError);
    await notify('h_1', 3);
    expect(await payloads(connection, { stopAfter: 1 })).toEqual(['3']);
    expect(heard).toHaveLength(2);
  });

  it('runs in the asynchronous context that it was added in, as a notice handler does', async () => {
    const context = new AsyncLocalStorage<string>();
    const heard: (string | undefined)[] = [];
    await using pool = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      maxSize: 1,
      connectOptions: { autocommit: true },
      configure: (connection) => {
        context.run('of configure', () => {
          connection.addNotifyHandler(() => void heard.push(context.getStore()));
        });
      },
    });
    await using connection = await pool.connection();
    context.run('of the borrower', () => {
      connection.addNotifyHandler(() => void heard.push(context.getStore()));
      connection.addNoticeHandler(() => void heard.push(context.getStore()));
    });
    await context.run('of a statement', async () => {
      await connection.execute("listen h_0; notify h_0; do $$ begin raise notice 'n'; end $$");
    });
    expect(heard.sort()).toEqual(['of configure', 'of the borrower', 'of the borrower']);
    expect(context.getStore()).toBeUndefined();
  });

  it('that throws causes a warning, and harms neither the connection nor another handler', async () => {
    const connection = await listening('h_2');
    const heard: string[] = [];
    connection.addNotifyHandler(() => {
      throw new Error('broken');
    });
    connection.addNotifyHandler(({ payload }) => void heard.push(payload));
    const warnings = await warningsOf('Warning', async () => {
      await connection.execute("notify h_2, 'x'");
    });
    expect(warnings).toEqual(['a notify handler threw: Error: broken']);
    expect(heard).toEqual(['x']);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('gets the same notifications as a loop that is running', async () => {
    const connection = await listening('h_3');
    const heard: string[] = [];
    connection.addNotifyHandler(({ payload }) => void heard.push(payload));
    await connection.execute("notify h_3, 'before'");
    const loop = payloads(connection, { stopAfter: 1 });
    await connection.execute("notify h_3, 'during'");
    expect(await loop).toEqual(['during']);
    expect(heard).toEqual(['before', 'during']);
  });

  it('added by `configure` of a pool serves each checkout, one added by a borrower ends with the checkout', async () => {
    const heard: string[] = [];
    await using pool = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      maxSize: 1,
      connectOptions: { autocommit: true },
      configure: async (connection) => {
        connection.addNotifyHandler(({ payload }) => void heard.push(`configured ${payload}`));
        await connection.execute('listen h_4');
      },
    });
    for (const name of ['a', 'b']) {
      await using connection = await pool.connection();
      connection.addNotifyHandler(({ payload }) => void heard.push(`${name} ${payload}`));
      await connection.execute("notify h_4, 'x'");
    }
    expect(heard).toEqual(['configured x', 'a x', 'configured x', 'b x']);
  });
});

describe('cancelSafe()', () => {
  it('cancels the running statement, and the connection goes on', async () => {
    const connection = await connect({ autocommit: true });
    const running = expect(connection.execute('select pg_sleep(20)')).rejects.toBeInstanceOf(
      errors.QueryCanceled,
    );
    await untilRunning(dsn(), connection.info.backendPid);
    await connection.cancelSafe({ timeout: 60 });
    await running;
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('does nothing if nothing runs, or the connection is closed', async () => {
    const connection = await connect({ autocommit: true });
    await connection.cancelSafe();
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
    await connection.close();
    await connection.cancelSafe();
  });

  it('never hits the next statement, whenever it comes', async () => {
    const connection = await connect({ autocommit: true });
    const ROUNDS = 200;
    let cancelled = 0;
    for (let i = 0; i < ROUNDS; i++) {
      // Most statements are about to end when the request arrives; some run until then.
      const seconds = i % 20 === 0 ? 60 : 0.002;
      const target = connection.execute('select pg_sleep(%s)', [seconds]).catch((error: unknown) => {
        expect(error).toBeInstanceOf(errors.QueryCanceled);
        cancelled++;
      });
      await sleep((i % 10) / 3);
      const cancelling = connection.cancelSafe();
      await target;
      expect(await (await connection.execute('select %s::int', [i])).fetchone()).toEqual([i]);
      await cancelling;
    }
    expect(cancelled).toBeGreaterThanOrEqual(ROUNDS / 20);
  });

  it('raises CancellationTimeout if the server does not answer in time', async () => {
    const { host, port } = conninfoToDict(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: String(host), port: Number(port) });
    const connection = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const running = connection.execute('select pg_sleep(20)').catch(() => 'over');
    await untilRunning(dsn(), connection.info.backendPid);
    proxy.blackHole.add('up').add('down');
    await expect(connection.cancelSafe({ timeout: 0.1 })).rejects.toBeInstanceOf(errors.CancellationTimeout);
    await terminate(connection.info.backendPid);
    proxy.blackHole.clear();
    proxy.resetAll();
    expect(await running).toBe('over');
  });

  it('is refused with a wrong timeout, and on a returned connection', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    const connection = await pool.connection();
    await expect(connection.cancelSafe({ timeout: -1 })).rejects.toBeInstanceOf(errors.ProgrammingError);
    await pool.putconn(connection);
    await expect(connection.cancelSafe()).rejects.toBeInstanceOf(errors.InterfaceError);
  });
});
