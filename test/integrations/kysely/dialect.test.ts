import { Kysely, sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { UsingpgDialect, type UsingpgDialectConfig } from '../../../src/integrations/kysely/index.js';
import { backends, dsn, makePool } from '../../support/database.js';

interface Database {
  kysely_city: { id: number; name: string };
}

function open(config: UsingpgDialectConfig): Kysely<Database> {
  const db = new Kysely<Database>({ dialect: new UsingpgDialect(config) });
  onTestFinished(() => db.destroy());
  return db;
}

test('a dialect made of a conninfo has a pool of its own, which db.destroy() closes', async () => {
  const db = open({ conninfo: dsn(), poolOptions: { minSize: 1 } });
  expect((await sql`SELECT ${1}::int AS one`.execute(db)).rows).toEqual([{ one: 1 }]);
  await db.destroy();
  await expect.poll(backends).toEqual([]);
});

test('a dialect leaves a pool that it was given open', async () => {
  const pool = makePool();
  const db = open({ pool: () => pool });
  await sql`SELECT 1`.execute(db);
  await db.destroy();
  expect((await pool.execute('SELECT 1')).rows).toEqual([[1]]);
});

test.each([
  [{}, 'UsingpgDialect needs either `pool`, or `conninfo` with optional `poolOptions`'],
  [{ pool: null, conninfo: '' }, 'needs either'],
  [
    { conninfo: '', poll: 1 },
    'unknown option `poll` of UsingpgDialect: the options are pool, conninfo, poolOptions',
  ],
])('a dialect of %o is refused', (config, message) => {
  expect(() => new UsingpgDialect(config as never)).toThrow(errors.ProgrammingError);
  expect(() => new UsingpgDialect(config as never)).toThrow(message);
});
