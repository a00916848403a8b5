import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  dictRow,
  errors,
  type ConnectOptions,
  type ConninfoParams,
} from '../../src/index.js';
import { admin } from '../support/database.js';
import { startOwnServer } from '../support/server.js';
import { mayLackPgBouncer, pgBouncerProgram, startPgBouncer, type PgBouncer } from '../support/pgbouncer.js';

const SERVERS = 2;
const CLIENTS = 8;
/** What docs/guides/pgbouncer.md tells to set. */
const DOCUMENTED: ConnectOptions = { prepareThreshold: null };

let bouncer: PgBouncer;

function conninfo(params: ConninfoParams = {}): ConninfoParams {
  const { user, dbname } = conninfoToDict(inject('dsn'));
  // The server connections outlive the clients, so they need a name other than the one by which the tests find their own
  // connections.
  const application_name = 'usingpg test behind a pooler';
  return { host: '127.0.0.1', port: bouncer.port, user, dbname, application_name, ...params };
}

async function connect(options: ConnectOptions = DOCUMENTED): Promise<AsyncConnection> {
  const connection = await AsyncConnection.connect(conninfo(), options);
  onTestFinished(() => connection.close());
  return connection;
}

function makePool(size: number, connectOptions: ConnectOptions = DOCUMENTED): AsyncConnectionPool {
  const pool = new AsyncConnectionPool(conninfo(), { minSize: size, connectOptions });
  onTestFinished(() => pool.close());
  return pool;
}

async function serverPid(connection: AsyncConnection): Promise<unknown> {
  const cursor = connection.cursor();
  await cursor.execute('SELECT pg_backend_pid()', null, { prepare: false });
  return (await cursor.fetchone())![0];
}

describe.skipIf(mayLackPgBouncer())('behind a PgBouncer in transaction mode', () => {
  beforeAll(async () => {
    const program = pgBouncerProgram();
    if (program === null) throw new Error('PgBouncer is not installed: apt-get install pgbouncer');
    bouncer = await startPgBouncer(program, inject('dsn'), { default_pool_size: SERVERS });
    await admin(
      'CREATE TABLE bounced (client int, n int, text text, at timestamptz, PRIMARY KEY (client, n))',
    );
    return async () => {
      await bouncer[Symbol.asyncDispose]();
      await admin('DROP TABLE bounced');
    };
  });

  it.each([
    ['of one pool', (): AsyncConnectionPool[] => Array<AsyncConnectionPool>(CLIENTS).fill(makePool(CLIENTS))],
    ['of a pool each', (): AsyncConnectionPool[] => Array.from({ length: CLIENTS }, () => makePool(1))],
  ])('2,000 transactions from 8 clients over 2 servers have no error, %s', async (_, makePools) => {
    await admin('TRUNCATE bounced');
    const pids = new Set<unknown>();
    await Promise.all(
      makePools().map(async (pool, client) => {
        for (let n = 0; n < 2000 / CLIENTS; n++) {
          await pool.withTransaction(
            async (conn) => {
              const text = `${String(client)}'${String(n)}`;
              await conn.execute('INSERT INTO bounced VALUES (%s, %s, %s, now())', [client, n, text]);
              const cursor = await conn.execute(
                'SELECT text, pg_backend_pid() FROM bounced WHERE client = %s AND n = %s',
                [client, n],
              );
              const [found, pid] = (await cursor.fetchone())!;
              expect(found).toBe(text);
              pids.add(pid);
            },
            { retries: 0 },
          );
        }
      }),
    );
    const [row] = await admin<{ count: string }>('SELECT count(*) FROM bounced');
    expect(row!.count).toBe('2000');
    expect(pids.size).toBe(SERVERS);
  });

  it('statements are prepared again in autocommit with the default prepareThreshold', async () => {
    const pool = makePool(CLIENTS, { autocommit: true });
    await pool.map(
      Array.from({ length: 400 }, (_, i) => i),
      async (conn, i) => {
        for (const text of ['SELECT %s::int, 1', 'SELECT 1, %s::int']) {
          const row = await (await conn.execute(text, [i])).fetchone();
          expect(row).toEqual(text.endsWith('1') ? [i, 1] : [1, i]);
        }
      },
    );
  });

  it('a prepared statement fails in a transaction on another server, and is never taken for another client’s', async () => {
    const clients = [await connect({}), await connect({})];
    const failures: unknown[] = [];
    let executed = 0;
    // Whatever server PgBouncer assigns to a client, the clients exchange servers in some of the rounds.
    for (let round = 0; round < 8; round++) {
      const inOrder = round % 4 < 2 ? clients : clients.toReversed();
      for (const client of inOrder) await serverPid(client);
      for (const client of inOrder) {
        const own = `client ${String(clients.indexOf(client))}`;
        try {
          const cursor = client.cursor();
          await cursor.execute(`SELECT '${own}', %s::int`, [round], { prepare: true });
          expect(await cursor.fetchone()).toEqual([own, round]);
          executed++;
        } catch (error) {
          if (!(error instanceof errors.InvalidSqlStatementName)) throw error;
          failures.push(error);
        }
      }
      for (const client of inOrder) await client.rollback();
    }
    expect(executed).toBeGreaterThanOrEqual(2);
    expect(failures.length).toBeGreaterThan(0);
    expect(failures[0]).toMatchObject({
      sqlstate: '26000',
      message: expect.stringContaining('set `prepareThreshold: null`') as unknown,
    });
  });

  it('a transaction keeps its server through savepoints, rolled back and released', async () => {
    const conn = await connect();
    await conn.withTransaction(async () => {
      const pid = await serverPid(conn);
      await conn.execute('INSERT INTO bounced (client, n) VALUES (%s, %s)', [100, 1]);
      await expect(
        conn.withTransaction(() => conn.execute('INSERT INTO bounced (client, n) VALUES (%s, %s)', [100, 1])),
      ).rejects.toBeInstanceOf(errors.UniqueViolation);
      await conn.withTransaction(() =>
        conn.execute('INSERT INTO bounced (client, n) VALUES (%s, %s)', [100, 2]),
      );
      expect(await serverPid(conn)).toBe(pid);
    });
    expect(await admin('SELECT n FROM bounced WHERE client = 100 ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('an abort cancels the statement, on whichever server it runs, and the connection goes on', async () => {
    const conn = await connect();
    const began = performance.now();
    await expect(
      conn.execute('SELECT pg_sleep(%s)', [20], { signal: AbortSignal.timeout(200) }),
    ).rejects.toHaveProperty('name', 'TimeoutError');
    expect(performance.now() - began).toBeLessThan(19_000);
    expect(conn.closed).toBe(false);
    await conn.rollback();
    expect(await (await conn.execute('SELECT %s::int', [1])).fetchone()).toEqual([1]);
    await conn.rollback();
    await expect
      .poll(() => admin("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep($1)%'"))
      .toEqual([]);
  });

  it('streams, left early or not, COPY, pipelines and cursors on the server work', async () => {
    const conn = await connect();
    let rows = 0;
    for await (const [n] of conn.cursor().stream('SELECT generate_series(1, %s)', [10_000]))
      expect(n).toBe(++rows);
    expect(rows).toBe(10_000);
    for await (const [n] of conn.cursor().stream('SELECT generate_series(1, %s)', [1_000_000]))
      if (n === 100) break;
    await conn.commit();

    await conn.cursor().withCopy('COPY bounced (client, n) FROM STDIN', async (copy) => {
      for (let n = 0; n < 5000; n++) await copy.writeRow([200, n]);
    });
    const out: unknown[] = [];
    await conn
      .cursor()
      .withCopy('COPY (SELECT n FROM bounced WHERE client = 200 ORDER BY n) TO STDOUT', async (copy) => {
        copy.setTypes(['int4']);
        for await (const [n] of copy.rows()) out.push(n);
      });
    expect(out).toEqual(Array.from({ length: 5000 }, (_, n) => n));
    await conn.rollback();

    const pipelined = await conn.withPipeline(async () => {
      const cursors = [];
      for (let n = 0; n < 50; n++) cursors.push(await conn.execute('SELECT %s::int', [n]));
      return await Promise.all(cursors.map((cursor) => cursor.fetchone()));
    });
    expect(pipelined).toEqual(Array.from({ length: 50 }, (_, n) => [n]));

    const cursor = conn.cursor({ name: 'numbers' });
    await cursor.execute('SELECT generate_series(1, %s)', [250]);
    expect(await cursor.fetchall()).toHaveLength(250);
    await cursor.close();
    await conn.commit();
  });

  it('`options` is refused by name when connecting, unless PgBouncer is told to ignore it', async () => {
    const options = '-c statement_timeout=5000';
    await expect(AsyncConnection.connect(conninfo({ options }))).rejects.toMatchObject({
      sqlstate: '08P01',
      message: expect.stringContaining('unsupported startup parameter: options') as unknown,
    });
    const ignoring = await startPgBouncer(pgBouncerProgram()!, inject('dsn'), {
      default_pool_size: SERVERS,
      ignore_startup_parameters: 'options',
    });
    try {
      await using conn = await AsyncConnection.connect(conninfo({ options, port: ignoring.port }));
      // It is ignored: the setting is not applied.
      expect(await (await conn.execute('SHOW statement_timeout')).fetchone()).toEqual(['0']);
    } finally {
      await ignoring[Symbol.asyncDispose]();
    }
  });

  it('target_session_attrs is determined from the server behind it', async () => {
    await using conn = await AsyncConnection.connect(conninfo({ target_session_attrs: 'read-write' }));
    expect(conn.closed).toBe(false);
    await expect(AsyncConnection.connect(conninfo({ target_session_attrs: 'standby' }))).rejects.toThrow(
      'it is not a standby',
    );
  });

  it('target_session_attrs is right after the promotion of the server behind it', async () => {
    const server = await startOwnServer({ standby: true });
    onTestFinished(() => server.stop());
    await using pooler = await startPgBouncer(pgBouncerProgram()!, server.dsn);
    const params = { host: '127.0.0.1', port: pooler.port, user: 'postgres', dbname: 'postgres' };
    const connectTo = (target: string): Promise<AsyncConnection> =>
      AsyncConnection.connect({ ...params, target_session_attrs: target }, DOCUMENTED);
    // From here on, PgBouncer repeats to its clients that its server is in recovery.
    await (await connectTo('standby')).close();
    await using direct = await AsyncConnection.connect(server.dsn, { autocommit: true });
    await direct.execute('SELECT pg_promote()');
    for (const target of ['read-write', 'primary']) await (await connectTo(target)).close();
    for (const target of ['read-only', 'standby']) await expect(connectTo(target)).rejects.toThrow(target);
  });

  it('connects at once while all of its servers are busy, and the first statement waits for one', async () => {
    const busy = await Promise.all(Array.from({ length: SERVERS }, () => connect()));
    try {
      for (const conn of busy) await conn.execute('SELECT 1');
      await using late = await AsyncConnection.connect(conninfo({ connect_timeout: 60 }), DOCUMENTED);
      const waiting = late.execute('SELECT 2');
      await expect
        .poll(() => bouncer.admin('SHOW POOLS'))
        .toContainEqual(expect.objectContaining({ cl_waiting: 1 }));
      await busy[0]!.rollback();
      expect(await (await waiting).fetchone()).toEqual([2]);
      await late.rollback();
    } finally {
      for (const conn of busy) await conn.rollback();
    }
  });

  describe('its admin console', () => {
    const console = { dbname: 'pgbouncer', user: 'bouncer' };

    it('answers SHOW with rows like any statement, also through a pool', async () => {
      await using conn = await AsyncConnection.connect(conninfo(console), {
        autocommit: true,
        rowFactory: dictRow,
      });
      await using cursor = conn.cursor();
      for (let i = 0; i < 8; i++) {
        await cursor.execute('SHOW POOLS');
        expect(await cursor.fetchall()).toContainEqual(expect.objectContaining({ database: 'pgbouncer' }));
      }
      expect(await (await conn.execute('SHOW VERSION;')).fetchone()).toMatchObject({
        version: expect.stringContaining('PgBouncer') as unknown,
      });
      const pool = new AsyncConnectionPool(conninfo(console), {
        minSize: 1,
        connectOptions: { autocommit: true },
      });
      try {
        const { rows } = await pool.execute('SHOW CLIENTS');
        expect(rows.length).toBeGreaterThan(0);
      } finally {
        await pool.close();
      }
    });

    it('pauses and resumes', async () => {
      await using conn = await AsyncConnection.connect(conninfo(console), { autocommit: true });
      const client = await connect();
      await conn.execute('PAUSE');
      const waiting = client.execute('SELECT 3');
      await expect
        .poll(() => bouncer.admin('SHOW POOLS'))
        .toContainEqual(expect.objectContaining({ cl_waiting: 1 }));
      await conn.execute('RESUME');
      expect(await (await waiting).fetchone()).toEqual([3]);
    });

    it('refuses an unknown command like a server, and goes on', async () => {
      await using conn = await AsyncConnection.connect(conninfo(console), { autocommit: true });
      await expect(conn.execute('SELECT 1')).rejects.toBeInstanceOf(errors.DatabaseError);
      await expect(conn.execute('BEGIN')).rejects.toBeInstanceOf(errors.DatabaseError);
      expect((await (await conn.execute('SHOW LISTS')).fetchall()).length).toBeGreaterThan(0);
    });
  });
});
