import { AsyncConnection } from '../src/index.js';
import { OURS, race, type Line } from './report.js';

const INSERTS = 1000;
const INSERT = 'INSERT INTO bench_pipeline VALUES (%s, %s)';

/** Many statements in a pipeline, and the same statements each waited for. */
export async function pipeline(dsn: string): Promise<Line[]> {
  await using conn = await AsyncConnection.connect(dsn);
  await conn.execute('CREATE TEMP TABLE bench_pipeline (id int4, name text)');
  await conn.commit();
  return await race(
    `${String(INSERTS)} inserts in a pipeline`,
    [
      {
        name: OURS,
        run: async () => {
          await conn.withPipeline(async () => {
            for (let i = 0; i < INSERTS; i++) await conn.execute(INSERT, [i, `name ${String(i)}`]);
          });
          await conn.rollback();
        },
      },
      {
        name: 'usingpg, one by one',
        run: async () => {
          for (let i = 0; i < INSERTS; i++) await conn.execute(INSERT, [i, `name ${String(i)}`]);
          await conn.rollback();
        },
      },
    ],
    { operations: INSERTS },
  );
}
