import { expect, test } from 'vitest';
import pg from 'pg';
import { Client, Cursor, DatabaseError, Query } from '../../../src/integrations/pg/index.js';
import { errors } from '../../../src/index.js';
import { FaultProxy } from '../../support/fault-proxy.js';
import { dsn, rejection, terminate } from '../../support/database.js';
import { untilRunning } from '../../support/until-running.js';
import { config, connect, event } from './clients.js';

test('a result has the rows, the columns and the tag that node-postgres gives', async () => {
  const client = await connect();
  const theirs = new pg.Client(config() as pg.ClientConfig);
  await theirs.connect();
  try {
    const setUp = 'CREATE TEMPORARY TABLE city (id int, name varchar(20), size numeric(10, 2))';
    for (const text of [
      setUp,
      "INSERT INTO city VALUES (1, 'Rome', 2.5), (2, NULL, NULL)",
      'SELECT * FROM city ORDER BY id',
      'UPDATE city SET id = 3 WHERE id = 9',
      'DELETE FROM city',
      '',
    ]) {
      const { command, rowCount, oid, rows, fields } = await client.query(text);
      const expected = await theirs.query(text);
      expect({ command, rowCount, oid, rows }).toEqual({
        command: expected.command,
        rowCount: expected.rowCount,
        oid: expected.oid,
        rows: expected.rows,
      });
      // The tables are not the same ones.
      const withoutTable = (list: readonly pg.FieldDef[]): unknown =>
        list.map((field) => ({ ...field, tableID: field.tableID > 0 }));
      expect(withoutTable(fields)).toEqual(withoutTable(expected.fields));
    }
  } finally {
    await theirs.end();
  }
});

test('a text with several statements gives an array of results', async () => {
  const client = await connect();
  const results = (await client.query(
    "SELECT 1 AS n; CREATE TEMPORARY TABLE t (); SELECT 'x' AS m",
  )) as unknown as {
    command: string;
    rows: unknown[];
  }[];
  expect(results.map(({ command, rows }) => [command, rows])).toEqual([
    ['SELECT', [{ n: 1 }]],
    ['CREATE', []],
    ['SELECT', [{ m: 'x' }]],
  ]);
});

test('with queryMode extended a text is one statement', async () => {
  const client = await connect();
  const error = await rejection(client.query({ text: 'SELECT 1; SELECT 2', queryMode: 'extended' }));
  expect(error).toMatchObject({ code: '42601' });
  expect((await client.query({ text: 'SELECT 1 AS n', queryMode: 'extended' })).rows).toEqual([{ n: 1 }]);
});

test('rowMode array gives rows as arrays', async () => {
  const client = await connect();
  const result = await client.query({ text: 'SELECT 1, $1::text', values: ['x'], rowMode: 'array' });
  expect(result.rows).toEqual([[1, 'x']]);
});

test('callbacks get null and the result, or the error', async () => {
  const client = new Client(config());
  const connected = await new Promise((resolve) => {
    client.connect((error, given) => {
      resolve([error, given]);
    });
  });
  expect(connected).toEqual([null, client]);
  const seen = await new Promise((resolve) => {
    client.query('SELECT $1::int AS n', [1], (error, result) => {
      resolve([error, result.rows]);
    });
  });
  expect(seen).toEqual([null, [{ n: 1 }]]);
  const failed = await new Promise((resolve) => {
    client.query('SELECT nonsense', (error) => {
      resolve(error);
    });
  });
  expect(failed).toMatchObject({ code: '42703' });
  await new Promise<void>((resolve) => {
    client.end(resolve);
  });
});

test('queries made before the connection is there run in their order', async () => {
  const client = new Client(config());
  const first = client.query('CREATE TEMPORARY TABLE early (n int)');
  const second = client.query('INSERT INTO early VALUES (1)');
  await client.connect();
  await first;
  expect((await second).rowCount).toBe(1);
  await client.end();
});

test('statements of one client run one at a time, in the order of the calls, and a failed one stops none', async () => {
  const client = await connect();
  const outcomes = await Promise.allSettled([
    client.query('CREATE TEMPORARY TABLE steps (n int)'),
    client.query('INSERT INTO steps VALUES (1)'),
    client.query('INSERT INTO steps VALUES (nonsense)'),
    client.query('SELECT count(*)::int AS n FROM steps'),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
});

test('a named statement keeps its text for later queries, and refuses another one', async () => {
  const client = await connect();
  const text = 'SELECT $1::int AS n';
  expect((await client.query({ name: 'one', text, values: [1] })).rows).toEqual([{ n: 1 }]);
  expect((await client.query({ name: 'one', values: [2] })).rows).toEqual([{ n: 2 }]);
  const { rows } = await client.query('SELECT statement FROM pg_prepared_statements');
  expect(rows).toEqual([{ statement: text }]);
  await expect(client.query({ name: 'one', text: 'SELECT 2' })).rejects.toThrow(
    /'one' was used for a different/,
  );
  await expect(client.query({ name: 'two', values: [] })).rejects.toThrow(/'two' has no text/);
});

test('a statement without a name is not prepared unless prepareThreshold says so', async () => {
  const count = 'SELECT count(*)::int AS n FROM pg_prepared_statements';
  for (const [prepareThreshold, prepared] of [
    [undefined, 0],
    [2, 1],
  ] as const) {
    const client = await connect({ prepareThreshold });
    for (let i = 0; i < 8; i++) await client.query('SELECT $1::int', [i]);
    expect((await client.query(count)).rows).toEqual([{ n: prepared }]);
  }
});

test('an error has node-postgres’s fields, its class and the library’s, and a stack that leads to the caller', async () => {
  const client = await connect();
  await client.query('CREATE TEMPORARY TABLE house (id int CONSTRAINT house_key PRIMARY KEY)');
  await client.query('INSERT INTO house VALUES (1)');
  const error = await rejection(client.query('INSERT INTO house VALUES ($1)', [1]));
  expect(error).toBeInstanceOf(DatabaseError);
  expect(error).toBeInstanceOf(errors.UniqueViolation);
  expect(error).toMatchObject({
    name: 'error',
    code: '23505',
    severity: 'ERROR',
    table: 'house',
    constraint: 'house_key',
    detail: 'Key (id)=(1) already exists.',
    message: 'duplicate key value violates unique constraint "house_key"',
  });
  expect(Object.keys(error)).toContain('routine');
  const wrong = await rejection(client.query('SELECT nonsense'));
  expect(wrong).toMatchObject({ code: '42703', position: '8' });
  expect(wrong.stack).toContain('client.test.ts');
  expect(new errors.InterfaceError('x')).not.toBeInstanceOf(DatabaseError);
  expect(Object.assign(new DatabaseError('x'), { code: '23505' })).toBeInstanceOf(DatabaseError);
});

test('a server that is not there gives the system’s code', async () => {
  const client = new Client(config({ port: 1 }));
  await expect(client.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(client.connect()).rejects.toThrow(/already been connected/);
});

test('connectionTimeoutMillis ends the attempt to connect', async () => {
  const { host, port } = config();
  await using proxy = await FaultProxy.to({ host: host!, port: Number(port) });
  proxy.blackHole.add('down');
  const client = new Client(config({ host: '127.0.0.1', port: proxy.port, connectionTimeoutMillis: 50 }));
  await expect(client.connect()).rejects.toThrow('timeout expired');
});

test('query_timeout cancels the query on the server, and the client goes on', async () => {
  const client = await connect({ query_timeout: 100 });
  await expect(client.query('SELECT pg_sleep(600)')).rejects.toThrow('Query read timeout');
  expect((await client.query({ text: 'SELECT 1 AS n', query_timeout: 60_000 })).rows).toEqual([{ n: 1 }]);
});

test('a query whose time passes while it waits is not sent', async () => {
  const client = await connect();
  const long = client.query('SELECT pg_sleep(0.5)');
  await expect(client.query({ text: 'CREATE TEMPORARY TABLE never ()', query_timeout: 20 })).rejects.toThrow(
    'Query read timeout',
  );
  await long;
  expect((await client.query("SELECT to_regclass('never') AS name")).rows).toEqual([{ name: null }]);
});

test('LISTEN makes the client emit notifications, and the server’s notices come as events', async () => {
  const client = await connect();
  const notification = event(client, 'notification');
  await client.query('LISTEN news');
  await client.query("NOTIFY news, 'hello'");
  expect(await notification).toEqual([
    { name: 'notification', channel: 'news', payload: 'hello', processId: client.processID },
  ]);
  const notice = event(client, 'notice');
  await client.query("DO $$ BEGIN RAISE NOTICE 'careful' USING DETAIL = 'here'; END $$");
  expect(await notice).toEqual([
    expect.objectContaining({
      name: 'notice',
      message: 'careful',
      severity: 'NOTICE',
      detail: 'here',
      code: '00000',
    }),
  ]);
});

test('a lost connection is told by the event error, then end; without a listener by the next query', async () => {
  const client = await connect();
  const told: string[] = [];
  client.on('error', (error: Error & { code?: string }) => told.push(`error ${String(error.code)}`));
  client.on('end', () => told.push('end'));
  await terminate(client.processID!);
  await expect.poll(() => told).toEqual(['error 57P01', 'end']);
  await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '57P01' });
  const quiet = await connect();
  await terminate(quiet.processID!);
  await expect.poll(() => rejection(quiet.query('SELECT 1'))).toMatchObject({ code: '57P01' });
});

test('a listener that comes after the loss is told, too', async () => {
  const client = await connect();
  await terminate(client.processID!);
  // Only a query shows that the client knows of the loss.
  await expect.poll(() => rejection(client.query('SELECT 1'))).toMatchObject({ code: '57P01' });
  const told: unknown[] = [];
  for (const name of ['notification', 'notice', 'error', 'end']) client.on(name, () => told.push(name));
  await expect.poll(() => told).toEqual(['error', 'end']);
});

test('end() refuses what waits and ends what runs', async () => {
  const client = await connect();
  const ended = event(client, 'end');
  const running = rejection(client.query('SELECT pg_sleep(600)'));
  const waiting = rejection(client.query('SELECT 1'));
  await untilRunning(dsn(), client.processID!);
  await client.end();
  await ended;
  expect(await running).toBeInstanceOf(errors.Error);
  expect((await waiting).message).toBe('Client was closed and is not queryable');
  expect((await rejection(client.query('SELECT 1'))).message).toBe('Client was closed and is not queryable');
  await client.end();
});

test('drain is emitted when all statements are done', async () => {
  const client = await connect();
  let drained = 0;
  client.on('drain', () => drained++);
  await Promise.all([client.query('SELECT 1'), client.query('SELECT 2')]);
  await expect.poll(() => drained).toBe(1);
});

test.for([['SELECT 1'], [{}], ['SELECT 1/0']])(
  'drain is told to who listens in the callback of the last statement: %j',
  async ([query]) => {
    const client = await connect();
    let drained = 0;
    const end = new Promise<void>((resolve) => {
      client.query(query as string, () => {
        client.on('drain', () => drained++);
        resolve();
      });
    });
    await end;
    await expect.poll(() => drained).toBe(1);
    client.query('SELECT 1', () => {
      client.on('drain', () => undefined);
    });
    await expect.poll(() => drained).toBe(2);
    await client.query('SELECT 1');
    await expect.poll(() => drained).toBe(3);
  },
);

test('an exception of a callback is an uncaught one and leaves the client in order', async () => {
  const client = await connect();
  const caught = new Promise((resolve) => {
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => {
      for (const listener of before) process.on('uncaughtException', listener);
      resolve(error);
    });
  });
  client.query('SELECT 1', () => {
    throw new Error('in the callback');
  });
  expect(await caught).toMatchObject({ message: 'in the callback' });
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('a Query emits its rows and its end, or its error', async () => {
  const client = await connect();
  const rows: unknown[] = [];
  const query = client.query(new Query('SELECT generate_series(1, 3) AS n'));
  query.on('row', (row) => rows.push(row));
  const [result] = await event(query, 'end');
  expect(rows).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  expect(result).toMatchObject({ rowCount: 3 });
  const [error] = await event(client.query(new Query('SELECT nonsense')), 'error');
  expect(error).toMatchObject({ code: '42703' });
});

test('what is no query is refused at once', async () => {
  const client = await connect();
  expect(() => client.query(null as never)).toThrow(TypeError);
  expect(() => client.query('SELECT 1', [], 'x' as never)).toThrow('callback is not a function');
  await expect(client.query({} as never)).rejects.toThrow(/either text or a name/);
  await expect(client.query('SELECT $1', 'x' as never)).rejects.toThrow('Query values must be an array');
  expect(() => client.query({ submit: () => undefined })).toThrow(errors.NotSupportedError);
  expect(() => client.connection).toThrow(/client\.connection does not exist/);
});

test('a client shows what it is connected to, and never its password', async () => {
  const client = await connect();
  expect(client).toMatchObject({ host: config().host, port: config().port, user: config().user });
  expect(JSON.stringify(Object.entries(client))).not.toContain(String(config().password));
  expect(client.escapeIdentifier('a"b')).toBe(pg.escapeIdentifier('a"b'));
  for (const text of ["it's", 'a\\b', '']) expect(client.escapeLiteral(text)).toBe(pg.escapeLiteral(text));
  expect(() => client.escapeLiteral(1 as never)).toThrow(/takes a string, got number/);
});

test.for<[query: string, values: unknown[]]>([
  ['INSERT INTO post VALUES ($1) RETURNING body', [Buffer.from('zwei €')]],
  ['INSERT INTO post VALUES ($1) RETURNING body', [Buffer.alloc(0)]],
  ['INSERT INTO post (picture) VALUES ($1) RETURNING picture', [Buffer.from([0, 255, 92])]],
  ['INSERT INTO post VALUES ($1, $2) RETURNING *', ['text', new Uint8Array([1, 2])]],
  ['INSERT INTO post (pictures) VALUES ($1) RETURNING pictures', [[Buffer.from([0, 255]), null]]],
])('%s stores the bytes of a Buffer as node-postgres does', async ([query, values]) => {
  const client = await connect();
  const theirs = new pg.Client(config() as pg.ClientConfig);
  await theirs.connect();
  try {
    const create = 'CREATE TEMPORARY TABLE post (body text, picture bytea, pictures bytea[])';
    await theirs.query(create);
    await client.query(create);
    const expected = (await theirs.query(query, values)).rows as unknown;
    expect((await client.query(query, values)).rows).toEqual(expected);
    expect((await client.query({ name: 'insert', text: query, values })).rows).toEqual(expected);
  } finally {
    await theirs.end();
  }
});

test('what a parameter or a parser throws rejects the query as it is, and the client goes on', async () => {
  const client = await connect();
  const thrown = new Error('not today');
  const fail = (): never => {
    throw thrown;
  };
  expect(await rejection(client.query('SELECT $1::text', [{ toPostgres: fail }]))).toBe(thrown);
  const types = { getTypeParser: () => fail };
  expect(await rejection(client.query({ text: 'SELECT 1 AS n', types }))).toBe(thrown);
  client.setTypeParser(20, fail);
  expect(await rejection(client.query("SELECT int8 '1' AS n"))).toBe(thrown);
  const cursor = client.query(new Cursor("SELECT int8 '1' AS n"));
  expect(await rejection(cursor.read(1))).toBe(thrown);
  expect((await client.query('SELECT 2 AS n')).rows).toEqual([{ n: 2 }]);
});

test('a name without a text is refused where its statement was not prepared', async () => {
  const client = await connect();
  const error = await rejection(client.query({ name: 'nobody', values: [1] }));
  expect(error).toBeInstanceOf(errors.ProgrammingError);
  expect(error.message).toContain("the statement 'nobody' has no text");
  expect((await client.query({ name: 'empty', text: '' })).rows).toEqual([]);
});

test('ref() changes nothing, and unref() names what lets the process exit', async () => {
  const client = await connect();
  client.ref();
  expect(() => client.unref()).toThrow(/allowExitOnIdle/);
  expect(() => client.unref()).toThrow(errors.NotSupportedError);
});
