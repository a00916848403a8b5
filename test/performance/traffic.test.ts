import { onTestFinished, expect, test } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  makeConninfo,
  type ConninfoParams,
  type ConnectOptions,
} from '../../src/index.js';
import { PASSWORD_ROLE } from '../support/server.js';
import { Wiretap } from './wiretap.js';

// Counts what a statement costs on the wire, which is exact on any machine.

async function tapped(options: ConnectOptions = {}): Promise<{ conn: AsyncConnection; tap: Wiretap }> {
  const tap = await Wiretap.start();
  const conn = await AsyncConnection.connect(tap.dsn, options);
  onTestFinished(async () => {
    await conn.close();
    await tap[Symbol.asyncDispose]();
  });
  return { conn, tap };
}

function count(messages: string, type: string): number {
  return messages.split(type).length - 1;
}

test('connecting sends nothing after the authentication', async () => {
  await using tap = await Wiretap.start();
  const open: AsyncConnection[] = [];
  onTestFinished(async () => {
    for (const conn of open) await conn.close();
  });
  const connect =
    (params: ConninfoParams = {}) =>
    async (): Promise<void> => {
      open.push(await AsyncConnection.connect(makeConninfo(tap.dsn, params)));
    };
  expect(await tap.during(connect())).toEqual({ messages: '', packets: 1, roundTrips: 1 });
  // The server is asked for its state, since a pooler may report an old one.
  expect(await tap.during(connect({ target_session_attrs: 'read-write' }))).toMatchObject({ roundTrips: 2 });
  if (process.env['DATABASE_URL'] !== undefined) return;
  // SCRAM: the first message and the proof.
  expect(await tap.during(connect(PASSWORD_ROLE))).toEqual({ messages: 'pp', packets: 3, roundTrips: 3 });
});

test('a pool connects without a statement', async () => {
  await using tap = await Wiretap.start();
  let pool!: AsyncConnectionPool;
  const traffic = await tap.during(async () => {
    pool = new AsyncConnectionPool(tap.dsn, { minSize: 3, maxSize: 3 });
    await pool.wait();
  });
  await pool.close();
  expect(traffic).toMatchObject({ messages: '', packets: 3 });
});

test('the first statement of a connection is one round trip', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  expect(await tap.during(() => conn.execute('SELECT 1'))).toMatchObject({ packets: 1, roundTrips: 1 });
});

test('a prepared statement is Bind, Execute and Sync, in one packet and one round trip', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  const run = (): Promise<unknown> => conn.execute('SELECT %s::int4', [1], { prepare: true });
  await run();
  expect(await tap.during(run)).toEqual({ messages: 'BES', packets: 1, roundTrips: 1 });
});

test('a statement that is not prepared takes one packet and one round trip, too', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  const run = (): Promise<unknown> => conn.execute('SELECT %s::int4', [1], { prepare: false });
  expect(await tap.during(run)).toEqual({ messages: 'PBDES', packets: 1, roundTrips: 1 });
});

test('a statement without parameters is sent like one with parameters, and a text of several by the simple protocol', async () => {
  const { conn, tap } = await tapped({ autocommit: true, prepareThreshold: 1 });
  const during = (text: string): Promise<unknown> => tap.during(() => conn.execute(text));
  expect(await during('SELECT 1;')).toEqual({ messages: 'PBDES', packets: 1, roundTrips: 1 });
  expect(await during('SELECT 1;')).toEqual({ messages: 'PBDES', packets: 1, roundTrips: 1 });
  expect(await during('SELECT 1;')).toEqual({ messages: 'BES', packets: 1, roundTrips: 1 });
  // A semicolon within a string or a comment ends no statement.
  expect(await during("SELECT ';' /* ; */")).toMatchObject({ messages: 'PBDES', roundTrips: 1 });
  expect(await during('SELECT 1; SELECT 2')).toEqual({ messages: 'Q', packets: 1, roundTrips: 1 });
});

test('a transaction of one statement is two round trips: BEGIN goes with the statement', async () => {
  const { conn, tap } = await tapped();
  const run = async (): Promise<void> => {
    await conn.execute('SELECT %s::int4', [1], { prepare: true });
    await conn.commit();
  };
  await run();
  const { messages, packets, roundTrips } = await tap.during(run);
  expect({ packets, roundTrips }).toEqual({ packets: 2, roundTrips: 2 });
  // Parse, Bind and Execute of BEGIN before those of the statement, under one Sync; then COMMIT.
  expect(messages).toMatch(/^PBEBES(Q|BES|PBE?D?ES)$/);
});

test('a transaction block of one statement is two round trips, too, and one of none is none', async () => {
  await using tap = await Wiretap.start();
  await using pool = new AsyncConnectionPool(tap.dsn, { minSize: 1 });
  await pool.wait();
  const run = (): Promise<unknown> =>
    pool.withTransaction((conn) => conn.execute('SELECT %s::int4', [1], { prepare: true }));
  await run();
  const { messages, packets, roundTrips } = await tap.during(run);
  expect({ packets, roundTrips }).toEqual({ packets: 2, roundTrips: 2 });
  expect(messages).toMatch(/^PBEBES(Q|BES|PBE?D?ES)$/);
  const nothing = { messages: '', packets: 0, roundTrips: 0 };
  expect(await tap.during(() => pool.withTransaction(() => 1))).toEqual(nothing);
});

test('bytea is requested in binary once the columns of a statement are known, and as text before', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  const run = (): Promise<unknown> =>
    conn.execute("SELECT decode(repeat('00ff', 5000), 'hex')", undefined, { prepare: true });
  const first = await tap.answersTo(run);
  const second = await tap.answersTo(run);
  expect(first.answered).toBeGreaterThan(20_000);
  expect(second.answered).toBeGreaterThan(10_000);
  expect(second.answered).toBeLessThan(10_200);
});

test('executemany prepares once, and has one Sync for all executions', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  await conn.execute('CREATE TEMP TABLE counted (id int4, name text)');
  const rows = Array.from({ length: 1000 }, (_, i) => [i, `name ${String(i)}`]);
  const { messages, packets } = await tap.during(() =>
    conn.cursor().executemany('INSERT INTO counted VALUES (%s, %s)', rows),
  );
  expect(count(messages, 'P')).toBeLessThanOrEqual(3);
  expect(count(messages, 'S') + count(messages, 'Q')).toBeLessThanOrEqual(3);
  // An int2 parameter would make another statement than int4; these are all int4.
  expect(count(messages, 'B')).toBeGreaterThanOrEqual(1000);
  expect(count(messages, 'B')).toBeLessThanOrEqual(1002);
  expect(packets).toBeLessThanOrEqual(40);
});

test('a pipeline has one Sync for all its statements', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  await conn.execute('CREATE TEMP TABLE counted (id int4)');
  const { messages, packets } = await tap.during(() =>
    conn.withPipeline(async () => {
      for (let i = 0; i < 1000; i++) await conn.execute('INSERT INTO counted VALUES (%s)', [i]);
    }),
  );
  expect(count(messages, 'B')).toBeLessThanOrEqual(1002);
  expect(count(messages, 'S') + count(messages, 'Q')).toBeLessThanOrEqual(3);
  expect(packets).toBeLessThanOrEqual(50);
});

test('4,000 statements at once are sent without waiting for one another, in few packets', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  const one = (i: number): Promise<unknown> =>
    conn.execute('SELECT %s::int8', [BigInt(i)], { prepare: true });
  await one(0);
  const { messages, packets } = await tap.during(() =>
    Promise.all(Array.from({ length: 4000 }, (_, i) => one(i))),
  );
  expect(messages).toBe('BES'.repeat(4000));
  expect(packets).toBeLessThanOrEqual(40);
});

test('a checkout and its return send nothing to the server', async () => {
  await using tap = await Wiretap.start();
  await using pool = new AsyncConnectionPool(tap.dsn, { minSize: 1 });
  await pool.wait();
  const traffic = await tap.during(async () => {
    for (let i = 0; i < 100; i++) await pool.putconn(await pool.getconn());
  });
  expect(traffic).toEqual({ messages: '', packets: 0, roundTrips: 0 });
});

test('a statement per checkout, committed on return, is two round trips', async () => {
  await using tap = await Wiretap.start();
  await using pool = new AsyncConnectionPool(tap.dsn, { minSize: 1 });
  await pool.wait();
  const run = (): Promise<unknown> =>
    pool.withConnection((conn) => conn.execute('SELECT %s::int4', [1], { prepare: true }));
  await run();
  expect(await tap.during(run)).toMatchObject({ packets: 2, roundTrips: 2 });
});

test('a result of 10,000 rows is requested once', async () => {
  const { conn, tap } = await tapped({ autocommit: true });
  const { packets, roundTrips } = await tap.during(async () =>
    (await conn.execute('SELECT generate_series(1, 10000)')).fetchall(),
  );
  expect({ packets, roundTrips }).toEqual({ packets: 1, roundTrips: 1 });
});
