import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { beforeAll, describe, expect, it, test } from 'vitest';
import {
  AsyncConnection,
  errors,
  Multirange,
  Range,
  registerTemporal,
  type AsyncCursor,
} from '../../src/index.js';
import { inChunks, sample } from '../types/server-comparison.js';
import { temporalTypes } from '../types/temporal-values.js';
import { dsn, rejection } from '../support/database.js';

// Compares with the server: Temporal and the server must see the same parts of a value, in both directions.

let connection: AsyncConnection;
let cur: AsyncCursor;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn(), { autocommit: true });
  registerTemporal(connection, { Temporal });
  cur = connection.cursor();
  return () => connection.close();
});

const VALUES = 2000;
const TEMPORAL = temporalTypes(Temporal);
const TYPES = Object.keys(TEMPORAL);

/** Copies rows into a table with these columns, which is dropped after `work`. */
async function copied(
  columns: string,
  format: string,
  rows: readonly (readonly unknown[])[],
  types: readonly string[] | null,
  work: () => Promise<void>,
): Promise<void> {
  await cur.execute(`CREATE TEMP TABLE copied (n int4 GENERATED ALWAYS AS IDENTITY, ${columns})`);
  try {
    const names = columns.replaceAll(/(\w+) [^,]+/g, '$1');
    await cur.withCopy(`COPY copied (${names}) FROM STDIN (FORMAT ${format})`, async (copy) => {
      if (types !== null) copy.setTypes(types);
      for (const row of rows) await copy.writeRow(row);
    });
    expect(cur.rowcount).toBe(rows.length);
    await work();
  } finally {
    await cur.execute('DROP TABLE IF EXISTS copied');
  }
}

async function read(query: string, format: string, types: readonly string[]): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  await cur.withCopy(`COPY (${query}) TO STDOUT (FORMAT ${format})`, async (copy) => {
    copy.setTypes(types);
    for (let row = await copy.readRow(); row !== null; row = await copy.readRow()) rows.push(row);
  });
  return rows;
}

/** The comparable parts of values, and of arrays and ranges of them. */
function partsOf(name: string, value: unknown): unknown {
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((each) => partsOf(name, each));
  if (value instanceof Multirange) return value.ranges.map((each) => partsOf(name, each));
  if (value instanceof Range) return [value.bounds, partsOf(name, value.lower), partsOf(name, value.upper)];
  return TEMPORAL[name]!.parts(value as never);
}

describe.each(['text', 'binary'])('COPY in the %s format', (format) => {
  it.each(TYPES)(`takes ${String(VALUES)} values of %s unchanged, and returns them`, async (name) => {
    const { serverParts, parts, values: arbitrary } = TEMPORAL[name]!;
    const { values, seed } = sample(arbitrary, VALUES);
    const own = values.map((value) => parts(value as never));
    await copied(
      `v ${name}`,
      format,
      values.map((value) => [value]),
      [name],
      async () => {
        await cur.execute(`SELECT ${serverParts} FROM copied ORDER BY n`);
        const server = (await cur.fetchall()).map(([each]) => each as string);
        expect(server.length).toBe(values.length);
        const wrong = server.flatMap((each, i) =>
          each === own[i] ? [] : [{ sent: String(values[i]), server: each }],
        );
        expect(wrong, `seed ${String(seed)}`).toEqual([]);
        const rows = await read('SELECT v FROM copied ORDER BY n', format, [name]);
        expect(rows.length).toBe(values.length);
        const back = rows.flatMap(([value], i) =>
          parts(value as never) === own[i] ? [] : [{ sent: String(values[i]), back: String(value) }],
        );
        expect(back, `seed ${String(seed)}`).toEqual([]);
      },
    );
  });

  it.each(TYPES)('takes %s without setTypes(), with NULLs between', async (name) => {
    const { serverParts, parts, values: arbitrary } = TEMPORAL[name]!;
    const { values, seed } = sample(arbitrary, VALUES / 20);
    const rows = values.flatMap((value) => [[value], [null]]);
    await copied(`v ${name}`, format, rows, null, async () => {
      await cur.execute(`SELECT ${serverParts} FROM copied WHERE v IS NOT NULL ORDER BY n`);
      const server = (await cur.fetchall()).map(([each]) => each as string);
      expect(server, `seed ${String(seed)}`).toEqual(values.map((value) => parts(value as never)));
    });
  });

  it.each(TYPES)('takes and gives arrays of %s', async (name) => {
    const { texts } = TEMPORAL[name]!;
    const pair = fc.array(fc.option(texts), { minLength: 2, maxLength: 2 });
    const { values, seed } = sample(fc.array(pair, { maxLength: 3 }), VALUES / 20);
    // As loaded, so that they have the server's form.
    const arrays = await inChunks(values, async (chunk) => {
      const loaded = await connection.execute(
        `SELECT * FROM (VALUES ${chunk.map(() => `(%s::${name}[])`).join()}) AS sent`,
        chunk,
      );
      return (await loaded.fetchall()).map(([array]) => array as unknown);
    });
    await copied(
      `v ${name}[]`,
      format,
      arrays.map((array) => [array]),
      [`${name}[]`],
      async () => {
        const rows = await read('SELECT v FROM copied ORDER BY n', format, [`${name}[]`]);
        await cur.execute('SELECT v FROM copied ORDER BY n');
        const stored = await cur.fetchall();
        const sent = arrays.map((array) => [partsOf(name, array)]);
        expect(
          stored.map(([array]) => [partsOf(name, array)]),
          `seed ${String(seed)}`,
        ).toEqual(sent);
        expect(
          rows.map(([array]) => [partsOf(name, array)]),
          `seed ${String(seed)}`,
        ).toEqual(sent);
      },
    );
  });

  it.each([
    ['date', 'daterange', 'datemultirange'],
    ['timestamp', 'tsrange', 'tsmultirange'],
    ['timestamptz', 'tstzrange', 'tstzmultirange'],
  ])('takes and gives ranges and multiranges of %s', async (name, rangeType, multirangeType) => {
    const { values, seed } = sample(TEMPORAL[name]!.values, VALUES / 40);
    const types = [rangeType, multirangeType];
    const rows = values.map((value, i) => {
      const range = i % 2 === 0 ? new Range(null, value, '()') : new Range(value, null, '[)');
      return [range, new Multirange(i % 5 === 0 ? [] : [range])];
    });
    await copied(`r ${rangeType}, m ${multirangeType}`, format, rows, types, async () => {
      const back = await read('SELECT r, m FROM copied ORDER BY n', format, types);
      await cur.execute('SELECT r, m FROM copied ORDER BY n');
      const sent = rows.map((row) => partsOf(name, row));
      expect(
        (await cur.fetchall()).map((row) => partsOf(name, row)),
        `seed ${String(seed)}`,
      ).toEqual(sent);
      expect(
        back.map((row) => partsOf(name, row)),
        `seed ${String(seed)}`,
      ).toEqual(sent);
    });
  });

  test('refuses nanoseconds, naming their place, and stores nothing', async () => {
    await cur.execute('CREATE TEMP TABLE copied (n int4, v timestamp)');
    try {
      const error = await rejection(
        cur.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
          copy.setTypes(['int4', 'timestamp']);
          await copy.writeRow([1, Temporal.PlainDateTime.from('2024-02-28T12:00')]);
          await copy.writeRow([2, Temporal.PlainDateTime.from('2024-02-28T12:00:00.000000001')]);
        }),
      );
      expect(error).toBeInstanceOf(errors.DataError);
      expect(error.message).toMatch(/^row 2, column 2: 2024-02-28T12:00:00\.000000001 has nanoseconds/);
      await cur.execute('SELECT count(*)::int4 FROM copied');
      expect(await cur.fetchone()).toEqual([0]);
    } finally {
      await cur.execute('DROP TABLE copied');
    }
  });

  test('raises a DataError that names the place of a value that Temporal cannot hold, and continues with the next row', async () => {
    for (const [name, text] of [
      ['date', 'infinity'],
      ['time', '24:00'],
      ['timetz', '24:00+01'],
      ['timestamp', '-infinity'],
      ['timestamptz', '294276-12-31 00:00Z'],
      ['interval', '1 mon -1 day'],
    ] as const) {
      const good =
        name === 'interval'
          ? '1 day'
          : name.startsWith('timetz')
            ? '12:00+01'
            : name === 'time'
              ? '12:00'
              : '2024-02-28Z';
      await cur.withCopy(
        `COPY (SELECT 1, '${text}'::${name} UNION ALL SELECT 2, '${good}'::${name}) TO STDOUT (FORMAT ${format})`,
        async (copy) => {
          copy.setTypes(['int4', name]);
          const error = await rejection(copy.readRow());
          expect(error).toBeInstanceOf(errors.DataError);
          expect(error.message).toMatch(
            new RegExp(`^row 1, column 2: the ${name} '.*' can't be held by a Temporal\\.`),
          );
          expect((await copy.readRow())![0]).toBe(2);
          expect(await copy.readRow()).toBeNull();
        },
      );
    }
  });
});
