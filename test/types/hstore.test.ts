import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  AsyncConnection,
  Composite,
  CompositeInfo,
  errors,
  Jsonb,
  registerComposite,
  registerHstore,
  TypeInfo,
  type AsyncCursor,
} from '../../src/index.js';
import { hstore } from '../../src/types/hstore.js';
import { dsn } from '../support/database.js';

let conn: AsyncConnection;
let info: TypeInfo;
let cur: AsyncCursor;

beforeAll(async () => {
  conn = await AsyncConnection.connect(dsn(), { autocommit: true });
  await conn.execute('CREATE EXTENSION IF NOT EXISTS hstore');
  info = (await TypeInfo.fetch(conn, 'hstore'))!;
  return () => conn.close();
});

beforeEach(() => {
  cur = conn.cursor();
  registerHstore(info, cur);
});

async function one(query: string, ...params: unknown[]): Promise<unknown> {
  await cur.execute(query, params);
  return ((await cur.fetchone()) as unknown[])[0];
}

describe('hstore', () => {
  it('loads as a plain object of strings and nulls', async () => {
    const value = await one(`SELECT 'a=>1, b=>NULL, "c d"=>"e\\"f\\\\", ""=>"", n=>"NULL"'::hstore`);
    expect(value).toStrictEqual({ a: '1', b: null, 'c d': 'e"f\\', '': '', n: 'NULL' });
    expect(await one("SELECT ''::hstore")).toStrictEqual({});
    expect(await one("SELECT ARRAY['a=>1'::hstore, NULL, '']")).toEqual([{ a: '1' }, null, {}]);
  });

  it('loads any key, without setting the prototype', async () => {
    const value = await one(`SELECT '"__proto__"=>"x", "constructor"=>"y"'::hstore`);
    expect(Object.entries(value as object)).toEqual(
      expect.arrayContaining([
        ['__proto__', 'x'],
        ['constructor', 'y'],
      ]),
    );
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(await one('SELECT %s', value)).toEqual(value);
  });

  it('is the type of plain objects when they are sent, also in arrays', async () => {
    expect(await one('SELECT pg_typeof(%s)::text', {})).toBe('hstore');
    expect(await one('SELECT %s', Object.assign(Object.create(null) as object, { a: null }))).toEqual({
      a: null,
    });
    expect(await one('SELECT %s', [{ a: 'x' }, null, {}])).toEqual([{ a: 'x' }, null, {}]);
    expect(await one('SELECT pg_typeof(%s)::text', [{}])).toBe('hstore[]');
    expect(await one("SELECT 'a=>1'::hstore || %s", { b: '2' })).toEqual({ a: '1', b: '2' });
    expect(await one('SELECT %s', new Jsonb({ a: 1 }))).toEqual({ a: 1 });
  });

  it.each<[unknown, RegExp]>([
    [
      { a: 1 },
      /^\$1\.a: the values of an hstore are strings or null, got 1; for JSON wrap the object as new Jsonb\(value\)$/,
    ],
    [{ a: undefined }, /^\$1\.a: .*got undefined/],
    [[{}, { 'b c': ['x'] }], /^\$1\[1\]\.b c: .*got an array/],
    [{ a: 'x\0' }, /^\$1\.a: .*NUL/],
    [{ '\ud800': 'x' }, /^\$1\..*: .*lone surrogate/],
    [[{}, 5], /^\$1\[1\]: an array can't mix hstore and int2/],
  ])('refuses %j', async (value, message) => {
    const error: unknown = await one('SELECT %s', value).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(message);
  });

  it('is not the type of a class’s objects', async () => {
    await expect(one('SELECT %s', new Map())).rejects.toThrow(/an object of class Map can't be sent/);
    await expect(conn.execute('SELECT %s', [{}])).rejects.toThrow(/a plain object can't be sent/);
  });

  it.each(['a=>1', '"a"=>', '"a"=>"b" "c"=>"d"', '"a"=>"b', 'x', '"a"=>"b",,'])(
    'is refused if malformed: %s',
    (text) => {
      const bytes = Buffer.from(text);
      expect(() => hstore.readText(bytes, 0, bytes.length)).toThrow(/hstore is malformed/);
    },
  );

  it('may be very long', async () => {
    const value = { ['k"'.repeat(100_000)]: '\\"'.repeat(1_000_000), x: 'y'.repeat(5_000_000) };
    expect(await one('SELECT %s', value)).toEqual(value);
  });

  it('is a field of a composite like any other', async () => {
    await conn.execute('CREATE TYPE pg_temp.item AS (tags hstore, more hstore[])');
    const item = await CompositeInfo.fetch(conn, 'pg_temp.item');
    registerComposite(item, cur);
    const value = { tags: { a: 'x "y"', b: null }, more: [{}, null, { '\\': ',' }] };
    expect(await one('SELECT %s', new Composite(item, value))).toEqual(value);
  });

  it('round-trips with any texts', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }).filter((value) => !value.includes('\0')),
      fc.constantFrom(
        '',
        'NULL',
        'null',
        '=>',
        '"',
        '\\',
        '\\"',
        ',',
        ' ',
        '\n',
        'é☃😀',
        '{}',
        "'",
        '__proto__',
      ),
    );
    const hstore = fc.dictionary(text, fc.option(text), { maxKeys: 5, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(
        fc.array(hstore, { minLength: 2000, maxLength: 2000, size: 'max' }),
        async (values) => {
          expect(await one('SELECT %s', values)).toEqual(values);
          const nulls = values.map((value) => Object.values(value).filter((item) => item === null).length);
          const sizes = values.map((value) => Object.keys(value).length);
          const wrong = await one(
            `SELECT count(*)::int FROM unnest(%s::hstore[], %s::int[], %s::int[]) AS u (h, size, nulls)
            WHERE coalesce(array_length(akeys(h), 1), 0) <> size
              OR (SELECT count(*) FROM each(h) WHERE value IS NULL) <> nulls`,
            values,
            sizes,
            nulls,
          );
          expect(wrong).toBe(0);
          const array = [values.slice(0, 10), values.slice(10, 20)];
          expect(await one('SELECT %s', array)).toEqual(array);
        },
      ),
      { numRuns: 3 },
    );
  });
});
