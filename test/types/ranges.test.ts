import { inspect } from 'node:util';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { dumpParam } from '../../src/types/dump.js';
import {
  AsyncConnection,
  errors,
  Float8,
  Int4,
  Int8,
  Multirange,
  MultirangeInfo,
  Numeric,
  Range,
  RangeInfo,
  registerMultirange,
  registerRange,
} from '../../src/index.js';
import { connect, dsn } from '../support/database.js';
import { load } from './load.js';

function dump(value: unknown, map = adapters): [type: string, text: string | null] {
  const { text, oid } = dumpParam(value, map, '$1');
  const element = map.elementType(oid);
  return [oid === 0 ? '' : element === undefined ? map.type(oid)!.name : `${element.name}[]`, text];
}

describe('a Range', () => {
  it('has an exclusive upper bound by default', () => {
    const range = new Range(1, 5);
    expect([range.lower, range.upper, range.bounds]).toEqual([1, 5, '[)']);
    expect([range.lowerInc, range.upperInc, range.lowerInf, range.upperInf, range.isempty]).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it.each([
    [new Range<number>(null, 5, '[]'), '(]', [false, true, true, false]],
    [new Range<number>(1, null, '[]'), '[)', [true, false, false, true]],
    [new Range<number>(null, null, '[]'), '()', [false, false, true, true]],
    [new Range<number>(null, null), '()', [false, false, true, true]],
    [Range.empty<number>(), '', [false, false, false, false]],
  ])('%o does not include a missing bound', (range, bounds, flags) => {
    expect(range.bounds).toBe(bounds);
    expect([range.lowerInc, range.upperInc, range.lowerInf, range.upperInf]).toEqual(flags);
  });

  it.each(['[', '', '[[', '][', ' [)', '[)x', null, 5])('refuses the bounds %j', (bounds) => {
    expect(() => new Range(1, 2, bounds as string)).toThrow(errors.ProgrammingError);
    expect(() => new Range(1, 2, bounds as string)).toThrow(/bounds of a range are/);
  });

  it('refuses undefined as a bound, for which null stands', () => {
    expect(() => new Range(undefined as never, 1)).toThrow(/use null/);
    expect(() => Reflect.construct(Range, [1])).toThrow(errors.ProgrammingError);
  });

  it('that is empty can be made from its parts', () => {
    const { lower, upper, bounds } = Range.empty<number>();
    const again = new Range(lower, upper, bounds);
    expect(again.isempty).toBe(true);
    expect(again).toEqual(Range.empty());
  });

  it.each<[Range<unknown>, unknown[], unknown[]]>([
    [new Range(1, 5), [1, 4.9, 2n], [0, 5, -Infinity]],
    [new Range(1, 5, '(]'), [5, 1.1], [1, 5.1]],
    [new Range(1n, null), [1n, 10n ** 30n, 7], [0n]],
    [new Range(null, 5), [-Infinity, 4], [5]],
    [new Range<number>(null, null), [0, NaN], []],
    [Range.empty(), [], [1, null]],
    [new Range(1, 5), [], [NaN]],
    [
      new Range('9.5', '10.25'),
      ['9.5', '10', '9.50', '1e1', '+10'],
      ['9.4999', '10.250', '-10', 'NaN', '100'],
    ],
    [new Range('-10', '-9.5', '[]'), ['-10', '-9.50', '-9.75'], ['-9', '-10.0001', '0']],
    [new Range('0', 'Infinity'), ['0', '1e500', '0.000'], ['-1e-500', 'Infinity', 'NaN']],
    [
      new Range('2024-01-01', '2024-12-31', '[]'),
      ['2024-06-15', '2024-12-31'],
      ['2025-01-01', '10000-01-01'],
    ],
    [
      new Range('0044-03-15 BC', '0001-01-01'),
      ['0044-03-15 BC', '0001-12-31 BC'],
      ['0045-01-01 BC', '2024-01-01'],
    ],
    [
      new Range('2024-01-01T12:00:00', 'infinity'),
      ['2024-01-01 12:00:00', '99999-01-01T00:00:00'],
      ['-infinity'],
    ],
    [new Range('a', 'n'), ['a', 'mz', 'b'], ['n', 'A', 'é', '']],
    [new Range(new Date(0), new Date(10)), [new Date(0), new Date(9)], [new Date(10), new Date(NaN)]],
    [new Range(new Numeric('9'), new Numeric('10')), [new Numeric('9.99')], [new Numeric('10.0')]],
    [new Range(new Int4(9), new Int4(10)), [new Int4(9)], [new Int4(10)]],
  ])('%o contains %o, not %o', (range, inside, outside) => {
    for (const value of inside) expect([value, range.contains(value)]).toEqual([value, true]);
    for (const value of outside) expect([value, range.contains(value)]).toEqual([value, false]);
  });

  it.each([['1'], [new Date()], [null], [undefined], [{}], [new Numeric('1')]])(
    'of numbers refuses contains() with %o',
    (value) => {
      expect(() => new Range<unknown>(1, 5).contains(value)).toThrow(/can't be compared with a number/);
    },
  );

  it('refuses contains() with objects that have no order, of whatever shape', () => {
    class Cyclic {
      readonly value = this;
    }
    const shapes = [
      Object.create(null),
      { valueOf: null },
      { value: {} },
      new Cyclic(),
      { constructor: null },
    ];
    for (const value of shapes as object[]) {
      for (const lower of [value, 1, { other: 1 }]) {
        expect(() => new Range<unknown>(lower, null).contains(value)).toThrow(errors.ProgrammingError);
      }
      expect(new Range<unknown>(value, null).equals(new Range<unknown>({}, null))).toBe(false);
    }
  });

  it('compares texts of any length', () => {
    expect(new Range('2024-01-01', null).contains(`${'1'.repeat(20_000_000)}x`)).toBe(false);
  });

  it('equals a range with the same bounds', () => {
    expect(new Range(1, 5).equals(new Range(1, 5))).toBe(true);
    expect(new Range(new Date(1), null).equals(new Range(new Date(1), null))).toBe(true);
    expect(new Range('1.0', '2').equals(new Range('1.00', '2'))).toBe(true);
    expect(Range.empty().equals(Range.empty())).toBe(true);
    for (const other of [
      new Range(1, 5, '[]'),
      new Range(1, 6),
      new Range(1, null),
      Range.empty(),
      '[1,5)',
      null,
    ]) {
      expect(new Range(1, 5).equals(other)).toBe(false);
    }
    expect(new Range(1, 5).equals(new Range('1', '5'))).toBe(false);
  });

  it('is unequal for assertions if it differs', () => {
    expect(new Range(1, 5)).not.toEqual(new Range(1, 6));
    expect(new Range(1, 5)).not.toEqual(new Range(1, 5, '[]'));
    expect(new Range(1, 5)).toEqual(new Range(1, 5));
  });

  it('prints in PostgreSQL’s notation', () => {
    expect(String(new Range(1, 5))).toBe('[1, 5)');
    expect(String(new Range(null, new Date(0), '()'))).toBe('(, 1970-01-01T00:00:00.000Z)');
    expect(String(new Range(null, new Date(NaN)))).toBe('(, Invalid Date)');
    expect(String(Range.empty())).toBe('empty');
    expect(inspect(new Range<unknown>('a', 5n))).toBe("Range('a', 5n, '[)')");
    expect(inspect([Range.empty()])).toBe('[ Range(empty) ]');
    expect(String(new Multirange([new Range(1, 2), new Range(3, null)]))).toBe('{[1, 2), [3, )}');
    expect(inspect(new Multirange([new Range(1, 2)]))).toBe("Multirange([ Range(1, 2, '[)') ])");
  });

  it('orders decimal numbers as numbers', () => {
    const decimal = fc
      .tuple(fc.integer({ min: -999, max: 999 }), fc.integer({ min: -4, max: 4 }), fc.boolean())
      .map(([digits, power, asExponent]) => {
        const value = digits * 10 ** power;
        return [value, asExponent ? `${String(digits)}e${String(power)}` : value.toFixed(4)] as const;
      });
    fc.assert(
      fc.property(decimal, decimal, ([a, textA], [b, textB]) => {
        expect(new Range(textA, null).contains(textB)).toBe(Number(b.toFixed(4)) >= Number(a.toFixed(4)));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a Multirange', () => {
  it('is a list of ranges', () => {
    const ranges = [new Range(1, 2), new Range(5, null)];
    const multirange = new Multirange(new Set(ranges));
    expect([...multirange]).toEqual(ranges);
    expect([multirange.length, multirange.at(-1), multirange.at(2)]).toEqual([2, ranges[1], undefined]);
    expect([multirange.contains(1), multirange.contains(3), multirange.contains(5)]).toEqual([
      true,
      false,
      true,
    ]);
    expect(multirange.equals(new Multirange(ranges))).toBe(true);
    expect(multirange.equals(new Multirange(ranges.slice(1)))).toBe(false);
    expect(new Multirange().length).toBe(0);
  });

  it('refuses elements that are no ranges', () => {
    expect(() => new Multirange([new Range(1, null), '[1,2)'] as never)).toThrow(/got a string at index 1/);
    expect(() => new Multirange([null] as never)).toThrow(errors.ProgrammingError);
  });
});

describe('a range is loaded', () => {
  it.each<[string, string, Range<unknown>]>([
    ['int4range', '[1,5)', new Range(1, 5)],
    ['int4range', 'empty', Range.empty()],
    ['int4range', '(,)', new Range(null, null)],
    ['int8range', '[9007199254740993,)', new Range(9007199254740993n, null)],
    ['numrange', '(-1.50,1e3]', new Range('-1.50', '1e3', '(]')],
    ['daterange', '[2024-01-01,infinity)', new Range('2024-01-01', 'infinity')],
    ['tsrange', '("2024-01-01 00:00:00",)', new Range('2024-01-01T00:00:00', null, '()')],
    [
      'tstzrange',
      '["1970-01-01 00:00:01+00","1970-01-01 00:00:02+00"]',
      new Range(new Date(1000), new Date(2000), '[]'),
    ],
  ])('%s %s', (type, text, range) => {
    expect(load(type, text)).toEqual(range);
    expect(load(`${type}[]`, `{"${text.replace(/["\\]/g, '\\$&')}",NULL}`)).toEqual([range, null]);
  });

  it.each([
    '',
    '[',
    '[1',
    '[1,',
    '[1,2',
    '1,2)',
    '[1,2)x',
    '{1,2}',
    'emptyx',
    'empt',
    'e',
    '[1,2,3)',
    '["1,2)',
  ])('or refused as malformed: %j', (text) => {
    expect(() => load('int4range', text)).toThrow(errors.DataError);
    expect(() => load('int4range', text)).toThrow(/range .* is malformed/);
  });

  it.each(['', '{', '{[1,2)', '{[1,2),}', '{[1,2)]', '{[1,2)}x', '[1,2)', '{,}', '{[1,2)[3,4)}'])(
    'as a multirange or refused as malformed: %j',
    (text) => {
      expect(() => load('int4multirange', text)).toThrow(/multirange .* is malformed/);
    },
  );

  it('with the loader of its bounds at the place of use', () => {
    const map = adapters.clone();
    expect(load('int4range[]', '{"[1,2)"}', map)).toEqual([new Range(1, 2)]);
    map.registerLoader('int4', (text) => `<${text}>`);
    expect(load('int4range', '[1,2)', map)).toEqual(new Range('<1>', '<2>'));
    expect(load('int4multirange', '{[1,2)}', map)).toEqual(new Multirange([new Range('<1>', '<2>')]));
    expect(load('int4range[]', '{"[1,2)"}', map.clone())).toEqual([new Range('<1>', '<2>')]);
    expect(load('int4range', '[1,2)')).toEqual(new Range(1, 2));
  });
});

describe('a range is sent', () => {
  const day = new Date('2024-01-02T03:04:05Z');
  it.each<[unknown, string, string]>([
    [new Range(1, 5), '', '[1,5)'],
    [new Range(1n, 2n ** 70n), '', '[1,1180591620717411303424)'],
    [new Range('2024-01-01', null), '', '[2024-01-01,)'],
    [new Range('', 'a"b\\c d,(e)'), '', String.raw`["","a""b\\c d,(e)")`],
    [new Range(1.5, 2), '', '[1.5,2)'],
    [new Range(new Int4(1), new Int4(5), '(]'), 'int4range', '(1,5]'],
    [new Range(null, new Int8(5)), 'int8range', '(,5)'],
    [new Range(new Numeric('1.5'), null), 'numrange', '[1.5,)'],
    [new Range(day, null), 'tstzrange', '[2024-01-02T03:04:05.000Z,)'],
    [Range.empty(), '', 'empty'],
    [new Range(null, null), '', '(,)'],
    [[new Range(1, 2), null], '', '{"[1,2)",NULL}'],
    [[Range.empty(), new Range(new Numeric('1'), null)], 'numrange[]', '{"empty","[1,)"}'],
    [[new Range(new Int4(1), null), Range.empty()], 'int4range[]', '{"[1,)","empty"}'],
    [new Multirange(), '', '{}'],
    [new Multirange([new Range(1, 2), new Range(5, null)]), '', '{[1,2),[5,)}'],
    [new Multirange([Range.empty<Int4>(), new Range(null, new Int4(7))]), 'int4multirange', '{empty,(,7)}'],
    [new Multirange([new Range(day, null)]), 'tstzmultirange', '{[2024-01-02T03:04:05.000Z,)}'],
    [[new Multirange([new Range(new Numeric('1'), null)])], 'nummultirange[]', '{"{[1,)}"}'],
  ])('%o as %s %s', (value, type, text) => {
    expect(dump(value)).toEqual([type, text]);
  });

  it.each<[unknown, RegExp]>([
    [new Range<unknown>({}, null), /^\$1\.lower: a plain object/],
    [[null, new Range<unknown>(null, () => 1)], /^\$1\[1\]\.upper: a function/],
    [
      new Multirange([new Range(1, null), new Range('a\0', null)] as Range<unknown>[]),
      /^\$1\[1\]\.lower: .*NUL/,
    ],
    [
      [new Range(new Int4(1), null), new Range(new Numeric('1'), null)],
      /^\$1\[1\]: an array can't mix int4range and numrange/,
    ],
  ])('or refused: %o', (value, message) => {
    expect(() => dump(value)).toThrow(message);
  });
});

describe('on a server, a range', () => {
  let conn: AsyncConnection;
  beforeAll(async () => {
    conn = await AsyncConnection.connect(dsn(), { autocommit: true });
    await conn.execute('CREATE TYPE pg_temp.textspan AS RANGE (subtype = text, collation = "C")');
    await conn.execute(
      'CREATE TYPE pg_temp.floatspan AS RANGE (subtype = float8, multirange_type_name = pg_temp.floatspans)',
    );
    return () => conn.close();
  });
  const one = async (query: string, ...params: unknown[]): Promise<unknown> =>
    ((await (await conn.execute(query, params)).fetchone()) as unknown[])[0];

  it.each<[Range<unknown> | Multirange<unknown>, string]>([
    [new Range(new Int4(1), new Int4(2)), 'int4range'],
    [new Range(new Int8(1), null), 'int8range'],
    [new Range(new Numeric('1.5'), null), 'numrange'],
    [new Range(new Date(0), null), 'tstzrange'],
    [new Multirange([new Range(new Int4(1), null)]), 'int4multirange'],
    [new Multirange([new Range(new Numeric('1'), null)]), 'nummultirange'],
  ])('%o is of type %s', async (range, type) => {
    expect(await one('SELECT pg_typeof(%s)::text', range)).toBe(type);
  });

  it.each(['int4range', 'int8range', 'numrange'])(
    'of plain numbers has the inferred type: %s',
    async (type) => {
      expect(await one(`SELECT %s::${type} = '[1,5)'`, new Range(1, 5))).toBe(true);
      expect(await one(`SELECT %s::${type} = '[1,5)'`, new Range(1n, 5n))).toBe(true);
      expect(
        await one(`SELECT %s::${type}[] = ARRAY['[1,5)', 'empty']::${type}[]`, [
          new Range(1, 5),
          Range.empty(),
        ]),
      ).toBe(true);
    },
  );

  it.each([
    ['daterange', new Range('2024-01-01', '2024-02-01')],
    ['tsrange', new Range('2024-01-01T00:00:00', null)],
    ['tstzrange', new Range(new Date(0), new Date(1000), '[]')],
    ['nummultirange', new Multirange([new Range('1.5', '2.5', '(]'), new Range('7', null)])],
    ['datemultirange', new Multirange<string>([])],
    ['int8multirange', new Multirange([new Range(1n, 2n)])],
    ['tstzmultirange', new Multirange([new Range(null, new Date(0), '()')])],
  ])('comes back unchanged: %s', async (type, value) => {
    expect(await one(`SELECT %s::${type}`, value)).toEqual(value);
    expect(await one(`SELECT ARRAY[%s::${type}, NULL]`, value)).toEqual([value, null]);
  });

  it('of a user-defined type is text until it is registered', async () => {
    expect(await one("SELECT '[1.5,2)'::pg_temp.floatspan")).toBe('[1.5,2)');
    const cur = conn.cursor();
    registerRange(await RangeInfo.fetch(conn, 'pg_temp.floatspan'), cur);
    registerMultirange(await MultirangeInfo.fetch(conn, 'pg_temp.floatspans'), cur);
    await cur.execute(
      "SELECT '[1.5,2)'::pg_temp.floatspan, array['empty'::pg_temp.floatspan], '{[1.5,2)}'::pg_temp.floatspans, %s, %s, %s",
      [new Range(0.5, 2), [new Range(new Float8(1), null)], new Multirange([new Range(0.5, 1)])],
    );
    expect(await cur.fetchone()).toEqual([
      new Range(1.5, 2),
      [Range.empty()],
      new Multirange([new Range(1.5, 2)]),
      new Range(0.5, 2),
      [new Range(1, null)],
      new Multirange([new Range(0.5, 1)]),
    ]);
    expect(await one("SELECT '[1.5,2)'::pg_temp.floatspan")).toBe('[1.5,2)');
  });

  it('of strings has the type inferred by the server, even if a range of text is registered', async () => {
    const cur = conn.cursor();
    registerRange(await RangeInfo.fetch(conn, 'pg_temp.textspan'), cur);
    await cur.execute('SELECT %s::daterange, %s::pg_temp.textspan', [
      new Range('2024-01-01', '2024-02-01'),
      new Range('a b', 'c"d\\'),
    ]);
    expect(await cur.fetchone()).toEqual([new Range('2024-01-01', '2024-02-01'), new Range('a b', 'c"d\\')]);
  });

  it('with a bound that its loader refuses fails only its query', async () => {
    await expect(one("SELECT '[2024-01-01,infinity]'::tstzrange")).rejects.toBeInstanceOf(errors.DataError);
    expect(await one('SELECT 1')).toBe(1);
  });
});

test('MultirangeInfo.fetch() refuses servers before PostgreSQL 14, and RangeInfo.fetch() returns null for other types', async () => {
  const conn = await connect();
  expect(await RangeInfo.fetch(conn, 'int4')).toBeNull();
  expect(await RangeInfo.fetch(conn, 'int4multirange')).toBeNull();
  expect(await MultirangeInfo.fetch(conn, 'int4range')).toBeNull();
  const old = Object.create(conn, { info: { value: { serverVersion: 130_012 } } }) as AsyncConnection;
  await expect(MultirangeInfo.fetch(old, 'int4multirange')).rejects.toThrow(errors.NotSupportedError);
});
