import { describe, expect, test } from 'vitest';
import {
  AsyncConnectionPool,
  AsyncCopy,
  errors,
  Int2,
  Int4,
  Numeric,
  sql,
  TransactionStatus,
  type AsyncConnection,
  type AsyncCursor,
} from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';

interface Table {
  readonly conn: AsyncConnection;
  readonly cur: AsyncCursor;
}

/** A connection with a table of its own, in a committed transaction. */
async function withTable(columns = 'id int4 PRIMARY KEY, name text'): Promise<Table> {
  const conn = await connect();
  const cur = conn.cursor();
  await cur.execute(`CREATE TEMP TABLE place (${columns})`);
  await conn.commit();
  return { conn, cur };
}

async function rowsOf({ conn }: Table): Promise<unknown[][]> {
  return (await conn.execute('SELECT * FROM place ORDER BY 1')).fetchall();
}

/** Checks that the connection works, and that no later statement was cancelled. */
async function expectUsable({ conn, cur }: Table): Promise<void> {
  await conn.rollback();
  expect(await (await cur.execute('SELECT 42')).fetchone()).toEqual([42]);
  await conn.rollback();
  expect(conn.info.transactionStatus).toBe(TransactionStatus.IDLE);
}

const FROM = 'COPY place FROM STDIN';
const TO = 'COPY place TO STDOUT';

describe('a COPY … FROM STDIN', () => {
  test('stores the data when it is finished, and reports the number of rows', async () => {
    const table = await withTable();
    const { conn, cur } = table;
    const copy = await cur.copy(FROM);
    expect(copy).toBeInstanceOf(AsyncCopy);
    expect([cur.rowcount, cur.statusmessage, cur.description?.map(({ name }) => name)]).toEqual([
      -1,
      null,
      ['column_1', 'column_2'],
    ]);
    await copy.writeRow([1, 'Ærø']);
    await copy.write('2\tBø\n3\t');
    await copy.write(Buffer.from('\\N\n'));
    await copy.finish();
    expect([cur.rowcount, cur.statusmessage, cur.description, cur.rownumber]).toEqual([
      3,
      'COPY 3',
      null,
      null,
    ]);
    expect(cur.query).toBe(FROM);
    expect(conn.info.transactionStatus).toBe(TransactionStatus.INTRANS);
    expect(await rowsOf(table)).toEqual([
      [1, 'Ærø'],
      [2, 'Bø'],
      [3, null],
    ]);
  });

  test('without finish() stores nothing when its scope is left', async () => {
    const table = await withTable();
    {
      await using copy = await table.cur.copy(FROM);
      await copy.writeRow([1, 'a']);
    }
    expect(table.conn.info.transactionStatus).toBe(TransactionStatus.INERROR);
    expect(table.cur.rowcount).toBe(-1);
    await expectUsable(table);
    expect(await rowsOf(table)).toEqual([]);
  });

  test('stores nothing in autocommit mode either when its scope is left', async () => {
    const table = await withTable();
    await table.conn.setAutocommit(true);
    {
      await using copy = await table.cur.copy(FROM);
      for (let i = 0; i < 20_000; i++) await copy.writeRow([i, 'some text']);
    }
    expect(await rowsOf(table)).toEqual([]);
  });

  test('is finished when the callback returns, with its result', async () => {
    const table = await withTable();
    const result = await table.cur.withCopy(FROM, async (copy) => {
      await copy.writeRow([1, 'a']);
      return 'done';
    });
    expect([result, table.cur.rowcount]).toEqual(['done', 1]);
  });

  test('is aborted when the callback throws, with its error unchanged', async () => {
    const table = await withTable();
    const failure = new Error('no more');
    const attempt = table.cur.withCopy(FROM, async (copy) => {
      await copy.writeRow([1, 'a']);
      throw failure;
    });
    await expect(attempt).rejects.toBe(failure);
    expect(table.conn.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await expectUsable(table);
    expect(await rowsOf(table)).toEqual([]);
  });

  test('is aborted also when the callback throws something that has no text', async () => {
    const table = await withTable();
    const failure: unknown = Object.create(null);
    const attempt = table.cur.withCopy(FROM, () => {
      throw failure;
    });
    await expect(attempt).rejects.toBe(failure);
    await expectUsable(table);
  });

  test('that the callback has finished or aborted itself is left as it is', async () => {
    const table = await withTable();
    await table.cur.withCopy(FROM, async (copy) => {
      await copy.writeRow([1, 'a']);
      await copy.finish();
    });
    await table.cur.withCopy(FROM, (copy) => copy.abort('thought better of it'));
    await table.conn.rollback();
    expect(await rowsOf(table)).toEqual([]);
  });

  test('can be finished twice, with the same result', async () => {
    const { cur } = await withTable();
    const copy = await cur.copy(FROM);
    await copy.writeRow([1, 'a']);
    await Promise.all([copy.finish(), copy.finish()]);
    await copy.finish();
    await copy.abort();
    expect(cur.rowcount).toBe(1);
  });

  test('takes rows in order whose promises are not awaited', async () => {
    const table = await withTable('id int8 GENERATED ALWAYS AS IDENTITY, n int4');
    const count = 30_000;
    await table.cur.withCopy('COPY place (n) FROM STDIN', async (copy) => {
      await Promise.all(Array.from({ length: count }, (_, i) => copy.writeRow([i])));
    });
    const cur = await table.conn.execute('SELECT count(*), count(*) FILTER (WHERE n = id - 1) FROM place');
    expect(await cur.fetchone()).toEqual([BigInt(count), BigInt(count)]);
  });

  test('takes large pieces at once; each promise resolves when its bytes may be reused', async () => {
    const conn = await connect({ autocommit: true });
    const cur = conn.cursor();
    await cur.execute('CREATE TEMP TABLE large (v text)');
    const lines = 64;
    const pieces = Array.from({ length: lines }, (_, i) =>
      Buffer.from(
        `${String.fromCharCode(0x30 + i)
          .replace('\\', '|')
          .repeat(99_999)}\n`,
      ),
    );
    const expected = pieces.map((piece) => piece.toString('latin1', 0, 99_999));
    await using copy = await cur.copy('COPY large FROM STDIN');
    await Promise.all(
      pieces.map(async (piece) => {
        await copy.write(piece);
        piece.fill('overwritten ');
      }),
    );
    await copy.finish();
    await cur.execute('SELECT v FROM large');
    expect((await cur.fetchall()).map(([v]) => v)).toEqual(expected);
  });

  test('lets timers and other connections go on while rows are written, however fast the server is', async () => {
    const conn = await connect({ autocommit: true });
    const cur = conn.cursor();
    await cur.execute('CREATE TEMP TABLE fast (v text)');
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await cur.withCopy('COPY fast FROM STDIN WHERE false', async (copy) => {
      const end = performance.now() + 30_000;
      const piece = Buffer.from(`${'x'.repeat(20_000)}\n`);
      while (turns <= 10 && performance.now() < end) {
        // Slow enough for the network to take each piece at once.
        for (const until = performance.now() + 2; performance.now() < until;);
        await copy.write(piece);
      }
    });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
  });

  test('takes pieces of any size, and a row larger than a block', async () => {
    const table = await withTable();
    const large = 'x'.repeat(3_000_000);
    await table.cur.withCopy(FROM, async (copy) => {
      await copy.write('');
      await copy.writeRow([1, large]);
      await copy.write(`2\t${large}`);
      await copy.write(new Uint8Array(0));
      await copy.write(Buffer.from(`${large}\n`));
    });
    const cur = await table.conn.execute('SELECT id, length(name) FROM place ORDER BY id');
    expect(await cur.fetchall()).toEqual([
      [1, 3_000_000],
      [2, 6_000_000],
    ]);
  });

  test('takes values of any class as their dumpers dump them', async () => {
    const { conn, cur } = await withTable(
      'a int2, b numeric, c bytea, d bool, e float8, f int8, g point, h timestamptz',
    );
    class Point {
      constructor(
        readonly x: number,
        readonly y: number,
      ) {}
    }
    cur.adapters.registerDumper(Point, ({ x, y }) => `(${String(x)},${String(y)})`);
    cur.adapters.registerDumper('boolean', (value) => (value ? 'yes' : 'no'));
    const instant = new Date('2024-02-29T12:34:56.789Z');
    await cur.withCopy(FROM, async (copy) => {
      await copy.writeRow([
        new Int2(7),
        new Numeric('1.50'),
        Uint8Array.of(0, 92, 255),
        true,
        -0.1,
        2n ** 60n,
        new Point(1, 2),
        instant,
      ]);
      await copy.writeRow([1e3, 1e21, new Uint8Array(0), false, -0, -5, new Point(0, -1), new Date(-1)]);
    });
    await conn.execute('SET TIME ZONE UTC');
    const stored = await conn.execute('SELECT a, b, c, d, e, f, g::text, h FROM place');
    expect(await stored.fetchall()).toEqual([
      [7, '1.50', Buffer.of(0, 92, 255), true, -0.1, 2n ** 60n, '(1,2)', instant],
      [1000, '1000000000000000000000', Buffer.alloc(0), false, -0, -5n, '(0,-1)', new Date(-1)],
    ]);
  });
});

describe('a COPY … TO STDOUT', () => {
  async function filled(): Promise<Table> {
    const table = await withTable();
    await table.cur.withCopy(FROM, async (copy) => {
      await copy.writeRow([1, 'a\tb']);
      await copy.writeRow([2, null]);
    });
    await table.conn.commit();
    return table;
  }

  test('returns bytes, and an empty piece at the end', async () => {
    const { cur } = await filled();
    const copy = await cur.copy(TO);
    const pieces: Buffer[] = [];
    for (;;) {
      const piece = await copy.read();
      if (piece.length === 0) break;
      pieces.push(piece);
    }
    expect(Buffer.concat(pieces).toString()).toBe('1\ta\\tb\n2\t\\N\n');
    expect((await copy.read()).length).toBe(0);
    expect(await copy.readRow()).toBe(null);
    expect([cur.rowcount, cur.statusmessage, cur.description?.length]).toEqual([2, null, 2]);
  });

  test('returns rows as strings, or as values of the types that are set', async () => {
    const { cur } = await filled();
    const rows: unknown[] = [];
    await cur.withCopy(TO, async (copy) => {
      for await (const row of copy.rows()) rows.push(row);
    });
    await cur.withCopy(TO, async (copy) => {
      copy.setTypes(['int4', 25]);
      rows.push(await copy.readRow(), await copy.readRow(), await copy.readRow());
    });
    expect(rows).toEqual([['1', 'a\tb'], ['2', null], [1, 'a\tb'], [2, null], null]);
    expect(cur.rowcount).toBe(2);
  });

  test('in the binary format returns bytes unless the types are set', async () => {
    const { cur } = await filled();
    const rows: unknown[] = [];
    await cur.withCopy(`${TO} (FORMAT binary)`, async (copy) => {
      for await (const row of copy.rows()) rows.push(row);
    });
    expect(rows).toEqual([
      [Buffer.of(0, 0, 0, 1), Buffer.from('a\tb')],
      [Buffer.of(0, 0, 0, 2), null],
    ]);
  });

  test('can be read by rows and by pieces alternately', async () => {
    const { cur, conn } = await filled();
    for (const format of ['text', 'binary']) {
      const copy = await cur.copy(
        `COPY (SELECT i FROM generate_series(1, 50000) i) TO STDOUT (FORMAT ${format})`,
      );
      copy.setTypes(['int4']);
      const first = [await copy.readRow(), await copy.readRow()];
      const rest = await copy.read();
      const next = await copy.readRow();
      expect(first).toEqual([[1], [2]]);
      const size = format === 'text' ? rest.toString().split('\n').length - 1 : rest.length / 10;
      expect(next).toEqual([3 + size]);
      await copy.abort();
      await conn.rollback();
    }
  });

  test('can be read by pieces first and by rows afterwards', async () => {
    const { cur } = await filled();
    await cur.withCopy(
      'COPY (SELECT i FROM generate_series(1, 50000) i) TO STDOUT (FORMAT binary)',
      async (copy) => {
        copy.setTypes(['int4']);
        const piece = await copy.read();
        expect(piece.subarray(0, 6).toString()).toBe('PGCOPY');
        expect(await copy.readRow()).toEqual([(piece.length - 19) / 10 + 1]);
      },
    );
  });

  test('is cancelled when its scope is left before the end, and the connection goes on', async () => {
    const table = await filled();
    const { conn, cur } = table;
    await conn.setAutocommit(true);
    const endless = 'COPY (SELECT generate_series(1, 1000000000)) TO STDOUT';
    const started = performance.now();
    {
      await using copy = await cur.copy(endless);
      expect((await copy.read()).length).toBeGreaterThan(0);
    }
    await cur.withCopy(endless, async (copy) => {
      for await (const row of copy.rows()) if (row[0] === '3') break;
    });
    // All rows would take minutes.
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(await (await cur.execute('SELECT 42')).fetchone()).toEqual([42]);
    expect(conn.closed).toBe(false);
  });

  test('continues in another loop after a loop is left', async () => {
    const { cur } = await filled();
    const seen: unknown[] = [];
    await cur.withCopy('COPY (SELECT i FROM generate_series(1, 5) i) TO STDOUT', async (copy) => {
      for await (const [i] of copy.rows()) {
        seen.push(i);
        if (i === '2') break;
      }
      for await (const [i] of copy.rows()) seen.push(i);
    });
    expect(seen).toEqual(['1', '2', '3', '4', '5']);
  });
});

describe('the statement', () => {
  test('takes parameters, which become literals', async () => {
    const { cur } = await withTable();
    const rows: unknown[] = [];
    await cur.withCopy(
      'COPY (SELECT %(name)s, %(n)s + 1, %(list)s::int4[]) TO STDOUT',
      async (copy) => {
        for await (const row of copy.rows()) rows.push(row);
      },
      { name: "it's 100%\\", n: -1, list: [1, 2] },
    );
    expect(rows).toEqual([["it's 100%\\", '0', '{1,2}']]);
  });

  test('may be composed, with values of its own', async () => {
    const { cur } = await withTable();
    const copy = await cur.copy(
      sql`COPY (SELECT ${'a'} || ${sql.Literal('%')} AS ${sql.identifier('x y')}) TO STDOUT (FORMAT csv, HEADER)`,
    );
    const pieces: Buffer[] = [];
    for await (const piece of copy) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('x y\na%\n');
  });

  test.each(['SELECT 1', 'CREATE TEMP TABLE other (a int4)', 'INSERT INTO place VALUES (1)', '', ' ; '])(
    'that is not a COPY raises ProgrammingError: %s',
    async (statement) => {
      const table = await withTable();
      await expect(table.cur.copy(statement)).rejects.toThrow(errors.ProgrammingError);
      await expectUsable(table);
    },
  );

  test('followed by another raises ProgrammingError: at the end, or in autocommit mode before', async () => {
    const table = await withTable();
    for (const second of ['SELECT 1', 'DROP TABLE place', FROM]) {
      const attempt = table.cur.withCopy(`${FROM}; ${second}`, (copy) => copy.writeRow([1, 'a']));
      await expect(attempt).rejects.toThrow(/mixed with other statements/);
      await expect(attempt).rejects.toThrow(errors.ProgrammingError);
      expect(table.conn.info.transactionStatus).toBe(TransactionStatus.INTRANS);
      await table.conn.rollback();
      expect(await rowsOf(table)).toEqual([]);
      await table.conn.rollback();
    }
    await table.conn.setAutocommit(true);
    await expect(table.cur.copy(`${FROM}; SELECT 1`)).rejects.toThrow(/mixed with other statements/);
    await expect(table.cur.copy(`SELECT 1; ${FROM}`)).rejects.toThrow(errors.ProgrammingError);
    expect(await rowsOf(table)).toEqual([]);
  });

  test('that the server refuses raises its error, and the cursor can be used again', async () => {
    const table = await withTable();
    await expect(table.cur.copy('COPY nowhere FROM STDIN')).rejects.toMatchObject({
      name: 'UndefinedTable',
      sqlstate: '42P01',
      query: 'COPY nowhere FROM STDIN',
    });
    expect(table.conn.info.transactionStatus).toBe(TransactionStatus.INERROR);
    await expectUsable(table);
  });

  test('with parameters that do not fit is not sent', async () => {
    const table = await withTable();
    await expect(table.cur.copy('COPY (SELECT %s) TO STDOUT', [])).rejects.toThrow(errors.ProgrammingError);
    await expect(table.cur.copy('COPY (SELECT %s) TO STDOUT', [undefined])).rejects.toThrow('undefined');
    await expect(table.cur.copy(42 as unknown as string)).rejects.toThrow(
      'expected the query to be a string',
    );
    await expectUsable(table);
  });
});

describe('wrong use is refused at once', () => {
  test('of the direction', async () => {
    const table = await withTable();
    const into = await table.cur.copy(FROM);
    await expect(into.read()).rejects.toThrow(errors.OperationalError);
    await expect(into.readRow()).rejects.toThrow('readRow(): a COPY … FROM STDIN can only be written');
    await expect(into[Symbol.asyncIterator]().next()).rejects.toThrow(errors.OperationalError);
    await expect(into.rows().next()).rejects.toThrow(errors.OperationalError);
    expect(() => into.readable()).toThrow(errors.OperationalError);
    // It continues unaffected.
    await into.writeRow([1, 'a']);
    await into.finish();

    const out = await table.cur.copy(TO);
    await expect(out.write('x')).rejects.toThrow(errors.OperationalError);
    await expect(out.writeRow([1])).rejects.toThrow('writeRow(): a COPY … TO STDOUT can only be read');
    await expect(out.finish()).rejects.toThrow(errors.OperationalError);
    expect(() => out.writable()).toThrow(errors.OperationalError);
    expect(await out.readRow()).toEqual(['1', 'a']);
    await out.abort();
  });

  test('after the end', async () => {
    const table = await withTable();
    const finished = await table.cur.copy(FROM);
    await finished.finish();
    await expect(finished.write('x')).rejects.toThrow('the COPY has been finished');
    await expect(finished.writeRow([1, 'a'])).rejects.toThrow(errors.OperationalError);
    expect(() => finished.writable()).toThrow(errors.OperationalError);

    const aborted = await table.cur.copy(FROM);
    await aborted.abort('no reason');
    await expect(aborted.finish()).rejects.toThrow('the COPY was aborted (no reason)');
    await expect(aborted.write('x')).rejects.toThrow(errors.OperationalError);
    await table.conn.rollback();

    const left = await table.cur.copy('COPY (SELECT 1) TO STDOUT');
    await left.abort();
    await expect(left.read()).rejects.toThrow(errors.OperationalError);
  });

  test('of the cursor while it is busy with the COPY, but not after', async () => {
    const table = await withTable();
    const copy = await table.cur.copy(FROM);
    await expect(table.cur.execute('SELECT 1')).rejects.toThrow(errors.ConcurrentCursorUse);
    await expect(table.cur.copy(TO)).rejects.toThrow(errors.ConcurrentCursorUse);
    await expect(table.cur.fetchone()).rejects.toThrow(errors.ConcurrentCursorUse);
    await copy.finish();
    await expect(table.cur.fetchone()).rejects.toThrow(errors.ProgrammingError);
    await table.cur.execute('SELECT 1');
  });

  test('of the connection while it is busy with the COPY', async () => {
    const table = await withTable();
    const copy = await table.cur.copy(FROM);
    await expect(table.conn.execute('SELECT 1')).rejects.toThrow(errors.Error);
    await expect(table.conn.commit()).rejects.toThrow(errors.Error);
    await copy.writeRow([1, 'a']);
    await copy.finish();
    expect(await rowsOf(table)).toEqual([[1, 'a']]);
  });

  test('by two tasks that read at once', async () => {
    const { cur } = await withTable();
    await cur.withCopy('COPY (SELECT pg_sleep(0.1)) TO STDOUT', async (copy) => {
      const first = copy.read();
      await expect(copy.readRow()).rejects.toThrow(errors.ConcurrentCursorUse);
      expect((await first).toString()).toBe('\n');
    });
  });

  test('of a cursor that is closed, and of a pipeline', async () => {
    const { conn, cur } = await withTable();
    await conn.withPipeline(async () => {
      await expect(cur.copy(FROM)).rejects.toThrow(errors.NotSupportedError);
    });
    await cur.close();
    await expect(cur.copy(FROM)).rejects.toThrow(errors.InterfaceError);
    await expect(cur.withCopy(FROM, () => undefined)).rejects.toThrow(errors.InterfaceError);
  });

  test('of arguments', async () => {
    const table = await withTable();
    await table.cur.withCopy(FROM, async (copy) => {
      await expect(copy.write(5 as unknown as string)).rejects.toThrow(
        'expected write() to get a string or a Uint8Array',
      );
      await expect(copy.write('a\0b')).rejects.toThrow(errors.DataError);
      await expect(copy.write('a\ud800b')).rejects.toThrow(errors.DataError);
      await expect(copy.writeRow('ab' as unknown as string[])).rejects.toThrow(
        'expected writeRow() to get an array',
      );
      expect(() => {
        copy.setTypes(['int4', 'no_such_type']);
      }).toThrow("the type 'no_such_type' is not known here");
      expect(() => {
        copy.setTypes([23, -1]);
      }).toThrow(errors.ProgrammingError);
      expect(() => {
        copy.setTypes(['int4']);
      }).toThrow(errors.DataError);
      expect(() => {
        copy.setTypes('int4' as unknown as string[]);
      }).toThrow(errors.ProgrammingError);
      await copy.writeRow([1, 'a']);
    });
    await table.cur.withCopy(TO, (copy) => {
      expect(() => {
        copy.setTypes(['int4']);
      }).toThrow(errors.ProgrammingError);
    });
    await table.conn.rollback();
    await table.cur.withCopy(`${FROM} (FORMAT binary)`, async (copy) => {
      await expect(copy.write('text')).rejects.toThrow('takes bytes, not a string');
      expect(() => {
        copy.setTypes(['int4', 'point']);
      }).toThrow(errors.NotSupportedError);
    });
    expect(table.cur.rowcount).toBe(0);
  });
});

describe('a row that can’t be sent', () => {
  test.each<[string, string, readonly (string | number)[] | null, unknown[], string]>([
    ['undefined', '', null, [3, undefined], 'row 3, column 2: undefined'],
    ['an object', '', null, [3, { a: 1 }], 'row 3, column 2: a plain object'],
    ['a NUL', '', null, [3, 'a\0'], "row 3, column 2: PostgreSQL text can't contain a NUL"],
    [
      'a lone surrogate',
      '',
      null,
      [3, `${'x'.repeat(99)}\udc00`],
      'row 3, column 2: the string has a lone surrogate',
    ],
    ['a short lone surrogate', '', null, [3, '\ud800'], 'row 3, column 2: the string has a lone surrogate'],
    ['an invalid Date', '', null, [new Date(NaN), 'a'], 'row 3, column 1: the Date is invalid'],
    ['too many values', '', null, [3, 'c', 'd'], 'row 3 has 3 values, but the COPY takes 2 columns'],
    ['too few values', '', null, [3], 'row 3 has 1 values, but the COPY takes 2 columns'],
    ['too few values', 'binary', ['int4', 'text'], [3], 'row 3 has 1 values'],
    [
      'a number out of range',
      'binary',
      ['int4', 'text'],
      [2 ** 31, 'c'],
      'row 3, column 1: 2147483648 is out of range for int4',
    ],
    ['a fraction', 'binary', ['int4', 'text'], [1.5, 'c'], 'row 3, column 1: 1.5 is not an integer for int4'],
    [
      'a word',
      'binary',
      ['int4', 'text'],
      ['three', 'c'],
      "row 3, column 1: 'three' is not an integer for int4",
    ],
    [
      'a NUL',
      'binary',
      ['int4', 'text'],
      [3, `${'x'.repeat(99)}\0`],
      "row 3, column 2: PostgreSQL text can't contain a NUL",
    ],
    ['an array', 'binary', ['int4', 'text'], [[1, [2]], 'c'], 'row 3, column 1'],
    ['an empty array', 'binary', null, [[], 'c'], "the type of this value isn't known: name the types"],
  ])(
    '%s, %s: is omitted with an error that names it, and writing may go on',
    async (_what, format, types, row, message) => {
      const table = await withTable();
      await table.cur.withCopy(`${FROM}${format === '' ? '' : ` (FORMAT ${format})`}`, async (copy) => {
        if (types !== null) copy.setTypes(types);
        const id = (n: number): unknown => (types === null && format === 'binary' ? new Int4(n) : n);
        await copy.writeRow([id(1), 'a']);
        await copy.writeRow([id(2), 'b']);
        const refused = copy.writeRow(row);
        await expect(refused).rejects.toThrow(message);
        await expect(refused).rejects.toThrow(errors.DatabaseError);
        await copy.writeRow([id(4), 'd']);
      });
      expect(await rowsOf(table)).toEqual([
        [1, 'a'],
        [2, 'b'],
        [4, 'd'],
      ]);
    },
  );

  test('has the SQLSTATE of a row with another number of columns, and is a DataError', async () => {
    const { cur } = await withTable();
    await cur.withCopy(FROM, async (copy) => {
      const refused = copy.writeRow([]);
      await expect(refused).rejects.toThrow(errors.DataError);
      await expect(refused).rejects.toMatchObject({ name: 'BadCopyFileFormat', sqlstate: '22P04' });
    });
  });

  test('in the binary format without types is refused by the server if its size differs from the column’s', async () => {
    const table = await withTable();
    const attempt = table.cur.withCopy(`${FROM} (FORMAT binary)`, (copy) => copy.writeRow([1, 'a']));
    await expect(attempt).rejects.toThrow(errors.DatabaseError);
    await expectUsable(table);
  });
});

describe('a value that can’t be loaded', () => {
  test.each(['text', 'binary'])(
    'in the %s format raises a DataError that names it, and the next row can be read',
    async (format) => {
      const { cur } = await withTable();
      cur.adapters.registerLoader('int4', (text) => {
        if (text === '2') throw new Error('not two');
        return Number(text);
      });
      const copy = await cur.copy(
        `COPY (SELECT i, 'x' FROM generate_series(1, 3) i) TO STDOUT (FORMAT ${format})`,
      );
      copy.setTypes(['int4', 'text']);
      expect(await copy.readRow()).toEqual([1, 'x']);
      const failed = copy.readRow();
      await expect(failed).rejects.toThrow('row 2, column 1: not two');
      await expect(failed).rejects.toThrow(errors.DataError);
      expect(await copy.readRow()).toEqual([3, 'x']);
      expect(await copy.readRow()).toBe(null);
      expect(cur.rowcount).toBe(3);
    },
  );
});

describe('registered loaders', () => {
  test('load from the binary format what they load from text, also within arrays and ranges', async () => {
    const { cur } = await withTable();
    for (const type of [
      'int8',
      'numeric',
      'date',
      'timestamptz',
      'interval',
      'bytea',
      'bool',
      'jsonb',
      'inet',
    ]) {
      cur.adapters.registerLoader(type, (text) => `<${text}>`);
    }
    cur.adapters.registerLoader('int4range', (text) => `r${text}`);
    cur.adapters.registerLoader('text[]', (text) => `a${text}`);
    const types = [
      'int8',
      'numeric',
      'date',
      'timestamptz',
      'interval',
      'bytea',
      'bool',
      'jsonb',
      'inet',
      'int8[]',
      'numrange',
      'int4range',
      'text[]',
    ];
    const query = `SELECT 5::int8, 1.50, date '0044-03-15 BC', timestamptz '2024-01-02 03:04:05.678901+00', interval '1 year -2 days 3 hours',
      '\\x00ff'::bytea, true, jsonb '{"a": 1}', inet '10.0.0.1/8', '{1,NULL}'::int8[], numrange(1.5, NULL), int4range(1, 5), '{"a b",NULL}'::text[]`;
    await cur.execute('SET TIME ZONE UTC');
    const read: unknown[] = [];
    for (const format of ['text', 'binary']) {
      await cur.withCopy(`COPY (${query}) TO STDOUT (FORMAT ${format})`, async (copy) => {
        copy.setTypes(types);
        read.push(await copy.readRow());
      });
    }
    await cur.execute(query);
    const selected = await cur.fetchone();
    expect(read[0]).toEqual(selected);
    // Arrays with and without optional quotes are equal.
    const unquoted = (row: unknown): unknown => JSON.parse(JSON.stringify(row).replaceAll('\\"', ''));
    expect(unquoted(read[1])).toEqual(unquoted(selected));
  });

  test('of a type without binary format here are refused, while its bytes can be read', async () => {
    const { cur } = await withTable();
    const statement = "COPY (SELECT point '(1,2)') TO STDOUT (FORMAT binary)";
    await cur.withCopy(statement, async (copy) => {
      copy.setTypes(['point']);
      const [bytes] = (await copy.readRow())! as [Buffer];
      expect([bytes.readDoubleBE(0), bytes.readDoubleBE(8)]).toEqual([1, 2]);
    });
    cur.adapters.registerLoader('point', (text) => text);
    await cur.withCopy(statement, (copy) => {
      expect(() => {
        copy.setTypes(['point']);
      }).toThrow(errors.NotSupportedError);
    });
  });
});

describe('a COPY with options other than the defaults of the text format', () => {
  test.each([
    ['(FORMAT csv)', 'csv'],
    ['WITH CSV', 'csv'],
    ["(DELIMITER '|')", 'delimiter'],
    ["(NULL '')", 'NULL'],
    ["(ENCODING 'LATIN1')", 'encoding'],
  ])('takes bytes, but no rows: %s', async (options, what) => {
    const { cur } = await withTable();
    await cur.withCopy(`${FROM} ${options}`, async (copy) => {
      await expect(copy.writeRow([1, 'a'])).rejects.toThrow(what);
      await expect(copy.writeRow([1, 'a'])).rejects.toThrow(errors.ProgrammingError);
      expect(() => {
        copy.setTypes(['int4', 'text']);
      }).toThrow(errors.ProgrammingError);
      const separator = options.includes('DELIM') ? '|' : /csv/i.test(options) ? ',' : '\t';
      await copy.write(`1${separator}a\n`);
    });
    expect(cur.rowcount).toBe(1);
    await cur.withCopy(`${TO} ${options}`, async (copy) => {
      await expect(copy.readRow()).rejects.toThrow(what);
      expect((await copy.read()).length).toBe(4);
    });
  });

  test('has a header that cannot be loaded as a type', async () => {
    const { cur } = await withTable();
    await cur.withCopy(`${TO} (HEADER)`, async (copy) => {
      expect(() => {
        copy.setTypes(['int4', 'text']);
      }).toThrow('header');
      expect(await copy.readRow()).toEqual(['id', 'name']);
    });
  });
});

describe('the end of the owner of a COPY', () => {
  test('a cursor that is closed ends its COPY', async () => {
    const table = await withTable();
    const copy = await table.cur.copy(FROM);
    await copy.writeRow([1, 'a']);
    await table.cur.close();
    await expect(copy.writeRow([2, 'b'])).rejects.toThrow(errors.OperationalError);
    await table.conn.rollback();
    expect(await rowsOf(table)).toEqual([]);
  });

  test('a connection that is closed ends its COPY', async () => {
    const { conn, cur } = await withTable();
    const copy = await cur.copy(FROM);
    await conn.close();
    await expect(copy.writeRow([1, 'a']).then(() => copy.finish())).rejects.toThrow(errors.Error);
    await copy.abort();
  });

  test('a connection that is returned to its pool ends its COPY, which its borrower cannot use any more', async () => {
    await using pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1 });
    let copy: AsyncCopy;
    {
      await using conn = await pool.connection();
      copy = await conn.cursor().copy('COPY (SELECT generate_series(1, 100000000)) TO STDOUT');
      await copy.read();
    }
    await expect(copy.read()).rejects.toThrow(errors.InterfaceError);
    await expect(copy.readRow()).rejects.toThrow(errors.InterfaceError);
    await copy.abort();
    expect((await pool.execute('SELECT 42')).rows).toEqual([[42]]);
    expect(pool.getStats().connectionsNum).toBe(1);
  });

  test('the rows of a COPY count as uncommitted writes', async () => {
    await admin('CREATE TABLE IF NOT EXISTS copied_and_lost (a int4)');
    const pool = new AsyncConnectionPool(dsn(), { minSize: 1, maxSize: 1 });
    const warnings = await warningsOf('USINGPG_UNCOMMITTED', async () => {
      await using conn = await pool.connection();
      await conn.cursor().withCopy('COPY copied_and_lost FROM STDIN', (copy) => copy.writeRow([1]));
    });
    await pool.close();
    expect(warnings).toHaveLength(1);
    expect(await admin('SELECT * FROM copied_and_lost')).toEqual([]);
    await admin('DROP TABLE copied_and_lost');
  });
});
