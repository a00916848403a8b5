import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { errors, Int2, Int8, Jsonb, Oid } from '../../src/index.js';
import { dump, refusal } from './dump.js';

describe('an array is sent', () => {
  it.each<[unknown[], string, string]>([
    [[], '', '{}'],
    [[[], []], '', '{{},{}}'],
    [[null], '', '{NULL}'],
    [[null, null], '', '{NULL,NULL}'],
    [['a', 'NULL', '', null, 'b"\\'], '', String.raw`{a,"NULL","",NULL,"b\"\\"}`],
    [['a"b\\c{},'], '', String.raw`{"a\"b\\c{},"}`],
    [[1, null, 3], 'int2[]', '{1,NULL,3}'],
    [[1, 40_000], 'int4[]', '{1,40000}'],
    [[2 ** 40, 1], 'int8[]', '{1099511627776,1}'],
    [[40_000, 2 ** 40, 1], 'int8[]', '{40000,1099511627776,1}'],
    [[1, 2n], 'int8[]', '{1,2}'],
    [[1n, 2n ** 64n], 'numeric[]', '{1,18446744073709551616}'],
    [[1, 0.5], 'float8[]', '{1,0.5}'],
    [[0.5, 1], 'float8[]', '{0.5,1}'],
    [[1, 2.5, 40_000], 'float8[]', '{1,2.5,40000}'],
    [[new Int2(1), new Int8(2)], 'int8[]', '{1,2}'],
    [[new Oid(1), null], 'oid[]', '{1,NULL}'],
    [[true, false], 'bool[]', '{t,f}'],
    [
      [
        [1, 2],
        [3, null],
      ],
      'int2[]',
      '{{1,2},{3,NULL}}',
    ],
    [[[[1]], [[2]]], 'int2[]', '{{{1}},{{2}}}'],
    [[[[[[[1]]]]]], 'int2[]', '{{{{{{1}}}}}}'],
    [[new Date('2024-01-02T03:04:05Z')], 'timestamptz[]', '{2024-01-02T03:04:05.000Z}'],
    [[Buffer.from([1])], 'bytea[]', String.raw`{"\\x01"}`],
    [[new Jsonb({ a: 'b' })], 'jsonb[]', String.raw`{"{\"a\":\"b\"}"}`],
  ])('%o as %s %s', (value, type, text) => {
    expect(dump(value)).toEqual([type, text]);
  });

  it.each([
    ['int2', 1005],
    ['int4', 1007],
    ['int8', 1016],
    ['float8', 1022],
    ['numeric', 1231],
    ['bool', 1000],
    ['bytea', 1001],
    ['jsonb', 3807],
    ['timestamptz', 1185],
    ['oid', 1028],
  ])('of %s by the server’s oid %i', (type, oid) => {
    expect(adapters.type(type)?.arrayOid).toBe(oid);
  });
});

describe('an array is refused', () => {
  const itself: unknown[] = [];
  itself.push(itself);

  it.each<[string, unknown[]]>([
    ['rows of different length', [[1, 2], [3]]],
    ['a longer row behind', [[1], [2, 3]]],
    ['a row without elements', [[1], []]],
    ['a value behind a row', [[1], 2]],
    ['a row behind a value', [1, [2]]],
    ['NULL behind a row', [[1], null]],
    ['a row behind NULL', [null, [1]]],
    ['a row that is less deep', [[[1]], [2]]],
    ['a row that is deeper', [[1], [[2]]]],
  ])('if its parts differ in length or depth: %s', (_, value) => {
    expect(refusal(value, errors.DataError)).toMatch(
      /^\$2\[1\](\[0\])?: nested arrays must all have the same length and depth/,
    );
  });

  it.each<[string, unknown[], RegExp]>([
    ['text and numbers', ['a', 1], /^\$2\[1\]: an array can't mix text and int2/],
    ['numbers and text', [1, 'a'], /^\$2\[1\]: an array can't mix int2 and text/],
    ['numbers and booleans', [1, true], /mix int2 and bool/],
    ['booleans and numbers', [true, 1], /mix bool and int2/],
    ['Dates and text', [new Date(0), 'x'], /mix timestamptz and text/],
    ['bigints and fractions', [2n ** 60n + 1n, 1.5], /mix int8 and float8/],
    ['a bigint, an integer and a fraction', [2n ** 60n + 1n, 1, 1.5], /mix int8 and float8/],
    ['a fraction, an integer and a bigint', [1.5, 1, 2n ** 60n + 1n], /mix float8 and int8/],
  ])('if its elements are of different types: %s', (_, value, message) => {
    expect(refusal(value, errors.DataError)).toMatch(message);
  });

  it('if it is deeper than the server’s arrays, or contains itself', () => {
    expect(refusal([[[[[[[1]]]]]]], errors.DataError)).toMatch(/6 dimensions/);
    expect(refusal(itself, errors.DataError)).toMatch(/contain itself/);
  });

  it('with the position of the element at fault', () => {
    expect(refusal(['a\0b'], errors.DataError)).toMatch(/^\$2\[0\]: .*NUL/);
    expect(refusal(['a', '\0'], errors.DataError)).toMatch(/^\$2\[1\]: .*NUL/);
    expect(refusal([1, [undefined]], errors.DataError)).toMatch(/^\$2\[1\]/);
    expect(refusal([[1, undefined]], errors.ProgrammingError)).toMatch(/^\$2\[0\]\[1\]: undefined/);
    expect(refusal([['a'], [undefined]], errors.ProgrammingError)).toMatch(/^\$2\[1\]\[0\]: undefined/);
    expect(refusal([1, { a: 1 }], errors.ProgrammingError)).toMatch(/^\$2\[1\]: a plain object/);
    expect(refusal([1, 2, 3, { a: 1 }], errors.ProgrammingError)).toMatch(/^\$2\[3\]: .*Jsonb/);
    // eslint-disable-next-line no-sparse-arrays -- a hole is no value
    expect(refusal([1, , 3], errors.ProgrammingError)).toMatch(/^\$2\[1\]: undefined/);
  });
});
