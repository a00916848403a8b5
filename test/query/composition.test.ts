import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import {
  adapters,
  AsyncClientCursor,
  AsyncRawCursor,
  errors,
  Float4,
  Float8,
  Int2,
  Int4,
  Int8,
  Json,
  Jsonb,
  Numeric,
  Oid,
  sql,
  type Params,
  type Query,
} from '../../src/index.js';
import { connect } from '../support/database.js';

/** The tag without the types that rule out certain values, for callers without types. */
const untyped = sql as unknown as {
  (strings: unknown, ...values: unknown[]): sql.Template;
  [name: string]: (...args: unknown[]) => sql.SQL;
};

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

describe('a template', () => {
  it('sends its values as parameters, in their order, and includes composed parts', async () => {
    const conn = await connect();
    const condition = sql`x < ${3} AND x <> ${sql.Literal(2)}`;
    const cur = await conn.execute(
      sql`SELECT ${'a'}::text, x FROM ${sql.identifier('pg_catalog', 'generate_series')}(${1}::int, ${9}::int) AS t(x) WHERE ${condition}`,
    );
    expect(await cur.fetchall()).toEqual([['a', 1]]);
    expect(cur.query).toBe(
      'SELECT $1::text, x FROM "pg_catalog"."generate_series"($2::int, $3::int) AS t(x) WHERE x < $4 AND x <> 2',
    );
  });

  it('separates a value from an adjacent digit or word', async () => {
    const conn = await connect();
    const touching = [
      (value: number) => sql`SELECT ${value}0`,
      (value: number) => sql`SELECT a${value}`,
      (value: number) => sql`SELECT $${value}`,
    ];
    const asParts = touching.map((make) => (value: number) => sql`${make(value)} ${sql.SQL('')}`);
    for (const make of [...touching, ...asParts]) {
      // None of them becomes $10, a$1 or the start of a $$…$$ string.
      await expect(conn.execute(make(1))).rejects.toBeInstanceOf(errors.SyntaxError);
      await conn.rollback();
    }
    const cur = await conn.execute(sql`SELECT x FROM generate_series(1, 9) x LIMIT ${2}OFFSET ${3}`);
    expect(await cur.fetchall()).toEqual([[4], [5]]);
  });

  it('begins no comment where its parts meet', async () => {
    const conn = await connect({ autocommit: true });
    const minus = (part: sql.Composable): sql.Composable => sql`-${part}`;
    const first = async (query: sql.Composable, params?: unknown[]): Promise<unknown> =>
      ((await (await conn.execute(query, params)).fetchone()) as unknown[])[0];
    expect(await first(sql`SELECT ${minus(minus(sql`${5}::int`))}`)).toBe(5);
    expect(await first(sql`SELECT 5 -${sql`-1 `}`)).toBe(6);
    expect(await first(sql.SQL('SELECT 5 -{}').format(sql.SQL('-%s')), [1])).toBe(6);
    expect(await first(sql`SELECT 'a-${sql.SQL('-b')}'`)).toBe('a--b');
    await expect(first(sql`SELECT 4 /${sql.SQL('*')} ${2} */ + 1`)).rejects.toBeInstanceOf(
      errors.SyntaxError,
    );

    const evil = '\n; DROP TABLE x; --';
    const literals = new AsyncClientCursor(conn).mogrify(sql`SELECT ${minus(minus(sql`${evil}`))}`);
    expect(literals).toBe(`SELECT - -'${evil}'`);
    expect(sql`SELECT ${minus(minus(sql.Literal(evil)))}`.asString(conn)).toBe(literals);
  });

  it('never treats a part of a value as SQL', async () => {
    const conn = await connect();
    const evil = `'; DROP TABLE x; -- $1 %s "`;
    const cur = await conn.execute(sql`SELECT ${evil}, ${[evil]}::text[]`);
    expect(await cur.fetchone()).toEqual([evil, [evil]]);
  });

  it('leaves its percent signs unchanged, with further parameters and without', async () => {
    const conn = await connect();
    const plain = await conn.execute(sql`SELECT 10 % 4, 'a%s%%' LIKE ${'a%'}, ${sql.Literal('%s')}`);
    expect(await plain.fetchone()).toEqual([2, true, '%s']);
    const query = sql`SELECT 10 % 4, '%s%%', ${sql.Literal('100%')} AS ${sql.identifier('a%s')}, ${sql.Placeholder()}`;
    const cur = await conn.execute(query, ['p']);
    expect(await cur.fetchone()).toEqual([2, '%s%%', '100%', 'p']);
    expect(cur.description?.[2]?.name).toBe('a%s');
  });

  it('without values may contain several statements', async () => {
    const conn = await connect();
    const cur = await conn.execute(sql`SELECT 1; SELECT ${sql.Literal(2)}`);
    await cur.nextset();
    expect(await cur.fetchall()).toEqual([[2]]);
  });

  it('keeps its values when it is composed', async () => {
    const conn = await connect();
    const one = sql`${1}::int`;
    const ways: Query[] = [
      sql`SELECT ${one}, ${sql`${2}::int`}`,
      sql.SQL('SELECT {}, {two}').format(one, { two: sql`${2}::int` }),
      sql`SELECT ${sql.SQL(', ').join([one, sql`${2}::int`])}`,
      sql.Composed([sql.SQL('SELECT '), one, sql.SQL(', '), sql`${2}::int`]),
      sql`SELECT `
        .concat(one)
        .concat(sql.SQL(', '))
        .concat(sql`${2}::int`),
      sql`SELECT `.concat(sql.Composed([one, sql`${2}::int`]).join(', ')),
    ];
    for (const query of ways) {
      const cur = await conn.execute(query);
      expect(cur.query).toBe('SELECT $1::int, $2::int');
      expect(await cur.fetchall()).toEqual([[1, 2]]);
    }
  });

  it('is the same query at every execution', async () => {
    const conn = await connect({ prepareThreshold: 2 });
    for (let i = 0; i < 4; i++) {
      const cur = await conn.execute(sql`SELECT ${i}::int`);
      expect(await cur.fetchone()).toEqual([i]);
    }
    const prepared = await conn.execute('SELECT statement FROM pg_prepared_statements');
    expect(await prepared.fetchall()).toEqual([['SELECT $1::int']]);
  });

  it('with values of its own takes no further parameters', async () => {
    const conn = await connect({ autocommit: true });
    const query = sql`SELECT ${1}`;
    for (const params of [[], [1], {}]) {
      await expect(conn.execute(query, params)).rejects.toThrow(
        /carries its own values.*put them into the template.*sql\.Placeholder\(\)/,
      );
      await expect(new AsyncRawCursor(conn).execute(query, [])).rejects.toThrow(/carries its own values/);
      await expect(new AsyncClientCursor(conn).execute(query, params)).rejects.toThrow(
        /carries its own values/,
      );
      await expect(conn.cursor().executemany(query, [params])).rejects.toThrow(errors.ProgrammingError);
    }
    await expect(conn.execute(sql`SELECT ${1}, ${sql.Placeholder()}`)).rejects.toThrow(/not both/);
    await expect(conn.execute(sql`SELECT %s`, [1])).rejects.toThrow(/no placeholders.*sql\.Placeholder/);
  });

  it('works with executemany() by placeholders', async () => {
    const conn = await connect();
    await conn.execute('CREATE TEMP TABLE composed (id int, "na%me" text)');
    const columns = ['id', 'na%me'];
    const insert = sql`INSERT INTO composed (${sql.SQL(', ').join(columns.map((name) => sql.Identifier(name)))})
      VALUES (${sql.SQL(', ').join(columns.map(() => sql.Placeholder()))})`;
    await conn.cursor().executemany(insert, [
      [1, 'a'],
      [2, 'b'],
    ]);
    const named = sql
      .SQL('INSERT INTO composed VALUES ({}, {})')
      .format(sql.Placeholder('id'), sql.Placeholder('a b'));
    await conn.cursor().executemany(named, [{ id: 3, 'a b': 'c' }]);
    const cur = await conn.execute('SELECT * FROM composed ORDER BY id');
    expect(await cur.fetchall()).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ]);
  });

  it('cannot be called like a function, nor with parsed JSON', () => {
    expect(refusal(() => untyped('SELECT 1'))).toMatch(/template tag.*sql\.SQL\(text\)/);
    expect(refusal(() => untyped(JSON.parse('["SELECT 1"]')))).toMatch(/template tag/);
    // The invalid escape sequence makes the template's text undefined.
    // prettier-ignore
    expect(refusal(() => sql`SELECT '\u{}'`)).toMatch(/malformed escape/);
  });

  const someone = { name: 'x' };
  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /^\$2: undefined can't be sent.*null/],
    ['a function', () => 1, /^\$2: a function .*did you mean to call it/],
    ['a symbol', Symbol('s'), /^\$2: a symbol/],
    ['a plain object', someone, /^\$2: a plain object .*Jsonb/],
    ['a plain object in an array', [1, 2, 3, someone], /^\$2\[3\]: a plain object .*Jsonb/],
    ['composables in an array', [sql`a`], /^\$2\[0\]: a composed query is not a value.*join/],
    ['a Map', new Map(), /^\$2: an object of class Map/],
    ['a NUL', 'a\0', /^\$2: PostgreSQL text can't contain a NUL/],
    ['a lone surrogate', '\ud800', /^\$2: .*lone surrogate/],
    ['an invalid Date', new Date(NaN), /^\$2: the Date is invalid/],
  ])('with %s as a value is refused, naming its place', async (_, value, message) => {
    const conn = await connect();
    const query = untyped(Object.assign(['SELECT ', ', ', ''], { raw: [] }), 1, value);
    const error: unknown = await conn.execute(query).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.DatabaseError);
    expect((error as Error).message).toMatch(message);
    const client: unknown = await new AsyncClientCursor(conn)
      .execute(query)
      .catch((reason: unknown) => reason);
    expect((client as Error).message).toMatch(message);
    expect(() => query.asString(conn)).toThrow(message);
    expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
  });
});

describe('sql.NULL and sql.DEFAULT', () => {
  it('can take the place of a value', async () => {
    const conn = await connect();
    await conn.execute("CREATE TEMP TABLE city (name text, country text DEFAULT 'FR')");
    const values = [sql`${'Nice'}, ${sql.DEFAULT}`, sql.SQL('{}, {}').format('Atlantis', sql.NULL)];
    for (const value of values) await conn.execute(sql`INSERT INTO city VALUES (${value})`);
    expect(await (await conn.execute('SELECT * FROM city')).fetchall()).toEqual([
      ['Nice', 'FR'],
      ['Atlantis', null],
    ]);
  });
});

describe('sql.SQL().format()', () => {
  const format = (text: string, ...args: unknown[]): string => {
    const { SQL } = untyped;
    return (SQL!(text).format as (...args: unknown[]) => sql.Composed)(...args).asString();
  };

  it.each<[string, unknown[], string]>([
    ['{} {}', [1, 'a'], "1 'a'"],
    ['{1} {0} {1}', [1, 2], '2 1 2'],
    ['{a} {} {b}', [1, { a: sql.Identifier('x'), b: null }], '"x" 1 NULL'],
    ['{{}} {{{}}}', [1], '{} {1}'],
    ['no field', [], 'no field'],
    ['{} more', [1, 2, 3], '1 more'],
    ['{a b.c[0]}', [{ 'a b.c[0]': sql.SQL('x') }], 'x'],
    ['{__proto__}', [JSON.parse('{"__proto__": 1}')], '1'],
    ['{}', [new Jsonb({ a: 1 })], `'{"a":1}'::jsonb`],
  ])('makes of %j with %o %s', (text, args, expected) => {
    expect(format(text, ...args)).toBe(expected);
  });

  it.each<[string, unknown[], RegExp]>([
    ['{}', [], /field \{0\} has no value: format\(\) got 0 positional/],
    ['{} {}', [1], /field \{1\} has no value: format\(\) got 1 positional/],
    ['{2}', [1], /field \{2\}/],
    ['{}', [{ a: 1 }], /field \{0\} .*a plain object at the end holds the named fields/],
    ['{x}', [1], /field \{x\} needs an object/],
    ['{x}', [{ y: 1 }], /field \{x\} has no value/],
    ['{constructor}', [{}], /field \{constructor\} has no value/],
    ['{toString}', [{}], /field \{toString\} has no value/],
    ['{} {0}', [1], /can't be mixed/],
    ['{0} {}', [1], /can't be mixed/],
    ['{a!r}', [{ a: 1 }], /no conversions/],
    ['{a:>5}', [{ a: 1 }], /no format specifications/],
    ['}', [], /a single '}'/],
    ['{', [], /a single '{'/],
    ['{a', [], /a single '{'/],
    ['{a{b}}', [], /a single '{'/],
    ['{}', [undefined], /sql\.Literal: undefined/],
    ['{}', [() => 1], /sql\.Literal: a function/],
  ])('refuses %j with %o', (text, args, message) => {
    expect(refusal(() => format(text, ...args))).toMatch(message);
  });

  it('keeps Psycopg’s placeholders working', async () => {
    const conn = await connect();
    const query = sql.SQL('SELECT {}, %s, 10 %% 4 AS {name}').format(1, { name: sql.Identifier('n') });
    const cur = await conn.execute(query, ['a']);
    expect(await cur.fetchone()).toEqual([1, 'a', 2]);
    expect(cur.query).toBe('SELECT 1, $1, 10 % 4 AS "n"');
    await expect(conn.execute(query, ['a', 'b'])).rejects.toThrow(/1 placeholders but 2 parameters/);
  });

  it.each([
    sql.Literal('100%'),
    sql.Literal('%s'),
    sql.Literal('%%'),
    sql.Identifier('a%b'),
    sql.Identifier('%%'),
  ])('refuses %o next to placeholders instead of reading its percent sign as one', async (item) => {
    const conn = await connect();
    const query = sql.SQL('SELECT 1 AS {}, %s').format(item);
    await expect(conn.execute(query, ['p'])).rejects.toThrow(/percent sign.*sql`…`/);
  });

  it('does not show a literal in an error, which may be a secret', async () => {
    const conn = await connect();
    const error: unknown = await conn
      .execute(sql.SQL('{} %s').format('secret%'), [1])
      .catch((reason: unknown) => reason);
    expect((error as Error).message).not.toContain('secret');
  });
});

describe('composables', () => {
  it.each<[sql.Composable, string]>([
    [sql.Identifier('a"b'), '"a""b"'],
    [sql.Identifier('a.b', 'c'), '"a.b"."c"'],
    [sql.identifier('\uffff'), '"\uffff"'],
    [sql.Placeholder(), '%s'],
    [sql.Placeholder('a b'), '%(a b)s'],
    [sql.Placeholder('', 'b'), '%b'],
    [sql.Placeholder('x', 't'), '%(x)t'],
    [sql.SQL(''), ''],
    [sql.SQL(', ').join([]), ''],
    [sql.SQL(', ').join(new Set([sql.SQL('a'), 1])), 'a, 1'],
    [sql.SQL(', ').join(sql.Composed([sql.SQL('a'), sql.SQL('b')])), 'a, b'],
    [sql.Composed([sql.SQL('a'), sql.SQL('b')]).join(sql.SQL(' - ')), 'a - b'],
    [sql.Identifier('a').concat(sql.Literal(1)), '"a"1'],
    [sql`a ${1} ${sql`b ${'c'}`}`, "a 1 b 'c'"],
  ])('%o are %s', (composable, text) => {
    expect(composable.asString()).toBe(text);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['no name', () => untyped['Identifier']!(), /at least one name/],
    ['an empty name', () => sql.Identifier('a', ''), /can't be empty/],
    ['a number as a name', () => untyped['Identifier']!(1), /strings, got number/],
    ['undefined as a name', () => untyped['identifier']!('a', undefined), /strings, got undefined/],
    ['null as a name', () => untyped['identifier']!(null), /strings, got null/],
    ['an array as a name', () => untyped['identifier']!(['a']), /strings, got object/],
    ['a NUL in a name', () => sql.Identifier('a\0b'), /NUL/],
    ['a lone surrogate in a name', () => sql.Identifier('\udc00'), /surrogate/],
    ['a number as SQL', () => untyped['SQL']!(1), /string, got number/],
    ['a composable as SQL', () => untyped['SQL']!(sql`a`), /string, got object/],
    ['a composable as a literal', () => untyped['Literal']!(sql`a`), /not a value/],
    ['a string to join', () => sql.SQL(',').join('abc' as never), /iterable of items, got string/],
    ['nothing to join', () => sql.SQL(',').join(null as never), /iterable of items, got null/],
    ['an object to join', () => untyped['Composed']!({}), /iterable of items, got object/],
    ['a text to be concatenated', () => sql`a`.concat('b' as never), /got string; wrap/],
    ['a bracket in the name of a placeholder', () => sql.Placeholder('a)'), /can't contain '\)'/],
    ['a number as the name of a placeholder', () => untyped['Placeholder']!(1), /string, got number/],
    ['an unknown format', () => untyped['Placeholder']!('a', 'x'), /'s', 't' or 'b', got x/],
    ['a context that is none', () => sql`a`.asString({} as never), /a connection or a cursor/],
  ])('refuse %s', (_, act, message) => {
    expect(refusal(act)).toMatch(message);
  });

  it('refuse a conversion to a string, which would mix text and values', () => {
    const composable: unknown = sql.Identifier('a');
    // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- the mistake is the point
    expect(refusal(() => `SELECT ${composable}`)).toMatch(/put into a string.*asString/);
    expect(refusal(() => 'SELECT ' + (composable as string))).toMatch(/put into a string/);
  });

  it('show their parts in util.inspect()', () => {
    expect(inspect(sql.Identifier('a"b'))).toMatch(/Identifier.*a""b/s);
  });

  it('are no values: neither parameters nor parts of them', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Object, () => 'dumped');
    for (const params of [[sql.SQL('now()')], [[sql.SQL('now()')]], { a: sql`x` }] as Params[]) {
      const query = Array.isArray(params) ? 'SELECT %s' : 'SELECT %(a)s';
      await expect(conn.execute(query, params)).rejects.toThrow(
        /(?:\$1|%\(a\)s).*a composed query is not a value/,
      );
    }
  });

  it.each([['SELECT \0'], ['SELECT \ud800']])('refuse %j, which cannot be sent', async (text) => {
    const conn = await connect();
    for (const query of [sql.SQL(text), untyped(Object.assign([text], { raw: [] }))]) {
      await expect(conn.execute(query)).rejects.toBeInstanceOf(errors.ProgrammingError);
      await expect(conn.execute(query, [])).rejects.toBeInstanceOf(errors.ProgrammingError);
      await expect(new AsyncClientCursor(conn).execute(query)).rejects.toBeInstanceOf(
        errors.ProgrammingError,
      );
      await expect(new AsyncRawCursor(conn).execute(query, [])).rejects.toBeInstanceOf(
        errors.ProgrammingError,
      );
    }
  });

  it('of another copy of the package are accepted', async () => {
    const conn = await connect();
    vi.resetModules();
    const { sql: other } = (await import('../../src/index.js')) as { sql: typeof sql };
    const theirs = other`${2}::int + ${other.Literal(1)}`;
    expect(theirs).not.toBeInstanceOf(sql``.constructor);
    const ways: Query[] = [
      sql`SELECT ${1}::int, ${theirs}`,
      sql.SQL('SELECT {}, {}').format(sql`${1}::int`, theirs),
      sql.SQL('SELECT ').concat(sql.SQL(', ').join([sql`${1}::int`, theirs])),
      other`SELECT ${sql`${1}::int`}, ${theirs}`,
    ];
    for (const query of ways) expect(await (await conn.execute(query)).fetchone()).toEqual([1, 3]);
    await expect(conn.execute('SELECT %s', [theirs])).rejects.toThrow(/a composed query is not a value/);
    expect(refusal(() => sql.Literal(theirs as never))).toMatch(/not a value/);
  });

  it('of an unknown version are refused', async () => {
    const conn = await connect();
    const brand = Symbol.for('usingpg.composable');
    const future = { [brand]: { version: 99, parts: [] } } as unknown as sql.Composable;
    await expect(conn.execute(future)).rejects.toThrow(/another version of usingpg/);
    expect(refusal(() => sql`${future}`)).toMatch(/another version/);
    expect(refusal(() => sql.SQL('{}').format(future))).toMatch(/another version/);
  });

  it('cannot be made from JSON', async () => {
    const conn = await connect();
    const forged = JSON.parse(
      '{"usingpg.composable": {"version": 1, "parts": [{"kind": "sql", "text": "x"}]}}',
    );
    await expect(conn.execute(forged)).rejects.toThrow(/a string or composed by sql, got object/);
    await expect(conn.execute(sql`SELECT ${forged}`)).rejects.toThrow(/\$1: a plain object/);
  });

  it.each([null, undefined, 1, ['SELECT 1'], { text: 'SELECT 1' }])(
    'do not include %j, which is no query',
    async (query) => {
      const conn = await connect();
      await expect(conn.execute(query as never)).rejects.toThrow(
        /expected the query to be a string or composed/,
      );
      expect(refusal(() => new AsyncClientCursor(conn).mogrify(query as never))).toMatch(
        /expected the query/,
      );
    },
  );

  it('are named by their text where a cursor is busy, without values', async () => {
    const conn = await connect();
    const cur = conn.cursor();
    const running = cur.execute(sql`SELECT pg_sleep(${0.05}), ${sql.Literal('secret')}`);
    const error: unknown = await cur.execute(sql`SELECT ${'b'}`).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.ConcurrentCursorUse);
    expect((error as Error).message).toMatch(/"SELECT pg_sleep\(\$1\), …".*"SELECT \$1"/);
    await running;
  });
});

describe('a literal', () => {
  it.each<[unknown, string]>([
    [null, 'NULL'],
    [true, 'true'],
    [false, 'false'],
    [5, '5'],
    [-5, ' -5'],
    [-(2n ** 63n), ' -9223372036854775808'],
    [2n ** 70n, '1180591620717411303424'],
    [1.5, '1.5'],
    [-1.5, ' -1.5'],
    [-0, "'-0'::float8"],
    [1e300, '1e+300'],
    [NaN, "'NaN'::float8"],
    [-Infinity, "'-Infinity'::float8"],
    [new Float8(2), '2.0'],
    [new Float4(2), "'2'::float4"],
    [new Int4(-5), ' -5'],
    [new Int2(5), "'5'::int2"],
    [new Int8(-5), "'-5'::int8"],
    [new Int8(2 ** 40), '1099511627776'],
    [new Oid(5), "'5'::oid"],
    [new Numeric('-2.50'), ' -2.50'],
    [new Numeric('+2.50'), ' +2.50'],
    [new Numeric('10'), "'10'::numeric"],
    [new Numeric('1e3'), '1e3'],
    [new Numeric(2n ** 70n), '1180591620717411303424'],
    [new Numeric('NaN'), "'NaN'::numeric"],
    ['', "''"],
    ["it's", "'it''s'"],
    ['a\\b', " E'a\\\\b'"],
    ["\\'", " E'\\\\'''"],
    [new Json({ a: '\\' }), ` E'{"a":"\\\\\\\\"}'::json`],
    [new Date(0), "'1970-01-01T00:00:00.000Z'::timestamptz"],
    [[], "'{}'"],
    [[1, null], "'{1,NULL}'::int2[]"],
    [['a', "b'", 'c d', 'null'], `'{a,b'',"c d","null"}'`],
    [['\\'], ` E'{"\\\\\\\\"}'`],
    [[new Date(0)], "'{1970-01-01T00:00:00.000Z}'::timestamptz[]"],
    [Buffer.from([0, 255]), " E'\\\\x00ff'::bytea"],
  ])('of %o is %s', (value, text) => {
    expect(sql.quote(value)).toBe(text);
  });

  it('of bytes depends on standard_conforming_strings, others do not', async () => {
    const conn = await connect({ autocommit: true });
    const value = Buffer.from([0, 0x27, 0x5c]);
    for (const [setting, text] of [
      ['on', "'\\x00275c'::bytea"],
      ['off', " E'\\\\x00275c'::bytea"],
    ] as const) {
      await conn.execute(`SET standard_conforming_strings = ${setting}; SET escape_string_warning = on`);
      const notices: string[] = [];
      conn.addNoticeHandler(({ messagePrimary }) => notices.push(messagePrimary ?? ''));
      expect(sql.quote(value, conn)).toBe(text);
      expect(sql.quote(value, conn.cursor())).toBe(text);
      const strings = ['\\', "\\'", 'a\\nb', '\\x41'];
      const cur = await conn.execute(
        sql`SELECT ${sql.Literal(value)}, ${sql.SQL(', ').join(strings)}, ${sql.Literal(strings)}::text[]`,
      );
      expect(await cur.fetchone()).toEqual([value, ...strings, strings]);
      expect(notices).toEqual([]);
    }
  });

  it('is made by the adapters of the connection or of the cursor', async () => {
    class Celsius {
      constructor(readonly degrees: number) {}
    }
    const conn = await connect();
    conn.adapters.registerDumper(Celsius, ({ degrees }) => new Numeric(degrees));
    const cur = conn.cursor();
    cur.adapters.registerDumper(Celsius, ({ degrees }) => `${String(degrees)} °C`);
    const query = sql`SELECT ${sql.Literal(new Celsius(5))}, ${new Celsius(6)}`;
    expect(query.asString(conn)).toBe("SELECT '5'::numeric, '6'::numeric");
    expect(query.asString(cur)).toBe("SELECT '5 °C', '6 °C'");
    await cur.execute(query);
    expect(await cur.fetchone()).toEqual(['5 °C', '6 °C']);
    expect(refusal(() => query.asString())).toMatch(/^sql\.Literal: an object of class Celsius/);
  });

  it('of a user-defined type is cast to the type by its name', async () => {
    const conn = await connect();
    const name = 'odd "type',
      schema = 'composition test';
    await conn.execute(sql`CREATE SCHEMA ${sql.Identifier(schema)}`);
    await conn.execute(sql`CREATE TYPE ${sql.Identifier(schema, name)} AS ENUM ('a''b', 'c')`);
    const type = await conn.execute(
      sql`SELECT oid, typarray, oid::regtype::text FROM pg_type WHERE typname = ${name}`,
    );
    const [oid, arrayOid, sqlName] = (await type.fetchone()) as [number, number, string];
    class Label {
      constructor(readonly text: string) {}
    }
    const cur = conn.cursor();
    cur.adapters.registerDumper(Label, ({ text }) => ({ text, oid }));
    cur.adapters.registerType({ name, oid, arrayOid, delimiter: ',', sqlName });
    const value = new Label("a'b");
    expect(sql.Literal(value).asString(cur)).toBe(`'a''b'::"composition test"."odd ""type"`);
    await cur.execute(
      sql`SELECT pg_typeof(${sql.Literal(value)}) = ${oid}::regtype, ${sql.Literal([value])}::text`,
    );
    expect(await cur.fetchone()).toEqual([true, "{a'b}"]);
    // Rolled back with the connection.
  });

  it('does not trust the text of a dumper', async () => {
    class Sly {
      readonly isSly = true;
    }
    const conn = await connect();
    for (const [text, expected] of [
      ['1; DROP TABLE x', "'1; DROP TABLE x'::int4"],
      ['1e', "'1e'::int4"],
      ["t' OR 't", "'t'' OR ''t'::int4"],
      ['-1', ' -1'],
    ] as const) {
      conn.adapters.registerDumper(Sly, () => ({ text, oid: 23 }));
      expect(sql.quote(new Sly(), conn)).toBe(expected);
    }
    conn.adapters.registerDumper(Sly, () => ({ text: 'x', oid: 16 }));
    expect(sql.quote(new Sly(), conn)).toBe("'x'::bool");
    conn.adapters.registerDumper(Sly, () => ({ text: 'no\0', oid: 25 }));
    expect(() => sql.quote(new Sly(), conn)).toThrow(errors.DataError);
  });

  it('after a minus sign does not begin a comment', async () => {
    const conn = await connect();
    const cur = await conn.execute(sql`SELECT 5 -${sql.Literal(-1)}`);
    expect(await cur.fetchone()).toEqual([6]);
  });

  it('is refused while the client encoding is not UTF8', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute("SET client_encoding = 'GBK'");
    expect(() => sql.quote('a', conn)).toThrow(errors.NotSupportedError);
    await expect(conn.execute(sql`SELECT ${sql.Literal('a')}`)).rejects.toThrow(/client_encoding is GBK/);
    await expect(new AsyncClientCursor(conn).execute('SELECT %s', ['a'])).rejects.toThrow(
      /client_encoding is GBK/,
    );
    await conn.execute("SET client_encoding = 'UTF8'");
    expect(sql.quote('a', conn)).toBe("'a'");
  });

  it('without a connection uses the global adapters', () => {
    expect(sql.quote('a')).toBe("'a'");
    expect(sql`SELECT ${'a'}`.asString(null)).toBe("SELECT 'a'");
    expect(adapters.type('int4')?.oid).toBe(23);
  });
});
