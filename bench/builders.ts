import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { eq, sql as drizzleSql } from 'drizzle-orm';
import { drizzle as drizzleOverPg } from 'drizzle-orm/node-postgres';
import {
  bigint,
  boolean,
  doublePrecision,
  integer,
  numeric,
  pgTable,
  text,
  timestamp,
  type PgDatabase,
  type PgQueryResultHKT,
} from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect, type Dialect } from 'kysely';
import pg from 'pg';
import type * as OurDrizzle from '../src/integrations/drizzle/index.js';
import type * as OurKysely from '../src/integrations/kysely/index.js';
import { AsyncConnectionPool, PACKAGE } from './package.js';
import { OURS, race, type Contender } from './race.js';
import type { Finding, Setting } from './setting.js';

const ROWS = 20_000;
const SELECTS = 500;
const INSERTS = 1000;
/** One column of each of the most frequent types, as in fetch.ts. */
const TABLE = `
  CREATE TABLE bench_built AS
  SELECT i::int4 AS id, 'name of row ' || i AS name, (i * 1000000007::int8) AS big, i / 7.0::float8 AS ratio,
         i % 2 = 0 AS even, timestamptz '2024-01-01 00:00+00' + i * interval '1 second' AS at, (i / 100.0)::numeric(12, 2) AS price
  FROM generate_series(1, ${String(ROWS)}) AS i`;
const INSERTED = 'CREATE TABLE bench_built_inserts (id int4, name text)';

interface Tables {
  bench_built: {
    id: number;
    name: string;
    big: string;
    ratio: number;
    even: boolean;
    at: Date;
    price: string;
  };
  bench_built_inserts: { id: number; name: string };
}

const built = pgTable('bench_built', {
  id: integer(),
  name: text(),
  big: bigint({ mode: 'bigint' }),
  ratio: doublePrecision(),
  even: boolean(),
  at: timestamp({ withTimezone: true }),
  price: numeric(),
});
const inserted = pgTable('bench_built_inserts', { id: integer(), name: text() });

/** What a query builder does over one connection of a driver. */
interface Built {
  rows(): Promise<readonly unknown[]>;
  one(id: number): Promise<readonly unknown[]>;
  insert(id: number): Promise<unknown>;
  empty(): Promise<unknown>;
}

/** Kysely and Drizzle over pg and over usingpg: wide rows, small selects one by one, inserts one by one. */
export async function builders({ dsn }: Setting): Promise<Finding[]> {
  const { UsingpgDialect } = await builtEntry<typeof OurKysely>('kysely');
  const { drizzle } = await builtEntry<typeof OurDrizzle>('drizzle');
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1 });
  await pool.execute(TABLE);
  await pool.execute(INSERTED);
  await pool.execute('CREATE UNIQUE INDEX ON bench_built (id)');
  await pool.execute('ANALYZE bench_built');
  const pgPool = new pg.Pool({ connectionString: dsn, max: 1 });
  try {
    return [
      ...(await racesOf('Kysely', {
        [OURS]: ofKysely(new UsingpgDialect({ pool })),
        pg: ofKysely(new PostgresDialect({ pool: pgPool })),
      })),
      ...(await racesOf('Drizzle', {
        [OURS]: ofDrizzle(drizzle(pool)),
        pg: ofDrizzle(drizzleOverPg(pgPool)),
      })),
    ];
  } finally {
    await pgPool.end();
    await pool.execute('DROP TABLE bench_built, bench_built_inserts');
  }
}

/** A subpath export of the build that is measured. */
async function builtEntry<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(resolve(PACKAGE, `dist/${name}.js`)).href)) as T;
}

async function racesOf(builder: string, drivers: Readonly<Record<string, Built>>): Promise<Finding[]> {
  const contenders = (work: (built: Built) => Promise<void>): Contender[] =>
    Object.entries(drivers).map(([name, driver]) => ({ name, run: () => work(driver) }));
  const wide = await race(
    `${builder}: ${String(ROWS)} rows × 7`,
    contenders(async (driver) => {
      const { length } = await driver.rows();
      if (length !== ROWS) throw new Error(`expected ${String(ROWS)} rows, got ${String(length)}`);
    }),
    { goals: [{ peers: ['pg'], ratio: 1.5 }] },
  );
  const small = await race(
    `${builder}: ${String(SELECTS)} selects`,
    contenders(async (driver) => {
      for (let id = 1; id <= SELECTS; id++) await driver.one(id);
    }),
    { operations: SELECTS, goals: [{ peers: ['pg'], ratio: 1 }] },
  );
  const inserts = await race(
    `${builder}: ${String(INSERTS)} inserts`,
    contenders(async (driver) => {
      for (let id = 1; id <= INSERTS; id++) await driver.insert(id);
      await driver.empty();
    }),
    { operations: INSERTS, goals: [{ peers: ['pg'], ratio: 1 }] },
  );
  return [wide, small, inserts];
}

function ofKysely(dialect: Dialect): Built {
  const db = new Kysely<Tables>({ dialect });
  return {
    rows: () => db.selectFrom('bench_built').selectAll().execute(),
    one: (id) => db.selectFrom('bench_built').select(['id', 'name']).where('id', '=', id).execute(),
    insert: (id) =>
      db
        .insertInto('bench_built_inserts')
        .values({ id, name: `name ${String(id)}` })
        .execute(),
    empty: () => db.deleteFrom('bench_built_inserts').execute(),
  };
}

function ofDrizzle(db: PgDatabase<PgQueryResultHKT>): Built {
  return {
    rows: () => db.select().from(built),
    one: (id) => db.select({ id: built.id, name: built.name }).from(built).where(eq(built.id, id)),
    insert: (id) => db.insert(inserted).values({ id, name: `name ${String(id)}` }),
    empty: () => db.execute(drizzleSql`DELETE FROM bench_built_inserts`),
  };
}
