/**
 * A /metrics endpoint for Prometheus: gauges from the pool's statistics, histograms and counters from the library's channels. It
 * serves some load, scrapes itself and prints the result. In your project: from 'usingpg'.
 */
import { once } from 'node:events';
import { subscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import {
  AsyncConnectionPool,
  type CheckoutMessage,
  type EvictMessage,
  type PoolStats,
  type QueryMessage,
} from '../src/index.js';
import { withDatabase } from './database.js';

const TASKS = 40;
/** The buckets of a histogram, in seconds. */
const BUCKETS = [0.001, 0.01, 0.1, 1, 10];

const registry = new Registry();
const registers = [registry];

const checkouts = new Histogram({
  name: 'usingpg_checkout_seconds',
  help: 'The wait for a connection',
  labelNames: ['pool', 'outcome'] as const,
  buckets: BUCKETS,
  registers,
});
const queries = new Histogram({
  name: 'usingpg_query_seconds',
  help: 'The duration of a statement',
  labelNames: ['pool', 'operation'] as const,
  buckets: BUCKETS,
  registers,
});
const failures = new Counter({
  name: 'usingpg_query_errors_total',
  help: 'Statements that failed',
  labelNames: ['pool', 'sqlstate'] as const,
  registers,
});
const evictions = new Counter({
  name: 'usingpg_evictions_total',
  help: 'Connections that the pool has closed',
  labelNames: ['pool', 'reason'] as const,
  registers,
});

subscribe('tracing:usingpg:checkout:asyncEnd', (published) => {
  const { pool, seconds, error } = published as CheckoutMessage;
  checkouts.observe({ pool, outcome: error === undefined ? 'ok' : 'error' }, seconds ?? 0);
});
subscribe('tracing:usingpg:query:asyncEnd', (published) => {
  const { pool, operation, seconds, error, sqlstate } = published as QueryMessage;
  queries.observe({ pool: pool ?? '', operation: operation ?? '' }, seconds ?? 0);
  if (error !== undefined) failures.inc({ pool: pool ?? '', sqlstate: sqlstate ?? '' });
});
subscribe('usingpg:evict', (published) => {
  const { pool, reason } = published as EvictMessage;
  evictions.inc({ pool, reason });
});

/** A gauge that reads the pool's statistics at each scrape. */
function gaugeOf(pool: AsyncConnectionPool, name: string, help: string, statistic: keyof PoolStats): Gauge {
  return new Gauge({
    name,
    help,
    labelNames: ['pool'],
    registers,
    collect() {
      this.set({ pool: pool.name }, pool.getStats()[statistic]);
    },
  });
}

await withDatabase(async (dsn) => {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 4, name: 'web' });
  gaugeOf(pool, 'usingpg_pool_size', 'Connections of the pool', 'poolSize');
  gaugeOf(pool, 'usingpg_pool_available', 'Connections that are idle', 'poolAvailable');
  gaugeOf(pool, 'usingpg_pool_waiting', 'Requests that wait for a connection', 'requestsWaiting');

  const server = createServer((_, response) => {
    void registry.metrics().then((text) => {
      response.setHeader('content-type', registry.contentType).end(text);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  await Promise.all(
    Array.from({ length: TASKS }, async (_, i) => {
      if (i % 10 === 0) await pool.execute('SELECT 1 / 0').catch(() => undefined);
      else await pool.execute('SELECT pg_sleep(0.005), %s::int', [i]);
    }),
  );
  await pool.drain();

  const scraped = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
  server.close();
  server.closeAllConnections();
  console.log(
    scraped
      .split('\n')
      // The buckets of the histograms would fill the screen.
      .filter((line) => line !== '' && !line.startsWith('#') && !line.includes('_bucket{'))
      .join('\n'),
  );
});
