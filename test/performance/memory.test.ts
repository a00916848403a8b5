import { expect, test } from 'vitest';
import { connect } from '../support/database.js';
import { heldStatement } from '../support/held-statement.js';

// Measures what is kept of sent statements: the heap after a garbage collection, at the same moments of a short and of a long
// run. Each test file has a process of its own.

const MEBIBYTE = 2 ** 20;
const isFull = process.env['CI'] !== undefined && process.env['CI'] !== '';
/** As promised in CI, fewer at home. */
const FEW = isFull ? 50_000 : 10_000;
const MANY = isFull ? 1_000_000 : 100_000;
const SAMPLES = 10;

function kept(): number {
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Runs `each` `count` times, and returns the maximum of what is kept. */
async function peakOver(count: number, each: (i: number) => Promise<unknown> | undefined): Promise<number> {
  let peak = 0;
  for (let i = 0; i < count; i++) {
    await each(i);
    if (i % Math.ceil(count / SAMPLES) === 0) peak = Math.max(peak, kept());
  }
  return peak;
}

test.each([
  ['a pipeline', false],
  ['a pipeline of prepared statements', true],
])(
  `${String(MANY)} inserts in %s keep no more than ${String(FEW)} do, give or take 16 MiB, and the event loop turns`,
  { timeout: 1_200_000 },
  async (_, prepare) => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE kept (i int, text text)');
    const text = 'x'.repeat(100);
    let turns = 0;
    const run = (count: number): Promise<number> =>
      conn.withPipeline(() =>
        peakOver(count, (i) => {
          if (i % 1000 === 0) setImmediate(() => turns++);
          return conn.execute('INSERT INTO kept VALUES (%s, %s)', [i, text], { prepare });
        }),
      );
    const few = await run(FEW);
    turns = 0;
    const many = await run(MANY);
    expect(Math.abs(many - few)).toBeLessThan(16 * MEBIBYTE);
    expect(turns).toBeGreaterThanOrEqual(MANY / 1000 - 1);
    const cursor = await conn.execute('SELECT count(*)::int FROM kept');
    expect(await cursor.fetchone()).toEqual([FEW + MANY]);
  },
);

test(
  `executemany() with ${String(MANY)} executions keeps no more than with ${String(FEW)}, give or take 16 MiB`,
  { timeout: 1_200_000 },
  async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE kept (i int, text text)');
    const text = 'x'.repeat(100);
    const run = async (count: number): Promise<number> => {
      let peak = 0;
      function* source(): Generator<[number, string]> {
        for (let i = 0; i < count; i++) {
          if (i % Math.ceil(count / SAMPLES) === 0) peak = Math.max(peak, kept());
          yield [i, text];
        }
      }
      await conn.cursor().executemany('INSERT INTO kept VALUES (%s, %s)', source());
      return peak;
    };
    const few = await run(FEW);
    expect(Math.abs((await run(MANY)) - few)).toBeLessThan(16 * MEBIBYTE);
  },
);

test('1,000 parameters of 1 MB each are never in memory together', { timeout: 1_200_000 }, async () => {
  const conn = await connect({ autocommit: true });
  const before = kept();
  let peak = before;
  function* source(): Generator<[string]> {
    for (let i = 0; i < (isFull ? 1000 : 200); i++) {
      if (i % 20 === 0) peak = Math.max(peak, kept());
      yield [String.fromCharCode(97 + (i % 26)).repeat(1_000_000)];
    }
  }
  await conn.cursor().executemany('SELECT length(%s)', source());
  expect(peak - before).toBeLessThan(64 * MEBIBYTE);
});

test(
  'a stream whose rows become a thousand times as large keeps no more than a few batches',
  { timeout: 1_200_000 },
  async () => {
    const conn = await connect({ autocommit: true });
    const before = kept();
    let peak = before;
    let rows = 0;
    const query =
      "SELECT repeat('x', CASE WHEN i <= 100 THEN 50 ELSE 50000 END) FROM generate_series(1, 3000) i";
    for await (const row of conn.cursor().stream(query)) {
      expect(row).toHaveLength(1);
      if (++rows % 50 === 0) peak = Math.max(peak, kept());
    }
    expect(rows).toBe(3000);
    expect(peak - before).toBeLessThan(16 * MEBIBYTE);
  },
);

test('the rows of a result are kept by nobody but who fetched them, once the next statement runs', async () => {
  const conn = await connect({ autocommit: true });
  const fetched = async (): Promise<WeakRef<object>> => {
    const cur = await conn.execute("SELECT i, 'row ' || i FROM generate_series(1, 100) AS i");
    return new WeakRef((await cur.fetchall())[50]!);
  };
  // As text, and in the binary format once the statement has been prepared.
  for (let i = 0; i < 8; i++) {
    const held = await heldStatement();
    const row = await fetched();
    const running = conn.execute(held.text);
    await expect
      .poll(() => {
        globalThis.gc!();
        return row.deref() === undefined;
      })
      .toBe(true);
    await held.release();
    await running;
  }
});
