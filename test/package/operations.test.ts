import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { AsyncConnectionPool, errors } from '../../src/index.js';

const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');

/** The first two cells of each row of the page's tables that begins with a name, without the text after them. */
const rows = [...page.matchAll(/^\| `(\w+)`[^|]*\| ([^|]*?) *\|/gm)].map(([, name, second]) => ({
  name: name!,
  second: second!,
}));

test('the documented defaults are those of a pool', () => {
  const pool = new AsyncConnectionPool('', { open: false });
  const told = rows.filter(({ name, second }) => name in pool && /^\d+$/.test(second));
  expect(told.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['minSize', 'maxWaiting', 'timeout', 'maxLifetime', 'reconnectTimeout']),
  );
  for (const { name, second } of told) expect(Reflect.get(pool, name), name).toBe(Number(second));
});

test('the documented errors exist, with their SQLSTATEs', () => {
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

test('the documented statistics exist', () => {
  const stats = new AsyncConnectionPool('', { open: false }).getStats();
  const section = page.slice(page.indexOf('## What to watch'));
  const told = [...section.matchAll(/`([a-z]+[A-Z]\w+)`/g)].map(([, name]) => name);
  expect(told.length).toBeGreaterThan(8);
  for (const name of told) expect(stats).toHaveProperty(name!);
});
