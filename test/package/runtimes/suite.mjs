// What the package is used for, as tests that any runtime can run: no test runner, no TypeScript, no syntax that Node 20 has not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';

/** What a test returns that the runtime has not the means for. */
export const SKIPPED = 'skipped';

/**
 * The tests, by their names. `dsn` is of a server without TLS, `tls` are the parameters of one with TLS that asks for a password, its
 * authority among them; `otherAuthority` is the file of one that has not signed its certificate.
 */
export function suite(usingpg, { dsn, tls, otherAuthority }) {
  const { AsyncConnection, AsyncConnectionPool, dictRow, errors, Jsonb, Range, sql } = usingpg;
  const encrypted = { ...tls, sslmode: 'verify-full', channel_binding: 'require' };

  async function connected(use, params = dsn) {
    const conn = await AsyncConnection.connect(params, { autocommit: true });
    try {
      return await use(conn);
    } finally {
      await conn.close();
    }
  }
  const one = async (conn, query, params) => (await conn.execute(query, params)).fetchone();
  async function pooled(use, options = {}) {
    const pool = new AsyncConnectionPool(dsn, { minSize: 1, maxSize: 3, ...options });
    try {
      return await use(pool);
    } finally {
      await pool.close();
    }
  }

  return {
    'import and require() give the same classes and adapters': async () => {
      const required = createRequire(import.meta.url)('usingpg');
      const names = Object.keys(required);
      assert.ok(names.length > 30);
      assert.deepEqual(
        names.filter((name) => usingpg[name] !== required[name]),
        [],
      );
    },
    'usingpg/pg answers, imported and required, with errors of one library': async () => {
      const require = createRequire(import.meta.url);
      const { host, port, user, password, dbname } = usingpg.conninfoToDict(dsn);
      for (const pg of [
        await import('usingpg/pg'),
        require('usingpg/pg'),
        (await import('usingpg/pg')).default,
      ]) {
        const pool = new pg.Pool({ host, port, user, password, database: dbname });
        try {
          const { rows } = await pool.query('SELECT $1::int8 AS n, $2::jsonb AS j', [1, { a: [1] }]);
          assert.deepEqual(rows, [{ n: '1', j: { a: [1] } }]);
          const client = await pool.connect();
          const cursor = client.query(new pg.Cursor('SELECT generate_series(1, 3) AS n'));
          assert.deepEqual(await cursor.read(2), [{ n: 1 }, { n: 2 }]);
          await cursor.close();
          client.release();
          await assert.rejects(
            pool.query('SELECT nonsense'),
            (error) =>
              error.code === '42703' &&
              error instanceof pg.DatabaseError &&
              error instanceof errors.UndefinedColumn,
          );
        } finally {
          await pool.end();
        }
      }
    },
    'usingpg/opentelemetry and usingpg/logger see what either format does': async () => {
      const require = createRequire(import.meta.url);
      for (const [{ instrument }, { logQueries }] of [
        [await import('usingpg/opentelemetry'), await import('usingpg/logger')],
        [require('usingpg/opentelemetry'), require('usingpg/logger')],
      ]) {
        const seen = [];
        const startSpan = (name) => ({
          setAttributes: ({ 'error.type': error }) => seen.push(`${name} failed: ${error}`),
          setStatus: () => undefined,
          end: () => seen.push(name),
        });
        const log = (line) => seen.push(line.replace(/^usingpg \d+: /, '').replace(/\d+\.\d ms/, '1 ms'));
        await connected(async (conn) => {
          const stopSpans = instrument({ tracerProvider: { getTracer: () => ({ startSpan }) } });
          const stopLog = logQueries({ log, debug: log, warn: log, error: log });
          await conn.execute('SELECT %s::text FROM pg_class LIMIT 1', ['secret']);
          await assert.rejects(conn.execute('SELECT 1/0'), errors.DivisionByZero);
          stopSpans();
          stopLog();
          await conn.execute('SELECT 2');
        });
        assert.deepEqual(seen, [
          'SELECT pg_class',
          'SELECT 1 in 1 ms: SELECT $1::text FROM pg_class LIMIT 1',
          'SELECT failed: 22012',
          'SELECT',
          'DivisionByZero 22012 after 1 ms: SELECT 1/0',
        ]);
      }
    },
    'values go there and come back, in text and in binary': () =>
      connected(async (conn) => {
        const values = [1, 2n ** 40n, 'née 😀', Buffer.from([0, 255]), new Date(-1), 1.5, true, [1, null, 3]];
        const query = `SELECT %s::int4, %s::int8, %s::text, %s::bytea, %s::timestamptz, %s::float8, %s::bool, %s::int4[],
          %s::jsonb, int4range(1, 5), date '2024-02-29', inet '10.0.0.1', interval '1 month'`;
        const more = [{ a: [1] }, new Range(1, 5), '2024-02-29', '10.0.0.1', 'P1M'];
        // Often enough to be prepared, and asked for in the binary format.
        for (let i = 0; i < 8; i++) {
          assert.deepEqual(await one(conn, query, [...values, new Jsonb({ a: [1] })]), [...values, ...more]);
        }
        const large = Buffer.alloc(5_000_000, 'usingpg');
        assert.ok((await one(conn, 'SELECT %s::bytea', [large]))[0].equals(large));
      }),
    'queries are composed, and rows are objects': () =>
      connected(async (conn) => {
        const query = sql`SELECT ${sql.Literal(1)}::int AS ${sql.identifier('a b')}, ${'two'} AS c`;
        const cur = conn.cursor({ rowFactory: dictRow });
        await cur.execute(query);
        assert.deepEqual(await cur.fetchall(), [{ 'a b': 1, c: 'two' }]);
      }),
    'errors have their classes, SQLSTATE and a text to print': () =>
      connected(async (conn) => {
        await assert.rejects(conn.execute('SELECT 1/0'), (error) => {
          assert.ok(error instanceof errors.DivisionByZero && error instanceof errors.DatabaseError);
          assert.equal(error.sqlstate, '22012');
          assert.match(inspect(error), /DivisionByZero/);
          return true;
        });
        await assert.rejects(conn.execute('SELECT * FROM nowhere'), errors.UndefinedTable);
        await assert.rejects(
          AsyncConnection.connect('postgresql://127.0.0.1:1/none'),
          errors.OperationalError,
        );
        assert.match(inspect(conn), /AsyncConnection \[IDLE\]/);
      }),
    'transactions commit, roll back and nest': () =>
      connected(async (conn) => {
        await conn.execute('CREATE TEMP TABLE booked (n int)');
        await conn.withTransaction(async (tx) => {
          await conn.execute('INSERT INTO booked VALUES (1)');
          await assert.rejects(
            tx.withTransaction(async () => {
              await conn.execute('INSERT INTO booked VALUES (2)');
              throw new Error('no');
            }),
            /^Error: no$/,
          );
        });
        assert.deepEqual(await one(conn, 'SELECT array_agg(n) FROM booked'), [[1]]);
      }),
    'executemany()': () =>
      connected(async (conn) => {
        await conn.execute('CREATE TEMP TABLE copied (a int, b text)');
        const cursor = conn.cursor();
        await cursor.executemany(
          'INSERT INTO copied VALUES (%s, %s)',
          Array.from({ length: 1500 }, (_, i) => [i, 'é']),
        );
        assert.equal(cursor.rowcount, 1500);
      }),
    'a stream of rows, left early': () =>
      connected(async (conn) => {
        let rows = 0;
        const query = 'SELECT repeat($$x$$, 500) FROM generate_series(1, 5000)';
        for await (const [text] of conn.cursor().stream(query)) {
          assert.equal(text.length, 500);
          if (++rows === 4000) break;
        }
        assert.deepEqual([rows, ...(await one(conn, 'SELECT 1'))], [4000, 1]);
      }),
    'server cursors': () =>
      connected((conn) =>
        conn.withTransaction(async () => {
          const cur = conn.cursor({ name: 'numbers', scrollable: true });
          await cur.execute('SELECT generate_series(1, 1000)');
          assert.deepEqual(await cur.fetchmany(2), [[1], [2]]);
          await cur.scroll(10);
          assert.deepEqual(await cur.fetchone(), [13]);
          let last;
          for await (const row of cur) last = row;
          assert.deepEqual(last, [1000]);
          await cur.close();
        }),
      ),
    'a pipeline': () =>
      connected((conn) =>
        conn.withPipeline(async () => {
          const cursors = [];
          for (let i = 0; i < 50; i++) cursors.push(await conn.execute('SELECT %s::int', [i]));
          assert.deepEqual(await cursors[49].fetchone(), [49]);
        }),
      ),
    'COPY in text format': () => copies('text'),
    'COPY in binary format': () => copies('binary'),
    'COPY by streams of Node': () =>
      connected(async (conn) => {
        await conn.execute('CREATE TEMP TABLE copied (a int, b text)');
        const cursor = conn.cursor();
        const lines = Readable.from(Array.from({ length: 10_000 }, (_, i) => `${String(i)}\tline\n`));
        await pipeline(lines, (await cursor.copy('COPY copied FROM STDIN')).writable());
        let bytes = 0;
        for await (const piece of (await cursor.copy('COPY copied TO STDOUT')).readable())
          bytes += piece.length;
        assert.equal(bytes, 98_890);
      }),
    notifications: () =>
      connected(async (conn) => {
        await conn.execute('LISTEN heard');
        await connected((other) => other.execute("NOTIFY heard, 'from another'"));
        for await (const { payload } of conn.notifies({ stopAfter: 1, timeout: 60 }))
          assert.equal(payload, 'from another');
      }),
    'a statement is cancelled by its signal': () => cancels(dsn),
    diagnostics: () =>
      connected(async (conn) => {
        let seen = 0;
        const see = () => seen++;
        subscribe('tracing:usingpg:query:start', see);
        await conn.execute('SELECT 42');
        unsubscribe('tracing:usingpg:query:start', see);
        assert.equal(seen, 1);
      }),
    'a pool serves many tasks': () =>
      pooled(
        async (pool) => {
          const items = Array.from({ length: 30 }, (_, i) => i);
          const found = await pool.map(items, async (conn, item) =>
            (await conn.execute('SELECT %s::int AS item', [item])).fetchone(),
          );
          assert.deepEqual(
            found,
            items.map((item) => ({ item })),
          );
          const { rows } = await pool.execute('SELECT 1 AS a');
          assert.deepEqual(rows, [{ a: 1 }]);
        },
        { connectOptions: { rowFactory: dictRow } },
      ),
    'a pool says who holds what is waited for': () =>
      pooled(
        async (pool) => {
          const message = (hold) => hold(() => pool.getconn(0.05)).catch((error) => error.message);
          assert.match(
            await message((wait) => pool.withConnection(wait)),
            /holds it itself, taken at [^;]*suite\.mjs:\d+/,
          );
          assert.match(
            await message((wait) => pool.withTransaction(wait)),
            /holds it itself, taken at [^;]*suite\.mjs:\d+/,
          );
        },
        { maxSize: 1, leakThreshold: 60 },
      ),
    'a pool replaces a connection that was lost': () =>
      pooled(
        async (pool) => {
          await connected(async (conn) => {
            const running = assert.rejects(
              pool.withConnection(async (mine) => {
                await conn.execute('SELECT pg_terminate_backend(%s)', [mine.info.backendPid]);
                await mine.execute('SELECT 1');
              }),
              errors.OperationalError,
            );
            await running;
          });
          assert.deepEqual((await pool.execute('SELECT 2')).rows, [[2]]);
        },
        { maxSize: 1 },
      ),
    'a connection that is lost fails what runs on it': () =>
      connected(async (conn) => {
        const other = await AsyncConnection.connect(dsn);
        const running = assert.rejects(other.execute('SELECT pg_sleep(60)'), errors.AdminShutdown);
        await one(conn, 'SELECT pg_terminate_backend(%s)', [other.info.backendPid]);
        await running;
        assert.ok(other.broken);
      }),
    'TLS, as far as the server has it': async () => {
      await connected(async ({ info }) => {
        assert.equal(info.sslInUse, true);
      }, tls);
      await connected(async ({ info }) => {
        assert.equal(info.sslInUse, false);
      });
    },
    'TLS with verify-full and channel binding carries whatever is read and written': () =>
      connected(async (conn) => {
        const query = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
        assert.deepEqual([conn.info.sslInUse, ...(await one(conn, query))], [true, true]);
        const large = createHash('sha512').update('usingpg').digest('hex').repeat(50_000);
        assert.ok((await one(conn, 'SELECT %s::text', [large]))[0] === large);
        await conn.execute('CREATE TEMP TABLE copied (a int)');
        const cur = conn.cursor();
        await cur.withCopy('COPY copied FROM STDIN', async (copy) => {
          for (let i = 0; i < 100_000; i++) await copy.writeRow([i]);
        });
        assert.deepEqual(await one(conn, 'SELECT sum(a) FROM copied'), [4_999_950_000n]);
      }, encrypted),
    'TLS with verify-full refuses another name, and a certificate that nobody has signed': async () => {
      const refused = (changes, message) =>
        assert.rejects(AsyncConnection.connect({ ...encrypted, ...changes }), (error) => {
          assert.ok(error instanceof errors.OperationalError, inspect(error));
          assert.match(error.message, message);
          return true;
        });
      await refused({ host: 'elsewhere', hostaddr: '127.0.0.1' }, /certificate is for .*elsewhere/);
      await refused({ sslrootcert: otherAuthority }, /certificate/);
      await refused({ password: 'wrong' }, /password authentication failed/);
    },
    'a statement over TLS is cancelled by its signal': () => cancels(encrypted),
    'Kysely works over a pool, imported and required': async () => {
      const { Kysely, sql: raw } = await import('kysely');
      for (const { UsingpgDialect } of await bothFormats('usingpg/kysely')) {
        await pooled(async (pool) => {
          const db = new Kysely({ dialect: new UsingpgDialect({ pool }) });
          const query = db.selectFrom(raw`(SELECT n FROM generate_series(1, ${3}) n)`.as('t')).select('n');
          const { rows } = await db.transaction().execute((trx) => trx.executeQuery(query));
          assert.equal(rows.length, 3);
          const seen = [];
          for await (const { n } of query.stream()) seen.push(n);
          assert.deepEqual(seen, [1, 2, 3]);
          await assert.rejects(raw`SELECT 1/0`.execute(db), errors.DivisionByZero);
          await db.destroy();
        });
      }
    },
    'Drizzle works over a pool, imported and required': async () => {
      const { sql: raw } = await import('drizzle-orm');
      const { date, integer, pgTable } = await import('drizzle-orm/pg-core');
      const runtimes = pgTable('runtimes', { n: integer(), day: date() });
      for (const { drizzle } of await bothFormats('usingpg/drizzle')) {
        await pooled(
          async (pool) => {
            const db = drizzle(pool);
            await db.execute(raw`CREATE TEMP TABLE runtimes (n int, day date)`);
            await db.transaction((tx) => tx.insert(runtimes).values({ n: 1, day: '2024-02-29' }));
            const seen = [];
            for await (const row of db.iterator(db.select().from(runtimes))) seen.push(row);
            assert.deepEqual(seen, [{ n: 1, day: '2024-02-29' }]);
            await assert.rejects(
              db.execute(raw`SELECT 1/0`),
              ({ cause }) => cause instanceof errors.DivisionByZero,
            );
          },
          { maxSize: 1 },
        );
      }
    },
    'dates and times are those of Temporal': () =>
      'Temporal' in globalThis
        ? connected(async (conn) => {
            usingpg.registerTemporal(conn);
            const instant = Temporal.Instant.from('2024-02-29T12:34:56.789012Z');
            const [at, date] = await one(conn, "SELECT %s::timestamptz, date '2024-02-29'", [instant]);
            assert.ok(at.equals(instant));
            assert.ok(date.equals(Temporal.PlainDate.from('2024-02-29')));
          })
        : SKIPPED,
  };

  async function bothFormats(name) {
    return [await import(name), createRequire(import.meta.url)(name)];
  }

  async function copies(format) {
    await connected(async (conn) => {
      await conn.execute('CREATE TEMP TABLE copied (a int, b text)');
      const cursor = conn.cursor();
      const types = ['int4', 'text'];
      await cursor.withCopy(`COPY copied FROM STDIN (FORMAT ${format})`, async (copy) => {
        if (format === 'binary') copy.setTypes(types);
        for (let i = 0; i < 10_000; i++) await copy.writeRow([i, 'né']);
      });
      let rows = 0;
      await cursor.withCopy(`COPY copied TO STDOUT (FORMAT ${format})`, async (copy) => {
        copy.setTypes(types);
        for await (const row of copy.rows()) assert.deepEqual(row, [rows++, 'né']);
      });
      assert.equal(rows, 10_000);
    });
  }

  async function cancels(params) {
    await connected(async (conn) => {
      const signal = AbortSignal.timeout(50);
      const waiting = conn.execute('SELECT pg_sleep(60)', undefined, { signal });
      await assert.rejects(waiting, (reason) => reason === signal.reason);
      assert.deepEqual(await one(conn, 'SELECT 1'), [1]);
    }, params);
  }
}
