import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { errors } from '../../src/index.js';
import { makePool, rejection } from '../support/database.js';

/** A source that yields some items and then nothing, and does not answer `return()`, either. */
function silentAfter(items: number): AsyncIterable<number> & { left: number } {
  let given = 0;
  const source = {
    left: 0,
    [Symbol.asyncIterator]: () => ({
      next: () =>
        given < items
          ? Promise.resolve({ done: false as const, value: given++ })
          : new Promise<never>(() => undefined),
      return: () => {
        source.left++;
        return new Promise<never>(() => undefined);
      },
    }),
  };
  return source;
}

/** Resolves when `signal` is aborted. */
const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => {
      resolve(signal.reason);
    });
  });

describe('pool.map()', () => {
  it.each([0, 1])(
    'rejects with the reason of an abort while its source is silent, after %i items',
    async (items) => {
      const pool = makePool({ maxSize: 2 });
      const controller = new AbortController();
      const reason = new Error('enough');
      const source = silentAfter(items);
      let done = 0;
      const job = (): Promise<number> => Promise.resolve(done++);
      const ended = rejection(pool.map(source, job, { signal: controller.signal }));
      await expect.poll(() => done).toBe(items);
      controller.abort(reason);
      expect(await ended).toBe(reason);
      expect(source.left).toBe(1);
    },
  );

  it('rejects with the error of a job while its source is silent', async () => {
    const pool = makePool({ maxSize: 2 });
    const failure = new Error('the job failed');
    const source = silentAfter(1);
    await expect(pool.map(source, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(source.left).toBe(1);
  });

  it('rejects with PoolClosed when the pool is closed while its source is silent, and lets a running call end', async () => {
    const pool = makePool({ maxSize: 2 });
    const source = silentAfter(1);
    let goOn!: () => void;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const seen: unknown[] = [];
    const ended = rejection(
      pool.map(source, async (connection, _item, _index, { signal }) => {
        seen.push('begun');
        await gate;
        const cursor = await connection.execute('SELECT 1', [], { signal });
        seen.push(await cursor.fetchone());
      }),
    );
    await expect.poll(() => seen).toEqual(['begun']);
    const closed = pool.close();
    await expect.poll(() => source.left).toBe(1);
    goOn();
    expect(await ended).toBeInstanceOf(errors.PoolClosed);
    await closed;
    expect(seen).toEqual(['begun', [1]]);
  });

  it('rejects on an abort while it waits for an item that is a promise', async () => {
    const pool = makePool();
    const controller = new AbortController();
    const never = [new Promise<number>(() => undefined)];
    const ended = rejection(pool.map(never, () => Promise.resolve(1), { signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect((await ended).message).toBe('enough');
    expect(await pool.map([Promise.resolve(2)], async (_connection, item) => item)).toEqual([2]);
  });

  it('aborts the signal of the other jobs when one has failed, and waits for them', async () => {
    const pool = makePool({ maxSize: 3 });
    const failure = new Error('the second job failed');
    const reasons: unknown[] = [];
    let running = 0;
    const ended = rejection(
      pool.map([0, 1, 2], async (_connection, item, index, { signal }) => {
        expect([index, signal.aborted]).toEqual([item, false]);
        running++;
        while (running < 3) await sleep(1);
        if (item === 1) throw failure;
        reasons.push(await aborted(signal));
        await sleep(20);
        reasons.push('ended');
      }),
    );
    expect(await ended).toBe(failure);
    expect(reasons).toEqual([failure, failure, 'ended', 'ended']);
  });

  it('cancels the statements to which a job has passed its signal when it is aborted', async () => {
    const pool = makePool({ maxSize: 2 });
    const controller = new AbortController();
    const reason = new Error('enough');
    let begun = 0;
    const ended = rejection(
      pool.map(
        [1, 2],
        async (connection, _item, _index, { signal }) => {
          begun++;
          await connection.execute('select pg_sleep(60)', null, { signal });
        },
        { signal: controller.signal },
      ),
    );
    await expect.poll(() => begun).toBe(2);
    controller.abort(reason);
    expect(await ended).toBe(reason);
    expect((await pool.execute('select 1')).rows).toEqual([[1]]);
  });

  it('ends the wait of jobs for a connection when one has failed', async () => {
    const pool = makePool({ maxSize: 2 });
    const taken = await pool.connection();
    let called = 0;
    const ended = rejection(
      pool.map(
        [1, 2, 3],
        () => {
          called++;
          return Promise.reject(new errors.DataError('the first'));
        },
        { concurrency: 3 },
      ),
    );
    expect((await ended).message).toBe('the first');
    // The second job may have been handed the first one's connection.
    expect(called).toBeLessThan(3);
    expect(pool.getStats().requestsWaiting).toBe(0);
    await pool.putconn(taken);
  });

  it('passes its jobs a signal that is not aborted on success, and leaves no listener', async () => {
    const pool = makePool({ maxSize: 2 });
    const { signal } = new AbortController();
    const signals = new Set<AbortSignal>();
    for (let i = 0; i < 12; i++) {
      await pool.map(
        [1, 2, 3],
        async (_connection, _item, _index, job) => {
          signals.add(job.signal);
          await sleep(0);
        },
        { signal },
      );
    }
    expect([signals.size, [...signals].some(({ aborted: is }) => is)]).toEqual([12, false]);
  });

  it('closes an unfinished source, but not one that has ended', async () => {
    const pool = makePool({ maxSize: 2 });
    const ends: string[] = [];
    function* source(name: string): Generator<number> {
      try {
        yield 1;
        yield 2;
        ends.push(`${name} ended`);
      } finally {
        ends.push(`${name} closed`);
      }
    }
    await pool.map(source('whole'), () => Promise.resolve());
    await expect(
      pool.map(source('failed'), () => Promise.reject(new Error('no'))),
      '',
    ).rejects.toThrow('no');
    expect(ends.slice(0, 2)).toEqual(['whole ended', 'whole closed']);
    expect(ends.at(-1)).toBe('failed closed');
  });
});
