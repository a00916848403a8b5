import { beforeEach, describe, expect, test } from 'vitest';
import {
  Composite,
  CompositeInfo,
  EnumInfo,
  errors,
  Multirange,
  MultirangeInfo,
  Range,
  RangeInfo,
  registerComposite,
  registerEnum,
  registerHstore,
  registerMultirange,
  registerRange,
  TypeInfo,
  type AsyncConnection,
} from '../../src/index.js';
import { admin, connect } from '../support/database.js';

let conn: AsyncConnection;

beforeEach(async () => {
  await admin('CREATE EXTENSION IF NOT EXISTS hstore');
  conn = await connect();
  await conn.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy')");
  await conn.execute(
    'CREATE TYPE pg_temp.moods AS RANGE (subtype = pg_temp.mood, multirange_type_name = pg_temp.manymoods)',
  );
  await conn.execute('CREATE DOMAIN pg_temp.price AS numeric CHECK (VALUE >= 0)');
  await conn.execute(
    'CREATE TYPE pg_temp.item AS (id int, note text, price pg_temp.price, mood pg_temp.mood)',
  );
  await conn.execute('CREATE DOMAIN pg_temp.known AS pg_temp.item CHECK ((VALUE).id IS NOT NULL)');
  await conn.execute(
    'CREATE TYPE pg_temp.box AS (item pg_temp.item, items pg_temp.item[], moods pg_temp.moods, tags hstore, data jsonb)',
  );
  registerEnum(await EnumInfo.fetch(conn, 'mood'), conn);
  registerRange(await RangeInfo.fetch(conn, 'moods'), conn);
  registerMultirange(await MultirangeInfo.fetch(conn, 'manymoods'), conn);
  (await TypeInfo.fetch(conn, 'price'))!.register(conn);
  registerHstore(await TypeInfo.fetch(conn, 'hstore'), conn);
  registerComposite(await CompositeInfo.fetch(conn, 'item'), conn);
  (await TypeInfo.fetch(conn, 'known'))!.register(conn);
  registerComposite(await CompositeInfo.fetch(conn, 'box'), conn);
});

const ITEM = { id: 1, note: 'a "note", (of) \\ é', price: '9.50', mood: 'happy' };
const EMPTY_ITEM = { id: 2, note: null, price: null, mood: null };
const BOX = {
  item: ITEM,
  items: [ITEM, null, EMPTY_ITEM],
  moods: new Range('sad', 'ok', '[]'),
  tags: { a: '1', 'b "c"': null },
  data: { list: [1, null] },
};

const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  mood: ['sad', 'happy', null],
  'mood[]': [['sad', null, 'ok'], []],
  moods: [new Range('sad', 'happy'), Range.empty(), new Range(null, 'ok', '(]')],
  manymoods: [new Multirange([new Range('sad', 'ok'), new Range('happy', null)]), new Multirange()],
  price: ['1.50', null],
  'price[]': [['1.50', null]],
  item: [ITEM, EMPTY_ITEM, null],
  'item[]': [
    [ITEM, null],
    [[ITEM], [EMPTY_ITEM]],
  ],
  known: [ITEM],
  box: [BOX, { item: null, items: [], moods: null, tags: {}, data: 5 }],
  hstore: [{ a: '1', b: null, '': '"\\' }, {}, null],
  'hstore[]': [[{ a: '1' }, null, {}]],
};

describe.each(['text', 'binary'])('COPY in the %s format', (format) => {
  test.each(Object.keys(VALUES))(
    'of %s stores values unchanged, and reads them as a SELECT does',
    async (type) => {
      const values = VALUES[type]!;
      await conn.execute(`CREATE TEMP TABLE copied (n int, v ${type})`);
      const cur = conn.cursor();
      await cur.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['int4', type]);
        for (const [n, value] of values.entries()) await copy.writeRow([n, value]);
      });
      expect(await (await conn.execute('SELECT v FROM copied ORDER BY n')).fetchall()).toEqual(
        values.map((v) => [v]),
      );
      const read: unknown[] = [];
      await cur.withCopy(
        `COPY (SELECT v FROM copied ORDER BY n) TO STDOUT (FORMAT ${format})`,
        async (copy) => {
          copy.setTypes([type]);
          for await (const [value] of copy.rows()) read.push(value);
        },
      );
      expect(read).toEqual(values);
      // As texts, in the server's form.
      const texts = (await (await conn.execute('SELECT v::text FROM copied ORDER BY n')).fetchall()) as [
        string | null,
      ][];
      await conn.execute('TRUNCATE copied');
      await cur.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['int4', type]);
        for (const [n, [text]] of texts.entries()) await copy.writeRow([n, text]);
      });
      expect(await (await conn.execute('SELECT v::text FROM copied ORDER BY n')).fetchall()).toEqual(texts);
    },
  );

  test('writes a class and a wrapper of a composite, and strings of a field as its text', async () => {
    class Pair {
      readonly a: number;
      readonly b: unknown;
      constructor(a: number, b: unknown) {
        this.a = a;
        this.b = b;
      }
    }
    await conn.execute('CREATE TYPE pg_temp.pair AS (a int, b jsonb)');
    const info = (await CompositeInfo.fetch(conn, 'pair'))!;
    registerComposite(info, conn, { factory: Pair });
    await conn.execute('CREATE TEMP TABLE copied (v pair)');
    await conn.cursor().withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
      copy.setTypes(['pair']);
      await copy.writeRow([new Pair(1, { x: 1 })]);
      await copy.writeRow([new Composite(info, [2, '[true]'])]);
      await copy.writeRow([{ a: 3, b: '"text"' }]);
      await copy.writeRow([{ a: 4, b: [1, 2] }]);
    });
    expect(await (await conn.execute('SELECT v FROM copied')).fetchall()).toEqual([
      [new Pair(1, { x: 1 })],
      [new Pair(2, [true])],
      [new Pair(3, 'text')],
      [new Pair(4, [1, 2])],
    ]);
  });

  test('refuses a value that a field cannot hold, and names the field; refuses an altered composite', async () => {
    const cur = conn.cursor();
    await conn.execute('CREATE TEMP TABLE copied (v item)');
    await conn.execute("INSERT INTO copied VALUES (ROW(1, 'x', 2, 'ok'))");
    const wrong = cur.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
      copy.setTypes(['item']);
      await copy.writeRow([{ ...ITEM, note: 'a\0' }]);
    });
    await expect(wrong).rejects.toThrow(/row 1, column 1\.note: PostgreSQL text can't contain a NUL/);
    await conn.rollback();
  });

  test.each([
    ['ALTER ATTRIBUTE a TYPE text', "'(hello,1)'", /fetch and register it again/],
    ['ADD ATTRIBUTE c int', "'(1,1,1)'", /has 3 fields, but 2 were registered; if the type has been changed/],
    ['DROP ATTRIBUTE b', "'(1)'", /fetch and register it again/],
  ])(
    'refuses a composite that was altered after it was registered: %s',
    async (alteration, value, message) => {
      await conn.execute('CREATE TYPE pg_temp.changing AS (a int, b int)');
      registerComposite(await CompositeInfo.fetch(conn, 'changing'), conn);
      await conn.execute(`ALTER TYPE pg_temp.changing ${alteration}`);
      for (const [query, type] of [
        [`SELECT ${value}::changing`, 'changing'],
        [`SELECT ARRAY[${value}::changing]`, 'changing[]'],
      ] as const) {
        const reading = conn
          .cursor()
          .withCopy(`COPY (${query}) TO STDOUT (FORMAT ${format})`, async (copy) => {
            copy.setTypes([type]);
            await copy.readRow();
          });
        await expect(reading).rejects.toThrow(errors.DataError);
        await expect(reading).rejects.toThrow(message);
        for (const prepare of [false, true, true]) {
          await conn.execute('SAVEPOINT s');
          await expect(conn.execute(query, [], { prepare })).rejects.toThrow(message);
          await conn.execute('ROLLBACK TO s');
        }
      }
    },
  );
});

describe('a loader of text gets the text of the server from the binary format, too', () => {
  const TEXTS: Readonly<Record<string, readonly string[]>> = {
    float4: ['0.1', '-0', '16777216', '999999', '1e6', '1e-4', '1e-5', '1e-45', '3.4028235e38', 'NaN', '-Infinity'],
    float8: ['0.1', '-0', '1e14', '123456789012345', '1e15', '123456789012345678', '1e20', '1e22', '0.0001', '0.00001', '5e-324', '-1.7976931348623157e308'],
    int8: ['-9223372036854775808'],
    numeric: ['1.50', 'NaN'],
    bool: ['t', 'f'],
    bytea: [String.raw`\x00ff`],
    timestamptz: ['2024-01-02 03:04:05.6+00', '0044-03-15 00:00:00+00 BC', 'infinity'],
    interval: ['1 year -2 mons 3 days -04:05:06.7', '-1 days +02:03:00'],
    uuid: ['550e8400-e29b-41d4-a716-446655440000'],
    int4range: ['[1,5)', 'empty', '(,)'],
    hstore: ['"a"=>"1", "b\\"c"=>NULL', ''],
    jsonb: ['{"a": [1, null]}'],
  }; // prettier-ignore

  test.each(Object.entries(TEXTS))('%s', async (type, texts) => {
    await conn.execute("SET TimeZone = 'UTC'");
    const { adapters } = conn;
    adapters.registerLoader(type, (text) => text);
    for (const text of texts) {
      const value = `'${text}'::${type}`;
      const right = (await (await conn.execute(`SELECT (${value})::text`)).fetchone())![0];
      const select = `SELECT ${value}, ARRAY[${value}]`;
      const expected = type === 'bool' ? text : right;
      for (const format of ['text', 'binary']) {
        const row = await conn
          .cursor()
          .withCopy(`COPY (${select}) TO STDOUT (FORMAT ${format})`, async (copy) => {
            copy.setTypes([type, `${type}[]`]);
            return copy.readRow();
          });
        expect(row, `${value}, ${format}`).toEqual([expected, [expected]]);
      }
    }
  });
});
