// What Drizzle does over a pool of the package, in any version of Drizzle that it is for. The last line that is printed is 'done'.
import assert from 'node:assert/strict';
import { DrizzleQueryError, eq, relations, sql } from 'drizzle-orm';
import { date, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { AsyncConnectionPool, errors } from 'usingpg';
import { drizzle } from 'usingpg/drizzle';

// Without `await` outside of functions, since the same is run as a CommonJS module.
async function main() {
  const city = pgTable('peer_city', { id: integer(), name: text(), founded: date() });
  const river = pgTable('peer_river', { name: text(), cityId: integer('city_id') });
  const ofCity = relations(city, ({ many }) => ({ rivers: many(river) }));
  const ofRiver = relations(river, ({ one }) => ({
    city: one(city, { fields: [river.cityId], references: [city.id] }),
  }));
  const pool = new AsyncConnectionPool(process.env.DSN, { minSize: 1 });
  const db = drizzle(pool, { schema: { city, river, ofCity, ofRiver } });
  await db.execute(sql`CREATE TEMP TABLE peer_city (id int, name text, founded date)`);
  await db.execute(sql`CREATE TEMP TABLE peer_river (name text, city_id int)`);

  await db.insert(city).values({ id: 1, name: 'Rome', founded: '0753-04-21' });
  await db.transaction(
    async (tx) => {
      await tx.insert(river).values({ name: 'Tiber', cityId: 1 });
      const failing = tx.transaction((inner) => inner.execute(sql`SELECT 1/0`));
      await assert.rejects(failing, (error) => {
        assert.ok(error instanceof DrizzleQueryError && error.cause instanceof errors.DivisionByZero);
        return true;
      });
    },
    { isolationLevel: 'serializable' },
  );
  assert.deepEqual(await db.query.city.findMany({ with: { rivers: true } }), [
    { id: 1, name: 'Rome', founded: '0753-04-21', rivers: [{ name: 'Tiber', cityId: 1 }] },
  ]);
  const prepared = db
    .select()
    .from(city)
    .leftJoin(river, eq(river.cityId, city.id))
    .where(eq(city.id, sql.placeholder('id')))
    .prepare('city');
  const expected = await prepared.execute({ id: 1 });
  const rows = [];
  for await (const row of db.iterator(prepared, { placeholderValues: { id: 1 } })) rows.push(row);
  assert.deepEqual(rows, expected);
  assert.equal(rows[0].peer_river.name, 'Tiber');
  assert.equal(await db.$count(city), 1);

  await pool.close();
  console.log('done');
}

main();
