import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  AsyncClientCursor,
  AsyncConnection,
  AsyncConnectionPool,
  errors,
  Jsonb,
  sql,
  type ConninfoParams,
} from '../../src/index.js';
import { connect, dsn, rejection } from '../support/database.js';

describe('a parameter that has a name is named in errors', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;

  test.each<[situation: string, value: unknown, message: RegExp]>([
    ['a value that nothing sends', { plain: 'object' }, /^%\(b\)s: /],
    ['an undefined value', undefined, /^%\(b\)s: /],
    ['a function', () => 1, /^%\(b\)s: /],
    ['a value of a wrapper', new Jsonb(circular), /^%\(b\)s: the value can't be turned into JSON/],
    ['a value within an array', [1, { plain: 'object' }], /^%\(b\)s/],
  ])('%s', async (_situation, value, message) => {
    const conn = await connect({ autocommit: true });
    const params = { a: 1, b: value };
    const query = 'select %(a)s, %(b)s';
    expect((await rejection(conn.execute(query, params))).message).toMatch(message);
    expect((await rejection(new AsyncClientCursor(conn).execute(query, params))).message).toMatch(message);
    const many = await rejection(conn.cursor().executemany(query, [{ a: 1, b: 1 }, params]));
    expect(many.message).toContain('[1]%(b)s');
    // Without a name it has a number.
    expect((await rejection(conn.execute('select %s, %s', [1, value]))).message).toMatch(/^\$2/);
  });

  test('a literal that would end the quotes it stands in', async () => {
    const conn = await connect({ autocommit: true });
    const error = await rejection(new AsyncClientCursor(conn).execute("select 'x %(b)s'", { b: 'y' }));
    expect(error.message).toContain('%(b)s');
  });

  test('and in the advice on what the server says of it', async () => {
    const conn = await connect({ autocommit: true });
    const named = await rejection(conn.execute('select %(a)s::int, %(b)s is null', { a: 1, b: null }));
    expect(named.message).toContain('could not determine data type of parameter $2');
    expect(named.message).toContain('`%(b)s::text`');
    const held = await rejection(
      conn.cursor({ name: 'held' }).execute('select %(a)s::int, %(b)s is null', { a: 1, b: null }),
    );
    expect(held.message).toContain('`%(b)s::text`');
    const numbered = await rejection(conn.execute('select %s::int, %s is null', [1, null]));
    expect(numbered.message).toContain('`%s::text`');
  });
});

describe('a server that can not be reached', () => {
  test.runIf(process.platform === 'linux')('at a socket whose path is too long', async () => {
    const error = await rejection(AsyncConnection.connect({ host: `/tmp/${'d'.repeat(120)}` }));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(
      /too long: it has \d+ bytes, and the system takes 107 at most; give a shorter/,
    );
  });

  test.runIf(process.platform === 'linux')('at an abstract socket, whose name begins with @', async () => {
    const error = await rejection(AsyncConnection.connect({ host: '@usingpg-no-such-socket', port: 5432 }));
    expect(error.message).toContain('@usingpg-no-such-socket/.s.PGSQL.5432');
    expect(error.connection).toMatchObject({ host: '@usingpg-no-such-socket' });
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      if (cause instanceof errors.Error) expect(cause.message).not.toContain('\0');
  });

  test.runIf(process.platform === 'linux')('at an abstract socket of something else', async () => {
    const name = '@usingpg-something-else';
    await using server = createServer((socket) => socket.destroy()).listen(
      `\0${name.slice(1)}/.s.PGSQL.5432`,
    );
    await once(server, 'listening');
    const error = await rejection(AsyncConnection.connect({ host: name }));
    expect(error.message).toContain(`${name}/.s.PGSQL.5432`);
    expect(error.message).not.toContain('\0');
  });

  test.each<[params: ConninfoParams, message: RegExp]>([
    [{ host: 'localhost:5433' }, /give the port as `port`/],
    [{ host: 'postgresql://me:hunter2@h/app' }, /connection URI as the connection string|"@" in the name/],
    [{ port: 0 }, /from 1 to 65535/],
    [{ port: 70_000 }, /from 1 to 65535/],
    [{ host: 'a,b,c', port: '1,2' }, /2 elements for 3 hosts; give one for all, or one for each/],
    [{ host: 'a,b', hostaddr: '127.0.0.1' }, /2 elements and hostaddr has 1/],
    [
      { host: '127.0.0.1', connect_timeout: 2.5 },
      /"2.5" for connection option "connect_timeout", which is a whole number of seconds/,
    ],
    [{ host: '127.0.0.1', keepalives: 'yes' }, /"keepalives", which is a whole number, 0 or 1/],
  ])('with %o', async (params, message) => {
    const error = await rejection(AsyncConnection.connect(params));
    expect(error).toBeInstanceOf(errors.OperationalError);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('hunter2');
  });
});

describe('a call that makes no sense says what to write', () => {
  test.each<[situation: string, call: (conn: AsyncConnection) => Promise<unknown>, message: RegExp]>([
    [
      'a query object of node-postgres',
      (conn) => conn.execute({ text: 'select $1', values: [1] } as never),
      /pass its text as the query, and its values as the second argument/,
    ],
    [
      'a template whose tag is the call',
      (conn) =>
        (conn.execute as unknown as (...pieces: unknown[]) => Promise<unknown>).call(conn, ['select 1']),
      /`execute\(sql`…`\)`/,
    ],
    ['a single value as the parameters', (conn) => conn.execute('select %s', 5 as never), /`\[value\]`/],
    [
      'values of many that are no arrays',
      (conn) => conn.cursor().executemany('select %s', [5] as never),
      /`\[value\]`/,
    ],
    [
      'parameters that were not awaited',
      (conn) => conn.execute('select %s', Promise.resolve([])),
      /forget to await/,
    ],
    ['a fetch before anything was executed', (conn) => conn.cursor().fetchone(), /execute a query first/],
    [
      'a fetch of what has no rows',
      async (conn) => (await conn.execute('set application_name = default')).fetchone(),
      /didn't produce rows to fetch/,
    ],
    [
      'a closed cursor',
      async (conn) => {
        const cursor = conn.cursor();
        await cursor.close();
        return cursor.execute('select 1');
      },
      /make another with conn.cursor\(\)/,
    ],
    [
      'a pipeline that has been left',
      async (conn) => (await conn.withPipeline((pipeline) => Promise.resolve(pipeline))).sync(),
      /begin another with conn.pipeline\(\)/,
    ],
    [
      'an identifier without a name',
      (conn) => conn.execute(sql.Identifier(...([] as unknown as [string]))),
      /at least one name/,
    ],
  ])('%s', async (_situation, call, message) => {
    const conn = await connect({ autocommit: true });
    let error: unknown;
    try {
      await call(conn);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(errors.Error);
    expect((error as Error).message).toMatch(message);
  });

  test('a maxSize below the default of minSize', () => {
    expect(() => new AsyncConnectionPool(dsn(), { maxSize: 2 })).toThrow(
      '`maxSize` (2) is below the default of `minSize` (4): give `minSize` as well',
    );
    expect(() => new AsyncConnectionPool(dsn(), { minSize: 5, maxSize: 2 })).toThrow(
      'at least `minSize` (5)',
    );
  });
});
