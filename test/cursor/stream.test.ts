import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AsyncConnection, dictRow, errors, TransactionStatus } from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';

const NUMBERS = 'select generate_series(1, %s::int) as n';

/** The repetitions in each of two modes: 200 in total, as promised, in CI; fewer at home. */
const ROUNDS = process.env['CI'] === undefined ? 20 : 100;

/** Kills a backend and waits until it is gone; the server's own wait polls every tenth of a second. */
async function kill(pid: number): Promise<void> {
  await admin('select pg_terminate_backend($1)', [pid]);
  while ((await admin('select 1 from pg_stat_activity where pid = $1', [pid])).length > 0);
}

async function portals(connection: AsyncConnection): Promise<unknown> {
  // A text of two statements has no portal of its own.
  const cursor = await connection.execute('select count(*)::int from pg_cursors; select 1');
  return (await cursor.fetchone())![0] as unknown;
}

describe.each([true, false])('a stream (autocommit: %s)', (autocommit) => {
  it('yields all rows in order, through any number of batches', async () => {
    const connection = await connect({ autocommit });
    for (const size of [undefined, 1, 7, 100, 1000, 5000]) {
      const cursor = connection.cursor();
      const count = size === 1 ? 300 : 20_000;
      let next = 1;
      for await (const [n] of cursor.stream(NUMBERS, [count], size === undefined ? {} : { size })) {
        if (n !== next++) throw new Error(`row ${String(next - 1)} is ${String(n)}`);
      }
      expect(next).toBe(count + 1);
      expect(connection.info.transactionStatus).toBe(
        autocommit ? TransactionStatus.IDLE : TransactionStatus.INTRANS,
      );
    }
  });

  it('describes its columns, makes rows by the factory, and may have none', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor({ rowFactory: dictRow });
    const rows: unknown[] = [];
    for await (const row of cursor.stream("select 1 as a, null as b union all select 2, 'x'")) {
      expect(cursor.description?.map(({ name }) => name)).toEqual(['a', 'b']);
      rows.push(row);
    }
    expect(rows).toEqual([
      { a: 1, b: null },
      { a: 2, b: 'x' },
    ]);
    for await (const row of cursor.stream('select 1 where false')) rows.push(row);
    expect(rows).toHaveLength(2);
  });

  it(`is left by break, throw, return and dispose, ${String(ROUNDS)} times each, and the connection goes on`, async () => {
    const connection = await connect({ autocommit });
    const slowest: number[] = [];
    const leave = async (how: string): Promise<number> => {
      const cursor = connection.cursor();
      const rows = cursor.stream(NUMBERS, [1_000_000_000]);
      let left = 0;
      try {
        for await (const [n] of rows) {
          if (n !== 100) continue;
          left = performance.now();
          if (how === 'break') break;
          if (how === 'throw') throw new Error('enough');
          if (how === 'return') return left;
          await cursor.close();
        }
      } catch (error) {
        if (how === 'throw') expect((error as Error).message).toBe('enough');
        else expect(error).toBeInstanceOf(errors.InterfaceError);
      }
      return left;
    };
    for (const how of ['break', 'throw', 'return', 'dispose']) {
      for (let i = 0; i < ROUNDS; i++) {
        const left = await leave(how);
        slowest.push(performance.now() - left);
        const cursor = await connection.execute('select %s::int', [i]);
        expect(await cursor.fetchone()).toEqual([i]);
      }
      expect(await portals(connection)).toBe(0);
    }
    slowest.sort((a, b) => a - b);
    // Leaving takes a round trip; reading all rows would take minutes.
    expect(slowest[Math.floor(slowest.length / 2)]).toBeLessThan(5000);
  });

  it(`ends when it is garbage-collected, ${String(ROUNDS)} times`, async () => {
    const connection = await connect({ autocommit });
    const forget = async (cursor: ReturnType<typeof connection.cursor>): Promise<void> => {
      const rows = cursor.stream(NUMBERS, [1_000_000_000]);
      expect(await rows.next()).toEqual({ done: false, value: [1] });
    };
    const one = connection.cursor();
    for (let i = 0; i < ROUNDS; i++) {
      // The cursor may be referenced, or be garbage-collected as well.
      const cursor = i % 2 === 0 ? one : connection.cursor();
      await forget(cursor);
      for (;;) {
        globalThis.gc!();
        await sleep(1);
        const free = await connection.execute('select %s::int', [i]).catch(() => null);
        if (free === null) continue;
        expect(await free.fetchone()).toEqual([i]);
        break;
      }
    }
    expect(await portals(connection)).toBe(0);
    await one.execute('select 1');
  });

  it('answers overlapping calls in order, including those after its end', async () => {
    const connection = await connect({ autocommit });
    const rows = connection.cursor().stream(NUMBERS, [5], { size: 2 });
    const calls = Array.from({ length: 4 }, () => rows.next());
    const left = rows.return();
    const late = rows.next();
    const answers = await Promise.all(calls);
    expect(answers.map((answer) => answer.value as unknown)).toEqual([[1], [2], [3], [4]]);
    expect(await left).toEqual({ done: true, value: undefined });
    expect(await late).toEqual({ done: true, value: undefined });
    expect(await portals(connection)).toBe(0);
  });

  it('ends at a row that cannot be made', async () => {
    const connection = await connect({ autocommit });
    const broken = new Error('broken');
    const cursor = connection.cursor({
      rowFactory: () => (values) => {
        if (values[0] === 3) throw broken;
        return values[0];
      },
    });
    const rows = cursor.stream(NUMBERS, [5]);
    const given: unknown[] = [];
    const loop = async (): Promise<void> => {
      for await (const row of rows) given.push(row);
    };
    await expect(loop()).rejects.toBe(broken);
    expect(given).toEqual([1, 2]);
    expect(await rows.next()).toEqual({ done: true, value: undefined });
    expect(await portals(connection)).toBe(0);
  });

  it('is cancelled if it is left while the server produces the next row', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor();
    const start = performance.now();
    for await (const [n] of cursor.stream(
      'select n from generate_series(1, 1000) n, lateral (select pg_sleep(case when n > 3 then 20 else 0 end)) s',
      [],
      { size: 1 },
    )) {
      if (n === 3) break;
    }
    // Each of the other rows takes 20 seconds.
    expect(performance.now() - start).toBeLessThan(19_000);
    if (!autocommit) await connection.rollback();
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('rejects with the reason of an abort', async () => {
    const connection = await connect({ autocommit });
    for (const when of ['before', 'between rows', 'in the query']) {
      const abort = new AbortController();
      const reason = new Error(when);
      if (when === 'before') abort.abort(reason);
      const text = when === 'in the query' ? 'select pg_sleep(20)' : 'select generate_series(1, 1000000000)';
      const run = async (): Promise<void> => {
        if (when === 'in the query') void sleep(50).then(() => abort.abort(reason));
        for await (const [n] of connection.cursor().stream(text, null, { signal: abort.signal })) {
          if (n === 50) abort.abort(reason);
        }
      };
      await expect(run()).rejects.toBe(reason);
      if (!autocommit) await connection.rollback();
      expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
    }
  });

  it('makes its connection refuse other statements at once, with the reason', async () => {
    const connection = await connect({ autocommit });
    const refusals: unknown[] = [];
    const cursor = connection.cursor();
    for await (const [n] of cursor.stream(NUMBERS, [100], { size: 10 })) {
      if (n !== 50) continue;
      refusals.push(await connection.execute('select 1').catch((error: unknown) => error));
      refusals.push(await connection.commit().catch((error: unknown) => error));
      refusals.push(await connection.transaction().catch((error: unknown) => error));
      refusals.push(
        await connection
          .cursor()
          .stream('select 1')
          .next()
          .catch((error: unknown) => error),
      );
      await expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.ConcurrentCursorUse);
    }
    expect(refusals).toHaveLength(4);
    for (const refusal of refusals) {
      expect(refusal).toBeInstanceOf(errors.ProgrammingError);
      expect((refusal as Error).message).toContain("busy with 'select generate_series");
    }
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it('lets other statements wait while it is being left', async () => {
    const connection = await connect({ autocommit });
    const rows = connection.cursor().stream(NUMBERS, [1_000_000]);
    expect(await rows.next()).toEqual({ done: false, value: [1] });
    const left = rows.return();
    await Promise.resolve();
    const next = connection.execute('select 2');
    await left;
    expect(await (await next).fetchone()).toEqual([2]);
  });

  it('waits for earlier statements', async () => {
    const connection = await connect({ autocommit });
    const before = connection.execute('select pg_sleep(0.05), 1 as one');
    const rows: unknown[] = [];
    for await (const row of connection.cursor().stream(NUMBERS, [3])) rows.push(row);
    expect(rows).toEqual([[1], [2], [3]]);
    expect((await before).rowcount).toBe(1);
  });

  it.each([
    ['an error at once', 'select * from nowhere', errors.UndefinedTable, 0],
    [
      'an error on the way',
      'select 100 / (50 - n) from generate_series(1, 100) n',
      errors.DivisionByZero,
      49,
    ],
    ['no rows at all', 'create temp table t as select 1', errors.ProgrammingError, 0],
    ['a COPY', 'copy (select 1) to stdout', errors.ProgrammingError, 0],
    ['a COPY the other way', 'copy pg_class from stdin', errors.ProgrammingError, 0],
    ['several statements', 'select 1; select 2', errors.SyntaxError, 0],
  ])(
    'of a statement that has %s throws once, after the rows before it',
    async (_name, text, errorClass, rows) => {
      const connection = await connect({ autocommit });
      let seen = 0;
      const run = async (): Promise<void> => {
        for await (const _row of connection.cursor().stream(text, null, { size: 7 })) seen++;
      };
      await expect(run()).rejects.toBeInstanceOf(errorClass);
      expect(seen).toBe(rows);
      if (!autocommit) await connection.rollback();
      expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
    },
  );

  it('whose loader throws fails with it, and the connection goes on', async () => {
    const connection = await connect({ autocommit });
    const cursor = connection.cursor();
    cursor.adapters.registerLoader('int4', (text) => {
      if (text === '25') throw new RangeError('not this one');
      return Number(text);
    });
    const run = async (): Promise<void> => {
      for await (const _row of cursor.stream(NUMBERS, [1000], { size: 10 })) continue;
    };
    await expect(run()).rejects.toThrow('not this one');
    expect(await (await connection.execute('select 1')).fetchone()).toEqual([1]);
  });

  it(`throws when the server is lost at any of 100 batches of 10 rows, in ${String(ROUNDS)} runs, and never ends as if it were complete`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const batch = Math.floor((round * 100) / ROUNDS) % 100;
      await using connection = await AsyncConnection.connect(dsn(), { autocommit });
      let seen = 0;
      const run = async (): Promise<void> => {
        for await (const [n] of connection.cursor().stream(NUMBERS, [1020], { size: 10 })) {
          expect(n).toBe(++seen);
          if (n === batch * 10 + 1) await kill(connection.info.backendPid);
        }
      };
      await expect(run()).rejects.toBeInstanceOf(errors.OperationalError);
      // The next batch was in transit.
      expect(seen).toBeLessThanOrEqual(batch * 10 + 20);
      expect(connection.closed).toBe(true);
    }
  });
});

/** Overlapping calls, and the expected outcomes in the order in which they settle. */
const READERS: Readonly<Record<string, (rows: AsyncGenerator<number>) => Promise<unknown>[]>> = {
  'asks for more rows at once than there are': (rows) => Array.from({ length: 9 }, () => rows.next()),
  'leaves while a row is on its way': (rows) => [rows.next(), rows.return(7), rows.next()],
  'leaves before the first row': (rows) => [rows.return(7), rows.next()],
  'leaves with a promise': (rows) => [rows.next(), rows.return(Promise.resolve(7))],
  'leaves twice': (rows) => [rows.next(), rows.return(7), rows.return(8)],
  'throws into it': (rows) => [rows.next(), rows.throw(new Error('thrown')), rows.next(), rows.next()],
  'throws into it before the first row': (rows) => [rows.throw(new Error('thrown')), rows.next()],
  'throws into it behind its end': (rows) => [
    ...Array.from({ length: 7 }, () => rows.next()),
    rows.throw(new Error('thrown')),
    rows.next(),
  ],
  'iterates twice': (rows) => [rows[Symbol.asyncIterator]().next(), rows[Symbol.asyncIterator]().next()],
};

async function ended(calls: Promise<unknown>[]): Promise<unknown[]> {
  const ends: unknown[] = [];
  await Promise.all(
    calls.map((call, i) =>
      call.then(
        (result) => ends.push([i, result]),
        (error: unknown) => ends.push([i, String(error)]),
      ),
    ),
  );
  return ends;
}

describe('a stream whose reader', () => {
  it.each(Object.entries(READERS))('%s gets the results of an async generator', async (_name, read) => {
    const connection = await connect();
    const row = (n: number): number | Promise<number> => {
      if (n === 5) throw new Error('five');
      return n === 3 ? Promise.resolve(30) : n;
    };
    async function* generated(): AsyncGenerator<number> {
      for (let n = 1; n <= 6; n++) yield row(n);
    }
    for (const size of [1, 2, 100]) {
      const cursor = connection.cursor({
        rowFactory:
          () =>
          ([n]) =>
            row(n as number) as number,
      });
      const rows = cursor.stream(NUMBERS, [6], { size }) as AsyncGenerator<number, unknown>;
      expect(await ended(read(rows))).toEqual(await ended(read(generated())));
      await rows.return(undefined);
      expect(await (await cursor.execute('select 2')).fetchone()).toBe(2);
    }
  });

  it('awaits a row that is a promise, and ends with one that is rejected', async () => {
    const connection = await connect();
    const cursor = connection.cursor({
      rowFactory: () => async (values) => {
        await Promise.resolve();
        if (values[0] === 3) throw new Error('three');
        return values[0];
      },
    });
    const seen: unknown[] = [];
    const run = async (): Promise<void> => {
      for await (const n of cursor.stream(NUMBERS, [6])) seen.push(n);
    };
    await expect(run()).rejects.toThrow('three');
    expect(seen).toEqual([1, 2]);
    cursor.rowFactory = () => (values) => Promise.resolve(values[0]);
    expect(await (await cursor.execute('select 4')).fetchone()).toBe(4);
  });
});

describe('a stream', () => {
  it('ends with the scope that owns it', async () => {
    const connection = await connect();
    {
      await using rows = connection.cursor().stream(NUMBERS, [1_000_000]);
      expect(await rows.next()).toEqual({ done: false, value: [1] });
    }
    expect(await portals(connection)).toBe(0);
  });

  it('keeps its statement’s changes, even if it is left', async () => {
    const connection = await connect({ autocommit: true });
    await connection.execute('create table stream_changes (n int)');
    try {
      const text = 'insert into stream_changes select generate_series(1, 1000) returning n';
      for await (const [n] of connection.cursor().stream(text, null, { size: 10 })) if (n === 15) break;
      expect(await admin('select count(*)::int as n from stream_changes')).toEqual([{ n: 1000 }]);
    } finally {
      await connection.execute('drop table stream_changes');
    }
  });

  it('refuses a size that is invalid', async () => {
    const connection = await connect();
    for (const size of [0, -1, 1.5, NaN]) {
      await expect(connection.cursor().stream('select 1', null, { size }).next()).rejects.toBeInstanceOf(
        errors.ProgrammingError,
      );
    }
  });

  it('keeps at most two batches in memory', async () => {
    const connection = await connect();
    globalThis.gc?.();
    const text = "select repeat('x', 100000) from generate_series(1, 5000)";
    const before = process.memoryUsage().rss;
    let most = 0;
    let rows = 0;
    for await (const _row of connection.cursor().stream(text)) {
      if (++rows % 100 === 0) {
        await sleep(1);
        most = Math.max(most, process.memoryUsage().rss - before);
      }
    }
    expect(rows).toBe(5000);
    // 500 MB were transferred.
    expect(most).toBeLessThan(150_000_000);
  });
});
