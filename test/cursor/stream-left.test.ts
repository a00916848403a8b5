import { describe, expect, it } from 'vitest';
import { errors, TransactionStatus, type AsyncConnection } from '../../src/index.js';
import { connect, makePool, rejection } from '../support/database.js';

/** Failures among the rows of a stream that its reader leaves before it reaches them. */
const STREAMS: Record<string, { query: string; size?: number; fails: boolean }> = {
  'whose batch fails on the server': { query: 'SELECT 1/(5 - i) FROM generate_series(1, 10) i', fails: true },
  'whose next batch fails on the server': {
    query: 'SELECT 1/(5 - i) FROM generate_series(1, 100) i',
    size: 2,
    fails: true,
  },
  'whose row no loader takes': {
    query: "SELECT CASE WHEN i = 3 THEN 'bad' END FROM generate_series(1, 50) i",
    fails: false,
  },
  'whose row of a batch that others follow no loader takes': {
    query: "SELECT CASE WHEN i = 3 THEN 'bad' END FROM generate_series(1, 50) i",
    size: 5,
    fails: false,
  },
  'whose rows are more than may wait': {
    query: "SELECT repeat('x', 100000) FROM generate_series(1, 200)",
    size: 200,
    fails: false,
  },
  'that has one batch': { query: 'SELECT generate_series(1, 3)', fails: false },
};

type Leave = (conn: AsyncConnection, query: string, size: number | undefined) => Promise<unknown>;

const WAYS: Record<string, Leave> = {
  break: async (conn, query, size) => {
    for await (const row of conn.cursor().stream(query, null, size === undefined ? {} : { size })) {
      expect(row).toHaveLength(1);
      break;
    }
  },
  'an exception': async (conn, query, size) => {
    const options = size === undefined ? {} : { size };
    const loop = async (): Promise<void> => {
      for await (const row of conn.cursor().stream(query, null, options)) throw new RangeError(String(row));
    };
    expect(await rejection(loop())).toBeInstanceOf(RangeError);
  },
  'return() a moment later': async (conn, query, size) => {
    const rows = conn.cursor().stream(query, null, size === undefined ? {} : { size });
    await rows.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await rows.return();
  },
  'close() of its cursor': async (conn, query, size) => {
    const cursor = conn.cursor();
    await cursor.stream(query, null, size === undefined ? {} : { size }).next();
    await cursor.close();
  },
  'its signal': async (conn, query, size) => {
    const { signal, abort } = ((controller) => ({
      signal: controller.signal,
      abort: () => {
        controller.abort(new RangeError('enough'));
      },
    }))(new AbortController());
    const rows = conn.cursor().stream(query, null, size === undefined ? { signal } : { size, signal });
    await rows.next();
    abort();
    await rows.return().catch(() => undefined);
  },
  'cancelSafe()': async (conn, query, size) => {
    const rows = conn.cursor().stream(query, null, size === undefined ? {} : { size });
    await rows.next();
    await conn.cancelSafe();
    await rows.return().catch(() => undefined);
  },
};

function refusingLoader(conn: AsyncConnection): void {
  conn.adapters.registerLoader('text', (text) => {
    if (text === 'bad') throw new Error('a bad text');
    return text;
  });
}

describe.each(Object.keys(STREAMS))('a stream %s', (kind) => {
  const { query, size, fails } = STREAMS[kind]!;
  for (const autocommit of [true, false]) {
    it.each(Object.keys(WAYS))(
      `leaves no error for the next statement when it is left by %s (autocommit: ${String(autocommit)})`,
      async (way) => {
        const conn = await connect({ autocommit });
        refusingLoader(conn);
        await WAYS[way]!(conn, query, size);
        const failed = conn.info.transactionStatus === TransactionStatus.INERROR;
        if (failed) await conn.rollback();
        expect(await (await conn.execute('SELECT 42')).fetchone()).toEqual([42]);
        expect(await (await conn.execute('SELECT %s::int', [43], { prepare: true })).fetchone()).toEqual([
          43,
        ]);
        if (!autocommit && way === 'break') expect(failed && !fails).toBe(false);
      },
    );
  }

  it('leaves no error for the next borrower of its pool', async () => {
    const pool = makePool({ maxSize: 1, connectOptions: { autocommit: true } });
    const pid = await pool.withConnection(async (conn) => {
      refusingLoader(conn);
      await WAYS['break']!(conn, query, size);
      return conn.info.backendPid;
    });
    expect((await pool.execute('SELECT 42, pg_backend_pid()')).rows).toEqual([[42, pid]]);
  });
});

describe('a stream within a transaction', () => {
  it.each(Object.keys(WAYS).slice(0, 3))(
    'keeps earlier work if its batch is slow, left by %s',
    async (way) => {
      const conn = await connect();
      await conn.execute('CREATE TEMP TABLE kept (i int)');
      await conn.execute('INSERT INTO kept VALUES (1)');
      // The second batch takes three times as long as the delay of a cancel request in autocommit.
      await WAYS[way]!(
        conn,
        'SELECT i FROM generate_series(1, 100) i, LATERAL pg_sleep(CASE WHEN i = 3 THEN 0.3 ELSE 0 END)',
        2,
      );
      await conn.execute('INSERT INTO kept VALUES (2)');
      await conn.commit();
      expect(await (await conn.execute('SELECT count(*)::int FROM kept')).fetchone()).toEqual([2]);
    },
  );

  it('is cancelled if its batch does not end, which fails the transaction', async () => {
    const conn = await connect();
    const sleeping =
      'SELECT i FROM generate_series(1, 100) i, LATERAL pg_sleep(CASE WHEN i = 3 THEN 600 ELSE 0 END)';
    await WAYS['break']!(conn, sleeping, 2);
    expect(conn.info.transactionStatus).toBe(TransactionStatus.INERROR);
    expect(await rejection(conn.execute('SELECT 1'))).toBeInstanceOf(errors.InFailedSqlTransaction);
    await conn.rollback();
  });
});
