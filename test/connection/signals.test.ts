import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  type AsyncConnection,
  conninfoToDict,
  CompositeInfo,
  EnumInfo,
  errors,
  IsolationLevel,
  MultirangeInfo,
  RangeInfo,
  TransactionStatus,
  TypeInfo,
} from '../../src/index.js';
import { admin, connect, dsn, makePool } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { heldStatement } from '../support/held-statement.js';
import { untilRunning } from '../support/until-running.js';

const { IDLE, INTRANS, INERROR } = TransactionStatus;

async function proxyToServer(): Promise<FaultProxy> {
  const { host, port } = conninfoToDict(inject('dsn'));
  return FaultProxy.to({ host: String(host), port: Number(port) });
}

interface Waiting {
  /** Whether it takes place within a transaction, in which nothing else is to be done before. */
  readonly within?: true;
  readonly call: (connection: AsyncConnection, signal: AbortSignal) => Promise<unknown>;
}

/** Every call of a connection that waits for the server or for its turn. */
const CALLS: Readonly<Record<string, Waiting>> = {
  'commit()': { within: true, call: (conn, signal) => conn.commit({ signal }) },
  'rollback()': { within: true, call: (conn, signal) => conn.rollback({ signal }) },
  'execute()': { call: (conn, signal) => conn.execute('select 1', null, { signal }) },
  'executemany()': { call: (conn, signal) => conn.cursor().executemany('select %s', [[1], [2]], { signal }) },
  'copy()': { call: (conn, signal) => conn.cursor().copy('copy (select 1) to stdout', null, { signal }) },
  'stream()': { call: (conn, signal) => conn.cursor().stream('select 1', null, { signal }).next() },
  'execute() of a server-side cursor': {
    call: (conn, signal) => conn.cursor({ name: 'c' }).execute('select 1', null, { signal }),
  },
  'transaction()': { call: (conn, signal) => conn.transaction({ signal }) },
  'transaction() within a transaction': {
    within: true,
    call: (conn, signal) => conn.transaction({ signal }),
  },
  'withTransaction()': { call: (conn, signal) => conn.withTransaction(() => Promise.resolve(), { signal }) },
  'setAutocommit()': { call: (conn, signal) => conn.setAutocommit(true, { signal }) },
  'setIsolationLevel()': {
    call: (conn, signal) => conn.setIsolationLevel(IsolationLevel.SERIALIZABLE, { signal }),
  },
  'setReadOnly()': { call: (conn, signal) => conn.setReadOnly(true, { signal }) },
  'setDeferrable()': { call: (conn, signal) => conn.setDeferrable(true, { signal }) },
  'tpcBegin()': { call: (conn, signal) => conn.tpcBegin('x', { signal }) },
  'tpcCommit()': { call: (conn, signal) => conn.tpcCommit('nowhere', { signal }) },
  'tpcRollback()': { call: (conn, signal) => conn.tpcRollback('nowhere', { signal }) },
  'tpcRecover()': { call: (conn, signal) => conn.tpcRecover({ signal }) },
  'TypeInfo.fetch()': { call: (conn, signal) => TypeInfo.fetch(conn, 'int4', { signal }) },
  'CompositeInfo.fetch()': { call: (conn, signal) => CompositeInfo.fetch(conn, 'int4', { signal }) },
  'EnumInfo.fetch()': { call: (conn, signal) => EnumInfo.fetch(conn, 'int4', { signal }) },
  'RangeInfo.fetch()': { call: (conn, signal) => RangeInfo.fetch(conn, 'int4range', { signal }) },
  'MultirangeInfo.fetch()': {
    call: (conn, signal) => MultirangeInfo.fetch(conn, 'int4multirange', { signal }),
  },
};

describe.each(Object.entries(CALLS))('%s with a signal', (_, { call, within }) => {
  it('that is aborted before rejects with its reason and sends nothing', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({}, { host: '127.0.0.1', port: proxy.port });
    if (within === true) await connection.execute('select 1');
    const sent = proxy.connections[0]!.bytes.up;
    const status = connection.info.transactionStatus;
    await expect(call(connection, AbortSignal.abort('too late'))).rejects.toBe('too late');
    expect([proxy.connections.length, proxy.connections[0]!.bytes.up]).toEqual([1, sent]);
    expect(connection.info.transactionStatus).toBe(status);
    expect(await (await connection.execute('select 2')).fetchone()).toEqual([2]);
  });

  it('that is aborted while it waits for its turn rejects at once and is never sent', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({}, { host: '127.0.0.1', port: proxy.port });
    if (within === true) await connection.execute('select 1');
    const held = await heldStatement();
    const before = connection.execute(held.text);
    await untilRunning(dsn(), connection.info.backendPid);
    const sent = proxy.connections[0]!.bytes.up;
    const controller = new AbortController();
    const waiting = call(connection, controller.signal);
    controller.abort('not wanted any more');
    await expect(waiting).rejects.toBe('not wanted any more');
    expect([proxy.connections.length, proxy.connections[0]!.bytes.up]).toEqual([1, sent]);
    await held.release();
    await before;
    expect(connection.info.transactionStatus).toBe(INTRANS);
    expect(await (await connection.execute('select 2')).fetchone()).toEqual([2]);
    expect([connection.autocommit, connection.isolationLevel, connection.readOnly]).toEqual([
      false,
      null,
      null,
    ]);
  });
});

describe('a COMMIT that is aborted', () => {
  beforeAll(async () => {
    await admin(`
      create table slow_to_commit (id int, seconds float8);
      create function sleep_at_commit() returns trigger language plpgsql as
        'begin perform pg_sleep(new.seconds); return new; end';
      create constraint trigger slow after insert on slow_to_commit deferrable initially deferred
        for each row execute function sleep_at_commit()`);
  });
  afterAll(async () => {
    await admin('drop table slow_to_commit; drop function sleep_at_commit()');
  });

  const stored = async (id: number): Promise<boolean> =>
    (await admin('select from slow_to_commit where id = $1', [id])).length === 1;

  /** Aborts the call `end` as soon as it runs. */
  const abortWhileRunning = async (
    connection: AsyncConnection,
    end: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> => {
    const controller = new AbortController();
    const ending = end(controller.signal);
    const rejected = expect(ending).rejects.toBe('enough');
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort('enough');
    await rejected;
  };

  it('while it runs is cancelled, rejects with the reason, and has rolled back', async () => {
    const connection = await connect();
    await connection.execute('insert into slow_to_commit values (1, 20)');
    await abortWhileRunning(connection, (signal) => connection.commit({ signal }));
    expect([connection.info.transactionStatus, await stored(1)]).toEqual([IDLE, false]);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('of a block is cancelled, and the block is over', async () => {
    const connection = await connect();
    const transaction = await connection.transaction();
    await connection.execute('insert into slow_to_commit values (2, 20)');
    await abortWhileRunning(connection, (signal) => transaction.commit({ signal }));
    expect([transaction.active, connection.info.transactionStatus, await stored(2)]).toEqual([
      false,
      IDLE,
      false,
    ]);
    await connection.withTransaction(() => connection.execute('insert into slow_to_commit values (3, 0)'));
    expect(await stored(3)).toBe(true);
  });

  it('of withTransaction() rolls back', async () => {
    const connection = await connect();
    await abortWhileRunning(connection, (signal) =>
      connection.withTransaction(() => connection.execute('insert into slow_to_commit values (4, 20)'), {
        signal,
      }),
    );
    const controller = new AbortController();
    const aborted = connection.withTransaction(
      async () => {
        await connection.execute('insert into slow_to_commit values (5, 0)');
        controller.abort('before the COMMIT');
      },
      { signal: controller.signal },
    );
    await expect(aborted).rejects.toBe('before the COMMIT');
    expect([connection.info.transactionStatus, await stored(4), await stored(5)]).toEqual([
      IDLE,
      false,
      false,
    ]);
  });

  it('of pool.execute() rolls back, and the pool lends the connection out again', async () => {
    const pool = makePool({ maxSize: 1 });
    const pid = await pool.withConnection((connection) => connection.info.backendPid);
    const controller = new AbortController();
    const rejected = expect(
      pool.execute('insert into slow_to_commit values (6, 20)', null, { signal: controller.signal }),
    ).rejects.toBe('enough');
    await expect
      .poll(
        async () =>
          await admin(
            `select from pg_stat_activity where pid = ${String(pid)} and query = 'COMMIT' and state = 'active'`,
          ),
      )
      .toHaveLength(1);
    controller.abort('enough');
    await rejected;
    expect(await stored(6)).toBe(false);
    expect(await pool.withConnection((connection) => connection.info.backendPid)).toBe(pid);
    expect(pool.getStats()).toMatchObject({ poolSize: 1, poolAvailable: 1, returnsBad: 0 });
  });

  it('but was done already resolves, since it was done', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({}, { host: '127.0.0.1', port: proxy.port });
    await connection.execute('insert into slow_to_commit values (7, 0)');
    proxy.latency = 0.4;
    const controller = new AbortController();
    const committing = connection.commit({ signal: controller.signal });
    // The server has committed, and its answer is in transit.
    await expect.poll(() => stored(7), { interval: 5 }).toBe(true);
    controller.abort();
    await committing;
    expect(connection.info.transactionStatus).toBe(IDLE);
    proxy.latency = 0;
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('and whose answer is lost with the connection says that its outcome is unknown', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({}, { host: '127.0.0.1', port: proxy.port });
    await connection.execute('insert into slow_to_commit values (8, 0)');
    proxy.blackHole.add('down');
    const controller = new AbortController();
    const committing = connection.commit({ signal: controller.signal });
    const unknown = expect(committing).rejects.toBeInstanceOf(errors.TransactionOutcomeUnknown);
    await expect.poll(() => stored(8)).toBe(true);
    controller.abort();
    await sleep(200);
    proxy.resetAll();
    await unknown;
  });

  it('as the first phase of two has prepared nothing', async () => {
    const connection = await connect();
    await connection.tpcBegin('aborted');
    await connection.execute('insert into slow_to_commit values (9, 20)');
    await abortWhileRunning(connection, (signal) => connection.tpcPrepare({ signal }));
    await connection.tpcRollback();
    expect(await connection.tpcRecover()).toEqual([]);
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });
});

describe('a block whose opening is aborted', () => {
  it('is rolled back although the server has opened it', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({}, { host: '127.0.0.1', port: proxy.port });
    for (const inner of [false, true]) {
      if (inner) await connection.execute('select 1');
      proxy.latency = 0.1;
      const controller = new AbortController();
      const savepointName = inner ? undefined : 'named';
      const opening = connection.transaction({ savepointName, signal: controller.signal });
      const rejected = expect(opening).rejects.toBe('enough');
      await sleep(150);
      controller.abort('enough');
      await rejected;
      proxy.latency = 0;
      expect(connection.info.transactionStatus).toBe(inner ? INTRANS : IDLE);
    }
    // Neither affects the next transaction.
    await connection.commit();
    await connection.withTransaction(() => connection.execute('select 1'));
  });

  it('of two phases is rolled back as well', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({}, { host: '127.0.0.1', port: proxy.port });
    proxy.latency = 0.1;
    const controller = new AbortController();
    const rejected = expect(connection.tpcBegin('x', { signal: controller.signal })).rejects.toBe('enough');
    await sleep(150);
    controller.abort('enough');
    await rejected;
    expect(connection.info.transactionStatus).toBe(IDLE);
    await connection.tpcBegin('x');
    await connection.tpcRollback();
  });
});

describe('a block within a transaction', () => {
  it('stays open if its end is aborted before that is sent', async () => {
    const connection = await connect();
    await connection.execute('create temp table kept (id int)');
    const transaction = await connection.transaction();
    const before = connection.execute('select pg_sleep(0.1)');
    const controller = new AbortController();
    const ends = [transaction.commit({ signal: controller.signal })];
    controller.abort('not yet');
    for (const end of ends) await expect(end).rejects.toBe('not yet');
    await expect(transaction.rollback({ signal: AbortSignal.abort('nor now') })).rejects.toBe('nor now');
    await before;
    expect(transaction.active).toBe(true);
    await connection.execute('insert into kept values (1)');
    await transaction.commit();
    expect(await (await connection.execute('select id from kept')).fetchall()).toEqual([[1]]);
  });
});

describe('a pipeline', () => {
  it('whose sync() is aborted is cancelled, and both the connection and the pipeline go on', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('create temp table piped (id int)');
    await using pipeline = connection.pipeline();
    await connection.execute('insert into piped values (1)');
    await connection.execute('select pg_sleep(20)');
    await connection.execute('insert into piped values (2)');
    const controller = new AbortController();
    const rejected = expect(pipeline.sync({ signal: controller.signal })).rejects.toBe('enough');
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort('enough');
    await rejected;
    await expect(pipeline.sync({ signal: AbortSignal.abort('at once') })).rejects.toBe('at once');
    const cursor = await connection.execute('insert into piped values (3)');
    await pipeline.sync();
    expect(cursor.statusmessage).toBe('INSERT 0 1');
    // The segment was atomic, and its error is not reported again.
    expect(await (await connection.execute('select id from piped')).fetchall()).toEqual([[3]]);
  });

  it('of withPipeline() is cancelled at its end, too', async () => {
    const connection = await connect({ autocommit: true });
    const controller = new AbortController();
    const running = connection.withPipeline(() => connection.execute('select pg_sleep(20)'), {
      signal: controller.signal,
    });
    const rejected = expect(running).rejects.toBe('enough');
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort('enough');
    await rejected;
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });
});

describe('scroll() of a server-side cursor', () => {
  it('that is aborted leaves the connection usable, and requires a new position', async () => {
    const connection = await connect();
    const cursor = connection.cursor({ name: 'slow', scrollable: false });
    await cursor.execute('select i, pg_sleep(0.2) from generate_series(1, 1000) i');
    await expect(cursor.scroll(1, 'relative', { signal: AbortSignal.abort('before') })).rejects.toBe(
      'before',
    );
    expect(cursor.rownumber).toBe(0);
    const controller = new AbortController();
    await connection.execute('savepoint here');
    const rejected = expect(cursor.scroll(500, 'relative', { signal: controller.signal })).rejects.toBe(
      'enough',
    );
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort('enough');
    await rejected;
    expect(connection.info.transactionStatus).toBe(INERROR);
    await connection.execute('rollback to here');
    await expect(cursor.fetchone()).rejects.toThrow("scroll(row, 'absolute')");
    await connection.rollback();
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });
});

describe('cancelSafe()', () => {
  it('stops waiting when its signal is aborted', async () => {
    await using proxy = await proxyToServer();
    const connection = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    await expect(connection.cancelSafe({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
    const running = expect(connection.execute('select pg_sleep(20)')).rejects.toBeInstanceOf(
      errors.QueryCanceled,
    );
    await untilRunning(dsn(), connection.info.backendPid);
    proxy.latency = 0.3;
    const controller = new AbortController();
    const cancelling = connection.cancelSafe({ signal: controller.signal });
    controller.abort('enough');
    await expect(cancelling).rejects.toBe('enough');
    // The request had been sent.
    await running;
    proxy.latency = 0;
  });
});

/** A warning would fail the test, as any process warning does. */
describe('one signal serves more than ten at once, without a warning, of', () => {
  const TWELVE = Array.from({ length: 12 }, (_, i) => i);

  it('connections that are being made', async () => {
    await using proxy = await proxyToServer();
    proxy.latency = 0.05;
    const { signal } = new AbortController();
    const made = await Promise.all(
      TWELVE.map(() => connect({ signal }, { host: '127.0.0.1', port: proxy.port })),
    );
    expect(made.map(({ closed }) => closed)).toEqual(TWELVE.map(() => false));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('pipelines that wait for their sync()', async () => {
    const { signal } = new AbortController();
    const connections = await Promise.all(TWELVE.map(() => connect({ autocommit: true })));
    const rows = await Promise.all(
      connections.map((connection, i) =>
        connection.withPipeline(async (pipeline) => {
          const cursor = await connection.execute('select %s', [i]);
          await pipeline.sync({ signal });
          return cursor.fetchone();
        }),
      ),
    );
    expect(rows).toEqual(TWELVE.map((i) => [i]));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('cancelSafe()', async () => {
    const connection = await connect({ autocommit: true });
    const { signal } = new AbortController();
    const running = expect(connection.execute('select pg_sleep(20)')).rejects.toBeInstanceOf(
      errors.QueryCanceled,
    );
    await untilRunning(dsn(), connection.info.backendPid);
    await Promise.all(TWELVE.map(() => connection.cancelSafe({ signal })));
    await running;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('transactions that pause before a retry', async () => {
    const pool = makePool({ maxSize: 12 });
    const controller = new AbortController();
    const { signal } = controller;
    let failed = 0;
    const ends = TWELVE.map(() =>
      pool
        .withTransaction(
          () => {
            failed++;
            throw new errors.SerializationFailure('again');
          },
          { retries: 1000, signal },
        )
        .catch((error: unknown) => error),
    );
    await expect.poll(() => failed).toBeGreaterThan(36);
    controller.abort('enough');
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['enough']));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
