import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  AsyncClientCursor,
  AsyncCursor,
  AsyncRawCursor,
  errors,
  Jsonb,
  sql,
  type AsyncConnection,
} from '../../src/index.js';
import { connect } from '../support/database.js';
import { expectLinear } from '../support/growth.js';

/** Composes whatever a program without types may pass. */
const values = (rows: unknown, columns?: unknown): sql.Composable =>
  sql.values(rows as unknown[][], columns as string[]);
const set = (assignments: unknown): sql.Composable => sql.set(assignments as { a: number });

const CURSORS: Readonly<Record<string, new (connection: AsyncConnection) => AsyncCursor>> = {
  AsyncCursor,
  AsyncClientCursor,
  AsyncRawCursor,
};

/** Names that could end their quotes, begin a comment, or be a property that each object inherits. */
const HOSTILE_NAMES = [
  '"',
  '""',
  'a") VALUES (1); DROP TABLE city; --',
  "it's",
  "'; --",
  '%',
  '%s %(a)s',
  '$1',
  '/*',
  '--',
  '\\',
  '$$',
  'a\nb',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '縗',
];

function message(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

describe('sql.values()', () => {
  it.each<[string, sql.Composable, string]>([
    [
      'objects: the columns, then the rows',
      sql.values([
        { id: 1, name: 'Rome' },
        { name: "O'slo", id: 2 },
      ]),
      `("id", "name") VALUES (1, 'Rome'), (2, 'O''slo')`,
    ],
    [
      'objects, and the columns to take of them',
      sql.values([{ id: 1, name: 'Rome', extra: 5 }], ['name', 'id']),
      `("name", "id") VALUES ('Rome', 1)`,
    ],
    [
      'arrays: the rows',
      sql.values([
        [1, 'Rome'],
        [2, null],
      ]),
      `(1, 'Rome'), (2, NULL)`,
    ],
    [
      'arrays, and their columns',
      sql.values([[1, 'Rome']], ['id', 'name']),
      `("id", "name") VALUES (1, 'Rome')`,
    ],
    [
      'composed queries among the values, which are spliced',
      sql.values([{ id: sql.DEFAULT, at: sql`now() - ${5} * interval '1 s'`, by: sql.identifier('me') }]),
      `("id", "at", "by") VALUES (DEFAULT, now() - 5 * interval '1 s', "me")`,
    ],
    ['an array as a value', sql.values([[[1, 2], null]]), `('{1,2}'::int2[], NULL)`],
    ['any iterable of rows', sql.values(new Set([[1], [2]])), '(1), (2)'],
  ])('composes %s', (_, composed, text) => {
    expect(composed.asString()).toBe(text);
  });

  it.each<[string, () => unknown, string]>([
    ['no rows', () => values([]), 'got no rows'],
    ['one row', () => values({ a: 1 }), 'iterable of rows, got an object; one row is [row]'],
    ['a string', () => values('ab'), 'iterable of rows, got a string'],
    ['nothing', () => values(undefined), 'iterable of rows, got undefined'],
    [
      'the values of one row',
      () => values([1, 2]),
      'expected row 1 to be an array or an object, got 1; one row is [row]',
    ],
    ['dates', () => values([new Date()]), 'expected row 1 to be an array or an object, got Date'],
    ['Buffers', () => values([Buffer.of(1)]), 'expected row 1 to be an array or an object, got Buffer'],
    ['composed queries', () => values([sql`(1)`]), 'row 1 to be an array or an object, got a composed query'],
    ['Maps', () => values([new Map([['a', 1]])]), 'row 1 to be an array or an object, got Map'],
    ['null', () => values([null]), 'row 1 to be an array or an object, got null'],
    ['an empty object', () => values([{}]), 'row 1 is an object without properties'],
    ['an empty array', () => values([[]]), 'row 1 is an empty array'],
    [
      'an object behind an array',
      () => values([[1], { a: 1 }]),
      'expected row 2 to be an array, as row 1 is',
    ],
    [
      'an array behind an object',
      () => values([{ a: 1 }, [1]]),
      'expected row 2 to be an object, as row 1 is',
    ],
    ['null behind an object', () => values([{ a: 1 }, null]), 'row 2 to be an object, as row 1 is, got null'],
    ['a row that is too short', () => values([[1, 2], [1]]), 'row 2 has 1 values, but row 1 has 2'],
    ['a row that is too long', () => values([[1], [1, 2]]), 'row 2 has 2 values, but row 1 has 1'],
    [
      'more values than columns',
      () => values([[1, 2]], ['a']),
      'row 1 has 2 values, but there are columns: 1',
    ],
    ['a missing key', () => values([{ a: 1, b: 2 }, { a: 1 }]), 'the column "b" of row 2 is missing'],
    ['a missing column', () => values([{ a: 1 }], ['a', 'c']), 'the column "c" of row 1 is missing'],
    [
      'an inherited key',
      () => values([{ a: 1 }], ['constructor']),
      'the column "constructor" of row 1 is missing',
    ],
    [
      'undefined in an object',
      () => values([{ a: 1 }, { a: undefined }]),
      'the column "a" of row 2 is undefined',
    ],
    ['undefined in an array', () => values([[1, undefined]]), 'column 2 of row 1 is undefined'],
    [
      'undefined in a named column',
      () => values([[undefined]], ['a']),
      'the column "a" of row 1 is undefined',
    ],
    // eslint-disable-next-line no-sparse-arrays -- a hole is what is refused
    ['a hole', () => values([[1, , 3]]), 'column 2 of row 1 is undefined'],
    [
      'one more key',
      () => values([{ a: 1 }, { a: 1, b: 2 }]),
      'row 2 has the column "b", which row 1 has not',
    ],
    ['other keys', () => values([{ a: 1 }, { b: 2 }]), 'the column "a" of row 2 is missing'],
    ['no columns', () => values([[1]], []), 'an empty array of columns'],
    ['columns in a string', () => values([[1]], 'a'), 'columns of sql.values() to be an array of strings'],
    ['columns of numbers', () => values([[1]], [1]), 'columns of sql.values() to be an array of strings'],
    ['a column twice', () => values([[1, 2]], ['a', 'a']), 'got the column "a" twice'],
    ['an empty column', () => values([{ '': 1 }]), "an identifier can't be empty"],
    ['a column with a NUL', () => values([{ 'a\0': 1 }]), 'NUL character'],
  ])('refuses %s, and says where', (_, act, text) => {
    expect(message(act)).toContain(text);
  });

  it('refuses what is missing with advice', () => {
    expect(message(() => values([{ a: undefined }]))).toContain(
      "use null for NULL, sql.DEFAULT for the column's default",
    );
  });

  it('takes rows of other realms and of classes', () => {
    class City {
      readonly id = 1;
      readonly name = 'Rome';
      describe(): string {
        return this.name;
      }
    }
    expect(sql.values([new City()], ['id', 'name']).asString()).toBe(`("id", "name") VALUES (1, 'Rome')`);
    expect(values([new City()]).asString()).toBe(`("id", "name") VALUES (1, 'Rome')`);
    for (const [code, text] of [
      ['[{ a: 1, b: null }, { a: 2, b: "x" }]', `("a", "b") VALUES (1, NULL), (2, 'x')`],
      ['[[1, "x"], [2, null]]', `(1, 'x'), (2, NULL)`],
      ['[Object.assign(Object.create(null), { a: 1 })]', '("a") VALUES (1)'],
    ] as const) {
      expect(values(runInNewContext(code)).asString(), code).toBe(text);
    }
    expect(message(() => values(runInNewContext('[new Date()]')))).toContain(
      'row 1 to be an array or an object',
    );
    expect(message(() => values(runInNewContext('[{ a: undefined }]')))).toContain(
      '"a" of row 1 is undefined',
    );
  });

  it('does not look at the rows again after it was called', () => {
    const rows: [number][] = [[1]];
    const composed = sql.values(rows);
    rows.push([2]);
    expect(composed.asString()).toBe('(1)');
  });
});

describe('sql.set()', () => {
  it.each<[string, sql.Composable, string]>([
    ['one column', sql.set({ name: 'Rome' }), `"name" = 'Rome'`],
    ['several', sql.set({ name: null, 'a "b"': 2 }), `"name" = NULL, "a ""b""" = 2`],
    ['composed queries', sql.set({ n: sql`n + ${1}`, at: sql.DEFAULT }), `"n" = n + 1, "at" = DEFAULT`],
  ])('composes %s', (_, composed, text) => {
    expect(composed.asString()).toBe(text);
  });

  it.each<[string, () => unknown, string]>([
    ['an empty object', () => set({}), 'there is no column to set'],
    ['an array', () => set([1]), 'object of columns and their values, got an array'],
    ['null', () => set(null), 'object of columns and their values, got null'],
    ['a string', () => set('a = 1'), 'object of columns and their values, got a string'],
    ['a composed query', () => set(sql`a = 1`), 'object of columns and their values, got a composed query'],
    ['a Map', () => set(new Map([['a', 1]])), 'object of columns and their values, got Map'],
    ['undefined', () => set({ a: 1, b: undefined }), 'the column "b" is set to undefined: use null for NULL'],
    ['an empty column', () => set({ '': 1 }), "an identifier can't be empty"],
  ])('refuses %s', (_, act, text) => {
    expect(message(act)).toContain(text);
  });

  it('takes objects of other realms and of classes', () => {
    expect(set(runInNewContext('({ a: 1 })')).asString()).toBe('"a" = 1');
    expect(
      set(
        new (class {
          a = 1;
        })(),
      ).asString(),
    ).toBe('"a" = 1');
  });
});

describe.each(Object.keys(CURSORS))('rows composed for an %s', (kind) => {
  async function cursorOf(): Promise<AsyncCursor> {
    const connection: AsyncConnection = await connect({ autocommit: true });
    await connection.execute(
      'CREATE TEMP TABLE city (id int DEFAULT 7, name text UNIQUE, data jsonb, tags text[])',
    );
    return new CURSORS[kind]!(connection);
  }

  it('are inserted from objects and from arrays, and updated', async () => {
    const cur = await cursorOf();
    await cur.execute(
      sql`INSERT INTO city ${sql.values([
        { id: 1, name: "O'Rome", data: new Jsonb({ a: [1] }), tags: ['x', 'y'] },
        { id: sql.DEFAULT, name: 'Oslo %s $1', data: null, tags: [] },
      ])}`,
    );
    expect(cur.rowcount).toBe(2);
    await cur.execute(
      sql`INSERT INTO city (id, name) VALUES ${sql.values([
        [3, 'Bern'],
        [4, null],
      ])}
          ON CONFLICT (name) DO UPDATE SET ${sql.set({ id: sql`excluded.id + ${10}` })} RETURNING id`,
    );
    expect(await cur.fetchall()).toEqual([[3], [4]]);
    await cur.execute(
      sql`UPDATE city SET name = v.name FROM (VALUES ${sql.values([
        [1, 'Roma'],
        [3, 'Berne'],
      ])}) AS v (id, name) WHERE city.id = v.id`,
    );
    expect(cur.rowcount).toBe(2);
    await cur.execute(sql`UPDATE city SET ${sql.set({ name: 'Nowhere', tags: ['z'] })} WHERE id = ${4}`);
    await cur.execute('SELECT id, name, data, tags FROM city ORDER BY id');
    expect(await cur.fetchall()).toEqual([
      [1, 'Roma', { a: [1] }, ['x', 'y']],
      [3, 'Berne', null, null],
      [4, 'Nowhere', null, ['z']],
      [7, 'Oslo %s $1', null, []],
    ]);
  });

  it('stay data, whatever the names of their columns are', async () => {
    const cur = await cursorOf();
    const row = Object.fromEntries(HOSTILE_NAMES.map((name, i) => [name, i]));
    const names = Object.keys(row);
    expect(names).toHaveLength(HOSTILE_NAMES.length);
    const columns = names.map((name) => sql`${sql.identifier(name)} int`);
    await cur.execute(sql`CREATE TEMP TABLE hostile (${sql.SQL(', ').join(columns)})`);
    await cur.execute(sql`INSERT INTO hostile ${values([row, row])}`);
    await cur.execute(sql.SQL('INSERT INTO hostile {}').format(values([row])));
    const more = Object.fromEntries(HOSTILE_NAMES.map((name, i) => [name, i + 1]));
    await cur.execute(sql`UPDATE hostile SET ${set(more)}`);
    await cur.execute('SELECT * FROM hostile');
    const expected = names.map((name) => more[name]);
    expect(cur.description?.map(({ name }) => name)).toEqual(names);
    expect(await cur.fetchall()).toEqual([expected, expected, expected]);
  });

  it('are refused within quotes, which a name could end', async () => {
    const cur = await cursorOf();
    for (const composed of [values([{ "a' OR 1=1; --": 1 }]), set({ "a' OR 1=1; --": 1 })]) {
      await expect(cur.execute(sql`SELECT 'x ${composed} y'`)).rejects.toThrow(
        /stands within a .* of the query, and would end it/,
      );
    }
    if (kind === 'AsyncClientCursor') return;
    await expect(cur.execute(sql`SELECT 'x ${values([[1]])} y'`)).rejects.toThrow(
      /would not be read as a value/,
    );
  });

  it(
    kind === 'AsyncClientCursor'
      ? 'may have more than 65,535 values, which are in the text'
      : 'are refused with advice if they have more than 65,535 values',
    async () => {
      const cur = await cursorOf();
      const query = sql`SELECT count(*)::int FROM (VALUES ${sql.values(Array.from({ length: 65_536 }, (_, i) => [i]))}) v`;
      if (kind === 'AsyncClientCursor') {
        expect(await (await cur.execute(query)).fetchone()).toEqual([65_536]);
        return;
      }
      await expect(cur.execute(query)).rejects.toThrow(
        'has 65536 parameters; PostgreSQL accepts at most 65535: send many rows by COPY, by executemany(), or in several statements',
      );
      const most = sql`SELECT count(*)::int FROM (VALUES ${sql.values(Array.from({ length: 65_535 }, (_, i) => [i]))}) v`;
      expect(await (await cur.execute(most)).fetchone()).toEqual([65_535]);
    },
  );
});

describe('large rows', () => {
  it('are composed in linear time', () => {
    expectLinear((size) => {
      const composed = sql.values(
        Array.from({ length: size }, (_, i) => ({ id: i, name: `city ${String(i)}`, n: 1.5 })),
      );
      sql`INSERT INTO city ${composed}`.asString();
    }, 2500);
    expectLinear((size) => {
      set(Object.fromEntries(Array.from({ length: size }, (_, i) => [`c${String(i)}`, i]))).asString();
    }, 7500);
  });

  it('of 60,000 values are sent', async () => {
    const connection = await connect();
    await connection.execute('CREATE TEMP TABLE city (id int, name text, n float8)');
    const rows = Array.from({ length: 20_000 }, (_, i) => ({ id: i, name: `city ${String(i)}`, n: i / 2 }));
    const { rowcount } = await connection.execute(sql`INSERT INTO city ${sql.values(rows)}`);
    expect(rowcount).toBe(20_000);
    const sums = await connection.execute(
      'SELECT sum(id)::int, sum(n)::float8, count(DISTINCT name)::int FROM city',
    );
    expect(await sums.fetchone()).toEqual([199_990_000, 99_995_000, 20_000]);
  });

  it('with a name of a megabyte are composed and refused in linear time, in short messages', () => {
    expectLinear((size) => {
      const name = '"'.repeat(size);
      expect(values([{ [name]: 1 }]).asString()).toHaveLength(2 * size + '("") VALUES (1)'.length);
      expect(set({ [name]: 1 }).asString()).toHaveLength(2 * size + '"" = 1'.length);
      for (const act of [
        () => values([{ [name]: 1 }, {}]),
        () => values([{ [name]: undefined }]),
        () => values([{ a: 1 }, { a: 1, [name]: 2 }]),
        () => values([[1, 2]], [name, name]),
        () => set({ [name]: undefined }),
      ]) {
        expect(message(act).length).toBeLessThan(300);
      }
    }, 125_000);
  });
});
