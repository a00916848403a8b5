import { basename } from 'node:path';
import { relations, type DrizzleConfig } from 'drizzle-orm';
import {
  bigint,
  boolean,
  customType,
  date,
  integer,
  interval,
  jsonb,
  numeric,
  pgTable,
  serial,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import { expect, onTestFinished } from 'vitest';
import { AsyncConnectionPool, type PoolOptions } from '../../../src/index.js';
import { drizzle, type UsingpgDatabase } from '../../../src/integrations/drizzle/index.js';
import { admin, dsn } from '../../support/database.js';

const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const city = pgTable('drizzle_city', {
  id: serial().primaryKey(),
  name: text().notNull().unique(),
  countryCode: text('country_code'),
});
export const country = pgTable('drizzle_country', { code: text().primaryKey(), title: text().notNull() });
export const value = pgTable('drizzle_value', {
  big: bigint({ mode: 'bigint' }),
  bigNumber: bigint('big_number', { mode: 'number' }),
  exact: numeric(),
  flag: boolean(),
  day: date(),
  dayDate: date('day_date', { mode: 'date' }),
  at: timestamp({ withTimezone: true }),
  atText: timestamp('at_text', { mode: 'string' }),
  span: interval(),
  info: jsonb(),
  ints: integer().array(),
  days: date().array(),
  stamps: timestamp({ withTimezone: true }).array(),
  data: bytes(),
});
const cityRelations = relations(city, ({ one }) => ({
  country: one(country, { fields: [city.countryCode], references: [country.code] }),
}));
const countryRelations = relations(country, ({ many }) => ({ cities: many(city) }));

export const schema = { city, country, value, cityRelations, countryRelations };
type Schema = typeof schema;

/** Where the tables of a test file are: two files run at a time on one server. */
export const schemaName = (): string =>
  `drizzle_${basename(expect.getState().testPath!, '.test.ts').replaceAll('-', '_')}`;

/** A pool of its own with one connection, whose search path has the tables of `schema`, empty. */
export async function poolWithTables(options: PoolOptions = {}): Promise<AsyncConnectionPool> {
  const name = schemaName();
  await admin(`DROP SCHEMA IF EXISTS ${name} CASCADE`);
  await admin(`CREATE SCHEMA ${name}`);
  onTestFinished(async () => {
    await admin(`DROP SCHEMA ${name} CASCADE`);
  });
  await admin(`
    CREATE TABLE ${name}.drizzle_country (code text PRIMARY KEY, title text NOT NULL);
    CREATE TABLE ${name}.drizzle_city (id serial PRIMARY KEY, name text NOT NULL UNIQUE, country_code text);
    CREATE TABLE ${name}.drizzle_value (big int8, big_number int8, exact numeric, flag bool, day date, day_date date, at timestamptz,
      at_text timestamp, span interval, info jsonb, ints int[], days date[], stamps timestamptz[], data bytea)`);
  const pool = new AsyncConnectionPool(dsn({ options: `-c search_path=${name}` }), {
    minSize: 1,
    maxSize: 1,
    timeout: 20,
    ...options,
  });
  onTestFinished(() => pool.close());
  return pool;
}

/** A database over such a pool. */
export async function openDrizzle(
  config: Omit<DrizzleConfig<Schema>, 'schema'> = {},
): Promise<{ db: UsingpgDatabase<Schema> & { $client: AsyncConnectionPool }; pool: AsyncConnectionPool }> {
  const pool = await poolWithTables();
  return { db: drizzle(pool, { schema, ...config }), pool };
}
