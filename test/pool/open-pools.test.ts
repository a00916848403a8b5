import { expect, it } from 'vitest';
import { AsyncConnectionPool, AsyncNullConnectionPool, openPools } from '../../src/index.js';
import { dsn } from '../support/database.js';

it('lists the pools that are open, from open() to close()', async () => {
  const before = openPools();
  const first = new AsyncConnectionPool(dsn(), { minSize: 0, maxSize: 1, open: false });
  const second = new AsyncNullConnectionPool(dsn(), { maxSize: 1 });
  expect(openPools()).toEqual([...before, second]);
  await first.open();
  await first.open();
  expect(openPools()).toEqual([...before, second, first]);
  await second.close();
  await second.close();
  expect(openPools()).toEqual([...before, first]);
  await first.close();
  expect(openPools()).toEqual(before);
});

it('does not keep a pool in memory that was forgotten without being closed', async () => {
  const forget = (): WeakRef<object> =>
    new WeakRef(new AsyncNullConnectionPool(dsn(), { maxSize: 1, name: 'forgotten' }));
  const forgotten = forget();
  await expect
    .poll(() => {
      globalThis.gc!();
      return forgotten.deref() === undefined;
    })
    .toBe(true);
  expect(openPools().map(({ name }) => name)).not.toContain('forgotten');
});
