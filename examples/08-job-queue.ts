/**
 * A job queue: LISTEN / NOTIFY wakes the workers, which take jobs with FOR UPDATE SKIP LOCKED. No job is lost although
 * connections are killed. A killed worker's job is rolled back and done by another worker. A listener that lost its connection
 * reports a `gap`, upon which its worker looks for jobs itself. In your project: from 'usingpg'.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncConnectionPool, errors, Listener } from '../src/index.js';
import { withDatabase } from './database.js';

const JOBS = 300;
const WORKERS = 4;
const KILLS = 6;

interface Tally {
  gaps: number;
  interrupted: number;
}

await withDatabase(async (dsn) => {
  // A listener keeps a connection permanently: one for each worker, plus those for the workers' statements.
  await using pool = new AsyncConnectionPool(dsn, {
    minSize: WORKERS,
    maxSize: 2 * WORKERS + 2,
    configure: async (connection) => {
      await connection.execute("SET application_name TO 'usingpg example 08'");
      await connection.commit();
    },
  });
  await pool.withConnection(async (connection) => {
    await connection.execute('DROP TABLE IF EXISTS example_jobs');
    await connection.execute(
      'CREATE TABLE example_jobs (id int PRIMARY KEY, done_by int, times int DEFAULT 0)',
    );
  });

  const tally: Tally = { gaps: 0, interrupted: 0 };
  const finished = new AbortController();
  const workers = Array.from({ length: WORKERS }, (_, worker) => work(pool, worker, tally, finished));

  const kills = (async () => {
    for (let kill = 0; kill < KILLS && !finished.signal.aborted; kill++) {
      await sleep(60);
      await killOne(pool);
    }
  })();
  for (let id = 1; id <= JOBS; id++) {
    await enqueue(pool, id);
    if (id % 10 === 0) await sleep(10);
  }
  await kills;
  await Promise.all(workers);

  const { rows } = await pool.execute<[number, number, number]>(
    'SELECT count(*)::int, count(DISTINCT done_by)::int, max(times) FROM example_jobs WHERE done_by IS NOT NULL',
  );
  const [done, busy, most] = rows[0]!;
  console.log(`connections killed: ${String(KILLS)}; gaps noticed: ${tally.gaps > 0 ? 'yes' : 'no'}`);
  console.log(`jobs done: ${String(done)} of ${String(JOBS)}, each once: ${String(most === 1)}`);
  console.log(`workers that did some: ${String(busy)} of ${String(WORKERS)}`);
  await pool.execute('DROP TABLE example_jobs');
});

/** One transaction, so that the job exists when the notification arrives. Repeated if its connection was killed. */
async function enqueue(pool: AsyncConnectionPool, id: number): Promise<void> {
  for (;;) {
    try {
      await pool.withConnection(async (connection) => {
        await connection.execute('INSERT INTO example_jobs VALUES (%s) ON CONFLICT DO NOTHING', [id]);
        await connection.execute("SELECT pg_notify('example_jobs', %s)", [String(id)]);
      });
      return;
    } catch (error) {
      if (!(error instanceof errors.OperationalError)) throw error;
    }
  }
}

async function work(
  pool: AsyncConnectionPool,
  worker: number,
  tally: Tally,
  finished: AbortController,
): Promise<void> {
  try {
    const listener = new Listener(pool, ['example_jobs'], { signal: finished.signal });
    // Jobs that existed before this worker listened.
    await listener.listen();
    await takeJobs(pool, worker, tally, finished);
    for await (const event of listener) {
      if (event.type === 'gap') tally.gaps++;
      await takeJobs(pool, worker, tally, finished);
    }
  } catch (error) {
    if (error !== finished.signal.reason) throw error;
  }
}

/** Does jobs until none are left. */
async function takeJobs(
  pool: AsyncConnectionPool,
  worker: number,
  tally: Tally,
  finished: AbortController,
): Promise<void> {
  for (;;) {
    try {
      const job = await pool.withConnection(async (connection) => {
        const cursor = await connection.execute(
          'SELECT id FROM example_jobs WHERE done_by IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED',
        );
        const row = (await cursor.fetchone()) as [number] | null;
        if (row === null) return null;
        // The work itself is in the transaction that holds the job's lock, so that it is done and recorded, or neither.
        await connection.execute('UPDATE example_jobs SET done_by = %s, times = times + 1 WHERE id = %s', [
          worker,
          row[0],
        ]);
        return row[0];
      });
      if (job !== null) continue;
      // Only the database knows whether a job was done whose connection was killed at its COMMIT.
      const { rows } = await pool.execute<[number]>(
        'SELECT count(*)::int FROM example_jobs WHERE done_by IS NOT NULL',
      );
      if (rows[0]![0] === JOBS) finished.abort(new Error('all jobs are done'));
      return;
    } catch (error) {
      if (!(error instanceof errors.OperationalError)) throw error;
      tally.interrupted++;
    }
  }
}

async function killOne(pool: AsyncConnectionPool): Promise<void> {
  try {
    await pool.execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'usingpg example 08'" +
        ' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1',
    );
  } catch (error) {
    // The killer's own connection may have been killed by another killer.
    if (!(error instanceof errors.OperationalError)) throw error;
  }
}
