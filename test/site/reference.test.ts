import { readFileSync } from 'node:fs';
import type { DeclarationReflection, ProjectReflection } from 'typedoc';
import { beforeAll, expect, test } from 'vitest';
import * as usingpg from '../../src/index.js';
import { integrations } from '../../tools/integrations.js';
import { convertReference, exportedNames, modulesOf } from '../../tools/site/reference.js';
import { isShown, userOf } from '../../tools/site/uses.js';
import { root } from './samples.js';

let project: ProjectReflection;
let exported: DeclarationReflection[];

beforeAll(async () => {
  ({ project } = await convertReference());
  exported = exportedNames(project);
}, 300_000);

test('the reference has every exported name', () => {
  const names = new Set(exported.map(({ name }) => name));
  expect(Object.keys(usingpg).filter((name) => !names.has(name))).toEqual([]);
  expect(names.size).toBeGreaterThan(120);
});

test('the reference has every name that a subpath exports, with a guide to each subpath', async () => {
  const modules = modulesOf(project).slice(1);
  expect(modules.map(({ name }) => name)).toEqual(
    Object.keys(integrations())
      .sort()
      .map((name) => `usingpg/${name}`),
  );
  for (const module of modules) {
    const path = integrations()[module.name.replace('usingpg/', '')]!;
    const exports = Object.keys((await import(/* @vite-ignore */ root + path)) as object).filter(
      (name) => name !== 'default',
    );
    expect(exports.length).toBeGreaterThan(0);
    expect(exportedNames(module).map(({ name }) => name)).toEqual(expect.arrayContaining(exports));
    const [, guide] = /\]\(\/([^)#]+)/.exec(module.comment!.summary[0]!.text)!;
    const mentions = readFileSync(`${root}docs/${guide!}.md`, 'utf8').includes(`\`${module.name}\``);
    expect(mentions, `docs/${guide!}.md mentions ${module.name}`).toBe(true);
  }
});

test('every exported name has an example, or leads to a page or a name that has one', () => {
  const without = modulesOf(project)
    .flatMap(exportedNames)
    .filter((each) => !isShown(each) && userOf(each) === null);
  expect(without.map((reflection) => reflection.getFullName())).toEqual([]);
});

test('the defaults that the options of a pool tell are those of a pool', () => {
  const pool = new usingpg.AsyncConnectionPool('', { open: false });
  const options = exported.find(({ name }) => name === 'PoolOptions')!.children!;
  const told = options.flatMap(({ name, comment }) => {
    const value = comment?.getTag('@defaultValue') ?? comment?.getTag('@default');
    const text = value?.content.map((part) => part.text).join('') ?? '';
    const [, digits] = /^(?:```ts\n)?(\d+(?:\.\d+)?)/.exec(text) ?? [];
    return digits === undefined ? [] : [{ name, digits }];
  });
  expect(told.length).toBeGreaterThan(8);
  for (const { name, digits } of told) expect(Reflect.get(pool, name), name).toBe(Number(digits));
});
