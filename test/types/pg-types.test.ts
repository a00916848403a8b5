import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, test } from 'vitest';
import { adapters, errors, EnumInfo, pgTypes, registerEnum, type AsyncConnection } from '../../src/index.js';
import { DEFINITIONS } from '../../src/types/definitions.js';
import { connect } from '../support/database.js';

const MOMENTS = [
  '2024-02-29 23:59:59.999999',
  '1999-12-31 00:00:00.5',
  '2024-03-10 02:30:00',
  '0044-03-15 12:00:00 BC',
  '0099-01-01 00:00:01',
  '12024-05-06 07:08:09',
  'infinity',
  '-infinity',
];

/** For each type, texts of values. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  bool: ['t', 'f'],
  bytea: [String.raw`\x00ff41`, ''],
  '"char"': ['x'],
  name: ['a name'],
  int8: ['0', '-1', '9223372036854775807'],
  int2: ['-32768'],
  int4: ['2147483647'],
  text: ['', 'it’s', 'NULL'],
  oid: ['4294967295'],
  tid: ['(1,2)'],
  xid: ['17'],
  cid: ['18'],
  xid8: ['18446744073709551615'],
  json: ['{"a": [1, null, "b"]}', 'null', '[1.5]'],
  jsonb: ['{"a": [1, null, "b"]}', 'null', '7'],
  xml: ['<a>b</a>'],
  point: ['(1.5,-2)', '(Infinity,0)'],
  lseg: ['[(1,2),(3,4)]'],
  path: ['((1,2),(3,4))'],
  box: ['(3,4),(1,2)'],
  polygon: ['((1,2),(3,4),(5,0))'],
  line: ['{1,2,3}'],
  circle: ['<(1,-2.5),3>'],
  cidr: ['10.0.0.0/8'],
  inet: ['10.0.0.1'],
  macaddr: ['08:00:2b:01:02:03'],
  macaddr8: ['08:00:2b:01:02:03:04:05'],
  float4: ['0.1', 'NaN', '-Infinity'],
  float8: ['0.1', '1e300', 'NaN', 'Infinity'],
  numeric: ['1.50', '-123456789012345678.9', 'NaN'],
  money: ['$12.30'],
  bpchar: ['x  '],
  varchar: ['y'],
  bit: ['1'],
  varbit: ['101'],
  date: ['2024-02-29', '0044-03-15 BC', '0050-01-02', '12024-05-06', 'infinity', '-infinity'],
  timestamp: MOMENTS,
  timestamptz: [...MOMENTS, '1900-01-01 00:00:00+00', '2024-07-01 12:00:00.001+05:30'],
  time: ['12:34:56.789', '24:00:00'],
  timetz: ['12:34:56+02'],
  interval: [
    '0',
    '1 year 2 months -3 days 04:05:06.789012',
    '-00:00:01.5',
    '-1 year 1 day',
    '100 hours',
    '00:00:00.000001',
    '15 months 40 days',
  ],
  refcursor: ['c'],
  regclass: ['pg_class'],
  regproc: ['now'],
  regtype: ['integer'],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  pg_lsn: ['16/B374D848'],
  tsvector: ["'a' 'b'"],
  tsquery: ["'a' & 'b'"],
  jsonpath: ['$."a"'],
  int4range: ['[1,5)', 'empty'],
  numrange: ['[1.5,2.5)'],
  int8range: ['[1,5)'],
  tsrange: ['["2024-01-01 00:00:00",)'],
  tstzrange: ['(,)'],
  daterange: ['[2024-01-01,2024-02-01)'],
  int4multirange: ['{[1,5),[7,9)}'],
  nummultirange: ['{}'],
};

let client: pg.Client;
let conn: AsyncConnection;
const zone = process.env['TZ'];
beforeAll(async () => {
  // A zone with summer time and another offset than UTC, in which a local time differs from that of the server.
  process.env['TZ'] = 'America/New_York';
  expect(new Date(2024, 0, 1).getTimezoneOffset()).toBe(300);
  client = new pg.Client({ connectionString: inject('dsn') });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

async function both(query: string): Promise<[usingpg: unknown[], pg: unknown[]]> {
  const { rows } = await client.query<unknown[]>({ text: query, rowMode: 'array' });
  const found: unknown[] = [];
  // A prepared statement may get its results in the binary format.
  for (const prepare of [false, true]) {
    for (let i = 0; i < 2; i++) {
      const cur = await conn.execute(query, [], { prepare });
      found.push((await cur.fetchone()) as unknown);
    }
  }
  for (const row of found) expect(row).toEqual(found[0]);
  return [found[0] as unknown[], rows[0]!];
}

/** Makes objects of different classes comparable, which may have the same properties. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date) return `Date ${String(value.getTime())}`;
  if (Buffer.isBuffer(value)) return `Buffer ${value.toString('hex')}`;
  return typeof value === 'object' && value !== null ? { ...value } : value;
}

describe('pgTypes() loads the values of node-postgres:', () => {
  it.each(Object.entries(VALUES))('%s, and its arrays', async (type, texts) => {
    conn = await connect({ context: pgTypes(adapters), autocommit: true });
    const values = texts.map((text) => `${pg.escapeLiteral(text)}::${type}`);
    const [scalars, theirs] = await both(`SELECT ${values.join(', ')}`);
    expect(scalars.map(plain)).toEqual(theirs.map(plain));
    if (type === 'regproc') return;
    const list = values.join(', ');
    const [arrays, arraysOfPg] = await both(
      `SELECT ARRAY[${list}]::${type}[], ARRAY[${values[0]!}, NULL]::${type}[], '{}'::${type}[],` +
        ` ARRAY[ARRAY[${list}], ARRAY[${list}]]::${type}[]`,
    );
    expect(arrays.map(plain)).toEqual(arraysOfPg.map(plain));
  });

  it('the types of this test are those with a parser in pg-types, and all others that can be written', () => {
    const parsed = DEFINITIONS.filter(
      ({ oid, arrayOid }) => hasParser(oid) || (arrayOid !== 0 && hasParser(arrayOid)),
    );
    expect(parsed.map(({ name }) => name).filter((name) => !(name in VALUES))).toEqual([]);
    expect(parsed.length).toBeGreaterThan(25);
  });

  it('record, and enums without a registration', async () => {
    conn = await connect({ context: pgTypes(adapters), autocommit: true });
    await client.query(`DROP TYPE IF EXISTS pg_types_mood; CREATE TYPE pg_types_mood AS ENUM ('sad', 'ok')`);
    try {
      const query = `SELECT ROW(1, 'a'), ARRAY[ROW(1)], 'ok'::pg_types_mood, ARRAY['ok']::pg_types_mood[]`;
      const [ours, theirs] = await both(query);
      expect(ours).toEqual(theirs);
      // A registration is kept.
      const map = adapters.clone();
      registerEnum(await EnumInfo.fetch(conn, 'pg_types_mood'), map);
      const cur = await conn.execute(query, null, { context: pgTypes(map) });
      expect((await cur.fetchone())!.slice(2)).toEqual(['ok', ['ok']]);
    } finally {
      await conn.close();
      await client.query('DROP TYPE pg_types_mood');
    }
  });

  it('every millisecond of a second', async () => {
    conn = await connect({ context: pgTypes(adapters), autocommit: true });
    const query = `SELECT array_agg(timestamp '2024-01-01' + i * interval '1 ms'), array_agg(timestamptz '2024-01-01Z' + i * interval '1 ms') FROM generate_series(0, 999) AS i`;
    const [[local, instants]] = (await both(query)) as [[Date[], Date[]], unknown];
    expect(local.map((date) => date.getMilliseconds())).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(instants.map((date) => date.getMilliseconds())).toEqual(
      local.map((date) => date.getMilliseconds()),
    );
  });
});

function hasParser(oid: number): boolean {
  const types = pg.types as unknown as { getTypeParser(type: number): unknown };
  return types.getTypeParser(oid) !== types.getTypeParser(99_999);
}

test('an interval has the properties and methods of node-postgres’s, and may be sent again', async () => {
  conn = await connect({ context: pgTypes(adapters), autocommit: true });
  for (const text of VALUES['interval']!) {
    const [[ours], [theirs]] = (await both(`SELECT '${text}'::interval`)) as [[Interval], [Interval]];
    expect(ours.toPostgres()).toBe(theirs.toPostgres());
    expect(Object.entries(ours)).toEqual(Object.entries(theirs));
    expect([ours.toISOString(), ours.toISO()]).toEqual([theirs.toISOString(), theirs.toISO()]);
    const cur = await conn.execute('SELECT %s::interval', [ours]);
    expect((await cur.fetchone())![0]).toEqual(ours);
  }
});

interface Interval {
  toPostgres(): string;
  toISOString(): string;
  toISO(): string;
}

test.each(['German', 'SQL, DMY', 'Postgres, MDY'])(
  'DateStyle %s changes no date, and IntervalStyle no interval',
  async (style) => {
    const query = `SELECT '2024-02-01'::date, '2024-02-01 03:04:05.678'::timestamp, '0044-03-15 BC'::date, '1 year -2 days'::interval, 'infinity'::date`;
    const context = pgTypes(adapters);
    const plainly = await connect({ context });
    const styled = await connect({ context }, { options: `-c DateStyle=${style.replace(' ', '')}` });
    await styled.execute(`SET IntervalStyle = iso_8601`);
    const [expected] = await (await plainly.execute(query)).fetchall();
    expect((await (await styled.execute(query)).fetchall()).map((row) => row.map(plain))).toEqual([
      expected!.map(plain),
    ]);
  },
);

test.each(['date', 'timestamp'])('a %s that no Date can hold is refused', async (type) => {
  const far = await connect({ context: pgTypes(adapters) });
  await expect(far.execute(`SELECT '290000-01-01'::${type}`)).rejects.toThrow(errors.DataError);
});

test('the map that is given does not change, and its loaders of built-in types are replaced in the copy', async () => {
  const map = adapters.clone();
  map.registerLoader('int8', Number);
  map.registerLoader('int4[]', (text) => text);
  map.registerDefaultLoader((text) => `default ${text}`);
  const query = 'SELECT 1::int8, ARRAY[1], true';
  const any = await connect();
  const before = await (await any.execute(query, null, { context: map })).fetchone();
  expect(await (await any.execute(query, null, { context: pgTypes(map) })).fetchone()).toEqual([
    '1',
    [1],
    true,
  ]);
  expect(await (await any.execute(query, null, { context: map })).fetchone()).toEqual(before);
  expect(before).toEqual([1, '{1}', 'default t']);
});
