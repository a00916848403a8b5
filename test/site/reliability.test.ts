import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/why/reliability.md', root), 'utf8');

/** The rows of the table: number, promise, tests, measured value. */
const promises = page
  .split('\n')
  .filter((line) => /^\| +\d+ +\|/.test(line))
  .map((line) => line.split(/ +\| +/).map((cell) => cell.replace(/^\||\|$/g, '').trim()));

/** The tests that a cell names, each with its file. */
function testsOf(cell: string): { file: string; name: string }[] {
  let file = '';
  const tests: { file: string; name: string }[] = [];
  for (const [, link, code] of cell.matchAll(/\]\(\.\.\/\.\.\/([^)]+)\)|`([^`]+)`/g)) {
    if (link !== undefined) file = link;
    else tests.push({ file, name: code! });
  }
  return tests;
}

describe('the page of promises', () => {
  it('has all of them, each with a test and a measured value', () => {
    expect(promises.map(([number]) => Number(number))).toEqual(promises.map((_, i) => i + 1));
    expect(promises.length).toBeGreaterThanOrEqual(38);
    for (const [number, promise, tests, reached] of promises) {
      expect(promise, number).toMatch(/\.$/);
      expect(testsOf(tests!), number).not.toEqual([]);
      expect(reached, number).toMatch(/\d/);
    }
  });

  it.each(promises)('names only existing tests for %s: %s', (_number, _promise, tests) => {
    for (const { file, name } of testsOf(tests)) {
      if (name.startsWith('npm run ')) {
        const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
          scripts: Record<string, string>;
        };
        expect(scripts).toHaveProperty(name.slice('npm run '.length));
        continue;
      }
      expect(existsSync(new URL(file, root)), file).toBe(true);
      const source = readFileSync(new URL(file, root), 'utf8');
      // Within a literal: the beginning of a test's name, or the text after its placeholders.
      const isThere = source.split('\n').some((line) => {
        const at = line.indexOf(name);
        return at > 0 && /['`"]/.test(line.slice(0, at)) && !/^\s*(?:\/\/|\*)/.test(line);
      });
      expect(isThere, `${file}: ${name}`).toBe(true);
    }
  });
});
