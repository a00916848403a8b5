import { describe, expect, it } from 'vitest';
import { canGoExtended, controlsTransaction, isSingleStatement } from '../../src/sql-statement.js';
import { Random, seedFrom } from '../support/random.js';
import { openSession, statement } from '../session/open-session.js';

const TEXTS = 4000;
const seed = seedFrom('STATEMENT_TEXT_SEED', 20_261_128);

/** Texts with another meaning outside of a string, a name or a comment. */
const DECEPTIVE = [
  ';',
  '--',
  '/*',
  '*/',
  '$$',
  '$a$',
  '$1',
  "''",
  '""',
  ' ',
  '\n',
  '\r',
  'select 1',
  'é',
  '',
];

function content(random: Random, ...without: readonly string[]): string {
  const pieces = Array.from({ length: random.below(4) }, () => random.pick(DECEPTIVE));
  return pieces.filter((piece) => !without.some((forbidden) => piece.includes(forbidden))).join('x');
}

/** White space or a comment, which may separate any two words. */
function gap(random: Random): string {
  const inside = content(random, '/*', '*/');
  return random.pick([
    ' ',
    '\t',
    '\n',
    '\r\n',
    ` --${content(random, '\n', '\r')}${random.pick(['\n', '\r'])}`,
    `/*${inside}*/`,
    `/*${inside}/*${inside}*/ ; */`,
  ]);
}

/** An expression, and whether the scanner must find its end. */
function expression(random: Random): { text: string; isPlain: boolean } {
  const tag = random.pick(['$$', '$a$', '$é_1$']);
  const plain = [
    `'${content(random, '""')}'`,
    `N'${content(random)}'`,
    "B'01'",
    `${tag}${content(random, '$')}${tag}`,
    String(random.below(100)),
    `1 AS "${content(random, "''", '""')}x"`,
    `1 AS a$${String(random.below(9))}`,
    '1 AS b$$c',
    '1 AS é$x$',
    "'a'\n'b;'",
    '1 - -1',
    '(1)+/*;*/1',
  ];
  const doubtful = ["E'\\';'", "'\\;'", "U&'\\0061;'", "E'\\\\'"];
  const isPlain = random.chance(0.9);
  return { text: random.pick(isPlain ? plain : doubtful), isPlain };
}

/** A text with this number of statements, which the server can parse. */
function textOf(random: Random, statements: number): { text: string; isPlain: boolean } {
  let isAllPlain = true;
  const between = (): string => gap(random) + (random.chance(0.3) ? gap(random) : '');
  const one = (): string => {
    const columns = Array.from({ length: 1 + random.below(3) }, () => {
      const { text, isPlain } = expression(random);
      isAllPlain &&= isPlain;
      return text;
    });
    return `${random.chance(0.5) ? between() : ''}select${between()}${columns.join(` ,${between()}`)}`;
  };
  const texts = Array.from({ length: statements }, one);
  const end = random.pick(['', ';', ` ;${between()}`, `;;${between()};`, between()]);
  return { text: texts.join(`${random.pick(['', ' '])};`) + end, isPlain: isAllPlain };
}

describe(`a text (STATEMENT_TEXT_SEED=${String(seed)})`, () => {
  it('classified as one statement is one statement to the server, and one of plain parts is so classified', async () => {
    const random = new Random(seed);
    const { session } = await openSession();
    const of = { one: 0, several: 0, refused: 0 };
    const check = async (): Promise<void> => {
      const count = random.pick([1, 1, 2, 3]);
      const { text, isPlain } = textOf(random, count);
      const isSingle = canGoExtended(text);
      if (count === 1 && isPlain) expect(isSingle, JSON.stringify(text)).toBe(true);
      if (count > 1) expect(isSingle, JSON.stringify(text)).toBe(false);
      expect(isSingleStatement(text) && count > 1, JSON.stringify(text)).toBe(false);
      if (isSingle) of.one++;
      else of.several++;
      // The server's classification, if the texts of this test are valid.
      const error = await session.submit(statement(text, [], { rows: null, prepare: false })).then(
        () => null,
        (reason: unknown) => reason as Error,
      );
      if (error === null) expect(count, JSON.stringify(text)).toBe(1);
      else {
        of.refused++;
        expect(error.message, JSON.stringify(text)).toMatch(/cannot insert multiple commands/);
        expect(isSingle, JSON.stringify(text)).toBe(false);
      }
    };
    for (let i = 0; i < TEXTS; i += 100) await Promise.all(Array.from({ length: 100 }, check));
    expect(Math.min(of.one, of.several, of.refused)).toBeGreaterThan(TEXTS / 5);
  });

  it.each([
    ['commit', true],
    ['/* why */ commit', true],
    ['-- why\rcommit', true],
    ['/* a /* b */ c */\n-- d\n ROLLBACK', true],
    ['start/**/transaction', true],
    ['prepare /* a */ transaction', true],
    ['prepare a as select 1', false],
    ['rollback to savepoint a', false],
    ['rollback/**/transaction -- a\n to savepoint a', false],
    ['rollback/**/to a', false],
    ['commit_', false],
    ['/* why */ rollback to a', false],
    ['/* commit */ select 1', false],
    ['-- commit', false],
    ['/* not closed commit', false],
  ])('%j ends or begins a transaction: %s', (text, controls) => {
    expect(controlsTransaction(text)).toBe(controls);
  });
});
