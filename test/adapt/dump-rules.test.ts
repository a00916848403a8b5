import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/adapt/adapters.js';
import { dumpParam } from '../../src/adapt/dump.js';
import * as errors from '../../src/errors/index.js';
import { Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Oid } from '../../src/adapt/wrappers.js';

function dump(value: unknown): [type: string, text: string | null] {
  const { text, oid } = dumpParam(value, adapters, '$2');
  const element = adapters.elementType(oid);
  return [oid === 0 ? '' : element === undefined ? adapters.type(oid)!.name : `${element.name}[]`, text];
}

function refusal(value: unknown, errorClass: abstract new (...args: never[]) => Error): string {
  try {
    dump(value);
  } catch (error) {
    expect(error).toBeInstanceOf(errorClass);
    return (error as Error).message;
  }
  throw new Error('the value was accepted');
}

class Point {
  x = 1;
}

describe('a value is sent', () => {
  it.each<[unknown, string, string | null]>([
    [null, '', null],
    ['x', '', 'x'],
    ['', '', ''],
    [true, 'bool', 't'],
    [false, 'bool', 'f'],
    [0, 'int2', '0'],
    [-32768, 'int2', '-32768'],
    [32767, 'int2', '32767'],
    [32768, 'int4', '32768'],
    [-32769, 'int4', '-32769'],
    [-2147483648, 'int4', '-2147483648'],
    [2147483648, 'int8', '2147483648'],
    [Number.MAX_SAFE_INTEGER, 'int8', '9007199254740991'],
    [2 ** 60, 'int8', '1152921504606846976'],
    [-(2 ** 63), 'int8', '-9223372036854775808'],
    [2 ** 63, 'float8', '9223372036854776000'],
    [1e300, 'float8', '1e+300'],
    [-0, 'float8', '-0'],
    [1.5, 'float8', '1.5'],
    [NaN, 'float8', 'NaN'],
    [-Infinity, 'float8', '-Infinity'],
    [5n, 'int8', '5'],
    [2n ** 63n - 1n, 'int8', '9223372036854775807'],
    [2n ** 63n, 'numeric', '9223372036854775808'],
    [-(2n ** 63n) - 1n, 'numeric', '-9223372036854775809'],
    [new Date('2024-01-02T03:04:05.678Z'), 'timestamptz', '2024-01-02T03:04:05.678Z'],
    [new Date('+012345-01-02T03:04:05.678Z'), 'timestamptz', '12345-01-02 03:04:05.678+00'],
    [new Date('0000-01-01T00:00:00Z'), 'timestamptz', '0001-01-01 00:00:00.000+00 BC'],
    [new Date('-000043-03-15T12:00:00Z'), 'timestamptz', '0044-03-15 12:00:00.000+00 BC'],
    [new Uint8Array([0, 255]), 'bytea', '\\x00ff'],
    [Buffer.from('a'), 'bytea', '\\x61'],
    [new Uint8Array(new ArrayBuffer(8), 2, 3), 'bytea', '\\x000000'],
    [new Int2(1), 'int2', '1'],
    [new Int4('-7'), 'int4', '-7'],
    [new Int8(5), 'int8', '5'],
    [new Oid(4294967295), 'oid', '4294967295'],
    [new Float4(1), 'float4', '1'],
    [new Float8(-0), 'float8', '-0'],
    [new Numeric('1.50'), 'numeric', '1.50'],
    [new Numeric('-1e-20'), 'numeric', '-1e-20'],
    [new Numeric(10n ** 30n), 'numeric', `1${'0'.repeat(30)}`],
    [new Numeric('NaN'), 'numeric', 'NaN'],
    [new Json({ a: 1 }), 'json', '{"a":1}'],
    [new Jsonb([null, 'é']), 'jsonb', '[null,"é"]'],
    [new Jsonb(null), 'jsonb', 'null'],
    [new Jsonb({ a: 1n }, { dumps: () => '{"a":1}' }), 'jsonb', '{"a":1}'],
  ])('%o as %s %s', (value, type, text) => {
    expect(dump(value)).toEqual([type, text]);
  });

  it.each<[unknown, string, string]>([
    [[], '', '{}'],
    [[[], []], '', '{}'],
    [[null, null], '', '{NULL,NULL}'],
    [['a', 'NULL', '', null, 'b"\\'], '', String.raw`{"a","NULL","",NULL,"b\"\\"}`],
    [[1, null, 2], 'int2[]', '{1,NULL,2}'],
    [[1, 40000], 'int4[]', '{1,40000}'],
    [[2 ** 40, 1], 'int8[]', '{1099511627776,1}'],
    [[1, 2n], 'int8[]', '{1,2}'],
    [[1n, 2n ** 64n], 'numeric[]', '{1,18446744073709551616}'],
    [[1, 2.5, 40000], 'float8[]', '{1,2.5,40000}'],
    [[new Int2(1), new Int8(2)], 'int8[]', '{1,2}'],
    [[true, false], 'bool[]', '{t,f}'],
    [
      [
        [1, 2],
        [3, null],
      ],
      'int2[]',
      '{{1,2},{3,NULL}}',
    ],
    [[[[[[[1]]]]]], 'int2[]', '{{{{{{1}}}}}}'],
    [[new Date('2024-01-02T03:04:05Z')], 'timestamptz[]', '{"2024-01-02T03:04:05.000Z"}'],
    [[Buffer.from('a')], 'bytea[]', String.raw`{"\\x61"}`],
    [[new Jsonb({ a: 'b' })], 'jsonb[]', String.raw`{"{\"a\":\"b\"}"}`],
  ])('array %o as %s %s', (value, type, text) => {
    expect(dump(value)).toEqual([type, text]);
  });

  it('integral numbers exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 60 }), (n, bits) => {
        const shorter = Math.trunc(n / 2 ** bits);
        fc.pre(!Object.is(shorter, -0));
        expect(dump(shorter)[1]).toBe(String(shorter));
      }),
    );
  });
});

describe('a value is refused', () => {
  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /^\$2: undefined .* null for NULL/],
    ['a named function', function go() {}, /^\$2: a function \(go\)/],
    ['a symbol', Symbol('s'), /^\$2: a symbol/],
    ['a plain object', { a: 1 }, /^\$2: a plain object .*new Jsonb\(value\)/],
    ['an object without a prototype', Object.create(null), /^\$2: a plain object .*new Jsonb\(value\)/],
    ['a Map', new Map(), /^\$2: an object of class Map /],
    ['an instance', new Point(), /^\$2: an object of class Point .*registerDumper/],
    ['another typed array', new Float32Array(1), /^\$2: an object of class Float32Array/],
    ['a plain object in an array', [1, { a: 1 }], /^\$2\[1\]: a plain object/],
    ['undefined in a nested array', [['a'], [undefined]], /^\$2\[1\]\[0\]: undefined/],
    ['a hole', [1, , 3], /^\$2\[1\]: undefined/], // eslint-disable-line no-sparse-arrays
  ])('with a ProgrammingError: %s', (_, value, message) => {
    expect(refusal(value, errors.ProgrammingError)).toMatch(message);
  });

  const itself: unknown[] = [];
  itself.push(itself);
  it.each<[string, unknown, RegExp]>([
    ['NUL in text', 'a\0b', /^\$2: .*NUL/],
    ['half a surrogate pair', 'a\ud800', /^\$2: .*surrogate/],
    ['NUL in an array', ['a', '\0'], /^\$2\[1\]: .*NUL/],
    ['an invalid Date', new Date(NaN), /^\$2: the Date is invalid/],
    ['JSON of undefined', new Jsonb(undefined), /^\$2: a value of type undefined can't be turned into JSON/],
    ['JSON of a bigint', new Jsonb({ a: 1n }), /^\$2: .*BigInt/],
    ['NUL in custom JSON', new Jsonb(1, { dumps: () => '"\0"' }), /^\$2: .*NUL/],
    ['text and numbers', ['a', 1], /^\$2\[1\]: an array can't mix text and int2/],
    ['booleans and numbers', [1, true], /mix int2 and bool/],
    ['bigints and fractions', [2n ** 60n + 1n, 1.5], /mix int8 and float8/],
    ['a bigint, an integer and a fraction', [2n ** 60n + 1n, 1, 1.5], /mix int8 and float8/],
    ['a fraction, an integer and a bigint', [1.5, 1, 2n ** 60n + 1n], /mix float8 and int8/],
    ['rows of different length', [[1, 2], [3]], /^\$2\[1\]: .*same length/],
    ['rows of different depth', [[1], [[2]]], /length and depth/],
    ['a value among rows', [[1], 2], /length and depth/],
    ['a row among values', [1, [2]], /length and depth/],
    ['NULL among rows', [[1], null], /length and depth/],
    ['a row after NULL', [null, [1]], /length and depth/],
    ['seven dimensions', [[[[[[[1]]]]]]], /6 dimensions/],
    ['an array that contains itself', itself, /contain itself/],
  ])('with a DataError: %s', (_, value, message) => {
    expect(refusal(value, errors.DataError)).toMatch(message);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['Int2 out of range', () => new Int2(32768), /32768 is out of range for Int2/],
    ['Int4 out of range', () => new Int4(-2147483649), /out of range for Int4/],
    ['Int8 out of range', () => new Int8(2n ** 63n), /out of range for Int8/],
    ['a negative Oid', () => new Oid(-1), /out of range for Oid/],
    ['a fraction', () => new Int4(1.5), /Int4 takes an integer, got 1.5/],
    ['NaN', () => new Int4(NaN), /got NaN/],
    ['white space', () => new Int8(' '), /got ' '/],
    ['an empty string', () => new Int8(''), /got ''/],
    ['hexadecimal digits', () => new Int8('0x10'), /got '0x10'/],
    ['a boolean', () => new Int8(true as never), /got true/],
    ['null', () => new Int8(null as never), /got null/],
    ['text for a float', () => new Float8('1' as never), /Float8 takes a number, got a string/],
    ['text for a numeric', () => new Numeric('1,5'), /Numeric takes a decimal number, got '1,5'/],
    ['nothing for a numeric', () => new Numeric(undefined as never), /got 'undefined'/],
  ])('by its wrapper: %s', (_, make, message) => {
    expect(make).toThrow(errors.DataError);
    expect(make).toThrow(message);
  });
});
