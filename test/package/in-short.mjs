// A short program with the package's main features, for runtimes on which the tests do not run. Prints what it has done.
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { AsyncConnection, AsyncConnectionPool, dictRow, errors, Jsonb, Range } from 'usingpg';

const dsn = process.env.DSN;
const conn = await AsyncConnection.connect(dsn, { autocommit: true });
const fetchone = async (query, params) => (await conn.execute(query, params)).fetchone();

const parts = {
  values: async () => {
    const values = [1, 2n ** 40n, 'née 😀', Buffer.from([0, 255]), new Date(-1), 1.5, true, [1, null, 3]];
    const query = `SELECT %s::int4, %s::int8, %s::text, %s::bytea, %s::timestamptz, %s::float8, %s::bool, %s::int4[],
      %s::jsonb, int4range(1, 5), date '2024-02-29'`;
    // Often enough for the statement to be prepared and its results to be binary.
    for (let i = 0; i < 8; i++) {
      assert.deepEqual(await fetchone(query, [...values, new Jsonb({ a: [1] })]), [
        ...values,
        { a: [1] },
        new Range(1, 5),
        '2024-02-29',
      ]);
    }
    const large = Buffer.alloc(5_000_000, 'usingpg');
    assert.ok((await fetchone('SELECT %s::bytea', [large]))[0].equals(large));
  },
  errors: async () => {
    await assert.rejects(conn.execute('SELECT 1/0'), errors.DivisionByZero);
    await assert.rejects(AsyncConnection.connect('postgresql://127.0.0.1:1/none'), errors.OperationalError);
    assert.match(inspect(conn), /AsyncConnection \[IDLE\]/);
  },
  leaks: async () => {
    const pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 1, leakThreshold: 60 });
    const waits = (hold) => hold(() => pool.getconn(0.05)).catch((error) => error.message);
    const messages = [
      await waits((wait) => pool.withConnection(wait)),
      await waits((wait) => pool.withTransaction(wait)),
    ];
    for (const message of messages) assert.match(message, /holds it itself, taken at [^;]*in-short\.mjs:\d+/);
    await pool.close();
  },
  executemany: async () => {
    await conn.execute('CREATE TEMP TABLE copied (a int, b text)');
    const cursor = conn.cursor();
    await cursor.executemany(
      'INSERT INTO copied VALUES (%s, %s)',
      Array.from({ length: 1500 }, (_, i) => [i, 'é']),
    );
    assert.equal(cursor.rowcount, 1500);
  },
  stream: async () => {
    let rows = 0;
    for await (const [text] of conn
      .cursor()
      .stream('SELECT repeat($$x$$, 500) FROM generate_series(1, 5000)')) {
      assert.equal(text.length, 500);
      if (++rows === 4000) break;
    }
    assert.equal(rows, 4000);
  },
  pipeline: async () => {
    await conn.withPipeline(async () => {
      const cursors = [];
      for (let i = 0; i < 50; i++) cursors.push(await conn.execute('SELECT %s::int', [i]));
      assert.deepEqual(await cursors[49].fetchone(), [49]);
    });
  },
  'COPY in text format': () => copies('text'),
  'COPY in binary format': () => copies('binary'),
  'COPY by streams of Node': async () => {
    const cursor = conn.cursor();
    const lines = Readable.from(Array.from({ length: 1000 }, (_, i) => `${String(i)}\tline\n`));
    await pipeline(lines, (await cursor.copy('COPY copied FROM STDIN')).writable());
    let bytes = 0;
    for await (const piece of (await cursor.copy('COPY copied TO STDOUT')).readable()) bytes += piece.length;
    assert.ok(bytes > 100_000);
  },
  notifications: async () => {
    await conn.execute('LISTEN in_short');
    await conn.execute("NOTIFY in_short, 'heard'");
    for await (const { payload } of conn.notifies({ stopAfter: 1, timeout: 10 }))
      assert.equal(payload, 'heard');
  },
  cancellation: async () => {
    const signal = AbortSignal.timeout(50);
    const waiting = conn.execute('SELECT pg_sleep(60)', undefined, { signal });
    await assert.rejects(waiting, (reason) => reason === signal.reason);
    assert.deepEqual(await fetchone('SELECT 1'), [1]);
  },
  diagnostics: async () => {
    let seen = 0;
    const see = () => seen++;
    subscribe('tracing:usingpg:query:start', see);
    await conn.execute('SELECT 42');
    unsubscribe('tracing:usingpg:query:start', see);
    assert.equal(seen, 1);
  },
  pool: async () => {
    const pool = new AsyncConnectionPool(dsn, {
      minSize: 1,
      maxSize: 3,
      connectOptions: { rowFactory: dictRow },
    });
    const found = await pool.map([1, 2, 3, 4, 5, 6], async (each, item) =>
      (await each.execute('SELECT %s::int AS item', [item])).fetchone(),
    );
    assert.deepEqual(
      found,
      [1, 2, 3, 4, 5, 6].map((item) => ({ item })),
    );
    await pool.close();
  },
  'a lost connection': async () => {
    const other = await AsyncConnection.connect(dsn);
    const running = assert.rejects(other.execute('SELECT pg_sleep(60)'), errors.AdminShutdown);
    await fetchone('SELECT pg_terminate_backend(%s)', [other.info.backendPid]);
    await running;
    assert.ok(other.broken);
  },
};

async function copies(format) {
  const cursor = conn.cursor();
  const types = ['int4', 'text'];
  await cursor.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
    if (format === 'binary') copy.setTypes(types);
    for (let i = 0; i < 10_000; i++) await copy.writeRow([i, 'né']);
  });
  let rows = 0;
  await cursor.withCopy(`COPY copied TO STDOUT (FORMAT ${format})`, async (copy) => {
    if (format === 'binary') copy.setTypes(types);
    for await (const [, text] of copy.rows()) if (text === 'né') rows++;
  });
  assert.ok(rows > 0 && rows % 10_000 === 0);
}

for (const [name, part] of Object.entries(parts)) {
  await part();
  console.log(name);
}
await conn.close();
