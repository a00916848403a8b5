import { describe, expect, it } from 'vitest';
import { AsyncRawCursor, errors, sql } from '../../src/index.js';
import { connect } from '../support/database.js';

describe('a raw cursor', () => {
  it('sends the query unchanged, with $1 … for the values of an array', async () => {
    const conn = await connect({ cursorFactory: AsyncRawCursor });
    const cur = await conn.execute("SELECT $2::int % $1, '%s %(a)s %%', $1", [3, 10]);
    expect(cur).toBeInstanceOf(AsyncRawCursor);
    expect(cur.query).toBe("SELECT $2::int % $1, '%s %(a)s %%', $1");
    expect(await cur.fetchall()).toEqual([[1, '%s %(a)s %%', 3]]);
  });

  it('without parameters takes several statements', async () => {
    const cur = new AsyncRawCursor(await connect());
    await cur.execute('SELECT 10 % 4; SELECT 2');
    await cur.nextset();
    expect(await cur.fetchall()).toEqual([[2]]);
    await cur.execute('SELECT 1', []);
    expect(await cur.fetchall()).toEqual([[1]]);
  });

  it('prepares as other cursors do', async () => {
    const conn = await connect({ cursorFactory: AsyncRawCursor });
    await conn.execute('SELECT $1', ['a'], { prepare: true });
    const cur = await conn.execute('SELECT statement FROM pg_prepared_statements');
    expect(await cur.fetchall()).toEqual([['SELECT $1']]);
  });

  it('runs executemany()', async () => {
    const conn = await connect({ cursorFactory: AsyncRawCursor });
    await conn.execute('CREATE TEMP TABLE raw (id int, name text)');
    const cur = conn.cursor();
    await cur.executemany('INSERT INTO raw VALUES ($1, $2)', [
      [1, '100%'],
      [2, null],
    ]);
    expect(cur.rowcount).toBe(2);
    await cur.execute('SELECT * FROM raw ORDER BY id');
    expect(await cur.fetchall()).toEqual([
      [1, '100%'],
      [2, null],
    ]);
  });

  it('takes composed queries', async () => {
    const conn = await connect({ cursorFactory: AsyncRawCursor });
    const own = await conn.execute(sql`SELECT ${1}::int, ${sql.Literal('a%')} AS ${sql.identifier('b%')}`);
    expect(await own.fetchall()).toEqual([[1, 'a%']]);
    const given = await conn.execute(sql`SELECT $1::int % 3, ${sql.Literal('a%')}`, [5]);
    expect(await given.fetchall()).toEqual([[2, 'a%']]);
  });

  it('refuses named parameters, and values that can not be sent', async () => {
    const conn = await connect({ cursorFactory: AsyncRawCursor });
    await expect(conn.execute('SELECT $1', { a: 1 })).rejects.toThrow(/as an array/);
    await expect(conn.cursor().executemany('SELECT $1', [{ a: 1 }])).rejects.toThrow(/as an array/);
    await expect(conn.execute('SELECT $1', new Set([1]) as never)).rejects.toBeInstanceOf(
      errors.ProgrammingError,
    );
    await expect(conn.execute('SELECT $1', [{ a: 1 }])).rejects.toThrow(/^\$1: .*Jsonb/);
    await expect(conn.execute('SELECT $70000', new Array(70_000).fill(1))).rejects.toThrow(
      /70000 parameters.*65535/,
    );
  });

  it('refuses too many parameters; the server refuses too few', async () => {
    const conn = await connect({ cursorFactory: AsyncRawCursor, autocommit: true });
    await expect(conn.execute('SELECT $1::int, $2::int', [1])).rejects.toBeInstanceOf(errors.DatabaseError);
    await expect(conn.execute('SELECT $1::int', [1, 2])).rejects.toThrow(
      /the query has no \$2, but 2 parameters/,
    );
    await expect(conn.execute('SELECT 1', [1])).rejects.toBeInstanceOf(errors.ProgrammingError);
    await expect(conn.execute('SELECT $1; SELECT $2', [1, 2])).rejects.toBeInstanceOf(errors.SyntaxError);
    expect(await (await conn.execute('SELECT $1::int', [1])).fetchone()).toEqual([1]);
  });
});
