import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/adapt/adapters.js';
import { dumpParam } from '../../src/adapt/dump.js';
import { Oids } from '../../src/adapt/oids.js';
import { errors, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Oid } from '../../src/index.js';

function dump(value: unknown): [text: string | null, oid: number] {
  const { text, oid } = dumpParam(value, adapters, '$2');
  return [text, oid];
}

function refusal(value: unknown, errorClass: new (message: string) => Error): string {
  try {
    dump(value);
  } catch (error) {
    expect(error).toBeInstanceOf(errorClass);
    return (error as Error).message;
  }
  throw new Error('it should have been refused');
}

describe('a value is sent as', () => {
  it.each<[unknown, string | null, number]>([
    [null, null, Oids.unknown],
    ['', '', Oids.unknown],
    ['NULL', 'NULL', Oids.unknown],
    [true, 't', Oids.bool],
    [false, 'f', Oids.bool],
    [0, '0', Oids.int2],
    [-0, '-0', Oids.float8],
    [32_767, '32767', Oids.int2],
    [-32_768, '-32768', Oids.int2],
    [32_768, '32768', Oids.int4],
    [-32_769, '-32769', Oids.int4],
    [2 ** 31 - 1, '2147483647', Oids.int4],
    [2 ** 31, '2147483648', Oids.int8],
    [-(2 ** 31) - 1, '-2147483649', Oids.int8],
    [2 ** 62, '4611686018427387904', Oids.int8],
    [-(2 ** 63), '-9223372036854775808', Oids.int8],
    [2 ** 63, '9223372036854776000', Oids.float8],
    [1e300, '1e+300', Oids.float8],
    [0.1, '0.1', Oids.float8],
    [NaN, 'NaN', Oids.float8],
    [-Infinity, '-Infinity', Oids.float8],
    [5n, '5', Oids.int8],
    [2n ** 63n - 1n, '9223372036854775807', Oids.int8],
    [2n ** 63n, '9223372036854775808', Oids.numeric],
    [-(2n ** 63n) - 1n, '-9223372036854775809', Oids.numeric],
    [Buffer.from('00ff', 'hex'), '\\x00ff', Oids.bytea],
    [new Uint8Array([9, 1, 2, 9]).subarray(1, 3), '\\x0102', Oids.bytea],
    [new Date('2024-01-02T03:04:05.678Z'), '2024-01-02T03:04:05.678Z', Oids.timestamptz],
    [new Date('+010000-01-02T03:04:05.678Z'), '10000-01-02 03:04:05.678+00', Oids.timestamptz],
    [new Date(8.64e15), '275760-09-13 00:00:00.000+00', Oids.timestamptz],
    [new Date('0000-06-01T00:00:00Z'), '0001-06-01 00:00:00.000+00 BC', Oids.timestamptz],
    [new Date('-000043-03-15T12:00:00Z'), '0044-03-15 12:00:00.000+00 BC', Oids.timestamptz],
    [new Json({ a: [1] }), '{"a":[1]}', Oids.json],
    [new Jsonb(null), 'null', Oids.jsonb],
    [new Jsonb(1, { dumps: (value) => `[${String(value)}]` }), '[1]', Oids.jsonb],
    [new Int2('-5'), '-5', Oids.int2],
    [new Int4(5), '5', Oids.int4],
    [new Int8(5n), '5', Oids.int8],
    [new Oid(2 ** 32 - 1), '4294967295', Oids.oid],
    [new Float4(5), '5', Oids.float4],
    [new Float8(-0), '-0', Oids.float8],
    [new Numeric(' 1.50 '), '1.50', Oids.numeric],
    [new Numeric(10n ** 30n), `1${'0'.repeat(30)}`, Oids.numeric],
    [new Numeric('NaN'), 'NaN', Oids.numeric],
  ])('%o: %j of type %i', (value, text, oid) => {
    expect(dump(value)).toEqual([text, oid]);
  });
});

describe('an array is sent as', () => {
  it.each<[unknown[], string, number]>([
    [[], '{}', 0],
    [[[], []], '{}', 0],
    [[null], '{NULL}', 0],
    [[1, null, 3], '{1,NULL,3}', 1005],
    [[1, 40_000], '{1,40000}', 1007],
    [[40_000, 2 ** 40, 1], '{40000,1099511627776,1}', 1016],
    [[1, 0.5], '{1,0.5}', 1022],
    [[0.5, 1], '{0.5,1}', 1022],
    [[1, 5n], '{1,5}', 1016],
    [[5n, 2n ** 64n], '{5,18446744073709551616}', 1231],
    [[true, false], '{t,f}', 1000],
    [
      [
        [1, 2],
        [3, null],
      ],
      '{{1,2},{3,NULL}}',
      1005,
    ],
    [[[[1]], [[2]]], '{{{1}},{{2}}}', 1005],
    [['a', 'NULL', '', 'a"b\\c{},'], '{"a","NULL","","a\\"b\\\\c{},"}', 0],
    [[Buffer.from([1])], '{"\\\\x01"}', 1001],
    [[new Jsonb({ a: 1 })], '{"{\\"a\\":1}"}', 3807],
    [[new Date(0)], '{"1970-01-01T00:00:00.000Z"}', 1185],
    [[new Oid(1), null], '{1,NULL}', 1028],
  ])('%o: %j of type %i', (value, text, oid) => {
    expect(dump(value)).toEqual([text, oid]);
  });

  it.each<[unknown[]]>([
    [[[1], [2, 3]]],
    [[[1], 2]],
    [[1, [2]]],
    [[[1], []]],
    [[null, [1]]],
    [[[1], null]],
    [[[[1]], [2]]],
    [[[1], [[2]]]],
  ])('nothing, if its parts differ in length or depth: %j', (value) => {
    expect(refusal(value, errors.DataError)).toMatch(/nested arrays must all have the same length and depth/);
  });

  it('nothing, if its elements are of different types', () => {
    expect(refusal([1, 'a'], errors.DataError)).toMatch(/^\$2\[1\]: an array can't mix int2 and text/);
    expect(refusal([true, 1], errors.DataError)).toMatch(/bool and int2/);
    expect(refusal([new Date(0), 'x'], errors.DataError)).toMatch(/timestamptz and text/);
  });
});

describe('a value is refused', () => {
  it.each<[unknown, RegExp]>([
    [undefined, /^\$2: undefined can't be sent.*null/],
    [() => 1, /function \(anonymous\)/],
    [function named(): void {}, /function \(named\)/],
    [Symbol('s'), /symbol/],
    [{ a: 1 }, /plain object.*new Jsonb\(value\)/],
    [Object.create(null), /new Jsonb\(value\)/],
    [new Map(), /class Map.*registerDumper/],
    [/x/, /class RegExp/],
    [new Float64Array(1), /class Float64Array/],
  ])('%o, and the message says what to do', (value, message) => {
    // Not every value has a name that the title can show.
    expect(refusal(value, errors.ProgrammingError)).toMatch(message);
  });

  it('by its place in an array', () => {
    expect(refusal([1, [undefined]], errors.DataError)).toMatch(/^\$2\[1\]/);
    expect(refusal([[1, undefined]], errors.ProgrammingError)).toMatch(/^\$2\[0\]\[1\]: undefined/);
    expect(refusal([1, 2, 3, { a: 1 }], errors.ProgrammingError)).toMatch(/^\$2\[3\]: .*Jsonb/);
    // eslint-disable-next-line no-sparse-arrays -- a hole is no value
    expect(refusal([1, , 3], errors.ProgrammingError)).toMatch(/^\$2\[1\]: undefined/);
  });

  it('that its type can not hold', () => {
    expect(refusal('a\0b', errors.DataError)).toMatch(/^\$2: .*NUL/);
    expect(refusal('\ud800', errors.DataError)).toMatch(/lone surrogate/);
    expect(refusal(['a\0b'], errors.DataError)).toMatch(/^\$2\[0\]/);
    expect(refusal(new Date(NaN), errors.DataError)).toMatch(/Date is invalid/);
    expect(refusal(new Jsonb(1n), errors.DataError)).toMatch(/^\$2: .*JSON/);
    expect(refusal(new Jsonb(undefined), errors.DataError)).toMatch(/type undefined/);
    expect(refusal(new Json(() => 1), errors.DataError)).toMatch(/type function/);
  });
});

describe('a wrapper refuses what is out of its range', () => {
  it.each<[string, () => unknown]>([
    ['Int2', () => new Int2(32_768)],
    ['Int2', () => new Int2(-32_769)],
    ['Int4', () => new Int4(2 ** 31)],
    ['Int4', () => new Int4(1.5)],
    ['Int8', () => new Int8(2n ** 63n)],
    ['Int8', () => new Int8('')],
    ['Int8', () => new Int8('five')],
    ['Int8', () => new Int8(NaN)],
    ['Oid', () => new Oid(-1)],
    ['Oid', () => new Oid(2 ** 32)],
    ['Float4', () => new Float4('1' as never)],
    ['Float8', () => new Float8(1n as never)],
    ['Numeric', () => new Numeric('1,5')],
    ['Numeric', () => new Numeric('')],
  ])('%s', (name, make) => {
    expect(make).toThrow(errors.DataError);
    expect(make).toThrow(name);
  });
});

describe('a dumper of the user', () => {
  class Celsius {
    constructor(readonly degrees: number) {}
  }
  class Boiling extends Celsius {}

  it('is used for its class, its subclasses and in arrays, on the map it was registered with', () => {
    const map = adapters.clone();
    map.registerDumper(Celsius, (value: Celsius) => ({ text: String(value.degrees), oid: Oids.numeric }));
    expect(dumpParam(new Boiling(100), map, '$1')).toEqual({ text: '100', oid: Oids.numeric });
    expect(dumpParam([new Celsius(1), null], map, '$1')).toEqual({ text: '{1,NULL}', oid: 1231 });
    expect(refusal(new Celsius(1), errors.ProgrammingError)).toMatch(/class Celsius/);
  });

  it('may take the place of a built-in one', () => {
    const map = adapters.clone();
    map.registerDumper('boolean', (value: boolean) => ({ text: value ? '1' : '0', oid: Oids.int2 }));
    expect(dumpParam(true, map, '$1')).toEqual({ text: '1', oid: Oids.int2 });
    expect(dumpParam(true, adapters, '$1')).toEqual({ text: 't', oid: Oids.bool });
  });
});
