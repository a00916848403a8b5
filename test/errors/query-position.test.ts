import { describe, expect, it } from 'vitest';
import { showPosition } from '../../src/errors/query-position.js';
import { connect, rejection } from '../support/database.js';
import { expectLinear } from '../support/growth.js';

/** What psql 15 has printed for each query. */
const PRINTED: [where: string, query: string, printed: string][] = [
  ['in one line', 'select nothing', 'LINE 1: select nothing\n               ^'],
  ['behind a line break', 'select 1,\n  nothing\nfrom x', 'LINE 3: from x\n             ^'],
  ['behind a line break of two characters', 'select 1,\r\n\tnothing', 'LINE 2:  nothing\n         ^'],
  ['behind a carriage return', 'select 1,\r  nothing', 'LINE 2:   nothing\n          ^'],
  [
    'at the end of a long line',
    "select 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', nothing",
    "LINE 1: ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', nothing\n                                                                ^",
  ],
  [
    'at the beginning of a long line',
    "select nothing, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
    "LINE 1: select nothing, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n               ^",
  ],
  [
    'in the middle of a long line',
    "select 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', nothing, 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'",
    "LINE 1: ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', nothing, '...\n                                                             ^",
  ],
  [
    'behind wide characters',
    "select '漢字かな', nothing",
    "LINE 1: select '漢字かな', nothing\n                           ^",
  ],
  [
    'behind an emoji and a combining mark',
    "select 'é😀é', nothing",
    "LINE 1: select 'é😀é', nothing\n                        ^",
  ],
  [
    'among many wide characters',
    "select '漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢', nothing, '字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字字'",
    "LINE 1: ...漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢', nothing, '...\n                                                            ^",
  ],
  ['behind the end', 'select 1 +', 'LINE 1: select 1 +\n                  ^'],
  ['behind the last line break', 'select 1 +\n', 'LINE 2: \n        ^'],
  ['behind lines within a string', "select 'a\n\n\n', nothing", "LINE 4: ', nothing\n           ^"],
  [
    'just beyond the width',
    'select 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, nothing',
    'LINE 1: ..., 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, nothing\n                                                                ^',
  ],
  [
    'among many columns',
    'select 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, nothing, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1',
    'LINE 1: select 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, nothing, 1,...\n                                                         ^',
  ],
  ['among tabs', '\tselect\tnothing\t', 'LINE 1:  select nothing \n                ^'],
  [
    'behind wide symbols and a narrow kana',
    "select '⌚⏰★☔ ｱ', nothing",
    "LINE 1: select '⌚⏰★☔ ｱ', nothing\n                            ^",
  ],
];

describe('the position in a query', () => {
  it.each(PRINTED)('%s is shown as psql does', async (_, query, printed) => {
    const conn = await connect();
    const error = await rejection(conn.execute(query));
    expect(error.stack).toContain(`\n${printed}\n`);
    expect(showPosition(query, Number(error.diag.statementPosition))).toBe(printed);
  });

  it('of a query that a function has run is that in the function', async () => {
    const conn = await connect();
    const body = `BEGIN EXECUTE 'SELECT 1,' || chr(10) || ' nothing'; END`;
    const error = await rejection(conn.execute(`DO $$ ${body} $$`));
    expect(error.stack).toMatch(
      /^UndefinedColumn: column "nothing" does not exist\nLINE 2: {2}nothing\n {9}\^\nQUERY: {2}SELECT 1,\n nothing\nCONTEXT: {2}PL\/pgSQL function inline_code_block line 1 at EXECUTE\n {4}at /,
    );
  });

  it.each([0, -1, 99, NaN])('that is none, %s, is not shown', (position) => {
    expect(showPosition('select 1', position)).toBe('');
  });

  it('is found in time that grows with the length of the query', () => {
    expectLinear((size) => showPosition(`select '${'x'.repeat(size)}'`, size), 125_000);
  });
});
