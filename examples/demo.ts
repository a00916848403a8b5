/** Runs the examples in order, on one server: `npm run demo`. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { withDatabase } from './database.js';

const EXAMPLES: readonly [file: string, heading: string][] = [
  ['01-shared-cursor-failure.ts', 'The failure: tasks that share one connection, or one cursor'],
  ['02-connection-per-task.ts', 'The cure: a connection and a cursor per task'],
  ['03-threaded-pool-way.ts', "The threaded pool's way: getconn and putconn"],
  ['04-await-using.ts', 'Scopes that own: await using'],
  ['05-web-service.ts', 'A web service with background jobs'],
  ['07-copy-cities.ts', 'Cities in and out through COPY'],
  ['08-job-queue.ts', 'A job queue on LISTEN and NOTIFY, under fire'],
  ['09-report.ts', 'Five million rows in flat memory'],
  ['10-opentelemetry.ts', 'Spans of OpenTelemetry'],
  ['11-prometheus.ts', 'Metrics for Prometheus'],
  ['13-types-of-your-own.ts', 'Vectors and geometries by codecs of their own'],
  ['06-real-data.ts', 'Real data, hundreds of tasks'],
];

await withDatabase(async (dsn) => {
  for (const [file, heading] of EXAMPLES) {
    console.log(`\n── ${file} ── ${heading}\n`);
    const code = await run(file, dsn);
    if (code !== 0) {
      console.error(`\n${file} failed (exit code ${String(code)})`);
      process.exitCode = 1;
      return;
    }
  }
  console.log(
    '\nTo watch a pool at work: npx tsx examples/12-pool-live.ts, and open the address that it prints.',
  );
});

function run(file: string, dsn: string): Promise<number | null> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  // The options this process was started with make TypeScript run; the child needs the same.
  const child = spawn(process.execPath, [...process.execArgv, path], {
    stdio: 'inherit',
    env: { ...process.env, DATABASE_URL: dsn },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      resolve(code);
    });
  });
}
