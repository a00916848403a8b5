import { expect, test } from 'vitest';
import { AsyncConnectionPool } from '../../src/index.js';
import { connect, dsn } from '../support/database.js';

// Measures the heap of an operation over so few runs that the garbage collector does not interfere; a collection would only make
// the number too small. The bounds are twice the measured values.

const OPERATIONS = 200;
const WARM_UP = 1000;
const ROUNDS = 5;

async function bytesEach(operation: (i: number) => Promise<unknown>): Promise<number> {
  // Compilation is not measured.
  for (let i = 0; i < WARM_UP; i++) await operation(i);
  const measured: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc!();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < OPERATIONS; i++) await operation(i);
    measured.push((process.memoryUsage().heapUsed - before) / OPERATIONS);
  }
  return measured.sort((a, b) => a - b)[ROUNDS >> 1]!;
}

test.each([
  ['a prepared statement', 12, true],
  ['a statement that is not prepared', 16, false],
])('%s takes no more than %i kB of heap', async (_, kilobytes, prepare) => {
  const conn = await connect({ autocommit: true });
  expect(await bytesEach((i) => conn.execute('SELECT %s::int4', [i % 100], { prepare }))).toBeLessThanOrEqual(
    kilobytes * 1000,
  );
});

test('a transaction of one statement takes no more than 22 kB of heap', async () => {
  const conn = await connect();
  const bytes = await bytesEach(async (i) => {
    await conn.execute('SELECT %s::int4', [i % 100]);
    await conn.commit();
  });
  expect(bytes).toBeLessThanOrEqual(22_000);
});

test('a checkout and its return take no more than 5 kB of heap', async () => {
  await using pool = new AsyncConnectionPool(dsn(), { minSize: 1 });
  await pool.wait();
  expect(await bytesEach(async () => pool.putconn(await pool.getconn()))).toBeLessThanOrEqual(5_000);
});

test('100 rows of a number and a text take no more than 36 kB of heap', async () => {
  const conn = await connect({ autocommit: true });
  const bytes = await bytesEach(async () =>
    (await conn.execute("SELECT i, 'name ' || i FROM generate_series(1, 100) AS i")).fetchall(),
  );
  expect(bytes).toBeLessThanOrEqual(36_000);
});
