import pg from 'pg';
import type { AsyncConnection, AsyncConnectionPool } from '../../src/index.js';
import type { Random } from '../support/random.js';

/** A task, and the number of connections that all tasks currently have. */
export interface Actor {
  readonly pool: AsyncConnectionPool;
  readonly random: Random;
  held: number;
}

/** Creates the objects that the actions use. */
export async function setUp(dsn: string): Promise<void> {
  const client = new pg.Client(dsn);
  await client.connect();
  await client.query('CREATE TABLE soaked (id bigint GENERATED ALWAYS AS IDENTITY, note text)');
  await client.end();
}

const SERIES = 'SELECT g, md5(g::text) AS sum FROM generate_series(1, %s) g';

/** A sample of everything the library can do, in correct and incorrect use. */
export const actions: Readonly<Record<string, (actor: Actor) => Promise<void>>> = {
  statement: (actor) =>
    lent(actor, async (connection) => {
      await (await connection.execute(SERIES, [actor.random.below(100)])).fetchall();
    }),
  'ever new statements': (actor) =>
    lent(actor, async (connection) => {
      const number = String(actor.random.below(10_000));
      await connection.execute(`SELECT ${number} AS number, %s::text`, [number], { prepare: true });
    }),
  'one shot': async ({ pool, random }) => {
    await pool.execute(SERIES, [random.below(50)]);
  },
  transaction: async (actor) => {
    await actor.pool.withTransaction((connection) =>
      holding(actor, async () => {
        await connection.execute('INSERT INTO soaked (note) VALUES (%s)', [
          'x'.repeat(actor.random.below(2000)),
        ]);
        await connection.execute('DELETE FROM soaked WHERE id IN (SELECT id FROM soaked LIMIT 1)');
      }),
    );
  },
  'uncommitted writes': (actor) =>
    lent(actor, async (connection) => {
      await connection.execute('INSERT INTO soaked (note) VALUES (%s)', ['never']);
    }),
  error: (actor) =>
    lent(actor, async (connection) => {
      await connection.execute('SELECT 1 / %s', [0]).catch(() => undefined);
    }),
  stream: (actor) =>
    lent(actor, async (connection) => {
      const until = actor.random.below(3000);
      for await (const [g] of connection.cursor().stream(SERIES, [2000])) if (g === until) break;
    }),
  'server cursor': (actor) =>
    lent(actor, async (connection) => {
      const cursor = connection.cursor({ name: 'soak' });
      await cursor.execute(SERIES, [500]);
      await cursor.fetchmany(actor.random.below(600));
      if (actor.random.chance(0.5)) await cursor.close();
    }),
  'COPY out': (actor) =>
    lent(actor, async (connection) => {
      await using copy = await connection.cursor().copy(`COPY (${SERIES}) TO STDOUT`, [1000]);
      let left = actor.random.below(1500);
      for await (const _ of copy.rows()) if (left-- === 0) break;
    }),
  'COPY in': (actor) =>
    lent(actor, async (connection) => {
      await connection.cursor().withCopy('COPY soaked (note) FROM STDIN', async (copy) => {
        for (let i = 0; i < 50; i++) await copy.writeRow([`note ${String(i)}`]);
        if (actor.random.chance(0.3)) await copy.abort('no more');
      });
      await connection.rollback();
    }),
  pipeline: (actor) =>
    lent(actor, async (connection) => {
      await connection.withPipeline(async () => {
        for (let i = 0; i < 10; i++) {
          await connection.execute('SELECT %s / %s', [1, actor.random.chance(0.02) ? 0 : 1]);
        }
      });
    }),
  cancelled: (actor) =>
    lent(actor, async (connection) => {
      const signal = AbortSignal.timeout(actor.random.below(60));
      await connection.execute('SELECT pg_sleep(0.05)', null, { signal });
    }),
  notifications: (actor) =>
    lent(actor, async (connection) => {
      await connection.setAutocommit(true);
      await connection.execute('LISTEN soak');
      await connection.execute("SELECT pg_notify('soak', 'x')");
      for await (const _ of connection.notifies({ timeout: 0.2, stopAfter: 1 }));
    }),
  'an impatient request': async (actor) => {
    await using _connection = await actor.pool.connection({ timeout: 0.01 });
    await holding(actor, async () => undefined);
  },
  'an aborted request': async (actor) => {
    const signal = AbortSignal.timeout(actor.random.below(5));
    await actor.pool.withConnection(() => holding(actor, async () => undefined), { signal });
  },
  'a connection that is lost on purpose': (actor) =>
    lent(actor, async (connection) => {
      if (!actor.random.chance(0.1)) return;
      await connection.execute('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
    }),
  care: async ({ pool, random }) => {
    if (random.chance(0.05)) await pool.drain();
    else if (random.chance(0.1)) await pool.check();
  },
};

async function lent(actor: Actor, task: (connection: AsyncConnection) => Promise<void>): Promise<void> {
  await using connection = await actor.pool.connection();
  await holding(actor, () => task(connection));
}

async function holding(actor: Actor, task: () => Promise<unknown>): Promise<void> {
  actor.held++;
  try {
    await task();
  } finally {
    actor.held--;
  }
}
