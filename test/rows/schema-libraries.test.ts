import * as v from 'valibot';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { errors, schemaRow, type RowFactory } from '../../src/index.js';
import { connect } from '../support/database.js';

interface City {
  id: number;
  name: string;
  founded: Date | null;
}

const inZod = z.object({
  id: z.number().int().positive(),
  name: z.string().min(1),
  founded: z.date().nullable(),
});
const inValibot = v.object({
  id: v.pipe(v.number(), v.integer(), v.minValue(1)),
  name: v.pipe(v.string(), v.minLength(1)),
  founded: v.nullable(v.date()),
});
const libraries: [string, RowFactory<City>][] = [
  ['zod', schemaRow(inZod)],
  ['valibot', schemaRow(inValibot)],
];

describe.each(libraries)('a schema of %s', (_library, rowFactory) => {
  it('types and validates the rows of every way to fetch them', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ rowFactory });
    await cursor.execute(
      "SELECT i AS id, 'city ' || i AS name, CASE WHEN i > 2 THEN timestamptz '1070-01-01Z' END AS founded FROM generate_series(1, 6) i",
    );
    const first = await cursor.fetchone();
    expectTypeOf(first).toEqualTypeOf<City | null>();
    expect(first).toEqual({ id: 1, name: 'city 1', founded: null });
    expect(await cursor.fetchmany(2)).toEqual([
      { id: 2, name: 'city 2', founded: null },
      { id: 3, name: 'city 3', founded: new Date('1070-01-01Z') },
    ]);
    const rest: City[] = [];
    for await (const city of cursor) rest.push(city);
    expect(rest.map(({ id }) => id)).toEqual([4, 5, 6]);
  });

  it('refuses a row that does not fit, names its columns, and leaves the connection usable', async () => {
    const connection = await connect();
    await using cursor = connection.cursor({ rowFactory });
    await cursor.execute("SELECT 0 AS id, '' AS name, NULL::timestamptz AS founded");
    const error: unknown = await cursor.fetchone().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(errors.DataError);
    expect(String(error)).toMatch(/does not fit its schema: id: .*; name: /);
    expect((error as Error).cause).toHaveLength(2);
    await cursor.execute("SELECT 7 AS id, 'x' AS name, NULL::timestamptz AS founded");
    expect(await cursor.fetchall()).toEqual([{ id: 7, name: 'x', founded: null }]);
  });

  it('validates the rows of a stream and of a cursor on the server', async () => {
    const connection = await connect();
    const query =
      "SELECT i AS id, 'x' AS name, NULL::timestamptz AS founded FROM generate_series(%s::int, 3) i";
    const seen: number[] = [];
    await using cursor = connection.cursor({ rowFactory });
    for await (const { id } of cursor.stream(query, [1])) seen.push(id);
    await using onServer = connection.cursor({ name: 'cities', rowFactory });
    await onServer.execute(query, [1]);
    for await (const { id } of onServer) seen.push(id);
    expect(seen).toEqual([1, 2, 3, 1, 2, 3]);
    await onServer.execute(query, [0]);
    await expect(onServer.fetchone()).rejects.toThrow(errors.DataError);
  });
});

it('a schema may transform the row', async () => {
  const connection = await connect();
  const upper = schemaRow(z.object({ name: z.string() }).transform(({ name }) => name.toUpperCase()));
  const zod = await connection.execute("SELECT 'bergen' AS name", null, { rowFactory: upper });
  expectTypeOf(await zod.fetchall()).toEqualTypeOf<string[]>();
  await zod.execute("SELECT 'bergen' AS name");
  expect(await zod.fetchall()).toEqual(['BERGEN']);
  const length = v.pipe(
    v.object({ name: v.string() }),
    v.transform(({ name }) => name.length),
  );
  const valibot = await connection.execute("SELECT 'bergen' AS name", null, {
    rowFactory: schemaRow(length),
  });
  expect(await valibot.fetchone()).toBe(6);
});

it('a schema that is asynchronous is refused', async () => {
  const connection = await connect();
  const later = z.object({ id: z.number().refine(() => Promise.resolve(true)) });
  const cursor = await connection.execute('SELECT 1 AS id', null, { rowFactory: schemaRow(later) });
  await expect(cursor.fetchone()).rejects.toThrow(/validates synchronously/);
});
