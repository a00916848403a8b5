import { Temporal as JsTemporal } from '@js-temporal/polyfill';
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { Temporal as FullTemporal } from 'temporal-polyfill/full';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  adapters,
  AsyncClientCursor,
  AsyncConnection,
  Composite,
  CompositeInfo,
  errors,
  Multirange,
  OffsetTime,
  Range,
  registerComposite,
  registerTemporal,
  sql,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, dsn, rejection } from '../support/database.js';
import { differences, inChunks, sample } from './server-comparison.js';
import { load } from './load.js';
import { temporalTypes, type TemporalType } from './temporal-values.js';
import { arraysOf } from './values.js';

// Compares with the server: Temporal and the server must see the same parts of a value, in both directions.

let connection: AsyncConnection;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn(), { autocommit: true });
  registerTemporal(connection, { Temporal });
  return () => connection.close();
});

async function one(on: AsyncConnection | AsyncCursor, query: string, ...params: unknown[]): Promise<unknown> {
  const cur = await on.execute(query, params.length === 0 ? undefined : params);
  return ((await cur.fetchone()) as unknown[])[0];
}

/** Runs with settings of the session, which are restored afterwards. */
async function withSettings(
  settings: Readonly<Record<string, string>>,
  work: () => Promise<void>,
): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    await connection.execute('SELECT set_config(%s, %s, false)', [name, value]);
  }
  try {
    await work();
  } finally {
    await connection.execute('RESET ALL');
  }
}

const VALUES = 20_000;
const TEMPORAL = temporalTypes(Temporal);
const TYPES = Object.keys(TEMPORAL);
const CLASSES: Readonly<Record<string, string>> = {
  date: 'PlainDate',
  time: 'PlainTime',
  timetz: 'OffsetTime',
  timestamp: 'PlainDateTime',
  timestamptz: 'Instant',
  interval: 'Duration',
};

/** The texts that load as other values than the server's. */
async function loadedWrong(
  on: AsyncConnection,
  name: string,
  { serverParts, parts }: TemporalType,
  texts: readonly string[],
  classOf: abstract new (...args: never[]) => unknown,
): Promise<unknown[]> {
  return inChunks(texts, async (chunk) => {
    const cur = await on.execute(
      `SELECT t, v, ${serverParts}, v::text
       FROM (SELECT t, n, t::${name} AS v FROM unnest(%s::text[]) WITH ORDINALITY AS given (t, n)) AS read ORDER BY n`,
      [chunk],
    );
    const rows = await cur.fetchall();
    expect(rows.length).toBe(chunk.length);
    return rows.flatMap(([text, value, server]) =>
      value instanceof classOf && parts(value as never) === server
        ? []
        : [{ text: text as string, value: String(value), server: server as string }],
    );
  });
}

/** The values that the server receives as other values. */
async function sentWrong(
  on: AsyncConnection,
  name: string,
  { serverParts, parts }: TemporalType,
  values: readonly unknown[],
): Promise<unknown[]> {
  const [typeName] = (await (await on.execute('SELECT %s::regtype::text', [name])).fetchone())!;
  return inChunks(values, async (chunk) => {
    const list = chunk.map((_, i) => `(${String(i)}, %s)`).join();
    const cur = await on.execute(
      `SELECT ${serverParts}, pg_typeof(v)::text FROM (VALUES ${list}) AS sent (n, v) ORDER BY n`,
      chunk,
    );
    const rows = await cur.fetchall();
    expect(rows.length).toBe(chunk.length);
    return rows.flatMap(([server, type], i) =>
      type === typeName && parts(chunk[i] as never) === server
        ? []
        : [{ value: String(chunk[i]), server: server as string, type: type as string }],
    );
  });
}

describe.each([
  ['temporal-polyfill', Temporal, VALUES],
  ['@js-temporal/polyfill', JsTemporal as unknown as typeof Temporal, VALUES / 10],
])('of %s', (_, api, count) => {
  const types = temporalTypes(api);

  it.each(TYPES)(`${String(count)} values of %s load with the server’s parts`, async (name) => {
    const conn = await connect();
    registerTemporal(conn, { Temporal: api });
    const { values, seed } = sample(types[name]!.texts, count);
    const classOf = name === 'timetz' ? OffsetTime : api[CLASSES[name] as 'PlainDate'];
    const wrong = await loadedWrong(conn, name, types[name]!, values, classOf);
    expect(wrong, `seed ${String(seed)}`).toEqual([]);
  });

  it.each(TYPES)(`${String(count)} values of %s arrive with the same parts`, async (name) => {
    const conn = await connect();
    registerTemporal(conn, { Temporal: api });
    const { values, seed } = sample(types[name]!.values, count);
    expect(await sentWrong(conn, name, types[name]!, values), `seed ${String(seed)}`).toEqual([]);
  });
});

describe('as exactly with', () => {
  const check = async (names: readonly string[]): Promise<void> => {
    for (const name of names) {
      const type = TEMPORAL[name]!;
      const classOf = name === 'timetz' ? OffsetTime : Temporal[CLASSES[name] as 'PlainDate'];
      const texts = sample(type.texts, VALUES / 10);
      const wrong = await loadedWrong(connection, name, type, texts.values, classOf);
      expect(wrong, `${name}, seed ${String(texts.seed)}`).toEqual([]);
      const values = sample(type.values, VALUES / 10);
      expect(
        await sentWrong(connection, name, type, values.values),
        `${name}, seed ${String(values.seed)}`,
      ).toEqual([]);
    }
  };

  it.each(['ISO, DMY', 'SQL, MDY', 'SQL, DMY', 'SQL, YMD', 'Postgres, MDY', 'Postgres, DMY', 'German'])(
    'the DateStyle %s',
    async (DateStyle) => {
      await withSettings({ DateStyle, TimeZone: 'UTC' }, () =>
        check(['date', 'time', 'timetz', 'timestamp', 'timestamptz']),
      );
    },
  );

  it.each(['postgres', 'postgres_verbose', 'sql_standard', 'iso_8601'])(
    'the IntervalStyle %s',
    async (IntervalStyle) => {
      await withSettings({ IntervalStyle }, () => check(['interval']));
    },
  );

  // Offsets of half and three quarters of an hour, and a day that was skipped.
  it.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia'])(
    'the TimeZone %s, also around its clock changes',
    async (TimeZone) => {
      await withSettings({ TimeZone }, async () => {
        await check(['timetz', 'timestamp', 'timestamptz']);
        const cur = await connection.execute(
          `SELECT t FROM
             (SELECT t, t::timestamp - lag(t::timestamp) OVER (ORDER BY t) <> interval '6 hours' AS changed
              FROM generate_series('1885-01-01Z'::timestamptz, '2037-12-31Z', '6 hours') t) AS quarters WHERE changed`,
        );
        const changes = (await cur.fetchall()).map(([instant]) => instant as Temporal.Instant);
        expect(changes.length).toBeGreaterThan(1);
        const near = fc
          .tuple(
            fc.constantFrom(...changes),
            fc.integer({ min: -25_000_000, max: 3_600_000 }),
            fc.nat(999_999),
          )
          .map(([change, milliseconds, microseconds]) => change.add({ milliseconds }).add({ microseconds }));
        const { values, seed } = sample(near, VALUES / 10);
        const type = TEMPORAL['timestamptz']!;
        const zoned = values.map((instant) => instant.toZonedDateTimeISO(TimeZone));
        expect(await sentWrong(connection, 'timestamptz', type, values), `seed ${String(seed)}`).toEqual([]);
        expect(await sentWrong(connection, 'timestamptz', type, zoned), `seed ${String(seed)}`).toEqual([]);
        const texts = values.map(String);
        const wrong = await loadedWrong(connection, 'timestamptz', type, texts, Temporal.Instant);
        expect(wrong, `seed ${String(seed)}`).toEqual([]);
      });
    },
  );
});

/** Values with their classes and parts, for comparison. */
function shown(value: unknown): unknown {
  if (value === null) return null;
  if (Array.isArray(value)) return value.map(shown);
  if (value instanceof Multirange) return value.ranges.map(shown);
  if (value instanceof Range) return [value.bounds, shown(value.lower), shown(value.upper)];
  return `${(value as object).constructor.name} ${(value as { toString(): string }).toString()}`;
}

describe('compound types follow:', () => {
  it.each(TYPES)('arrays of %s, with NULLs', async (name) => {
    const { texts, serverParts, parts } = TEMPORAL[name]!;
    const { values, seed } = sample(fc.option(texts, { freq: 10 }), VALUES / 10);
    const pairs = Array.from({ length: values.length / 2 }, (_, i) => values.slice(2 * i, 2 * i + 2));
    const loaded = (await one(connection, `SELECT %s::${name}[]`, pairs)) as unknown[][];
    const flat = loaded.flat();
    expect(flat.map((value) => value === null)).toEqual(values.map((value) => value === null));
    const cur = await connection.execute(
      `SELECT ${serverParts} FROM unnest(%s) WITH ORDINALITY AS sent (v, n) WHERE v IS NOT NULL ORDER BY n`,
      [loaded],
    );
    const server = (await cur.fetchall()).map(([each]) => each as string);
    const own = flat.filter((value) => value !== null).map((value) => parts(value as never));
    expect(server, `seed ${String(seed)}`).toEqual(own);
    const back = (await one(connection, 'SELECT %s', loaded)) as unknown[][];
    expect(shown(back), `seed ${String(seed)}`).toEqual(shown(loaded));
    expect(await one(connection, `SELECT pg_typeof(%s) = '${name}[]'::regtype`, loaded)).toBe(true);
  });

  it.each(TYPES)('arrays of %s, of up to three dimensions, with lower bounds', async (name) => {
    const { values, seed } = sample(arraysOf(TEMPORAL[name]!.texts), VALUES / 40);
    const wrong = await differences(
      connection,
      `${name}[]`,
      values.map(({ literal }) => literal),
      { plain: values.map(({ plain }) => plain) },
    );
    expect(wrong, `seed ${String(seed)}`).toEqual([]);
  });

  // The server would write the day after Temporal's last day as the end of a range that includes the last day.
  const last = Temporal.PlainDate.from('+275760-09-13');
  /** Two ordered values, either of which may be missing, with any bounds. */
  const rangesOf = (name: string): fc.Arbitrary<Range<unknown>> => {
    const values = TEMPORAL[name]!.values.filter(
      (value) => !(value instanceof Temporal.PlainDate && value.equals(last)),
    );
    const bound = fc.option(values, { freq: 8 });
    return fc.tuple(bound, bound, fc.constantFrom('[)', '(]', '[]', '()')).map(([a, b, bounds]) => {
      const [lower, upper] = a !== null && b !== null && isAfter(a, b) ? [b, a] : [a, b];
      return new Range(lower, upper, bounds);
    });
  };
  const isAfter = (a: unknown, b: unknown): boolean =>
    a instanceof Temporal.PlainDate
      ? Temporal.PlainDate.compare(a, b as Temporal.PlainDate) > 0
      : a instanceof Temporal.PlainDateTime
        ? Temporal.PlainDateTime.compare(a, b as Temporal.PlainDateTime) > 0
        : (a as Temporal.Instant).epochNanoseconds > (b as Temporal.Instant).epochNanoseconds;
  const RANGES = [
    ['date', 'daterange', 'datemultirange'],
    ['timestamp', 'tsrange', 'tsmultirange'],
    ['timestamptz', 'tstzrange', 'tstzmultirange'],
  ] as const;

  it.each(RANGES)('ranges of %s', async (name, rangeType) => {
    const { values, seed } = sample(rangesOf(name), VALUES / 20);
    const list = values
      .map(({ bounds }, i) => `(${String(i)}, %s, %s::${name}, %s::${name}, '${bounds}')`)
      .join();
    const cur = await connection.execute(
      `SELECT r = ${rangeType}(lower, upper, bounds), pg_typeof(r)::text, r, lower(r), upper(r), lower_inc(r), upper_inc(r)
       FROM (VALUES ${list}) AS sent (n, r, lower, upper, bounds) ORDER BY n`,
      values.flatMap((range) => [range, range.lower, range.upper]),
    );
    const rows = await cur.fetchall();
    expect(rows.length).toBe(values.length);
    for (const [same, type, loaded, lower, upper, lowerInc, upperInc] of rows) {
      expect([same, type], `seed ${String(seed)}`).toEqual([true, rangeType]);
      expect(loaded).toBeInstanceOf(Range);
      const range = loaded as Range<unknown>;
      expect(shown([range.lower, range.upper])).toEqual(shown([lower, upper]));
      expect([range.lowerInc, range.upperInc]).toEqual([lowerInc, upperInc]);
    }
  });

  it.each(RANGES)('multiranges of %s, and arrays of ranges', async (name, rangeType, multirangeType) => {
    const { values, seed } = sample(fc.array(rangesOf(name), { maxLength: 4 }), 200);
    for (const ranges of values.filter((each) => each.length > 0)) {
      const cur = await connection.execute(
        `SELECT m = ${multirangeType}(VARIADIC r), m, ARRAY(SELECT unnest(m))
         FROM (SELECT %s::${multirangeType}, %s::${rangeType}[]) AS sent (m, r)`,
        [new Multirange(ranges), ranges],
      );
      const [same, loaded, parts] = (await cur.fetchone())!;
      expect(same, `seed ${String(seed)}`).toBe(true);
      expect(loaded).toBeInstanceOf(Multirange);
      expect(shown(loaded)).toEqual(shown(parts));
    }
  });

  it('a range has a working contains()', async () => {
    const cur = await connection.execute(
      "SELECT '[2024-02-28,2024-03-01)'::daterange, '(,2024-02-28 12:00+00]'::tstzrange",
    );
    const [days, time] = (await cur.fetchone()) as [Range<Temporal.PlainDate>, Range<Temporal.Instant>];
    expect(days.contains(Temporal.PlainDate.from('2024-02-29'))).toBe(true);
    expect(days.contains(Temporal.PlainDate.from('2024-03-01'))).toBe(false);
    expect(time.contains(Temporal.Instant.from('2024-02-28T12:00Z'))).toBe(true);
    expect(time.contains(Temporal.Instant.from('2024-02-28T12:00:00.000001Z'))).toBe(false);
    expect(
      days.equals(new Range(Temporal.PlainDate.from('2024-02-28'), Temporal.PlainDate.from('2024-03-01'))),
    ).toBe(true);
    expect(String(days)).toBe('[2024-02-28, 2024-03-01)');
  });

  it('composites with fields of the six types, and of arrays and ranges of them', async () => {
    const conn = await connect();
    registerTemporal(conn, { Temporal });
    await conn.execute(
      `CREATE TYPE pg_temp.shift AS (date date, time time, timetz timetz, timestamp timestamp,
       timestamptz timestamptz, "interval" interval, days date[], during tsrange)`,
    );
    const info = (await CompositeInfo.fetch(conn, 'pg_temp.shift'))!;
    registerComposite(info, conn);
    const shift = fc
      .tuple(
        ...TYPES.map((name) => fc.option(TEMPORAL[name]!.values, { freq: 8 })),
        fc.array(TEMPORAL['date']!.values, { minLength: 1, maxLength: 3 }),
        rangesOf('timestamp').filter(
          ({ lower, upper }) => lower === null || upper === null || isAfter(upper, lower),
        ),
      )
      .map((values) => Object.fromEntries(info.fieldNames.map((name, i) => [name, values[i]])));
    const { values, seed } = sample(shift, 500);
    const cur = await conn.execute(`SELECT s, (s).* FROM unnest(%s) AS s`, [
      values.map((value) => new Composite(info, value)),
    ]);
    const rows = await cur.fetchall();
    expect(rows.length).toBe(values.length);
    rows.forEach(([loaded, ...fields], i) => {
      expect(shown(Object.values(loaded as object)), `seed ${String(seed)}`).toEqual(shown(fields));
      for (const [j, name] of TYPES.entries()) {
        const sent = values[i]![name];
        const { parts } = TEMPORAL[name]!;
        expect(fields[j] === null ? null : parts(fields[j] as never)).toBe(
          sent === null ? null : parts(sent as never),
        );
      }
    });
  });
});

describe.each([
  ['a statement that is not prepared', false],
  ['a prepared statement', true],
])('by %s', (_, prepare) => {
  it.each(TYPES)('%s is loaded and sent exactly', async (name) => {
    const { parts, values } = TEMPORAL[name]!;
    const sent = sample(values, 50);
    const cur = connection.cursor();
    for (const value of sent.values) {
      await cur.execute('SELECT %s, %s', [value, [value]], { prepare });
      const [one, [element]] = (await cur.fetchone()) as [unknown, [unknown]];
      const back = [one, element].map((each) => parts(each as never));
      expect(back, `seed ${String(sent.seed)}`).toEqual([parts(value as never), parts(value as never)]);
    }
  });
});

it('a statement prepared before the registration loads like one prepared after it, and unchanged for other cursors', async () => {
  const conn = await connect({ autocommit: true });
  const earlier = conn.cursor();
  const query =
    "SELECT date '2024-02-28', time '12:34:56.789012', timetz '12:00+05:45', timestamp '2024-02-28 12:00'," +
    " timestamptz '2024-02-28 12:00:00.123456Z', interval '1 day', ARRAY[timestamptz '2024-02-28 12:00:00.123456Z']";
  const row = async (cur: AsyncCursor): Promise<unknown> =>
    (await cur.execute(query, undefined, { prepare: true })).fetchone();
  const texts = await row(earlier);
  expect(texts).toContainEqual(new Date('2024-02-28T12:00:00.123Z'));
  registerTemporal(conn, { Temporal });
  const later = conn.cursor();
  for (let i = 0; i < 2; i++) {
    expect(shown(await row(later))).toEqual([
      'PlainDate 2024-02-28',
      'PlainTime 12:34:56.789012',
      'OffsetTime 12:00:00+05:45',
      'PlainDateTime 2024-02-28T12:00:00',
      'Instant 2024-02-28T12:00:00.123456Z',
      'Duration P1D',
      ['Instant 2024-02-28T12:00:00.123456Z'],
    ]);
    expect(await row(earlier)).toEqual(texts);
  }
});

describe('a literal, put into the query on the client,', () => {
  it.each(TYPES)('of %s is the same value', async (name) => {
    const { parts, values } = TEMPORAL[name]!;
    const sent = sample(values, 200);
    const cur = new AsyncClientCursor(connection);
    for (const value of sent.values) {
      await cur.execute('SELECT %s, %s', [value, [value, null]]);
      const [one, [element]] = (await cur.fetchone()) as [unknown, [unknown]];
      const back = [one, element].map((each) => parts(each as never));
      expect(back, `seed ${String(sent.seed)}`).toEqual([parts(value as never), parts(value as never)]);
      const text = await (await connection.execute(sql`SELECT ${sql.Literal(value)}`)).fetchone();
      expect(parts(text![0] as never)).toEqual(parts(value as never));
    }
  });

  it('has the cast to its type', () => {
    const cur = new AsyncClientCursor(connection);
    const values = [
      Temporal.PlainDate.from('-000043-03-15'),
      Temporal.PlainTime.from('12:00'),
      new OffsetTime(Temporal.PlainTime.from('12:00'), '-08'),
      Temporal.PlainDateTime.from('2024-02-28T12:00:00.000001'),
      Temporal.Instant.from('2024-02-28T12:00Z'),
      Temporal.Duration.from('-P1Y2DT90.5S'),
      [Temporal.PlainDate.from('2024-02-28')],
    ];
    expect(values.map((value) => cur.mogrify('%s', [value]))).toEqual([
      "'0044-03-15 BC'::date",
      "'12:00:00'::time",
      "'12:00:00-08'::timetz",
      "'2024-02-28T12:00:00.000001'::timestamp",
      "'2024-02-28T12:00:00+00'::timestamptz",
      "'P-1Y-2DT-1M-30.5S'::interval",
      "'{2024-02-28}'::date[]",
    ]);
  });
});

describe('the value', () => {
  it('of a ZonedDateTime is its instant, also when the clock shows the same time twice', async () => {
    for (const text of [
      '2024-10-27T02:30:00.000001+02:00[Europe/Berlin]',
      '2024-10-27T02:30:00.000001+01:00[Europe/Berlin]',
      '1883-11-18T12:03:57-04:56:02[America/New_York]',
      '2024-02-28T12:00:00+05:45[Asia/Kathmandu]',
    ]) {
      const zoned = Temporal.ZonedDateTime.from(text);
      const back = (await one(connection, 'SELECT %s', zoned)) as Temporal.Instant;
      expect(back.equals(zoned.toInstant())).toBe(true);
    }
  });

  it.each(['hebrew', 'japanese', 'buddhist', 'persian', 'islamic-civil', 'gregory'])(
    'of a date in the calendar %s is its day',
    async (calendar) => {
      const conn = await connect();
      for (const api of [FullTemporal, JsTemporal as unknown as typeof FullTemporal]) {
        registerTemporal(conn, { Temporal: api });
        const day = api.PlainDate.from('2024-02-28').withCalendar(calendar);
        const time = api.PlainDateTime.from('2024-02-28T12:34:56.000001').withCalendar(calendar);
        const instant = api.ZonedDateTime.from('2024-02-28T12:34:56+01:00[Europe/Berlin]').withCalendar(
          calendar,
        );
        const cur = await conn.execute("SELECT %s::text, %s::text, %s = '2024-02-28T11:34:56Z', %s::text", [
          day,
          time,
          instant,
          [day],
        ]);
        expect(await cur.fetchone()).toEqual([
          '2024-02-28',
          '2024-02-28 12:34:56.000001',
          true,
          '{2024-02-28}',
        ]);
      }
    },
  );

  it('of an instance of a subclass is its base class’s', async () => {
    class Birthday extends Temporal.PlainDate {}
    expect(shown(await one(connection, 'SELECT %s', new Birthday(2024, 2, 29)))).toBe('PlainDate 2024-02-29');
  });

  it.each<[string, unknown, string, string]>([
    ['PlainDate', Temporal.PlainDate.from('-000043-03-15'), 'date', '0044-03-15 BC'],
    ['PlainTime', Temporal.PlainTime.from('23:59:59.999999'), 'time without time zone', '23:59:59.999999'],
    [
      'PlainDateTime',
      Temporal.PlainDateTime.from('+012345-06-07T08:09'),
      'timestamp without time zone',
      '12345-06-07 08:09:00',
    ],
    [
      'Instant',
      Temporal.Instant.from('2024-01-02T03:04:05.678901+05:45'),
      'timestamp with time zone',
      '2024-01-01 21:19:05.678901+00',
    ],
    [
      'ZonedDateTime',
      Temporal.ZonedDateTime.from('2024-07-02T03:04[Europe/Berlin]'),
      'timestamp with time zone',
      '2024-07-02 01:04:00+00',
    ],
    [
      'Duration',
      Temporal.Duration.from('-P1Y2M3W4DT5H6M7.000008S'),
      'interval',
      '-1 years -2 mons -25 days -05:06:07.000008',
    ],
    [
      'Duration of many seconds',
      Temporal.Duration.from({ seconds: 9_223_372_036_854, microseconds: 775_807 }),
      'interval',
      '2562047788:00:54.775807',
    ],
    ['Duration of nothing', new Temporal.Duration(), 'interval', '00:00:00'],
    [
      'OffsetTime',
      new OffsetTime(Temporal.PlainTime.from('09:30'), '-00:19:32'),
      'time with time zone',
      '09:30:00-00:19:32',
    ],
  ])('of a %s has its type, alone and within an array', async (_, value, type, text) => {
    await withSettings({ TimeZone: 'UTC' }, async () => {
      const query = 'SELECT pg_typeof(%s)::text, %s::text, pg_typeof(%s)::text';
      const cur = await connection.execute(query, [value, value, [value, null]]);
      expect(await cur.fetchone()).toEqual([type, text, `${type}[]`]);
    });
  });

  it('of the longest interval, which the server writes but does not read, is loaded and sent', async () => {
    for (const text of ['-9223372036854775808 microseconds', '-2147483648 months', '-2147483648 days']) {
      const duration = await one(connection, `SELECT interval '${text}'`);
      expect(duration).toBeInstanceOf(Temporal.Duration);
      expect(await one(connection, `SELECT %s = interval '${text}'`, duration)).toBe(true);
    }
  });

  it('zero has no sign', async () => {
    for (const text of ['0', '-00:00:01', '-1 day', '-1 mon', '-00:01', '00:00:00.000001']) {
      const value = (await one(connection, 'SELECT %s::interval', text)) as Temporal.Duration;
      const { years, months, weeks, days, hours, minutes, seconds, milliseconds, microseconds } = value;
      const units = [years, months, weeks, days, hours, minutes, seconds, milliseconds, microseconds];
      expect(units.filter((unit) => Object.is(unit, -0))).toEqual([]);
    }
    const zero = new Temporal.Duration(-0, -0, -0, -0, -0);
    expect(await one(connection, 'SELECT %s::text', zero)).toBe('00:00:00');
  });
});

const NOT_HELD = [
  ['date', 'infinity', 'PlainDate'],
  ['date', '-infinity', 'PlainDate'],
  ['date', '275760-09-14', 'PlainDate'],
  ['date', '5874897-12-31', 'PlainDate'],
  ['time', '24:00:00', 'PlainTime'],
  ['timetz', '24:00:00+05:45', 'PlainTime'],
  ['timestamp', 'infinity', 'PlainDateTime'],
  ['timestamp', '-infinity', 'PlainDateTime'],
  ['timestamp', '275760-09-14 00:00:00', 'PlainDateTime'],
  ['timestamp', '294276-12-31 23:59:59.999999', 'PlainDateTime'],
  ['timestamptz', 'infinity', 'Instant'],
  ['timestamptz', '-infinity', 'Instant'],
  ['timestamptz', '275760-09-13 00:00:00.000001+00', 'Instant'],
  ['timestamptz', '294276-12-31 23:59:59.999999+00', 'Instant'],
  ['interval', '1 mon -1 days', 'Duration'],
  ['interval', '-1 years +00:00:00.000001', 'Duration'],
  ['interval', '1 day -00:00:01', 'Duration'],
] as const;

describe('a value that Temporal cannot hold raises a DataError, and the connection stays usable:', () => {
  const refusal = async (work: Promise<unknown>): Promise<string> => {
    const error = await rejection(work);
    expect(error).toBeInstanceOf(errors.DataError);
    return error.message;
  };

  it.each(NOT_HELD)('%s %s', async (type, text, name) => {
    await withSettings({ TimeZone: 'UTC' }, async () => {
      const why = `the ${type} '${text}' can't be held by a Temporal.${name}`;
      expect(await refusal(one(connection, `SELECT '${text}'::${type}`))).toContain(why);
      expect(await refusal(one(connection, `SELECT ARRAY['${text}'::${type}]`))).toContain(why);
      expect(await one(connection, `SELECT '${text}'::${type}::text`)).toBe(text);
    });
  });

  it('the infinite intervals of PostgreSQL 17', async ({ skip }) => {
    if (connection.info.serverVersion < 170_000) skip('the server has none');
    for (const text of ['infinity', '-infinity']) {
      const why = `the interval '${text}' can't be held by a Temporal.Duration`;
      expect(await refusal(one(connection, `SELECT '${text}'::interval`))).toContain(why);
    }
  });

  it('a value within a range, also within a transaction', async () => {
    const conn = await connect();
    registerTemporal(conn, { Temporal });
    await conn.execute('CREATE TEMP TABLE kept (n int)');
    expect(await refusal(one(conn, "SELECT '[2024-01-01,infinity]'::daterange"))).toContain(
      "the date 'infinity'",
    );
    expect(await refusal(one(conn, "SELECT '{[2024-01-01,infinity)}'::tsmultirange"))).toContain(
      "the timestamp 'infinity'",
    );
    await conn.execute('INSERT INTO kept VALUES (1)');
    expect(await one(conn, 'SELECT n FROM kept')).toBe(1);
  });

  it('nanoseconds that the server would round', async () => {
    const finer: readonly [unknown, string][] = [
      [Temporal.PlainTime.from('12:00:00.000000001'), '12:00:00.000000001'],
      [Temporal.PlainDateTime.from('2024-02-28T12:00:00.123456789'), '2024-02-28T12:00:00.123456789'],
      [Temporal.Instant.from('2024-02-28T12:00:00.1234567Z'), '2024-02-28T12:00:00.1234567Z'],
      [Temporal.ZonedDateTime.from('2024-02-28T12:00:00.1234567[UTC]'), '2024-02-28T12:00:00.1234567Z'],
      [Temporal.Duration.from({ nanoseconds: -1 }), '-PT0.000000001S'],
      [Temporal.Duration.from({ days: 1, microseconds: 1, nanoseconds: 1001 }), 'P1DT0.000002001S'],
      [new OffsetTime(Temporal.PlainTime.from('12:00:00.1234567'), '+01'), '12:00:00.1234567+01'],
    ];
    for (const [value, text] of finer) {
      const why = `${text} has nanoseconds, but PostgreSQL keeps microseconds`;
      expect(await refusal(one(connection, 'SELECT %s, %s', 1, value))).toContain(`$2: ${why}`);
      expect(await refusal(one(connection, 'SELECT %s', [value]))).toContain(`$1[0]: ${why}`);
      expect(await refusal(one(connection, 'SELECT %s', new Range(value, null)))).toContain(
        `$1.lower: ${why}`,
      );
      expect(() => new AsyncClientCursor(connection).mogrify('%s', [value])).toThrow(why);
    }
    expect(await one(connection, 'SELECT %s', 1)).toBe(1);
    // Nanoseconds that are whole microseconds need no rounding.
    const whole = Temporal.Duration.from({ nanoseconds: 3000 });
    expect(await one(connection, 'SELECT %s::text', whole)).toBe('00:00:00.000003');
  });

  it('the server refuses a Temporal value that PostgreSQL cannot hold', async () => {
    for (const value of [
      Temporal.PlainDate.from('-271821-04-19'),
      Temporal.PlainDateTime.from('-004713-11-23T23:59:59.999999'),
      Temporal.Instant.from('-271821-04-20T00:00Z'),
      Temporal.Duration.from({ years: 2 ** 32 - 1 }),
      Temporal.Duration.from({ days: 2 ** 31 }),
      Temporal.Duration.from({ seconds: 2 ** 53 - 1 }),
    ]) {
      expect(await refusal(one(connection, 'SELECT %s', value))).toMatch(/out of range/);
    }
  });
});

describe('is refused with advice:', () => {
  const refusal = async (value: unknown): Promise<string> => {
    const error = await rejection(one(connection, 'SELECT %s, %s', 1, value));
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    return error.message;
  };

  it('a year and month, or a month and day, which PostgreSQL has no type for', async () => {
    for (const value of [
      Temporal.PlainYearMonth.from('2024-02'),
      Temporal.PlainMonthDay.from('02-28'),
      JsTemporal.PlainYearMonth.from('2024-02'),
      JsTemporal.PlainMonthDay.from('02-28'),
    ]) {
      const name = `Temporal.${value.constructor.name}`;
      expect(await refusal(value)).toContain(`$2: PostgreSQL has no type for a ${name}; send its text`);
    }
  });

  it('a value of an implementation that is not registered', async () => {
    for (const value of [
      JsTemporal.PlainDate.from('2024-02-28'),
      JsTemporal.ZonedDateTime.from('2024-02-28T12:00[UTC]'),
      FullTemporal.Instant.from('2024-02-28T12:00Z'),
    ]) {
      expect(await refusal(value)).toMatch(
        /^\$2: a Temporal\.\w+ can't be sent unless registerTemporal\(conn, \{ Temporal \}\).*that made it/,
      );
    }
    const conn = await connect();
    registerTemporal(conn, { Temporal: JsTemporal });
    registerTemporal(conn, { Temporal });
    const day = await one(conn, 'SELECT %s + 1', JsTemporal.PlainDate.from('2024-02-28'));
    expect(day).toBeInstanceOf(Temporal.PlainDate);
    expect(String(day)).toBe('2024-02-29');
  });

  it('a value on a connection without a registration', async () => {
    const conn = await connect();
    const error = await rejection(one(conn, 'SELECT %s', Temporal.PlainDate.from('2024-02-28')));
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    expect(error.message).toMatch(/^\$1: a Temporal\.PlainDate can't be sent unless registerTemporal\(/);
  });

  it('an object that is not Temporal', async () => {
    const conn = await connect();
    const { PlainDate, PlainTime, PlainDateTime, Instant, ZonedDateTime } = Temporal;
    const incomplete = { PlainDate, PlainTime, PlainDateTime, Instant, ZonedDateTime };
    for (const api of [incomplete, {}, 5, 'Temporal', () => Temporal]) {
      expect(() => {
        registerTemporal(conn, { Temporal: api as never });
      }).toThrow(errors.ProgrammingError);
    }
    expect(() => {
      registerTemporal(conn, { Temporal: incomplete as never });
    }).toThrow('the Temporal given to registerTemporal() has no Duration');
    expect(() => {
      registerTemporal({ Temporal } as never);
    }).toThrow(errors.ProgrammingError);
    // Nothing has been registered.
    expect(await one(conn, "SELECT date '2024-02-28'")).toBe('2024-02-28');
  });
});

describe('registerTemporal()', () => {
  const DATE = "SELECT date '2024-02-28'";
  const isDate = async (on: AsyncConnection | AsyncCursor): Promise<boolean> => {
    const day = await one(on, DATE);
    if (typeof day !== 'string') expect(day).toBeInstanceOf(Temporal.PlainDate);
    return typeof day !== 'string';
  };

  it('applies to a connection and its cursors made from then on', async () => {
    const conn = await connect();
    const earlier = conn.cursor();
    registerTemporal(conn, { Temporal });
    expect(await isDate(conn)).toBe(true);
    expect(await isDate(conn.cursor())).toBe(true);
    expect(await isDate(earlier)).toBe(false);
    expect(await isDate(await connect())).toBe(false);
  });

  it('applies to a cursor alone', async () => {
    const conn = await connect();
    const cur = conn.cursor();
    registerTemporal(cur, { Temporal });
    expect(await isDate(cur)).toBe(true);
    expect(await isDate(conn)).toBe(false);
    await using named = conn.cursor({ name: 'days' });
    registerTemporal(named, { Temporal });
    expect(await isDate(named)).toBe(true);
  });

  it('applies to an adapters map, such as a connection’s', async () => {
    const conn = await connect();
    registerTemporal(conn.adapters, { Temporal });
    expect(await isDate(conn)).toBe(true);
    const map = adapters.clone();
    registerTemporal(map, { Temporal });
    expect(load('date', '2024-02-28', map)).toBeInstanceOf(Temporal.PlainDate);
    expect(load('date', '2024-02-28')).toBe('2024-02-28');
    expect(await isDate(await connect({ context: map }))).toBe(true);
  });

  it.each([undefined, null])(
    'without a context (%s) applies to all connections made from then on',
    async (context) => {
      // A separate copy of the package, since a global registration remains.
      vi.resetModules();
      const copy = await import('../../src/index.js');
      await using earlier = await copy.AsyncConnection.connect(dsn());
      copy.registerTemporal(context, { Temporal });
      await using later = await copy.AsyncConnection.connect(dsn());
      expect(await isDate(later as never)).toBe(true);
      expect(await isDate(earlier as never)).toBe(false);
      expect(await one(later as never, 'SELECT %s::text', Temporal.PlainDate.from('2024-02-28'))).toBe(
        '2024-02-28',
      );
    },
  );

  it("uses the runtime's Temporal by default", async () => {
    const conn = await connect();
    vi.stubGlobal('Temporal', Temporal);
    try {
      registerTemporal(conn);
    } finally {
      vi.unstubAllGlobals();
    }
    expect(await isDate(conn)).toBe(true);
  });

  it('raises an error with advice if the runtime has no Temporal', () => {
    vi.stubGlobal('Temporal', undefined);
    try {
      const register = (): void => {
        registerTemporal(adapters.clone());
      };
      expect(register).toThrow(errors.NotSupportedError);
      expect(register).toThrow(/this runtime has no Temporal.*registerTemporal\(conn, \{ Temporal \}\)/);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('works as in its examples', async () => {
    const conn = await connect();
    registerTemporal(conn, { Temporal });
    const cur = await conn.execute('SELECT %s + 1', [Temporal.PlainDate.from('2024-02-28')]);
    const [day] = (await cur.fetchone())!;
    expect(shown(day)).toBe('PlainDate 2024-02-29');
    await conn.execute('CREATE TEMP TABLE shop (opens timetz)');
    await conn.execute('INSERT INTO shop (opens) VALUES (%s)', [
      new OffsetTime(Temporal.PlainTime.from('09:30'), '+05:45'),
    ]);
    const opens = (await one(conn, 'SELECT opens FROM shop')) as OffsetTime<Temporal.PlainTime>;
    expect(String(opens)).toBe('09:30:00+05:45');
    expect(opens.time.hour).toBe(9);
    expect(opens.time).toBeInstanceOf(Temporal.PlainTime);
    expect(JSON.stringify({ opens })).toBe('{"opens":"09:30:00+05:45"}');
    expect(opens.equals(new OffsetTime(Temporal.PlainTime.from('09:30'), '+05:45'))).toBe(true);
    expect(opens.equals(new OffsetTime(Temporal.PlainTime.from('09:30'), '+05:30'))).toBe(false);
  });
});

describe('an OffsetTime', () => {
  const noon = Temporal.PlainTime.from('12:00');

  it('has the server’s order', async () => {
    const time = fc.oneof(
      TEMPORAL['timetz']!.values,
      // The same time in UTC.
      fc.integer({ min: -11, max: 11 }).map((hours) => {
        const offset = `${hours < 0 ? '-' : '+'}${String(Math.abs(hours)).padStart(2, '0')}`;
        return new OffsetTime(noon.add({ hours }), offset);
      }),
    );
    const { values, seed } = sample(fc.tuple(time, time) as fc.Arbitrary<[OffsetTime, OffsetTime]>, 1000);
    const list = values.map((_, i) => `(${String(i)}, timetz_cmp(%s, %s))`).join();
    const cur = await connection.execute(
      `SELECT * FROM (VALUES ${list}) AS compared ORDER BY 1`,
      values.flat(),
    );
    const server = (await cur.fetchall()).map(([, order]) => order as number);
    expect(new Set(server)).toEqual(new Set([-1, 0, 1]));
    expect(
      values.map(([one, two]) => OffsetTime.compare(one, two)),
      `seed ${String(seed)}`,
    ).toEqual(server);
  });

  it('equals another one of the same time and offset, in any notation', () => {
    const one = new OffsetTime(noon, '+01');
    expect(one.equals(new OffsetTime(JsTemporal.PlainTime.from('12:00'), '+01:00:00'))).toBe(true);
    expect(OffsetTime.compare(new OffsetTime(noon, '+00'), new OffsetTime(noon, '-00:00'))).toBe(0);
    expect(one.equals(new OffsetTime(noon.add({ hours: 1 }), '+02'))).toBe(false);
    expect(one.equals(new OffsetTime(Temporal.PlainTime.from('12:00:00.000000001'), '+01'))).toBe(false);
  });

  it('can be a bound of a range', () => {
    const range = new Range(new OffsetTime(noon, '+00'), new OffsetTime(noon, '-01'));
    expect(range.contains(new OffsetTime(noon, '-00:30'))).toBe(true);
    expect(range.contains(new OffsetTime(noon, '+00:30'))).toBe(false);
    expect(range.equals(new Range(new OffsetTime(noon, '-00'), new OffsetTime(noon, '-01:00')))).toBe(true);
  });

  it('is sent without any registration', async () => {
    const conn = await connect();
    const value = new OffsetTime(noon, '-15:59:59');
    expect(await one(conn, 'SELECT %s::text', value)).toBe('12:00:00-15:59:59');
    expect(await one(conn, 'SELECT pg_typeof(%s)::text', value)).toBe('time with time zone');
  });

  it.each([
    '12:00',
    new Date(0),
    null,
    Temporal.PlainDate.from('2024-02-28'),
    Temporal.PlainDateTime.from('2024-02-28T12:00'),
  ])('has no time that is %s', (time) => {
    expect(() => new OffsetTime(time as never, '+01')).toThrow(errors.DataError);
    expect(() => new OffsetTime(time as never, '+01')).toThrow(/takes a Temporal\.PlainTime/);
  });

  it.each([
    '',
    'Z',
    '01',
    '+1',
    '+16',
    '+01:60',
    '+01:00:60',
    '+01:00:00.5',
    'Europe/Berlin',
    '+01 ',
    60,
    undefined,
  ])('has no offset that is %j', (offset) => {
    expect(() => new OffsetTime(noon, offset as never)).toThrow(errors.DataError);
    expect(() => new OffsetTime(noon, offset as never)).toThrow(/takes an offset such as '\+05:45'/);
  });
});
