import { expect, test } from 'vitest';
import { Client, Pool, type PoolClient } from '../../../src/integrations/pg/index.js';
import { AsyncConnection, errors } from '../../../src/index.js';
import { dsn, rejection, terminate } from '../../support/database.js';
import { FakeServer, message, messages, welcome } from '../../support/fake-server.js';
import { warningsOf } from '../../support/warnings.js';
import { config, event, makePool } from './clients.js';

const { commandComplete, error, readyForQuery } = messages;

test('query() executes on a connection of its own, and its callback gets undefined and the result', async () => {
  const pool = makePool();
  expect((await pool.query('SELECT $1::int AS n', [1])).rows).toEqual([{ n: 1 }]);
  const seen = await new Promise((resolve) => {
    pool.query('SELECT 2 AS n', (error, result) => {
      resolve([error, result.rows]);
    });
  });
  expect(seen).toEqual([undefined, [{ n: 2 }]]);
  const failed = await new Promise((resolve) => {
    pool.query('SELECT nonsense', [], (error) => {
      resolve(error);
    });
  });
  expect(failed).toMatchObject({ code: '42703' });
  for (const none of [null, undefined]) {
    await expect(pool.query(none as never)).rejects.toThrow('Client was passed a null or undefined query');
  }
  expect(pool.totalCount).toBe(1);
});

test('a client has the events and the counts of node-postgres', async () => {
  const pool = makePool({ max: 1 });
  const told: unknown[] = [];
  for (const name of ['connect', 'acquire', 'remove']) {
    pool.on(name, (client: PoolClient) => told.push([name, client]));
  }
  pool.on('release', (error: unknown, client: PoolClient) => told.push(['release', error, client]));
  expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([0, 0, 0]);
  const client = await pool.connect();
  expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 0, 0]);
  const waiting = pool.connect();
  expect(pool.waitingCount).toBe(1);
  client.release();
  const second = await waiting;
  const reason = new Error('unfit');
  second.release(reason);
  await expect.poll(() => told).toHaveLength(6);
  expect(told).toEqual([
    ['connect', client],
    ['acquire', client],
    ['release', undefined, client],
    ['acquire', second],
    ['release', reason, second],
    ['remove', second],
  ]);
  await expect.poll(() => pool.totalCount).toBe(0);
});

test('a release with anything falsy keeps the connection', async () => {
  const pool = makePool({ max: 1 });
  const pids = new Set<unknown>();
  for (const nothing of [undefined, null, false, 0, '']) {
    const client = await pool.connect();
    pids.add(client.processID);
    client.release(nothing);
  }
  expect(pids.size).toBe(1);
});

test('query() shows its client to listeners of acquire and release that come later', async () => {
  const pool = makePool({ max: 1 });
  await pool.query('SELECT 1');
  const told: unknown[] = [];
  pool.once('acquire', (client: PoolClient) => {
    told.push(['acquire', client]);
    pool.once('release', (error: unknown, released: PoolClient) => told.push(['release', error, released]));
  });
  await pool.query('SELECT 2');
  const [, client] = told[0] as [string, PoolClient];
  expect(told).toEqual([
    ['acquire', client],
    ['release', undefined, client],
  ]);
  await expect(client.query('SELECT 3')).rejects.toThrow('released to its pool');
});

/** Acquires a client, and forgets it. */
async function leak(pool: Pool): Promise<void> {
  const client = await pool.connect();
  await client.query('SELECT 1');
}

/** Runs `body` while garbage is collected, and expects one warning of a leak. */
async function whileCollecting(body: () => Promise<void>): Promise<void> {
  const warnings = await warningsOf('USINGPG_LEAK', async () => {
    const collecting = setInterval(() => {
      globalThis.gc!();
    }, 50);
    try {
      await body();
    } finally {
      clearInterval(collecting);
    }
  });
  expect(warnings).toEqual([expect.stringContaining('was garbage-collected')]);
}

test('the connection of a client that is garbage-collected comes back', async () => {
  const pool = makePool({ max: 1 });
  await whileCollecting(async () => {
    await leak(pool);
    expect((await pool.query('SELECT 2 AS n')).rows).toEqual([{ n: 2 }]);
  });
});

test('end() does not wait for a client that is garbage-collected, before it or meanwhile', async () => {
  const before = makePool({ max: 1 });
  await whileCollecting(async () => {
    await leak(before);
    await before.query('SELECT 1');
  });
  await before.end();
  const meanwhile = makePool();
  await leak(meanwhile);
  await whileCollecting(() => meanwhile.end());
  expect([before.totalCount, meanwhile.totalCount]).toEqual([0, 0]);
});

test('end() warns of the clients that it has waited long for, and still waits for them', async () => {
  const pool = makePool();
  const client = await pool.connect();
  let ended: Promise<void> | undefined;
  const [warning] = await warningsOf('USINGPG_LEAK', async () => {
    const warned = new Promise((resolve) => process.once('warning', resolve));
    ended = pool.end();
    await warned;
  });
  expect(warning).toContain(
    `1 clients that are acquired or asked for (backends ${String(client.processID)})`,
  );
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
  client.release();
  await ended;
});

test('a client that was released refuses queries, and a second release throws', async () => {
  const pool = makePool({ max: 1 });
  const client = await pool.connect();
  client.release();
  const error = await rejection(client.query('SELECT 1'));
  expect(error).toBeInstanceOf(errors.InterfaceError);
  expect(error.message).toContain('released to its pool');
  expect(() => {
    client.release();
  }).toThrow(/already been released/);
  const next = await pool.connect();
  await expect(client.query('SELECT 1')).rejects.toThrow(errors.InterfaceError);
  next.release();
});

test('a release waits for the queries that were made before it', async () => {
  const pool = makePool({ max: 1 });
  const client = await pool.connect();
  const first = client.query('SELECT pg_sleep(0.1), 1 AS n');
  const second = client.query('SELECT 2 AS n');
  client.release();
  expect((await pool.query('SELECT 3 AS n')).rows).toEqual([{ n: 3 }]);
  expect([(await first).rows[0].n, (await second).rows[0].n]).toEqual([1, 2]);
});

test('connect() gives a callback the client and what releases it', async () => {
  const pool = makePool();
  await new Promise<void>((resolve) => {
    pool.connect((error, client, done) => {
      expect(error).toBeUndefined();
      expect(client).toBeDefined();
      done();
      resolve();
    });
  });
  expect(pool.idleCount).toBe(1);
});

test('what onConnect and a connect listener attach to a client, later clients of the connection have', async () => {
  const notices: string[] = [];
  const pool = makePool({
    max: 1,
    onConnect: async (client) => {
      await client.query("SET application_name = 'attached'");
      Object.assign(client, { mark: 1 });
    },
  });
  pool.on('connect', (client: PoolClient) => {
    client.on('notice', ({ message }: { message: string }) => notices.push(message));
    void client.query("SET search_path = 'attached'");
  });
  for (let i = 0; i < 2; i++) {
    const client = await pool.connect();
    expect(client).toMatchObject({ mark: 1 });
    await client.query("DO $$ BEGIN RAISE NOTICE 'once'; END $$");
    const { rows } = await client.query(
      "SELECT current_setting('application_name') AS a, current_setting('search_path') AS b",
    );
    expect(rows).toEqual([{ a: 'attached', b: 'attached' }]);
    client.release();
  }
  await pool.query("DO $$ BEGIN RAISE NOTICE 'without a client'; END $$");
  expect(notices).toEqual(['once', 'once', 'without a client']);
});

test('an onConnect that fails rejects the request, and the next one tries again', async () => {
  let fails = true;
  const pool = makePool({
    onConnect: () => {
      if (fails) throw new Error('not prepared');
    },
  });
  await expect(pool.connect()).rejects.toThrow('not prepared');
  fails = false;
  expect((await pool.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('verify checks each new client', async () => {
  const verified: unknown[] = [];
  const pool = makePool({
    max: 1,
    verify: (client, done) => {
      verified.push(client.processID);
      done(verified.length === 1 ? new Error('nope') : undefined);
    },
  });
  await expect(pool.connect()).rejects.toThrow('nope');
  await pool.query('SELECT 1');
  await pool.query('SELECT 1');
  expect(new Set(verified).size).toBe(2);
});

test('the first failure to connect rejects', async () => {
  const pool = makePool({ port: 1 });
  await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect.poll(() => pool.totalCount).toBe(0);
});

test('connectionTimeoutMillis bounds the wait for a client, and the cause tells more', async () => {
  const pool = makePool({ max: 1, connectionTimeoutMillis: 3_000 });
  const client = await pool.connect();
  const error = await rejection(pool.query('SELECT 1'));
  expect(error).toBeInstanceOf(errors.PoolTimeout);
  expect(error.message).toBe('timeout exceeded when trying to connect');
  expect(error.cause).toBeInstanceOf(errors.PoolTimeout);
  expect(error.stack).toContain('pool.test.ts');
  client.release();
});

test('idleTimeoutMillis closes idle connections down to min', async () => {
  const pool = makePool({ max: 3, min: 1, idleTimeoutMillis: 20 });
  const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
  for (const client of clients) client.release();
  await expect.poll(() => pool.totalCount).toBe(1);
});

test('maxUses closes a connection after so many checkouts', async () => {
  const pool = makePool({ max: 1, maxUses: 2 });
  const pids: unknown[] = [];
  for (let i = 0; i < 4; i++) pids.push((await pool.query('SELECT pg_backend_pid() AS pid')).rows[0].pid);
  expect(pids[0]).toBe(pids[1]);
  expect(pids[2]).toBe(pids[3]);
  expect(pids[0]).not.toBe(pids[2]);
});

test('the loss of an idle connection is told by the event error of the pool; the pool goes on', async () => {
  const pool = makePool();
  const client = await pool.connect();
  const pid = client.processID!;
  client.release();
  const told = event(pool, 'error');
  await terminate(pid);
  expect(await told).toEqual([expect.objectContaining({ code: '57P01' }), client]);
  expect((await pool.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('the loss of an idle connection that nobody listens to does not end the process', async () => {
  const pool = makePool();
  const client = await pool.connect();
  const pid = client.processID!;
  client.release();
  await terminate(pid);
  await expect.poll(() => pool.totalCount).toBe(0);
  expect((await pool.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('the loss of an acquired connection is told by the client, and not by the pool', async () => {
  const pool = makePool();
  const client = await pool.connect();
  const told: string[] = [];
  pool.on('error', () => told.push('pool'));
  client.on('error', () => told.push('client'));
  await terminate(client.processID!);
  await expect.poll(() => told).toEqual(['client']);
  client.release();
  expect((await pool.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
});

test('the loss of a connection right behind the answer to a query() is told by the pool', async () => {
  const answer = Buffer.concat([message('1'), message('2'), message('n'), commandComplete('SELECT 0')]);
  await using server = await FakeServer.running(async (client) => {
    await client.until(8);
    const greeted = client.received().length;
    client.send(welcome());
    await client.until(greeted + 1);
    client.send(answer, readyForQuery('I'), error('FATAL', '57P01', 'terminating connection'));
    client.socket.end();
  });
  const pool = makePool({ host: '127.0.0.1', port: server.port, ssl: false });
  const told = event(pool, 'error');
  expect((await pool.query('SELECT $1', ['a'])).rows).toEqual([]);
  expect(await told).toEqual([expect.objectContaining({ code: '57P01' }), expect.anything()]);
  expect(pool.totalCount).toBe(0);
});

test('end() waits for the clients, then refuses requests', async () => {
  const pool = makePool();
  const client = await pool.connect();
  const query = pool.query('SELECT 1 AS n');
  let ended = false;
  const end = pool.end().then(() => {
    ended = true;
  });
  expect((await query).rows).toEqual([{ n: 1 }]);
  await client.query('SELECT 1');
  expect([ended, pool.ending, pool.ended]).toEqual([false, true, false]);
  client.release();
  await end;
  expect([pool.ended, pool.totalCount]).toEqual([true, 0]);
  await expect(pool.connect()).rejects.toThrow('Cannot use a pool after calling end on the pool');
  await expect(pool.end()).rejects.toThrow('Called end on pool more than once');
});

test('a pool that was never used connects to nothing and ends', async () => {
  const pool = new Pool({ connectionString: dsn().includes('://') ? dsn() : undefined, ...config() });
  await new Promise<void>((resolve) => {
    pool.end(resolve);
  });
  expect(pool.ended).toBe(true);
});

test('the options of a pool are there with their defaults, and its secrets are not printed', () => {
  const pool = new Pool({ password: 'very secret', max: '7', idleTimeoutMillis: null });
  expect(pool.options).toMatchObject({ max: 7, min: 0, maxUses: Infinity, idleTimeoutMillis: 0 });
  expect(new Pool().options).toMatchObject({ max: 10, idleTimeoutMillis: 10_000 });
  expect(JSON.stringify(pool.options)).not.toContain('very secret');
});

test('cursors and streams are refused by query(), since nobody would give the connection back', async () => {
  const pool = makePool();
  await expect(pool.query({ submit: () => undefined } as never)).rejects.toThrow(/pool\.connect\(\)/);
  const error = await new Promise((resolve) => {
    void pool.query(resolve as never);
  });
  expect(error).toMatchObject({ message: expect.stringContaining('a function as the first') as string });
});

test('a pool does not change what other connections of the process are', async () => {
  const pool = makePool();
  await pool.query('SELECT 1::int8');
  await using conn = await AsyncConnection.connect(dsn(), { autocommit: true });
  expect(await (await conn.execute('SELECT 1::int8')).fetchone()).toEqual([1n]);
});

test('log is told what the pool does', async () => {
  const messages: unknown[] = [];
  const pool = makePool({ maxUses: 1, log: (...message) => messages.push(...message) });
  await pool.query('SELECT 1');
  await expect.poll(() => messages).toContain('remove expended client');
  await pool.end();
  expect(messages).toEqual([
    'new client connected',
    'dispatching query',
    'query dispatched',
    'remove expended client',
    'ending',
  ]);
  const refused = new Pool({ ...config(), port: 1, log: (...message) => messages.push(...message) });
  const error = await rejection(refused.connect());
  expect(messages.slice(-2)).toEqual(['client failed to connect', error]);
  await refused.end();
});

test('the option Client may be this module’s own; another class is refused, naming what to use', () => {
  expect(new Pool({ Client } as never)).toBeInstanceOf(Pool);
  expect(new Pool({}, Client)).toBeInstanceOf(Pool);
  class Mine extends Client {}
  for (const make of [() => new Pool({ Client: Mine } as never), () => new Pool({}, Mine)]) {
    expect(make).toThrow(errors.NotSupportedError);
    expect(make).toThrow(/onConnect/);
  }
});
