import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { AsyncConnectionPool, errors } from '../../src/index.js';

const guide = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/guides/${name}.md`, import.meta.url), 'utf8');

test('the defaults that the guide to pools tells are those of a pool', async () => {
  const pool = new AsyncConnectionPool('', { open: false });
  // The first two cells of each row that begins with a name, without what stands behind it.
  const told = [...(await guide('pools')).matchAll(/^\| `(\w+)`[^|]*\| ([^|]*?) *\|/gm)]
    .map(([, name, second]) => ({ name: name!, second: second! }))
    .filter(({ name, second }) => name in pool && /^\d+$/.test(second));
  expect(told.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['minSize', 'maxWaiting', 'timeout', 'maxLifetime', 'reconnectTimeout']),
  );
  for (const { name, second } of told) expect(Reflect.get(pool, name), name).toBe(Number(second));
});

test('the errors that the guide to errors tells of exist, with their SQLSTATEs', async () => {
  const page = await guide('errors');
  const start = page.indexOf('| class ');
  const table = page.slice(start, page.indexOf('\n\n', start));
  const told = [...table.matchAll(/^\| `(\w+)` *\| (\w*) *\|/gm)];
  expect(told.length).toBeGreaterThan(20);
  for (const [, name, sqlstate] of told) {
    const Class = Reflect.get(errors, name!) as typeof errors.Error | undefined;
    expect(Class, name).toBeTypeOf('function');
    expect(Class!.sqlstate ?? '', name).toBe(sqlstate);
  }
});

test('the statistics that the page for the person on call tells of exist', async () => {
  const stats = new AsyncConnectionPool('', { open: false }).getStats();
  const page = await guide('on-call');
  const section = page.slice(page.indexOf('## What to watch'));
  const told = [...section.matchAll(/`([a-z]+[A-Z]\w+)`/g)].map(([, name]) => name);
  expect(told.length).toBeGreaterThan(8);
  for (const name of told) expect(stats).toHaveProperty(name!);
});
