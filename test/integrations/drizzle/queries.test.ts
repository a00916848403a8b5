import { DrizzleQueryError, eq, gt, sql, type Logger } from 'drizzle-orm';
import { Cache } from 'drizzle-orm/cache/core';
import { pgTable, serial, text } from 'drizzle-orm/pg-core';
import { expect, test } from 'vitest';
import { errors, type CheckoutOptions } from '../../../src/index.js';
import { drizzle } from '../../../src/integrations/drizzle/index.js';
import { admin, rejection } from '../../support/database.js';
import { city, country, openDrizzle, poolWithTables, schema, schemaName, value } from './open-drizzle.js';

test('rows are inserted, selected, joined, updated and deleted', async () => {
  const { db } = await openDrizzle();
  await db.insert(country).values({ code: 'IT', title: 'Italy' });
  const names = [{ name: 'Rome', countryCode: 'IT' }, { name: 'Oslo' }];
  expect(await db.insert(city).values(names).returning({ id: city.id })).toEqual([{ id: 1 }, { id: 2 }]);
  const joined = await db
    .select()
    .from(city)
    .leftJoin(country, eq(city.countryCode, country.code))
    .orderBy(city.id);
  expect(joined).toEqual([
    {
      drizzle_city: { id: 1, name: 'Rome', countryCode: 'IT' },
      drizzle_country: { code: 'IT', title: 'Italy' },
    },
    { drizzle_city: { id: 2, name: 'Oslo', countryCode: null }, drizzle_country: null },
  ]);
  expect(await db.update(city).set({ name: 'Roma' }).where(eq(city.id, 1))).toMatchObject({ rowCount: 1 });
  expect(await db.$count(city, gt(city.id, 0))).toBe(2);
  expect(await db.delete(city).where(gt(city.id, 1))).toEqual({ rows: [], rowCount: 1, command: 'DELETE' });
  expect(await db.select({ name: city.name }).from(city)).toEqual([{ name: 'Roma' }]);
});

test('relational queries give objects in objects', async () => {
  const { db } = await openDrizzle();
  await db.insert(country).values([{ code: 'IT', title: 'Italy' }]);
  await db.insert(city).values([
    { name: 'Rome', countryCode: 'IT' },
    { name: 'Pisa', countryCode: 'IT' },
  ]);
  expect(await db.query.country.findMany({ with: { cities: { columns: { name: true } } } })).toEqual([
    { code: 'IT', title: 'Italy', cities: [{ name: 'Rome' }, { name: 'Pisa' }] },
  ]);
  const first = await db.query.city.findFirst({ where: eq(city.name, 'Pisa'), with: { country: true } });
  expect(first).toEqual({ id: 2, name: 'Pisa', countryCode: 'IT', country: { code: 'IT', title: 'Italy' } });
});

test('each column gives the value that it is declared with, as it was sent', async () => {
  const { db } = await openDrizzle();
  const row = {
    big: 9007199254740993n,
    bigNumber: 5_000_000_000,
    exact: '1.50',
    flag: true,
    day: '2024-02-29',
    dayDate: new Date('2024-02-29T00:00:00Z'),
    at: new Date('2024-02-29T01:02:03.456Z'),
    atText: '2024-02-29 01:02:03.456789',
    span: '1 day 02:00:00',
    info: { list: [1, 'two'], on: null },
    ints: [1, 2],
    days: ['2024-02-29', '2024-03-01'],
    stamps: [new Date('2024-02-29T01:02:03Z')],
    data: Buffer.from([0, 255]),
  };
  await db.insert(value).values(row);
  expect(await db.select().from(value)).toEqual([row]);
  for await (const streamed of db.iterator(db.select().from(value))) expect(streamed).toEqual(row);
  const nothing = Object.fromEntries(Object.keys(row).map((key) => [key, null]));
  await db.update(value).set(nothing);
  expect(await db.select().from(value)).toEqual([nothing]);
});

test("a raw query gives its rows with the values of Drizzle's driver for node-postgres, and its tag", async () => {
  const { db } = await openDrizzle();
  const result = await db.execute<{ n: string }>(
    sql`SELECT count(*) AS n, ${'2024-02-29'}::timestamptz AT TIME ZONE 'UTC' > now() AS later, 1.5::numeric AS exact,
      timestamp '2024-02-29 01:02:03' AS at, array[date '2024-02-29'] AS days, ${true} AS flag FROM drizzle_city`,
  );
  expect(result).toEqual({
    rows: [
      { n: '0', later: false, exact: '1.5', at: '2024-02-29 01:02:03', days: '{2024-02-29}', flag: 'true' },
    ],
    rowCount: 1,
    command: 'SELECT',
  });
  expect(await db.execute(sql`SET work_mem = '8MB'`)).toEqual({ rows: [], rowCount: null, command: 'SET' });
});

test('a prepared statement takes the values of its placeholders, and is prepared on the server', async () => {
  const { db } = await openDrizzle();
  await db.insert(city).values([{ name: 'Rome' }, { name: 'Oslo' }]);
  const byName = db
    .select()
    .from(city)
    .where(eq(city.name, sql.placeholder('name')))
    .prepare('city_by_name');
  expect(await byName.execute({ name: 'Oslo' })).toEqual([{ id: 2, name: 'Oslo', countryCode: null }]);
  expect(await byName.execute({ name: 'Rome' })).toMatchObject([{ id: 1 }]);
  const { rows } = await db.execute<{ statement: string }>(sql`SELECT statement FROM pg_prepared_statements`);
  expect(rows.map(({ statement }) => statement.trim())).toContainEqual(
    expect.stringContaining('where "drizzle_city"."name" = $1'),
  );
});

test('an error is the cause of a DrizzleQueryError, and has its class', async () => {
  const { db } = await openDrizzle();
  await db.insert(city).values({ name: 'Rome' });
  const error = await rejection(db.insert(city).values({ name: 'Rome' }).execute());
  expect(error).toBeInstanceOf(DrizzleQueryError);
  expect(error.cause).toBeInstanceOf(errors.UniqueViolation);
  expect(error.cause).toMatchObject({ sqlstate: '23505', diag: { tableName: 'drizzle_city' } });
});

test('queries are logged with their parameters, and columns have the names of the casing', async () => {
  const logged: [string, unknown[]][] = [];
  const logger: Logger = { logQuery: (query, params) => void logged.push([query, params]) };
  const pool = await poolWithTables();
  const db = drizzle(pool, { logger, casing: 'snake_case' });
  const cased = pgTable('drizzle_city', { id: serial(), countryCode: text() });
  await db.select({ countryCode: cased.countryCode }).from(cased).where(eq(cased.countryCode, 'IT'));
  expect(logged).toEqual([
    ['select "country_code" from "drizzle_city" where "drizzle_city"."country_code" = $1', ['IT']],
  ]);
});

test('a cache gives the rows of a query that it has, until a table of the query changes', async () => {
  const stored = new Map<string, { rows: unknown[]; tables: string[] }>();
  class MapCache extends Cache {
    override strategy(): 'all' {
      return 'all';
    }
    override async get(key: string): Promise<unknown[] | undefined> {
      return stored.get(key)?.rows;
    }
    override async put(key: string, rows: unknown, tables: string[]): Promise<void> {
      stored.set(key, { rows: rows as unknown[], tables });
    }
    override async onMutate({ tables }: { tables?: unknown }): Promise<void> {
      for (const [key, entry] of stored)
        if (entry.tables.some((name) => (tables as string[]).includes(name))) stored.delete(key);
    }
  }
  const { db } = await openDrizzle({ cache: new MapCache() });
  await db.insert(city).values({ name: 'Rome' });
  const names = (): Promise<{ name: string }[]> => db.select({ name: city.name }).from(city);
  expect(await names()).toEqual([{ name: 'Rome' }]);
  await admin(`INSERT INTO ${schemaName()}.drizzle_city (name) VALUES ('Oslo')`);
  expect(await names()).toEqual([{ name: 'Rome' }]);
  await db.insert(city).values({ name: 'Bern' });
  expect(await names()).toHaveLength(3);
});

test('a connection that is lost as soon as it is taken goes back to the pool, which replaces it', async () => {
  const pool = await poolWithTables();
  const lossy = {
    getconn: async (options: CheckoutOptions) => {
      const connection = await pool.getconn(options);
      await connection.close();
      return connection;
    },
    withTransaction: pool.withTransaction.bind(pool),
  };
  const db = drizzle(lossy);
  for (let i = 0; i < 2; i++) {
    expect(await rejection(db.execute(sql`SELECT 1`))).toMatchObject({
      cause: expect.any(errors.OperationalError) as unknown,
    });
  }
  expect((await drizzle(pool).execute(sql`SELECT 1 AS n`)).rows).toEqual([{ n: 1 }]);
});

test.each([
  [[undefined], 'drizzle() needs an AsyncConnectionPool or an AsyncConnection'],
  [['postgresql://localhost'], 'drizzle() needs an AsyncConnectionPool or an AsyncConnection'],
  [
    [{ getconn: 1 }, { shema: schema }],
    'unknown option `shema` of drizzle(): the options are schema, casing,',
  ],
  [[{ getconn: 1 }, 'city'], 'got a string; write `drizzle(client, { schema, casing, logger, cache })`'],
  [
    [{ getconn: 1 }, { casing: 'snake' }],
    "expected `casing` to be 'snake_case' or 'camelCase', got the string",
  ],
  [[{ getconn: 1 }, { logger: console }], 'expected `logger` to be true, false or a logger with the method'],
  [[{ getconn: 1 }, { cache: true }], 'expected `cache` to be an object, got true'],
])('drizzle() refuses %j', (args, message) => {
  const make = (): unknown => Reflect.apply(drizzle, undefined, args);
  expect(make).toThrow(errors.ProgrammingError);
  expect(make).toThrow(message);
});
