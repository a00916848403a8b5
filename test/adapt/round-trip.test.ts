import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncConnection, Json, Jsonb } from '../../src/index.js';
import { dsn } from '../support/database.js';

// The server is the judge: what it gives for a value is sent back, and has to be the same value to it.

let connection: AsyncConnection;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn(), { autocommit: true });
  return () => connection.close();
});

afterAll(() => {
  expect(connection.broken).toBe(false);
});

const RUNS = 300;
const two = (n: number): string => String(n).padStart(2, '0');
const digits = fc.stringMatching(/^[0-9]{1,40}$/);
const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));

const date = fc
  .tuple(
    fc.integer({ min: 1, max: 9999 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
    fc.boolean(),
  )
  .map(
    ([year, month, day, bc]) =>
      `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}${bc && year < 4700 ? ' BC' : ''}`,
  );
const time = fc
  .tuple(fc.nat({ max: 23 }), fc.nat({ max: 59 }), fc.nat({ max: 59 }), fc.nat({ max: 999_999 }))
  .map(([h, m, s, micros]) => `${two(h)}:${two(m)}:${two(s)}.${String(micros).padStart(6, '0')}`);
const zone = fc
  .tuple(fc.constantFrom('+', '-'), fc.nat({ max: 15 }), fc.nat({ max: 59 }))
  .map(([sign, h, m]) => `${sign}${two(h)}:${two(m)}`);
const timestamp = fc
  .tuple(date, time)
  .map(([d, t]) => (d.endsWith(' BC') ? `${d.slice(0, -3)} ${t} BC` : `${d} ${t}`));
const interval = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: -1e6, max: 1e6 }),
      fc.integer({ min: -1e6, max: 1e6 }),
      fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
    )
    .map(
      ([months, days, micros]) =>
        `${String(months)} months ${String(days)} days ${String(micros)} microseconds`,
    ),
  fc.constantFrom(
    '0',
    '-1 year',
    '1 mon -1 day',
    '-00:00:00.000001',
    '1 year 2 mons -3 days +04:05:06',
    '-100:00:00',
  ),
);
const numeric = fc.oneof(
  fc
    .tuple(fc.boolean(), digits, fc.option(digits))
    .map(([minus, whole, part]) => `${minus ? '-' : ''}${whole}${part === null ? '' : `.${part}`}`),
  fc.constantFrom('NaN', '0.000', '-0', '1e-20', '1e50'),
);

/** Texts that the server reads as values of each type. */
const SCALARS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  int2: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  int4: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  oid: fc.nat({ max: 2 ** 32 - 1 }).map(String),
  float4: fc.float().map(String),
  float8: fc.double().map(String),
  numeric,
  text,
  bytea: fc.uint8Array().map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  bool: fc.constantFrom('t', 'f'),
  uuid: fc.uuid(),
  date: fc.oneof(date, fc.constantFrom('infinity', '-infinity', '4713-11-24 BC', '5874897-12-31')),
  time: fc.oneof(time, fc.constant('24:00:00')),
  timetz: fc.tuple(time, zone).map(([t, z]) => t + z),
  timestamp: fc.oneof(timestamp, fc.constantFrom('infinity', '-infinity', '294276-12-31 23:59:59.999999')),
  interval,
};

/** Sends texts as values of `type`, and what they load as back again; tells which the server does not find the same. */
async function differences(type: string, texts: readonly (string | null)[]): Promise<unknown[]> {
  const loaded = (
    await (
      await connection.execute(
        `SELECT t::${type} FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n`,
        [texts],
      )
    ).fetchall()
  ).map(([value]) => value as unknown);
  expect(loaded).toHaveLength(texts.length);
  const cursor = connection.cursor();
  const wrong: unknown[] = [];
  await cursor.executemany(
    `SELECT (%s::${type})::text IS NOT DISTINCT FROM (%s::text::${type})::text`,
    loaded.map((value, i) => [value, texts[i]]),
    { returning: true },
  );
  for (let i = 0; i < loaded.length; i++) {
    if (i > 0) await cursor.nextset();
    const [same] = (await cursor.fetchone()) as [boolean];
    if (!same) wrong.push({ sent: texts[i], loaded: loaded[i] });
  }
  return wrong;
}

describe('a value sent back as it was loaded is the same to the server', () => {
  for (const [type, arbitrary] of Object.entries(SCALARS)) {
    it(`of type ${type}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.option(arbitrary, { freq: 20 }), { minLength: RUNS, maxLength: RUNS, size: 'max' }),
          async (texts) => {
            expect(await differences(type, texts)).toEqual([]);
          },
        ),
        { numRuns: 1 },
      );
    });
  }

  it.each(Object.keys(SCALARS))('of type %s[], of one or two dimensions', async (type) => {
    const element = fc.option(SCALARS[type]!, { freq: 5 });
    const shape = fc.tuple(fc.nat({ max: 4 }), fc.integer({ min: 1, max: 3 }));
    const array = shape.chain(([length, rows]) =>
      fc.array(fc.array(element, { minLength: length, maxLength: length }), {
        minLength: rows,
        maxLength: rows,
      }),
    );
    await fc.assert(
      fc.asyncProperty(array, async (rows) => {
        const nested = rows.length === 1 ? rows[0]! : rows;
        // Texts become values on the server, and come back as such.
        const values: unknown = (
          await (await connection.execute(`SELECT %s::text[]::${type}[]`, [nested])).fetchone()
        )?.[0];
        const [same, depth] = (await (
          await connection.execute(
            `SELECT (%s::${type}[])::text IS NOT DISTINCT FROM (%s::text[]::${type}[])::text, array_ndims(%s::${type}[])`,
            [values, nested, values],
          )
        ).fetchone()) as [boolean, number | null];
        expect({ same, values }).toEqual({ same: true, values });
        expect(depth).toBe(rows[0]!.length === 0 ? null : rows.length === 1 ? 1 : 2);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a value that JavaScript holds arrives as it is', () => {
  const echo = async (placeholder: string, value: unknown): Promise<unknown> =>
    ((await (await connection.execute(`SELECT ${placeholder}`, [value])).fetchone()) as unknown[])[0];

  it.each<[string, string, fc.Arbitrary<unknown>]>([
    ['a double', '%s', fc.double().filter((n) => !Number.isInteger(n) || Object.is(n, -0))],
    ['a double sent as float8', '%s::float8', fc.double()],
    ['a bigint of 64 bits', '%s', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    ['a string', '%s::text', text],
    ['bytes', '%s', fc.uint8Array().map((bytes) => Buffer.from(bytes))],
    ['a boolean', '%s', fc.boolean()],
    ['an array of strings or nulls', '%s::text[]', fc.array(fc.option(text))],
    [
      'an array of bytes',
      '%s',
      fc.array(
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        { minLength: 1 },
      ),
    ],
    [
      'a Date of the years that PostgreSQL knows',
      '%s',
      fc.date({ min: new Date('-004712-01-01'), max: new Date(8.64e15), noInvalidDate: true }),
    ],
  ])('%s', async (_, placeholder, arbitrary) => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (value) => {
        expect(await echo(placeholder, value)).toEqual(value);
      }),
      { numRuns: RUNS },
    );
  });

  it('JSON, but for what text of PostgreSQL can not hold', async () => {
    const json = fc
      .jsonValue({ stringUnit: 'binary' })
      .filter((value) => !JSON.stringify(value).includes('\\u'));
    const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        expect(await echo('%s', new Jsonb(value))).toEqual(plain(value));
        expect(await echo('%s', new Json(value))).toEqual(plain(value));
        expect(await echo('%s', [new Jsonb(value), null])).toEqual([plain(value), null]);
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    [5, 'smallint'],
    [40_000, 'integer'],
    [3_000_000_000, 'bigint'],
    [0.5, 'double precision'],
    [1e300, 'double precision'],
    [5n, 'bigint'],
    [2n ** 63n, 'numeric'],
    [true, 'boolean'],
    [new Date(0), 'timestamp with time zone'],
    [new Uint8Array([1]), 'bytea'],
    [[1, 40_000], 'integer[]'],
    [[1, 0.5], 'double precision[]'],
  ])('%o as %s', async (value, type) => {
    expect(await echo('pg_typeof(%s)::text', value)).toBe(type);
  });
});

describe('a value that a session shows in another way', () => {
  it.each([
    ["SET bytea_output = 'escape'", 'bytea', '\\x005c27ff41'],
    ["SET IntervalStyle = 'iso_8601'", 'interval', '1 year 2 mons -3 days +04:05:06.7'],
    ["SET IntervalStyle = 'sql_standard'", 'interval', '1 day 02:03:04'],
    ["SET IntervalStyle = 'postgres_verbose'", 'interval', '1 year 2 mons -3 days +04:05:06.7'],
    ["SET DateStyle = 'SQL, DMY'", 'timestamp', '2024-02-03 04:05:06.7'],
    ["SET DateStyle = 'German'", 'timestamp', '2024-02-03 04:05:06.7'],
    ["SET DateStyle = 'Postgres'", 'timestamp', '2024-02-03 04:05:06.7'],
    ['SET extra_float_digits = 0', 'float8', '0.1'],
  ])('comes back the same after %s', async (setting, type, value) => {
    await connection.execute(setting);
    try {
      expect(await differences(type, [value])).toEqual([]);
    } finally {
      await connection.execute('RESET ALL');
    }
  });

  it('is the same instant in any time zone', async () => {
    for (const zone of ['UTC', 'Asia/Kathmandu', 'America/St_Johns', 'Africa/Monrovia']) {
      await connection.execute("SELECT set_config('TimeZone', %s, false)", [zone]);
      for (const time of [
        '2024-07-01T12:34:56.789Z',
        '1900-01-01T00:00:00.001Z',
        '0001-01-01T00:00:00.000Z',
      ]) {
        const [loaded] = (await (await connection.execute('SELECT %s::timestamptz', [time])).fetchone()) as [
          Date,
        ];
        expect(loaded.toISOString(), zone).toBe(time);
      }
    }
    await connection.execute('RESET TimeZone');
  });
});
