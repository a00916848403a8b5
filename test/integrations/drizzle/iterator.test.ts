import { DrizzleQueryError, eq, gt, sql } from 'drizzle-orm';
import { drizzle as nodePostgres } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { expect, expectTypeOf, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { rejection } from '../../support/database.js';
import { city, country, openDrizzle } from './open-drizzle.js';

async function withCities(count = 3): ReturnType<typeof openDrizzle> {
  const opened = await openDrizzle();
  await opened.db.insert(country).values({ code: 'IT', title: 'Italy' });
  await opened.db
    .insert(city)
    .values(Array.from({ length: count }, (_, i) => ({ name: `city ${String(i)}`, countryCode: 'IT' })));
  return opened;
}

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const seen: Row[] = [];
  for await (const row of rows) seen.push(row);
  return seen;
}

test('the rows of a query come one by one, as those of the query itself', async () => {
  const { db, pool } = await withCities(1000);
  const query = db.select().from(city).leftJoin(country, eq(city.countryCode, country.code)).orderBy(city.id);
  const rows = await all(db.iterator(query, { size: 10 }));
  expect(rows).toEqual(await query);
  expectTypeOf(rows[0]!.drizzle_city.name).toEqualTypeOf<string>();
  expect(pool.getStats().poolAvailable).toBe(1);
});

test('relational queries, returned rows and prepared statements are iterated, too', async () => {
  const { db } = await withCities();
  const relational = db.query.city.findMany({ with: { country: true }, columns: { name: true } });
  expect((await all(db.iterator(relational)))[2]).toEqual({
    name: 'city 2',
    country: { code: 'IT', title: 'Italy' },
  });
  const returning = db
    .update(city)
    .set({ countryCode: null })
    .where(gt(city.id, 1))
    .returning({ id: city.id });
  expect(await all(db.iterator(returning))).toEqual([{ id: 2 }, { id: 3 }]);
  expect(await db.$count(city, sql`country_code IS NULL`)).toBe(2);
  const prepared = db
    .select()
    .from(city)
    .where(eq(city.id, sql.placeholder('id')))
    .prepare('by_id');
  expect(await all(db.iterator(prepared, { placeholderValues: { id: 3 } }))).toMatchObject([
    { name: 'city 2' },
  ]);
});

test('within a transaction, what it has done is seen', async () => {
  const { db } = await withCities();
  const seen = await db.transaction(async (tx) => {
    await tx.delete(city).where(gt(city.id, 1));
    return all(tx.iterator(tx.select({ id: city.id }).from(city)));
  });
  expect(seen).toEqual([{ id: 1 }]);
});

test('leaving the loop, an error and an abort give the connection back', async () => {
  const { db, pool } = await withCities();
  for await (const { id } of db.iterator(db.select().from(city))) if (id > 0) break;
  expect(pool.getStats().poolAvailable).toBe(1);

  const failing = db.select({ n: sql<number>`1 / (2 - ${city.id})` }).from(city);
  const error = await rejection(all(db.iterator(failing)));
  expect(error).toBeInstanceOf(DrizzleQueryError);
  expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
  expect(pool.getStats().poolAvailable).toBe(1);

  const aborting = new AbortController();
  const slow = db
    .select({ id: city.id, slow: sql`pg_sleep(CASE WHEN id > 1 THEN 600 ELSE 0 END)` })
    .from(city);
  const left = (async () => {
    for await (const { id } of db.iterator(slow, { size: 1, signal: aborting.signal })) {
      expect(id).toBe(1);
      aborting.abort();
    }
  })();
  await expect(left).rejects.toMatchObject({ name: 'AbortError' });
  expect(pool.getStats().poolAvailable).toBe(1);
});

test('a query of another driver, and an unknown option, are refused', async () => {
  const { db } = await openDrizzle();
  const other = nodePostgres(new pg.Client()).select().from(city);
  expect(() => db.iterator(other)).toThrow(
    'iterator() needs a query of a database made by drizzle() of usingpg/drizzle',
  );
  expect(() => db.iterator(db.select().from(city), { chunk: 1 } as object)).toThrow(
    'unknown option `chunk` of db.iterator(): the options are placeholderValues, size, signal',
  );
  expect(() => db.iterator(db.select().from(city), { size: 0 })).toThrow(
    'expected `size` to be a whole number, 1 or more, got 0',
  );
});
