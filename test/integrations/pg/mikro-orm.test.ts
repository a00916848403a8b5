import { EntitySchema } from '@mikro-orm/core';
import { knex, PostgreSqlKnexDialect } from '@mikro-orm/knex';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect, onTestFinished, test } from 'vitest';
import pg from '../../../src/integrations/pg/index.js';
import { admin, rejection } from '../../support/database.js';
import { config } from './clients.js';

interface City {
  id: number;
  name: string;
  info: unknown;
  tags: string[] | null;
  founded: Date | null;
}

const CitySchema = new EntitySchema<City>({
  name: 'City',
  tableName: 'city',
  properties: {
    id: { type: 'integer', primary: true },
    name: { type: 'string', unique: true },
    info: { type: 'json', nullable: true },
    tags: { type: 'string[]', nullable: true },
    founded: { type: 'datetime', nullable: true },
  },
});

class UsingpgDialect extends PostgreSqlKnexDialect {
  _driver(): typeof pg {
    return pg;
  }
}

/** MikroORM reads dates itself. */
function datesAsText(): InstanceType<typeof pg.TypeOverrides> {
  const types = new pg.TypeOverrides();
  for (const oid of [1082, 1114, 1184, 1186]) types.setTypeParser(oid, (text) => text);
  return types;
}

/** MikroORM with a schema of its own, which is dropped when the test ends. */
async function makeOrm(schema: string): Promise<Awaited<ReturnType<typeof MikroORM.init>>> {
  await admin(`CREATE SCHEMA ${schema}`);
  const orm = await MikroORM.init({
    dbName: config().database!,
    schema,
    entities: [CitySchema],
    driverOptions: knex({
      client: UsingpgDialect as never,
      connection: { ...config(), types: datesAsText() } as never,
      pool: { min: 0, max: 3 },
    }) as never,
  });
  onTestFinished(async () => {
    await orm.close();
    await admin(`DROP SCHEMA ${schema} CASCADE`);
  });
  await orm.schema.createSchema();
  return orm;
}

test('MikroORM creates its schema, and persists, finds, updates and removes entities', async () => {
  const orm = await makeOrm('mikro_entities');
  const em = orm.em.fork();
  const founded = new Date(Date.UTC(1900, 1, 2));
  em.create<City>('City', { name: 'Rome', info: { a: [1] }, tags: ['x', 'y'], founded } as City);
  await em.flush();
  em.clear();
  const rome = await em.findOneOrFail<City>('City', { name: 'Rome' });
  expect({ ...rome }).toMatchObject({ id: 1, name: 'Rome', info: { a: [1] }, tags: ['x', 'y'], founded });
  rome.name = 'Roma';
  await em.flush();
  expect(await em.count('City', { name: 'Roma' })).toBe(1);
  const other = orm.em.fork();
  other.create<City>('City', { name: 'Roma' } as City);
  expect(await rejection(other.flush())).toMatchObject({
    name: 'UniqueConstraintViolationException',
    code: '23505',
  });
  await em.remove(rome).flush();
  expect(await em.count('City')).toBe(0);
});

test('MikroORM commits, rolls back and nests transactions', async () => {
  const orm = await makeOrm('mikro_transactions');
  await orm.em.fork().transactional(async (em) => {
    em.create<City>('City', { name: 'Rome' } as City);
    await em.flush();
    await expect(
      em.transactional(async (inner) => {
        inner.create<City>('City', { name: 'Rome' } as City);
        await inner.flush();
      }),
    ).rejects.toMatchObject({ code: '23505' });
  });
  await expect(
    orm.em.fork().transactional(async (em) => {
      em.create<City>('City', { name: 'Oslo' } as City);
      await em.flush();
      throw new Error('not this time');
    }),
  ).rejects.toThrow('not this time');
  const names = (await orm.em.fork().find<City>('City', {})).map(({ name }) => name);
  expect(names).toEqual(['Rome']);
});
