import { describe, expect, it } from 'vitest';
import {
  AsyncConnection,
  AsyncRawServerCursor,
  AsyncServerCursor,
  dictRow,
  errors,
  namedtupleRow,
  scalarRow,
  sql,
  TransactionStatus,
  type RowFactory,
} from '../../src/index.js';
import { connect, dsn, terminate } from '../support/database.js';
import { heldStatement } from '../support/held-statement.js';
import { untilRunning } from '../support/until-running.js';

const HUNDRED = 'select generate_series(1, 100)';

/** The cursors that are open on the server. */
async function portals(connection: AsyncConnection<unknown>): Promise<string[]> {
  const cursor = connection.cursor({ rowFactory: scalarRow<string> });
  await cursor.execute("select name from pg_cursors where name <> '' order by name");
  return cursor.fetchall();
}

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

describe('a server-side cursor', () => {
  it('fetches one row, some rows and all remaining rows', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'numbers' });
    expect(cursor).toBeInstanceOf(AsyncServerCursor);
    expect(cursor.rownumber).toBeNull();
    expect(await cursor.execute('select generate_series(1, 12)')).toBe(cursor);
    expect([cursor.rownumber, cursor.rowcount, cursor.statusmessage]).toEqual([0, -1, null]);
    expect(cursor.query).toBe('DECLARE "numbers" CURSOR FOR select generate_series(1, 12)');
    expect(await cursor.fetchone()).toBe(1);
    expect(await cursor.fetchmany()).toEqual([2]);
    cursor.arraysize = 2;
    expect(await cursor.fetchmany()).toEqual([3, 4]);
    expect(await cursor.fetchmany(0)).toEqual([5, 6]);
    expect(await cursor.fetchmany(3)).toEqual([7, 8, 9]);
    expect([cursor.rownumber, cursor.rowcount, cursor.statusmessage]).toEqual([9, -1, 'FETCH 3']);
    expect(await cursor.fetchall()).toEqual([10, 11, 12]);
    expect(await cursor.fetchone()).toBeNull();
    expect(await cursor.fetchmany(5)).toEqual([]);
    expect(await cursor.fetchall()).toEqual([]);
    expect(cursor.rownumber).toBe(12);
  });

  it('describes its columns before anything is fetched, with their tables', async () => {
    const connection = await connect();
    await connection.execute('create temp table described (id int, v varchar(42))');
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select id, v, 1.5::numeric(6,2) as n from described');
    expect(cursor.description?.map(({ name, typeDisplay }) => [name, typeDisplay])).toEqual([
      ['id', 'int4'],
      ['v', 'varchar(42)'],
      ['n', 'numeric(6,2)'],
    ]);
    expect(cursor.description?.[1]?.tableColumn).toBe(2);
    expect(await cursor.fetchone()).toBeNull();
    expect(cursor.description).toHaveLength(3);
  });

  it('takes parameters, composed queries and any name', async () => {
    const connection = await connect();
    for (const name of ['we ird"na%sme', 'Größe', '1-2-3', 'x'.repeat(70), 'ü'.repeat(40)]) {
      await using cursor = connection.cursor({ name });
      expect(cursor.name).toBe(name);
      await cursor.execute('select %s::int, %(b)s::text'.replace('%s', '%(a)s'), { a: 1, b: '100%' });
      expect(await cursor.fetchall()).toEqual([[1, '100%']]);
      await cursor.execute('select %s || %s, 7 %% 4', ['a', 'b']);
      expect(await cursor.fetchall()).toEqual([['ab', 3]]);
      await cursor.execute('select 7 % 4');
      expect(await cursor.fetchall()).toEqual([[3]]);
      await cursor.execute(sql`select ${5}::int as ${sql.identifier('n')}`);
      expect(await cursor.fetchall()).toEqual([[5]]);
      expect(await portals(connection)).toHaveLength(1);
      await cursor.close();
      expect(await portals(connection)).toEqual([]);
    }
  });

  it('makes rows with one call of the row factory for all fetches, and with another one from when it is set', async () => {
    const connection = await connect();
    let calls = 0;
    const counting: RowFactory<unknown[]> = () => {
      calls++;
      return (values) => [calls, ...values];
    };
    await using cursor = connection.cursor<unknown>({ name: 'c', rowFactory: counting, scrollable: true });
    await cursor.execute('select generate_series(1, 5) as x');
    const rows = [await cursor.fetchone(), ...(await cursor.fetchmany(2)), ...(await collect(cursor))];
    expect(rows).toEqual([1, 2, 3, 4, 5].map((x) => [1, x]));
    await cursor.scroll(0, 'absolute');
    cursor.rowFactory = dictRow;
    expect(await cursor.fetchone()).toEqual({ x: 1 });
    expect(await cursor.fetchone()).toEqual({ x: 2 });
    cursor.rowFactory = namedtupleRow;
    expect(await cursor.fetchone()).toHaveProperty('x', 3);
  });

  it('raises what its row factory raises for the columns when it is executed', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c', rowFactory: namedtupleRow });
    await expect(cursor.execute('select 1 as a, 2 as a')).rejects.toBeInstanceOf(errors.ProgrammingError);
  });

  it('loads with loaders that were registered between two executions', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select 1');
    expect(await cursor.fetchall()).toEqual([[1]]);
    cursor.adapters.registerLoader('int4', (text: string) => `loaded ${text}`);
    await cursor.execute('select 1');
    expect(await cursor.fetchall()).toEqual([['loaded 1']]);
  });

  it('closes its previous declaration when it executes again', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    for (let i = 0; i < 3; i++) {
      await cursor.execute('select %s::int', [i]);
      expect(await cursor.fetchone()).toEqual([i]);
    }
    expect(await portals(connection)).toEqual(['c']);
    await connection.rollback();
    await cursor.execute('select 4');
    expect(await cursor.fetchone()).toEqual([4]);
  });

  it('can be executed again after its transaction failed, ended, or was rolled back to a savepoint', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await connection.execute('savepoint s');
    await cursor.execute('select 1');
    await connection.execute('rollback to s');
    await cursor.execute('select 2');
    expect(await cursor.fetchone()).toEqual([2]);
    await expect(connection.execute('select 1/0')).rejects.toBeInstanceOf(errors.DivisionByZero);
    await expect(cursor.execute('select 3')).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
    await connection.rollback();
    await cursor.execute('select 4');
    expect(await cursor.fetchone()).toEqual([4]);
    await connection.commit();
    await cursor.execute('select 5');
    expect(await cursor.fetchone()).toEqual([5]);
  });

  it('yields itself as its only result', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select 1');
    expect(await collect(cursor.results())).toEqual([cursor]);
    expect(await cursor.nextset()).toBeNull();
  });

  it('streams like any other cursor, without a name', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select 42');
    expect(await collect(cursor.stream('select generate_series(1, 3)'))).toEqual([1, 2, 3]);
    expect(await cursor.fetchone()).toBe(42);
  });

  it('has the class of the connection’s factory, and takes its own options', async () => {
    const connection = await connect();
    class Mine<R> extends AsyncServerCursor<R> {}
    connection.serverCursorFactory = Mine;
    const cursor = connection.cursor({ name: 'c', scrollable: false, withhold: true });
    expect(cursor).toBeInstanceOf(Mine);
    expect([cursor.scrollable, cursor.withhold, cursor.itersize]).toEqual([false, true, 100]);
    const plain = connection.cursor({ name: 'd' });
    expect([plain.scrollable, plain.withhold]).toEqual([null, false]);
    const direct = new AsyncServerCursor(connection, 'e', { rowFactory: dictRow });
    await direct.execute('select 1 as a');
    expect(await direct.fetchall()).toEqual([{ a: 1 }]);
    await direct.close();
  });

  it('has raw placeholders in its raw variant', async () => {
    const connection = await connect();
    connection.serverCursorFactory = AsyncRawServerCursor;
    await using cursor = connection.cursor({ name: 'c' });
    expect(cursor).toBeInstanceOf(AsyncRawServerCursor);
    await cursor.execute('select $1::int % $2 = 0, $1', [10, 5]);
    expect(await cursor.fetchall()).toEqual([[true, 10]]);
    await expect(cursor.execute('select $1', { a: 1 })).rejects.toBeInstanceOf(errors.ProgrammingError);
  });
});

describe('iteration over a server-side cursor', () => {
  it('fetches itersize rows at a time, and counts the rows it has yielded', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c' });
    cursor.itersize = 10;
    await cursor.execute('select generate_series(1, 25)');
    const tags = new Set<string | null>();
    for await (const n of cursor) {
      expect(cursor.rownumber).toBe(n);
      tags.add(cursor.statusmessage);
    }
    expect([...tags]).toEqual(['FETCH 10', 'FETCH 5']);
    expect(await collect(cursor)).toEqual([]);
  });

  it('can be continued by any fetch without losing a row of the page', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c' });
    cursor.itersize = 10;
    await cursor.execute('select generate_series(1, 40)');
    for await (const n of cursor) if (n === 3) break;
    expect(await cursor.fetchone()).toBe(4);
    expect(await cursor.fetchmany(2)).toEqual([5, 6]);
    for await (const n of cursor) if (n === 8) break;
    expect(await cursor.fetchmany(5)).toEqual([9, 10, 11, 12, 13]);
    expect(cursor.rownumber).toBe(13);
    for await (const n of cursor) if (n === 14) break;
    expect(await cursor.fetchall()).toEqual(Array.from({ length: 26 }, (_, i) => 15 + i));
    expect(cursor.rownumber).toBe(40);
  });

  it('runs 1,000 nested queries on the same connection', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select generate_series(1, 1000)');
    let sum = 0;
    for await (const n of cursor) {
      sum += (await (await connection.execute('select %s::int * 2', [n])).fetchone()) ?? 0;
    }
    expect(sum).toBe(1001 * 1000);
  });

  it('throws whenever the backend is killed, at any of 100 batches of 10 rows, in all of 200 runs', async () => {
    const seen: number[] = [];
    const runs = Array.from({ length: 200 }, (_, i) => i % 100);
    const lane = async (): Promise<void> => {
      await using killer = await AsyncConnection.connect(dsn(), { autocommit: true });
      for (let batch = runs.pop(); batch !== undefined; batch = runs.pop()) {
        await using connection = await AsyncConnection.connect(dsn(), { rowFactory: scalarRow<number> });
        await using cursor = connection.cursor({ name: 'killed' });
        cursor.itersize = 10;
        await cursor.execute('select generate_series(1, 1000)');
        let rows = 0;
        const loop = async (): Promise<void> => {
          for await (const n of cursor) {
            expect(n).toBe(++rows);
            if (n !== batch * 10 + 1) continue;
            const pid = connection.info.backendPid;
            await killer.execute('select pg_terminate_backend(%s)', [pid]);
            // The server's own wait polls every tenth of a second.
            for (let alive = 1; alive > 0;) {
              alive = (await killer.execute('select 1 from pg_stat_activity where pid = %s', [pid])).rowcount;
            }
          }
        };
        await expect(loop()).rejects.toBeInstanceOf(errors.OperationalError);
        expect(rows).toBe(batch * 10 + 10);
        seen.push(batch);
        await expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.OperationalError);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
    expect(seen).toHaveLength(200);
  });

  it('throws when a later row fails, and never takes that for the end', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c' });
    cursor.itersize = 10;
    await cursor.execute('select 100 / (25 - n) from generate_series(1, 50) n');
    const rows: number[] = [];
    const loop = async (): Promise<void> => {
      for await (const n of cursor) rows.push(n);
    };
    await expect(loop()).rejects.toBeInstanceOf(errors.DivisionByZero);
    expect(rows).toHaveLength(20);
    await expect(loop()).rejects.toBeInstanceOf(errors.InFailedSqlTransaction);
  });

  it('throws when its transaction was ended within the loop', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c' });
    cursor.itersize = 10;
    await cursor.execute(HUNDRED);
    const loop = async (): Promise<void> => {
      for await (const n of cursor) if (n === 5) await connection.commit();
    };
    await expect(loop()).rejects.toBeInstanceOf(errors.InvalidCursorName);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  describe.each(['break', 'throw', 'return', 'dispose'])('left by %s', (way) => {
    it('leaves the connection usable and no open portal, 200 times', async () => {
      const connection = await connect({ rowFactory: scalarRow<number> });
      const leave = async (): Promise<number | undefined> => {
        await using cursor = connection.cursor({ name: 'left' });
        cursor.itersize = 10;
        await cursor.execute(HUNDRED);
        for await (const n of cursor) {
          if (n < 15) continue;
          if (way === 'break') break;
          if (way === 'throw') throw new Error('left');
          if (way === 'dispose') {
            await cursor.close();
            break;
          }
          return n;
        }
        return undefined;
      };
      for (let i = 0; i < 200; i++) {
        if (way === 'throw') await expect(leave()).rejects.toThrow('left');
        else expect(await leave()).toBe(way === 'return' ? 15 : undefined);
        expect(await portals(connection)).toEqual([]);
        if (i % 3 === 0) await connection.commit();
      }
    });
  });
});

describe('scroll() of a server-side cursor', () => {
  it('moves relatively and to a row', async () => {
    const connection = await connect({ rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c', scrollable: true });
    await cursor.execute('select generate_series(0, 9)');
    await cursor.scroll(2);
    expect(cursor.rownumber).toBe(2);
    expect(await cursor.fetchone()).toBe(2);
    await cursor.scroll(2);
    expect(await cursor.fetchone()).toBe(5);
    await cursor.scroll(-3);
    expect(await cursor.fetchone()).toBe(3);
    await cursor.scroll(9, 'absolute');
    expect(await cursor.fetchone()).toBe(9);
    expect(cursor.rownumber).toBe(10);
    await cursor.scroll(0, 'absolute');
    expect(await collect(cursor)).toHaveLength(10);
    await cursor.scroll(0, 'absolute');
    expect(await collect(cursor)).toHaveLength(10);
  });

  it.each([4, 7, 100])(
    'counts from the last row that iteration has yielded, itersize %i',
    async (itersize) => {
      const connection = await connect({ rowFactory: scalarRow<number> });
      await using cursor = connection.cursor({ name: 'c', scrollable: true });
      cursor.itersize = itersize;
      // After the last row, the server counts from the end.
      for (let from = 0; from < 9; from++) {
        for (let to = 0; to < 10; to++) {
          await cursor.execute('select generate_series(0, 9)');
          for await (const n of cursor) if (n === from) break;
          await cursor.scroll(to - (from + 1));
          expect(cursor.rownumber).toBe(to);
          expect(await cursor.fetchone()).toBe(to);
          expect(cursor.rownumber).toBe(to + 1);
        }
      }
    },
  );

  it('raises what the server raises for one that is not scrollable, or was not declared', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c', scrollable: false });
    await expect(cursor.scroll(0)).rejects.toBeInstanceOf(errors.InvalidCursorName);
    await cursor.execute('select generate_series(0, 9)');
    await cursor.scroll(5);
    await expect(cursor.scroll(-1)).rejects.toBeInstanceOf(errors.ObjectNotInPrerequisiteState);
  });
});

describe('a server-side cursor that was made in SQL', () => {
  it('is fetched from without being executed, from where it stands', async () => {
    const connection = await connect();
    await connection.execute('declare stolen no scroll cursor for select generate_series(1, 6) as s');
    await connection.execute('fetch 1 from stolen');
    await using cursor = connection.cursor({ name: 'stolen', rowFactory: dictRow });
    expect(await cursor.fetchone()).toEqual({ s: 2 });
    expect(cursor.rownumber).toBe(1);
    expect(await cursor.fetchmany(2)).toEqual([{ s: 3 }, { s: 4 }]);
    expect(await collect(cursor)).toEqual([{ s: 5 }, { s: 6 }]);
    expect(cursor.description?.[0]?.name).toBe('s');
  });

  it('is closed by close(), whether used or not', async () => {
    const connection = await connect();
    for (const use of [true, false]) {
      await connection.execute('declare stolen cursor for select 1');
      const cursor = connection.cursor({ name: 'stolen' });
      if (use) await cursor.fetchone();
      await cursor.close();
      expect(await portals(connection)).toEqual([]);
    }
  });

  it('begins a transaction by its first fetch, as any statement does', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'nowhere' });
    await expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.InvalidCursorName);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INERROR);
  });
});

describe('outside of a transaction', () => {
  it('a cursor without hold is refused by the server', async () => {
    const connection = await connect({ autocommit: true });
    await using cursor = connection.cursor({ name: 'c' });
    await expect(cursor.execute('select 1')).rejects.toBeInstanceOf(errors.NoActiveSqlTransaction);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    await expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.InvalidCursorName);
  });

  it.each([true, false])('a cursor with hold goes on, autocommit %s', async (autocommit) => {
    const connection = await connect({ autocommit, rowFactory: scalarRow<number> });
    const cursor = connection.cursor({ name: 'held', withhold: true });
    await cursor.execute(HUNDRED);
    expect(await cursor.fetchone()).toBe(1);
    await connection.commit();
    cursor.itersize = 30;
    expect(await collect(cursor)).toHaveLength(99);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    await cursor.execute('select 42');
    await connection.commit();
    expect(await cursor.fetchone()).toBe(42);
    await cursor.close();
    expect(await portals(connection)).toEqual([]);
  });

  it('fetching from one whose transaction has ended raises, and begins no transaction', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute(HUNDRED);
    await connection.commit();
    for (const fetch of [() => cursor.fetchone(), () => cursor.fetchall(), () => cursor.scroll(1)]) {
      await expect(fetch()).rejects.toBeInstanceOf(errors.InvalidCursorName);
      expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    }
  });
});

describe('closing a server-side cursor', () => {
  it('never raises: twice, unused, in a failed transaction, after its end', async () => {
    const connection = await connect();
    const unused = connection.cursor({ name: 'unused' });
    await unused.close();
    await unused.close();
    const failed = connection.cursor({ name: 'c' });
    await failed.execute('select 1');
    await expect(connection.execute('wat')).rejects.toBeInstanceOf(errors.SyntaxError);
    await failed.close();
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await connection.rollback();
    const ended = connection.cursor({ name: 'c' });
    await ended.execute('select 1');
    await connection.commit();
    await ended.close();
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
  });

  it('does not fail a transaction that has begun since, nor one rolled back to a savepoint', async () => {
    const connection = await connect();
    const first = connection.cursor({ name: 'first' });
    await first.execute('select 1');
    await connection.commit();
    await connection.execute('savepoint s');
    const second = connection.cursor({ name: 'second' });
    await second.execute('select 1');
    await connection.execute('rollback to s');
    await first.close();
    await second.close();
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INTRANS);
  });

  it('leaves no cursor with hold behind, in a failed transaction neither', async () => {
    const connection = await connect();
    const held = connection.cursor({ name: 'held', withhold: true });
    await held.execute(HUNDRED);
    await connection.commit();
    await expect(connection.execute('wat')).rejects.toBeInstanceOf(errors.SyntaxError);
    await held.close();
    await connection.rollback();
    expect(await portals(connection)).toEqual([]);
  });

  it('never raises on a connection that is closed, lost or returned', async () => {
    const closed = await connect();
    const one = closed.cursor({ name: 'c' });
    await one.execute('select 1');
    await closed.close();
    await one.close();

    const lost = await connect();
    const two = lost.cursor({ name: 'c' });
    await two.execute('select 1');
    const pid = lost.info.backendPid;
    const killing = terminate(pid);
    await two.close();
    await killing;

    await expect(one.fetchone()).rejects.toBeInstanceOf(errors.InterfaceError);
    await expect(two.fetchone()).rejects.toBeInstanceOf(errors.InterfaceError);
  });

  it('ends a running fetch, and leaves nothing behind', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = connection.cursor({ name: 'c', withhold: true });
    const executing = cursor.execute('select pg_sleep(20)');
    const outcome = expect(executing).rejects.toBeInstanceOf(errors.InterfaceError);
    await untilRunning(dsn(), connection.info.backendPid);
    await Promise.all([cursor.close(), cursor.close()]);
    await outcome;
    expect(await portals(connection)).toEqual([]);
  });

  it('makes every later use raise an error', async () => {
    const connection = await connect();
    const cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select 1');
    await cursor.close();
    expect(cursor.closed).toBe(true);
    for (const use of [
      () => cursor.execute('select 1'),
      () => cursor.fetchone(),
      () => cursor.fetchmany(2),
      () => cursor.fetchall(),
      () => cursor.scroll(1),
      () => collect(cursor),
    ]) {
      await expect(use()).rejects.toBeInstanceOf(errors.InterfaceError);
    }
  });
});

describe('an abort', () => {
  it('ends the declaration, and the cursor can be executed again', async () => {
    const connection = await connect({ autocommit: true });
    await using cursor = connection.cursor({ name: 'c', withhold: true });
    const reason = new Error('enough');
    const controller = new AbortController();
    const executing = cursor.execute('select pg_sleep(20)', null, { signal: controller.signal });
    const outcome = expect(executing).rejects.toBe(reason);
    await untilRunning(dsn(), connection.info.backendPid);
    controller.abort(reason);
    await outcome;
    await cursor.execute('select 1');
    expect(await cursor.fetchone()).toEqual([1]);
  });

  it('leaves no cursor behind whenever it comes', async () => {
    const connection = await connect({ autocommit: true });
    await using cursor = connection.cursor({ name: 'c', withhold: true });
    let aborted = 0;
    for (let i = 0; i < 100; i++) {
      const controller = new AbortController();
      const executing = cursor.execute('select 1', null, { signal: controller.signal });
      // Some aborts come at once, the others at about the time that the statement takes.
      const abort = (): void => {
        controller.abort();
      };
      if (i % 10 === 0) abort();
      else setTimeout(abort, i % 10);
      await executing.then(
        async () => expect(await cursor.fetchone()).toEqual([1]),
        (error: unknown) => {
          expect(error).toHaveProperty('name', 'AbortError');
          aborted++;
        },
      );
    }
    expect(aborted).toBeGreaterThan(0);
    await cursor.execute('select 2');
    await cursor.close();
    expect(await portals(connection)).toEqual([]);
  });

  it.each(['fetchone', 'fetchmany', 'fetchall'] as const)(
    'ends %s(), and the cursor can be executed again',
    async (name) => {
      const connection = await connect();
      await using cursor = connection.cursor({ name: 'c' });
      const fetch = (signal: AbortSignal): Promise<unknown> =>
        name === 'fetchmany' ? cursor.fetchmany(2, { signal }) : cursor[name]({ signal });
      await cursor.execute('select pg_sleep(20)');
      const reason = new Error('enough');
      const controller = new AbortController();
      const watched = expect(fetch(controller.signal)).rejects.toBe(reason);
      await untilRunning(dsn(), connection.info.backendPid);
      controller.abort(reason);
      await watched;
      await expect(fetch(controller.signal)).rejects.toBe(reason);
      await connection.rollback();
      await cursor.execute('select 1');
      expect(await cursor.fetchone()).toEqual([1]);
    },
  );

  it('of a fetch, whenever it comes, never makes a later one miss rows', async () => {
    const connection = await connect({ autocommit: true, rowFactory: scalarRow<number> });
    await using cursor = connection.cursor({ name: 'c', withhold: true, scrollable: true });
    await cursor.execute('select generate_series(1, 100000)');
    const ends = { aborted: 0, fetched: 0 };
    for (let next = 1, i = 0; i < 200; i++) {
      const controller = new AbortController();
      const fetching = cursor.fetchmany(3, { signal: controller.signal });
      const abort = (): void => {
        controller.abort();
      };
      if (i % 10 === 0) abort();
      else setTimeout(abort, Math.random() * 2);
      const rows = await fetching.catch(() => null);
      if (rows !== null) {
        ends.fetched++;
        expect(rows).toEqual([next, next + 1, next + 2]);
        next += 3;
        continue;
      }
      ends.aborted++;
      await expect(cursor.fetchone()).rejects.toThrow("scroll(row, 'absolute')");
      await expect(cursor.scroll(1)).rejects.toBeInstanceOf(errors.OperationalError);
      // A cursor with hold that was cancelled while it produced rows has failed permanently.
      try {
        await cursor.scroll(next - 1, 'absolute');
      } catch {
        await cursor.execute('select generate_series(1, 100000)');
        await cursor.scroll(next - 1, 'absolute');
      }
    }
    expect(ends.aborted).toBeGreaterThan(0);
  });

  it('rejects at once while the cursor waits for the statement of another', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute('select 1');
    const held = await heldStatement();
    const other = connection.execute(held.text);
    // The other statement runs until this one has been rejected.
    await expect(
      cursor.execute('select 2', null, { signal: AbortSignal.timeout(20) }),
    ).rejects.toHaveProperty('name', 'TimeoutError');
    await held.release();
    await other;
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INTRANS);
    expect(await cursor.fetchone()).toEqual([1]);
  });
});

describe('a server-side cursor refuses', () => {
  it.each(['', 'nul\0', 5, null, '\ud800'])('the name %j', async (name) => {
    const connection = await connect();
    expect(() => connection.cursor({ name: name as string })).toThrow(errors.ProgrammingError);
    expect(await portals(connection)).toEqual([]);
  });

  it.each([{ scrollable: 1 }, { withhold: 'yes' }])('the options %j', async (options) => {
    const connection = await connect();
    expect(() => connection.cursor({ name: 'c', ...(options as object) })).toThrow(errors.ProgrammingError);
  });

  it.each(['', 'wat', 'create table ssc ()', 'select 1; select 2', 'insert into x values (1) returning 1'])(
    'the statement %s',
    async (statement) => {
      const connection = await connect();
      await using cursor = connection.cursor({ name: 'c' });
      await expect(cursor.execute(statement)).rejects.toBeInstanceOf(errors.SyntaxError);
      expect(cursor.description).toBeNull();
      expect(cursor.rownumber).toBeNull();
      await connection.rollback();
      await cursor.execute('select 1');
      expect(await cursor.fetchone()).toEqual([1]);
    },
  );

  it('parameters that do not fit open a transaction, as with any cursor, and close the former one', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await expect(cursor.execute('select %s', [])).rejects.toBeInstanceOf(errors.ProgrammingError);
    expect(connection.info.transactionStatus).toBe(TransactionStatus.INTRANS);
    await cursor.execute('select 1');
    await expect(cursor.execute('select %s', [undefined])).rejects.toBeInstanceOf(errors.ProgrammingError);
    expect(await portals(connection)).toEqual([]);
  });

  it('a name that is in use', async () => {
    const connection = await connect();
    await using first = connection.cursor({ name: 'c' });
    await first.execute('select 1');
    const second = connection.cursor({ name: 'c' });
    await expect(second.execute('select 2')).rejects.toBeInstanceOf(errors.DuplicateCursor);
    await second.close();
  });

  it('executemany(), prepare, and anything in a pipeline', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await expect(cursor.executemany()).rejects.toBeInstanceOf(errors.NotSupportedError);
    await expect(cursor.execute('select 1', null, { prepare: true })).rejects.toBeInstanceOf(
      errors.NotSupportedError,
    );
    expect(connection.info.transactionStatus).toBe(TransactionStatus.IDLE);
    await cursor.execute('select generate_series(1, 3)', null, { binary: true });
    await connection.withPipeline(async () => {
      await expect(cursor.execute('select 1')).rejects.toBeInstanceOf(errors.NotSupportedError);
      await expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.NotSupportedError);
      await expect(cursor.scroll(1)).rejects.toBeInstanceOf(errors.NotSupportedError);
    });
    expect(await cursor.fetchone()).toEqual([1]);
  });

  it.each([-1, 1.5, NaN, 2 ** 31])('fetchmany(%d), and the like', async (size) => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute(HUNDRED);
    await expect(cursor.fetchmany(size)).rejects.toBeInstanceOf(errors.ProgrammingError);
    expect(() => (cursor.arraysize = size)).toThrow(errors.ProgrammingError);
    expect(() => (cursor.itersize = size)).toThrow(errors.ProgrammingError);
    if (size !== -1) await expect(cursor.scroll(size)).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(cursor.scroll(1, 'wat' as 'relative')).rejects.toBeInstanceOf(errors.ProgrammingError);
    expect(await cursor.fetchone()).toEqual([1]);
  });

  it('two operations at once: the second raises, the first goes on', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ name: 'c' });
    await cursor.execute(HUNDRED);
    const first = cursor.fetchmany(5);
    await expect(cursor.fetchone()).rejects.toBeInstanceOf(errors.ConcurrentCursorUse);
    expect(await first).toHaveLength(5);
    expect(await cursor.fetchone()).toEqual([6]);
  });
});
