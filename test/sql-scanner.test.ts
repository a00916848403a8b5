import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AsyncClientCursor, errors, sql, type AsyncConnection } from '../src/index.js';
import { SqlScanner, type Enclosure } from '../src/sql-scanner.js';
import { connect } from './support/database.js';

/** What is open behind these pieces. */
function openAfter(pieces: Iterable<string>, backslashes = false): Enclosure | null {
  const state = new SqlScanner(backslashes);
  for (const piece of pieces) state.read(piece);
  return state.open;
}

/** What begins and ends things, or parts of it. */
const PIECES = [
  ..."'|\"|-|--|/|*|/*|*/|\n|\r|\t|$|$$|$a$|$1|$ab$|E'|e|E|b'|B'|x'|N'|U&'|U&\"|u|&|\\|\\\\|''|'\n'|'--|a|1|.|,|é".split(
    '|',
  ),
  ' ',
];

describe('what a piece of SQL leaves open', () => {
  it.each<[string, string | null]>([
    ['SELECT 1', null],
    ["SELECT 'a'", null],
    ["SELECT 'a''", 'string'],
    ["SELECT 'it''s'", null],
    [String.raw`SELECT '\'`, null],
    [String.raw`SELECT E'\'`, 'string'],
    [String.raw`SELECT e'\\'`, null],
    ["SELECT E'''", 'string'],
    ["SELECT E'''a'", null],
    [String.raw`SELECT nameE'\'`, null],
    ['SELECT "a', 'quoted identifier'],
    ['SELECT "a""b"', null],
    [`SELECT "'"`, null],
    ["SELECT '\"'", null],
    ['SELECT 1 -- it', 'line comment'],
    ["SELECT 1 -- it's\n", null],
    ['SELECT 1 --\r', null],
    ['/* a /* b */', 'comment'],
    ["/* a /* b */ it's */", null],
    ['SELECT $$ it', 'dollar-quoted string'],
    ["SELECT $$ it's $$", null],
    ['SELECT $a$ $$ $b$', 'dollar-quoted string'],
    ['SELECT $a$ $$ $a$', null],
    ['SELECT a$b$', null],
    ['SELECT $1$2', null],
    ['SELECT é$a$', null],
    ["SELECT U&'a", 'string'],
    ['SELECT a - -1 / *', null],
    // A number, and a parameter, end where a name or a dollar sign begins.
    ['SELECT 1$a$ it', 'dollar-quoted string'],
    ['SELECT $1$a$ it', 'dollar-quoted string'],
    [String.raw`SELECT 1E'\'`, 'string'],
    [String.raw`SELECT 1e5'\'`, null],
    // Bit strings have neither escapes nor doubled quotes.
    [String.raw`SELECT B'\'`, null],
    [String.raw`SELECT N'\'`, null],
    // A string goes on behind a line break, and nothing but white space and line comments.
    ["SELECT E'a'\n'b\\'", 'string'],
    ["SELECT E'a' -- it's\n 'b\\'", 'string'],
    ["SELECT E'a'\n-- it's\n\t\f\r'b\\'", 'string'],
    ["SELECT E'a' --\n--\n'b'\n'c\\'", 'string'],
    ["SELECT E'a' 'b\\'", null],
    ["SELECT E'a'\n/* */'b\\'", null],
    ["SELECT E'a'\n- 'b\\'", null],
    ["SELECT 'a'\n'b\\'", null],
    ["SELECT B'1'\n'b\\'", null],
    ["SELECT U&'a'\n'b\\'", null],
    ["SELECT E'a'\nE'b\\'", 'string'],
    ["SELECT E'a', 'b\\'", null],
    ['SELECT U&"a""b', 'quoted identifier'],
    ['/*/ */', null],
    ['/*/* */', 'comment'],
    ['/**/', null],
    ['/* **/', null],
    ['SELECT 1 */* a', 'comment'],
    ['SELECT $a$ $a$a$', null],
    ['SELECT $a$ $a', 'dollar-quoted string'],
  ])('%s leaves open %s', (text, kind) => {
    expect(openAfter([text])).toBe(kind);
    expect(openAfter(text)).toBe(kind);
  });

  it('is the same wherever the text is cut', () => {
    const pieces = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(40)), fc.boolean(), (texts, cuts, backslashes) => {
        const text = texts.join('');
        const at = [...new Set(cuts), text.length].filter((cut) => cut <= text.length).sort((a, b) => a - b);
        const cut = at.map((end, i) => text.slice(at[i - 1] ?? 0, end));
        const open = openAfter([text], backslashes);
        expect(openAfter(cut, backslashes)).toBe(open);
        expect(openAfter(text, backslashes)).toBe(open);
      }),
      { numRuns: 2000 },
    );
  });

  it('depends on standard_conforming_strings', () => {
    expect(openAfter([String.raw`'\'`], true)).toBe('string');
    expect(openAfter([String.raw`N'\'`], true)).toBe('string');
    expect(openAfter([String.raw`'\''`], true)).toBeNull();
    expect(openAfter([String.raw`B'\'`], true)).toBeNull();
    expect(openAfter(["'a'\n'b\\'"], true)).toBe('string');
  });
});

describe('a value that would end the quotes or the comment it stands in', () => {
  it.each<[string, unknown, RegExp]>([
    ["SELECT '%s'", 'a', /^\$1: the value stands within a string of the query.*\|\|/],
    ['SELECT 1 -- %s', "'\n; DROP TABLE x", /within a line comment/],
    ['SELECT 1 /* %s */', '*/ ; DROP TABLE x', /within a comment/],
    ['DO $$ BEGIN PERFORM %s; END $$', '$$; DROP TABLE x; --', /within a dollar-quoted string/],
    ["SELECT E'%s'", 'a', /within a string/],
  ])('is refused by a client cursor: %s with %j', async (query, value, message) => {
    const cur = new AsyncClientCursor(await connect());
    expect(() => cur.mogrify(query, [value])).toThrow(message);
    expect(() => cur.mogrify(query, [value])).toThrow(errors.ProgrammingError);
  });

  it.each<[string, unknown, string]>([
    ["SELECT interval '%s days'", 5, "SELECT interval '5 days'"],
    ['SELECT 1 -- %s', 'a', "SELECT 1 -- 'a'"],
    ['DO $$ BEGIN PERFORM %s; END $$', "it's", "DO $$ BEGIN PERFORM 'it''s'; END $$"],
    ['SELECT 1 AS "%s"', 5, 'SELECT 1 AS "5"'],
    ["SELECT '%%', %s", 'a', "SELECT '%', 'a'"],
  ])('is any other let through: %s with %j', async (query, value, expected) => {
    expect(new AsyncClientCursor(await connect()).mogrify(query, [value])).toBe(expected);
  });

  it('is refused in composed queries: literals, names, and parameters, which would be no parameters there', async () => {
    const conn = await connect();
    const refused: [sql.Composable, RegExp][] = [
      [sql`SELECT '${sql.Literal('a')}'`, /^sql\.Literal: the value stands within a string/],
      [sql.SQL("SELECT '{}'").format('a'), /^sql\.Literal: the value stands within a string/],
      [sql`SELECT '${sql.identifier("a'b")}'::regclass`, /^the identifier "a'b" stands within a string/],
      [sql`SELECT "${sql.identifier('a')}"`, /^the identifier "a" stands within a quoted identifier/],
      [sql`SELECT '${5}'`, /^\$1: the value stands within a string.*would not be read as a value/],
      [sql`SELECT 1 -- ${5}`, /^\$1: the value stands within a line comment/],
      [sql`DO $$ BEGIN PERFORM ${5}; END $$`, /^\$1: the value stands within a dollar-quoted string/],
    ];
    for (const [query, message] of refused) await expect(conn.execute(query)).rejects.toThrow(message);
    const cur = await conn.execute(
      sql`SELECT '${sql.identifier('pg_class')}'::regclass::text, 'it''s', ${'a'} /* ${sql.Literal(5)} */`,
    );
    expect(await cur.fetchone()).toEqual(['pg_class', "it's", 'a']);
  });
});

describe('whatever the query looks like,', () => {
  const BETWEEN = [
    " '",
    '" ',
    '-- ',
    '/* ',
    '*/ ',
    '\n',
    '$$',
    '$a$ ',
    " E'",
    "e'",
    '\\',
    '\\ ',
    ' ',
    ', ',
    'a',
    "''",
    ' SELECT 1',
  ];
  const HOSTILE = ["'", "\\'", '"', '\n', '*/', '$$', '$a$', '\\'].map(
    (end) => `${end}; SELECT 2 UNION SELECT 3; --`,
  );

  it.each(['on', 'off'])(
    'a value can not change what it means (standard_conforming_strings %s)',
    async (setting) => {
      const conn = await connect({ autocommit: true });
      await conn.execute(`SET standard_conforming_strings = ${setting}`);
      const cur = new AsyncClientCursor(conn);
      const texts = fc.sample(fc.array(fc.constantFrom(...BETWEEN), { maxLength: 5 }), {
        numRuns: 2400,
        seed: 7,
      });
      let judged = 0;
      for (let i = 0; i + 1 < texts.length; i += 2) {
        const query = `SELECT ${texts[i]!.join('')}%s${texts[i + 1]!.join('')}`;
        for (const value of [HOSTILE[i % HOSTILE.length]!, HOSTILE[(i + 3) % HOSTILE.length]!]) {
          let hostile: string;
          try {
            hostile = cur.mogrify(query, [value]);
          } catch (error) {
            expect(error).toBeInstanceOf(errors.ProgrammingError);
            continue;
          }
          judged++;
          expect(await outcome(conn, hostile), JSON.stringify(hostile)).toEqual(
            await outcome(
              conn,
              hostile.replace(sql.quote(value, conn), () =>
                sql.quote(value.includes('\\') ? '\\x' : 'x', conn),
              ),
            ),
          );
        }
      }
      expect(judged).toBeGreaterThan(500);
    },
  );
});

/** How the server reads a text: the SQLSTATE it refuses it with, or how many results it gives. */
async function outcome(conn: AsyncConnection, text: string): Promise<string | number> {
  try {
    const cur = await conn.execute(text, null, { prepare: false });
    let results = 1;
    while ((await cur.nextset()) === true) results++;
    return results;
  } catch (error) {
    return (error as errors.Error).sqlstate ?? String(error);
  }
}
