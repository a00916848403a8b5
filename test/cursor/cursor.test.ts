import { describe, expect, it } from 'vitest';
import { dictRow, errors, Jsonb, scalarRow, tupleRow } from '../../src/index.js';
import { connect } from '../support/database.js';

describe('a cursor shared by several tasks', () => {
  it('refuses the second operation at once, naming both queries, and does not affect the first', async () => {
    const connection = await connect();
    const cursor = connection.cursor();
    const first = cursor.execute("select 'first', pg_sleep(0.05)");
    for (const second of [
      () => cursor.execute('select 2'),
      () => cursor.executemany('select %s', [[1]]),
      () => cursor.fetchone(),
      () => cursor.fetchall(),
      () => cursor.nextset(),
      () => cursor.scroll(1),
    ]) {
      const error: unknown = await second().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(errors.ConcurrentCursorUse);
      expect(error).toBeInstanceOf(errors.InterfaceError);
      expect((error as Error).message).toContain("select 'first'");
    }
    const attempt: unknown = await cursor.execute('select 2').catch((reason: unknown) => reason);
    expect((attempt as Error).message).toContain('select 2');
    await first;
    expect((await cursor.fetchone())?.[0]).toBe('first');
    await cursor.execute('select 3');
    expect(await cursor.fetchall()).toEqual([[3]]);
  });

  it('returns no task the rows of another, over 1,000 tasks', async () => {
    const connection = await connect();
    const cursor = connection.cursor();
    let refused = 0;
    let wrong = 0;
    await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        try {
          await cursor.execute('select %s::int', [i]);
          if ((await cursor.fetchone())?.[0] !== i) wrong++;
        } catch (error) {
          expect(error).toBeInstanceOf(errors.ConcurrentCursorUse);
          refused++;
        }
      }),
    );
    expect(wrong).toBe(0);
    expect(refused).toBe(999);
  });
});

describe('parameters', () => {
  for (const [value, words] of [
    [undefined, ['$1', 'null']],
    [() => 1, ['$1', 'function']],
    [Symbol('s'), ['$1', 'symbol']],
    [{ a: 1 }, ['$1', 'Jsonb']],
    [new Map(), ['$1', 'Map']],
    [
      [1, { a: 1 }],
      ['$1[1]', 'Jsonb'],
    ],
  ] as const) {
    it(`refuses ${typeof value} ${words.join(' ')}, and nothing is sent`, async () => {
      const connection = await connect({ autocommit: true });
      const cursor = connection.cursor();
      const error: unknown = await cursor.execute('select %s', [value]).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(errors.ProgrammingError);
      for (const word of words) expect((error as Error).message).toContain(word);
      expect(cursor.query).toBeNull();
      expect(await (await cursor.execute('select %s', [new Jsonb({ a: 1 })])).fetchone()).toEqual([{ a: 1 }]);
    });
  }

  it('refuses NUL and lone surrogates in text and in SQL, and a query that is not a string', async () => {
    const connection = await connect({ autocommit: true });
    await expect(connection.execute('select %s', ['a\0b'])).rejects.toBeInstanceOf(errors.DataError);
    await expect(connection.execute('select %s', ['\ud800'])).rejects.toBeInstanceOf(errors.DataError);
    await expect(connection.execute('select \0')).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(connection.execute("select '\ud800'")).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(connection.execute(1 as unknown as string)).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(connection.execute(null as unknown as string)).rejects.toBeInstanceOf(
      errors.ProgrammingError,
    );
  });

  it('refuses more parameters than the protocol can count', async () => {
    const connection = await connect({ autocommit: true });
    const many = Array.from({ length: 65_536 }, () => 1);
    await expect(connection.execute(`select ${many.map(() => '%s').join()}`, many)).rejects.toThrow('65535');
  });
});

describe('executemany()', () => {
  it('names the set and the parameter at fault', async () => {
    const connection = await connect({ autocommit: true });
    const cursor = connection.cursor();
    await expect(cursor.executemany('select %s', [[1], [{}]])).rejects.toThrow('[1]$1');
    await expect(cursor.executemany('select %s', 5 as unknown as [])).rejects.toBeInstanceOf(
      errors.ProgrammingError,
    );
  });

  it('takes an asynchronous source, and closes it when the server refuses a row', async () => {
    const connection = await connect();
    const cursor = connection.cursor();
    await cursor.execute('create temp table target (id int primary key)');
    await connection.commit();
    let closed = false;
    async function* source(): AsyncGenerator<number[]> {
      try {
        for (let i = 0; i < 5000; i++) yield [i === 1500 ? 0 : i];
        await Promise.resolve();
      } finally {
        closed = true;
      }
    }
    await expect(cursor.executemany('insert into target values (%s)', source())).rejects.toBeInstanceOf(
      errors.UniqueViolation,
    );
    expect(closed).toBe(true);
    await connection.rollback();
    expect(await (await cursor.execute('select count(*) from target')).fetchone()).toEqual([0n]);
  });

  it('keeps each result with `returning`, whatever the types of the parameters', async () => {
    const connection = await connect();
    const cursor = connection.cursor();
    await cursor.executemany('select %s::text', [[1], ['b'], [70_000], [true], [null]], { returning: true });
    const values: unknown[] = [];
    for await (const result of cursor.results()) values.push((await result.fetchone())?.[0]);
    expect(values).toEqual(['1', 'b', '70000', 'true', null]);
    await cursor.setResult(-1);
    expect(await cursor.fetchall()).toEqual([[null]]);
    await expect(cursor.setResult(5)).rejects.toBeInstanceOf(errors.ProgrammingError);
  });
});

describe('results', () => {
  it('are described, and made by the current row factory', async () => {
    const connection = await connect();
    const cursor = await connection.execute(
      'select 1::int2 as a, $$x$$::varchar(7) as b, array[1.5]::numeric(6,2)[] as c',
    );
    expect(cursor.description?.map(({ name, typeDisplay }) => [name, typeDisplay])).toEqual([
      ['a', 'int2'],
      ['b', 'varchar(7)'],
      ['c', 'numeric(6,2)[]'],
    ]);
    expect(await cursor.fetchone()).toEqual([1, 'x', ['1.50']]);
    await cursor.scroll(0, 'absolute');
    (cursor as unknown as { rowFactory: typeof dictRow }).rowFactory = dictRow;
    expect(await cursor.fetchone()).toEqual({ a: 1, b: 'x', c: ['1.50'] });
    const scalars = connection.cursor({ rowFactory: scalarRow<number> });
    await scalars.execute('select generate_series(1, 3)');
    const all: number[] = [];
    for await (const value of scalars) all.push(value);
    expect(all).toEqual([1, 2, 3]);
  });

  it('of an object factory are converted for another factory without mixing up values', async () => {
    const connection = await connect();
    const objects = connection.cursor({ rowFactory: dictRow });
    await objects.execute('select 2 as b, 1 as a, null as "7", generate_series(1, 3) as n');
    expect(await objects.fetchone()).toEqual({ b: 2, a: 1, 7: null, n: 1 });
    (objects as unknown as { rowFactory: typeof tupleRow }).rowFactory = tupleRow;
    expect(await objects.fetchone()).toEqual([2, 1, null, 2]);
    (objects as unknown as { rowFactory: typeof dictRow }).rowFactory = dictRow;
    expect(await objects.fetchall()).toEqual([{ b: 2, a: 1, 7: null, n: 3 }]);

    await objects.execute('select 1 as a, 2 as a, 3 as "__proto__"');
    const row = (await objects.fetchone())!;
    expect(Object.entries(row)).toEqual([
      ['a', 2],
      ['__proto__', 3],
    ]);
    (objects as unknown as { rowFactory: typeof tupleRow }).rowFactory = tupleRow;
    await objects.scroll(0, 'absolute');
    expect(await objects.fetchone()).toEqual([1, 2, 3]);
  });

  it('refuses sizes and positions that are invalid', async () => {
    const connection = await connect();
    const cursor = await connection.execute('select generate_series(1, 3)');
    await expect(cursor.fetchmany(-1)).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(cursor.scroll(3)).rejects.toThrow('out of bounds');
    await expect(cursor.scroll(1, 'sideways' as 'relative')).rejects.toBeInstanceOf(errors.ProgrammingError);
  });
});
