import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inject } from 'vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AsyncConnection, errors, TransactionStatus, type AsyncCopy } from '../../src/index.js';
import { admin, connect, dsn, terminate } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';

// The error of a failed COPY is reported once, by the current call, and is the server's error; nothing is stored.

const ROUNDS = 50;
const ROWS = 2000;
/** The promised bound is 200 ms; a busy machine may take longer. */
const LIMIT = 20_000;

beforeAll(async () => {
  await admin(`CREATE TABLE copied_parent (id int4 PRIMARY KEY);
    CREATE TABLE copied (id int4 PRIMARY KEY, name text NOT NULL CHECK (name <> 'forbidden'), parent int4 REFERENCES copied_parent DEFERRABLE INITIALLY DEFERRED)`);
});
afterAll(() => admin('DROP TABLE copied, copied_parent'));

const STATEMENT = 'COPY copied FROM STDIN';
type Value = string | number | null;
type Row = readonly [id: Value, name: Value, parent: Value];

function rowsWith(at: number, row: Row): Row[] {
  const rows = Array.from({ length: ROWS }, (_, i): Row => [i, `name ${String(i)}`, null]);
  rows[at] = row;
  return rows;
}

const WAYS: Readonly<Record<string, (copy: AsyncCopy, rows: readonly Row[]) => Promise<void>>> = {
  'row by row': async (copy, rows) => {
    for (const row of rows) await copy.writeRow(row);
    await copy.finish();
  },
  'through a stream': (copy, rows) =>
    pipeline(
      Readable.from(
        rows.map((row) => `${row.map((value) => (value === null ? '\\N' : String(value))).join('\t')}\n`),
      ),
      copy.writable(),
    ),
};

describe.each(Object.keys(WAYS))(`${String(ROUNDS)} times, %s`, (way) => {
  test.each<[string, number, Row, string, string]>([
    ['a bad value in the first row', 0, ['bad', 'x', null], '22P02', 'COPY copied, line 1, column id: "bad"'],
    [
      'a bad value in the middle',
      ROWS / 2,
      ['bad', 'x', null],
      '22P02',
      `COPY copied, line ${String(ROWS / 2 + 1)}, column id`,
    ],
    [
      'a bad value in the last row',
      ROWS - 1,
      ['bad', 'x', null],
      '22P02',
      `COPY copied, line ${String(ROWS)}, column id`,
    ],
    ['a NULL where none may be', 7, [7, null, null], '23502', 'COPY copied, line 8'],
    [
      'a value that is forbidden',
      ROWS - 1,
      [ROWS, 'forbidden', null],
      '23514',
      `COPY copied, line ${String(ROWS)}`,
    ],
    ['a duplicate at the end', ROWS - 1, [0, 'x', null], '23505', `COPY copied, line ${String(ROWS)}`],
  ])(
    '%s rejects with its SQLSTATE and line; nothing is stored',
    async (_what, at, row, sqlstate, context) => {
      const conn = await connect({ autocommit: true });
      const rows = rowsWith(at, row);
      for (let round = 0; round < ROUNDS; round++) {
        const cur = conn.cursor();
        const copy = await cur.copy(STATEMENT);
        const started = performance.now();
        const error: unknown = await WAYS[way]!(copy, rows).then(
          () => null,
          (reason: unknown) => reason,
        );
        expect(performance.now() - started).toBeLessThan(LIMIT);
        expect(error).toMatchObject({ sqlstate, query: STATEMENT });
        expect((error as errors.Error).diag.context).toContain(context);
        expect([conn.info.transactionStatus, cur.rowcount, cur.statusmessage]).toEqual([
          TransactionStatus.IDLE,
          -1,
          null,
        ]);
        await copy.abort();
        await cur.execute('SELECT 1');
      }
      expect(await admin('SELECT count(*)::int4 AS n FROM copied')).toEqual([{ n: 0 }]);
    },
  );

  test('a violated deferred constraint is reported by commit()', async () => {
    const conn = await connect();
    for (let round = 0; round < ROUNDS; round++) {
      const cur = conn.cursor();
      await WAYS[way]!(await cur.copy(STATEMENT), rowsWith(ROWS - 1, [ROWS, 'x', 42]));
      expect(cur.rowcount).toBe(ROWS);
      await expect(conn.commit()).rejects.toThrow(errors.ForeignKeyViolation);
      expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);
    }
    expect(await admin('SELECT count(*)::int4 AS n FROM copied')).toEqual([{ n: 0 }]);
  });

  test('a source that fails aborts, with its error', async () => {
    const conn = await connect({ autocommit: true });
    const failure = new Error('no more data');
    const rows = new Proxy(rowsWith(0, [0, 'x', null]), {
      get: (target, key, receiver) => {
        if (key === String(ROWS - 1) && way === 'row by row') throw failure;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
    function* failing(): Generator<string> {
      for (let i = 0; i < ROWS; i++) yield `${String(i)}\tx\t\\N\n`;
      throw failure;
    }
    for (let round = 0; round < ROUNDS; round++) {
      const attempt = conn
        .cursor()
        .withCopy(STATEMENT, (copy) =>
          way === 'row by row' ? WAYS[way]!(copy, rows) : pipeline(Readable.from(failing()), copy.writable()),
        );
      await expect(attempt).rejects.toBe(failure);
      expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);
    }
    expect(await admin('SELECT count(*)::int4 AS n FROM copied')).toEqual([{ n: 0 }]);
  });

  test('a backend that is killed', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await using conn = await AsyncConnection.connect(dsn(), { autocommit: true });
      await using copy = await conn.cursor().copy(STATEMENT);
      for (let i = 0; i < 3000; i++) await copy.writeRow([i, 'x', null]);
      await terminate(conn.info.backendPid);
      const started = performance.now();
      await expect(WAYS[way]!(copy, rowsWith(0, [ROWS, 'x', null]))).rejects.toMatchObject({
        sqlstate: '57P01',
      });
      expect(performance.now() - started).toBeLessThan(LIMIT);
      await expect(conn.execute('SELECT 1')).rejects.toThrow(errors.OperationalError);
      expect([conn.closed, conn.broken]).toEqual([true, true]);
    }
    expect(await admin('SELECT count(*)::int4 AS n FROM copied')).toEqual([{ n: 0 }]);
  });
});

describe('a COPY … TO STDOUT that fails', () => {
  test('rejects with the SQLSTATE, by read() and by readRow()', async () => {
    const conn = await connect({ autocommit: true });
    const statement = 'COPY (SELECT 1 / (40000 - generate_series(1, 50000))) TO STDOUT';
    for (const drain of [
      async (copy: AsyncCopy) => {
        while ((await copy.read()).length > 0);
      },
      async (copy: AsyncCopy) => {
        while ((await copy.readRow()) !== null);
      },
    ]) {
      const cur = conn.cursor();
      await expect(cur.withCopy(statement, drain)).rejects.toMatchObject({
        sqlstate: '22012',
        query: statement,
      });
      expect(cur.rowcount).toBe(-1);
      await cur.execute('SELECT 1');
    }
  });

  test('rejects when the backend is killed, and the connection is closed', async () => {
    const conn = await connect({ autocommit: true });
    await using copy = await conn.cursor().copy('COPY (SELECT generate_series(1, 1000000000)) TO STDOUT');
    await copy.read();
    const drained = (async () => {
      while ((await copy.read()).length > 0);
    })();
    const watched = expect(drained).rejects.toThrow(errors.OperationalError);
    await terminate(conn.info.backendPid);
    await watched;
    expect(conn.closed).toBe(true);
    await expect(copy.read()).rejects.toThrow(errors.OperationalError);
  });
});

describe('a signal that is aborted', () => {
  const reason = new Error('the user went away');

  test('before it begins: nothing is sent', async () => {
    const conn = await connect();
    const signal = AbortSignal.abort(reason);
    await expect(conn.cursor().copy(STATEMENT, null, { signal })).rejects.toBe(reason);
    expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  test('while it waits for the server', async () => {
    const holder = await connect();
    await holder.execute('LOCK TABLE copied');
    const conn = await connect({ autocommit: true });
    const abort = new AbortController();
    const waiting = conn.cursor().copy(STATEMENT, null, { signal: abort.signal });
    const watched = expect(waiting).rejects.toBe(reason);
    await expect
      .poll(() =>
        admin("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY copied%'"),
      )
      .toHaveLength(1);
    abort.abort(reason);
    await watched;
    await conn.execute('SELECT 1');
  });

  test.each(['write', 'finish'] as const)('while it is written: %s rejects with the reason', async (call) => {
    const conn = await connect({ autocommit: true });
    const abort = new AbortController();
    const cur = conn.cursor();
    const copy = await cur.copy(STATEMENT, null, { signal: abort.signal });
    await copy.writeRow([1, 'x', null]);
    abort.abort(reason);
    const rest = call === 'write' ? copy.write(Buffer.from('2\tx\t\\N\n'.repeat(20_000))) : copy.finish();
    await expect(rest).rejects.toBe(reason);
    await copy.abort();
    await cur.execute('SELECT 1');
    expect(await admin('SELECT count(*)::int4 AS n FROM copied')).toEqual([{ n: 0 }]);
  });

  test.each(['read', 'readRow'] as const)('while it is read: %s rejects with the reason', async (call) => {
    const conn = await connect({ autocommit: true });
    const abort = new AbortController();
    const cur = conn.cursor();
    // The server sends the first rows, and then none for a minute.
    const statement =
      "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100) UNION ALL SELECT pg_sleep(60)::text) TO STDOUT";
    await using copy = await cur.copy(statement, null, { signal: abort.signal });
    const reading = (async () => {
      for (;;) await copy[call]();
    })();
    const watched = expect(reading).rejects.toBe(reason);
    setTimeout(() => {
      abort.abort(reason);
    }, 50);
    await watched;
    await expect(copy.read()).rejects.toBe(reason);
    await cur.execute('SELECT 1');
  });

  test('after its end: nothing happens', async () => {
    const conn = await connect({ autocommit: true });
    const abort = new AbortController();
    await conn
      .cursor()
      .withCopy('COPY (SELECT 1) TO STDOUT', (copy) => copy.read(), null, { signal: abort.signal });
    abort.abort(reason);
    await conn.execute('SELECT 1');
  });
});

describe('a server that stops answering', () => {
  test('does not hold up abort(): the connection is closed', async () => {
    const url = new URL(inject('dsn'));
    await using proxy = await FaultProxy.to({ host: url.hostname, port: Number(url.port) });
    const conn = await connect({ autocommit: true }, { host: '127.0.0.1', port: proxy.port });
    const copy = await conn.cursor().copy(STATEMENT);
    await copy.writeRow([1, 'x', null]);
    proxy.blackHole.add('up').add('down');
    const started = performance.now();
    await copy.abort();
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(conn.closed).toBe(true);
    proxy.resetAll();
  });
});
