import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncConnection, Json, Jsonb } from '../../src/index.js';
import { dsn } from '../support/database.js';
import { arraysOf, reachableInstant, SCALARS, text } from './values.js';
import { differences, inChunks, sample } from './server-comparison.js';

// Compares with the server: a loaded value is sent back, and the server must consider it equal.

let connection: AsyncConnection;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn(), { autocommit: true });
  return () => connection.close();
});

afterAll(() => {
  expect(connection.broken).toBe(false);
});

const VALUES = 20_000;
const TYPES = Object.keys(SCALARS);

/** Converts a loaded value to one that can be sent. */
const SENDABLE: Readonly<Record<string, (value: unknown) => unknown>> = {
  json: (value) => new Json(value),
  jsonb: (value) => new Jsonb(value),
};
/** SQL for the value that comes back: a Date has no microseconds. */
const EXPECTED: Readonly<Record<string, string>> = {
  timestamptz: "date_trunc('milliseconds', %t::timestamptz)",
};

function deeply(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => deeply(item, change));
  return value === null ? null : change(value);
}

describe(`of ${String(VALUES)} values, the server considers each equal when it is sent back`, () => {
  it.each(TYPES)('%s', async (type) => {
    const { values, seed } = sample(fc.option(SCALARS[type]!, { freq: 50 }), VALUES);
    const send = SENDABLE[type] ?? ((value) => value);
    const wrong = await differences(connection, type, values, {
      send: (value) => (value === null ? null : send(value)),
      expected: EXPECTED[type],
    });
    expect(wrong, `seed ${String(seed)}`).toEqual([]);
  });

  it.each(TYPES)('%s[], of up to three dimensions, with NULLs and lower bounds', async (type) => {
    // In an array, a JSON object or array is an element, not a dimension.
    const element = type.startsWith('json')
      ? SCALARS[type]!.filter((value) => !value.startsWith('['))
      : SCALARS[type]!;
    const few =
      type === 'numeric'
        ? element.filter((value) => !value.includes('1638') && value.length < 16_000)
        : element;
    const source =
      type === 'timestamptz' ? reachableInstant.map((value) => value.replace(/\.\d+/, '.125')) : few;
    const { values, seed } = sample(arraysOf(source), VALUES / 8);
    const send = SENDABLE[type] ?? ((value) => value);
    const wrong = await differences(
      connection,
      `${type}[]`,
      values.map(({ literal }) => literal),
      {
        send: (value) => deeply(value, send),
        // JavaScript arrays have no lower bounds.
        plain: values.map(({ plain }) => plain),
      },
    );
    expect(wrong, `seed ${String(seed)}`).toEqual([]);
  });
});

describe('a value of JavaScript arrives unchanged', () => {
  const buffer = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

  it.each<[string, string, fc.Arbitrary<unknown>]>([
    ['a double', '%s', fc.double().filter((n) => !Number.isInteger(n) || Object.is(n, -0))],
    ['a double sent as float8', '%s::float8', fc.double()],
    ['a bigint of 64 bits', '%s', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    ['a string', '%s::text', text],
    ['bytes', '%s', buffer],
    ['a boolean', '%s', fc.boolean()],
    ['an array of strings or nulls', '%s::text[]', fc.array(fc.option(text))],
    ['an array of bytes', '%s', fc.array(buffer, { minLength: 1 })],
    [
      'a Date of the years that PostgreSQL knows',
      '%s',
      fc.date({ min: new Date('-004712-01-01'), max: new Date(8.64e15), noInvalidDate: true }),
    ],
  ])('%s', async (_, placeholder, arbitrary) => {
    const { values, seed } = sample(arbitrary, VALUES);
    const back = await inChunks(values, async (chunk) => {
      const list = chunk.map((__, i) => `(${String(i)}, ${placeholder})`).join();
      const cur = await connection.execute(`SELECT v FROM (VALUES ${list}) AS list (n, v) ORDER BY n`, chunk);
      return (await cur.fetchall()).map(([value]) => value as unknown);
    });
    expect(back.length).toBe(VALUES);
    const wrong = values.flatMap((value, i) => (same(back[i], value) ? [] : [{ value, back: back[i] }]));
    expect(wrong, `seed ${String(seed)}`).toEqual([]);
  });

  function same(a: unknown, b: unknown): boolean {
    if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
    if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return a.equals(b);
    if (Array.isArray(a) && Array.isArray(b))
      return a.length === b.length && a.every((item, i) => same(item, b[i]));
    return Object.is(a, b);
  }

  const echo = async (placeholder: string, value: unknown): Promise<unknown> =>
    ((await (await connection.execute(`SELECT ${placeholder}`, [value])).fetchone()) as unknown[])[0];

  it('JSON, except for text that PostgreSQL cannot store', async () => {
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
      { numRuns: 300 },
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

describe('a value comes back the same under other settings of its output', () => {
  it.each([
    ["SET bytea_output = 'escape'", 'bytea'],
    ['SET extra_float_digits = 0', 'bool'],
    ['SET extra_float_digits = 3', 'float8'],
    ['SET extra_float_digits = 3', 'float4'],
  ])('after %s: %s', async (setting, type) => {
    const { values, seed } = sample(SCALARS[type]!, 2000);
    await connection.execute(setting);
    try {
      expect(await differences(connection, type, values), `seed ${String(seed)}`).toEqual([]);
    } finally {
      await connection.execute('RESET ALL');
    }
  });

  // Offsets of half and three quarters of an hour, and a day that was skipped.
  it.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia'])(
    'in the time zone %s, also around its clock changes',
    async (zone) => {
      await connection.execute("SELECT set_config('TimeZone', %s, false)", [zone]);
      try {
        const changes = (
          await connection.execute(
            `SELECT extract(epoch FROM t)::float8 FROM
               (SELECT t, t::timestamp - lag(t::timestamp) OVER (ORDER BY t) <> interval '6 hours' AS changed
                FROM generate_series('1885-01-01Z'::timestamptz, '2037-12-31Z', '6 hours') t) AS quarters WHERE changed`,
          )
        ).fetchall();
        const instants = (await changes).map(([seconds]) => seconds as number);
        expect(instants.length).toBeGreaterThan(1);
        const near = fc
          .tuple(fc.constantFrom(...instants), fc.integer({ min: -25_000_000, max: 3_600_000 }))
          .map(([change, ms]) => new Date(change * 1000 + ms).toISOString());
        const { values, seed } = sample(fc.oneof(near, SCALARS['timestamptz']!), VALUES / 5);
        const options = { expected: EXPECTED['timestamptz'] };
        const wrong = await differences(connection, 'timestamptz', values, options);
        expect(wrong, `seed ${String(seed)}`).toEqual([]);
      } finally {
        await connection.execute('RESET ALL');
      }
    },
  );

  it('to the precision of extra_float_digits', async () => {
    await connection.execute('SET extra_float_digits = 0');
    try {
      expect(await differences(connection, 'float8', ['0.1', '1e300', '-0'])).toEqual([]);
    } finally {
      await connection.execute('RESET ALL');
    }
  });
});
