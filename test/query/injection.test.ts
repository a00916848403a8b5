import { describe, expect, it } from 'vitest';
import { AsyncClientCursor, errors, scalarRow, sql, type AsyncConnection } from '../../src/index.js';
import { connect } from '../support/database.js';

/** The number of random names and values that the server checks in each mode: 100,000 in total. */
const NAMES = 50_000;
const VALUES = 50_000;
/** The server allows 1,664 columns in one SELECT. */
const PER_STATEMENT = 1000;

/** Texts that could end a quote, begin a comment or a parameter, or have another meaning in another mode or encoding. */
const HOSTILE = [
  ...String.raw`' " \ '' "" \' \" \\ E' U&' U&" $$ $a$ $1 % %s %(a)s {} -- /* */ ; :: ? :a \x27 \047 \u0027`.split(
    ' ',
  ),
  ...'\n \r \t \b \x01 \x1a \x7f \u0085 \u00a0 \u00bf \u02bc \u2019 \uff07 \ufeff \ufffd \ufffe \uffff \u{10ffff} 😀 縗'.split(
    ' ',
  ),
  ...'a Z 0 NULL'.split(' '),
  ' ',
];

/** A generator of pseudo-random numbers in [0, 1), determined by its seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A text of hostile pieces and arbitrary Unicode characters. */
function hostileText(next: () => number): string {
  let text = '';
  for (let pieces = Math.floor(next() * 8); pieces >= 0; pieces--) {
    if (next() < 0.8) {
      text += HOSTILE[Math.floor(next() * HOSTILE.length)]!;
      continue;
    }
    const code = 1 + Math.floor(next() * (next() < 0.5 ? 0xff : 0x10ffff));
    if (code < 0xd800 || code > 0xdfff) text += String.fromCodePoint(Math.min(code, 0x10ffff));
  }
  return text;
}

function* batchesOf(count: number): Generator<number> {
  for (let left = count; left > 0; left -= PER_STATEMENT) yield Math.min(left, PER_STATEMENT);
}

describe.each(['on', 'off'])('with standard_conforming_strings %s', (setting) => {
  const connectWith = async (): Promise<AsyncConnection> => {
    const conn = await connect({ autocommit: true });
    await conn.execute(`SET standard_conforming_strings = ${setting}; SET backslash_quote = off`);
    return conn;
  };

  it(`${String(NAMES)} random identifiers are the names the server reads`, { timeout: 300_000 }, async () => {
    const conn = await connectWith();
    const next = random(setting === 'on' ? 1 : 2);
    let escapes = 0;
    for (const size of batchesOf(NAMES)) {
      const names = Array.from({ length: size }, () => {
        let name = hostileText(next) || 'x';
        // The server truncates names after 63 bytes.
        while (Buffer.byteLength(name) > 63) name = Array.from(name).slice(0, -1).join('');
        return name;
      });
      const columns = names.map((name) => sql`1 AS ${sql.Identifier(name)}`);
      const cur = await conn.execute(sql`SELECT ${sql.SQL(', ').join(columns)}`);
      const read = cur.description!.map(({ name }) => name);
      escapes += names.filter((name, i) => read[i] !== name).length;
      expect(read).toHaveLength(size);
    }
    expect(escapes).toBe(0);
  });

  it(`${String(VALUES)} random values are the values the server reads`, { timeout: 300_000 }, async () => {
    const conn = await connectWith();
    const notices: string[] = [];
    conn.addNoticeHandler(({ messagePrimary }) => notices.push(messagePrimary ?? ''));
    const next = random(setting === 'on' ? 3 : 4);
    const client = new AsyncClientCursor(conn);
    let escapes = 0;
    for (const size of batchesOf(VALUES)) {
      const values = Array.from({ length: size }, () => {
        const kind = next();
        const text = hostileText(next);
        if (kind < 0.7) return text;
        return kind < 0.85 ? Buffer.from(text) : [text, Array.from(text).reverse().join('')];
      });
      const items = values.map((value) => {
        const literal = next() < 0.5 ? sql.Literal(value) : sql.SQL(sql.quote(value, conn));
        return Array.isArray(value) ? sql`${literal}::text[]` : literal;
      });
      const composed = await conn.execute(sql`SELECT ${sql.SQL(', ').join(items)}`);
      const placeholders = values.map((value) => (Array.isArray(value) ? '%s::text[]' : '%s')).join(', ');
      await client.execute(`SELECT ${placeholders}`, values);
      for (const row of [await composed.fetchone(), await client.fetchone()]) {
        expect(row).toHaveLength(size);
        escapes += values.filter((value, i) => !isSame(value, row![i])).length;
      }
    }
    expect(escapes).toBe(0);
    expect(notices).toEqual([]);
  });
});

describe('text that the server could not store', () => {
  it('is refused: a NUL or half a character at any place of a name or a value', async () => {
    const conn = await connect({ autocommit: true });
    const next = random(5);
    const client = new AsyncClientCursor(conn);
    for (let i = 0; i < 1000; i++) {
      const bad = next() < 0.5 ? '\0' : String.fromCharCode(0xd800 + Math.floor(next() * 0x800));
      const [before, behind] = [hostileText(next), hostileText(next)];
      // Two matching surrogates form a valid character.
      const text = `${before} ${bad} ${behind}`;
      expect(() => sql.Identifier(text)).toThrow(errors.ProgrammingError);
      expect(() => sql.quote(text, conn)).toThrow(errors.DataError);
      expect(() => sql.Literal([text]).asString()).toThrow(errors.DataError);
      expect(() => client.mogrify('%s', [text])).toThrow(errors.DataError);
    }
    const cur = await conn.execute('SELECT 1', null, { rowFactory: scalarRow<number> });
    expect(await cur.fetchone()).toBe(1);
  });
});

function isSame(value: unknown, read: unknown): boolean {
  if (Buffer.isBuffer(value)) return Buffer.isBuffer(read) && value.equals(read);
  if (!Array.isArray(value)) return value === read;
  const items = read as readonly unknown[];
  return value.length === items.length && value.every((item, i) => item === items[i]);
}
