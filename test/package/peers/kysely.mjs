// What Kysely does with the dialect of the package, in any version of Kysely that it is for. Prints a line of JSON.
import assert from 'node:assert/strict';
import { Kysely, sql } from 'kysely';
import { AsyncConnectionPool, errors } from 'usingpg';
import { UsingpgDialect } from 'usingpg/kysely';

// Without `await` outside of functions, since the same is run as a CommonJS module.
async function main() {
  const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1 });
  const db = new Kysely({ dialect: new UsingpgDialect({ pool }) });
  const { rows } = await sql`SELECT ${1}::int AS one, ${[1, 2]}::int[] AS list, 5::int8 AS big`.execute(db);
  assert.deepEqual(rows, [{ one: 1, list: [1, 2], big: '5' }]);

  await sql`CREATE TEMP TABLE peer_city (id int, name text)`.execute(db);
  await db
    .transaction()
    .setIsolationLevel('serializable')
    .execute(async (trx) => {
      await trx.insertInto('peer_city').values({ id: 1, name: 'Rome' }).execute();
    });
  const trx = await db.startTransaction().execute();
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('peer_city')
    .values({ id: 2, name: 'Oslo' })
    .executeTakeFirst();
  assert.equal(numInsertedOrUpdatedRows, 1n);
  const saved = await trx.savepoint('one').execute();
  await assert.rejects(sql`SELECT 1/0`.execute(saved), errors.DivisionByZero);
  await (await saved.rollbackToSavepoint('one').execute()).commit().execute();
  await assert.rejects(
    db.transaction().execute(async (failing) => {
      await sql`SELECT 1/0`.execute(failing).catch(() => undefined);
    }),
    errors.InFailedSqlTransaction,
  );
  const names = [];
  for await (const { name } of db.selectFrom('peer_city').select('name').orderBy('id').stream())
    names.push(name);
  assert.deepEqual(names, ['Rome', 'Oslo']);
  assert.ok(Array.isArray(await db.introspection.getTables()));

  if (process.env.ABORTS === 'yes') {
    const backend = sql`SELECT pg_backend_pid() AS pid`;
    const pidOf = async () => (await backend.execute(db)).rows[0].pid;
    for (const inflightQueryAbortStrategy of ['ignore query', 'cancel query', 'kill session']) {
      const before = await pidOf();
      const seconds = inflightQueryAbortStrategy === 'ignore query' ? 1 : 600;
      const signal = AbortSignal.timeout(200);
      const query = sql`SELECT pg_sleep(${seconds})`.execute(db, { signal, inflightQueryAbortStrategy });
      await assert.rejects(query, { name: 'TimeoutError' });
      // The pool has one connection: it comes back when the query has ended, or a new one takes its place.
      assert.equal((await pidOf()) === before, inflightQueryAbortStrategy !== 'kill session');
    }
    const stream = db
      .selectFrom(sql`(SELECT n, pg_sleep(n - 1) FROM generate_series(1, 600) n)`.as('slow'))
      .select('n')
      .stream({ chunkSize: 1, signal: AbortSignal.timeout(200) });
    await assert.rejects(
      async () => {
        for await (const { n } of stream) assert.ok(n > 0);
      },
      { name: 'TimeoutError' },
    );
    await pidOf();
  }

  await db.destroy();
  assert.equal(pool.closed, false);
  await pool.close();
  console.log('done');
}

main();
