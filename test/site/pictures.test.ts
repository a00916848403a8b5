import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { draw } from '../../bench/charts.js';
import { files, PAGES, root } from './samples.js';

const pictures = files('docs', '.svg').filter((path) => !path.startsWith('docs/.vitepress/'));
const textOf = (path: string): string => readFileSync(root + path, 'utf8');

describe('the drawings of the documentation', () => {
  it('take less than a megabyte', () => {
    expect(pictures.length).toBeGreaterThan(20);
    const bytes = pictures.map((path) => Buffer.byteLength(textOf(path)));
    expect(bytes.reduce((sum, size) => sum + size)).toBeLessThan(1e6);
  });

  it('are each shown by a page', () => {
    const pages = PAGES.map(textOf).join('\n');
    const unused = pictures.filter((path) => !pages.includes(`${path.split('/').slice(-2).join('/')})`));
    expect(unused).toEqual([]);
  });

  it.each(pictures)('%s is well-formed, and has the colours of both schemes', (path) => {
    const svg = textOf(path);
    expect(unclosed(svg)).toEqual([]);
    expect(svg).toContain('@media(prefers-color-scheme:dark)');
    // What is drawn in a colour of one scheme can not be read in the other.
    expect(svg.replace(/<style>.*<\/style>/, '')).not.toMatch(/#1f2328|#d1d9e0|#ffffff/);
  });
});

it('a drawing has one path for bars that look alike, and the texts as they are', async () => {
  const values = ['a', 'b', 'c'].flatMap((row) =>
    [0, 10.123, 20].map((from) => ({ row, from, to: from + 5 })),
  );
  const svg = await draw({
    width: 100,
    data: { values },
    mark: 'bar',
    encoding: {
      x: { field: 'from', type: 'quantitative', title: 'took 1.2345 s' },
      x2: { field: 'to' },
      y: { field: 'row', type: 'nominal' },
    },
  });
  expect(unclosed(svg)).toEqual([]);
  const paths = [...svg.matchAll(/<path d="([^"]*)" fill="#/g)].map(([, way]) => way!);
  expect(paths.map((way) => way.match(/M/g)!.length)).toEqual([9]);
  expect(paths[0]).not.toMatch(/\.\d\d/);
  expect(svg).toContain('>took 1.2345 s</text>');
});

/** The tags that nothing closes, or that close nothing. */
function unclosed(svg: string): string[] {
  const open: string[] = [];
  for (const [tag, slash, name] of svg.matchAll(/<(\/?)([a-zA-Z]+)[^>]*>/g)) {
    if (tag.endsWith('/>')) continue;
    if (slash === '') open.push(name!);
    else if (open.at(-1) === name) open.pop();
    else return [...open, tag];
  }
  return open;
}
