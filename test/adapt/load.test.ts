import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/adapt/adapters.js';
import type { AdaptersMap } from '../../src/adapt/adapters-map.js';
import { errors } from '../../src/index.js';

const MARGIN = 9;

/** Loads a text as the server would send it, between other bytes that a loader must not read. */
function load(type: string, text: string, map: AdaptersMap = adapters): unknown {
  const isArray = type.endsWith('[]');
  const entry = map.type(isArray ? type.slice(0, -2) : type)!;
  const body = Buffer.from(text);
  const bytes = Buffer.concat([Buffer.alloc(MARGIN, '7'), body, Buffer.alloc(MARGIN, '7')]);
  return map.loaderFor(isArray ? entry.arrayOid : entry.oid)(bytes, MARGIN, MARGIN + body.length);
}

describe('a value is loaded', () => {
  it.each<[string, string, unknown]>([
    ['int2', '-32768', -32_768],
    ['int4', '2147483647', 2_147_483_647],
    ['int4', '0', 0],
    ['oid', '4294967295', 4_294_967_295],
    ['int8', '9223372036854775807', 9_223_372_036_854_775_807n],
    ['int8', '-9223372036854775808', -9_223_372_036_854_775_808n],
    ['int8', '7', 7n],
    ['float8', '1.5', 1.5],
    ['float8', '-0', -0],
    ['float8', 'NaN', NaN],
    ['float8', '-Infinity', -Infinity],
    ['float8', '1e+300', 1e300],
    ['float8', '9007199254740993', 9_007_199_254_740_992],
    ['float4', '0.1', 0.1],
    ['numeric', '1.50', '1.50'],
    ['numeric', 'NaN', 'NaN'],
    ['bool', 't', true],
    ['bool', 'f', false],
    ['text', '', ''],
    ['text', 'größe 😀', 'größe 😀'],
    ['varchar', 'NULL', 'NULL'],
    ['bytea', '\\x00ff', Buffer.from([0, 255])],
    ['bytea', '\\x', Buffer.alloc(0)],
    ['bytea', 'a\\\\b\\000\\377', Buffer.from([0x61, 0x5c, 0x62, 0, 255])],
    ['json', '{"a": [1, null]}', { a: [1, null] }],
    ['jsonb', 'null', null],
    ['uuid', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001'],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', 'infinity', 'infinity'],
    ['time', '24:00:00', '24:00:00'],
    ['timetz', '01:02:03.5+05:30', '01:02:03.5+05:30'],
    ['inet', '::1/128', '::1/128'],
    ['point', '(1,2)', '(1,2)'],
  ])('%s %j as %o', (type, text, expected) => {
    expect(load(type, text)).toEqual(expected);
  });

  it('as any double that JavaScript writes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double(),
          fc.integer(),
          fc
            .tuple(fc.integer(), fc.nat({ max: 999_999 }))
            .map(([a, b]) => Number(`${String(a)}.${String(b)}`)),
        ),
        (value) => {
          expect(load('float8', Object.is(value, -0) ? '-0' : String(value))).toBe(value);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('as any integer', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.integer(), (large, small) => {
        expect(load('int8', String(large))).toBe(large);
        expect(load('int4', String(small))).toBe(small);
      }),
    );
  });

  it('as the text of the server, if its type is not known', () => {
    expect(adapters.loaderFor(99_999)(Buffer.from('xyz'), 0, 3)).toBe('xyz');
  });
});

describe('a timestamp', () => {
  it.each([
    ['2024-01-02 03:04:05', '2024-01-02T03:04:05'],
    ['2024-01-02 03:04:05.123456', '2024-01-02T03:04:05.123456'],
    ['12345-01-02 03:04:05', '12345-01-02T03:04:05'],
    ['294276-12-31 23:59:59.999999', '294276-12-31T23:59:59.999999'],
    ['0044-03-15 12:00:00 BC', '0044-03-15 12:00:00 BC'],
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
    ['02/01/2024 03:04:05', '02/01/2024 03:04:05'],
    ['02.01.2024 03:04:05', '02.01.2024 03:04:05'],
    ['Tue Jan 02 03:04:05 2024', 'Tue Jan 02 03:04:05 2024'],
  ])('%j without a zone is loaded as %j', (text, expected) => {
    expect(load('timestamp', text)).toBe(expected);
  });

  it.each([
    ['2024-01-02 03:04:05+00', '2024-01-02T03:04:05.000Z'],
    ['2024-01-02 03:04:05.1+00', '2024-01-02T03:04:05.100Z'],
    ['2024-01-02 03:04:05.123999+00', '2024-01-02T03:04:05.123Z'],
    ['2024-01-02 03:04:05.000001-08', '2024-01-02T11:04:05.000Z'],
    ['2024-01-02 03:04:05+05:45', '2024-01-01T21:19:05.000Z'],
    ['1883-11-18 11:59:59-04:56:02', '1883-11-18T16:56:01.000Z'],
    ['2024-02-29 23:59:59.999+00', '2024-02-29T23:59:59.999Z'],
    ['0001-01-01 00:00:00+00', '0001-01-01T00:00:00.000Z'],
    ['0044-03-15 12:00:00+00 BC', '-000043-03-15T12:00:00.000Z'],
    ['0001-12-31 00:00:00.25+00 BC', '0000-12-31T00:00:00.250Z'],
    ['12345-06-07 08:09:10.5+00', '+012345-06-07T08:09:10.500Z'],
    ['275760-09-13 00:00:00+00', '+275760-09-13T00:00:00.000Z'],
  ])('%j with a zone is the instant %s', (text, expected) => {
    expect((load('timestamptz', text) as Date).toISOString()).toBe(expected);
  });

  it('with a zone is the same instant whatever the day and the offset', () => {
    const instant = fc.date({
      min: new Date('0001-01-03'),
      max: new Date('9999-12-29'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instant, fc.integer({ min: -15 * 60, max: 15 * 60 }), (date, minutes) => {
        const local = new Date(date.getTime() + minutes * 60_000)
          .toISOString()
          .slice(0, -1)
          .replace('T', ' ');
        const absolute = Math.abs(minutes);
        const two = (n: number): string => String(n).padStart(2, '0');
        const offset = `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
        expect(load('timestamptz', local + offset)).toEqual(date);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['infinity', /can't be held by a Date/],
    ['-infinity', /can't be held by a Date/],
    ['294276-12-31 23:59:59+00', /can't be held by a Date/],
    ['02/01/2024 03:04:05 UTC', /DateStyle has to be ISO/],
    ['Tue Jan 02 03:04:05 2024 UTC', /DateStyle has to be ISO/],
  ])('%j that a Date can not hold is a DataError', (text, message) => {
    expect(() => load('timestamptz', text)).toThrow(errors.DataError);
    expect(() => load('timestamptz', text)).toThrow(message);
  });
});

describe('an interval', () => {
  it.each([
    ['00:00:00', 'PT0S'],
    ['1 day', 'P1D'],
    ['1 year 2 mons -3 days +04:05:06.7', 'P1Y2M-3DT4H5M6.7S'],
    ['-1 years -2 mons +3 days -04:05:06', 'P-1Y-2M3DT-4H-5M-6S'],
    ['-00:00:00.000001', 'PT-0.000001S'],
    ['00:10:00', 'PT10M'],
    ['100:00:00', 'PT100H'],
    ['2562047788:00:54.775807', 'PT2562047788H54.775807S'],
    ['infinity', 'infinity'],
    ['@ 1 day 2 hours', '@ 1 day 2 hours'],
    ['P1DT2H', 'P1DT2H'],
    ['1 2:03:04', '1 2:03:04'],
  ])('%j is loaded as %j', (text, expected) => {
    expect(load('interval', text)).toBe(expected);
  });
});

describe('an array', () => {
  it.each<[string, string, unknown[]]>([
    ['int4[]', '{}', []],
    ['int4[]', '{1,NULL,-3}', [1, null, -3]],
    [
      'int4[]',
      '{{1,2},{3,4}}',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['int4[]', '{{{1}},{{NULL}}}', [[[1]], [[null]]]],
    ['int4[]', '[0:1]={1,2}', [1, 2]],
    [
      'int4[]',
      '[-1:0][2:3]={{1,2},{3,4}}',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [
      'text[]',
      '{a,"b c","","NULL",NULL,null,"a\\"b\\\\c","{x}","ö,"}',
      ['a', 'b c', '', 'NULL', null, null, 'a"b\\c', '{x}', 'ö,'],
    ],
    ['text[]', '{"[0:1]={"}', ['[0:1]={']],
    ['box[]', '{(1,1),(0,0);(2,2),(1,1)}', ['(1,1),(0,0)', '(2,2),(1,1)']],
    ['bytea[]', '{"\\\\x0001"}', [Buffer.from([0, 1])]],
    ['jsonb[]', '{"{\\"a\\": \\"b\\\\\\"c\\"}",NULL}', [{ a: 'b"c' }, null]],
    ['timestamptz[]', '{"1970-01-01 00:00:00+00"}', [new Date(0)]],
    ['bool[]', '{t,f,NULL}', [true, false, null]],
  ])('%s %j is loaded as it is nested', (type, text, expected) => {
    expect(load(type, text)).toEqual(expected);
  });

  it.each(['', '1,2', '{1', '{1,2', '{{1}', '{"a', '[0:1]'])(
    'that is malformed is a DataError: %j',
    (text) => {
      expect(() => load('text[]', text)).toThrow(errors.DataError);
    },
  );

  it('is loaded by the loader that its element has now', () => {
    const map = adapters.clone();
    expect(load('int4[]', '{1}', map)).toEqual([1]);
    map.registerLoader('int4', (text) => `<${text}>`);
    expect(load('int4[]', '{1,NULL}', map)).toEqual(['<1>', null]);
    expect(load('int4[]', '{1}')).toEqual([1]);
  });
});

describe('the adapters', () => {
  it('of a copy and of what it was made of change apart', () => {
    const original = adapters.clone();
    const copy = original.clone();
    original.registerLoader('text', () => 'original');
    copy.registerLoader('text', () => 'copy');
    expect([load('text', 'x', original), load('text', 'x', copy), load('text', 'x')]).toEqual([
      'original',
      'copy',
      'x',
    ]);
  });

  it('take a type that they have been told of, and refuse another', () => {
    const map = adapters.clone();
    map.registerType({ name: 'mood', oid: 90_000, arrayOid: 90_001, delimiter: ',' });
    map.registerLoader('mood', (text) => text.toUpperCase());
    expect(load('mood[]', '{sad,NULL}', map)).toEqual(['SAD', null]);
    expect(map.elementType(90_001)?.name).toBe('mood');
    expect(adapters.type('mood')).toBeUndefined();
    expect(() => {
      map.registerLoader('nonsense', String);
    }).toThrow(/type 'nonsense' is not known/);
  });
});
