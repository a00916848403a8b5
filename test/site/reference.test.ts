import type { DeclarationReflection, ProjectReflection } from 'typedoc';
import { beforeAll, expect, test } from 'vitest';
import * as usingpg from '../../src/index.js';
import { convertReference, exportedNames } from '../../tools/site/reference.js';
import { isShown, userOf } from '../../tools/site/uses.js';

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

test('every exported name has an example, or leads to a page or a name that has one', () => {
  const without = exported.filter((each) => !isShown(each) && userOf(each, project) === null);
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
