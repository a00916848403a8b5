import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AsyncConnection, PACKAGE } from './package.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BUILT = JSON.stringify(pathToFileURL(resolve(PACKAGE, 'dist/index.js')).href);
const ROWS = 20_000;
const FETCHES = 16;

/** The body of a function that fetches all rows, for each client; `dsn` and the statement `all` are in scope. */
const FETCHERS = {
  [OURS]: `
    const { AsyncConnection } = await import(${BUILT});
    const conn = await AsyncConnection.connect(dsn, { autocommit: true });
    return async () => (await conn.execute(all)).fetchall();`,
  postgres: `
    const { default: postgres } = await import('postgres');
    const sql = postgres(dsn, { max: 1 });
    await sql\`SELECT 1\`;
    return () => sql.unsafe(all, [], { prepare: true }).values();`,
  pg: `
    const { default: pg } = await import('pg');
    const client = new pg.Client(dsn);
    await client.connect();
    return async () => (await client.query({ text: all, rowMode: 'array' })).rows;`,
};

/**
 * The first fetches of a new process, including compilation. The statement is prepared on the way, so that its results change
 * from text to binary. A full garbage collection is included.
 */
export async function cold({ dsn }: Setting): Promise<Race[]> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  await conn.execute('DROP TABLE IF EXISTS bench_cold');
  await conn.execute(
    `CREATE TABLE bench_cold AS SELECT i AS id, 'name of row ' || i AS name, i * 1000000007::int8 AS big,
       i / 7.0::float8 AS ratio, i % 2 = 0 AS even, timestamptz '2024-01-01 00:00+00' + i * interval '1 s' AS at
     FROM generate_series(1, ${String(ROWS)}) AS i`,
  );
  try {
    const contenders = Object.entries(FETCHERS).map(([name, fetcher]) => ({
      name,
      run: () => Promise.resolve(inNewProcess(fetcher, dsn)),
    }));
    const workload = `${String(FETCHES)} fetches of ${String(ROWS)} rows × 6 columns in a new process`;
    return [await race(workload, contenders, { operations: FETCHES })];
  } finally {
    await conn.execute('DROP TABLE bench_cold');
  }
}

/** The milliseconds of all fetches of a process together. */
function inNewProcess(fetcher: string, dsn: string): number {
  const program = `
    const dsn = ${JSON.stringify(dsn)};
    const all = 'SELECT * FROM bench_cold';
    const fetchRows = await (async () => {${fetcher}})();
    const start = performance.now();
    for (let i = 0; i < ${String(FETCHES)}; i++) {
      if ((await fetchRows()).length !== ${String(ROWS)}) throw new Error('rows are missing');
    }
    console.log(performance.now() - start);
    process.exit();`;
  const told = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return Number(told);
}
