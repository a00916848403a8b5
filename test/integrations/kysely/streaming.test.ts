import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { withCities } from './open-kysely.js';

const NUMBERS = sql<{ n: number }>`(SELECT n FROM generate_series(1, 250) n)`;

test('a query is streamed without a cursor library, in chunks of the size that was asked for', async () => {
  const { db } = await withCities();
  const seen: number[] = [];
  for await (const { n } of db.selectFrom(NUMBERS.as('numbers')).select('n').stream(7)) seen.push(n);
  expect(seen).toEqual(Array.from({ length: 250 }, (_, i) => i + 1));

  const compiled = NUMBERS.compile(db);
  const chunks: number[] = [];
  for await (const { rows } of db.getExecutor().stream(compiled, 100)) chunks.push(rows.length);
  expect(chunks).toEqual([100, 100, 50]);
});

test('parameters and conversions are the same in a stream', async () => {
  const { db } = await withCities();
  const query = db.selectFrom(sql<{ v: unknown }>`(SELECT ${5}::int8 AS v)`.as('t')).select('v');
  for await (const row of query.stream()) expect(row).toEqual({ v: '5' });
});

test('a stream that is left, that fails, or that is of no rows gives its connection back', async () => {
  const { db, pool } = await withCities();
  for await (const { n } of db.selectFrom(NUMBERS.as('numbers')).select('n').stream(1)) if (n === 3) break;
  expect(pool.getStats().poolAvailable).toBe(1);
  const failing = db.selectFrom(
    sql<{ n: number }>`(SELECT 1/(3 - n) AS n FROM generate_series(1, 5) n)`.as('t'),
  );
  const read = async (): Promise<void> => {
    for await (const row of failing.select('n').stream()) expect(row.n).not.toBe(0);
  };
  await expect(read()).rejects.toThrow(errors.DivisionByZero);
  expect(pool.getStats().poolAvailable).toBe(1);
  for await (const _ of db.selectFrom('kysely_city').select('id').stream()) throw new Error('a row');
  expect(pool.getStats().poolAvailable).toBe(1);
});

test('a streamed statement that returns no rows is executed once, and yields none', async () => {
  const { db } = await withCities();
  for await (const _ of db.insertInto('kysely_city').values({ name: 'Oslo' }).stream())
    throw new Error('a row');
  const seen: string[] = [];
  const renamed = db.updateTable('kysely_city').set({ name: 'Bergen' }).returning('name');
  for await (const { name } of renamed.stream()) seen.push(name);
  expect(seen).toEqual(['Bergen']);
});

test.each([0, -1, 1.5])('a chunk size of %s is refused', async (size) => {
  const { db } = await withCities();
  await expect(db.selectFrom('kysely_city').select('id').stream(size).next()).rejects.toThrow(
    `expected chunkSize to be a positive integer, got ${String(size)}`,
  );
});
