import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../support/packed.js';

interface Texts {
  readonly manifest: string;
  readonly changelog: string;
  readonly security: string;
  readonly readme: string;
}

const { problems } = (await import(new URL('../../tools/check-release.mjs', import.meta.url).href)) as {
  problems: (tag: string, texts: Texts) => string[];
};
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const { version, repository, homepage, bugs } = JSON.parse(read('package.json')) as {
  version: string;
  repository: { url: string };
  homepage: string;
  bugs: { url: string };
};

const GOOD: Texts = {
  manifest: JSON.stringify({ version: '1.2.3', homepage: 'https://github.com/somebody/usingpg' }),
  changelog: '# Changelog\n\n## Unreleased\n\n## 1.2.3, 2026-01-31\n\n## 1.2.2, 2025-12-31\n',
  security: 'https://github.com/somebody/usingpg/security',
  readme: 'https://somebody.github.io/usingpg/start',
};

test('a tag is released that is the version, whose section has a date, from a repository that is known', () => {
  expect(problems('v1.2.3', GOOD)).toEqual([]);
  expect(problems('v1.2.4', GOOD)).toEqual(['the tag is v1.2.4, the version in package.json 1.2.3']);
  const undated = { ...GOOD, changelog: '## 1.2.3, unreleased\n\n## 1.2.2, 2025-12-31\n' };
  expect(problems('v1.2.3', undated)).toEqual(['CHANGELOG.md has no heading "## 1.2.3, YYYY-MM-DD"']);
  const unknown = { ...GOOD, security: 'https://github.com/OWNER/usingpg/security' };
  expect(problems('v1.2.3', unknown)).toEqual([expect.stringMatching(/^SECURITY\.md names .*OWNER/)]);
  const unpublished = { ...GOOD, readme: 'https://OWNER.github.io/usingpg/start' };
  expect(problems('v1.2.3', unpublished)).toEqual([expect.stringMatching(/^README\.md names .*OWNER/)]);
});

test('CHANGELOG.md has one section for each version, the newest first', () => {
  const headings = read('CHANGELOG.md').match(/^## .*/gm)!;
  const versions = headings.map(
    (heading) => /^## (\d+\.\d+\.\d+), (?:unreleased|\d{4}-\d{2}-\d{2})$/.exec(heading)?.[1],
  );
  expect(versions[0]).toBe(version);
  expect(new Set(versions).size).toBe(headings.length);
  expect(versions).not.toContain(undefined);
});

test('package.json, SECURITY.md and the release name one repository, which npm compares with where it was built', () => {
  const [, address] = /^git\+(https:\/\/github\.com\/[\w-]+\/usingpg)\.git$/.exec(repository.url)!;
  const [, owner] = /com\/([\w-]+)/.exec(address!)!;
  expect(homepage).toBe(`https://${owner!}.github.io/usingpg/`);
  expect(bugs.url).toBe(`${address!}/issues`);
  expect(read('SECURITY.md')).toContain(`${address!}/security/advisories/new`);
});

test('a release is published with provenance, by a workflow that has checked it', () => {
  const workflow = read('.github/workflows/release.yml');
  const steps = Array.from(workflow.matchAll(/^ +- run: (?!\|)(.*)$/gm), ([, step]) => step);
  expect(steps).toEqual([
    'node tools/check-release.mjs "$GITHUB_REF_NAME"',
    '.ci/run',
    'npm audit signatures',
    'npm publish --provenance --access public',
  ]);
  expect(workflow).toContain('id-token: write');
  // A tag can be moved to other code, a commit can't.
  for (const [, action] of workflow.matchAll(/uses: (\S+)/g)) expect(action).toMatch(/@[0-9a-f]{40}$/);
});
