import { expect, it } from 'vitest';
import { errors, type AsyncConnection } from '../../src/index.js';
import { connect } from '../support/database.js';

// Dates and times in every style that a session may have, in time zones with all kinds of abbreviations: COPY and queries must load what
// they load under ISO, or raise an error.

const DATE_STYLES = ['ISO', 'SQL', 'Postgres', 'German'].flatMap((style) =>
  ['MDY', 'DMY', 'YMD'].map((order) => `${style}, ${order}`),
);
const TIME_ZONES = [
  'UTC',
  'GMT',
  'Etc/GMT+5',
  'Europe/Berlin',
  'Europe/London',
  'America/New_York',
  'America/St_Johns',
  'America/Sao_Paulo',
  'Asia/Kathmandu',
  'Asia/Kolkata',
  'Africa/Monrovia',
  'EST5EDT',
  'EST',
  '<+0530>-05:30',
  '<UTC>5',
  'XYZ-3:30',
];
const VALUES: readonly [type: string, values: readonly string[]][] = [
  ['date', ['2024-02-01', '2024-12-11', '0044-03-15 BC', '12345-01-02', 'infinity', '-infinity']],
  ['timestamp', ['2024-02-01 03:04:05', '2024-07-08 23:59:59.123456', '0044-03-15 01:02:03 BC', 'infinity']],
  [
    'timestamptz',
    [
      '2024-02-01 03:04:05+00',
      '2024-07-08 23:59:59.123+00',
      '1900-01-02 03:04:05+00',
      '1971-06-07 08:09:10+00',
      '0044-03-15 01:02:03+00 BC',
    ],
  ],
];
const COLUMNS = VALUES.flatMap(([type, values]) => [
  ...values.map((value) => ({ type, sql: `'${value}'::${type}` })),
  { type: `${type}[]`, sql: `ARRAY[${values.map((value) => `'${value}'`).join()}]::${type}[]` },
  ...(type === 'date' ? [] : [rangeOf(type, values[0]!)]),
]);

function rangeOf(type: string, value: string): { type: string; sql: string } {
  const range = type === 'timestamp' ? 'tsrange' : 'tstzrange';
  return { type: range, sql: `${range}('${value}', NULL)` };
}

/** What was loaded, or that it was refused by an error that is no fault of the server. */
async function outcome(load: () => Promise<unknown>): Promise<unknown> {
  try {
    return await load();
  } catch (error) {
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as errors.DataError).sqlstate).toBeNull();
    return 'refused';
  }
}

async function queried(conn: AsyncConnection, sql: string, prepare: boolean): Promise<unknown> {
  return (await (await conn.execute(`SELECT ${sql}`, [], { prepare })).fetchone())![0];
}

function copied(conn: AsyncConnection, sql: string, type: string, format: string): Promise<unknown> {
  return conn.cursor().withCopy(`COPY (SELECT ${sql}) TO STDOUT (FORMAT ${format})`, async (copy) => {
    copy.setTypes([type]);
    const row = await copy.readRow();
    expect(await copy.readRow()).toBeNull();
    return row![0];
  });
}

it.each(TIME_ZONES)('in the time zone %s', async (timeZone) => {
  const conn = await connect({ autocommit: true });
  await conn.execute("SELECT set_config('TimeZone', 'UTC', false)");
  const expected: unknown[] = [];
  for (const { sql } of COLUMNS) expected.push(await queried(conn, sql, false));
  await conn.execute("SELECT set_config('TimeZone', %s, false)", [timeZone]);
  let refused = 0;
  for (const style of DATE_STYLES) {
    await conn.execute("SELECT set_config('DateStyle', %s, false)", [style]);
    for (const [i, { sql, type }] of COLUMNS.entries()) {
      const place = `${sql} with ${style}`;
      const byQuery = await outcome(() => queried(conn, sql, false));
      if (byQuery === 'refused') refused++;
      else expect(byQuery, place).toEqual(expected[i]);
      expect(await outcome(() => copied(conn, sql, type, 'text')), `COPY of ${place}`).toEqual(byQuery);
      expect(await copied(conn, sql, type, 'binary'), `binary COPY of ${place}`).toEqual(expected[i]);
      const prepared = await outcome(() => queried(conn, sql, true));
      expect([expected[i], 'refused'], `prepared ${place}`).toContainEqual(prepared);
      if (style.startsWith('ISO') || type.startsWith('date')) expect(byQuery, place).not.toBe('refused');
    }
  }
  // Only abbreviations in letters are ambiguous.
  if (timeZone === 'UTC') expect(refused).toBe(0);
  if (timeZone === 'Europe/Berlin') expect(refused).toBeGreaterThan(0);
});

it.each(TIME_ZONES)('rows are stored as the values that they are, in the time zone %s', async (timeZone) => {
  const conn = await connect({ autocommit: true });
  const moment = new Date('2024-02-01T03:04:05.678Z');
  await conn.execute('CREATE TEMP TABLE dated (d date, t timestamp, z timestamptz, a timestamptz[])');
  await conn.execute("SELECT set_config('TimeZone', %s, false)", [timeZone]);
  for (const style of DATE_STYLES) {
    await conn.execute("SELECT set_config('DateStyle', %s, false)", [style]);
    for (const format of ['text', 'binary']) {
      await conn.cursor().withCopy(`COPY dated FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(['date', 'timestamp', 'timestamptz', 'timestamptz[]']);
        await copy.writeRow(['2024-02-01', '2024-02-01 03:04:05.678', moment, [moment, null]]);
      });
      const cur = await conn.execute(
        `SELECT d = '2024-02-01'::date, t = '2024-02-01 03:04:05.678'::timestamp, z = '2024-02-01 03:04:05.678+00'::timestamptz,
           a = ARRAY['2024-02-01 03:04:05.678+00'::timestamptz, NULL] FROM dated`,
      );
      expect(await cur.fetchall(), `${format} with ${style}`).toEqual([[true, true, true, true]]);
      await conn.execute('TRUNCATE dated');
    }
  }
});
