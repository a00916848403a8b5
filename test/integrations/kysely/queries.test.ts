import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { makePool } from '../../support/database.js';
import { openKysely, withCities } from './open-kysely.js';

test('statements tell how many rows they affected, and give those that they return', async () => {
  const { db } = await withCities();
  const values = [{ name: 'Rome' }, { name: 'Paris' }, { name: 'Oslo' }];
  const inserted = await db.insertInto('kysely_city').values(values).returning(['id', 'name']).execute();
  expect(inserted).toEqual(values.map(({ name }, i) => ({ id: i + 1, name })));
  const updated = await db
    .updateTable('kysely_city')
    .set({ tags: ['port'] })
    .where('id', '>', 1)
    .execute();
  expect(updated).toEqual([expect.objectContaining({ numUpdatedRows: 2n })]);
  const [deleted] = await db.deleteFrom('kysely_city').where('name', '=', 'Oslo').execute();
  expect(deleted!.numDeletedRows).toBe(1n);
  const left = await db.selectFrom('kysely_city').select(['name', 'tags']).orderBy('id').execute();
  expect(left).toEqual([
    { name: 'Rome', tags: null },
    { name: 'Paris', tags: ['port'] },
  ]);
  const { numInsertedOrUpdatedRows, insertId } = await db
    .insertInto('kysely_city')
    .values({ name: 'Bern' })
    .executeTakeFirstOrThrow();
  expect([numInsertedOrUpdatedRows, insertId]).toEqual([1n, undefined]);
  expect(await sql`LOCK TABLE kysely_city`.execute(db).catch((error: unknown) => error)).toBeInstanceOf(
    errors.NoActiveSqlTransaction,
  );
  expect(await sql`SELECT 1 WHERE false`.execute(db)).toEqual({ rows: [] });
});

test('the server infers the types of parameters, whatever they are compared with', async () => {
  const { db } = await withCities();
  const info = { login: { count: 3 }, list: [1, 'two'] };
  await db
    .insertInto('kysely_city')
    .values({ name: 'Rome', tags: ['a', 'b,"c'], info })
    .execute();
  const row = await db
    .selectFrom('kysely_city')
    .selectAll()
    .where(sql<boolean>`info->'login'->'count' = ${3}`)
    .where((eb) => sql<boolean>`${eb.fn.coalesce('name', eb.val(1))} > ${0}`)
    .where('id', 'in', [1n as never, 2])
    .executeTakeFirstOrThrow();
  expect(row).toEqual({ id: 1, name: 'Rome', tags: ['a', 'b,"c'], info });
});

const VALUES = sql<
  Record<string, unknown>
>`SELECT 5000000000::int8 AS int8, 1.50::numeric AS numeric, true AS bool,
  '2024-02-29'::date AS date, '2024-02-29 01:02:03.5'::timestamp AS timestamp, '2024-02-29 01:02:03Z'::timestamptz AS timestamptz,
  array[1, 2] AS ints, '{"a": 1}'::jsonb AS jsonb, int4range(1, 5) AS range`;

test("values come as those of Kysely's dialect for node-postgres, unless usingpg's are asked for", async () => {
  const pool = makePool();
  const same = { bool: true, ints: [1, 2], jsonb: { a: 1 }, timestamptz: new Date('2024-02-29T01:02:03Z') };
  const like = await VALUES.execute(openKysely({ pool }));
  expect(like.rows).toEqual([
    {
      ...same,
      int8: '5000000000',
      numeric: '1.50',
      date: new Date(2024, 1, 29),
      timestamp: new Date(2024, 1, 29, 1, 2, 3, 500),
      range: '[1,5)',
    },
  ]);
  const own = await VALUES.execute(openKysely({ pool }, { types: 'usingpg' }));
  expect(own.rows).toEqual([
    {
      ...same,
      int8: 5000000000n,
      numeric: '1.50',
      date: '2024-02-29',
      timestamp: '2024-02-29T01:02:03.5',
      range: expect.objectContaining({ lower: 1, upper: 5 }),
    },
  ]);
});

test("with usingpg's conversions, the loaders that a pool has registered are used", async () => {
  const pool = makePool({
    configure: (conn) => {
      conn.adapters.registerLoader('int8', Number);
    },
  });
  const query = sql`SELECT count(*) FROM generate_series(1, 3)`;
  expect((await query.execute(openKysely({ pool }, { types: 'usingpg' }))).rows).toEqual([{ count: 3 }]);
  expect((await query.execute(openKysely({ pool }))).rows).toEqual([{ count: '3' }]);
});

test('an error has its class, its SQLSTATE and a stack that leads to the caller', async () => {
  const { db } = await withCities();
  await db.insertInto('kysely_city').values({ name: 'Rome' }).execute();
  const error = await db
    .insertInto('kysely_city')
    .values({ name: 'Rome' })
    .execute()
    .catch((reason: unknown) => reason as errors.Error);
  expect(error).toBeInstanceOf(errors.UniqueViolation);
  expect(error).toMatchObject({ sqlstate: '23505', diag: { tableName: 'kysely_city' } });
  expect((error as Error).stack).toContain('queries.test.ts');
});

test('Kysely sees its queries, and the begin and the end of its transactions, in its log', async () => {
  const seen: string[] = [];
  const { db } = await withCities({}, { log: ({ query }) => void seen.push(query.sql) });
  await db.transaction().execute((trx) => trx.selectFrom('kysely_city').select('id').execute());
  await db
    .transaction()
    .setIsolationLevel('serializable')
    .setAccessMode('read only')
    .execute(async () => {
      throw new Error('enough');
    })
    .catch(() => undefined);
  expect(seen).toEqual([
    'begin',
    'select "id" from "kysely_city"',
    'commit',
    'start transaction isolation level serializable read only',
    'rollback',
  ]);
});

test('the tables of the database are introspected', async () => {
  const { db } = await withCities();
  const tables = await db.introspection.getTables();
  const city = tables.find(({ name }) => name === 'kysely_city')!;
  expect(city.columns.map(({ name, dataType, isNullable }) => [name, dataType, isNullable])).toEqual([
    ['id', 'int4', false],
    ['name', 'text', false],
    ['tags', '_text', true],
    ['info', 'jsonb', true],
  ]);
});
