import { expect, test } from 'vitest';
import PgCursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { Cursor } from '../../../src/integrations/pg/index.js';
import { errors } from '../../../src/index.js';
import { rejection } from '../../support/database.js';
import { connect, event, makePool } from './clients.js';

const NUMBERS = 'SELECT n FROM generate_series(1, $1::int) AS n';

test('read() gives the next rows, fewer at the end, then none', async () => {
  const client = await connect();
  const cursor = client.query(new Cursor(NUMBERS, [5]));
  expect(await cursor.read(2)).toEqual([{ n: 1 }, { n: 2 }]);
  expect(await Promise.all([cursor.read(2), cursor.read(2)])).toEqual([[{ n: 3 }, { n: 4 }], [{ n: 5 }]]);
  expect(await cursor.read(2)).toEqual([]);
  await cursor.close();
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('read() without a count, or with 0, gives all rows that are left', async () => {
  const client = await connect();
  const all = client.query(new Cursor(NUMBERS, [3]));
  expect(await all.read(1)).toEqual([{ n: 1 }]);
  expect(await all.read()).toEqual([{ n: 2 }, { n: 3 }]);
  const again = client.query(new Cursor(NUMBERS, [2]));
  expect(await again.read(0)).toEqual([{ n: 1 }, { n: 2 }]);
});

test('callbacks get the rows and a result with the columns; end and row are events', async () => {
  const client = await connect();
  const cursor = client.query(new Cursor<number[]>(NUMBERS, [3], { rowMode: 'array' }));
  const rows: unknown[] = [];
  cursor.on('row', (row) => rows.push(row));
  const ended = event(cursor, 'end');
  const seen = await new Promise<unknown[]>((resolve) => {
    cursor.read(10, (error, read, result) => {
      resolve([error, read, result.fields.map(({ name }) => name), result.rowAsArray]);
    });
  });
  expect(seen).toEqual([null, [[1], [2], [3]], ['n'], true]);
  expect(rows).toEqual([[1], [2], [3]]);
  await ended;
  await new Promise<void>((resolve) => {
    cursor.close(() => {
      resolve();
    });
  });
});

test('other statements wait until the cursor has ended', async () => {
  const client = await connect();
  const cursor = client.query(new Cursor(NUMBERS, [1000]));
  const behind = client.query('SELECT 2 AS n');
  expect(await cursor.read(1)).toEqual([{ n: 1 }]);
  await cursor.close();
  expect((await behind).rows).toEqual([{ n: 2 }]);
  expect(await cursor.read(1)).toEqual([]);
});

test('the error of the statement is told by each read and by the event error', async () => {
  const client = await connect();
  const cursor = new Cursor('SELECT nonsense');
  const told = event(cursor, 'error');
  client.query(cursor);
  const error = await rejection(cursor.read(1));
  expect(error).toMatchObject({ code: '42703' });
  expect(await told).toEqual([error]);
  expect(await rejection(cursor.read(1))).toBe(error);
  await cursor.close();
  const late = client.query(new Cursor('SELECT 1 / (3 - n) AS x FROM generate_series(1, 5) AS n'));
  const rows = late.read(100);
  await expect(rows).rejects.toMatchObject({ code: '22012' });
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('a cursor over a statement without rows reads none and has its tag', async () => {
  const client = await connect();
  await client.query('CREATE TEMPORARY TABLE sink (n int)');
  const cursor = new Cursor('INSERT INTO sink VALUES (1), (2)');
  const ended = event(cursor, 'end');
  client.query(cursor);
  expect(await cursor.read(1)).toEqual([]);
  expect(await ended).toEqual([expect.objectContaining({ command: 'INSERT', rowCount: 2 })]);
});

test('in a transaction, earlier work survives a cursor that is closed early', async () => {
  const client = await connect();
  await client.query('CREATE TEMPORARY TABLE kept (n int)');
  await client.query('BEGIN');
  await client.query('INSERT INTO kept VALUES (1)');
  const cursor = client.query(new Cursor(NUMBERS, [100_000]));
  await cursor.read(1);
  await cursor.close();
  await client.query('COMMIT');
  expect((await client.query('SELECT n FROM kept')).rows).toEqual([{ n: 1 }]);
});

test('a client that is released with an open cursor closes it', async () => {
  const pool = makePool({ max: 1 });
  const client = await pool.connect();
  const cursor = client.query(new Cursor(NUMBERS, [1_000_000]));
  await cursor.read(1);
  client.release();
  expect((await pool.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
  const late = client.query(new Cursor(NUMBERS, [1]));
  await expect(late.read(1)).rejects.toThrow(errors.InterfaceError);
});

test('a cursor is submitted once, and to this module’s clients only', async () => {
  const client = await connect();
  const cursor = client.query(new Cursor(NUMBERS, [1]));
  expect(() => client.query(cursor)).toThrow(errors.InterfaceError);
  await cursor.close();
  expect(() => new Cursor(NUMBERS).submit()).toThrow(errors.NotSupportedError);
  await new Cursor(NUMBERS).close();
});

test('a cursor of pg-cursor is served', async () => {
  const client = await connect();
  const cursor = client.query(new PgCursor<{ n: number }>(NUMBERS, [3]));
  expect(await cursor.read(2)).toEqual([{ n: 1 }, { n: 2 }]);
  expect(await cursor.read(2)).toEqual([{ n: 3 }]);
  await cursor.close();
  const failing = client.query(new PgCursor('SELECT nonsense', []));
  await expect(failing.read(1)).rejects.toMatchObject({ code: '42703' });
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('a stream of pg-query-stream is served, read to its end or destroyed before', async () => {
  const client = await connect();
  const rows: unknown[] = [];
  for await (const row of client.query(new QueryStream(NUMBERS, [250]))) rows.push(row);
  expect(rows).toHaveLength(250);
  for await (const row of client.query(new QueryStream(NUMBERS, [100_000]))) {
    expect(row).toEqual({ n: 1 });
    break;
  }
  const failing = client.query(new QueryStream('SELECT nonsense', []));
  await expect(failing.toArray()).rejects.toMatchObject({ code: '42703' });
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});
