import { sql, type Kysely } from 'kysely';
import { expect, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { rejection, terminate } from '../../support/database.js';
import { warningsOf } from '../../support/warnings.js';
import { withCities, type Tables } from './open-kysely.js';

const names = async (db: Kysely<Tables>): Promise<string[]> =>
  (await db.selectFrom('kysely_city').select('name').orderBy('id').execute()).map(({ name }) => name);
const add = (db: Kysely<Tables>, name: string): Promise<unknown> =>
  db.insertInto('kysely_city').values({ name }).execute();

test('a transaction commits if its callback returns, and rolls back if it throws', async () => {
  const { db } = await withCities();
  await db.transaction().execute((trx) => add(trx, 'Rome'));
  const failing = db.transaction().execute(async (trx) => {
    await add(trx, 'Paris');
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await names(db)).toEqual(['Rome']);
});

test.each([
  ['read uncommitted', 'read write', 'off'],
  ['read committed', 'read only', 'on'],
  ['repeatable read', 'read write', 'off'],
  ['serializable', 'read only', 'on'],
] as const)('a transaction is %s and %s if that is asked for', async (level, mode, readOnly) => {
  const { db } = await withCities();
  const settings = sql`SELECT current_setting('transaction_isolation') AS level, current_setting('transaction_read_only') AS "readOnly"`;
  const inside = await db
    .transaction()
    .setIsolationLevel(level)
    .setAccessMode(mode)
    .execute((trx) => settings.execute(trx));
  expect(inside.rows).toEqual([{ level, readOnly }]);
  // The next ones on that connection have the defaults again.
  const next = await db.transaction().execute((trx) => settings.execute(trx));
  expect(next.rows).toEqual([{ level: 'read committed', readOnly: 'off' }]);
});

test("an isolation level that PostgreSQL hasn't is refused, and the connection given back", async () => {
  const { db, pool } = await withCities();
  const transaction = db
    .transaction()
    .setIsolationLevel('snapshot')
    .execute(() => sql`SELECT 1`.execute(db));
  await expect(transaction).rejects.toThrow(
    "PostgreSQL has no isolation level 'snapshot': use read uncommitted, read committed, repeatable read, serializable",
  );
  expect(pool.getStats().poolAvailable).toBe(1);
});

test('a savepoint is rolled back to, and released', async () => {
  const { db } = await withCities();
  const trx = await db.startTransaction().execute();
  await add(trx, 'Rome');
  const first = await trx.savepoint('first "of" two').execute();
  await add(first, 'Paris');
  await expect(add(first, 'Paris')).rejects.toThrow(errors.UniqueViolation);
  const again = await first.rollbackToSavepoint('first "of" two').execute();
  await add(again, 'Oslo');
  const released = await again.releaseSavepoint('first "of" two').execute();
  await released.commit().execute();
  expect(await names(db)).toEqual(['Rome', 'Oslo']);
});

test('a COMMIT of a failed transaction rejects with the cause, and gives the connection back', async () => {
  const { db, pool } = await withCities();
  const swallowing = db.transaction().execute(async (trx) => {
    await add(trx, 'Rome');
    await sql`SELECT 1/0`.execute(trx).catch(() => undefined);
  });
  const error = await rejection(swallowing);
  expect(error).toBeInstanceOf(errors.InFailedSqlTransaction);
  expect(error.cause).toBeInstanceOf(errors.DivisionByZero);
  expect(pool.getStats().poolAvailable).toBe(1);

  const trx = await db.startTransaction().execute();
  await sql`SELECT 1/0`.execute(trx).catch(() => undefined);
  await expect(trx.commit().execute()).rejects.toThrow(errors.InFailedSqlTransaction);
  expect(trx.isRolledBack).toBe(true);
  await expect.poll(() => pool.getStats().poolAvailable).toBe(1);
  expect(await names(db)).toEqual([]);
});

test('after a transaction on a single connection, statements are committed by themselves again', async () => {
  const { db, pool } = await withCities();
  await db.connection().execute(async (one) => {
    await one.transaction().execute((trx) => add(trx, 'Rome'));
    await one
      .transaction()
      .execute(async (trx) => {
        await add(trx, 'Paris');
        throw new Error('no');
      })
      .catch(() => undefined);
    await add(one, 'Oslo');
  });
  expect(await names(db)).toEqual(['Rome', 'Oslo']);
  expect(pool.getStats().poolSize).toBe(1);
});

test('a transaction whose connection is lost rejects with what the server said, and the pool replaces the connection', async () => {
  const { db, pool } = await withCities();
  const lost = db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(trx);
    await terminate(rows[0]!.pid);
    await add(trx, 'Rome');
  });
  const error = await rejection(lost);
  expect(error).toBeInstanceOf(errors.OperationalError);
  expect(error.sqlstate).toBe('57P01');
  expect(await names(db)).toEqual([]);
  expect(pool.getStats().poolSize).toBe(1);
});

test('a transaction that is begun by hand and never ended is rolled back with its connection', async () => {
  const { db, pool } = await withCities();
  await warningsOf('USINGPG_UNCOMMITTED', async () => {
    await db.connection().execute(async (one) => {
      await sql`BEGIN`.execute(one);
      await add(one, 'Rome');
    });
  });
  expect(await names(db)).toEqual([]);
  expect(pool.getStats().poolSize).toBe(1);
});
