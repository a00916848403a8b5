import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  AsyncConnection,
  Composite,
  CompositeInfo,
  dictRow,
  errors,
  Int4,
  Jsonb,
  Range,
  registerComposite,
  TypeInfo,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, dsn } from '../support/database.js';

let conn: AsyncConnection;
let card: CompositeInfo;
let hand: CompositeInfo;

beforeAll(async () => {
  conn = await AsyncConnection.connect(dsn(), { autocommit: true });
  await conn.execute('CREATE TYPE pg_temp.card AS (value int, suit text)');
  await conn.execute('CREATE DOMAIN pg_temp.positive AS int CHECK (value > 0)');
  await conn.execute(
    'CREATE TYPE pg_temp.hand AS (owner text, best pg_temp.card, cards pg_temp.card[], during tstzrange, bet numeric)',
  );
  card = (await CompositeInfo.fetch(conn, 'pg_temp.card'))!;
  hand = (await CompositeInfo.fetch(conn, 'pg_temp.hand'))!;
  return () => conn.close();
});

let cur: AsyncCursor;
beforeEach(() => {
  cur = conn.cursor();
});

async function row(query: string, ...params: unknown[]): Promise<unknown[]> {
  await cur.execute(query, params.length === 0 ? undefined : params);
  return (await cur.fetchone())!;
}

describe('a registered composite', () => {
  beforeEach(() => {
    registerComposite(card, cur);
  });

  it('loads as a plain object in the order of its fields', async () => {
    const [value] = await row(`SELECT '(8,hearts)'::pg_temp.card`);
    expect(value).toStrictEqual({ value: 8, suit: 'hearts' });
    expect(Object.keys(value as object)).toEqual(['value', 'suit']);
  });

  it.each([
    ['(,)', { value: null, suit: null }],
    ['(1,"")', { value: 1, suit: '' }],
    ['(1," a, b ")', { value: 1, suit: ' a, b ' }],
    [String.raw`(1,"""q"" \\ ) (")`, { value: 1, suit: '"q" \\ ) (' }],
    ['(-5,"é\n☃😀")', { value: -5, suit: 'é\n☃😀' }],
    ['(1,NULL)', { value: 1, suit: 'NULL' }],
    ['(1,[a]{b})', { value: 1, suit: '[a]{b}' }],
  ])('loads %s', async (text, expected) => {
    expect(await row('SELECT %s::pg_temp.card, ARRAY[%s::pg_temp.card, NULL]', text, text)).toEqual([
      expected,
      [expected, null],
    ]);
  });

  it('loads within others, with the registered types of their fields', async () => {
    registerComposite(hand, cur);
    const text = `ROW('a "b"', ROW(8, NULL), ARRAY[ROW(1, 'x,y'), NULL]::pg_temp.card[], '[1970-01-01 00:00Z,)', 1.50)`;
    expect(await row(`SELECT ${text}::pg_temp.hand`)).toEqual([
      {
        owner: 'a "b"',
        best: { value: 8, suit: null },
        cards: [{ value: 1, suit: 'x,y' }, null],
        during: new Range(new Date(0), null),
        bet: '1.50',
      },
    ]);
  });

  it('loads its fields with the cursor’s loaders, also if they are registered later', async () => {
    expect(await row("SELECT '(8,hearts)'::pg_temp.card")).toEqual([{ value: 8, suit: 'hearts' }]);
    cur.adapters.registerLoader('int4', (text) => `<${text}>`);
    expect(await row("SELECT '(8,hearts)'::pg_temp.card")).toEqual([{ value: '<8>', suit: 'hearts' }]);
    expect(await row("SELECT ARRAY['(8,hearts)'::pg_temp.card]")).toEqual([
      [{ value: '<8>', suit: 'hearts' }],
    ]);
  });

  it('loads as text if it is not registered', async () => {
    const other = conn.cursor();
    await other.execute("SELECT '(8,hearts)'::pg_temp.card, ARRAY['(8,hearts)']::pg_temp.card[]");
    expect(await other.fetchone()).toEqual(['(8,hearts)', '{"(8,hearts)"}']);
  });

  it('is sent by its wrapper, as an object or as an array', async () => {
    for (const value of [
      { suit: 'a "b" \\ ,()\n', value: 5 },
      { value: null, suit: '' },
      Object.assign(Object.create(null) as object, { value: 1, suit: null }),
    ]) {
      expect(
        await row('SELECT %s, pg_typeof(%s)::text', new Composite(card, value), new Composite(card, value)),
      ).toEqual([{ ...value }, 'card']);
    }
    expect(await row('SELECT %s', new Composite(card, [1, 'x']))).toEqual([{ value: 1, suit: 'x' }]);
    const cards = [new Composite(card, [1, 'x']), null, new Composite(card, [null, 'y'])];
    expect(await row('SELECT %s, (%s)[3]', cards, cards)).toEqual([
      [{ value: 1, suit: 'x' }, null, { value: null, suit: 'y' }],
      { value: null, suit: 'y' },
    ]);
  });

  it('is sent within another without a wrapper, as it was loaded', async () => {
    registerComposite(hand, cur);
    const value = {
      owner: 'me',
      best: { value: 8, suit: '"' },
      cards: [{ value: 1, suit: '\\' }, null, { value: null, suit: null }],
      during: new Range(new Date(0), new Date(5)),
      bet: '1.50',
    };
    const [loaded, typed] = await row(
      'SELECT %s, (%s).cards[1]',
      new Composite(hand, value),
      new Composite(hand, value),
    );
    expect(loaded).toEqual(value);
    expect(typed).toEqual({ value: 1, suit: '\\' });
    expect(await row('SELECT %s', new Composite(hand, loaded as object as Record<string, unknown>))).toEqual([
      value,
    ]);
    expect(await row('SELECT %s', new Composite(hand, { ...value, best: null, cards: [] }))).toEqual([
      { ...value, best: null, cards: [] },
    ]);
  });

  it.each<[string, unknown, RegExp]>([
    [
      'a field is missing',
      { value: 1 },
      /^\$1: the object does not fit .* card \(value, suit\): it lacks suit/,
    ],
    ['there are others', { value: 1, suit: 'x', color: 1, size: 2 }, /^\$1: .*it has color, size beyond/],
    ['there are too many values', [1, 'x', 2], /^\$1: .* card has 2 fields \(value, suit\), but 3 values/],
    ['there are too few values', [1], /^\$1: .*but 1 values/],
    ['a value is undefined', { value: undefined, suit: 'x' }, /^\$1\.value: undefined can't be sent/],
    ['a value is an object', { value: {}, suit: 'x' }, /^\$1\.value: a plain object/],
    ['a text can not be sent', { value: 1, suit: 'a\0' }, /^\$1\.suit: .*NUL/],
  ])('is refused where %s, and nothing is sent', async (_why, value, message) => {
    const error: unknown = await row('SELECT %s', new Composite(card, value as unknown[])).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(errors.DatabaseError);
    expect((error as Error).message).toMatch(message);
    await expect(row('SELECT %s', [null, new Composite(card, value as unknown[])])).rejects.toThrow(
      new RegExp(message.source.replace(String.raw`^\$1`, String.raw`^\$1\[1\]`)),
    );
    expect(conn.info.transactionStatus).toBe('IDLE');
  });

  it('reports a change since its registration', async () => {
    await conn.execute('CREATE TYPE pg_temp.changing AS (a int, b int)');
    registerComposite(await CompositeInfo.fetch(conn, 'pg_temp.changing'), cur);
    await conn.execute('ALTER TYPE pg_temp.changing ADD ATTRIBUTE c int');
    const error: unknown = await row("SELECT '(1,2,3)'::pg_temp.changing").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as Error).message).toMatch(/changing has 3 fields, but 2 were registered/);
    await conn.execute('ALTER TYPE pg_temp.changing DROP ATTRIBUTE a');
    registerComposite(await CompositeInfo.fetch(conn, 'pg_temp.changing'), cur);
    expect(await row("SELECT '(2,3)'::pg_temp.changing")).toEqual([{ b: 2, c: 3 }]);
  });

  it('of one field, or none, is distinguished from NULL', async () => {
    await conn.execute('CREATE TYPE pg_temp.single AS (a int); CREATE TYPE pg_temp.nothing AS ()');
    const single = await CompositeInfo.fetch(conn, 'pg_temp.single');
    const nothing = await CompositeInfo.fetch(conn, 'pg_temp.nothing');
    registerComposite(single, cur);
    registerComposite(nothing, cur);
    expect(
      await row(
        "SELECT '()'::pg_temp.single, '(1)'::pg_temp.single, NULL::pg_temp.single, '()'::pg_temp.nothing",
      ),
    ).toEqual([{ a: null }, { a: 1 }, null, {}]);
    expect(
      await row('SELECT %s, %s', new Composite(single, { a: null }), new Composite(nothing, {})),
    ).toEqual([{ a: null }, {}]);
  });

  it('may have fields with any name', async () => {
    await conn.execute('CREATE TYPE pg_temp.odd AS ("__proto__" int, "a b" int, "constructor" text)');
    const odd = await CompositeInfo.fetch(conn, 'pg_temp.odd');
    registerComposite(odd, cur);
    const [value] = (await row("SELECT '(1,2,x)'::pg_temp.odd")) as [Record<string, unknown>];
    expect(Object.entries(value)).toEqual([
      ['__proto__', 1],
      ['a b', 2],
      ['constructor', 'x'],
    ]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(await row('SELECT %s', new Composite(odd, value))).toEqual([value]);
  });

  it('may be the row of a table, with a domain among its columns', async () => {
    await conn.execute('CREATE TEMP TABLE stock (id pg_temp.positive, gone int, tags text[])');
    await conn.execute("INSERT INTO stock VALUES (7, 1, '{a,b}')");
    await conn.execute('ALTER TABLE stock DROP COLUMN gone');
    registerComposite(await CompositeInfo.fetch(conn, 'stock'), cur);
    expect(await row('SELECT stock, id FROM stock')).toEqual([{ id: '7', tags: ['a', 'b'] }, 7]);
    (await TypeInfo.fetch(conn, 'pg_temp.positive'))!.register(cur);
    expect(await row('SELECT stock, ARRAY[id] FROM stock')).toEqual([{ id: 7, tags: ['a', 'b'] }, [7]]);
  });
});

describe('a domain over a composite', () => {
  it('takes plain objects as the composite does, within another composite', async () => {
    await conn.execute(`
      CREATE DOMAIN pg_temp.trump AS pg_temp.card CHECK ((VALUE).value > 1);
      CREATE DOMAIN pg_temp.cards AS pg_temp.card[];
      CREATE TYPE pg_temp.game AS (trump pg_temp.trump, trumps pg_temp.trump[], cards pg_temp.cards)`);
    for (const name of ['trump', 'cards']) (await TypeInfo.fetch(conn, `pg_temp.${name}`))!.register(cur);
    registerComposite(card, cur);
    const game = await CompositeInfo.fetch(conn, 'pg_temp.game');
    registerComposite(game, cur);
    const eight = { value: 8, suit: 'hearts' };
    const value = { trump: eight, trumps: [eight, null], cards: [eight] };
    expect(await row('SELECT %s', new Composite(game, value))).toEqual([value]);
  });
});

describe('a composite with a factory', () => {
  class Card {
    readonly value: number;
    readonly suit: string;
    constructor(value: number, suit: string) {
      this.value = value;
      this.suit = suit;
    }
    get color(): string {
      return this.suit === 'hearts' ? 'red' : 'black';
    }
  }

  it('that is a class loads as its instances, which are sent as the composite', async () => {
    registerComposite(card, cur, { factory: Card });
    const [value] = (await row("SELECT '(8,hearts)'::pg_temp.card")) as [Card];
    expect(value).toBeInstanceOf(Card);
    expect(value.color).toBe('red');
    expect(await row('SELECT %s, %s, pg_typeof(%s)::text', value, [value, null], value)).toEqual([
      value,
      [value, null],
      'card',
    ]);
    class Joker extends Card {}
    expect(await row('SELECT %s', new Joker(0, '"'))).toEqual([new Card(0, '"')]);
  });

  it('that is a function receives the values in order', async () => {
    registerComposite(card, cur, { factory: (value: number, suit: string) => `${String(value)} of ${suit}` });
    expect(await row("SELECT '(8,hearts)'::pg_temp.card")).toEqual(['8 of hearts']);
  });

  it('may have makeObject and makeSequence', async () => {
    class Point {
      readonly at: readonly number[];
      constructor(at: readonly number[]) {
        this.at = at;
      }
    }
    registerComposite(card, cur, {
      factory: Point as unknown as new () => Point,
      makeObject: (values, info) => new Point([...(values as number[]), info.oid]),
      makeSequence: (point) => point.at.slice(0, 2),
    });
    expect(await row("SELECT '(8,9)'::pg_temp.card")).toEqual([new Point([8, '9' as never, card.oid])]);
    expect(await row('SELECT (%s).suit', new Point([1, 2]))).toEqual(['2']);
    await expect(row('SELECT %s', new Point([1]))).rejects.toThrow(/^\$1: .*but 1 values were given/);
  });

  it('that is a subclass of Array is sent as the composite, not as an array', async () => {
    class Pair extends Array<unknown> {}
    registerComposite(card, cur, { factory: Pair });
    const [value] = await row("SELECT '(8,hearts)'::pg_temp.card");
    expect(value).toBeInstanceOf(Pair);
    expect(await row('SELECT (%s).suit, %s', value, [value, value])).toEqual(['hearts', [value, value]]);
  });

  it('that throws fails only its query', async () => {
    registerComposite(card, cur, {
      factory: () => {
        throw new RangeError('no such card');
      },
    });
    const error: unknown = await row("SELECT '(8,hearts)'::pg_temp.card").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(errors.DataError);
    expect((error as errors.DataError).cause).toBeInstanceOf(RangeError);
    expect(await row('SELECT 1')).toEqual([1]);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['throws', () => { throw new Error('oops'); }, /^\$1: the makeSequence of the composite type card failed: Error: oops/], // prettier-ignore
    ['returns no array', () => 'x', /^\$1: the makeSequence .* has to return an array, got string/],
  ])('whose makeSequence %s is refused', async (_what, makeSequence, message) => {
    registerComposite(card, cur, { factory: Card, makeSequence: makeSequence as () => unknown[] });
    await expect(row('SELECT %s', new Card(1, 'x'))).rejects.toThrow(message);
    await expect(row('SELECT %s', new Card(1, 'x'))).rejects.toBeInstanceOf(errors.DataError);
  });

  it('that is no class cannot have a makeSequence', () => {
    expect(() => registerComposite(card, cur, { factory: () => 1, makeSequence: () => [] })).toThrow(
      errors.ProgrammingError,
    );
  });
});

describe('a record of unknown type', () => {
  it.each([
    ["ROW(1, 'a', NULL)", ['1', 'a', null]],
    ['ROW()', []],
    [`ROW(ROW(1, 2), 'x,y', '"q"', '')`, ['(1,2)', 'x,y', '"q"', '']],
    ["ARRAY[ROW(1, 'a'), NULL]", [['1', 'a'], null]],
  ])('is an array of texts: %s', async (record, expected) => {
    expect(await row(`SELECT ${record}`)).toEqual([expected]);
  });
});

describe('the registration of a composite', () => {
  it('applies to cursors made later, on this connection only', async () => {
    const other = await connect();
    await other.execute('CREATE TYPE pg_temp.card AS (value int, suit text)');
    const before = other.cursor();
    registerComposite(await CompositeInfo.fetch(other, 'pg_temp.card'), other);
    await before.execute("SELECT '(8,hearts)'::pg_temp.card");
    expect(await before.fetchone()).toEqual(['(8,hearts)']);
    const after = other.cursor({ rowFactory: dictRow });
    await after.execute("SELECT '(8,hearts)'::pg_temp.card AS card");
    expect(await after.fetchone()).toEqual({ card: { value: 8, suit: 'hearts' } });
    expect(await row("SELECT '(8,hearts)'::pg_temp.card")).toEqual(['(8,hearts)']);
  });

  it.each([null, undefined])('refuses %s with a hint', (info) => {
    expect(() => {
      registerComposite(info as null, cur);
    }).toThrow(/registerComposite\(\) got no CompositeInfo: is there such a composite type\?/);
    expect(() => new Composite(info as null, {})).toThrow(errors.ProgrammingError);
  });

  it('refuses a value that is no CompositeInfo, and a context without adapters', () => {
    const info = new TypeInfo('x', 1, 2);
    expect(() => {
      registerComposite(info as never, cur);
    }).toThrow(/needs a CompositeInfo, got TypeInfo/);
    expect(() => {
      registerComposite(card, {} as never);
    }).toThrow(errors.ProgrammingError);
    expect(() => new Composite(card, 5 as never)).toThrow(errors.DataError);
    expect(() => new CompositeInfo('x', 1, 2, { fieldNames: ['a'], fieldTypes: [] })).toThrow(
      /a type for each field/,
    );
  });

  it('accepts a CompositeInfo that contains its own type', async () => {
    const loop = new CompositeInfo('card', card.oid, card.arrayOid, {
      fieldNames: ['value', 'self'],
      fieldTypes: [23, card.oid],
    });
    registerComposite(loop, cur);
    expect(await row("SELECT '(8,hearts)'::pg_temp.card")).toEqual([{ value: 8, self: 'hearts' }]);
  });

  it('is not required to send a value with its CompositeInfo', async () => {
    expect(await row('SELECT (%s).value', new Composite(card, { value: new Int4(7), suit: null }))).toEqual([
      7,
    ]);
    await conn.execute('CREATE TYPE pg_temp.doc AS (body jsonb)');
    const doc = await CompositeInfo.fetch(conn, 'pg_temp.doc');
    expect(await row('SELECT (%s).body', new Composite(doc, [new Jsonb({ a: '"\\' })]))).toEqual([
      { a: '"\\' },
    ]);
  });
});
