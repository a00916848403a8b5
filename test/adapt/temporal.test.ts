import { Temporal } from 'temporal-polyfill';
import type fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  adapters,
  AsyncClientCursor,
  AsyncConnection,
  errors,
  Multirange,
  OffsetTime,
  Range,
  registerTemporal,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, dsn } from '../support/database.js';
import { differences, sample } from './judge.js';
import {
  arraysOf,
  clockTime,
  offsetTime,
  reachableDate,
  reachableInstant,
  reachableTimestamp,
  unmixedInterval,
} from './values.js';

const { PlainDate, PlainTime, PlainDateTime, Instant, ZonedDateTime, Duration } = Temporal;

/** Texts of the values that Temporal holds, and the class that they load as. */
const TYPES: readonly (readonly [type: string, texts: fc.Arbitrary<string>, loadedAs: unknown])[] = [
  ['date', reachableDate, PlainDate],
  ['time', clockTime, PlainTime],
  ['timetz', offsetTime, OffsetTime],
  ['timestamp', reachableTimestamp, PlainDateTime],
  ['timestamptz', reachableInstant, Instant],
  ['interval', unmixedInterval, Duration],
];
const VALUES = 5000;

let conn: AsyncConnection;
let cur: AsyncCursor;

beforeAll(async () => {
  conn = await AsyncConnection.connect(dsn(), { autocommit: true });
  registerTemporal(conn, { Temporal });
  return () => conn.close();
});
beforeEach(() => {
  cur = conn.cursor();
});

async function row(query: string, ...params: unknown[]): Promise<unknown[]> {
  await cur.execute(query, params.length === 0 ? undefined : params);
  return (await cur.fetchone())!;
}

describe('a value that Temporal holds is the same to the server when it comes back', () => {
  it.each(TYPES)('%s', async (type, texts, loadedAs) => {
    const { values, seed } = sample(texts, VALUES);
    expect(await differences(conn, type, values), `seed ${String(seed)}`).toEqual([]);
    expect((await row(`SELECT %s::${type}`, values[0]))[0]).toBeInstanceOf(loadedAs);
  });

  it.each(TYPES)('%s[]', async (type, texts) => {
    const { values, seed } = sample(arraysOf(texts), VALUES / 8);
    const wrong = await differences(
      conn,
      `${type}[]`,
      values.map(({ literal }) => literal),
      { plain: values.map(({ plain }) => plain) },
    );
    expect(wrong, `seed ${String(seed)}`).toEqual([]);
  });

  it.each([
    ["SET DateStyle = 'SQL, DMY'; SET TimeZone = 'GMT'; SET IntervalStyle = 'sql_standard'"],
    ["SET DateStyle = 'German'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres_verbose'"],
    ["SET DateStyle = 'Postgres, MDY'; SET TimeZone = 'Etc/UTC'; SET IntervalStyle = 'iso_8601'"],
  ])('after %s', async (settings) => {
    await conn.execute(settings);
    try {
      for (const [type, texts] of TYPES) {
        const { values, seed } = sample(texts, VALUES / 10);
        expect(await differences(conn, type, values), `${type}, seed ${String(seed)}`).toEqual([]);
      }
    } finally {
      await conn.execute('RESET ALL');
    }
  });
});

describe('an object of Temporal', () => {
  it.each<[string, unknown, string, string]>([
    ['PlainDate', PlainDate.from('-000043-03-15'), 'date', '0044-03-15 BC'],
    ['PlainTime', PlainTime.from('23:59:59.999999'), 'time without time zone', '23:59:59.999999'],
    [
      'PlainDateTime',
      PlainDateTime.from('+012345-06-07T08:09'),
      'timestamp without time zone',
      '12345-06-07 08:09:00',
    ],
    [
      'Instant',
      Instant.from('2024-01-02T03:04:05.678901+05:45'),
      'timestamp with time zone',
      '2024-01-01 21:19:05.678901+00',
    ],
    [
      'ZonedDateTime',
      ZonedDateTime.from('2024-07-02T03:04[Europe/Berlin]'),
      'timestamp with time zone',
      '2024-07-02 01:04:00+00',
    ],
    [
      'Duration',
      Duration.from('-P1Y2M3W4DT5H6M7.000008S'),
      'interval',
      '-1 years -2 mons -25 days -05:06:07.000008',
    ],
    ['Duration of nothing', new Duration(), 'interval', '00:00:00'],
    [
      'OffsetTime',
      new OffsetTime(PlainTime.from('09:30'), '-00:19:32'),
      'time with time zone',
      '09:30:00-00:19:32',
    ],
  ])('%s is sent as its type', async (_, value, type, text) => {
    expect(await row('SELECT pg_typeof(%s)::text, %s::text', value, value)).toEqual([type, text]);
    expect(await row('SELECT pg_typeof(%s)::text', [value, null])).toEqual([`${type}[]`]);
    await using client = new AsyncClientCursor(conn);
    await client.execute('SELECT pg_typeof(%s)::text, (%s)::text', [value, value]);
    expect(await client.fetchone()).toEqual([type, text]);
  });

  it('makes ranges and multiranges of its type, which load with such objects', async () => {
    const day = PlainDate.from('2024-02-28');
    const days = new Range(day, day.add({ days: 2 }));
    const instants = new Multirange([new Range(Instant.from('2024-01-02T03:04Z'), null)]);
    const [loadedDays, loadedInstants, types] = (await row(
      'SELECT %s, %s, ARRAY[pg_typeof(%s), pg_typeof(%s)]::text[]',
      days,
      instants,
      days,
      instants,
    )) as [typeof days, typeof instants, string[]];
    expect(loadedDays.equals(days)).toBe(true);
    expect(loadedDays.contains(PlainDate.from('2024-02-29'))).toBe(true);
    expect(loadedInstants.equals(instants)).toBe(true);
    expect(types).toEqual(['daterange', 'tstzmultirange']);
  });

  it.each([
    ['Instant', Instant.from('2024-01-02T03:04:05.0000001Z')],
    ['ZonedDateTime', ZonedDateTime.from('2024-01-02T03:04:05.0000001[UTC]')],
    ['PlainTime', PlainTime.from('00:00:00.000000001')],
    ['PlainDateTime', PlainDateTime.from('2024-01-02T00:00:00.123456789')],
    ['Duration', Duration.from({ nanoseconds: 1 })],
    ['OffsetTime', new OffsetTime(PlainTime.from('00:00:00.0000001'), '+00')],
  ])('with nanoseconds is a DataError: %s', async (_, value) => {
    await expect(row('SELECT %s', [null, value])).rejects.toThrow(/^\$1\[1\]: .* has nanoseconds.*round it/);
    expect(conn.info.transactionStatus).toBe('IDLE');
  });

  it('that no type is for, or whose class is not registered, is refused with what to do', async () => {
    const month = Temporal.PlainYearMonth.from('2024-01');
    await expect(row('SELECT %s', month)).rejects.toThrow(
      /^\$1: PostgreSQL has no type for a Temporal.PlainYearMonth; send its text/,
    );
    const other = await connect();
    const sent = other.execute('SELECT %s', [PlainDate.from('2024-01-02')]);
    await expect(sent).rejects.toThrow(
      /^\$1: a Temporal.PlainDate can't be sent unless registerTemporal\(\)/,
    );
  });
});

describe('what Temporal can not hold is a DataError that says so', () => {
  it.each([
    ["date 'infinity'", /the date 'infinity' can't be held by a Temporal.PlainDate/],
    ["date '300000-01-01'", /the date '300000-01-01' can't be held by a Temporal.PlainDate/],
    ["time '24:00'", /the time '24:00:00' can't be held by a Temporal.PlainTime/],
    ["timetz '24:00-08'", /the timetz '24:00:00-08' can't be held by a Temporal.PlainTime/],
    ["timestamp '-infinity'", /the timestamp '-infinity' can't be held by a Temporal.PlainDateTime/],
    ["timestamptz 'infinity'", /the timestamptz 'infinity' can't be held by a Temporal.Instant/],
    ["timestamptz '294000-01-01+00'", /the timestamptz .* can't be held by a Temporal.Instant/],
    ["interval '1 month -1 day'", /the interval '1 mon -1 days' can't be held by a Temporal.Duration/],
    ["ARRAY[time '24:00']", /the time '24:00:00'/],
  ])('%s', async (value, message) => {
    const error: unknown = await cur.execute(`SELECT ${value}`).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toMatch(/cast it to text to see it$/);
    expect(await row(`SELECT (${value})::text IS NOT NULL`)).toEqual([true]);
  });

  it.each([
    ['a text for a time', '01:02'],
    ['nothing for a time', null],
  ])('and an OffsetTime of %s', (_, time) => {
    expect(() => new OffsetTime(time as never, '+01')).toThrow(errors.DataError);
  });

  it.each(['Z', '+1', '+16', '+01:60', '05:45', ''])('and an OffsetTime with the offset %j', (offset) => {
    expect(() => new OffsetTime(PlainTime.from('01:02'), offset)).toThrow(
      /takes an offset such as '\+05:45'/,
    );
  });
});

describe('registerTemporal()', () => {
  it("takes the runtime's Temporal where none is given, and raises NotSupportedError where there is none", async () => {
    vi.stubGlobal('Temporal', undefined);
    try {
      expect(() => {
        registerTemporal(cur);
      }).toThrow(errors.NotSupportedError);
      vi.stubGlobal('Temporal', Temporal);
      const map = adapters.clone();
      registerTemporal(map);
      const other = await connect({ context: map });
      const [day] = (await (await other.execute("SELECT date '2024-01-02'")).fetchone()) as [unknown];
      expect(day).toBeInstanceOf(PlainDate);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('registers on a cursor for that cursor alone, and changes nothing where it raises', async () => {
    const plain = await connect();
    const one = plain.cursor();
    registerTemporal(one, { Temporal });
    const loaded = async (cursor: AsyncCursor): Promise<unknown> => {
      await cursor.execute("SELECT date '2024-01-02'");
      return (await cursor.fetchone())![0];
    };
    expect(await loaded(one)).toBeInstanceOf(PlainDate);
    expect(() => {
      registerTemporal(plain, { Temporal: { PlainDate } as never });
    }).toThrow(/has no PlainTime/);
    expect(await loaded(plain.cursor())).toBe('2024-01-02');
    expect(() => {
      registerTemporal({} as never, { Temporal });
    }).toThrow(errors.ProgrammingError);
  });
});
