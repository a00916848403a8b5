import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { dumpParam } from '../../src/types/dump.js';
import * as errors from '../../src/errors/index.js';
import { load } from './load.js';

describe('arrays load', () => {
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
      'int4[]',
      '[1:1][-2:-1][3:4]={{{1,2},{3,4}}}',
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ],
    ['int8[]', '{9223372036854775807}', [9223372036854775807n]],
    ['bool[]', '{t,f,NULL}', [true, false, null]],
    ['text[]', '{a,"b c","NULL",NULL,null,"",nullable}', ['a', 'b c', 'NULL', null, null, '', 'nullable']],
    [
      'text[]',
      String.raw`{"a\"b","c\\d","{e,f}","{x}","ö,","é,☃"}`,
      ['a"b', 'c\\d', '{e,f}', '{x}', 'ö,', 'é,☃'],
    ],
    ['text[]', '{"[0:1]={"}', ['[0:1]={']],
    ['float8[]', '{1.5,NaN,-Infinity}', [1.5, NaN, -Infinity]],
    ['timestamp[]', '{"2024-01-02 03:04:05"}', ['2024-01-02T03:04:05']],
    ['timestamptz[]', '{"2024-01-02 03:04:05+00",NULL}', [new Date('2024-01-02T03:04:05Z'), null]],
    ['jsonb[]', String.raw`{"{\"a\": \"b\\\\c\"}",1,NULL}`, [{ a: 'b\\c' }, 1, null]],
    ['jsonb[]', String.raw`{"{\"a\": \"b\\\"c\"}"}`, [{ a: 'b"c' }]],
    ['bytea[]', String.raw`{"\\x00ff"}`, [Buffer.from([0, 255])]],
    ['box[]', '{(1,1),(0,0);(2,2),(1,1)}', ['(1,1),(0,0)', '(2,2),(1,1)']],
  ])('%s %s with its nesting', (type, text, loaded) => {
    expect(load(type, text)).toEqual(loaded);
  });

  it('as they were dumped, with any text', () => {
    const element = fc.option(
      fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '{', '}', ' ', 'N', 'é', '\n') }),
    );
    fc.assert(
      fc.property(fc.array(element), fc.integer({ min: 1, max: 4 }), (row, height) => {
        const { text } = dumpParam(row, adapters, '$1');
        expect(load('text[]', text!)).toEqual(row);
        if (row.length === 0) return;
        const rows = Array.from({ length: height }, () => row);
        expect(load('text[]', dumpParam(rows, adapters, '$1').text!)).toEqual(rows);
      }),
    );
  });

  it.each(['', '1', '1,2', '{', '{1', '{1,', '{1,2', '{"a', '{{1}', '[0:1]'])(
    'with a DataError if they are truncated: %j',
    (text) => {
      expect(() => load('text[]', text)).toThrow(errors.DataError);
    },
  );

  it('with the current loader of their element', () => {
    const map = adapters.clone();
    expect(load('int4[]', '{1}', map)).toEqual([1]);
    map.registerLoader('int4', (text) => `<${text}>`);
    expect(load('int4[]', '{1,NULL}', map)).toEqual(['<1>', null]);
    expect(load('int4[]', '{1}')).toEqual([1]);
  });
});
