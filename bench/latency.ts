import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection } from './package.js';
import { FaultProxy } from '../test/support/fault-proxy.js';
import type { Figures } from './findings.js';
import { OURS, race } from './race.js';
import type { Finding, Setting } from './setting.js';

const TRANSACTIONS = 50;
/** Seconds in each direction. */
const LATENCY = 0.001;

/** A transaction of one statement over a slow link, where each round trip counts. */
export async function latency({ dsn }: Setting): Promise<Finding[]> {
  const { hostname, port } = new URL(dsn);
  await using proxy = await FaultProxy.to({ host: hostname, port: Number(port) });
  const far = new URL(dsn);
  far.hostname = '127.0.0.1';
  far.port = String(proxy.port);
  await using ours = await AsyncConnection.connect(far.href);
  const sql = postgres(far.href, { max: 1 });
  const pgClient = new pg.Client(far.href);
  await pgClient.connect();
  const pipelining = new pg.Client({ connectionString: far.href, pipeline: true });
  await pipelining.connect();
  const statement = { name: 'bench', text: 'SELECT $1::int4', values: [1] };
  const transactions: Record<string, () => Promise<unknown>> = {
    [OURS]: async () => {
      await ours.execute('SELECT %s::int4', [1]);
      await ours.commit();
    },
    postgres: () => sql.begin((tx) => tx`SELECT ${1}::int4`),
    pg: async () => {
      await pgClient.query('BEGIN');
      await pgClient.query(statement);
      await pgClient.query('COMMIT');
    },
    'pg, pipelining': async () => {
      await Promise.all([pipelining.query('BEGIN'), pipelining.query(statement)]);
      await pipelining.query('COMMIT');
    },
  };
  try {
    const counted: { name: string; value: number }[] = [];
    for (const [name, transaction] of Object.entries(transactions)) {
      // Statements are prepared before the measurement.
      for (let i = 0; i < 10; i++) await transaction();
      counted.push({ name, value: await roundTrips(proxy, transaction) });
    }
    const figures: Figures = {
      kind: 'figures',
      title: 'a transaction of one statement',
      unit: 'round trips',
      values: counted,
      goal: { most: 2, text: 'BEGIN with the statement, and COMMIT: 2' },
    };
    proxy.latency = LATENCY;
    const raced = await race(
      `${String(TRANSACTIONS)} transactions, 1 ms of latency each way`,
      Object.entries(transactions).map(([name, transaction]) => ({
        name,
        run: async () => {
          for (let i = 0; i < TRANSACTIONS; i++) await transaction();
        },
      })),
      { operations: TRANSACTIONS },
    );
    return [figures, raced];
  } finally {
    proxy.latency = 0;
    await sql.end({ timeout: 5 });
    await pgClient.end();
    await pipelining.end();
  }
}

async function roundTrips(proxy: FaultProxy, work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  let last = 'down';
  proxy.onChunk = (direction) => {
    if (direction === 'up' && last === 'down') count++;
    last = direction;
  };
  await work();
  proxy.onChunk = null;
  return count;
}
