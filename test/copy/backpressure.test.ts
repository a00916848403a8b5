import { setTimeout as sleep } from 'node:timers/promises';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admin, connect } from '../support/database.js';

// The slow side holds up the fast side, and nothing accumulates in between. In the time of each test, the fast side could
// transfer at least a gigabyte.

const MEBIBYTE = 1024 * 1024;
const MOST_GROWTH = 64 * MEBIBYTE;
const SECONDS = 3;

/** Runs `work` and returns the maximum growth of resident memory in bytes. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  globalThis.gc!();
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return peak - before;
}

const ENDLESS = "COPY (SELECT repeat('x', 1000) FROM (SELECT generate_series(1, 1000000000)) AS s) TO STDOUT";

beforeAll(async () => {
  // A server that takes 5 ms for a row of 100 KB, and discards it.
  await admin(`CREATE TABLE copied_slowly (v text);
    CREATE FUNCTION copied_slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.005); RETURN NULL; END';
    CREATE TRIGGER slow BEFORE INSERT ON copied_slowly FOR EACH ROW EXECUTE FUNCTION copied_slowly()`);
});
afterAll(() => admin('DROP TABLE copied_slowly; DROP FUNCTION copied_slowly()'));

/** The amount sent to a slow reader: as promised in CI, less at home. */
const OUT = (process.env['CI'] === undefined ? 128 : 1024) * MEBIBYTE;

test(
  `memory grows by ${String(MOST_GROWTH / MEBIBYTE)} MiB at most while ${String(OUT / MEBIBYTE)} MiB go to a reader who pauses`,
  { timeout: 120_000 },
  async () => {
    const conn = await connect({ autocommit: true });
    const line = 1023;
    const rows = OUT / (line + 1);
    let taken = 0;
    let pauses = 0;
    const growth = await growthDuring(async () => {
      await using copy = await conn
        .cursor()
        .copy("COPY (SELECT repeat('x', %s) FROM generate_series(1, %s)) TO STDOUT", [line, rows]);
      for await (const piece of copy.readable()) {
        taken += (piece as Buffer).length;
        // The server could have sent everything in the meantime.
        if (taken > (pauses * OUT) / 4) {
          pauses++;
          await sleep(400);
        }
      }
    });
    expect(taken).toBe(OUT);
    expect(pauses).toBe(4);
    expect(growth).toBeLessThan(MOST_GROWTH);
  },
);

describe(`memory grows by ${String(MOST_GROWTH / MEBIBYTE)} MiB at most in ${String(SECONDS)} s`, () => {
  test('when the reader of a stream is slow', async () => {
    const conn = await connect({ autocommit: true });
    let taken = 0;
    const slow = new Writable({
      write(piece: Buffer, _encoding, callback) {
        taken += piece.length;
        setTimeout(callback, 50);
      },
    });
    const growth = await growthDuring(async () => {
      await using copy = await conn.cursor().copy(ENDLESS);
      const enough = AbortSignal.timeout(SECONDS * 1000);
      await expect(pipeline(copy.readable(), slow, { signal: enough })).rejects.toMatchObject({
        name: 'AbortError',
      });
    });
    expect(taken).toBeGreaterThan(MEBIBYTE);
    expect(growth).toBeLessThan(MOST_GROWTH);
    await conn.execute('SELECT 1');
  });

  test('when the reader of rows is slow', async () => {
    const conn = await connect({ autocommit: true });
    let rows = 0;
    const growth = await growthDuring(() =>
      conn.cursor().withCopy(ENDLESS, async (copy) => {
        const end = performance.now() + SECONDS * 1000;
        for await (const [value] of copy.rows()) {
          rows++;
          expect((value as string).length).toBe(1000);
          if (rows % 100 === 0) await sleep(20);
          if (performance.now() > end) break;
        }
      }),
    );
    expect(rows).toBeGreaterThan(1000);
    expect(growth).toBeLessThan(MOST_GROWTH);
  });

  test('when the server is slower than the source of a stream', async () => {
    const conn = await connect({ autocommit: true });
    const line = Buffer.from(`${'x'.repeat(100_000)}\n`);
    let given = 0;
    function* source(): Generator<Buffer> {
      for (;;) {
        given += line.length;
        yield Buffer.from(line);
      }
    }
    const growth = await growthDuring(async () => {
      await using copy = await conn.cursor().copy('COPY copied_slowly FROM STDIN');
      const enough = AbortSignal.timeout(SECONDS * 1000);
      const attempt = pipeline(Readable.from(source(), { objectMode: true }), copy.writable(), {
        signal: enough,
      });
      await expect(attempt).rejects.toMatchObject({ name: 'AbortError' });
    });
    expect(given).toBeGreaterThan(MEBIBYTE);
    // About 20 MB/s, plus the kernel's buffers.
    expect(given).toBeLessThan(256 * MEBIBYTE);
    expect(growth).toBeLessThan(MOST_GROWTH);
    await conn.execute('SELECT 1');
  });

  test('when the server is slower than the writer of rows', async () => {
    const conn = await connect({ autocommit: true });
    const value = 'x'.repeat(100_000);
    let rows = 0;
    const growth = await growthDuring(async () => {
      await using copy = await conn.cursor().copy('COPY copied_slowly FROM STDIN');
      const end = performance.now() + SECONDS * 1000;
      for (; performance.now() < end; rows++) await copy.writeRow([value]);
    });
    expect(rows).toBeGreaterThan(10);
    expect(growth).toBeLessThan(MOST_GROWTH);
  });
});
