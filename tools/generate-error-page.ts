/**
 * Writes the table of docs/errors.md, between its two marks, from the advice in src/errors/advice.ts. With --check it fails if the page is not
 * what it would write.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { ADVICE, type Advice } from '../src/errors/advice.js';
import { lookup } from '../src/errors/index.js';

const BEGIN = '<!-- from src/errors/advice.ts, by `npm run generate:errors` -->';
const END = '<!-- end -->';
const page = fileURLToPath(new URL('../docs/errors.md', import.meta.url));

function row({ sqlstate, example, meaning, advice }: Advice): string {
  const cells = [sqlstate, `\`${lookup(sqlstate).name}\``, code(example), meaning, advice];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** As code, whatever is in it. */
function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}

const present = readFileSync(page, 'utf8');
const begin = present.indexOf(BEGIN);
const end = present.indexOf(END);
if (begin < 0 || end < begin) throw new Error(`docs/errors.md has to have ${BEGIN} and ${END}`);
const table = [
  '| SQLSTATE | class | message | what it means | what to do |',
  '| --- | --- | --- | --- | --- |',
  ...[...new Set(ADVICE.map(row))].sort(),
].join('\n');
const text = await format(`${present.slice(0, begin)}${BEGIN}\n\n${table}\n\n${present.slice(end)}`, {
  ...(await resolveConfig(page)),
  filepath: page,
});
if (!process.argv.includes('--check')) {
  writeFileSync(page, text);
} else if (text !== present) {
  console.error('docs/errors.md is stale: run `npm run generate:errors`');
  process.exitCode = 1;
}
