import { expect, test } from 'vitest';
import {
  adapters,
  AsyncClientCursor,
  AsyncServerCursor,
  dictRow,
  errors,
  sql,
  type AdaptersMap,
} from '../../src/index.js';
import { connect, makePool, rejection } from '../support/database.js';

/** A map that shows which adapters were used: int4 loads as `<text>`, and booleans are sent as yes and no. */
function marked(mark = ''): AdaptersMap {
  const map = adapters.clone();
  map.registerLoader('int4', (text) => `<${mark}${text}>`);
  map.registerDumper('boolean', (value) => (value ? 'yes' : 'no'));
  return map;
}

const QUERY = 'SELECT 1, %s::text';

test('a cursor with a context uses its loaders and dumpers in place of the connection’s', async () => {
  const conn = await connect({ context: marked('connection ') });
  const cur = conn.cursor({ context: marked() });
  expect(await (await cur.execute(QUERY, [true])).fetchall()).toEqual([['<1>', 'yes']]);
  await cur.executemany(QUERY, [[true], [false]], { returning: true });
  expect(await cur.fetchall()).toEqual([['<1>', 'yes']]);
  for await (const row of cur.stream(QUERY, [false])) expect(row).toEqual(['<1>', 'no']);
  expect(cur.description?.[0]?.typeDisplay).toBe('int4');
  await using copy = await cur.copy('COPY (SELECT 1, %s) TO STDOUT', [true]);
  copy.setTypes(['int4', 'text']);
  expect([await copy.readRow(), await copy.readRow()]).toEqual([['<1>', 'yes'], null]);
  expect(await (await conn.execute(QUERY, ['t'])).fetchall()).toEqual([['<connection 1>', 't']]);
});

test('a connection or a cursor is a context, too', async () => {
  const conn = await connect({ context: marked() });
  const other = await connect();
  expect(await (await other.execute(QUERY, [true], { context: conn })).fetchone()).toEqual(['<1>', 'yes']);
  const cur = other.cursor({ context: conn.cursor() });
  expect(await (await cur.execute(QUERY, [true])).fetchone()).toEqual(['<1>', 'yes']);
});

test('conn.execute() takes a context with and without a row factory', async () => {
  const conn = await connect();
  const context = marked();
  const cur = await conn.execute('SELECT 1 AS n', null, { context, rowFactory: dictRow });
  expect(await cur.fetchall()).toEqual([{ n: '<1>' }]);
  expect(await (await conn.execute('SELECT 1 AS n', null, { context })).fetchall()).toEqual([['<1>']]);
  expect(await (await conn.execute('SELECT 1', null, { context: undefined })).fetchall()).toEqual([[1]]);
});

test('pool.execute() takes a context, and gives the description of the columns', async () => {
  const pool = makePool();
  const result = await pool.execute(`SELECT 1 AS n, %s::varchar(5) AS flag`, [true], { context: marked() });
  expect(result.rows).toEqual([['<1>', 'yes']]);
  expect(result.description?.map(({ name, typeDisplay }) => `${name} ${typeDisplay}`)).toEqual([
    'n int4',
    'flag varchar(5)',
  ]);
  expect((await pool.execute('SELECT 1')).rows).toEqual([[1]]);
  expect((await pool.execute('SET LOCAL lock_timeout = 0')).description).toBeNull();
});

test('the context of cursor.execute() is that of one execution', async () => {
  const conn = await connect();
  const cur = conn.cursor();
  await cur.execute(QUERY, [true], { context: marked() });
  expect(await cur.fetchall()).toEqual([['<1>', 'yes']]);
  await cur.execute('SELECT 1, %s', [true]);
  expect(await cur.fetchall()).toEqual([[1, true]]);
  await expect(cur.execute('SELECT nonsense', null, { context: marked() })).rejects.toThrow(
    errors.UndefinedColumn,
  );
  await conn.rollback();
  expect(await (await cur.execute('SELECT 1')).fetchall()).toEqual([[1]]);
});

test('the types that a context knows name the columns of its result', async () => {
  const conn = await connect();
  const context = adapters.clone();
  context.registerType({ name: 'whole', oid: 23, arrayOid: 1007, delimiter: ',' });
  const cur = await conn.cursor().execute('SELECT 1', null, { context });
  expect(cur.description?.[0]?.typeDisplay).toBe('whole');
  await cur.execute('SELECT 1');
  expect(cur.description?.[0]?.typeDisplay).toBe('int4');
});

test('each statement of a pipeline keeps its own context', async () => {
  const conn = await connect();
  const [first, second] = [conn.cursor(), conn.cursor()];
  await conn.withPipeline(async () => {
    await first.execute('SELECT 1', null, { context: marked('a') });
    await second.execute('SELECT 2', null, { context: marked('b') });
    await first.execute('SELECT 3', null, { context: marked('c') });
    await second.execute('SELECT 4');
  });
  expect([await first.fetchall(), await second.fetchall()]).toEqual([[['<c3>']], [[4]]]);
});

test('a server-side cursor takes a context, also for one execution', async () => {
  const conn = await connect();
  await using cur = conn.cursor({ name: 'with_context', context: marked() });
  expect(cur).toBeInstanceOf(AsyncServerCursor);
  await cur.execute('SELECT i, %s::text FROM generate_series(1, 3) AS i', [true]);
  expect(await cur.fetchall()).toEqual([
    ['<1>', 'yes'],
    ['<2>', 'yes'],
    ['<3>', 'yes'],
  ]);
  await using other = conn.cursor({ name: 'other' });
  await other.execute('SELECT i FROM generate_series(1, 3) AS i', null, { context: marked() });
  expect([await other.fetchone(), ...(await other.fetchmany(2))]).toEqual([['<1>'], ['<2>'], ['<3>']]);
  await other.execute('SELECT 1');
  expect(await other.fetchone()).toEqual([1]);
});

test('a client cursor inserts the values as the context dumps them, and mogrify() as the cursor does', async () => {
  const conn = await connect();
  const cur = new AsyncClientCursor(conn);
  await cur.execute('SELECT %s', [true], { context: marked() });
  expect(cur.query).toBe("SELECT 'yes'");
  expect(cur.mogrify('SELECT %s', [true])).toBe('SELECT true');
  expect(new AsyncClientCursor(conn, { context: marked() }).mogrify('SELECT %s', [true])).toBe(
    "SELECT 'yes'",
  );
  expect(sql`SELECT ${sql.Literal(true)}`.asString(conn.cursor({ context: marked() }))).toBe("SELECT 'yes'");
});

test('what was made of a map is shared by all cursors of a session, until the map changes', async () => {
  const conn = await connect();
  const context = marked();
  const { codecs } = conn.cursor({ context }).adapters;
  expect(conn.cursor({ context }).adapters.codecs).toBe(codecs);
  context.registerLoader('int4', Number);
  expect(conn.cursor({ context }).adapters.codecs).not.toBe(codecs);
  expect(await (await conn.execute('SELECT 1', null, { context })).fetchone()).toEqual([1]);
});

test('a change of a cursor’s adapters leaves its context unchanged, and the other way round', async () => {
  const conn = await connect();
  const context = marked();
  const cur = conn.cursor({ context });
  cur.adapters.registerLoader('int4', () => 'cursor');
  expect(await (await cur.execute('SELECT 1')).fetchone()).toEqual(['cursor']);
  const before = conn.cursor({ context });
  context.registerLoader('int4', () => 'changed');
  expect(await (await before.execute('SELECT 1')).fetchone()).toEqual(['<1>']);
});

test('loaders of a context follow the session’s DateStyle', async () => {
  const conn = await connect({ autocommit: true }, { options: '-c DateStyle=SQL,DMY' });
  const context = (await connect()).adapters;
  const cur = await conn.execute("SELECT DATE '2024-02-01'", null, { context });
  expect(await cur.fetchone()).toEqual(['2024-02-01']);
});

test.each<[string, unknown]>([
  ['an object without adapters', {}],
  ['an object whose `adapters` are none', { adapters: {} }],
  ['a string', 'adapters'],
])('%s is refused as a context', async (_, context) => {
  const conn = await connect();
  const message = 'expected `context` to be a connection, a cursor or an adapters map';
  expect(() => conn.cursor({ context: context as never })).toThrow(message);
  expect((await rejection(conn.execute('SELECT 1', null, { context: context as never }))).message).toContain(
    message,
  );
});
