/**
 * The failure: tasks that share one connection. Here it happens with another client, silently; then usingpg stops it.
 * In your project: from 'usingpg'.
 */
import pg from 'pg';
import { AsyncConnection, AsyncConnectionPool, errors } from '../src/index.js';
import { withDatabase } from './database.js';
import { wrapped } from './print.js';

const TASKS = 20;
/** Every fourth task finds a mistake in its order, and rolls back. */
const isWrong = (task: number): boolean => task % 4 === 0;
const GOOD = Array.from({ length: TASKS }, (_, task) => task).filter((task) => !isWrong(task));

await withDatabase(async (dsn) => {
  const client = new pg.Client(dsn);
  await client.connect();
  try {
    await client.query('DROP TABLE IF EXISTS example_orders; CREATE TABLE example_orders (task int4)');
    await sharedByTasks(client);
    await client.query('TRUNCATE example_orders');
    await stoppedByTheCursor(dsn);
    await connectionPerTask(dsn, client);
  } finally {
    await client.query('DROP TABLE example_orders');
    await client.end();
  }
});

async function sharedByTasks(client: pg.Client): Promise<void> {
  console.log(`${String(TASKS)} tasks share one pg client. Each: BEGIN, INSERT, then COMMIT or ROLLBACK.`);
  const outcomes = await Promise.allSettled(
    Array.from({ length: TASKS }, async (_, task) => {
      await client.query('BEGIN');
      await client.query('INSERT INTO example_orders VALUES ($1)', [task]);
      await client.query(isWrong(task) ? 'ROLLBACK' : 'COMMIT');
    }),
  );
  const told = outcomes.filter((outcome) => outcome.status === 'rejected').length;
  const lost = GOOD.length - (await countOfGood(client));
  console.log(`  errors raised:  ${String(told)}`);
  console.log(
    `  tasks whose COMMIT succeeded: ${String(GOOD.length)}, of which their row was lost: ${String(lost)}`,
  );
  console.log(
    "  All tasks were in one transaction, and the first task's ROLLBACK undid it for all of them.\n",
  );
}

async function stoppedByTheCursor(dsn: string): Promise<void> {
  console.log('Two tasks share one usingpg cursor:');
  await using connection = await AsyncConnection.connect(dsn);
  await using cursor = connection.cursor();
  const first = cursor.execute("SELECT 'the first task''s row', pg_sleep(0.05)::text");
  try {
    await cursor.execute("SELECT 'the second task''s row'");
  } catch (error) {
    if (!(error instanceof errors.ConcurrentCursorUse)) throw error;
    console.log(wrapped(`  second task: ${error.name}: ${error.message}`));
  }
  const row = await (await first).fetchone();
  console.log(`  first task, unaffected: ${String(row?.[0])}\n`);
}

async function connectionPerTask(dsn: string, client: pg.Client): Promise<void> {
  console.log('The same orders, each task with a connection of its own:');
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 5 });
  await Promise.all(
    Array.from({ length: TASKS }, async (_, task) => {
      await using connection = await pool.connection();
      await connection.execute('INSERT INTO example_orders VALUES (%s)', [task]);
      if (isWrong(task)) await connection.rollback();
      else await connection.commit();
    }),
  );
  const lost = GOOD.length - (await countOfGood(client));
  console.log(
    `  tasks whose COMMIT succeeded: ${String(GOOD.length)}, of which their row was lost: ${String(lost)}`,
  );
}

async function countOfGood(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    'SELECT count(*)::int4 AS count FROM example_orders WHERE task = ANY ($1)',
    [GOOD],
  );
  return rows[0]?.count ?? 0;
}
