import { tracingChannel } from 'node:diagnostics_channel';
import { expect, it, vi } from 'vitest';
import type { AsyncConnectionPool } from '../../src/index.js';
import { dsn } from '../support/database.js';

/** Two connects, six checkouts and several statements; the messages count the statements. */
async function work(pool: AsyncConnectionPool): Promise<void> {
  await pool.wait();
  for (let i = 0; i < 5; i++) await pool.execute('select %s::int', [i]);
  await pool.withConnection(async (connection) => {
    await connection.cursor().executemany('select %s::int', [[1], [2]]);
    for await (const _ of connection.cursor().stream('select 1'));
    await connection.execute('select 1/0').catch(() => undefined);
    await connection.rollback();
  });
  await pool.close();
}

it('makes no message without a subscriber, and checks once per statement, checkout and connect', async () => {
  // A separate copy of the library, in which the making of messages is observed.
  vi.resetModules();
  vi.doMock('../../src/session/query-trace.js', { spy: true });
  const { Tracer, tracers } = await import('../../src/diagnostics.js');
  const { traceQuery } = await import('../../src/session/query-trace.js');
  const { AsyncConnectionPool: Pool } = await import('../../src/index.js');
  const trace = vi.spyOn(Tracer.prototype, 'trace');
  const prototype = Object.getPrototypeOf(tracers.query.channel) as typeof tracers.query.channel;
  const asked = vi.spyOn(prototype, 'hasSubscribers', 'get');
  const ours: unknown[] = Object.values(tracers).map(({ channel }) => channel);
  const timesAsked = (): number => asked.mock.contexts.filter((channel) => ours.includes(channel)).length;
  await work(new Pool(dsn(), { minSize: 1 }));
  expect(trace).not.toHaveBeenCalled();
  expect(traceQuery).not.toHaveBeenCalled();
  const unwatched = timesAsked();

  const channel = tracingChannel('usingpg:query');
  const asyncEnd = vi.fn();
  const listener = { asyncEnd, start: vi.fn(), end: vi.fn(), asyncStart: vi.fn(), error: vi.fn() };
  channel.subscribe(listener);
  asked.mockClear();
  await work(new Pool(dsn(), { minSize: 1 }));
  channel.unsubscribe(listener);
  const statements = vi.mocked(traceQuery).mock.calls.length;
  // Five of a statement and a COMMIT, then BEGIN and the batch in one, a stream, a failure, ROLLBACK.
  expect(statements).toBe(14);
  expect(trace).toHaveBeenCalledTimes(statements);
  expect(asyncEnd).toHaveBeenCalledTimes(statements);
  // An unnecessary commit is no statement.
  expect(unwatched).toBe(1 + 6 + statements);
  expect(timesAsked()).toBe(unwatched);
});
