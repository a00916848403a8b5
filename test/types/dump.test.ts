import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { dumpParam } from '../../src/types/dump.js';
import { Oids } from '../../src/types/oids.js';
import { errors, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Oid } from '../../src/index.js';
import { dump, refusal } from './dump.js';

describe('a value is sent', () => {
  it.each<[unknown, string, string | null]>([
    [null, '', null],
    ['x', '', 'x'],
    ['', '', ''],
    ['NULL', '', 'NULL'],
    [true, 'bool', 't'],
    [false, 'bool', 'f'],
    [0, 'int2', '0'],
    [-32768, 'int2', '-32768'],
    [32767, 'int2', '32767'],
    [32768, 'int4', '32768'],
    [-32769, 'int4', '-32769'],
    [-2147483648, 'int4', '-2147483648'],
    [2147483647, 'int4', '2147483647'],
    [2147483648, 'int8', '2147483648'],
    [-2147483649, 'int8', '-2147483649'],
    [Number.MAX_SAFE_INTEGER, 'int8', '9007199254740991'],
    [2 ** 60, 'int8', '1152921504606846976'],
    [2 ** 62, 'int8', '4611686018427387904'],
    [-(2 ** 63), 'int8', '-9223372036854775808'],
    [2 ** 63, 'float8', '9223372036854776000'],
    [1e300, 'float8', '1e+300'],
    [-0, 'float8', '-0'],
    [1.5, 'float8', '1.5'],
    [0.1, 'float8', '0.1'],
    [NaN, 'float8', 'NaN'],
    [-Infinity, 'float8', '-Infinity'],
    [5n, 'int8', '5'],
    [2n ** 63n - 1n, 'int8', '9223372036854775807'],
    [2n ** 63n, 'numeric', '9223372036854775808'],
    [-(2n ** 63n) - 1n, 'numeric', '-9223372036854775809'],
    [new Date('2024-01-02T03:04:05.678Z'), 'timestamptz', '2024-01-02T03:04:05.678Z'],
    [new Date('+010000-01-02T03:04:05.678Z'), 'timestamptz', '10000-01-02 03:04:05.678+00'],
    [new Date('+012345-01-02T03:04:05.678Z'), 'timestamptz', '12345-01-02 03:04:05.678+00'],
    [new Date(8.64e15), 'timestamptz', '275760-09-13 00:00:00.000+00'],
    [new Date('0000-01-01T00:00:00Z'), 'timestamptz', '0001-01-01 00:00:00.000+00 BC'],
    [new Date('0000-06-01T00:00:00Z'), 'timestamptz', '0001-06-01 00:00:00.000+00 BC'],
    [new Date('-000043-03-15T12:00:00Z'), 'timestamptz', '0044-03-15 12:00:00.000+00 BC'],
    [new Uint8Array([0, 255]), 'bytea', '\\x00ff'],
    [Buffer.from('a'), 'bytea', '\\x61'],
    [new Uint8Array([9, 1, 2, 9]).subarray(1, 3), 'bytea', '\\x0102'],
    [new Uint8Array(new ArrayBuffer(8), 2, 3), 'bytea', '\\x000000'],
    [new Int2(1), 'int2', '1'],
    [new Int2('-5'), 'int2', '-5'],
    [new Int4('-7'), 'int4', '-7'],
    [new Int4(5), 'int4', '5'],
    [new Int8(5), 'int8', '5'],
    [new Int8(5n), 'int8', '5'],
    [new Oid(4294967295), 'oid', '4294967295'],
    [new Float4(1), 'float4', '1'],
    [new Float8(-0), 'float8', '-0'],
    [new Numeric('1.50'), 'numeric', '1.50'],
    [new Numeric(' 1.50 '), 'numeric', '1.50'],
    [new Numeric('-1e-20'), 'numeric', '-1e-20'],
    [new Numeric(10n ** 30n), 'numeric', `1${'0'.repeat(30)}`],
    [new Numeric('NaN'), 'numeric', 'NaN'],
    [new Json({ a: 1 }), 'json', '{"a":1}'],
    [new Jsonb([null, 'é']), 'jsonb', '[null,"é"]'],
    [new Jsonb(null), 'jsonb', 'null'],
    [new Jsonb({ a: 1n }, { dumps: () => '{"a":1}' }), 'jsonb', '{"a":1}'],
    [new Jsonb(1, { dumps: (value) => `[${String(value)}]` }), 'jsonb', '[1]'],
  ])('%o as %s %s', (value, type, text) => {
    expect(dump(value)).toEqual([type, text]);
  });

  it('exactly, if it is an integral number', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 60 }), (n, bits) => {
        const shorter = Math.trunc(n / 2 ** bits);
        fc.pre(!Object.is(shorter, -0));
        expect(dump(shorter)[1]).toBe(String(shorter));
      }),
    );
  });
});

class Point {
  x = 1;
}

describe('a value is refused', () => {
  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /^\$2: undefined can't be sent .* null for NULL/],
    ['a named function', function go() {}, /^\$2: a function \(go\)/],
    ['a nameless function', () => 1, /^\$2: a function \(anonymous\)/],
    ['a symbol', Symbol('s'), /^\$2: a symbol/],
    ['a promise', Promise.resolve(1), /^\$2: a promise .*did you forget to await it\?$/],
    ['a plain object', { a: 1 }, /^\$2: a plain object .*new Jsonb\(value\)/],
    ['an object without a prototype', Object.create(null), /^\$2: a plain object .*new Jsonb\(value\)/],
    ['a Map', new Map(), /^\$2: an object of class Map .*registerDumper/],
    ['a RegExp', /x/, /^\$2: an object of class RegExp/],
    ['an instance', new Point(), /^\$2: an object of class Point .*registerDumper/],
    ['another typed array', new Float32Array(1), /^\$2: an object of class Float32Array/],
  ])('with a ProgrammingError that contains advice: %s', (_, value, message) => {
    expect(refusal(value, errors.ProgrammingError)).toMatch(message);
  });

  it.each<[string, unknown, RegExp]>([
    ['NUL in text', 'a\0b', /^\$2: .*NUL/],
    ['half a surrogate pair', 'a\ud800', /^\$2: .*lone surrogate/],
    ['an invalid Date', new Date(NaN), /^\$2: the Date is invalid/],
    ['JSON of undefined', new Jsonb(undefined), /^\$2: a value of type undefined can't be turned into JSON/],
    ['JSON of a function', new Json(() => 1), /^\$2: a value of type function can't be turned into JSON/],
    ['JSON of a bigint', new Jsonb({ a: 1n }), /^\$2: .*JSON: .*BigInt/],
    ['NUL in custom JSON', new Jsonb(1, { dumps: () => '"\0"' }), /^\$2: .*NUL/],
  ])('with a DataError: %s', (_, value, message) => {
    expect(refusal(value, errors.DataError)).toMatch(message);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['Int2 too large', () => new Int2(32768), /32768 is out of range for Int2/],
    ['Int2 too small', () => new Int2(-32769), /out of range for Int2/],
    ['Int4 too large', () => new Int4(2 ** 31), /out of range for Int4/],
    ['Int4 too small', () => new Int4(-2147483649), /out of range for Int4/],
    ['Int8 too large', () => new Int8(2n ** 63n), /out of range for Int8/],
    ['a negative Oid', () => new Oid(-1), /out of range for Oid/],
    ['an Oid too large', () => new Oid(2 ** 32), /out of range for Oid/],
    ['a fraction', () => new Int4(1.5), /Int4 takes an integer, got 1.5/],
    ['NaN', () => new Int8(NaN), /Int8 takes an integer, got NaN/],
    ['white space', () => new Int8(' '), /got ' '/],
    ['an empty string', () => new Int8(''), /got ''/],
    ['words', () => new Int8('five'), /got 'five'/],
    ['hexadecimal digits', () => new Int8('0x10'), /got '0x10'/],
    ['a boolean', () => new Int8(true as never), /got true/],
    ['null', () => new Int8(null as never), /got null/],
    ['text for a float4', () => new Float4('1' as never), /Float4 takes a number, got a string/],
    ['text for a float8', () => new Float8('1' as never), /Float8 takes a number, got a string/],
    ['a bigint for a float8', () => new Float8(1n as never), /Float8 takes a number, got a bigint/],
    ['a decimal comma', () => new Numeric('1,5'), /Numeric takes a decimal number, got '1,5'/],
    ['no digits', () => new Numeric(''), /Numeric takes a decimal number, got ''/],
    ['nothing', () => new Numeric(undefined as never), /got 'undefined'/],
  ])('by its wrapper, with a DataError: %s', (_, make, message) => {
    expect(make).toThrow(errors.DataError);
    expect(make).toThrow(message);
  });
});

describe('a dumper of the user', () => {
  class Celsius {
    constructor(readonly degrees: number) {}
  }
  class Boiling extends Celsius {}

  it('is used for its class, its subclasses and in arrays, on the map of its registration', () => {
    const map = adapters.clone();
    map.registerDumper(Celsius, (value: Celsius) => ({ text: String(value.degrees), oid: Oids.numeric }));
    expect(dumpParam(new Boiling(100), map, '$1')).toEqual({ text: '100', oid: Oids.numeric });
    expect(dumpParam([new Celsius(1), null], map, '$1')).toEqual({ text: '{1,NULL}', oid: 1231 });
    expect(refusal(new Celsius(1), errors.ProgrammingError)).toMatch(/class Celsius/);
  });

  it('may replace a built-in one', () => {
    const map = adapters.clone();
    map.registerDumper('boolean', (value: boolean) => ({ text: value ? '1' : '0', oid: Oids.int2 }));
    expect(dumpParam(true, map, '$1')).toEqual({ text: '1', oid: Oids.int2 });
    expect(dumpParam(true, adapters, '$1')).toEqual({ text: 't', oid: Oids.bool });
  });
});
