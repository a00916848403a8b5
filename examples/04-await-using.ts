/**
 * Pool, connection and cursor owned by `await using` scopes. The one rule to know: leaving a scope never commits.
 * In your project: from 'usingpg'.
 */
import { AsyncConnectionPool } from '../src/index.js';
import { withDatabase } from './database.js';

await withDatabase(async (dsn) => {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 4 });
  await pool.withConnection(async (connection) => {
    await connection.execute('DROP TABLE IF EXISTS example_notes');
    await connection.execute('CREATE TABLE example_notes (note text)');
  });
  try {
    {
      await using connection = await pool.connection();
      await using cursor = connection.cursor();
      await cursor.execute('INSERT INTO example_notes VALUES (%s)', ['kept']);
      await connection.commit();
    }
    console.log(`after commit:                 ${await notes(pool)}`);

    {
      await using connection = await pool.connection();
      await connection.execute('INSERT INTO example_notes VALUES (%s)', ['forgotten']);
      // No commit: the end of the scope rolls back, and a process warning reports it.
    }
    console.log(`after leaving without commit: ${await notes(pool)}`);

    // The callback form is Psycopg's `async with`: it commits when the function returns, rolls back when it throws.
    await pool.withConnection((connection) =>
      connection.execute('INSERT INTO example_notes VALUES (%s)', ['returned']),
    );
    console.log(`after withConnection:         ${await notes(pool)}`);

    const failure = await pool
      .withConnection(async (connection) => {
        await connection.execute('INSERT INTO example_notes VALUES (%s)', ['thrown']);
        throw new Error('changed my mind');
      })
      .catch((error: unknown) => String(error));
    console.log(`after a throw:                ${await notes(pool)} (${failure})`);
  } finally {
    await pool.withConnection((connection) => connection.execute('DROP TABLE example_notes'));
  }
});

async function notes(pool: AsyncConnectionPool): Promise<string> {
  await using connection = await pool.connection();
  const cursor = await connection.execute('SELECT note FROM example_notes ORDER BY note');
  const rows = await cursor.fetchall();
  return rows.map(([note]) => String(note)).join(', ');
}
