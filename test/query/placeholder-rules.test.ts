import { describe, expect, it } from 'vitest';
import * as errors from '../../src/errors/index.js';
import { convertQuery, type Params } from '../../src/query/placeholders.js';

function sent(query: string, params: Params): [string, readonly unknown[]] {
  const converted = convertQuery(query, params);
  return [converted.text, converted.values(params)];
}

function refusal(query: string, params: unknown): string {
  try {
    sent(query, params as Params);
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    return (error as Error).message;
  }
  throw new Error(`'${query}' was accepted`);
}

describe('placeholders, by the rules of Psycopg,', () => {
  it.each<[string, Params, string, readonly unknown[]]>([
    ['select %s, %t, %b', [1, 'x', null], 'select $1, $2, $3', [1, 'x', null]],
    ['select %(a)s, %(b)t, %(a)s', { b: 2, a: 1 }, 'select $1, $2, $1', [1, 2]],
    ['select 10 %% %s', [3], 'select 10 % $1', [3]],
    ['%%%s%%', [1], '%$1%', [1]],
    ["select '%s' /* %s */", [1, 2], "select '$1' /* $2 */", [1, 2]],
    ['%%', [], '%', []],
    ['select 10 %\n3 %', [], 'select 10 %\n3 %', []],
    ['select %(a b.é)s', { 'a b.é': 1 }, 'select $1', [1]],
    ['select 1', { unused: 1 }, 'select 1', []],
    ['select %(a)s', { a: null, unused: 1 }, 'select $1', [null]],
  ])('turn %j with %j into %j', (query, params, text, values) => {
    expect(sent(query, params)).toEqual([text, values]);
  });

  it.each<[string, unknown, RegExp]>([
    ['select %s, %s', [1], /the query has 2 placeholders but 1 parameters were passed/],
    ['select %s', [], /1 placeholders but 0/],
    ['select $1', [1], /0 placeholders but 1/],
    ['select %s %(a)s', { a: 1 }, /cannot be mixed/],
    ['select %(a)s %s', { a: 1 }, /cannot be mixed/],
    ['select %(a)s %(a)b', { a: 1 }, /'a' cannot have different formats/],
    ['select %i', [1], /only '%s', '%b', '%t' are allowed as placeholders, got '%i'/],
    ['select %😀', [1], /got '%😀'/],
    ['select %(a)d', { a: 1 }, /got '%\(a\)d'/],
    ["select 'a%' || %s", ['b'], /got '%''/],
    ['select 10 % 3', [], /incomplete placeholder.*'%%'/],
    ['select %(a, 1', { a: 1 }, /incomplete placeholder: '%\(a,'/],
    ['select %(a)', { a: 1 }, /incomplete placeholder: '%\(a\)'/],
    ['select %()s', { '': 1 }, /incomplete placeholder/],
    ['select %(b)s, %(a)s, %(c)s', { a: 1 }, /query parameter missing: b, c/],
    ['select %(constructor)s', {}, /query parameter missing: constructor/],
    ['select %(a)s', [1], /need an object/],
    ['select %s', { a: 1, b: 2 }, /need an array/],
    ['select %s', 'x', /an array or an object of named values, got a string/],
    ['select %s', 1, /got a number/],
    ['select %s', null, /got null/],
    ['select %s', new Set([1]), /got an instance of Set/],
    ['select %s', new Uint8Array(1), /got an instance of Uint8Array/],
    ['select \0%s', [1], /NUL/],
    ['select \ud800%s', [1], /surrogate/],
  ])('refuse %j with %j', (query, params, message) => {
    expect(refusal(query, params)).toMatch(message);
  });

  it('accept the getters of a class as named values', () => {
    class Point {
      get x(): number {
        return 5;
      }
    }
    expect(sent('select %(x)s', new Point() as unknown as Params)[1]).toEqual([5]);
  });

  it('are converted once per query, however many other queries come between', () => {
    const hot = convertQuery('select %s -- hot', [1]);
    for (let i = 0; i < 1000; i++) {
      convertQuery(`select %s -- ${String(i)}`, [1]);
      expect(convertQuery('select %s -- hot', [1])).toBe(hot);
    }
    expect(convertQuery('select %s -- 0', [1])).not.toBe(convertQuery('select %s -- 999', [1]));
  });
});
