import { expect, test } from 'vitest';
import { copyOptions, firstOfSeveral } from '../../src/copy/statement-options.js';

test.each<[string, Record<string, string> | null]>([
  ['COPY t FROM STDIN', {}],
  ['copy t (a, "from", c) to stdout;', {}],
  ["COPY t FROM STDIN (FORMAT csv, HEADER, DELIMITER ';')", { format: 'csv', header: '', delimiter: ';' }],
  ['COPY t FROM STDIN WITH (FORMAT "csv", HEADER match)', { format: 'csv', header: 'match' }],
  [
    "COPY t FROM STDIN WITH (format 'text', null '', FORCE_NULL (a, b), encoding 'utf8')",
    {
      format: 'text',
      null: '',
      force_null: '(a,b)',
      encoding: 'utf8',
    },
  ],
  [
    "COPY t TO STDOUT CSV HEADER DELIMITER AS E'\\t' NULL ''''",
    {
      format: 'csv',
      header: '',
      delimiter: '\t',
      null: "'",
    },
  ],
  ['COPY BINARY t TO STDOUT', { format: 'binary' }],
  ['COPY t FROM STDIN BINARY', { format: 'binary' }],
  ["COPY t FROM STDIN DELIMITERS ',' WHERE a = 'csv'", { delimiter: ',' }],
  ["COPY (SELECT 'to stdout (format csv)' FROM stdin) TO STDOUT", {}],
  [
    'COPY (SELECT $$to stdout (format csv)$$ FROM (SELECT 1) AS x) TO STDOUT (FORMAT binary)',
    { format: 'binary' },
  ],
  ['/* from stdin (format csv) /* nested */ */ COPY t -- from stdin csv\n FROM STDIN', {}],
  ['COPY "to stdout csv" TO STDOUT', {}],
  ['COPY "a"" to stdout csv" TO STDOUT (FORMAT csv) -- and no line break', { format: 'csv' }],
  ["COPY t FROM STDIN (NULL E'\\\\N')", { null: '\\N' }],
  ["COPY t FROM STDIN (FORMAT E'\\x63s\\166')", { format: 'csv' }],
  ["COPY t FROM STDIN (FORMAT E'\\u0063s\\U00000076')", { format: 'csv' }],
  ["COPY t FROM STDIN (FORMAT U&'\\0063s\\+000076')", { format: 'csv' }],
  ['COPY t FROM STDIN (U&"\\0066ormat" U&"cs\\0076")', { format: 'csv' }],
  ["COPY t FROM STDIN (FORMAT U&'!0063sv' UESCAPE '!')", { format: '!0063svUESCAPE…!' }],
  ["COPY t FROM STDIN (FORMAT 'c' -- and\n 'sv')", { format: 'csv' }],
  ["COPY t FROM STDIN (FORMAT E'c'\n'\\x73v')", { format: 'csv' }],
  ['COPY t FROM STDIN (FORMAT $$csv$$, DELIMITER $a$;$a$)', { format: 'csv', delimiter: ';' }],
  ["COPY t FROM '/file' CSV", null],
  ['SELECT 1', null],
  ["COPY t FROM STDIN (NULL 'unfinished", null],
  ['COPY t FROM STDIN /* unfinished', null],
  ['', null],
])('the options of %s', (statement, options) => {
  const found = copyOptions(statement, false);
  expect(found === null ? null : Object.fromEntries(found)).toEqual(options);
});

test('strings have escapes where standard_conforming_strings is off', () => {
  const statement = String.raw`COPY t FROM STDIN (FORMAT 'c\163v', NULL '\N', DELIMITER '\'')`;
  expect([...copyOptions(statement, true)!]).toEqual([
    ['format', 'csv'],
    ['null', 'N'],
    ['delimiter', "'"],
  ]);
  expect(copyOptions(statement, false)).toBeNull();
});

test.each([
  ['COPY t FROM STDIN', null],
  ['COPY t FROM STDIN; -- and that is it\n;', null],
  ["COPY (SELECT ';') TO STDOUT", null],
  ["COPY t FROM STDIN (DELIMITER ';') ; SELECT 1", "COPY t FROM STDIN (DELIMITER ';') "],
  ['SELECT 1; COPY t FROM STDIN', 'SELECT 1'],
])('the first of several statements in %s', (text, first) => {
  expect(firstOfSeveral(text, false)).toBe(first);
});

test.each<[string, (mega: number) => string]>([
  ['quotes', (mega) => `COPY t FROM STDIN (NULL ${"'".repeat(mega)}`],
  ['names', (mega) => `COPY ${'"a"'.repeat(mega / 3)}`],
  ['one name', (mega) => `COPY "${'""'.repeat(mega / 2)}" FROM STDIN`],
  ['comments', (mega) => `COPY t ${'/*'.repeat(mega / 2)}`],
  ['ends of comments', (mega) => `COPY t ${'/**/'.repeat(mega / 4)}`],
  ['dollars', (mega) => `COPY t ${'$'.repeat(mega)}`],
  ['dollars with names', (mega) => `COPY t ${'$a'.repeat(mega / 2)}`],
  ['white space', (mega) => `COPY t ${' \n'.repeat(mega / 2)}`],
  ['strings on lines', (mega) => `COPY t FROM STDIN (FORMAT ${"'a'\n".repeat(mega / 4)})`],
  ['escapes', (mega) => `COPY t FROM STDIN (FORMAT E'${'\\x'.repeat(mega / 2)}')`],
  ['parentheses', (mega) => `COPY t FROM STDIN (FORMAT ${'('.repeat(mega)}`],
])('a statement of many %s takes time that grows with its length', (_, statementOf) => {
  const cost = (size: number): number => {
    const statement = statementOf(size);
    const start = performance.now();
    copyOptions(statement, false);
    firstOfSeveral(statement, false);
    return performance.now() - start;
  };
  cost(10_000);
  // A quadratic scanner would take minutes.
  expect(cost(1_000_000)).toBeLessThan(10_000);
});
