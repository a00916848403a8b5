import { describe, expect, it } from 'vitest';
import {
  adapters,
  errors,
  Json,
  Jsonb,
  Numeric,
  Range,
  setJsonDumps,
  setJsonLoads,
  type AdaptContext,
  type AsyncConnection,
  type AsyncCursor,
} from '../../src/index.js';
import { connect } from '../support/database.js';

async function one(on: AsyncConnection | AsyncCursor, query: string, ...params: unknown[]): Promise<unknown> {
  const cur = await on.execute(query, params.length === 0 ? undefined : params);
  return ((await cur.fetchone()) as unknown[])[0];
}

class Point {
  readonly x: number;
  readonly y: number;
  constructor(x: number, y: number) {
    this.x = x;
    this.y = y;
  }
  static parse(text: string): Point {
    const [x, y] = text.slice(1, -1).split(',').map(Number) as [number, number];
    return new Point(x, y);
  }
}

describe('a custom loader', () => {
  it('loads a type and its arrays, at its level of registration and in copies of it', async () => {
    const conn = await connect();
    const earlier = conn.cursor();
    conn.adapters.registerLoader('point', (text) => Point.parse(text));
    expect(await one(conn, "SELECT point '(1,2)'")).toEqual(new Point(1, 2));
    expect(await one(conn.cursor(), `SELECT '{"(1,2)",NULL}'::point[]`)).toEqual([new Point(1, 2), null]);
    expect(await one(earlier, "SELECT point '(1,2)'")).toBe('(1,2)');
    const cur = conn.cursor();
    cur.adapters.registerLoader('point', (text) => text.length);
    expect(await one(cur, "SELECT point '(1,2)'")).toBe(5);
    expect(await one(conn, "SELECT point '(1,2)'")).toEqual(new Point(1, 2));
    expect(await one(await connect(), "SELECT point '(1,2)'")).toBe('(1,2)');
  });

  it('that throws fails only its own query', async () => {
    const conn = await connect();
    conn.adapters.registerLoader('point', () => {
      throw new TypeError('not today');
    });
    const failed = one(conn, "SELECT point '(1,2)' FROM generate_series(1, 3)");
    const next = one(conn, 'SELECT 1');
    const error: unknown = await failed.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(/not today/);
    expect((error as Error).cause).toBeInstanceOf(TypeError);
    expect(await next).toBe(1);
    expect(conn.info.transactionStatus).toBe('INTRANS');
    expect(await one(conn, 'SELECT 2')).toBe(2);
  });

  it.each<[string, unknown, RegExp]>([
    ['text', 'boom', /failed on a value of the result: boom$/],
    ['nothing', undefined, /: undefined$/],
    ['a symbol', Symbol('boom'), /: Symbol\(boom\)$/],
    ['an object without a text', Object.create(null), /: an object without a text$/],
  ])('may throw %s', async (_what, thrown, message) => {
    const conn = await connect({ autocommit: true });
    const cur = conn.cursor();
    cur.adapters.registerLoader('int4', () => {
      throw thrown;
    });
    const error: unknown = await cur.execute('SELECT 1').catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(message);
    expect(await one(conn, 'SELECT 2')).toBe(2);
  });

  it('must be a function for a known type', async () => {
    const conn = await connect();
    expect(() => {
      conn.adapters.registerLoader('point', undefined as never);
    }).toThrow(/loader to be a function, got undefined/);
    expect(() => {
      conn.adapters.registerLoader('pointless', String);
    }).toThrow(/'pointless' is not known/);
  });
});

describe('a custom dumper', () => {
  it('may return a text, whose type the server infers', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Point, ({ x, y }) => `(${String(x)},${String(y)})`);
    expect(await one(conn, 'SELECT (%s::point)[0]', new Point(1.5, 2))).toBe(1.5);
    expect(await one(conn, 'SELECT %s::point[]', [new Point(1, 2), null])).toEqual(['(1,2)', null]);
    await expect(one(await connect(), 'SELECT %s::point', new Point(1, 2))).rejects.toThrow(
      /class Point can't be sent/,
    );
  });

  it('may return the type of its text', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Point, ({ x, y }, _place, map) => ({
      text: `(${String(x)},${String(y)})`,
      oid: map.type('point')!.oid,
    }));
    expect(await one(conn, 'SELECT pg_typeof(%s)::text', new Point(1, 2))).toBe('point');
    expect(await one(conn, 'SELECT pg_typeof(%s)::text', [[new Point(1, 2)], [null]])).toBe('point[]');
  });

  it('may return a wrapper, or null', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Map, (map) => new Jsonb(Object.fromEntries(map) as object));
    expect(await one(conn, 'SELECT %s', new Map([['a', 1]]))).toEqual({ a: 1 });
    conn.adapters.registerDumper('symbol', () => null);
    expect(await one(conn, 'SELECT %s::text', Symbol('x'))).toBeNull();
    conn.adapters.registerDumper('boolean', (value) => new Numeric(Number(value)));
    expect(await one(conn, 'SELECT %s', [true, false])).toEqual(['1', '0']);
  });

  it('of a wrapper may return a wrapper of the same class', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Numeric, (value) => new Numeric(`-${value.value}`));
    expect(await one(conn, 'SELECT %s', new Numeric('1.5'))).toBe('-1.5');
    conn.adapters.registerDumper(Numeric, (value) => value);
    expect(await one(conn, 'SELECT %s', new Numeric('1.5'))).toBe('1.5');
  });

  it('applies to the elements of ranges and arrays', async () => {
    const conn = await connect();
    conn.adapters.registerDumper('number', (value) => new Numeric(value * 2));
    expect(await one(conn, 'SELECT %s::numrange', new Range(1, 2.5))).toEqual(new Range('2', '5'));
    expect(await one(conn, 'SELECT %s', [1, null])).toEqual(['2', null]);
  });

  it('for Object applies to plain objects only', async () => {
    const conn = await connect();
    conn.adapters.registerDumper(Object, (value) => new Jsonb(value));
    expect(await one(conn, 'SELECT %s', { a: 1 })).toEqual({ a: 1 });
    expect(await one(conn, 'SELECT %s', Object.create(null))).toEqual({});
    expect(await one(conn, 'SELECT %s', [1, 2])).toEqual([1, 2]);
    await expect(one(conn, 'SELECT %s', new Point(1, 2))).rejects.toThrow(/class Point/);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['throws', () => { throw new TypeError('no'); }, /^\$1\[1\]: the dumper of Point failed: TypeError: no/], // prettier-ignore
    ['throws what has no text', () => { throw Object.create(null); }, /of Point failed: an object without a text$/], // prettier-ignore
    [
      'returns undefined',
      () => undefined,
      /^\$1\[1\]: the dumper of Point returned undefined; it has to return text/,
    ],
    ['returns a number', () => 5, /^\$1\[1\]: the dumper of Point returned number/],
    ['returns another object', () => ({ x: 1 }), /^\$1\[1\]: .* returned an object with x;/],
    ['returns no text', () => ({ text: 5, oid: 25 }), /^\$1\[1\]: .* returned an object with text, oid;/],
    ['returns no oid', () => ({ text: 'x', oid: -1 }), /^\$1\[1\]: .* returned an object with text, oid;/],
    ['returns a promise', () => Promise.resolve('x'), /^\$1\[1\]: .* returned an object with no properties;/],
    ['returns a text with a NUL', () => 'a\0', /^\$1\[1\]: PostgreSQL text can't contain a NUL/],
    ['returns a broken text', () => ({ text: '\ud800' }), /^\$1\[1\]: .*lone surrogate/],
  ])('that %s raises a DataError, and nothing is sent', async (_what, dumper, message) => {
    const conn = await connect({ autocommit: true });
    conn.adapters.registerDumper(Point, dumper as () => string);
    const error: unknown = await one(conn, 'SELECT %s', [null, new Point(1, 2)]).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(message);
    expect(conn.info.transactionStatus).toBe('IDLE');
    expect(await one(conn, 'SELECT 1')).toBe(1);
  });

  it("that raises one of the library's errors keeps that error", async () => {
    const conn = await connect({ autocommit: true });
    const refusal = new errors.ProgrammingError('points are private');
    conn.adapters.registerDumper(Point, () => {
      throw refusal;
    });
    await expect(one(conn, 'SELECT %s', new Point(1, 2))).rejects.toBe(refusal);
  });

  it('is registered for a class or a typeof', async () => {
    const conn = await connect();
    for (const key of ['array', 'Point', '', null, undefined, 5, {}]) {
      expect(() => {
        conn.adapters.registerDumper(key as never, String);
      }).toThrow(errors.ProgrammingError);
    }
    expect(() => {
      conn.adapters.registerDumper(Point, 'text' as never);
    }).toThrow(/dumper to be a function, got the string/);
  });
});

describe('JSON', () => {
  const digits = '12345678901234567890';
  /** Parses integers that a number cannot hold. */
  const loads = (text: string): unknown =>
    JSON.parse(
      text.replace(/(?<=[[:,]\s*|^)-?\d{16,}(?=\s*[\]},]|$)/g, '{"big":"$&"}'),
      (_key, value: unknown) =>
        typeof value === 'object' && value !== null && 'big' in value ? BigInt(value.big as string) : value,
    ) as unknown;
  const dumps = (value: unknown): string =>
    JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'bigint' ? `<big>${String(item)}</big>` : item,
    ).replace(/"<big>(-?\d+)<\/big>"/g, '$1');

  it('loads by a custom function, exact to 20 digits', async () => {
    const conn = await connect();
    const text = `{"id": ${digits}, "ids": [1, ${digits}]}`;
    const expected = { id: BigInt(digits), ids: [1, BigInt(digits)] };
    const plain = await one(conn, 'SELECT %s::jsonb', text);
    expect(plain).toEqual({ id: Number(digits), ids: [1, Number(digits)] });
    setJsonLoads(loads, conn);
    expect(await one(conn, 'SELECT %s::jsonb', text)).toEqual(expected);
    expect(await one(conn, 'SELECT %s::json', text)).toEqual(expected);
    expect(await one(conn, 'SELECT ARRAY[%s::json, NULL]', digits)).toEqual([BigInt(digits), null]);
    expect(await one(await connect(), 'SELECT %s::jsonb', text)).toEqual(plain);
  });

  it('is written by a custom function', async () => {
    const conn = await connect();
    const value = { id: BigInt(digits) };
    await expect(one(conn, 'SELECT %s::text', new Jsonb(value))).rejects.toThrow(
      /\$1: the value can't be turned into JSON/,
    );
    const cur = conn.cursor();
    setJsonDumps(dumps, cur);
    setJsonLoads(loads, cur);
    expect(await one(cur, 'SELECT %s', new Jsonb(value))).toEqual(value);
    expect(await one(cur, 'SELECT %s', [new Json(value), null])).toEqual([value, null]);
    expect(await one(cur, 'SELECT %s::text', new Json(value))).toBe(`{"id":${digits}}`);
    expect(await one(cur, 'SELECT %s::text', new Jsonb(value, { dumps: () => '[]' }))).toBe('[]');
  });

  it('can be configured for an adapters map', async () => {
    const map = adapters.clone();
    setJsonLoads(() => 'loaded', map);
    expect(map.loaderFor(3802)(Buffer.from('1'), 0, 1)).toBe('loaded');
    expect(adapters.loaderFor(3802)(Buffer.from('1'), 0, 1)).toBe(1);
  });

  it('whose function throws fails only its own query', async () => {
    const conn = await connect();
    setJsonLoads(() => {
      throw new SyntaxError('no JSON');
    }, conn);
    setJsonDumps(() => 5 as never, conn);
    await expect(one(conn, "SELECT '1'::json")).rejects.toBeInstanceOf(errors.DataError);
    await expect(one(conn, 'SELECT %s', new Json(1))).rejects.toBeInstanceOf(errors.DataError);
    expect(() => {
      setJsonLoads('x' as never, conn);
    }).toThrow(/expected the argument of setJsonLoads\(\) to be a function, got the string "x"/);
    expect(() => {
      setJsonDumps(String, {} as AdaptContext);
    }).toThrow(errors.ProgrammingError);
  });
});
