import { describe, expect, it } from 'vitest';
import type { errors } from '../../src/index.js';
import {
  adapters,
  AsyncClientCursor,
  AsyncCursor,
  Float4,
  Float8,
  Int2,
  Int4,
  Int8,
  Numeric,
  Oid,
  Range,
  sql,
  type AsyncConnection,
} from '../../src/index.js';
import { connect } from '../support/database.js';

/** A value of a type without a built-in class. */
class Typed {
  constructor(
    readonly type: string,
    readonly text: string,
  ) {}
}

async function outcome(
  cursor: AsyncCursor,
  query: string | sql.Composable,
  params?: unknown[],
): Promise<unknown> {
  try {
    await cursor.execute(query, params);
    return (await cursor.fetchone())?.[0];
  } catch (error) {
    await cursor.connection.rollback();
    return (error as errors.Error).sqlstate ?? String(error);
  }
}

async function typedConnection(): Promise<AsyncConnection> {
  const conn = await connect();
  conn.adapters.registerDumper(Typed, ({ type, text }) => ({ text, oid: adapters.type(type)!.oid }));
  return conn;
}

describe('a literal in a query means what a parameter in its place would mean', () => {
  const numbers = [
    -5,
    5,
    0,
    -0,
    -1.5,
    2.5,
    1e300,
    -1e-7,
    -32768,
    -32769,
    -2147483648,
    -2147483649,
    -5n,
    -9223372036854775808n,
    -(10n ** 30n),
    new Int2(-32768),
    new Int8('-9223372036854775808'),
    new Float4(-1),
    new Float8(1),
    new Float8(-1),
    new Float8(NaN),
    new Float8(-Infinity),
    new Numeric('-1.50'),
    new Numeric('+1'),
    new Numeric('.5'),
    new Numeric('-Infinity'),
  ];
  const casts = ['%s::text', '%s ::text', '%s /* :: */::text', '%s -- it\n ::text'];
  const others: [query: string, value: unknown][] = [
    ['CAST(%s AS text)', -32768],
    ['CAST(%s AS text)', -5n],
    ['%s::int2', -32768],
    ['%s::int4', -2147483648],
    ['%s::int8', -9223372036854775808n],
    ['%s::int2::text', -32768],
    ['- %s::int4', -5],
    ['-%s::int4', -5],
    ['2 ^ %s::int4', -1],
    ['2 -%s::int4', -5],
    ['@%s::int4', -5],
    ['abs(%s::int4)', -5],
    ['pg_typeof(%s::int2)::text', -32768],
    ['(%s::interval * -1)::text', '1 day'],
    ['(%s)[1]', [1, 2]],
    ['%s[1]', [7, 8]],
    ['%s [1:2]', [7, 8, 9]],
    ['%s[%s]', [7, 8]],
    ['%s::text', [-1.5, 2]],
    ['%s::int4range::text', new Range(-5, -1)],
    ['%s::text', new Typed('bit', '101')],
    ['%s', new Typed('bit', '101')],
    ['%s::text', new Typed('bit', '')],
    ['%s::text', new Typed('varbit', '10110')],
    ['%s', new Typed('bit[]', '{101,11}')],
    ['%s::text', new Typed('"char"', 'x')],
    ['%s::text', new Typed('bpchar', 'ab ')],
    ['%s::text', new Typed('varchar', 'abc')],
    ['%s::text', new Typed('interval', '1 year 2 days')],
    ['%s::text', new Typed('timestamp', '2024-05-01 10:00:00.123456')],
    ['%s::text', Buffer.from('\\x00', 'latin1')],
    ['%s::text', true],
    ['%s::text', null],
    ['%s::text', "it's \\ \n"],
    ['%s IS NULL', -1],
    ['%s BETWEEN %s AND -1', -5],
    ['%s || $$x$$', 'a'],
    ['%s::text || %s::text', -5],
  ];
  const cases = [
    ...numbers.flatMap((value) => casts.map((cast): [string, unknown] => [cast, value])),
    ...others,
  ];

  it.each(cases)('SELECT %s with %o', async (expression, value) => {
    const conn = await typedConnection();
    if (value instanceof Typed && value.type.endsWith('[]')) {
      const { arrayOid } = adapters.type(value.type.slice(0, -2))!;
      conn.adapters.registerDumper(Typed, ({ text }) => ({ text, oid: arrayOid }));
    }
    const query = `SELECT ${expression}`;
    const count = query.split('%s').length - 1;
    const params = Array.from({ length: count }, (_, i) => (i === 0 || expression !== '%s[%s]' ? value : 2));
    const server = await outcome(new AsyncCursor(conn), query, params);
    expect(await outcome(new AsyncClientCursor(conn), query, params)).toEqual(server);

    const texts = query.split('%s');
    const strings = Object.assign(texts, { raw: texts }) as unknown as TemplateStringsArray;
    const literals = sql(strings, ...(params.map((param) => sql.Literal(param as number)) as never[]));
    expect(await outcome(new AsyncCursor(conn), literals)).toEqual(server);
    expect(
      await outcome(new AsyncCursor(conn), sql.SQL(query.replaceAll('%s', '{}')).format(...params)),
    ).toEqual(server);
    const pieces = texts.flatMap((text, i) => [
      ...text.split(/(\s+|\/\*|\*\/|--)/).map((piece) => sql.SQL(piece)),
      ...params.slice(i, i + 1).map((param) => sql.Literal(param as number)),
    ]);
    expect(await outcome(new AsyncCursor(conn), sql.Composed(pieces))).toEqual(server);
  });

  it.each([
    new Int2(7),
    new Int4(-7),
    new Int8(7),
    new Int8(2n ** 40n),
    new Oid(7),
    new Float4(7),
    new Float4(-0.5),
    new Numeric('7'),
    new Numeric('-7'),
    new Numeric('+7'),
    new Numeric('+0.7'),
    new Numeric('7e1'),
    new Numeric(2n ** 64n),
    new Typed('numeric', '7'),
    new Typed('int8', '-7'),
  ])('a type that was chosen is kept by %o', async (value) => {
    const conn = await typedConnection();
    for (const query of ['pg_typeof(%s)::text', '(%s / 2)::text', '%s', '@%s', '7 %%%s', '-%s', '%s::text']) {
      const count = query.split('%s').length - 1;
      const params = Array<unknown>(count).fill(value);
      const server = await outcome(new AsyncCursor(conn), `SELECT ${query}`, params);
      expect(await outcome(new AsyncClientCursor(conn), `SELECT ${query}`, params)).toEqual(server);
    }
  });

  it('where the server takes no parameters, a number is a number without parentheses', async () => {
    const conn = await connect();
    const client = new AsyncClientCursor(conn);
    await client.execute('CREATE TEMP SEQUENCE countdown INCREMENT %s MINVALUE %s', [-1, -2147483648]);
    await client.execute('SELECT nextval(%s)', ['countdown']);
    expect(await client.fetchone()).toEqual([-1n]);
    await client.execute('SET extra_float_digits = %s', [-5]);
    await client.execute(sql`SET extra_float_digits = ${sql.Literal(-3)}`);
    await client.execute('SHOW extra_float_digits');
    expect(await client.fetchone()).toEqual(['-3']);
  });
});

describe('a value is not changed by adjacent text', () => {
  /** Queries in which two values, or a value and a digit, are adjacent, so that the server could read them as one. */
  const touching: [string, sql.Composable][] = [
    ['a value and a literal', sql`SELECT ${1}${sql.Literal(0)}`],
    ['a value and a literal that is formatted', sql`SELECT ${1}${sql.SQL('{}').format(0)}`],
    ['a value and a digit of a part', sql`SELECT ${1}${sql.SQL('0')}`],
    ['two literals', sql`SELECT ${sql.Literal(1)}${sql.Literal(0)}`],
    ['a literal and a fraction', sql`SELECT ${sql.Literal(1)}${sql.Literal(new Numeric('.5'))}`],
    ['a literal and a digit', sql`SELECT ${sql.Literal(1)}0`],
    ['a digit and a literal', sql`SELECT 1${sql.Literal(0)}`],
    ['two strings', sql`SELECT ${sql.Literal('a')}${sql.Literal('b')}`],
    ['two strings and a line break', sql`SELECT ${sql.Literal('a')}\n${sql.Literal('b')}`],
    ['a string and what continues it', sql`SELECT ${sql.Literal('a')}\n'b'`],
    [
      'a string and what continues it, in pieces',
      sql`SELECT ${sql.Literal('a')}${sql.SQL('\n')}${sql.SQL("'b'")}`,
    ],
    [
      'a string and what continues it, behind a comment in pieces',
      sql`SELECT ${sql.Literal('a')}${sql.SQL(' --')}${sql.SQL(" x\n'b'")}`,
    ],
    ['a string that continues one', sql`SELECT 'a'\n${sql.Literal('b')}`],
    ['a string that continues one behind a comment', sql`SELECT E'a' -- c\n ${sql.Literal(Buffer.of(65))}`],
    ['a dollar sign and a literal', sql`SELECT $${sql.Literal(1)}, ${2}`],
    ['two names', sql`SELECT 1 AS ${sql.identifier('a')}${sql.identifier('b')}`],
    ['a name with escapes', sql`SELECT 1 AS U&${sql.identifier('\\0041')}`],
  ];

  it.each(touching)('%s', async (_, query) => {
    const conn = await connect();
    const many = sql.SQL(', ').join(Array.from({ length: 12 }, (_, i) => sql`${i}::int`));
    for (const whole of [query, sql`${query}, ${many}`, sql`${query} ${sql.SQL('')}`]) {
      for (const cursor of [new AsyncCursor(conn), new AsyncClientCursor(conn)]) {
        await expect(cursor.execute(whole)).rejects.toMatchObject({ sqlstate: '42601' });
        await conn.rollback();
      }
    }
  });

  it.each(['%s0', '%s%s', '1%s', 'a%s', '$%s', '%s.5', "'a'%s", "'a'\n%s"])(
    'a placeholder in SELECT %s',
    async (expression) => {
      const conn = await connect();
      const query = `SELECT ${expression}, ${Array(12).fill('%s::int').join(', ')}`;
      const params = (expression === '%s%s' ? [1, 0] : expression.includes("'") ? ['b'] : [1]).concat(
        Array(12).fill(3) as never[],
      );
      for (const cursor of [new AsyncCursor(conn), new AsyncClientCursor(conn)]) {
        await expect(cursor.execute(query, params)).rejects.toMatchObject({ sqlstate: '42601' });
        await conn.rollback();
      }
    },
  );

  it.each<[sql.Composable, string]>([
    [sql`SELECT B${sql.Literal('01')}`, "SELECT B '01'"],
    [sql`SELECT N${sql.Literal('a')}`, "SELECT N 'a'"],
    [sql`SELECT date${sql.Literal('2024-05-01')}`, "SELECT date'2024-05-01'"],
    [sql`SELECT ${sql.Literal(1)}e3`, 'SELECT 1 e3'],
    [sql`SELECT ${1}e3`, 'SELECT 1 e3'],
    [sql`CREATE TABLE log_${sql.Literal(2024)} ()`, 'CREATE TABLE log_2024 ()'],
    [sql`SELECT ${sql.Literal(1)} ${sql.Literal(-1)}-${sql.Literal(-1)}`, 'SELECT 1  -1- -1'],
    [sql`SELECT ${sql.identifier('s')}.${sql.identifier('t')}.*`, 'SELECT "s"."t".*'],
  ])('%o is %s', (query, text) => {
    expect(query.asString()).toBe(text);
  });
});

describe('a value within a string of the query is refused', () => {
  const queries: [string, string][] = [
    ['one line', "SELECT E'a b\\' %s'"],
    ['two lines', "SELECT E'a'\n'b\\' %s'"],
    ['two lines with a comment between', "SELECT E'a' -- c\n 'b\\' %s'"],
    ['three lines', "SELECT E'a'\n'b'\r\n\t--x\n--y\n'c\\' %s'"],
    ['a line break of its own kind', "SELECT E'a'\r'b\\' %s'"],
    ['behind a number', "SELECT 1E'a\\' %s'"],
    ['a dollar quote behind a number', 'SELECT 1$a$ %s $a$'],
    ['a national string', "SELECT N'a %s'"],
    ['a string with Unicode escapes', "SELECT U&'a'\n'b %s'"],
    ['a bit string', "SELECT B'1'\n'%s'"],
  ];

  it.each(queries)('%s', async (_, query) => {
    const conn = await connect();
    const cursor = new AsyncClientCursor(conn);
    expect(() => cursor.mogrify(query, ['$a$||current_user--'])).toThrow(
      /^\$1: the value stands within a .*string/,
    );
    const [before, behind] = query.split('%s') as [string, string];
    for (const cut of [before.length, Math.floor(before.length / 2), before.lastIndexOf('\\') + 1]) {
      const pieces = [before.slice(0, cut), before.slice(cut)].map((text) => sql.SQL(text));
      const composed = sql.Composed([...pieces, sql.Literal('$a$||current_user--'), sql.SQL(behind)]);
      expect(() => composed.asString(conn)).toThrow(/the value stands within a .*string/);
      expect(() => sql`${sql.Composed(pieces)}${'$a$'}${sql.SQL(behind)}`.asString(conn)).toThrow(
        /the value stands within a .*string/,
      );
      await expect(conn.execute(sql`${sql.Composed(pieces)}${'a'}${sql.SQL(behind)}`)).rejects.toThrow(
        /the value stands within a .*string/,
      );
    }
  });

  it.each<[string, string]>([
    ['behind a string on the line before', "SELECT E'a'\n, %s"],
    ['between strings that are whole', "SELECT E'a\\'b', %s, 'c'"],
    ['behind a string that is another one', "SELECT 'a\\', %s"],
  ])('but not %s', async (_, query) => {
    const cursor = new AsyncClientCursor(await connect());
    await cursor.execute(query, ["it's"]);
    expect(await cursor.fetchone()).toContain("it's");
  });
});

it('an oid before a cast is cast as the parameter is, which is not how an integer is', async () => {
  const conn = await connect();
  for (const cursor of [conn.cursor(), new AsyncClientCursor(conn)]) {
    await cursor.execute('SELECT %s::int4, %s::regclass::text', [new Oid(4_294_967_295), new Oid(1259)]);
    expect(await cursor.fetchone()).toEqual([-1, 'pg_class']);
  }
});
