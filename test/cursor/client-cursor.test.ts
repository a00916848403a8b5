import { describe, expect, it } from 'vitest';
import {
  AsyncClientCursor,
  AsyncConnectionPool,
  AsyncCursor,
  AsyncRawCursor,
  dictRow,
  errors,
  Jsonb,
  sql,
  type AsyncConnection,
  type Params,
} from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';

const prepared = async (conn: AsyncConnection): Promise<unknown[]> => {
  const cur = new AsyncCursor(conn);
  await cur.execute('SELECT statement FROM pg_prepared_statements', null, { prepare: false });
  return cur.fetchall();
};

describe('mogrify()', () => {
  it.each<[string, Params | undefined, string]>([
    ["select 'hello'", undefined, "select 'hello'"],
    ['select %s, %%', undefined, 'select %s, %%'],
    ['select %%, %s', ['a'], "select %, 'a'"],
    ['select %%s, %(foo)s', { foo: 'x' }, "select %s, 'x'"],
    ['select %(a)s, %(b)s, %(a)s', { a: 'x', b: null }, "select 'x', NULL, 'x'"],
    ['select %t, %b', [1, -1], 'select 1,  -1'],
    ['select %s', ["$& $1 '"], "select '$& $1 '''"],
    ['select %s, %s', ['%s', '%(a)s'], "select '%s', '%(a)s'"],
    ['select %s', [new Jsonb({ a: "it's" })], `select '{"a":"it''s"}'::jsonb`],
    ['select %s', [Buffer.from('a')], "select '\\x61'::bytea"],
    ['select $1, %s', [1], 'select $1, 1'],
  ])('of %j with %o is %s', async (query, params, expected) => {
    const cur = new AsyncClientCursor(await connect());
    expect(cur.mogrify(query, params)).toBe(expected);
  });

  it('shows what execute() sends, and sends nothing itself', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    const query = sql`SELECT ${"it's"} AS ${sql.identifier('a"b')}, ${[1, 2]}::int[]`;
    const text = `SELECT 'it''s' AS "a""b", '{1,2}'::int2[]::int[]`;
    expect(cur.mogrify(query)).toBe(text);
    expect(cur.query).toBeNull();
    expect(conn.info.transactionStatus).toBe('IDLE');
    await cur.execute(query);
    expect(cur.query).toBe(text);
    expect(await cur.fetchone()).toEqual(["it's", [1, 2]]);
  });

  it.each<[string, Params, RegExp]>([
    ['%s', [1, 2], /1 placeholders but 2/],
    ['%(a)s', {}, /parameter missing: a/],
    ['%(a)s', [1], /need an object/],
    ['%s', [undefined], /^\$1: undefined/],
    ['%s %s', [1, [1, [() => 1]]], /^\$2\[1\]/],
    ['%s', ['\0'], /^\$1: .*NUL/],
    ['%s', [{ a: 1 }], /^\$1: .*Jsonb/],
    ['%i', [1], /only '%s'/],
  ])('refuses %j with %o', async (query, params, message) => {
    const cur = new AsyncClientCursor(await connect());
    expect(() => cur.mogrify(query, params)).toThrow(message);
    expect(() => cur.mogrify(query, params)).toThrow(errors.DatabaseError);
  });

  it('on a returned connection raises InterfaceError', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
    const conn = await pool.getconn();
    const cur = new AsyncClientCursor(conn);
    await pool.putconn(conn);
    expect(() => cur.mogrify('SELECT %s', [1])).toThrow(errors.InterfaceError);
  });
});

describe('a client cursor', () => {
  it('takes several statements with parameters', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    await cur.execute('SELECT %s; SELECT generate_series(1, %s)', ['foo', 3]);
    expect(await cur.fetchall()).toEqual([['foo']]);
    expect(await cur.nextset()).toBe(true);
    expect(await cur.fetchall()).toEqual([[1], [2], [3]]);
    expect(await cur.nextset()).toBeNull();
  });

  it('takes parameters where the server takes none', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    await cur.execute('SET application_name = %s', ["it's\\me"]);
    await cur.execute('CREATE TEMP TABLE client (id int DEFAULT %s, name text DEFAULT %s)', [5, "o'\\"]);
    await cur.execute(
      "INSERT INTO client DEFAULT VALUES; SELECT *, current_setting('application_name') FROM client",
    );
    await cur.nextset();
    expect(await cur.fetchall()).toEqual([[5, "o'\\", "it's\\me"]]);
  });

  it('prepares nothing, however often it executes and even if it is told to', async () => {
    for (const autocommit of [true, false]) {
      const conn = await connect({ autocommit, prepareThreshold: 0, cursorFactory: AsyncClientCursor });
      for (let i = 0; i < 3; i++) {
        await conn.execute('SELECT %s', ['same']);
        await conn.execute('SELECT 1', null, { prepare: true });
        await conn.cursor().executemany('SELECT %s', [['same'], ['same']]);
        await conn.commit();
      }
      expect(await prepared(conn)).toEqual([]);
    }
  });

  it('refuses `binary`, which the simple protocol lacks', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    await expect(cur.execute('SELECT %s', [1], { binary: true })).rejects.toBeInstanceOf(
      errors.NotSupportedError,
    );
    await cur.execute('SELECT %s', [1], { binary: false });
    expect(await cur.fetchall()).toEqual([[1]]);
  });

  it('sends values with dollar signs and semicolons unchanged, even in the first statement of a transaction', async () => {
    const conn = await connect();
    for (const value of ['$1', '; ROLLBACK; --', "'; COMMIT; --", '\\', '$$']) {
      const cur = new AsyncClientCursor(conn);
      await cur.execute('SELECT %s', [value]);
      expect(await cur.fetchone()).toEqual([value]);
      expect(conn.info.transactionStatus).toBe('INTRANS');
      await conn.rollback();
    }
  });

  it('shows the query that failed, which the error names without the values', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    const error: unknown = await cur.execute('SELECT %s::int', ['wat']).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ sqlstate: '22P02', query: 'SELECT $1::int' });
    expect(cur.query).toBe("SELECT 'wat'::int");
  });

  it('is made by a connection whose cursorFactory it is', async () => {
    const conn = await connect({ cursorFactory: AsyncClientCursor, rowFactory: dictRow });
    const cur = await conn.execute('SELECT %s AS a', ['x']);
    expect(cur).toBeInstanceOf(AsyncClientCursor);
    expect(cur.query).toBe("SELECT 'x' AS a");
    expect(await cur.fetchall()).toEqual([{ a: 'x' }]);
    conn.cursorFactory = AsyncRawCursor;
    expect(conn.cursor()).toBeInstanceOf(AsyncRawCursor);
    conn.cursorFactory = AsyncCursor;
    expect((await conn.execute('SELECT %s AS a', ['x'])).query).toBe('SELECT $1 AS a');
  });

  it('is made by the connections of a pool with that cursorFactory in connectOptions', async () => {
    await using pool = new AsyncConnectionPool(dsn(), {
      minSize: 1,
      connectOptions: { cursorFactory: AsyncClientCursor },
    });
    for (let i = 0; i < 2; i++) {
      await pool.withConnection(async (conn) => {
        const cur = await conn.execute('SELECT %s; SELECT %s', [1, 2]);
        expect(cur).toBeInstanceOf(AsyncClientCursor);
      });
    }
    expect((await pool.execute(sql`SELECT ${'a'}`)).rows).toEqual([['a']]);
  });
});

describe('executemany() of a client cursor', () => {
  const table = async (conn: AsyncConnection): Promise<void> => {
    await conn.execute('CREATE TEMP TABLE many (id int PRIMARY KEY, name text)');
    await conn.commit();
  };
  const count = async (conn: AsyncConnection): Promise<unknown> => {
    const cur = await conn.execute('SELECT count(*) FROM many');
    return (await cur.fetchone())?.[0];
  };

  it.each([true, false])('executes each, many at once (autocommit %s)', async (autocommit) => {
    const conn = await connect({ autocommit });
    await table(conn);
    const cur = new AsyncClientCursor(conn);
    const rows = Array.from({ length: 2500 }, (_, i) => [i, `it's; ${String(i)} $1`]);
    await cur.executemany('INSERT INTO many VALUES (%s, %s)', rows);
    expect(cur.rowcount).toBe(2500);
    expect(cur.statusmessage).toBe('INSERT 0 1');
    expect(cur.query).toBe("INSERT INTO many VALUES (2499, 'it''s; 2499 $1')");
    expect(conn.info.transactionStatus).toBe(autocommit ? 'IDLE' : 'INTRANS');
    expect(await count(conn)).toBe(2500n);
    const names = await conn.execute('SELECT name FROM many WHERE id = 7');
    expect(await names.fetchone()).toEqual(["it's; 7 $1"]);
  });

  it('is atomic, in autocommit, too', async () => {
    const conn = await connect({ autocommit: true });
    await table(conn);
    const cur = new AsyncClientCursor(conn);
    for (const rows of [
      [[1], [2], [1], [3]],
      [...Array.from({ length: 1500 }, (_, i) => [i]), [5], [1501]],
    ]) {
      await expect(cur.executemany('INSERT INTO many VALUES (%s)', rows)).rejects.toBeInstanceOf(
        errors.UniqueViolation,
      );
      expect(conn.info.transactionStatus).toBe('IDLE');
      expect(await count(conn)).toBe(0n);
    }
    const late = cur.executemany('INSERT INTO many VALUES (%s)', [[1], [2], [undefined]] as Params[]);
    await expect(late).rejects.toThrow(/^\[2\]\$1: undefined/);
    expect(await count(conn)).toBe(0n);
  });

  it('keeps the rows of each, and several statements in each, if asked to return them', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    await cur.executemany(
      'SELECT %s; SELECT -%s',
      [
        [1, 2],
        [3, 4],
      ],
      { returning: true },
    );
    const seen: unknown[] = [];
    for await (const result of cur.results()) seen.push(await result.fetchall());
    expect(seen).toEqual([[[1]], [[-2]], [[3]], [[-4]]]);
  });

  it('takes named parameters, and an asynchronous source that uses the connection', async () => {
    const conn = await connect();
    await table(conn);
    async function* source(): AsyncGenerator<Params> {
      for (let i = 0; i < 3; i++) {
        const cur = await conn.execute('SELECT %s::text', [i]);
        yield { id: i, name: (await cur.fetchone())?.[0] as string };
      }
    }
    await new AsyncClientCursor(conn).executemany('INSERT INTO many VALUES (%(id)s, %(name)s)', source());
    const cur = await conn.execute('SELECT * FROM many ORDER BY id');
    expect(await cur.fetchall()).toEqual([
      [0, '0'],
      [1, '1'],
      [2, '2'],
    ]);
  });

  it('without parameters checks the query and sends nothing', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    await cur.executemany('INSERT INTO nowhere VALUES (%s)', []);
    expect(cur.rowcount).toBe(0);
    await expect(cur.executemany('\0', [])).rejects.toThrow(/NUL/);
  });

  it('is aborted by its signal, and none of it takes effect', async () => {
    const conn = await connect({ autocommit: true });
    await table(conn);
    const cur = new AsyncClientCursor(conn);
    const controller = new AbortController();
    const rows = [
      [1, 0],
      [2, 60],
      [3, 0],
    ];
    const reason = new Error('enough');
    const running = cur.executemany('INSERT INTO many SELECT %s FROM pg_sleep(%s)', rows, {
      signal: controller.signal,
    });
    await expect
      .poll(
        async () => {
          const [row] = await admin<{ running: boolean }>(
            "SELECT query LIKE 'INSERT INTO many SELECT 2%' AND state = 'active' AS running FROM pg_stat_activity WHERE pid = $1",
            [conn.info.backendPid],
          );
          return row?.running;
        },
        { interval: 10 },
      )
      .toBe(true);
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(await count(conn)).toBe(0n);
  });

  it('ends when the cursor is closed, and leaves the connection usable', async () => {
    const conn = await connect();
    const cur = new AsyncClientCursor(conn);
    const running = cur.executemany('SELECT pg_sleep(%s)', Array(100).fill([5]) as Params[]);
    const outcome = running.catch((error: unknown) => error);
    await expect
      .poll(async () => {
        const rows = await admin('SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = $2', [
          conn.info.backendPid,
          'PgSleep',
        ]);
        return rows.length;
      })
      .toBe(1);
    await cur.close();
    expect(await outcome).toBeInstanceOf(errors.Error);
    await conn.rollback();
    expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
  });
});
