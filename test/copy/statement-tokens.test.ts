import { expect, test } from 'vitest';
import { tokensOf } from '../../src/copy/statement-tokens.js';
import { connect } from '../support/database.js';
import { Random, seedFrom } from '../support/random.js';

const LITERALS = 1500;
const seed = seedFrom('LITERAL_SEED', 20_261_129);
const CONTENT = [
  "''",
  '"',
  '\\\\',
  "\\'",
  '\\n',
  '\\t',
  '\\b',
  '\\q',
  '\\101',
  '\\x41',
  '\\u00e9',
  '\\U0001f600',
  '\\0041',
  '\\+00005a',
  '--',
  '/*',
  '$$',
  'a',
  'é',
  '😀',
  ' ',
  '\n',
];
const BETWEEN = ['\n', ' \n\t', '\r', '--x\n', " -- it's\n--\n "];

function literal(random: Random): string {
  const content = (): string => Array.from({ length: random.below(5) }, () => random.pick(CONTENT)).join('');
  if (random.chance(0.2)) return `$a$${content()}$a$`;
  const prefix = random.pick(['', 'E', 'e', 'U&', 'u&']);
  const parts = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => `'${content()}'`);
  return prefix + parts.reduce((text, part) => text + random.pick(BETWEEN) + part);
}

test.each(['on', 'off'])(
  `a string is what the server takes it for, standard_conforming_strings %s (LITERAL_SEED=${String(seed)})`,
  async (setting) => {
    const random = new Random(seed);
    const conn = await connect({ autocommit: true });
    await conn.execute(`SET standard_conforming_strings = ${setting}`);
    let taken = 0;
    for (let i = 0; i < LITERALS; i++) {
      const text = literal(random);
      const result = await conn.execute(`SELECT ${text} AS value`, null, { prepare: false }).then(
        (cur) => cur.fetchone(),
        () => null,
      );
      if (result === null) continue;
      taken++;
      expect(tokensOf(`SELECT ${text} AS value`, setting === 'off')?.[1], JSON.stringify(text)).toMatchObject(
        {
          kind: 'string',
          value: result[0],
        },
      );
    }
    expect(taken).toBeGreaterThan(LITERALS / 3);
  },
);
