import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import { Cursor, defaults, TypeOverrides, types } from '../../../src/integrations/pg/index.js';
import { errors } from '../../../src/index.js';
import { config, connect, makePool } from './clients.js';

afterEach(() => {
  defaults.parseInt8 = false;
  defaults.parseInputDatesAsUTC = false;
});

const VALUES = `SELECT 1::int2, 2::int4, 3::int8, 1.50::numeric, 0.5::float8, true, 'x'::text, '\\x0102'::bytea,
  '{"a": 1}'::json, '[1]'::jsonb, '2024-02-03'::date, '2024-02-03 04:05:06'::timestamp, '2024-02-03 04:05:06+00'::timestamptz,
  '04:05'::time, '1 day 02:03:04'::interval, '(1,2)'::point, '{1,2}'::int4[], '{3,4}'::int8[], '{a,NULL}'::text[],
  '{1.5}'::numeric[], '10.0.0.1'::inet, gen_random_uuid() IS NULL, '[1,2)'::int4range, NULL::int4`;

test('values are what node-postgres gives', async () => {
  const client = await connect();
  const theirs = new pg.Client(config() as pg.ClientConfig);
  await theirs.connect();
  try {
    for (const rowMode of ['array', undefined]) {
      const query = { text: VALUES, rowMode };
      const expected = (await theirs.query(query as { text: string })).rows[0] as object;
      expect({ ...(await client.query(query)).rows[0] }).toEqual({ ...expected });
    }
  } finally {
    await theirs.end();
  }
});

test('parameters are what node-postgres sends', async () => {
  const typed: readonly (readonly [value: unknown, type: string])[] = [
    [1, 'int'],
    [2.5, 'numeric'],
    [10n, 'int8'],
    [true, 'bool'],
    ['x', 'text'],
    [5, 'text'],
    [null, 'text'],
    [undefined, 'int'],
    [{ a: [1] }, 'jsonb'],
    [{ a: [1] }, 'text'],
    [[1, null, 2], 'int[]'],
    [[[1], [2]], 'int[]'],
    [['a"b', 'c\\d', 'NULL', ''], 'text[]'],
    [[{ a: 1 }], 'json[]'],
    [new Date(2024, 1, 3, 4, 5, 6, 7), 'timestamptz'],
    [new Date(2024, 1, 3, 4, 5, 6, 7), 'timestamp'],
    [new Date(2024, 1, 3, 4, 5, 6, 7), 'date'],
    [[new Date(0)], 'timestamptz[]'],
    [{ toPostgres: (): string => 'own' }, 'text'],
    [{ toPostgres: (): number[] => [1] }, 'int[]'],
  ];
  const values = typed.map(([value]) => value);
  const text = `SELECT ${typed.map(([, type], i) => `$${String(i + 1)}::${type} AS c${String(i)}`).join(', ')}`;
  const client = await connect();
  const theirs = new pg.Client(config() as pg.ClientConfig);
  await theirs.connect();
  try {
    const { rows } = await theirs.query(text, values);
    expect((await client.query(text, values)).rows).toEqual(rows);
    const bytes = {
      text: 'SELECT $1::bytea AS a, $2::bytea AS b',
      values: [Buffer.from([1, 255]), new Uint8Array([2])],
    };
    expect((await client.query(bytes)).rows).toEqual((await theirs.query(bytes)).rows);
  } finally {
    await theirs.end();
  }
});

test('types.setTypeParser() concerns all connections, and arrays of the type, from then on', async () => {
  const client = await connect();
  const before = types.getTypeParser(20);
  expect(before('5')).toBe('5');
  types.setTypeParser(20, (text) => BigInt(text));
  try {
    expect(types.getTypeParser(20)('5')).toBe(5n);
    expect((await client.query("SELECT 5::int8 AS n, '{6}'::int8[] AS list")).rows).toEqual([
      { n: 5n, list: [6n] },
    ]);
    expect((await makePool().query('SELECT 7::int8 AS n')).rows).toEqual([{ n: 7n }]);
  } finally {
    types.setTypeParser(20, before);
  }
  expect((await client.query('SELECT 5::int8 AS n')).rows).toEqual([{ n: '5' }]);
  expect(() => {
    types.setTypeParser(20, 'text');
  }).toThrow(errors.ProgrammingError);
});

test('a parser that was taken before another was set can be set again', async () => {
  const client = await connect();
  const before = types.getTypeParser(21);
  types.setTypeParser(21, (text) => `<${text}>`);
  const query = "SELECT 5::int2 AS n, '{6}'::int2[] AS list";
  expect((await client.query(query)).rows).toEqual([{ n: '<5>', list: ['<6>'] }]);
  types.setTypeParser(21, before);
  expect((await client.query(query)).rows).toEqual([{ n: 5, list: [6] }]);
  const own = client.getTypeParser(21);
  client.setTypeParser(21, (text) => Number(own(text)) + 1);
  expect((await client.query(query)).rows).toEqual([{ n: 6, list: [7] }]);
});

test('types.getTypeParser() gives node-postgres’s parsers', () => {
  for (const [oid, text] of [
    [16, 't'],
    [23, '5'],
    [20, '5'],
    [114, '{"a":1}'],
    [1007, '{1,2}'],
    [1184, '2024-02-03 04:05:06+00'],
    [1114, '2024-02-03 04:05:06'],
    [99_999, 'anything'],
  ] as const) {
    const theirs = pg.types.getTypeParser(oid as never) as (value: string) => unknown;
    expect(types.getTypeParser(oid)(text)).toEqual(theirs(text));
  }
  expect(types.builtins.INT8).toBe(pg.types.builtins.INT8);
});

test('a client’s own parsers stand over those of all connections', async () => {
  const client = await connect();
  client.setTypeParser(23, 'text', (text) => `<${text}>`);
  expect(client.getTypeParser(23)('1')).toBe('<1>');
  types.setTypeParser(25, (text) => text.toUpperCase());
  try {
    expect((await client.query("SELECT 1 AS n, 'x'::text AS t")).rows).toEqual([{ n: '<1>', t: 'X' }]);
  } finally {
    types.setTypeParser(25, String);
  }
  expect((await (await connect()).query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('the types of a query, or of a client, choose the parsers for each column', async () => {
  const asked: unknown[] = [];
  const custom = {
    getTypeParser: (oid: number, format?: string) => {
      asked.push([oid, format]);
      return (text: string) => `${String(oid)}:${text}`;
    },
  };
  const client = await connect();
  const text = "SELECT 1 AS n, '{1}'::int4[] AS list, NULL::int4 AS none FROM generate_series(1, 2)";
  const row = { n: '23:1', list: '1007:{1}', none: null };
  expect((await client.query({ text, types: custom })).rows).toEqual([row, row]);
  expect(asked).toEqual([
    [23, 'text'],
    [1007, 'text'],
    [23, 'text'],
  ]);
  expect((await client.query({ text, types: custom, rowMode: 'array' })).rows[1]).toEqual(Object.values(row));
  expect(
    (await client.query({ text: 'SELECT $1::int4 AS n', values: [1], types: custom, name: 'own' })).rows,
  ).toEqual([{ n: '23:1' }]);
  const other = await connect({ types: custom });
  expect((await other.query('SELECT 1 AS n')).rows).toEqual([{ n: '23:1' }]);
  const cursor = other.query(new Cursor('SELECT 1 AS n', [], { types: custom, rowMode: 'array' }));
  expect(await cursor.read(1)).toEqual([['23:1']]);
  await cursor.close();
});

test('TypeOverrides are the types of a query', async () => {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(23, (text) => -Number(text));
  const client = await connect();
  const query = { text: "SELECT 1 AS n, '2'::int8 AS big", types: overrides };
  expect((await client.query(query)).rows).toEqual([{ n: -1, big: '2' }]);
  overrides.setTypeParser(20, Number);
  expect((await client.query(query)).rows).toEqual([{ n: -1, big: 2 }]);
});

test('defaults.parseInt8 reads int8 as numbers', async () => {
  const client = await connect();
  defaults.parseInt8 = true;
  expect((await client.query("SELECT 1::int8 AS n, '{2}'::int8[] AS list")).rows).toEqual([
    { n: 1, list: [2] },
  ]);
  defaults.parseInt8 = false;
  expect((await client.query('SELECT 1::int8 AS n')).rows).toEqual([{ n: '1' }]);
});

test.for([new Date(Date.UTC(2024, 0, 2, 3, 4, 5, 6)), new Date(-62_200_000_000_000)])(
  'defaults.parseInputDatesAsUTC sends %o in UTC, as node-postgres does',
  async (date) => {
    const client = await connect();
    defaults.parseInputDatesAsUTC = true;
    pg.defaults.parseInputDatesAsUTC = true;
    const theirs = new pg.Client(config() as pg.ClientConfig);
    await theirs.connect();
    try {
      const { rows } = await theirs.query('SELECT $1::text AS t', [date]);
      expect((await client.query('SELECT $1::text AS t', [date])).rows).toEqual(rows);
    } finally {
      pg.defaults.parseInputDatesAsUTC = false;
      await theirs.end();
    }
  },
);
