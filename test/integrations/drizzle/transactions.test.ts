import { sql, TransactionRollbackError } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { drizzle } from '../../../src/integrations/drizzle/index.js';
import { connect, rejection } from '../../support/database.js';
import { city, openDrizzle, schemaName } from './open-drizzle.js';

type Database = Awaited<ReturnType<typeof openDrizzle>>['db'];
const names = async (db: Pick<Database, 'select'>): Promise<string[]> =>
  (await db.select().from(city).orderBy(city.id)).map(({ name }) => name);
const settings = sql<Record<string, string>>`SELECT current_setting('transaction_isolation') AS level,
  current_setting('transaction_read_only') AS "readOnly", current_setting('transaction_deferrable') AS deferrable`;

test('a transaction commits if its callback returns, and rolls back if it throws or calls rollback()', async () => {
  const { db, pool } = await openDrizzle();
  expect(
    await db.transaction(async (tx) => {
      await tx.insert(city).values({ name: 'Rome' });
      return names(tx);
    }),
  ).toEqual(['Rome']);
  await expect(
    db.transaction(async (tx) => {
      await tx.insert(city).values({ name: 'Oslo' });
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  await expect(
    db.transaction(async (tx) => {
      await tx.insert(city).values({ name: 'Bern' });
      tx.rollback();
    }),
  ).rejects.toThrow(TransactionRollbackError);
  expect(await names(db)).toEqual(['Rome']);
  expect(pool.getStats().poolAvailable).toBe(1);
});

test('a transaction within a transaction is a savepoint', async () => {
  const { db } = await openDrizzle();
  await db.transaction(async (tx) => {
    await tx.insert(city).values({ name: 'Rome' });
    await tx
      .transaction(async (inner) => {
        await inner.insert(city).values({ name: 'Oslo' });
        await inner.transaction((innermost) => innermost.insert(city).values({ name: 'Bern' }));
        await inner.insert(city).values({ name: 'Rome' });
      })
      .catch(() => undefined);
    await tx.transaction((inner) => inner.insert(city).values({ name: 'Wien' }));
  });
  expect(await names(db)).toEqual(['Rome', 'Wien']);
});

test('a transaction has the isolation level, the access mode and the deferrability that it was asked for', async () => {
  const { db } = await openDrizzle();
  const config = { isolationLevel: 'serializable', accessMode: 'read only', deferrable: true } as const;
  const inside = await db.transaction((tx) => tx.execute(settings), config);
  expect(inside.rows).toEqual([{ level: 'serializable', readOnly: 'on', deferrable: 'on' }]);
  const next = await db.transaction((tx) => tx.execute(settings));
  expect(next.rows).toEqual([{ level: 'read committed', readOnly: 'off', deferrable: 'off' }]);
  await expect(
    db.transaction(async () => undefined, { isolationLevel: 'snapshot' as never }),
  ).rejects.toThrow("PostgreSQL has no isolation level 'snapshot': use read uncommitted, ");
});

test('a transaction that fails to be serialized is not repeated', async () => {
  const { db } = await openDrizzle();
  let runs = 0;
  const failing = db.transaction(async (tx) => {
    runs++;
    await tx.execute(sql`DO $$ BEGIN RAISE 'not this time' USING ERRCODE = 'serialization_failure'; END $$`);
  });
  expect((await rejection(failing)).cause).toBeInstanceOf(errors.SerializationFailure);
  expect(runs).toBe(1);
});

test('a COMMIT of a failed transaction rejects with the cause', async () => {
  const { db } = await openDrizzle();
  const swallowing = db.transaction(async (tx) => {
    await tx.insert(city).values({ name: 'Rome' });
    await tx.execute(sql`SELECT 1/0`).catch(() => undefined);
  });
  const error = await rejection(swallowing);
  expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
  expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
  expect(await names(db)).toEqual([]);
});

test('over a connection, statements belong to its transaction, which its holder ends', async () => {
  const { db } = await openDrizzle();
  const conn = await connect({}, { options: `-c search_path=${schemaName()}` });
  const own = drizzle(conn);
  await own.insert(city).values({ name: 'Rome' });
  expect(await names(db)).toEqual([]);
  await conn.commit();
  await own.transaction(async (tx) => {
    await tx.insert(city).values({ name: 'Oslo' });
  });
  await own.insert(city).values({ name: 'Bern' });
  await conn.rollback();
  expect(await names(db)).toEqual(['Rome', 'Oslo']);
  expect(own.$client).toBe(conn);
});

test('over a connection, a transaction within the open one is a savepoint, and has no settings of its own', async () => {
  const { db } = await openDrizzle();
  const conn = await connect({}, { options: `-c search_path=${schemaName()}` });
  const own = drizzle(conn);
  const inside = await own.transaction((tx) => tx.execute(settings), { accessMode: 'read only' });
  expect(inside.rows).toMatchObject([{ readOnly: 'on' }]);
  expect(conn.readOnly).toBe(null);
  await own.insert(city).values({ name: 'Rome' });
  await own
    .transaction(async (tx) => {
      await tx.insert(city).values({ name: 'Oslo' });
      throw new Error('no');
    })
    .catch(() => undefined);
  await expect(own.transaction(async () => undefined, { accessMode: 'read only' })).rejects.toThrow(
    errors.ProgrammingError,
  );
  await conn.commit();
  expect(await names(db)).toEqual(['Rome']);
});
