import { DataSource, EntitySchema, QueryFailedError } from 'typeorm';
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

// eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- the options are declared as a class
const City = new EntitySchema<City>({
  name: 'City',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    name: { type: 'varchar', unique: true },
    info: { type: 'jsonb', nullable: true },
    tags: { type: 'text', array: true, nullable: true },
    founded: { type: 'timestamptz', nullable: true },
  },
});

/** A data source with a schema of its own, which is dropped when the test ends. */
async function makeSource(schema: string): Promise<DataSource> {
  const { host, port, user, password, database, application_name } = config();
  await admin(`CREATE SCHEMA ${schema}`);
  const source = new DataSource({
    type: 'postgres',
    driver: pg,
    host: host!,
    port: Number(port),
    username: user!,
    password: password as string,
    database: database!,
    applicationName: application_name!,
    schema,
    entities: [City],
    synchronize: true,
    installExtensions: false,
    poolSize: 3,
  });
  onTestFinished(async () => {
    if (source.isInitialized) await source.destroy();
    await admin(`DROP SCHEMA ${schema} CASCADE`);
  });
  return source.initialize();
}

test('TypeORM synchronizes a schema, and saves, finds, updates and removes entities', async () => {
  const source = await makeSource('typeorm_entities');
  const cities = source.getRepository(City);
  const founded = new Date(Date.UTC(1900, 1, 2));
  const rome = await cities.save({ name: 'Rome', info: { a: [1] }, tags: ['x'], founded });
  expect(rome.id).toBe(1);
  expect(await cities.findOneBy({ name: 'Rome' })).toEqual({
    id: 1,
    name: 'Rome',
    info: { a: [1] },
    tags: ['x'],
    founded,
  });
  expect((await cities.update({ id: 1 }, { tags: null })).affected).toBe(1);
  expect(await cities.count()).toBe(1);
  const error = await rejection(cities.insert({ name: 'Rome' }));
  expect(error).toBeInstanceOf(QueryFailedError);
  expect(error).toMatchObject({ code: '23505', driverError: { code: '23505' } });
  const built = await cities
    .createQueryBuilder('c')
    .where('c.name IN (:...names)', { names: ['Rome'] })
    .getMany();
  expect(built).toHaveLength(1);
  expect((await cities.delete({ id: 1 })).affected).toBe(1);
});

test('TypeORM commits, rolls back and nests transactions', async () => {
  const source = await makeSource('typeorm_transactions');
  const cities = source.getRepository(City);
  await source.transaction(async (manager) => {
    await manager.insert(City, { name: 'Rome' });
    await expect(
      manager.transaction(async (inner) => {
        await inner.insert(City, { name: 'Rome' });
      }),
    ).rejects.toMatchObject({ code: '23505' });
    await manager.insert(City, { name: 'Paris' });
  });
  await expect(
    source.transaction('SERIALIZABLE', async (manager) => {
      await manager.insert(City, { name: 'Oslo' });
      throw new Error('not this time');
    }),
  ).rejects.toThrow('not this time');
  expect((await cities.find({ order: { name: 'ASC' } })).map(({ name }) => name)).toEqual(['Paris', 'Rome']);
});

test('TypeORM streams rows', async () => {
  const source = await makeSource('typeorm_streams');
  await source
    .getRepository(City)
    .insert(Array.from({ length: 300 }, (_, i) => ({ name: `city ${String(i)}` })));
  const runner = source.createQueryRunner();
  try {
    const stream = await runner.stream('SELECT name FROM typeorm_streams.city ORDER BY id');
    const rows: unknown[] = await stream.toArray();
    expect([rows.length, rows[299]]).toEqual([300, { name: 'city 299' }]);
    expect(await runner.query('SELECT 1 AS n')).toEqual([{ n: 1 }]);
  } finally {
    await runner.release();
  }
});
