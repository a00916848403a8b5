import pg from 'pg';
import pgPromise from 'pg-promise';
import postgres from 'postgres';
import { AsyncConnectionPool } from './package.js';
import { slonikPool, slonikSql } from './clients.js';
import { Floor } from './floor.js';
import { growth } from './growth.js';
import { raceInTurns } from './one-processor.js';
import { OURS, race, type Contender } from './race.js';
import type { Finding, Setting } from './setting.js';

const CONNECTIONS = 10;
const CHECKOUTS = 500;
const TASKS = 1000;
const TEXT = 'SELECT $1::int4';

/** One statement in a transaction on a pooled connection. */
type Task = (i: number) => Promise<unknown>;

/** Transactions of one statement on pooled connections: one after another, and by many tasks. */
export async function pooled({ dsn, python, quick }: Setting): Promise<Finding[]> {
  await using pools = await Pools.open(dsn, CONNECTIONS);
  const { tasks } = pools;
  using floor = await Floor.connect(dsn);
  const transactions = Array.from({ length: CHECKOUTS }, (_, i) =>
    Floor.statement(TEXT, [String(i)], 'BEGIN'),
  );
  const commit = Floor.statement('COMMIT', []);
  const contenders = (work: (task: Task) => Promise<unknown>): Contender[] =>
    Object.entries(tasks).map(([name, task]) => ({ name, run: () => work(task) }));
  const single = await raceInTurns(
    { dsn, python },
    `${String(CHECKOUTS)} checkouts, each with a transaction of one statement`,
    [
      ...contenders(async (task) => {
        for (let i = 0; i < CHECKOUTS; i++) await task(i);
      }),
      ...(python?.contenders('checkouts', CHECKOUTS) ?? []),
      // The minimum for any client: BEGIN together with the statement, then COMMIT.
      Floor.contender(async () => {
        for (const messages of transactions) {
          await floor.ask(messages);
          await floor.ask(commit);
        }
      }),
    ],
    {
      operations: CHECKOUTS,
      goals: [
        { peers: ['pg'], ratio: 1.4 },
        { peers: ['postgres'], ratio: 1.4 },
        { peers: ['psycopg'], ratio: 1.6 },
      ],
    },
  );
  const many = await race(
    `${String(TASKS)} tasks over ${String(CONNECTIONS)} connections`,
    [
      ...contenders((task) => Promise.all(Array.from({ length: TASKS }, (_, i) => task(i)))),
      ...(python?.contenders('tasks', TASKS) ?? []),
    ],
    { operations: TASKS, goals: [{ peers: ['pg', 'postgres'], ratio: 1.3 }] },
  );
  const curve = await byConnections(dsn, quick ? [1, 10] : [1, 3, 10, 30, 100]);
  return [single, many, curve];
}

/** The same tasks over an increasing number of connections. */
async function byConnections(dsn: string, sizes: readonly number[]): Promise<Finding> {
  const series = new Map<string, (readonly [number, number])[]>();
  for (const size of sizes) {
    await using pools = await Pools.open(dsn, size);
    const { [OURS]: ours, postgres: postgresJs, pg: nodePostgres } = pools.tasks;
    const work = (task: Task | undefined) => (): Promise<unknown> =>
      Promise.all(Array.from({ length: TASKS }, (_, i) => task!(i)));
    const { series: here } = await growth(
      { title: '', x: '', y: '' },
      [size],
      { [OURS]: work(ours), postgres: work(postgresJs), pg: work(nodePostgres) },
      (ms) => (TASKS / ms) * 1000,
    );
    for (const { name, points } of here) series.set(name, [...(series.get(name) ?? []), ...points]);
  }
  return {
    kind: 'curve',
    title: `${String(TASKS)} tasks, each a transaction of one statement`,
    x: 'connections',
    y: 'transactions per second',
    moreIsBetter: true,
    series: [...series].map(([name, points]) => ({ name, points })),
  };
}

/** Pools of all clients, of one size. */
class Pools implements AsyncDisposable {
  readonly #atEnd: readonly (() => Promise<unknown>)[];

  private constructor(
    readonly tasks: Readonly<Record<string, Task>>,
    atEnd: readonly (() => Promise<unknown>)[],
  ) {
    this.#atEnd = atEnd;
  }

  static async open(dsn: string, size: number): Promise<Pools> {
    const pool = new AsyncConnectionPool(dsn, { minSize: size, maxSize: size });
    await pool.wait(60);
    const sql = postgres(dsn, { max: size });
    const pgPool = new pg.Pool({ connectionString: dsn, max: size });
    const pipelining = new pg.Pool({ connectionString: dsn, max: size, pipeline: true });
    const database = pgPromise({ noWarnings: true })({ connectionString: dsn, max: size }, size);
    const slonik = await slonikPool(dsn, size);
    const tasks: Record<string, Task> = {
      [OURS]: (i) =>
        pool.withConnection(async (conn) => (await conn.execute('SELECT %s::int4', [i])).fetchone()),
      postgres: (i) => sql.begin((tx) => tx`SELECT ${i}::int4`),
      pg: (i) =>
        withClient(pgPool, async (client) => {
          await client.query('BEGIN');
          await client.query({ name: 'bench', text: TEXT, values: [i] });
          await client.query('COMMIT');
        }),
      'pg, pipelining': (i) =>
        withClient(pipelining, async (client) => {
          const begun = client.query('BEGIN');
          await Promise.all([begun, client.query({ name: 'bench', text: TEXT, values: [i] })]);
          await client.query('COMMIT');
        }),
      'pg-promise': (i) => database.tx((tx) => tx.one(TEXT, [i])),
      slonik: (i) => slonik.transaction((tx) => tx.one(slonikSql.unsafe`SELECT ${i}::int4`)),
    };
    return new Pools(tasks, [
      () => pool.close(),
      () => sql.end({ timeout: 5 }),
      () => pgPool.end(),
      () => pipelining.end(),
      () => database.$pool.end(),
      () => slonik.end(),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#atEnd) await end();
  }
}

async function withClient(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await work(client);
  } finally {
    client.release();
  }
}
