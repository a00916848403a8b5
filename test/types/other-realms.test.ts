import vm from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import type * as Package from '../../src/index.js';
import {
  adapters,
  AsyncClientCursor,
  AsyncCursor,
  Composite,
  CompositeInfo,
  errors,
  inferredParams,
  Json,
  Jsonb,
  Range,
  registerComposite,
  registerHstore,
  sql,
  TypeInfo,
  type AsyncConnection,
  type Params,
} from '../../src/index.js';
import { connect } from '../support/database.js';

/** A context for values of another realm, such as node:vm, a test runner's sandbox or a plugin host. */
const context = vm.createContext({});
function other<T = never>(code: string): T {
  return vm.runInContext(`(${code})`, context) as T;
}

/** The same values, made in both realms. */
const VALUES: readonly [name: string, code: string, type: string][] = [
  ['a Date', 'new Date(5)', 'timestamptz'],
  ['an invalid Date', 'new Date(NaN)', 'timestamptz'],
  ['a Date of a class of its own', 'new (class MyDate extends Date {})(5)', 'timestamptz'],
  ['a Uint8Array', 'new Uint8Array([1, 255])', 'bytea'],
  ['a part of a Uint8Array', 'new Uint8Array([1, 2, 3]).subarray(1, 2)', 'bytea'],
  ['an array', '[1, 2, null]', 'int4[]'],
  ['an array of arrays', '[[1, 2], [3, 4]]', 'int4[]'],
  ['an array of Dates', '[new Date(5), null]', 'timestamptz[]'],
  ['an array of bytes', '[new Uint8Array([1]), new Uint8Array()]', 'bytea[]'],
  ['an empty array', '[]', 'int4[]'],
  ['a plain object', '({ a: 1 })', 'jsonb'],
  ['an object without a prototype', 'Object.assign(Object.create(null), { a: 1 })', 'jsonb'],
  ['an object of a class', 'new (class Thing {})()', 'jsonb'],
  ['a Map', 'new Map([[1, 2]])', 'jsonb'],
  ['a Set', 'new Set([1])', 'jsonb'],
  ['a promise', 'Promise.resolve(1)', 'int4'],
  ['a regular expression', '/x/', 'text'],
  ['an ArrayBuffer', 'new ArrayBuffer(2)', 'bytea'],
  ['a DataView', 'new DataView(new ArrayBuffer(2))', 'bytea'],
  ['another view', 'new Uint16Array([1])', 'bytea'],
  ['an Error', "new TypeError('x')", 'text'],
  ['a boxed number', 'new Number(1)', 'int4'],
];

async function outcome(act: () => Promise<unknown>): Promise<unknown> {
  try {
    return await act();
  } catch (error) {
    expect(error).toBeInstanceOf(errors.Error);
    return (error as Error).message;
  }
}

/** Every way for a value to the server and back. */
const DOORS: Readonly<
  Record<string, (conn: AsyncConnection, value: unknown, type: string) => Promise<unknown>>
> = {
  'execute()': async (conn, value, type) => (await conn.execute(`SELECT %s::${type}`, [value])).fetchone(),
  'execute(), prepared': async (conn, value, type) =>
    (await conn.execute(`SELECT %s::${type}`, [value], { prepare: true })).fetchone(),
  'named parameters': async (conn, value, type) =>
    (await conn.execute(`SELECT %(a)s::${type}`, { a: value })).fetchone(),
  'a template': async (conn, value, type) =>
    (await conn.execute(sql`SELECT ${value}::${sql.SQL(type)}`)).fetchone(),
  'executemany()': async (conn, value, type) => {
    const cur = conn.cursor();
    await cur.executemany(`SELECT %s::${type}`, [[value], [value]], { returning: true });
    return cur.fetchone();
  },
  'a client cursor': async (conn, value, type) => {
    const cur = new AsyncClientCursor(conn);
    await cur.execute(`SELECT %s::${type}`, [value]);
    return cur.fetchone();
  },
  'sql.Literal()': async (conn, value, type) => {
    const cur = new AsyncCursor(conn);
    await cur.execute(sql`SELECT ${sql.Literal(value)}::${sql.SQL(type)}`);
    return cur.fetchone();
  },
  'stream()': async (conn, value, type) => {
    for await (const row of conn.cursor().stream(`SELECT %s::${type}`, [value])) return row;
    return null;
  },
  'COPY as text': (conn, value, type) => copied(conn, value, type, 'text', false),
  'COPY as text, with types': (conn, value, type) => copied(conn, value, type, 'text', true),
  'COPY in binary': (conn, value, type) => copied(conn, value, type, 'binary', true),
};

async function copied(
  conn: AsyncConnection,
  value: unknown,
  type: string,
  format: string,
  typed: boolean,
): Promise<unknown> {
  await conn.execute(`CREATE TEMP TABLE copied (value ${type})`);
  await conn.cursor().withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
    if (typed) copy.setTypes([type]);
    await copy.writeRow([value]);
  });
  return (await conn.execute('SELECT value FROM copied')).fetchone();
}

describe.each(Object.entries(DOORS))(
  'by %s, a value of another realm is treated like this realm’s:',
  (_, send) => {
    it.each(VALUES)('%s', async (_name, code, type) => {
      const conn = await connect();
      const own = await outcome(() => send(conn, vm.runInThisContext(`(${code})`), type));
      await conn.rollback();
      expect(await outcome(() => send(conn, other(code), type))).toEqual(own);
    });
  },
);

describe('an object of another realm', () => {
  it('is accepted as parameters, as an array is', async () => {
    const conn = await connect();
    const cur = await conn.execute('SELECT %(a)s, %(b)s', other<Params>("{ a: 1, b: 'x' }"));
    expect(await cur.fetchone()).toEqual([1, 'x']);
    await cur.execute('SELECT %s', other<Params>('[7]'));
    expect(await cur.fetchone()).toEqual([7]);
    for (const code of ['new Map()', 'new Uint8Array(1)', 'Promise.resolve([])']) {
      await expect(conn.execute('SELECT %s', other<Params>(code))).rejects.toThrow(
        /expected the parameters to be an array or an object of named values/,
      );
    }
    await expect(conn.execute('SELECT %s', Promise.resolve([1]))).rejects.toThrow(/forget to await/);
  });

  it('is accepted as a part of a query, composed there by another copy of the package', async () => {
    const conn = await connect();
    const theirs = other<sql.Composable>(
      "{ [Symbol.for('usingpg.composable')]: { version: 1, parts: [{ kind: 'verbatim', text: '1 + ' }, { kind: 'value', value: 2 }] } }",
    );
    const ways = [
      sql`SELECT ${theirs}`,
      sql.SQL('SELECT {}').format(theirs),
      sql.SQL('SELECT ').concat(theirs),
    ];
    for (const query of ways) expect(await (await conn.execute(query)).fetchone()).toEqual([3]);
    await expect(conn.execute('SELECT %s', [theirs])).rejects.toThrow(/a composed query is not a value/);
  });

  it('is accepted as the named fields of format()', () => {
    expect(sql.SQL('{a} {}').format(1, other<{ a: number }>('{ a: 2 }')).asString()).toBe('2 1');
  });

  it('is accepted as an hstore', async () => {
    const conn = await connect();
    await conn.execute('CREATE EXTENSION IF NOT EXISTS hstore');
    registerHstore(await TypeInfo.fetch(conn, 'hstore'), conn);
    for (const cursor of [new AsyncCursor(conn), new AsyncClientCursor(conn)]) {
      await cursor.execute('SELECT %s', [other("{ a: 'b', c: null }")]);
      expect(await cursor.fetchone()).toEqual([{ a: 'b', c: null }]);
      await expect(cursor.execute('SELECT %s', [other('{ a: 1 }')])).rejects.toThrow(/strings or null/);
    }
    await conn.execute('CREATE TEMP TABLE tagged (tags hstore)');
    await conn.cursor().withCopy('COPY tagged FROM STDIN', (copy) => copy.writeRow([other("{ a: 'b' }")]));
    expect(await (await conn.execute('SELECT tags FROM tagged')).fetchone()).toEqual([{ a: 'b' }]);
  });

  it('is accepted as a composite, whose fields are checked', async () => {
    const conn = await connect();
    await conn.execute('CREATE TYPE pg_temp.inner_pair AS (a int, b text)');
    await conn.execute(
      'CREATE TYPE pg_temp.outer_pair AS (first pg_temp.inner_pair, rest pg_temp.inner_pair[])',
    );
    const pair = (await CompositeInfo.fetch(conn, 'pg_temp.inner_pair'))!;
    const outer = (await CompositeInfo.fetch(conn, 'pg_temp.outer_pair'))!;
    registerComposite(pair, conn);
    registerComposite(outer, conn);
    const send = async (info: CompositeInfo, code: string): Promise<unknown> =>
      (
        await (
          await conn.execute('SELECT %s', [new Composite(info, other<Record<string, unknown>>(code))])
        ).fetchone()
      )?.[0];
    expect(await send(pair, "{ a: 1, b: 'x' }")).toEqual({ a: 1, b: 'x' });
    expect(await send(pair, "[1, 'x']")).toEqual({ a: 1, b: 'x' });
    await expect(send(pair, "{ a: 1, b: 'x', c: 2 }")).rejects.toThrow(/it has c beyond that/);
    await expect(send(pair, '{ a: 1 }')).rejects.toThrow(/it lacks b/);
    expect(await send(outer, "{ first: { a: 1, b: null }, rest: [{ a: 2, b: 'y' }] }")).toEqual({
      first: { a: 1, b: null },
      rest: [{ a: 2, b: 'y' }],
    });
    await expect(send(outer, '{ first: { a: 1, b: null, c: 3 }, rest: [] }')).rejects.toThrow(
      /it has c beyond that/,
    );
  });

  it('is sent by the dumper of its class', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Map, (map) => new Jsonb(Object.fromEntries(map as Map<string, unknown>)));
    conn.adapters.registerDumper(Set, (set) => `{${[...set].join()}}`);
    conn.adapters.registerDumper(Uint16Array, (view) => `{${view.join()}}`);
    conn.adapters.registerDumper(Object, (object) => new Jsonb(object));
    conn.adapters.registerDumper(RegExp, ({ source }) => source);
    const cur = await conn.execute('SELECT %s, %s::int[], %s::int[], %s, %s', [
      other("new Map([['a', 1]])"),
      other('new Set([1, 2])'),
      other('new Uint16Array([3])'),
      other('{ b: 2 }'),
      other('/x+/'),
    ]);
    expect(await cur.fetchone()).toEqual([{ a: 1 }, [1, 2], [3], { b: 2 }, 'x+']);
    const Theirs = other<new () => object>('class Theirs { }');
    cur.adapters.registerDumper(Theirs, () => 'theirs');
    await cur.execute('SELECT %s', [new Theirs()]);
    expect(await cur.fetchone()).toEqual(['theirs']);
    await expect(cur.execute('SELECT %s', [other('new (class Nobody {})()')])).rejects.toThrow(
      /an object of class Nobody can't be sent/,
    );
  });

  it('is accepted as a bound of a range', () => {
    const range = new Range(other<Date>('new Date(1)'), new Date(9));
    expect(range.contains(other<Date>('new Date(5)'))).toBe(true);
    expect(range.contains(new Date(10))).toBe(false);
    expect(range.equals(new Range(new Date(1), other<Date>('new Date(9)')))).toBe(true);
    expect(String(range)).toMatch(/^\[1970-01-01T00:00:00\.001Z, /);
    expect(adapters.dumperForObject(range)).toBeDefined();
  });

  it('is accepted as the data of a COPY', async () => {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE letters (letter text)');
    await conn
      .cursor()
      .withCopy('COPY letters FROM STDIN', (copy) => copy.write(other('new Uint8Array([97, 10])')));
    expect(await (await conn.execute('SELECT letter FROM letters')).fetchone()).toEqual(['a']);
  });

  it('is shown as the cause of an error', () => {
    const cause = other<Error>("new TypeError('broken')");
    expect(new errors.DataError('x', { cause }).toJSON()['cause']).toEqual({
      name: 'TypeError',
      message: 'broken',
    });
  });
});

describe('a value that was made by another copy of the package', () => {
  it.each<[string, (copy: typeof Package) => unknown]>([
    ['Jsonb', (copy) => new copy.Jsonb({ a: 1 })],
    ['Int8', (copy) => new copy.Int8(5)],
    ['Range', (copy) => new copy.Range(1, 5)],
    ['Multirange', (copy) => new copy.Multirange([new copy.Range(1, 5)])],
    ['OffsetTime', (copy) => new copy.OffsetTime({ toString: () => '09:30:00' }, '+01')],
  ])('is refused, and is never JSON of its properties: %s', async (name, make) => {
    vi.resetModules();
    const value = make(await import('../../src/index.js'));
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE copied (value jsonb)');
    const context = inferredParams(conn.adapters);
    const message = `this ${name} was made by another copy of usingpg`;
    await expect(conn.execute('SELECT %s', [value])).rejects.toThrow(message);
    await expect(conn.execute('SELECT %s::jsonb', [value], { context })).rejects.toThrow(message);
    await expect(conn.execute('SELECT %s::jsonb[]', [[value]], { context })).rejects.toThrow(message);
    expect(() => sql.quote(value, conn)).toThrow(message);
    for (const format of ['text', 'binary']) {
      await conn.cursor().withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['jsonb']);
        await expect(copy.writeRow([value])).rejects.toThrow(message);
      });
    }
  });
});

describe('a promise, or a composed query, is refused where it would be the JSON {}:', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['a promise', () => Promise.resolve({ a: 1 }), /forget to await/],
    ['a promise of another realm', () => other('Promise.resolve(1)'), /forget to await/],
    ['a composed query', () => sql`now()`, /a composed query is not a value/],
  ])('%s', async (_, make, message) => {
    const conn = await connect();
    await conn.execute('CREATE TYPE pg_temp.noted AS (note jsonb)');
    const noted = (await CompositeInfo.fetch(conn, 'pg_temp.noted'))!;
    registerComposite(noted, conn);
    await conn.execute('CREATE TEMP TABLE copied (value jsonb)');
    const context = inferredParams(conn.adapters);
    for (const value of [new Jsonb(make()), new Json(make()), [new Jsonb(make())]]) {
      await expect(conn.execute('SELECT %s', [value])).rejects.toThrow(message);
    }
    await expect(conn.execute('SELECT %s', [new Composite(noted, { note: make() })])).rejects.toThrow(
      message,
    );
    await expect(conn.execute('SELECT %s', [make()], { context })).rejects.toThrow(message);
    for (const format of ['text', 'binary']) {
      await conn.cursor().withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['jsonb']);
        await expect(copy.writeRow([make()])).rejects.toThrow(message);
      });
    }
  });
});
