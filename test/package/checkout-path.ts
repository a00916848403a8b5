import { Session } from 'node:inspector/promises';
import { AsyncConnectionPool } from '../../src/index.js';

// Prints which files of src/ one checkout with one statement enters: those of which a function is called, be it a getter, once all is
// warmed up. Its argument is a connection string. A process of its own, since counting concerns all code of a process.

const SOURCES = new URL('../../src/', import.meta.url).href;

const inspector = new Session();
inspector.connect();
await inspector.post('Profiler.enable');
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });

/** The files that have been entered since the last call. */
async function entered(): Promise<string[]> {
  const { result } = await inspector.post('Profiler.takePreciseCoverage');
  return result
    .filter(({ url }) => url.startsWith(SOURCES))
    .filter(({ functions }) => functions.some(({ ranges }) => ranges[0]!.count > 0))
    .map(({ url }) => url.slice(SOURCES.length))
    .sort();
}

const pool = new AsyncConnectionPool(process.argv[2], { minSize: 1 });
await pool.wait();

async function checkout(): Promise<void> {
  await pool.withConnection(async (conn) => {
    const cursor = await conn.execute('SELECT %s::int', [1]);
    await cursor.fetchall();
  });
}

// A statement is prepared after a few executions.
for (let i = 0; i < 20; i++) await checkout();
await entered();
await checkout();
console.log(JSON.stringify(await entered()));
await pool.close();
