import { createRequire } from 'node:module';
import knex, { type Knex } from 'knex';
import { expect, onTestFinished, test } from 'vitest';
import pg from '../../../src/integrations/pg/index.js';
import { errors } from '../../../src/index.js';
import { admin, rejection } from '../../support/database.js';
import { config } from './clients.js';

// Knex declares no types for the classes of its dialects.
const PostgresClient = createRequire(import.meta.url)('knex/lib/dialects/postgres') as typeof Knex.Client;

class UsingpgClient extends PostgresClient {
  _driver(): typeof pg {
    return pg;
  }
}

/** Knex with a schema of its own, which is dropped when the test ends. */
async function makeKnex(schema: string): Promise<Knex> {
  const db = knex({
    client: UsingpgClient,
    connection: config() as Knex.PgConnectionConfig,
    searchPath: [schema],
    pool: { min: 0, max: 3 },
  });
  onTestFinished(async () => {
    await db.destroy();
    await admin(`DROP SCHEMA ${schema} CASCADE`);
  });
  await db.raw('CREATE SCHEMA ??', [schema]);
  return db;
}

test('Knex builds a schema, and inserts, selects, updates and deletes', async () => {
  const db = await makeKnex('knex_queries');
  await db.schema.createTable('city', (table) => {
    table.increments('id');
    table.string('name', 40).notNullable().unique();
    table.jsonb('info');
    table.specificType('tags', 'text[]');
    table.timestamp('founded', { useTz: true });
  });
  const founded = new Date(Date.UTC(1900, 1, 2));
  const [rome] = await db('city').insert({ name: 'Rome', info: { a: [1] }, tags: ['x', 'y'], founded }, '*');
  expect(rome).toEqual({ id: 1, name: 'Rome', info: { a: [1] }, tags: ['x', 'y'], founded });
  expect(await db('city').where({ name: 'Rome' }).update({ info: null })).toBe(1);
  expect(await db('city').count('*')).toEqual([{ count: '1' }]);
  expect(await rejection(db('city').insert({ name: 'Rome' }).then())).toMatchObject({
    code: '23505',
    constraint: 'city_name_unique',
  });
  expect(await db('city').whereIn('name', ['Rome', 'Paris']).del()).toBe(1);
  expect(await db.schema.hasTable('city')).toBe(true);
  expect(await db('city').columnInfo('name')).toMatchObject({ type: 'character varying', maxLength: 40 });
});

test('Knex migrates up and down', async () => {
  const db = await makeKnex('knex_migrations');
  const migrations: Record<string, Knex.Migration> = {
    '1_city': {
      up: (k) => k.schema.createTable('city', (table) => table.increments()),
      down: (k) => k.schema.dropTable('city'),
    },
    '2_name': {
      up: (k) => k.schema.alterTable('city', (table) => table.text('name')),
      down: (k) => k.schema.alterTable('city', (table) => table.dropColumn('name')),
    },
  };
  const migrationSource: Knex.MigrationSource<string> = {
    getMigrations: () => Promise.resolve(Object.keys(migrations)),
    getMigrationName: (name) => name,
    getMigration: (name) => Promise.resolve(migrations[name]!),
  };
  await db.migrate.latest({ migrationSource });
  expect(await db.schema.hasColumn('city', 'name')).toBe(true);
  expect(await db.migrate.currentVersion({ migrationSource })).toBe('2');
  await db.migrate.rollback({ migrationSource }, true);
  expect(await db.schema.hasTable('city')).toBe(false);
});

test('Knex commits and rolls back transactions, and nests them with savepoints', async () => {
  const db = await makeKnex('knex_transactions');
  await db.schema.createTable('account', (table) => table.integer('n').primary());
  await db.transaction(async (trx) => {
    await trx('account').insert({ n: 1 });
    await expect(
      trx.transaction(async (inner) => {
        await inner('account').insert({ n: 2 });
        await inner('account').insert({ n: 1 });
      }),
    ).rejects.toMatchObject({ code: '23505' });
    await trx.transaction((inner) => inner('account').insert({ n: 3 }));
  });
  const error = await rejection(
    db.transaction(async (trx) => {
      await trx('account').insert({ n: 4 });
      throw new Error('not this time');
    }),
  );
  expect(error.message).toBe('not this time');
  const trx = await db.transaction();
  await trx('account').insert({ n: 5 });
  await trx.rollback();
  expect(await db('account').pluck('n').orderBy('n')).toEqual([1, 3]);
});

test('a transaction of Knex whose failed statement was ignored does not look committed', async () => {
  const db = await makeKnex('knex_failed');
  await db.schema.createTable('account', (table) => table.integer('n').primary());
  const error = await rejection(
    db.transaction(async (trx) => {
      await trx('account').insert({ n: 1 });
      await rejection(trx('account').insert({ n: 1 }).then());
    }),
  );
  expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
  expect(await db('account')).toEqual([]);
});

test('Knex streams rows, to the end and not', async () => {
  const db = await makeKnex('knex_streams');
  const query = db.select('n').fromRaw('generate_series(1, 1000) AS n');
  const rows: unknown[] = [];
  for await (const row of query.clone().stream()) rows.push(row);
  expect(rows).toHaveLength(1000);
  expect(rows.at(-1)).toEqual({ n: 1000 });
  await db.transaction(async (trx) => {
    for await (const row of query.clone().transacting(trx).stream()) {
      expect(row).toEqual({ n: 1 });
      break;
    }
    expect(await trx.select(trx.raw('1 AS n'))).toEqual([{ n: 1 }]);
  });
});

test('Knex cancels a query after its timeout', async () => {
  const db = await makeKnex('knex_cancel');
  const slow = db.raw('SELECT pg_sleep(600)').timeout(200, { cancel: true });
  await expect(slow).rejects.toThrow(/timeout of 200ms exceeded/);
  await expect
    .poll(async () =>
      admin("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"),
    )
    .toEqual([]);
});
