import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { errors } from '../../../src/index.js';
import { UsingpgDialect } from '../../../src/integrations/kysely/index.js';
import { backends, dsn, makePool } from '../../support/database.js';
import { openKysely } from './open-kysely.js';

test('a dialect made of a conninfo has a pool of its own, which db.destroy() closes', async () => {
  const db = openKysely({ conninfo: dsn(), poolOptions: { minSize: 1 } });
  expect((await sql`SELECT ${1}::int AS one`.execute(db)).rows).toEqual([{ one: 1 }]);
  expect(await backends()).toHaveLength(1);
  await db.destroy();
  await expect.poll(backends).toEqual([]);
});

test('a dialect leaves a pool that it was given open', async () => {
  const pool = makePool();
  const db = openKysely({ pool: () => pool });
  await sql`SELECT 1`.execute(db);
  await db.destroy();
  expect((await pool.execute('SELECT 1')).rows).toEqual([[1]]);
});

test.each([
  [[{}], 'UsingpgDialect needs either `pool`, or `conninfo` with optional `poolOptions`'],
  [[{ pool: null, conninfo: '' }], 'UsingpgDialect needs either'],
  [[{ pool: 'postgresql://localhost' }], 'expected the pool of UsingpgDialect to be an AsyncConnectionPool'],
  [[undefined], 'UsingpgDialect needs either'],
  [[null], 'got null; write `new UsingpgDialect({ pool, conninfo, poolOptions })`'],
  [[{ conninfo: '', poll: 1 }], 'unknown option `poll` of new UsingpgDialect(): the options are pool,'],
  [[{ conninfo: '', poolOptions: 10 }], 'expected `poolOptions` to be an object, got 10'],
  [[{ conninfo: '' }, 'pg'], 'got a string; write `new UsingpgDialect(config, { types })`'],
  [
    [{ conninfo: '' }, { type: 'pg' }],
    'unknown option `type` of new UsingpgDialect(): the options are types',
  ],
  [
    [{ conninfo: '' }, { types: 'postgres' }],
    "expected `types` to be 'pg' or 'usingpg', got the string \"postgres\"",
  ],
])('a dialect of %j is refused', (args, message) => {
  const make = (): unknown => Reflect.construct(UsingpgDialect, args);
  expect(make).toThrow(errors.ProgrammingError);
  expect(make).toThrow(message);
});
