import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  AsyncClientCursor,
  AsyncRawCursor,
  camelRow,
  dictRow,
  errors,
  TransactionStatus,
  type AsyncConnection,
  type RowFactory,
} from '../../src/index.js';
import { connect, dsn, makePool, rejection } from '../support/database.js';
import { heldStatement } from '../support/held-statement.js';
import { untilRunning } from '../support/until-running.js';

const ENDLESS = 'SELECT generate_series(1, 1000000000) AS n';

function names({ description }: { description: readonly { readonly name: string }[] | null }): unknown {
  return description?.map(({ name }) => name) ?? null;
}

async function all<R>(rows: AsyncIterable<R>): Promise<R[]> {
  const read: R[] = [];
  for await (const row of rows) read.push(row);
  return read;
}

/** Counts the calls of a row factory, each of which must have the result's columns. */
function countedFactory(): { factory: RowFactory<unknown>; calls: unknown[] } {
  const calls: unknown[] = [];
  const factory: RowFactory<unknown> = (source) => {
    calls.push(names(source));
    return (values) => [...values];
  };
  return { factory, calls };
}

describe.each([true, false])('open() of a stream (autocommit: %s)', (autocommit) => {
  it('makes the columns known before the first row, which the loop gets', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor({ rowFactory: dictRow });
    const rows = cursor.stream('SELECT n, n * 2 AS twice FROM generate_series(1, 100) n', null, { size: 7 });
    expect(cursor.description).toBeNull();
    await rows.open();
    expect(names(cursor)).toEqual(['n', 'twice']);
    const read = await all(rows);
    expect(read).toHaveLength(100);
    expect([read[0], read[99]]).toEqual([
      { n: 1, twice: 2 },
      { n: 100, twice: 200 },
    ]);
    expect(names(cursor)).toEqual(['n', 'twice']);
  });

  it('makes the columns of a result without rows known', async () => {
    const connection = await connect({ autocommit });
    for (const cursor of [
      connection.cursor(),
      new AsyncClientCursor(connection),
      new AsyncRawCursor(connection),
    ]) {
      const rows = cursor.stream('SELECT 1 AS a, 2 AS b WHERE false');
      await rows.open();
      expect(names(cursor)).toEqual(['a', 'b']);
      expect(await all(rows)).toEqual([]);
      expect(names(cursor)).toEqual(['a', 'b']);
      expect(await (await cursor.execute('SELECT 2')).fetchone()).toEqual([2]);
    }
  });

  it.each([
    ['CREATE TEMP TABLE made AS SELECT generate_series(1, 3) AS n', 'SELECT 3', 3],
    ['INSERT INTO things SELECT generate_series(1, 5)', 'INSERT 0 5', 5],
    ['SET application_name = $$opened$$', 'SET', -1],
    ['', null, -1],
  ])('of %j, which returns no rows, gives its tag, and the loop gets nothing', async (text, tag, count) => {
    const connection = await connect({ autocommit });
    await connection.execute('CREATE TEMP TABLE things (n int)');
    const cursor = connection.cursor();
    const rows = cursor.stream(text);
    await rows.open();
    expect([cursor.description, cursor.statusmessage, cursor.rowcount]).toEqual([null, tag, count]);
    expect(await all(rows)).toEqual([]);
    await rows.open();
    expect(cursor.statusmessage).toBe(tag);
    expect(await (await cursor.execute('SELECT 2')).fetchone()).toEqual([2]);
  });

  it('may be called any number of times, and loses no row', async () => {
    const connection = await connect({ autocommit });
    const rows = connection.cursor().stream('SELECT generate_series(1, 4)', null, { size: 1 });
    const [, first] = await Promise.all([rows.open(), rows.next(), rows.open(), rows.open()]);
    expect(first).toEqual({ done: false, value: [1] });
    await rows.open();
    expect(await all(rows)).toEqual([[2], [3], [4]]);
    await rows.open();
    expect(await rows.next()).toEqual({ done: true, value: undefined });
  });

  it('rejects with the error of the statement, however often it is called', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor();
    for (const [text, errorClass] of [
      ['SELECT * FROM nowhere', errors.UndefinedTable],
      ['SELECT 1 / (1 - n) FROM generate_series(1, 3) n', errors.DivisionByZero],
      ['SELECT 1; SELECT 2', errors.SyntaxError],
      ['COPY pg_class TO STDOUT', errors.ProgrammingError],
    ] as const) {
      const rows = cursor.stream(text);
      const outcomes = await Promise.all([rejection(rows.open()), rejection(rows.open())]);
      for (const outcome of outcomes) expect(outcome).toBeInstanceOf(errorClass);
      expect(await rows.next()).toEqual({ done: true, value: undefined });
      if (!autocommit) await connection.rollback();
      expect(await (await cursor.execute('SELECT 2')).fetchone()).toEqual([2]);
    }
  });

  it('rejects with the reason of an abort, before it and while the server works', async () => {
    const connection = await connect({ autocommit });
    const reason = new Error('enough');
    const before = connection.cursor().stream('SELECT 1', null, { signal: AbortSignal.abort(reason) });
    expect(await rejection(before.open())).toBe(reason);
    const held = await heldStatement();
    const abort = new AbortController();
    const rows = connection.cursor().stream(held.text, null, { signal: abort.signal });
    const opening = rejection(rows.open());
    await untilRunning(dsn(), connection.info.backendPid);
    abort.abort(reason);
    expect(await opening).toBe(reason);
    expect(await rows.next()).toEqual({ done: true, value: undefined });
    if (!autocommit) await connection.rollback();
    expect(await (await connection.execute('SELECT 2')).fetchone()).toEqual([2]);
  });

  const LEAVES: Readonly<Record<string, (connection: AsyncConnection) => Promise<void>>> = {
    'return()': async (connection) => {
      const rows = connection.cursor().stream(ENDLESS);
      await rows.open();
      await rows.return();
    },
    'the end of its scope': async (connection) => {
      await using rows = connection.cursor().stream(ENDLESS);
      await rows.open();
    },
    'break at the first row': async (connection) => {
      const rows = connection.cursor().stream(ENDLESS);
      await rows.open();
      for await (const row of rows) {
        expect(row).toEqual([1]);
        break;
      }
    },
    'garbage collection': async (connection) => {
      const forget = async (): Promise<void> => {
        await connection.cursor().stream(ENDLESS).open();
      };
      await forget();
      const isFree = async (): Promise<boolean> => {
        globalThis.gc!();
        await sleep(1);
        return connection.execute('SELECT 1').then(
          () => true,
          () => false,
        );
      };
      await expect.poll(isFree, { timeout: 30_000 }).toBe(true);
    },
  };

  it.each(Object.keys(LEAVES))(
    'leaves nothing behind if the stream is left by %s before a row was read',
    async (way) => {
      const connection = await connect({ autocommit });
      await connection.execute('CREATE TEMP TABLE kept (n int)');
      await connection.execute('INSERT INTO kept VALUES (1)');
      await LEAVES[way]!(connection);
      // Earlier work of the transaction is kept.
      expect(connection.info.transactionStatus).toBe(
        autocommit ? TransactionStatus.IDLE : TransactionStatus.INTRANS,
      );
      const { rowcount } = await connection.execute('SELECT n FROM kept');
      expect(rowcount).toBe(1);
      const open = await connection.execute('SELECT count(*)::int FROM pg_cursors; SELECT 1');
      expect(await open.fetchone()).toEqual([0]);
    },
  );

  it('keeps the connection busy until the stream is left', async () => {
    const connection = await connect({ autocommit });
    const rows = connection.cursor().stream(ENDLESS);
    await rows.open();
    const refusal = await rejection(connection.execute('SELECT 1'));
    expect(refusal).toBeInstanceOf(errors.ProgrammingError);
    expect(refusal.message).toContain('busy with');
    await rows.return();
    expect(await (await connection.execute('SELECT 2')).fetchone()).toEqual([2]);
  });

  it('is refused for a stream that was left before, whose statement was not sent', async () => {
    const connection = await connect({ autocommit });
    const rows = connection.cursor().stream('SELECT 1');
    await rows.return();
    expect(await rejection(rows.open())).toBeInstanceOf(errors.InterfaceError);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it('rejects if its cursor is closed meanwhile', async () => {
    const connection = await connect({ autocommit });
    const held = await heldStatement();
    const cursor = connection.cursor();
    const opening = rejection(cursor.stream(held.text).open());
    await untilRunning(dsn(), connection.info.backendPid);
    await cursor.close();
    expect(await opening).toBeInstanceOf(errors.InterfaceError);
  });
});

describe('the row factory of a stream', () => {
  it('is called once, with the columns', async () => {
    const connection = await connect();
    for (const opens of [true, false]) {
      const { factory, calls } = countedFactory();
      const rows = connection
        .cursor({ rowFactory: factory })
        .stream('SELECT generate_series(1, 50) AS n', null, { size: 5 });
      if (opens) await rows.open();
      expect(await all(rows)).toHaveLength(50);
      expect(calls).toEqual([['n']]);
    }
  });

  it('is never called without columns: not for an empty result, nor for a statement without rows', async () => {
    const connection = await connect();
    const { factory, calls } = countedFactory();
    const cursor = connection.cursor({ rowFactory: factory });
    expect(await all(cursor.stream('SELECT 1 WHERE false'))).toEqual([]);
    for (const text of ['SELECT 1 WHERE false', 'CREATE TEMP TABLE nothing ()']) {
      const rows = cursor.stream(text);
      await rows.open();
      expect(await all(rows)).toEqual([]);
    }
    for (const call of calls) expect(call).not.toBeNull();
  });

  it('that refuses the columns ends the stream, and the connection goes on', async () => {
    const connection = await connect();
    const cursor = connection.cursor({ rowFactory: camelRow });
    const rows = cursor.stream('SELECT n AS a_b, n AS a__b FROM generate_series(1, 100000) n');
    expect(await rejection(rows.open())).toBeInstanceOf(errors.ProgrammingError);
    expect(await rows.next()).toEqual({ done: true, value: undefined });
    expect((await connection.execute('SELECT 2')).rowcount).toBe(1);
  });

  it('may change between two batches', async () => {
    const connection = await connect();
    const cursor = connection.cursor<unknown>({ rowFactory: dictRow });
    const rows = cursor.stream('SELECT generate_series(1, 4) AS n', null, { size: 2 });
    const read: unknown[] = [];
    for await (const row of rows) {
      read.push(row);
      cursor.rowFactory = () => (values) => values[0];
    }
    expect(read).toEqual([{ n: 1 }, { n: 2 }, 3, 4]);
  });
});

describe('a stream that was opened on a connection of a pool', () => {
  it('ends with its checkout, and the next borrower has the connection', async () => {
    const pool = makePool({ maxSize: 1 });
    const open = async (): Promise<number> => {
      await using connection = await pool.connection();
      await connection.cursor().stream(ENDLESS).open();
      return connection.info.backendPid;
    };
    const pid = await open();
    expect((await pool.execute('SELECT pg_backend_pid()')).rows).toEqual([[pid]]);
  });
});
