import { describe, expect, test } from 'vitest';
import {
  CompositeInfo,
  dictRow,
  EnumInfo,
  errors,
  registerComposite,
  registerEnum,
  type AsyncConnection,
  type TupleRow,
} from '../../src/index.js';
import { connect } from '../support/database.js';

// A cursor declared as BINARY in SQL sends its rows in the binary format, and its description says so.

async function fetched(
  conn: AsyncConnection,
  query: string,
  how: (fetch: string) => Promise<TupleRow[]> = async (fetch) => (await conn.execute(fetch)).fetchall(),
): Promise<TupleRow[]> {
  await conn.execute(`DECLARE c BINARY CURSOR FOR ${query}`);
  const rows = await how('FETCH ALL FROM c');
  await conn.execute('CLOSE c');
  return rows;
}

function amongSeveral(conn: AsyncConnection): (fetch: string) => Promise<TupleRow[]> {
  return async (fetch) => (await conn.execute(`${fetch}; SELECT 1`)).fetchall();
}

async function selected(conn: AsyncConnection, query: string): Promise<TupleRow[]> {
  return (await conn.execute(query)).fetchall();
}

const VALUES = [
  ...[
    '1234567',
    '7::int2',
    '12345678901234::int8',
    '4294967295::oid',
    '1.5::float4',
    "'-0'::float8",
    'true',
    'false',
  ],
  ...[
    '12.340::numeric',
    "'NaN'::numeric",
    "'text é'",
    '\'x\'::"char"',
    '\'{"a": [1]}\'::json',
    '\'{"a": [1]}\'::jsonb',
  ],
  ...[
    "'\\x00ff'::bytea",
    "'550e8400-e29b-41d4-a716-446655440000'::uuid",
    "DATE '2024-02-29'",
    "TIME '12:34:56.7'",
  ],
  ...["TIMETZ '12:34:56+02'", "TIMESTAMP '2024-02-29 12:34:56'", "TIMESTAMPTZ '2024-02-29 12:34:56+02'"],
  ...[
    "INTERVAL '1 year -2 days 03:04:05'",
    "'10.0.0.1/8'::inet",
    "'10.0.0.0/8'::cidr",
    "B'101'",
    "'1/A'::pg_lsn",
  ],
  ...[
    'ARRAY[1, NULL]',
    "ARRAY[['a'], [NULL]]",
    'ARRAY[1.5]',
    'int4range(1, 5)',
    "'empty'::numrange",
    'NULL::int4',
  ],
  ...[
    'int4multirange(int4range(1, 5))',
    'ARRAY[int4range(1, 5)]',
    "tstzrange('2024-01-01+00', NULL)",
    "'08:00:2b:01:02:03'::macaddr",
  ],
];

describe('FETCH from a cursor declared as BINARY', () => {
  test('loads the same as a SELECT, for every type', async () => {
    const conn = await connect();
    const query = `SELECT ${VALUES.join(', ')}`;
    const expected = await selected(conn, query);
    expect(await fetched(conn, query, amongSeveral(conn))).toEqual(expected);
    expect(await fetched(conn, query)).toEqual(expected);
  });

  test('loads the same for object rows, in a pipeline, and among several statements', async () => {
    const conn = await connect();
    const query = "SELECT 7 AS n, 1.5::numeric AS x, ARRAY['a'] AS list FROM generate_series(1, 3)";
    const rows = await selected(conn, query);
    const objects = rows.map(([n, x, list]: TupleRow) => ({ n, x, list }));
    const dicts = conn.cursor({ rowFactory: dictRow });
    expect(
      await fetched(conn, query, async (fetch) => (await dicts.execute(fetch)).fetchall() as Promise<never>),
    ).toEqual(objects);
    expect(
      await fetched(conn, query, async (fetch) => {
        const cur = conn.cursor();
        await cur.execute(`SELECT 1; ${fetch}; SELECT 2`);
        await cur.nextset();
        return cur.fetchall();
      }),
    ).toEqual(rows);
    expect(
      await fetched(conn, query, (fetch) =>
        conn.withPipeline(async () => (await conn.execute(fetch)).fetchall()),
      ),
    ).toEqual(rows);
    for (let i = 0; i < 8; i++) expect(await fetched(conn, query)).toEqual(rows);
  });

  test('loads composites, enums and domains as registered, and passes text to a text loader', async () => {
    const conn = await connect();
    await conn.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')");
    await conn.execute(
      'CREATE TYPE pg_temp.card AS (value int, suit text, mood pg_temp.mood, days daterange)',
    );
    enum Mood {
      sad = 1,
      happy = 2,
    }
    registerEnum(await EnumInfo.fetch(conn, 'mood'), conn, { enum: Mood });
    registerComposite(await CompositeInfo.fetch(conn, 'card'), conn);
    conn.adapters.registerLoader('date', (text) => `the ${text}`);
    const query =
      "SELECT ROW(8, 'x', 'happy', '[2024-01-01,2024-01-02)')::card, ARRAY[ROW(1, NULL, NULL, NULL)::card], 'sad'::mood, DATE '2024-01-01'";
    const rows = await fetched(conn, query, amongSeveral(conn));
    expect(rows).toEqual(await selected(conn, query));
    expect(rows[0]![0]).toMatchObject({ value: 8, mood: Mood.happy });
    expect(rows[0]![3]).toBe('the 2024-01-01');
  });

  // A FETCH that is sent alone requests the text format; one among several statements leaves the format to the cursor.
  test('returns bytes for a type whose binary format is unknown', async () => {
    const conn = await connect();
    const [[point]] = (await fetched(conn, 'SELECT point(1, 2)', amongSeveral(conn))) as [[Buffer]];
    expect([point.readDoubleBE(0), point.readDoubleBE(8)]).toEqual([1, 2]);
  });

  test('is refused for a text loader whose type cannot be converted to text; the connection stays usable', async () => {
    const conn = await connect({ autocommit: true });
    conn.adapters.registerLoader('point', (text) => text);
    await conn.execute('BEGIN');
    await conn.execute('DECLARE c BINARY CURSOR FOR SELECT point(1, 2)');
    await expect(conn.execute('FETCH ALL FROM c; SELECT 1')).rejects.toThrow(errors.NotSupportedError);
    await conn.execute('ROLLBACK');
    expect(await selected(conn, 'SELECT point(1, 2)')).toEqual([['(1,2)']]);
  });
});

describe('one statement has one outcome, however often it is executed,', () => {
  const QUERIES = [
    'SELECT %s::timestamptz',
    'SELECT ARRAY[%s::timestamptz]',
    'SELECT tstzrange(%s::timestamptz, NULL)',
  ];

  test.each([
    ['ISO, MDY', 'America/New_York'],
    ['ISO, DMY', 'UTC'],
    ['SQL, DMY', 'America/New_York'],
    ['SQL, MDY', 'UTC'],
    ['Postgres, DMY', 'Europe/Berlin'],
    ['German', 'Europe/Berlin'],
    ['German', 'Asia/Kathmandu'],
    ['Postgres, MDY', 'UTC'],
  ])('under DateStyle %s in %s', async (style, zone) => {
    const conn = await connect({ autocommit: true });
    await conn.execute(`SET DateStyle TO ${style}`);
    await conn.execute(`SET TimeZone TO '${zone}'`);
    for (const query of QUERIES) {
      const outcomes: unknown[] = [];
      for (let i = 0; i < 8; i++) {
        const outcome = await conn.execute(query, [new Date(0)]).then(
          async (cur) => (await cur.fetchone()) as unknown,
          (error: unknown) => (error as Error).message,
        );
        outcomes.push(outcome);
      }
      expect(outcomes).toEqual(outcomes.map(() => outcomes[0]));
      if (style.startsWith('ISO')) expect(typeof outcomes[0]).not.toBe('string');
    }
  });

  test('even if the DateStyle changes in between', async () => {
    const conn = await connect({ autocommit: true });
    conn.prepareThreshold = 0;
    const load = async (): Promise<unknown> =>
      conn.execute('SELECT %s::timestamptz', [new Date(0)]).then(
        async (cur) => ((await cur.fetchone()) as unknown[])[0],
        (error: unknown) => error,
      );
    await conn.execute("SET TimeZone TO 'America/New_York'");
    for (let i = 0; i < 3; i++) {
      await conn.execute('SET DateStyle TO ISO');
      for (let j = 0; j < 2; j++) expect(await load()).toEqual(new Date(0));
      await conn.execute('SET DateStyle TO SQL');
      for (let j = 0; j < 2; j++) expect(await load()).toBeInstanceOf(errors.DataError);
    }
  });
});
