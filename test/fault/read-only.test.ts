import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import {
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  type AsyncConnection,
  type QueryMessage,
} from '../../src/index.js';
import { startOwnServer, type OwnServer } from '../support/server.js';
import { writableServer } from '../support/writable-server.js';
import { query } from './bank.js';

const CONNECTIONS = 4;
const FLIPS = 6;

let servers: OwnServer[];

beforeAll(async () => {
  const sql = 'CREATE TABLE written (n int)';
  servers = await Promise.all([startOwnServer({ sql }), startOwnServer({ sql })]);
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
});

/** Ways to write, some of which hide the server's refusal from the program. */
const WRITES: readonly ((conn: AsyncConnection) => Promise<unknown>)[] = [
  (conn) => conn.execute('INSERT INTO written VALUES (%s)', [1]),
  (conn) => conn.execute('SELECT 1; INSERT INTO written VALUES (2)'),
  (conn) => conn.cursor().executemany('INSERT INTO written VALUES (%s)', [[3], [4]]),
  (conn) => conn.cursor().withCopy('COPY written FROM STDIN', (copy) => copy.writeRow([5])),
  (conn) => conn.withPipeline(() => conn.execute('INSERT INTO written VALUES (%s)', [6])),
  async (conn) => {
    for await (const row of conn.cursor().stream('INSERT INTO written VALUES (7) RETURNING n'))
      expect(row).toEqual([7]);
  },
  async (conn) => {
    await conn.execute('SELECT 1');
    // The savepoint takes the error back, and the transaction goes on.
    await conn
      .withTransaction(() => conn.execute('INSERT INTO written VALUES (8)'))
      .catch((error: unknown) => {
        expect(error).toBeInstanceOf(errors.ReadOnlySqlTransaction);
      });
  },
  async (conn) => {
    await conn.setAutocommit(true);
    await conn.execute('INSERT INTO written VALUES (9)');
  },
];

async function setReadOnly({ dsn }: OwnServer, value: 'on' | 'off'): Promise<void> {
  await query(dsn, `ALTER SYSTEM SET default_transaction_read_only = ${value}`);
  await query(dsn, 'SELECT pg_reload_conf()');
  await expect
    .poll(() => query(dsn, 'SHOW default_transaction_read_only'))
    .toEqual([{ default_transaction_read_only: value }]);
}

it('a pool of read-write lends no connection again whose server has become read-only, however that was found', async () => {
  const pool = new AsyncConnectionPool(writableServer(servers), { minSize: CONNECTIONS, name: 'writers' });
  onTestFinished(() => pool.close());

  /** How often each connection was told that its server is read-only. */
  const refusals = new Map<string, number>();
  const onQuery = (message: unknown): void => {
    const { pool: name, port, backendPid, sqlstate } = message as QueryMessage;
    if (name !== pool.name || sqlstate !== '25006') return;
    const key = `${String(port)}: ${String(backendPid)}`;
    refusals.set(key, (refusals.get(key) ?? 0) + 1);
  };
  subscribe('tracing:usingpg:query:asyncEnd', onQuery);
  onTestFinished(() => void unsubscribe('tracing:usingpg:query:asyncEnd', onQuery));

  let isOver = false;
  let done = 0;
  const ports: number[] = [];
  const work = async (first: number): Promise<void> => {
    for (let i = first; !isOver; i++) {
      try {
        await pool.withConnection(async (conn) => {
          await WRITES[i % WRITES.length]!(conn);
          ports.push(conn.info.port);
        });
        done++;
      } catch (error) {
        const { cause } = error as errors.Error;
        const refusal = error instanceof errors.InFailedSqlTransaction ? cause : error;
        expect(refusal).toBeInstanceOf(errors.ReadOnlySqlTransaction);
      }
    }
  };
  const tasks = Promise.all(Array.from({ length: 2 * CONNECTIONS }, (_, i) => work(i)));
  onTestFinished(async () => {
    isOver = true;
    await tasks;
  });

  for (let flip = 0; flip < FLIPS; flip++) {
    const [next, last] = flip % 2 === 0 ? [servers[0]!, servers[1]!] : [servers[1]!, servers[0]!];
    await setReadOnly(next, 'off');
    await setReadOnly(last, 'on');
    const port = Number(conninfoToDict(next.dsn).port);
    // All connections are to the other server, and all ways to write have worked there.
    await expect.poll(() => ports.slice(-5 * CONNECTIONS).every((used) => used === port)).toBe(true);
    const goal = done + 10 * CONNECTIONS;
    await expect.poll(() => done).toBeGreaterThan(goal);
  }
  isOver = true;
  await tasks;

  expect(refusals.size).toBeGreaterThanOrEqual((FLIPS - 1) * CONNECTIONS);
  for (const [connection, times] of refusals) expect(times, connection).toBe(1);
  // What was replaced is what was refused, and nothing else.
  expect(pool.getStats().returnsBad).toBe(refusals.size);
});
