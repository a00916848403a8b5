/**
 * A web service whose handler starts jobs in the background. Each job takes its own connection; p-limit bounds how many run,
 * the pool how many connections there are. Started as a script it makes requests to itself, then shuts down in order.
 * In your project: from 'usingpg'.
 */
import Fastify, { type FastifyInstance } from 'fastify';
import pLimit from 'p-limit';
import { AsyncConnectionPool, dictRow } from '../src/index.js';
import { withDatabase } from './database.js';

const JOBS_AT_ONCE = 4;
const REQUESTS = 12;
const JOBS_PER_REQUEST = 10;

interface Service {
  readonly app: FastifyInstance;
  /** Stops accepting requests, then lets the jobs end, then closes the pool; each step needs the previous one. */
  readonly shutDown: () => Promise<void>;
}

interface BatchSummary {
  written: number;
  sum: number;
}

function createService(pool: AsyncConnectionPool): Service {
  const app = Fastify();
  const limit = pLimit(JOBS_AT_ONCE);
  const running = new Set<Promise<void>>();

  /** Runs `job` in its turn. It is not awaited, so its failure must be handled here. */
  const startJob = (job: () => Promise<void>): void => {
    const done = limit(job)
      .catch((error: unknown) => {
        app.log.error(error);
      })
      .finally(() => running.delete(done));
    running.add(done);
  };

  app.post<{ Params: { batch: number }; Querystring: { jobs: number } }>(
    '/batches/:batch',
    {
      schema: {
        params: { type: 'object', properties: { batch: { type: 'integer' } } },
        querystring: {
          type: 'object',
          required: ['jobs'],
          properties: { jobs: { type: 'integer', minimum: 1, maximum: 1000 } },
        },
      },
    },
    async (request, reply) => {
      const { batch } = request.params;
      for (let value = 1; value <= request.query.jobs; value++) {
        startJob(async () => {
          await pool.withConnection((connection) =>
            connection.execute('INSERT INTO example_results (batch, value) VALUES (%s, %s)', [batch, value]),
          );
        });
      }
      return reply.code(202).send({ accepted: request.query.jobs });
    },
  );

  app.get<{ Params: { batch: number } }>(
    '/batches/:batch',
    { schema: { params: { type: 'object', properties: { batch: { type: 'integer' } } } } },
    async (request) => {
      await using connection = await pool.connection();
      const cursor = await connection.execute(
        'SELECT count(*)::int4 AS written, coalesce(sum(value), 0)::int4 AS sum FROM example_results WHERE batch = %s',
        [request.params.batch],
        { rowFactory: dictRow<BatchSummary> },
      );
      return await cursor.fetchone();
    },
  );

  return {
    app,
    shutDown: async () => {
      await app.close();
      await Promise.all(running);
      await pool.close();
    },
  };
}

await withDatabase(async (dsn) => {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 5, name: 'web' });
  await pool.withConnection(async (connection) => {
    await connection.execute('DROP TABLE IF EXISTS example_results');
    await connection.execute('CREATE TABLE example_results (batch int4, value int4)');
  });
  const { app, shutDown } = createService(pool);
  try {
    const address = await app.listen({ port: 0, host: '127.0.0.1' });

    const statuses = await Promise.all(
      Array.from({ length: REQUESTS }, async (_, batch) => {
        const response = await fetch(`${address}/batches/${String(batch)}?jobs=${String(JOBS_PER_REQUEST)}`, {
          method: 'POST',
        });
        await response.body?.cancel();
        return response.status;
      }),
    );
    const accepted = statuses.filter((status) => status === 202).length;
    console.log(
      `${String(accepted)} of ${String(REQUESTS)} requests accepted, their jobs run in the background`,
    );

    const summary = (await (await fetch(`${address}/batches/0`)).json()) as BatchSummary;
    console.log(
      `a reader meanwhile: ${String(summary.written)} of ${String(JOBS_PER_REQUEST)} rows of batch 0`,
    );
  } finally {
    await shutDown();
  }
  console.log('shut down: server closed, jobs done, pool closed');
  await report(dsn);
});

/** Checks the jobs' rows with another pool, since the service's pool is closed. */
async function report(dsn: string): Promise<void> {
  await using pool = new AsyncConnectionPool(dsn, { minSize: 1 });
  await pool.withConnection(async (connection) => {
    const cursor = await connection.execute(
      'SELECT count(*)::int4, count(DISTINCT (batch, value))::int4 FROM example_results',
    );
    const [rows, distinct] = (await cursor.fetchone()) ?? [];
    console.log(
      `rows written: ${String(rows)}, distinct: ${String(distinct)}, expected: ${String(REQUESTS * JOBS_PER_REQUEST)}`,
    );
    await connection.execute('DROP TABLE example_results');
  });
}
