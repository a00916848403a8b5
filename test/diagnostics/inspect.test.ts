import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { AsyncConnection, AsyncConnectionPool } from '../../src/index.js';
import { connect, dsn } from '../support/database.js';

const PASSWORD = 'not-to-be-shown';

describe('util.inspect()', () => {
  it('prints a connection with its state and server, and no password', async () => {
    await using connection = await AsyncConnection.connect(dsn({ password: PASSWORD }));
    const { host, port, dbname, user, backendPid } = connection.info;
    const place = `host=${host} port=${String(port)} dbname=${dbname} user=${user} pid=${String(backendPid)}`;
    expect(inspect(connection)).toBe(`<AsyncConnection [IDLE] ${place}>`);
    await connection.execute('select 1');
    expect(inspect({ connection }, { depth: Infinity, showHidden: true })).toBe(
      `{\n  connection: <AsyncConnection [INTRANS] ${place}>\n}`,
    );
    await connection.close();
    expect(inspect(connection)).toBe(`<AsyncConnection [closed] ${place}>`);
  });

  it('prints a pool with its state and its counts, and its connections with its name', async () => {
    await using pool = new AsyncConnectionPool(dsn({ password: PASSWORD }), { minSize: 1, name: 'printed' });
    await pool.wait();
    const connection = await pool.connection();
    expect(inspect(pool, { breakLength: Infinity })).toBe(
      "AsyncConnectionPool 'printed' { state: 'open', size: 1, minSize: 1, maxSize: 1, idle: 0, waiting: 0 }",
    );
    expect(inspect(pool, { showHidden: true, depth: Infinity })).not.toContain(PASSWORD);
    expect(inspect(connection)).toMatch(/^<AsyncConnection \[IDLE\] .* pool='printed'>$/);
    await connection[Symbol.asyncDispose]();
    expect(inspect(connection)).toContain('[returned to its pool]');
    await pool.close();
    expect(inspect(pool)).toContain("state: 'closed'");
  });

  it('prints a cursor with the state of its result, and without the query', async () => {
    const connection = await connect();
    const cursor = connection.cursor();
    const state = (): string =>
      /^<AsyncCursor \[(.*)\] on <AsyncConnection \[.*\] .*>>$/.exec(inspect(cursor))![1]!;
    expect(state()).toBe('no result');
    const running = cursor.execute("values ('a secret'), ('b')");
    expect(state()).toBe('busy');
    await running;
    await cursor.fetchone();
    expect(state()).toBe('SELECT 2, row 1 of 2');
    expect(inspect(cursor, { showHidden: true, depth: Infinity })).not.toContain('secret');
    await cursor.execute("set application_name = 'x'");
    expect(state()).toBe('SET');
    await connection.execute('create temp table printed (n int)');
    await cursor.withCopy('copy printed from stdin', () => {
      expect(state()).toBe('COPY');
    });
    expect(state()).toBe('COPY 0');
    await cursor.close();
    expect(state()).toBe('closed');
    await connection.rollback();
  });

  it('prints a server-side cursor with its name and position', async () => {
    const connection = await connect();
    const cursor = connection.cursor({ name: 'far' });
    expect(inspect(cursor)).toContain("<AsyncServerCursor ['far': no result] on <AsyncConnection");
    await cursor.execute('select generate_series(1, 9)');
    await cursor.fetchmany(4);
    expect(inspect(cursor)).toContain("['far': row 4]");
    await cursor.close();
    expect(inspect(cursor)).toContain("['far': closed]");
  });

  it('prints a transaction with its state and its savepoint', async () => {
    const connection = await connect();
    await connection.withTransaction(async (outer) => {
      expect(inspect(outer)).toMatch(/^<AsyncTransaction \[active\] on <AsyncConnection \[INTRANS\] /);
      const inner = await connection.transaction({ savepointName: 'inner' });
      expect(inspect(inner)).toMatch(/^<AsyncTransaction \[active\] savepoint=inner on </);
      await inner.rollback();
      expect(inspect(inner)).toContain('[rolled back]');
    });
  });
});
