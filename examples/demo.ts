/** Runs the examples in order, on one server: `npm run demo`; with `-- 06 07` some of them only. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onProcessEnd, withDatabase } from './database.js';
import { wrapped } from './print.js';

const EXAMPLES: readonly [file: string, heading: string][] = [
  ['01-shared-cursor-failure.ts', 'The failure: tasks that share one connection, or one cursor'],
  ['02-connection-per-task.ts', 'The cure: a connection and a cursor per task'],
  ['03-threaded-pool-way.ts', "The threaded pool's way: getconn and putconn"],
  ['04-await-using.ts', 'Scopes that own: await using'],
  ['05-web-service.ts', 'A web service with background jobs'],
  ['07-copy-cities.ts', 'Cities in and out through COPY'],
  ['08-job-queue.ts', 'A job queue on LISTEN and NOTIFY, under fire'],
  ['09-report.ts', 'Five million rows in flat memory'],
  ['10-opentelemetry.ts', 'Spans and metrics of OpenTelemetry'],
  ['11-prometheus.ts', 'Metrics for Prometheus'],
  ['13-types-of-your-own.ts', 'Vectors and geometries by codecs of their own'],
  ['14-fastify-plugin.ts', 'A Fastify plugin that owns the pool'],
  ['06-real-data.ts', 'Real data, hundreds of tasks'],
];

const wanted = process.argv.slice(2);
const chosen = EXAMPLES.filter(
  ([file]) => wanted.length === 0 || wanted.some((start) => file.startsWith(start)),
);

await withDatabase(async (dsn) => {
  const times: [seconds: number, heading: string][] = [];
  for (const [file, heading] of chosen) {
    console.log(`\n── ${file} ── ${heading}\n`);
    const start = performance.now();
    const { code, signal } = await run(file, dsn);
    if (signal !== null) {
      // Ctrl-C has reached the example first: it ends this process as well.
      process.exitCode = 130;
      return;
    }
    if (code !== 0) {
      console.error(`\n${file} failed (exit code ${String(code)})`);
      process.exitCode = 1;
      return;
    }
    times.push([(performance.now() - start) / 1000, heading]);
  }
  summarize(times);
  console.log(
    '\nTo watch a pool at work: npx tsx examples/12-pool-live.ts, and open the address that it prints.',
  );
});

function summarize(times: readonly [seconds: number, heading: string][]): void {
  console.log('\n── Summary ──\n');
  for (const [seconds, heading] of times) console.log(`${seconds.toFixed(1).padStart(6)} s  ${heading}`);
  const total = times.reduce((sum, [seconds]) => sum + seconds, 0);
  console.log(
    `\n${total.toFixed(1).padStart(6)} s  ${String(times.length)} examples, all of them as expected`,
  );
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

async function run(file: string, dsn: string): Promise<Exit> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  // The options this process was started with make TypeScript run; the child needs the same.
  const child = spawn(process.execPath, [...process.execArgv, path], {
    // Process warnings are wrapped; progress bars need the terminal.
    stdio: ['inherit', 'inherit', 'pipe'],
    env: { ...process.env, DATABASE_URL: dsn },
  });
  const handled = onProcessEnd(() => child.kill());
  createInterface(child.stderr).on('line', (line) => {
    console.error(wrapped(line));
  });
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal };
  } finally {
    handled();
  }
}
