/**
 * Tests whether the library leaks: `npm run soak`, or `npm run soak -- 5` for five minutes, or SOAK_MINUTES. SOAK_SEED sets the
 * seed. Tasks use all features through a pool, while backends are killed and the network fails. Every minute and at the end it
 * prints the growth of the heap, what keeps the process alive, and the pool's statistics.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncConnectionPool, conninfoToDict, errors, makeConninfo } from '../../src/index.js';
import { describeFaults, Faults } from '../fault/faults.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { Random, seedFrom } from '../support/random.js';
import { startOwnServer } from '../support/server.js';
import { actions, setUp, type Actor } from './actions.js';
import { HeapSlope } from './heap-slope.js';

const WORKERS = 8;
const MOST_CONNECTIONS = 6;
/** Mean seconds between two faults, seconds between two measurements of the heap, and seconds between two reports. */
const PAUSE = 1;
const SAMPLE = 5;
const REPORT = 60;
/** The slope that a leak would exceed: MB per 10 minutes. */
const STEEPEST = 1;
/** Fraction of the run before the slope is measured, in which caches fill and code is compiled. */
const WARM_UP = 0.25;

const minutes = Number(process.argv[2] ?? process.env['SOAK_MINUTES'] ?? 30);
if (!(minutes > 0)) throw new Error(`expected a number of minutes, got ${String(process.argv[2])}`);
const seed = seedFrom('SOAK_SEED', Date.now() % 1_000_000);
const collect = globalThis.gc;
if (collect === undefined)
  throw new Error('the heap can only be measured with --expose-gc: use npm run soak');

const applicationName = `usingpg soak ${String(seed)}`;
const violations: string[] = [];
const unexpected = (error: unknown): void => {
  violations.push(`unhandled: ${String((error as Error | undefined)?.stack ?? error)}`);
};
process.on('unhandledRejection', unexpected);
process.on('uncaughtException', unexpected);

const server = await startOwnServer();
const { host, port } = conninfoToDict(server.dsn);
const proxy = await FaultProxy.to({ host: host!, port: Number(port) });
await setUp(server.dsn);
const resourcesBefore = countResources();

const pool = new AsyncConnectionPool(
  makeConninfo(server.dsn, {
    host: '127.0.0.1',
    port: proxy.port,
    application_name: applicationName,
    connect_timeout: 2,
  }),
  { name: applicationName, minSize: 2, maxSize: MOST_CONNECTIONS, timeout: 3, maxLifetime: 20, maxIdle: 5 },
);

const random = new Random(seed);
const counts = new Map<string, { done: number; failed: number }>();
const actor: Actor = { pool, random, held: 0 };
const began = performance.now();
const ends = began + minutes * 60_000;
const slope = new HeapSlope(collect);

const faults = new Faults({ server, proxy, applicationName }, new Random(seed + 1), PAUSE);
const tasks = Array.from({ length: WORKERS }, () => work());
let reportAt = REPORT;
while (performance.now() < ends) {
  await sleep(Math.min(SAMPLE * 1000, Math.max(0, ends - performance.now())));
  // The proxy keeps every connection, which is no leak of the library.
  proxy.connections.length = 0;
  checkStatistics();
  const seconds = elapsed();
  if (seconds > WARM_UP * minutes * 60) slope.sample(seconds);
  if (seconds >= reportAt) {
    reportAt += REPORT;
    report(`${(seconds / 60).toFixed(0)} min`);
  }
}
await Promise.race([
  Promise.all(tasks),
  sleep(30_000, undefined, { ref: false }).then(() => violations.push('not every task has ended')),
]);
await faults.stop();
report('end');
await pool.close();
await proxy[Symbol.asyncDispose]();
await sleep(200);
const resourcesAfter = countResources();
console.log(`active resources before ${describe(resourcesBefore)}, after ${describe(resourcesAfter)}`);
for (const name of ['TCPSocketWrap', 'Timeout']) {
  if ((resourcesAfter.get(name) ?? 0) > (resourcesBefore.get(name) ?? 0))
    violations.push(`${name}s were left behind`);
}
await server.stop();
if (slope.megabytesPer10Minutes() > STEEPEST && minutes >= 10) violations.push('the heap grows');
console.log(`${String(violations.length)} violations, seed ${String(seed)}`);
for (const violation of violations.slice(0, 20)) console.log(violation);
process.exitCode = violations.length === 0 ? 0 : 1;

async function work(): Promise<void> {
  while (performance.now() < ends) {
    const [name, act] = random.pick(Object.entries(actions));
    const count = counts.get(name) ?? { done: 0, failed: 0 };
    counts.set(name, count);
    try {
      await act(actor);
      count.done++;
    } catch (error) {
      count.failed++;
      const isTyped =
        error instanceof errors.Error || ['TimeoutError', 'AbortError'].includes((error as Error).name);
      if (!isTyped) unexpected(error);
      await sleep(random.below(20));
    }
    checkStatistics();
  }
}

function checkStatistics(): void {
  const stats = pool.getStats();
  const isRight =
    stats.poolAvailable >= 0 &&
    stats.poolAvailable + actor.held <= stats.poolSize &&
    stats.poolSize <= MOST_CONNECTIONS &&
    stats.requestsErrors <= stats.requestsNum;
  if (!isRight && violations.length < 100) {
    violations.push(`${String(actor.held)} lent out, but the statistics are ${JSON.stringify(stats)}`);
  }
}

function report(when: string): void {
  const all = [...counts.values()];
  const sum = (of: 'done' | 'failed'): number => all.reduce((total, count) => total + count[of], 0);
  console.log(
    `${when}: heap ${slope.describe()}; ${String(sum('done'))} actions done, ${String(sum('failed'))} failed;` +
      ` ${describeFaults(faults)}\n  active resources ${describe(countResources())}\n  pool ${JSON.stringify(pool.getStats())}`,
  );
}

function elapsed(): number {
  return (performance.now() - began) / 1000;
}

function countResources(): Map<string, number> {
  const resources = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) resources.set(name, (resources.get(name) ?? 0) + 1);
  return resources;
}

function describe(resources: ReadonlyMap<string, number>): string {
  return [...resources].map(([name, count]) => `${name} ${String(count)}`).join(', ') || 'none';
}
