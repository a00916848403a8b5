import { describe, expect, it } from 'vitest';
import { AsyncClientCursor, AsyncCursor, AsyncRawCursor, scalarRow, sql } from '../../src/index.js';
import { connect } from '../support/database.js';
import { expectLinear } from '../support/growth.js';

const fragments = (count: number): sql.Template[] => Array.from({ length: count }, (_, i) => sql`(${i})`);

/** Ways to compose a query of many parts, each of which makes the text `x, 0, 1, 2 …`. */
const WAYS: Readonly<Record<string, (count: number) => sql.Composable>> = {
  'join()': (count) => sql`x, ${sql.SQL(', ').join(Array.from({ length: count }, (_, i) => sql`${i}`))}`,
  'concat() in a loop': (count) => {
    let query: sql.Composable = sql.SQL('x');
    for (let i = 0; i < count; i++) query = query.concat(sql`, ${i}`);
    return query;
  },
  'concat() before what there is': (count) => {
    let query: sql.Composable = sql.SQL('');
    for (let i = count - 1; i >= 0; i--) query = sql`, ${i}`.concat(query);
    return sql.SQL('x').concat(query);
  },
  'templates in a loop': (count) => {
    let query: sql.Composable = sql`x`;
    for (let i = 0; i < count; i++) query = sql`${query}, ${i}`;
    return query;
  },
  'templates around what there is': (count) => {
    let query: sql.Composable = sql``;
    for (let i = count - 1; i >= 0; i--) query = sql`, ${i}${query}`;
    return sql`x${query}`;
  },
  'format() in a loop': (count) => {
    let query: sql.Composable = sql.SQL('x');
    for (let i = 0; i < count; i++) query = sql.SQL('{}, {}').format(query, i);
    return query;
  },
  'join() in a loop': (count) => {
    let query: sql.Composable = sql.SQL('x');
    for (let i = 0; i < count; i++) query = sql.SQL(', ').join([query, i]);
    return query;
  },
  'sql.Composed() in a loop': (count) => {
    let query: sql.Composable = sql.SQL('x');
    for (let i = 0; i < count; i++) query = sql.Composed([query, sql.SQL(', '), i]);
    return query;
  },
};

describe.each(Object.entries(WAYS))('a query of 100,000 parts composed by %s', (_, make) => {
  it('is the text of them all', () => {
    const expected = `x, ${Array.from({ length: 100_000 }, (_, i) => String(i)).join(', ')}`;
    expect(make(100_000).asString() === expected).toBe(true);
  });

  it('takes linear work', { timeout: 60_000 }, () => {
    expectLinear((count) => make(count).asString(), 12_500);
  });

  it('is executed, its values as parameters and by a client cursor', async () => {
    const conn = await connect();
    const query = sql`WITH c AS (SELECT 7 AS x) SELECT cardinality(ARRAY[${make(50_000)}]) FROM c`;
    for (const cursorFactory of [AsyncCursor, AsyncClientCursor]) {
      const cur = new cursorFactory(conn, { rowFactory: scalarRow<number> });
      await cur.execute(query);
      expect(await cur.fetchone()).toBe(50_001);
    }
  });
});

describe('a query of very many parts', () => {
  it('takes linear work with every kind of cursor', { timeout: 60_000 }, async () => {
    const conn = await connect();
    const cursor = new AsyncClientCursor(conn);
    const placeholders = (count: number): string =>
      `VALUES ${Array.from({ length: count }, () => '(%s)').join(', ')}`;
    const values = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
    expectLinear((count) => cursor.mogrify(sql`VALUES ${sql.SQL(', ').join(fragments(count))}`), 12_500);
    expectLinear((count) => cursor.mogrify(placeholders(count), values(count)), 12_500);
    const composed = (count: number): sql.Composable =>
      sql`VALUES ${sql.SQL(', ').join(values(count).map(() => sql`(${sql.Placeholder()})`))}`;
    expectLinear((count) => cursor.mogrify(composed(count), values(count)), 12_500);
  });

  it('is refused with more values than the protocol can count', async () => {
    const conn = await connect();
    await expect(conn.execute(sql`VALUES ${sql.SQL(', ').join(fragments(100_000))}`)).rejects.toThrow(
      /has 100000 parameters; PostgreSQL accepts at most 65535/,
    );
  });

  it('is iterated over, however it was composed', async () => {
    const conn = await connect();
    const query = Array.from({ length: 20_000 }).reduce<sql.Composed>(
      (composed, _, i) => composed.concat(sql`, ${i}`),
      sql.Composed([sql.SQL('x')]),
    );
    expect([...query]).toHaveLength(20_001);
    expect(query.join('').asString()).toBe(query.asString());
    await expect(new AsyncRawCursor(conn).execute(query, [])).rejects.toThrow(/carries its own values/);
  });
});
