import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { describe, expect, it } from 'vitest';
import {
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  Listener,
  scalarRow,
  type ListenerEvent,
  type ListenerOptions,
} from '../src/index.js';
import type { LeakMessage } from '../src/diagnostics.js';
import { admin, applicationName, dsn } from './support/database.js';
import { heard } from './support/diagnostics.js';
import { FaultProxy } from './support/fault-proxy.js';
import { expectLinearWork } from './support/growth.js';
import { warningsOf } from './support/warnings.js';

async function notify(channel: string, payload: string | number): Promise<void> {
  await admin('select pg_notify($1, $2)', [channel, String(payload)]);
}

/** Kills all backends of this file. */
async function killAll(): Promise<void> {
  await admin('select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1', [
    applicationName(),
  ]);
}

async function proxyToServer(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(inject('dsn'));
  return FaultProxy.to({ host: String(host), port: Number(port) });
}

/** The events up to the notification `last`. */
async function until(listener: Listener, last: string): Promise<ListenerEvent[]> {
  const { events, loop } = gather(listener, last);
  await loop;
  return events;
}

/** Iterates in the background, up to the notification `last`. */
function gather(listener: Listener, last: string): { events: ListenerEvent[]; loop: Promise<void> } {
  const events: ListenerEvent[] = [];
  const loop = (async () => {
    for await (const event of listener) {
      events.push(event);
      if (event.type === 'notify' && event.payload === last) break;
    }
  })();
  // A test that fails before it awaits the loop must fail with its own error.
  loop.catch(() => undefined);
  return { events, loop };
}

describe('a Listener', () => {
  it('yields the notifications of its channels from listen() on, and of no others', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    await pool.withConnection(async (connection) => {
      await connection.execute('listen "left behind"');
    });
    const listener = new Listener(pool, ['We "ird', 'plain', 'plain']);
    await listener.listen();
    await notify('left behind', 0);
    await notify('We "ird', 1);
    await notify('plain', 2);
    await admin('notify plain');
    await notify('plain', 'last');
    const events = await until(listener, 'last');
    expect(events).toMatchObject([
      { type: 'notify', channel: 'We "ird', payload: '1' },
      { type: 'notify', channel: 'plain', payload: '2' },
      { type: 'notify', channel: 'plain', payload: '' },
      { type: 'notify', channel: 'plain', payload: 'last' },
    ]);
    expect(events.every((event) => event.type === 'notify' && event.pid > 0)).toBe(true);
  });

  it('may listen for longer than leakThreshold: its connection is no leak', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 2, leakThreshold: 0.02 });
    const leaks = heard<LeakMessage>('usingpg:leak');
    await using listener = new Listener(pool, 'long');
    await listener.listen();
    // Another connection checked out for as long is a leak.
    const warnings = await warningsOf('USINGPG_LEAK', async () => {
      await using connection = await pool.connection();
      await expect.poll(() => leaks.length).toBe(1);
      expect(leaks[0]!.backendPid).toBe(connection.info.backendPid);
    });
    expect(warnings).toHaveLength(1);
  });

  it('returns a connection that no longer listens to the pool, however it ends', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1 });
    const listening = async (): Promise<string[]> => {
      const query = 'select pg_listening_channels()';
      return (await pool.execute(query, null, { rowFactory: scalarRow<string> })).rows;
    };
    const start = async (options: ListenerOptions = {}): Promise<Listener> => {
      const listener = new Listener(pool, 'ends', options);
      await listener.listen();
      expect(pool.getStats().poolAvailable).toBe(0);
      await notify('ends', 'x');
      return listener;
    };
    for await (const _ of await start()) break;
    expect(await listening()).toEqual([]);

    const loop = async (): Promise<void> => {
      for await (const _ of await start()) throw new Error('thrown');
    };
    await expect(loop()).rejects.toThrow('thrown');
    expect(await listening()).toEqual([]);

    {
      await using disposed = await start();
      const { events, loop } = gather(disposed, 'never');
      await expect.poll(() => events).toHaveLength(1);
      await disposed.close();
      await loop;
      expect(events).toHaveLength(1);
    }
    expect(await listening()).toEqual([]);

    const controller = new AbortController();
    const reason = new Error('enough');
    const { events, loop: aborted } = gather(await start({ signal: controller.signal }), 'never');
    const outcome = expect(aborted).rejects.toBe(reason);
    await expect.poll(() => events).toHaveLength(1);
    controller.abort(reason);
    await outcome;
    expect(await listening()).toEqual([]);

    const unused = await start();
    await Promise.all([unused.close(), unused.close()]);
    expect(await listening()).toEqual([]);
    await expect(unused.listen()).resolves.toBeUndefined();
    // Events that had arrived may still be fetched, then the loop ends.
    expect((await until(unused, 'x')).length).toBeLessThanOrEqual(1);
  });

  it('cannot be used after close()', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    const closed = new Listener(pool, 'c');
    await closed.close();
    await expect(closed.listen()).rejects.toBeInstanceOf(errors.InterfaceError);
    await expect(until(closed, 'x')).rejects.toBeInstanceOf(errors.InterfaceError);
    const aborted = new Listener(pool, 'c', { signal: AbortSignal.abort() });
    await expect(aborted.listen()).rejects.toHaveProperty('name', 'AbortError');
    await expect(until(aborted, 'x')).rejects.toHaveProperty('name', 'AbortError');
  });

  it('yields notifications that have piled up in time that grows with their number', async () => {
    let received = 0;
    await using pool = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      configure: (connection) => {
        connection.addNotifyHandler(() => received++);
      },
    });
    const work = async (count: number): Promise<number> => {
      await using listener = new Listener(pool, 'piled up');
      await listener.listen();
      received = 0;
      await admin("select pg_notify('piled up', i::text) from generate_series(1, $1) i", [count]);
      await expect.poll(() => received, { timeout: 60_000 }).toBe(count);
      const before = process.cpuUsage();
      const events = await until(listener, String(count));
      expect(events).toHaveLength(count);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    };
    expectLinearWork(await work(200_000), [await work(25_000), await work(25_000)]);
  }, 120_000);

  it('can be closed while it waits for a connection', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1 });
    await using _taken = await pool.connection();
    const listener = new Listener(pool, 'c');
    const listening = expect(listener.listen()).rejects.toBeInstanceOf(errors.InterfaceError);
    await expect.poll(() => pool.getStats().requestsWaiting).toBe(1);
    await listener.close();
    await listening;
    expect(pool.getStats().requestsWaiting).toBe(0);
  });

  it('raises the error that prevents the first LISTEN', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1, timeout: 0.05 });
    await using _taken = await pool.connection({ timeout: 60 });
    const listener = new Listener(pool, 'c');
    await expect(listener.listen()).rejects.toBeInstanceOf(errors.PoolTimeout);
    await expect(until(listener, 'x')).rejects.toBeInstanceOf(errors.PoolTimeout);
  });

  it('is no leak, however long it keeps its connection', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 2, leakThreshold: 0.05 });
    const warnings = await warningsOf('USINGPG_LEAK', async () => {
      await using listener = new Listener(pool, 'lasting');
      await listener.listen();
      // Another borrower is reported in the same time.
      await using _other = await pool.connection();
      await sleep(200);
    });
    expect(warnings).toHaveLength(1);
  });

  it('is named in the timeout of a request that waits for its connection', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1, leakThreshold: 60 });
    await using listener = new Listener(pool, 'lasting');
    await listener.listen();
    await expect(pool.connection({ timeout: 0.05 })).rejects.toThrow('those lent out were taken at');
  });

  it('raises PoolClosed when its pool is closed', async () => {
    const pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    const listener = new Listener(pool, 'c');
    await listener.listen();
    const loop = expect(until(listener, 'x')).rejects.toBeInstanceOf(errors.PoolClosed);
    await pool.close(0.05);
    await loop;
  });

  it('refuses a second loop, and the first goes on', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    const listener = new Listener(pool, 'c');
    await listener.listen();
    const first = until(listener, 'x');
    await expect(until(listener, 'x')).rejects.toBeInstanceOf(errors.ProgrammingError);
    await notify('c', 'x');
    expect(await first).toHaveLength(1);
  });

  it.each([[[]], [''], [['a', 'nul\0']], [['x'.repeat(64)]], [[5]], [null], [{}]])(
    'refuses the channels %j',
    async (channels) => {
      await using pool = new AsyncConnectionPool(dsn(), { open: false });
      expect(() => new Listener(pool, channels as string[])).toThrow(errors.ProgrammingError);
    },
  );

  it.each([0, -1, NaN, Infinity, '5'])('refuses the keepalive %j', async (keepalive) => {
    await using pool = new AsyncConnectionPool(dsn(), { open: false });
    expect(() => new Listener(pool, 'c', { keepalive: keepalive as number })).toThrow(
      errors.ProgrammingError,
    );
    expect(new Listener(pool, 'c').keepalive).toBe(5);
  });
});

describe('a Listener that loses its connection', () => {
  it('yields a gap between the notifications before and after the loss', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 2 });
    await using listener = new Listener(pool, 'gap');
    const { events, loop } = gather(listener, '2');
    const before = Date.now();
    await listener.listen();
    await notify('gap', 1);
    // A backend that is killed before it has passed on a notification loses it.
    await expect.poll(() => events.map(({ type }) => type)).toEqual(['notify']);
    await killAll();
    const killed = Date.now();
    await expect.poll(() => events.map(({ type }) => type)).toEqual(['notify', 'gap']);
    await notify('gap', 2);
    await loop;
    expect(events.map((event) => (event.type === 'notify' ? event.payload : event.type))).toEqual([
      '1',
      'gap',
      '2',
    ]);
    const gap = events[1] as ListenerEvent & { type: 'gap' };
    expect(gap.error).toBeInstanceOf(errors.AdminShutdown);
    expect(gap.since.getTime()).toBeGreaterThanOrEqual(before);
    expect(gap.since.getTime()).toBeLessThanOrEqual(killed);
  });

  it('notices the silence of its connection within two keepalives, and takes another one', async () => {
    await using silent = await proxyToServer();
    await using working = await proxyToServer();
    let proxy = silent;
    await using pool = new AsyncConnectionPool(() => dsn({ host: '127.0.0.1', port: proxy.port }), {
      minSize: 1,
      maxSize: 2,
    });
    const KEEPALIVE = 1.5;
    let questions = 0;
    silent.onChunk = (direction) => {
      if (direction === 'up') questions++;
    };
    await using listener = new Listener(pool, 'silent', { keepalive: KEEPALIVE });
    const { events, loop } = gather(listener, 'heard');
    await listener.listen();
    proxy = working;
    // First, a check is answered.
    const before = questions;
    await expect.poll(() => questions).toBeGreaterThan(before + 1);
    silent.blackHole.add('up').add('down');
    const started = performance.now();
    await expect.poll(() => events.map(({ type }) => type)).toEqual(['gap']);
    // A loaded machine may take some seconds more than the two keepalives; the network itself would never report the loss.
    expect(performance.now() - started).toBeLessThan(KEEPALIVE * 2000 + 5000);
    await notify('silent', 'heard');
    await loop;
    expect(events.map(({ type }) => type)).toEqual(['gap', 'notify']);
    expect((events[0] as { error: Error }).error.message).toContain('has not answered within 1.5 seconds');
    silent.resetAll();
  });

  it('yields a gap before every range that it missed of 1,000 sequence numbers', async () => {
    await using proxy = await proxyToServer();
    await using pool = new AsyncConnectionPool(dsn({ host: '127.0.0.1', port: proxy.port }), {
      minSize: 1,
      maxSize: 2,
    });
    await using listener = new Listener(pool, 'sequence', { keepalive: 0.2 });
    const { events, loop } = gather(listener, 'end');
    await listener.listen();
    const gaps = (): number => events.filter(({ type }) => type === 'gap').length;
    let healed: Promise<void> = Promise.resolve();
    /** Causes a fault; the sequence numbers continue while the listener recovers. */
    const harm = async (act: () => unknown): Promise<void> => {
      const before = gaps();
      await act();
      healed = expect.poll(gaps, { interval: 5 }).toBeGreaterThan(before);
    };
    const reset = (): void => {
      proxy.resetAll();
    };
    for (let n = 1; n <= 1000; n++) {
      await notify('sequence', n);
      if (n % 250 === 100) await harm(killAll);
      if (n % 250 === 200) await harm(reset);
      if (n === 500) {
        await harm(async () => {
          proxy.blackHole.add('up').add('down');
          // Numbers vanish until the silence is noticed.
          for (; n < 550; n++) {
            await notify('sequence', n + 1);
            await sleep(10);
          }
          proxy.blackHole.clear();
          // A statement begun in the black hole would only end by its timeout.
          reset();
        });
      }
      if (n % 50 === 0) await healed;
    }
    await notify('sequence', 'end');
    await loop;

    let next = 1;
    let inGap = false;
    let missed = 0;
    for (const event of events) {
      if (event.type === 'gap') {
        inGap = true;
        continue;
      }
      const n = event.payload === 'end' ? 1001 : Number(event.payload);
      expect(n).toBeGreaterThanOrEqual(next);
      if (n > next) expect(inGap, `from ${String(next)} to ${String(n)}`).toBe(true);
      missed += n - next;
      next = n + 1;
      inGap = false;
    }
    expect(next).toBe(1002);
    expect(gaps()).toBeGreaterThanOrEqual(9);
    expect(missed).toBeGreaterThanOrEqual(50);
    expect(missed).toBeLessThan(900);
  });
});
