import { describe, expect, it } from 'vitest';
import { summarize } from '../../../src/integrations/opentelemetry/query-summary.js';
import { expectLinear } from '../../support/growth.js';

describe('the summary of a query', () => {
  it.each([
    // The examples of the semantic conventions.
    ["SELECT * FROM wuser_table WHERE username = 'x'", 'SELECT wuser_table'],
    [
      'INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = $1',
      'INSERT shipping_details SELECT orders',
    ],
    ['SELECT * FROM songs, artists WHERE songs.artist_id = artists.id', 'SELECT songs artists'],
    [
      'SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id) x',
      'SELECT SELECT orders customers',
    ],
    ['SELECT * FROM "song list", "artists"', 'SELECT "song list" "artists"'],
    // What PostgreSQL has besides.
    ['select * from public."City" c, only a.b left join lateral d on true', 'select public."City" a.b d'],
    [
      'with a as (select * from t), b(n) as materialized (insert into u values (2) returning n) select * from a join b using (n), c',
      'select t insert u select c',
    ],
    [
      'WITH RECURSIVE a(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM a) DELETE FROM q USING a, r WHERE q.id = a.n',
      'SELECT DELETE q r',
    ],
    ['INSERT INTO t WITH a AS (SELECT 1) SELECT * FROM a, b', 'INSERT t SELECT SELECT b'],
    [
      "update only city c set name = 'a' from country, continent where c.id = $1",
      'update city country continent',
    ],
    ['insert into t values (1), (2) on conflict (id) do update set a = excluded.a', 'insert t'],
    ['select * from t for update of t skip locked', 'select t'],
    ['select * from a where b is distinct from c order by d, e', 'select a'],
    ['select extract(epoch from z), substring(a from 2), trim(both from x) from t', 'select t'],
    ['select * from generate_series(1, 10) n', 'select generate_series'],
    ['(select 1 from a) union (select 2 from b)', 'select a select b'],
    [
      'merge into t using s on t.id = s.id when matched then update set x = 1 when not matched then insert values (1)',
      'merge t s',
    ],
    [
      'create temp table if not exists public.city (id int references country (id))',
      'create table public.city',
    ],
    ['create table x as select * from y', 'create table x select y'],
    ['create unique index concurrently on city (name)', 'create index'],
    ['refresh materialized view concurrently mv', 'refresh materialized view mv'],
    ['drop table if exists a, b cascade', 'drop table a b'],
    ['truncate table only a, b', 'truncate a b'],
    ['alter table a add column b int default 5', 'alter table a'],
    ['copy city (a, b) from stdin', 'copy city'],
    ['copy (select * from city) to stdout', 'copy select city'],
    ["call p(1, 'x')", 'call p'],
    ['explain (analyze, buffers) select * from t', 'explain select t'],
    ['explain analyze delete from t', 'explain delete t'],
    ['DECLARE "c1" CURSOR FOR select * from t', 'DECLARE select t'],
    ['FETCH FORWARD 5 FROM "c1"', 'FETCH'],
    ['SAVEPOINT "s1"', 'SAVEPOINT'],
    ['grant select, insert on t to bob', 'grant'],
    ['create function f() returns int language sql as $$ select 1 from secret $$', 'create function f'],
    ["select 1; select 'a;' -- ;\n; update t set x = 1", 'select select update t'],
    ['/* a /* b */ select */ -- select\n ( values (1))', 'values'],
    ['table city', 'table city'],
    ['', ''],
    [') ; , . $ (', ''],
  ])('of %s', (sql, summary) => {
    expect(summarize(sql).summary).toBe(summary);
  });

  it('names the operation if it is one, and the collection if that has one table', () => {
    expect(summarize('SELECT * FROM city WHERE id = $1')).toMatchObject({
      operation: 'SELECT',
      collection: 'city',
    });
    expect(summarize('DROP TABLE a.city')).toMatchObject({ operation: 'DROP TABLE', collection: 'a.city' });
    for (const sql of ['SELECT * FROM a, b', 'SELECT * FROM f()', 'SELECT 1', 'CALL p()', 'DROP VIEW a, b']) {
      expect(summarize(sql), sql).toMatchObject({
        operation: sql.split(/ (?!VIEW)/)[0],
        collection: undefined,
      });
    }
    for (const sql of ['SELECT 1; SELECT 2', 'INSERT INTO a SELECT * FROM b', '']) {
      expect(summarize(sql), sql).toMatchObject({ operation: undefined, collection: undefined });
    }
  });

  it('has whole names in at most 255 characters', () => {
    const tables = Array.from({ length: 100 }, (_, i) => `table_${String(i)}`);
    const { summary } = summarize(`SELECT * FROM ${tables.join(', ')}`);
    expect(summary.length).toBeLessThanOrEqual(255);
    expect(summary.length).toBeGreaterThan(240);
    expect(tables).toContain(summary.split(' ').at(-1));
  });
});

describe('the text of a query', () => {
  it('has no literals if the query has no parameters', () => {
    const { text } = summarize(
      `SELECT 'it''s', E'\\'x', $a$ $b$ 'y' $a$, U&'z', x'ff', 1e5, -.5, true, "name", a1 -- secret
       FROM t /* secret */ WHERE b ? 'key' AND c = B'01'`,
    );
    expect(text.replaceAll(/\s+/g, ' ')).toBe(
      'SELECT ?, ?, ?, ?, ?, ?, -?, ?, "name", a1 FROM t WHERE b ? ? AND c = ?',
    );
  });

  it('has nothing of a literal that does not end', () => {
    for (const open of ["'", "E'\\'", '$$', '$a$', "'a''"]) {
      expect(summarize(`SELECT ${open}secret`).text, open).toBe('SELECT ?');
    }
    expect(summarize('SELECT /* /* */ secret').text).toBe('SELECT  ');
  });

  it('stays as it is if the query has parameters', () => {
    const sql = "SELECT * FROM t WHERE state = 'open' AND id = $1";
    expect(summarize(sql).text).toBe(sql);
    expect(summarize("SELECT '$1'").text).toBe('SELECT ?');
  });

  it('is cut, and then names no operation', () => {
    const { text, summary, operation } = summarize(`SELECT ${'1, '.repeat(10_000)}2 FROM t`);
    expect(text.length).toBeLessThanOrEqual(8193);
    expect(text).toMatch(/^SELECT \?, \?.*…$/);
    expect({ summary, operation }).toEqual({ summary: 'SELECT', operation: undefined });
  });
});

describe('hostile texts', () => {
  it.each<[string, (size: number) => string]>([
    ['quotes', (size) => "'".repeat(size)],
    ['open names', (size) => '"a'.repeat(size / 2)],
    ['open comments', (size) => '/*'.repeat(size / 2)],
    ['dollar signs', (size) => '$'.repeat(size)],
    ['open dollar quotes', (size) => '$a'.repeat(size / 2)],
    ['a long tag', (size) => `$${'a'.repeat(size)}`],
    ['different tags', (size) => Array.from({ length: size / 8 }, (_, i) => `$a${String(i)}$ `).join('')],
    ['parentheses', (size) => '('.repeat(size)],
    ['commas', (size) => `select * from a${','.repeat(size)}`],
    ['a name of many parts', (size) => `select * from a${'.a'.repeat(size / 2)}`],
    ['queries of WITH', (size) => `with a as (${'with a as ('.repeat(size / 11)}`],
    ['statements', (size) => 'select 1 from a;'.repeat(size / 16)],
    ['a long word', (size) => 'a'.repeat(size)],
    ['a list to drop', (size) => `drop table a${', a'.repeat(size / 3)}`],
  ])('%s: linear in their length', (_, text) => {
    // The length is bounded, so that many texts are needed to see any work.
    expectLinear((size) => {
      const sql = text(size);
      for (let i = 0; i < 200; i++) summarize(`${sql}${String(i)}`);
    }, 1000);
  });
});
