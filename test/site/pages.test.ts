import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SITE } from '../../tools/site/package-links.js';
import { slug } from '../../tools/site/slug.js';
import { connect } from '../support/database.js';
import { PAGES, root } from './samples.js';

const textOf = (path: string): string => readFileSync(root + path, 'utf8');
const rowsOf = (page: string): string[][] =>
  [...page.matchAll(/^\| (.*) \|$/gm)].map(([, row]) => row!.split('|').map((cell) => cell.trim()));

describe('README', () => {
  const page = textOf('README.md');

  it('fits in 150 lines', () => {
    expect(page.split('\n').length).toBeLessThan(150);
  });

  it('says of its dependencies what is so', () => {
    const { dependencies } = JSON.parse(textOf('package.json')) as { dependencies: Record<string, string> };
    const told = Object.fromEntries(
      rowsOf(page).flatMap(([name]) => {
        const [, dependency, version] = /^`([^`]+)`(?: ([\d.]+))?$/.exec(name!) ?? [];
        return dependency === undefined ? [] : [[dependency, version ?? dependencies[dependency]]];
      }),
    );
    expect(told).toEqual(dependencies);
  });

  it('says of a cursor that is shared what it raises', async () => {
    const cur = (await connect()).cursor();
    const first = cur.execute('SELECT 1');
    const error = await cur.execute('SELECT 2').catch((raised: unknown) => raised);
    await first;
    const [told] = /^ConcurrentCursorUse: [^`]*/m.exec(page)!;
    expect(String(error)).toBe(told.trim().replaceAll('\n', ' '));
  });

  it('has links that lead somewhere from npm as well: to pages of the site', () => {
    const links = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
    const ours = links.filter((link) => link.startsWith(SITE));
    expect(ours.length).toBeGreaterThan(20);
    for (const link of ours) {
      const path = link.slice(SITE.length).replace(/#.*/, '');
      if (path !== '' && path !== 'reference/') expect(existsSync(`${root}docs/${path}.md`), link).toBe(true);
    }
    expect(links.filter((link) => !link.startsWith('https://'))).toEqual([]);
  });
});

it('the guide to values says what values load as, in text and in the binary format', async () => {
  const conn = await connect({ autocommit: true });
  const kinds = new Map<string, string>();
  for (const [types, loaded] of rowsOf(textOf('docs/guides/values.md'))) {
    for (const type of types!.split(', ')) {
      if (type in TEXTS) kinds.set(type, /^(?:ISO 8601 )?`(\w+)`/.exec(loaded!)![1]!.toLowerCase());
    }
  }
  expect([...kinds.keys()].sort()).toEqual(Object.keys(TEXTS).sort());
  for (const [type, kind] of kinds) {
    const query = `SELECT '${TEXTS[type]!}'::${type}, array['${TEXTS[type]!}'::${type}]`;
    // Once its columns are known, a prepared statement is asked for the binary format of some types.
    for (let execution = 0; execution < 3; execution++) {
      const cur = await conn.execute(query, [], { prepare: true });
      const [value, [element]] = (await cur.fetchone()) as [unknown, [unknown]];
      for (const one of [value, element]) {
        expect(Object(one).constructor.name.toLowerCase(), type).toBe(kind);
      }
    }
  }
});

it.each([...PAGES, 'CHANGELOG.md'])('the links of %s lead somewhere', (path) => {
  const headings = (page: string): string[] =>
    [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slug(heading!));
  for (const [, link] of textOf(path).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
    const [file, anchor] = link!.split('#') as [string, string?];
    const target = file === '' ? root + path : join(root, path, '..', file);
    // The reference is made with the site, whose build looks at links to it.
    if (target.startsWith(`${root}docs/reference/`)) continue;
    expect(existsSync(target), link).toBe(true);
    if (anchor !== undefined) expect(headings(target), link).toContain(anchor);
  }
});

it.each(['architecture', 'session', 'pool', 'types'])(
  'the files that the page on the %s names exist',
  (name) => {
    const page = textOf(`docs/why/${name}.md`);
    // A page about one folder names its files without it.
    const folders = [
      '',
      'src/',
      `src/${name}/`,
      ...['pool', 'connection', 'cursor', 'session', 'wire', 'errors', 'integrations'].map(
        (folder) => `src/${folder}/`,
      ),
    ];
    const names = new Set(page.replaceAll('\\n', ' ').match(/(?<![\w*.-])[a-z-]+(?:\/[a-z-]+)*\.ts\b/g));
    expect(names.size).toBeGreaterThan(0);
    const missing = [...names].filter(
      (file) => !folders.some((folder) => existsSync(`${root}${folder}${file}`)),
    );
    expect(missing).toEqual([]);
  },
);

/** A value of each type that the guide to values has by its name. */
const TEXTS: Readonly<Record<string, string>> = {
  int2: '1',
  int4: '1',
  oid: '1',
  float4: '1',
  float8: '1',
  int8: '1',
  numeric: '1.50',
  text: 'a',
  varchar: 'a',
  bpchar: 'a',
  name: 'a',
  uuid: '0c3ae4b6-8a3a-4c39-8b1c-5b0f6f0f7b11',
  bool: 't',
  bytea: '\\x01',
  timestamptz: '2024-05-01 00:00+00',
  date: '2024-05-01',
  time: '10:00',
  timetz: '10:00+01',
  timestamp: '2024-05-01',
  interval: '1 day',
  inet: '10.0.0.1',
  bit: '1',
  macaddr: '08:00:2b:01:02:03',
  money: '1.00',
};
