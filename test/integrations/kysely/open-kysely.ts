import { basename } from 'node:path';
import { Kysely, type ColumnType, type Generated, type KyselyConfig } from 'kysely';
import { expect, onTestFinished } from 'vitest';
import { AsyncConnectionPool, type PoolOptions } from '../../../src/index.js';
import {
  UsingpgDialect,
  type UsingpgDialectConfig,
  type UsingpgDialectOptions,
} from '../../../src/integrations/kysely/index.js';
import { admin, dsn } from '../../support/database.js';

/** The tables of these tests. */
export interface Tables {
  kysely_city: { id: Generated<number>; name: string; tags: string[] | null; info: ColumnType<unknown> };
}

/** A Kysely over a dialect, destroyed when the test ends. */
export function openKysely(
  config: UsingpgDialectConfig,
  options?: UsingpgDialectOptions,
  more: Omit<KyselyConfig, 'dialect'> = {},
): Kysely<Tables> {
  const db = new Kysely<Tables>({ dialect: new UsingpgDialect(config, options), ...more });
  onTestFinished(() => db.destroy());
  return db;
}

/** A Kysely over a pool of its own with one connection, and an empty table. */
export async function withCities(
  options?: UsingpgDialectOptions,
  { pool: poolOptions, ...more }: Omit<KyselyConfig, 'dialect'> & { pool?: PoolOptions } = {},
): Promise<{ db: Kysely<Tables>; pool: AsyncConnectionPool }> {
  // Two files run at a time on one server.
  const schema = `kysely_${basename(expect.getState().testPath!, '.test.ts')}`;
  await admin(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin(`CREATE SCHEMA ${schema}`);
  onTestFinished(async () => {
    await admin(`DROP SCHEMA ${schema} CASCADE`);
  });
  await admin(
    `CREATE TABLE ${schema}.kysely_city (id serial PRIMARY KEY, name text NOT NULL UNIQUE, tags text[], info jsonb)`,
  );
  const pool = new AsyncConnectionPool(dsn({ options: `-c search_path=${schema}` }), {
    minSize: 1,
    maxSize: 1,
    timeout: 20,
    ...poolOptions,
  });
  onTestFinished(() => pool.close());
  return { db: openKysely({ pool }, options, more), pool };
}
