import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SqlScanner } from '../src/sql-scanner.js';
import { firstWords, segmentsOf, startOfFirstToken } from '../src/sql-segments.js';

/** The kinds of a text's segments and their texts; `+` stands before a string that goes on with the one before. */
function divided(text: string, backslashes = false): [string, string][] {
  return Array.from(segmentsOf(text, new SqlScanner(backslashes)), ({ kind, start, end, isContinued }) => [
    isContinued ? `+${kind}` : kind,
    text.slice(start, end),
  ]);
}

describe('the segments of a text', () => {
  it.each<[string, [string, string][]]>([
    ['', []],
    ['SELECT 1', [['sql', 'SELECT 1']]],
    ["a'b''c'd", [['sql', 'a'], ['string', "'b''c'"], ['sql', 'd']]], // prettier-ignore
    [
      String.raw`(E'\''`,
      [
        ['sql', '('],
        ['string', String.raw`E'\''`],
      ],
    ],
    [
      "xE'a'",
      [
        ['sql', 'xE'],
        ['string', "'a'"],
      ],
    ],
    [
      `U&"a""b"U&'c'`,
      [
        ['quoted identifier', 'U&"a""b"'],
        ['string', "U&'c'"],
      ],
    ],
    ["'a' --b\n'c'", [['string', "'a'"], ['sql', ' '], ['line comment', '--b\n'], ['+string', "'c'"]]], // prettier-ignore
    [
      "'a' 'c'",
      [
        ['string', "'a'"],
        ['sql', ' '],
        ['string', "'c'"],
      ],
    ],
    [
      '1/*a/*b*/*/-2',
      [
        ['sql', '1'],
        ['comment', '/*a/*b*/*/'],
        ['sql', '-2'],
      ],
    ],
    [
      '$1$a$ $$ $a$',
      [
        ['sql', '$1'],
        ['dollar-quoted string', '$a$ $$ $a$'],
      ],
    ],
    [
      'a$b$ "c',
      [
        ['sql', 'a$b$ '],
        ['quoted identifier', '"c'],
      ],
    ],
  ])('%j', (text, segments) => {
    expect(divided(text)).toEqual(segments);
  });

  it('depend on standard_conforming_strings', () => {
    expect(divided(String.raw`'\''`, true)).toEqual([['string', String.raw`'\''`]]);
  });

  it('are whole, and what a scanner finds open within them', () => {
    const pieces = "'|\"|--|/*|*/|\n|$|$$|$a$|$1|E'|b'|N'|U&'|U&\"|u&|\\|''|'\n'|a|1| |é".split('|');
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...pieces), { maxLength: 12 }),
        fc.boolean(),
        (texts, backslashes) => {
          const text = texts.join('');
          const segments = [...segmentsOf(text, new SqlScanner(backslashes))];
          let at = 0;
          for (const [i, { kind, start, end }] of segments.entries()) {
            expect(start).toBe(at);
            expect(end).toBeGreaterThan(start);
            at = end;
            const scanner = new SqlScanner(backslashes);
            scanner.read(text.slice(0, end));
            expect(scanner.open).toBe(i === segments.length - 1 && kind !== 'sql' ? scanner.open : null);
            if (kind !== 'sql') {
              const within = new SqlScanner(backslashes);
              within.read(text.slice(0, end - 1));
              expect([kind, null]).toContain(within.open);
            }
          }
          expect(at).toBe(text.length);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

it.each([
  ['SELECT', 0],
  [' \t\r\n\f\vSELECT', 6],
  ['-- a\rSELECT', 5],
  ['/* a /* b */ */ -- c\n SELECT', 22],
  ['/* a */"b"', 7],
  [' -1', 1],
  [' / 2', 1],
  ['-- a', 4],
  ['/* a', 4],
  ['\u00a0SELECT', 0],
  ['', 0],
])('the first token of %j begins at %i', (text, start) => {
  expect(startOfFirstToken(text)).toBe(start);
});

it.each([
  ['', ''],
  ['BEGIN', 'begin'],
  ['Start/* a /* b */ */Transaction--c\nREAD ONLY', 'start transaction'],
  ['/* a */ rollback;to', 'rollback'],
  ['begin$x é1', 'begin$x é1'],
  ['select 1', 'select'],
  ['"a" b', ''],
  ['-- a', ''],
  ['a.b', 'a'],
])('the first two words of %j are %j', (text, words) => {
  expect(firstWords(text, 2)).toBe(words);
});
