import { AsyncConnection } from './package.js';
import { Clients } from './clients.js';
import { Floor } from './floor.js';
import { OURS, race } from './race.js';
import type { Finding, Setting } from './setting.js';

const ROWS = 5000;
const PIPELINED = 1000;
const TABLE = 'CREATE TEMP TABLE bench_inserts (id int4, name text)';
const INSERT = 'INSERT INTO bench_inserts VALUES ($1, $2)';

/** Inserting many rows by a statement each, in one transaction and in a pipeline. */
export async function inserts({ dsn, python }: Setting): Promise<Finding[]> {
  await using clients = await Clients.connect(dsn);
  const { postgres, pg, pgPipelining } = clients;
  await using ours = await AsyncConnection.connect(dsn);
  await ours.execute(TABLE);
  await ours.commit();
  await postgres.unsafe(TABLE);
  await pg.query(TABLE);
  await pgPipelining.query(TABLE);
  const rows = Array.from({ length: ROWS }, (_, i): [number, string] => [i, `name ${String(i)}`]);
  using floor = await Floor.connect(dsn);
  await floor.query(TABLE);
  await floor.prepare(INSERT);
  const bound = Floor.executions(rows.map(([id, name]) => [String(id), name]));
  const executemany = await race(
    `${String(ROWS)} inserts`,
    [
      {
        name: OURS,
        run: async () => {
          await ours.cursor().executemany('INSERT INTO bench_inserts VALUES (%s, %s)', rows);
          await ours.rollback();
        },
      },
      {
        name: 'pg, one by one',
        run: async () => {
          await pg.query('BEGIN');
          for (const values of rows) await pg.query({ name: 'insert', text: INSERT, values });
          await pg.query('ROLLBACK');
        },
      },
      {
        name: 'pg, pipelining',
        run: async () => {
          await pgPipelining.query('BEGIN');
          await Promise.all(
            rows.map((values) => pgPipelining.query({ name: 'insert', text: INSERT, values })),
          );
          await pgPipelining.query('ROLLBACK');
        },
      },
      {
        name: 'postgres',
        run: () =>
          postgres
            .begin(async (tx) => {
              await Promise.all(
                rows.map(([id, name]) => tx`INSERT INTO bench_inserts VALUES (${id}, ${name})`),
              );
              throw new RolledBack();
            })
            .catch(unlessRolledBack),
      },
      ...(python?.contenders('executemany', ROWS) ?? []),
      Floor.contender(async () => {
        await floor.query('BEGIN');
        await floor.ask(bound);
        await floor.query('ROLLBACK');
      }),
    ],
    {
      operations: ROWS,
      goals: [
        { peers: ['pg, one by one'], ratio: 5 },
        { peers: ['postgres'], ratio: 1.5 },
      ],
    },
  );
  const some = rows.slice(0, PIPELINED);
  const insert = (row: readonly unknown[]): Promise<unknown> =>
    ours.execute('INSERT INTO bench_inserts VALUES (%s, %s)', row);
  const pipeline = await race(
    `${String(PIPELINED)} inserts in a pipeline`,
    [
      {
        name: OURS,
        run: async () => {
          await ours.withPipeline(async () => {
            for (const row of some) await insert(row);
          });
          await ours.rollback();
        },
      },
      {
        name: 'usingpg, one by one',
        run: async () => {
          for (const row of some) await insert(row);
          await ours.rollback();
        },
      },
    ],
    { operations: PIPELINED, goals: [{ peers: ['usingpg, one by one'], ratio: 5 }] },
  );
  return [executemany, pipeline];
}

class RolledBack extends Error {}

function unlessRolledBack(error: unknown): void {
  if (!(error instanceof RolledBack)) throw error;
}
