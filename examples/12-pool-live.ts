/**
 * A pool, live: one page that shows each connection's state, the queue and the last statements while a load runs that a slider
 * changes. The page is fed by the diagnostics channels, through server-sent events. Ctrl-C ends it.
 * In your project: from 'usingpg'.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncConnectionPool } from '../src/index.js';
import { withDatabase } from './database.js';
import { PoolWatch } from './pool-watch.js';

const POOL = 'live';
const MAX_SIZE = 10;
const MAX_TASKS = 60;
const MILLISECONDS_BETWEEN_PICTURES = 100;

/** Tasks that work on a pool until they are told to stop; how many there are can be changed. */
class Load {
  readonly #pool: AsyncConnectionPool;
  readonly #tasks: { readonly stop: AbortController; readonly done: Promise<void> }[] = [];

  constructor(pool: AsyncConnectionPool) {
    this.#pool = pool;
  }

  get tasks(): number {
    return this.#tasks.length;
  }

  /** Resolves when the tasks that are too many have ended. */
  async resize(tasks: number): Promise<void> {
    while (this.#tasks.length < tasks) {
      const stop = new AbortController();
      this.#tasks.push({ stop, done: this.#work(stop.signal) });
    }
    const ending = this.#tasks.splice(tasks);
    for (const { stop } of ending) stop.abort();
    await Promise.all(ending.map(({ done }) => done));
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await sleep(20 + Math.random() * 80, undefined, { signal });
        await this.#job(signal);
      } catch {
        // An abort, or a connection that was killed: the page shows the failed statement.
      }
    }
  }

  /** A short transaction, now and then a longer one. */
  async #job(signal: AbortSignal): Promise<void> {
    await this.#pool.withConnection(
      async (connection) => {
        const account = Math.ceil(Math.random() * 100);
        await connection.execute('SELECT balance FROM example_account WHERE id = %s', [account], { signal });
        await connection.execute('SELECT pg_sleep(%s)', [Math.random() < 0.1 ? 0.15 : 0.02], { signal });
        await connection.execute(
          'UPDATE example_account SET balance = balance + 1 WHERE id = %s',
          [account],
          { signal },
        );
      },
      { signal },
    );
  }
}

await withDatabase(async (dsn) => {
  const watch = new PoolWatch(POOL);
  const pool = new AsyncConnectionPool(dsn, { name: POOL, minSize: 2, maxSize: MAX_SIZE, maxIdle: 3 });
  await pool.execute('CREATE TABLE IF NOT EXISTS example_account (id int PRIMARY KEY, balance int NOT NULL)');
  await pool.execute(
    'INSERT INTO example_account SELECT n, 0 FROM generate_series(1, 100) n ON CONFLICT DO NOTHING',
  );
  const load = new Load(pool);
  const page = await readFile(new URL('pool-live.html', import.meta.url));
  const streams = new Set<ServerResponse>();

  const picture = (): string =>
    JSON.stringify({ ...watch.picture(MAX_SIZE), tasks: load.tasks, maxTasks: MAX_TASKS });
  const send = (stream: ServerResponse): boolean => stream.write(`data: ${picture()}\n\n`);

  const routes: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
    'GET /': (_request, response) => response.setHeader('content-type', 'text/html; charset=utf-8').end(page),
    'GET /events': (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      streams.add(response);
      response.once('close', () => streams.delete(response));
      send(response);
    },
    'POST /load': async (request, response) => {
      const tasks: unknown = await json(request).catch(() => null);
      const isValid =
        typeof tasks === 'number' && Number.isInteger(tasks) && tasks >= 0 && tasks <= MAX_TASKS;
      if (isValid) void load.resize(tasks);
      response.writeHead(isValid ? 204 : 400).end();
    },
    'POST /kill': async (_request, response) => {
      await kill(dsn, watch);
      response.writeHead(204).end();
    },
  };
  const server = createServer((request, response) => {
    const route = routes[`${request.method ?? ''} ${request.url ?? ''}`];
    if (route === undefined) response.writeHead(404).end();
    else void route(request, response);
  });
  server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1');
  await once(server, 'listening');
  const pictures = setInterval(() => {
    // A reader that is too slow for one picture misses the next.
    for (const stream of streams) if (!stream.writableNeedDrain) send(stream);
  }, MILLISECONDS_BETWEEN_PICTURES);
  await load.resize(12);
  console.log(`open http://127.0.0.1:${String((server.address() as AddressInfo).port)}/ (Ctrl-C ends it)`);

  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  clearInterval(pictures);
  server.close();
  server.closeAllConnections();
  await load.resize(0);
  await pool.execute('DROP TABLE example_account').catch(() => undefined);
  await pool.close();
  watch.stop();
  console.log('ended');
});

/** Ends one of the pool's backends, as an administrator would: the pool replaces it. */
async function kill(dsn: string, watch: PoolWatch): Promise<void> {
  const pids = watch.picture(0).slots.flatMap(({ pid }) => (pid === null ? [] : [pid]));
  const pid = pids[Math.floor(Math.random() * pids.length)];
  if (pid === undefined) return;
  await using administrator = new AsyncConnectionPool(dsn, { minSize: 1 });
  await administrator.execute('SELECT pg_terminate_backend(%s)', [pid]);
}
