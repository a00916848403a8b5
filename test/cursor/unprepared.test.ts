import { expect, test } from 'vitest';
import { dictRow } from '../../src/index.js';
import { connect } from '../support/database.js';

test('a loader registered between two executions of an unprepared statement loads the second', async () => {
  await using conn = await connect({ autocommit: true, prepareThreshold: null });
  const query = 'SELECT 1::int4 AS n';
  const first = await (await conn.execute(query)).fetchone();
  conn.adapters.registerLoader('int4', (text) => `loaded ${text}`);
  const second = await (await conn.execute(query)).fetchone();
  expect([first, second]).toEqual([[1], ['loaded 1']]);
});

test('an unprepared statement has the columns that its table has at the time', async () => {
  await using conn = await connect({ autocommit: true, prepareThreshold: null, rowFactory: dictRow });
  await conn.execute('CREATE TEMPORARY TABLE changing (v int4)');
  await conn.execute('INSERT INTO changing VALUES (7)');
  const rows = async (): Promise<unknown> => (await conn.execute('SELECT * FROM changing')).fetchall();
  expect(await rows()).toEqual([{ v: 7 }]);
  await conn.execute('ALTER TABLE changing ALTER v TYPE text');
  expect(await rows()).toEqual([{ v: '7' }]);
  await conn.execute('ALTER TABLE changing RENAME v TO w');
  expect(await rows()).toEqual([{ w: '7' }]);
});
