import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { AsyncConnectionPool, errors } from '../../src/index.js';
import { applicationName } from '../support/database.js';
import { startOwnServer, type OwnServer } from '../support/server.js';
import { writableServer } from '../support/writable-server.js';
import { startStandbyOf, type Standby } from '../support/standby.js';

const WORKERS = 8;
const CONNECTIONS = 4;
/** The factor by which a machine may exceed the promised time for the same number of rows. */
const PATIENCE = 20;

/** A primary and its standby, which receives everything that the primary acknowledges. */
interface Pair {
  readonly primary: OwnServer;
  readonly standby: Standby;
}

const pairs: Pair[] = [];

async function startPair(): Promise<Pair> {
  const primary = await startOwnServer({ sql: 'CREATE TABLE written (n int)' });
  const pair = { primary, standby: await startStandbyOf(primary) };
  pairs.push(pair);
  return pair;
}

let crashing: Pair;
let switching: Pair;

beforeAll(async () => {
  [crashing, switching] = await Promise.all([startPair(), startPair()]);
});

// The standbys stop first: a primary does not stop before they have received everything.
afterAll(async () => {
  await Promise.all(pairs.map(({ standby }) => standby.stop()));
  await Promise.all(pairs.map(({ primary }) => primary.stop()));
});

/** Workers that write rows through a pool, and the outcomes of these rows. */
class Writing {
  readonly acknowledged = new Set<number>();
  readonly failed = new Map<number, unknown>();
  /** Rows whose connection was lost between the COMMIT and its answer. */
  readonly unknown = new Set<number>();
  readonly pool: AsyncConnectionPool;
  #last = 0;
  #stopped = false;
  readonly #workers: Promise<void>[];

  constructor({ primary, standby }: Pair) {
    this.pool = new AsyncConnectionPool(
      {
        ...writableServer([primary, standby]),
        application_name: applicationName(),
        connect_timeout: 2,
      },
      { minSize: CONNECTIONS },
    );
    this.#workers = Array.from({ length: WORKERS }, () => this.#work());
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      const n = ++this.#last;
      try {
        await this.pool.withTransaction((conn) => conn.execute('INSERT INTO written VALUES (%s)', [n]));
        this.acknowledged.add(n);
      } catch (error) {
        if (error instanceof errors.TransactionOutcomeUnknown) this.unknown.add(n);
        else this.failed.set(n, error);
      }
    }
  }

  /** Resolves with the seconds until `count` more rows were acknowledged. */
  async more(count: number): Promise<number> {
    const began = performance.now();
    const goal = this.acknowledged.size + count;
    await expect.poll(() => this.acknowledged.size, { timeout: 60_000, interval: 10 }).toBeGreaterThan(goal);
    return (performance.now() - began) / 1000;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    await this.pool.close();
  }
}

function write(pair: Pair): Writing {
  const writing = new Writing(pair);
  onTestFinished(() => writing.stop());
  return writing;
}

/** Runs SQL on a server by node-postgres; returns the last column of its rows. */
async function ask({ dsn }: OwnServer, ...statements: string[]): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: dsn });
  await client.connect();
  try {
    let rows: unknown[][] = [];
    for (const text of statements) ({ rows } = await client.query<unknown[]>({ text, rowMode: 'array' }));
    return rows.map((row) => row.at(-1));
  } finally {
    await client.end();
  }
}

/** Checks that `server` has every acknowledged row once, and no failed row. */
async function expectNothingLost(server: OwnServer, writing: Writing): Promise<void> {
  const rows = (await ask(server, 'SELECT n FROM written ORDER BY n')) as number[];
  const there = new Set(rows);
  expect(rows).toHaveLength(there.size);
  expect([...writing.acknowledged].filter((n) => !there.has(n))).toEqual([]);
  expect([...writing.failed.keys()].filter((n) => there.has(n))).toEqual([]);
  const unexplained = rows.filter((n) => !writing.acknowledged.has(n) && !writing.unknown.has(n));
  expect(unexplained).toEqual([]);
}

describe('a pool for a primary and its standby, with target_session_attrs=read-write', () => {
  it('writes again within 5 seconds of the promotion after the primary was killed, and nothing acknowledged is lost', async () => {
    const { primary, standby } = crashing;
    const writing = write(crashing);
    const usual = await writing.more(100);
    await primary.crash('SIGKILL');
    // Requests wait in the meantime: the standby is reachable but unsuitable.
    await expect.poll(() => writing.pool.getStats().requestsWaiting).toBe(WORKERS);
    await standby.promote();
    expect(await writing.more(100)).toBeLessThan(5 + PATIENCE * usual);
    await writing.stop();

    await expectNothingLost(standby, writing);
    const lost = writing.failed.size + writing.unknown.size;
    expect(lost).toBeGreaterThan(0);
    // Each connection failed for its borrower once; waiting requests did not notice.
    expect(lost).toBeLessThanOrEqual(2 * CONNECTIONS);
    for (const error of writing.failed.values()) expect(error).toBeInstanceOf(errors.OperationalError);
  });

  it('switches from a primary that became read-only, once for each connection, to the promoted standby', async () => {
    const { primary, standby } = switching;
    const writing = write(switching);
    const usual = await writing.more(100);
    // An orderly switchover begins like this. It does not end existing sessions.
    await ask(primary, 'ALTER SYSTEM SET default_transaction_read_only = on', 'SELECT pg_reload_conf()');
    await expect.poll(() => writing.pool.getStats().requestsWaiting).toBe(WORKERS);
    await standby.promote();
    expect(await writing.more(100)).toBeLessThan(5 + PATIENCE * usual);
    const { returnsBad } = writing.pool.getStats();
    await writing.stop();

    await expectNothingLost(standby, writing);
    expect(writing.unknown.size).toBe(0);
    expect(writing.failed.size).toBe(CONNECTIONS);
    expect(returnsBad).toBe(CONNECTIONS);
    for (const error of writing.failed.values()) expect(error).toBeInstanceOf(errors.ReadOnlySqlTransaction);
  });
});
