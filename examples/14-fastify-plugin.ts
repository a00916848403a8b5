/**
 * A Fastify plugin that owns the pool: it is ready before the service listens, and closed with the application. Started as a script
 * it sends itself requests, all at once. In your project: from 'usingpg' and 'usingpg/logger'.
 */
import Fastify, { type FastifyPluginAsync } from 'fastify';
import {
  AsyncConnectionPool,
  dictRow,
  errors,
  type ConninfoSource,
  type DictRow,
  type PoolOptions,
} from '../src/index.js';
import { logQueries } from '../src/integrations/logger.js';
import { withDatabase } from './database.js';

const REQUESTS = 200;

declare module 'fastify' {
  interface FastifyInstance {
    pool: AsyncConnectionPool<DictRow>;
  }
}

interface Options {
  conninfo: ConninfoSource;
  poolOptions?: PoolOptions<DictRow>;
  /** Seconds from which on a statement is logged as slow. */
  slow?: number;
}

const plugin: FastifyPluginAsync<Options> = async (app, { conninfo, poolOptions, slow }) => {
  const pool = new AsyncConnectionPool<DictRow>(conninfo, {
    ...poolOptions,
    open: false,
    connectOptions: { rowFactory: dictRow },
  });
  const stopLog = logQueries(app.log, { slow });
  app.decorate('pool', pool);
  app.addHook('onReady', () => pool.open({ wait: true, timeout: 10 }));
  app.addHook('onClose', async () => {
    await pool.close();
    stopLog();
  });
};

// What `app.decorate()` adds is for the whole application, and not for this plugin alone: as with fastify-plugin.
const usingpg = Object.assign(plugin, { [Symbol.for('skip-override')]: true });

await withDatabase(async (dsn) => {
  // Statements are logged at the level 'debug', failures at 'error'.
  const app = Fastify({ logger: { level: 'error', stream: { write: logged } } });
  await app.register(usingpg, { conninfo: dsn, poolOptions: { minSize: 1, maxSize: 5, name: 'fastify' } });

  app.get<{ Params: { name: string } }>('/hello/:name', async ({ params }) => {
    const { rows } = await app.pool.execute('SELECT %s || %s AS greeting', ['Hello, ', params.name]);
    return rows[0];
  });
  app.get('/broken', () => app.pool.execute('SELECT 1 / 0'));
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof errors.PoolTimeout ? 503 : 500).send({ error: String(error) }),
  );

  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  const greetings = await Promise.all(
    Array.from({ length: REQUESTS }, async (_, i) => {
      const response = await fetch(`${address}/hello/${String(i)}`);
      const { greeting } = (await response.json()) as { greeting: string };
      return greeting === `Hello, ${String(i)}`;
    }),
  );
  console.log(
    `${String(greetings.filter(Boolean).length)} of ${String(REQUESTS)} requests got their own answer`,
  );
  const { poolSize, poolMax } = app.pool.getStats();
  console.log(`connections: ${String(poolSize)} of at most ${String(poolMax)}`);
  const broken = await fetch(`${address}/broken`);
  console.log(`a failing statement answers ${String(broken.status)}: ${await broken.text()}`);
  await app.close();
  console.log(`the pool is closed with the application: ${String(app.pool.closed)}`);
});

function logged(line: string): void {
  const { msg, error, sqlstate } = JSON.parse(line) as { msg: string; error: string; sqlstate?: string };
  if (sqlstate !== undefined) console.log(`logged: ${error} ${sqlstate}, "${msg}"`);
}
