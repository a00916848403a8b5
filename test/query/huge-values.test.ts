import { describe, expect, it } from 'vitest';
import { AsyncClientCursor, errors, sql, type AsyncConnection } from '../../src/index.js';
import { connect } from '../support/database.js';

/** Four of these are longer than the longest string of JavaScript, and eight are larger than the server's largest message. */
const large = 'x'.repeat(2 ** 27);
const tooLong = [large, large, large, large];
const tooMany = [...tooLong, ...tooLong];

const DOORS: Readonly<Record<string, (conn: AsyncConnection) => unknown>> = {
  'an array by execute()': (conn) => conn.execute('SELECT %s', [tooLong]),
  'an array by executemany()': (conn) => conn.cursor().executemany('SELECT %s', [[1], [tooLong]]),
  'an array by a client cursor': (conn) => new AsyncClientCursor(conn).execute('SELECT %s', [tooLong]),
  'many values by a client cursor': (conn) =>
    new AsyncClientCursor(conn).execute('SELECT %s, %s, %s, %s', tooLong),
  'an array by a literal': (conn) => sql.Literal(tooLong).asString(conn),
  'many literals': (conn) => sql.SQL(', ').join(tooLong).asString(conn),
  'an array by COPY': async (conn) => {
    await conn.execute('CREATE TEMP TABLE huge (a text[])');
    await conn.cursor().withCopy('COPY huge FROM STDIN', (copy) => copy.writeRow([tooLong]));
  },
  'many values by execute()': (conn) => conn.execute(`SELECT ${Array(8).fill('length(%s)').join()}`, tooMany),
  'many values in a pipeline': (conn) =>
    conn.withPipeline(() => conn.execute(`SELECT ${Array(8).fill('length(%s)').join()}`, tooMany)),
};

describe('what is too large to be sent is refused, and the connection stays usable', () => {
  it.each(Object.keys(DOORS))('%s', { timeout: 60_000 }, async (door) => {
    const conn = await connect({ autocommit: true });
    await expect((async () => DOORS[door]!(conn))()).rejects.toBeInstanceOf(errors.DataError);
    expect(await (await conn.execute('SELECT 1')).fetchone()).toEqual([1]);
  });

  it('but not large values that fit', { timeout: 60_000 }, async () => {
    const conn = await connect({ autocommit: true });
    const cur = await conn.execute('SELECT length(%s), length(%s)', [large, large]);
    expect(await cur.fetchone()).toEqual([large.length, large.length]);
  });
});

describe('an error that is not about the size of a text is left as it is', () => {
  const DOORS: Readonly<Record<string, (conn: AsyncConnection, value: unknown) => unknown>> = {
    'execute()': (conn, value) => conn.execute('SELECT %s', [[value]]),
    'a client cursor': (conn, value) => new AsyncClientCursor(conn).execute('SELECT %s', [[value]]),
    'a literal': (conn, value) => sql.Literal([value]).asString(conn),
    COPY: async (conn, value) => {
      await conn.execute('CREATE TEMP TABLE IF NOT EXISTS any_size (a text[])');
      await conn.cursor().withCopy('COPY any_size FROM STDIN', (copy) => copy.writeRow([[value]]));
    },
  };

  it.each(Object.keys(DOORS))('a stack overflow, and the RangeError of a value, by %s', async (door) => {
    const conn = await connect({ autocommit: true });
    const overflow = (): string => overflow();
    for (const fail of [overflow, () => new Date(NaN).toISOString()]) {
      const value = {
        get [Symbol.toStringTag]() {
          return fail();
        },
      };
      const outcome = await (async () => DOORS[door]!(conn, value))().catch((error: unknown) => error);
      expect(outcome).toBeInstanceOf(RangeError);
    }
  });
});
