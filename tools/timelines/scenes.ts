import { setTimeout as sleep } from 'node:timers/promises';
import {
  AsyncConnection,
  AsyncConnectionPool,
  conninfoToDict,
  errors,
  makeConninfo,
} from '../../src/index.js';
import { FaultProxy, type Direction } from '../../test/support/fault-proxy.js';
import { startOwnServer, type TestServer } from '../../test/support/server.js';
import { writableServer } from '../../test/support/writable-server.js';
import { startStandbyOf } from '../../test/support/standby.js';
import { PoolRecorder } from './recorder.js';

/** Something that happened at a moment, in seconds, and what it is called in the drawing. */
export interface Moment {
  readonly at: number;
  readonly name: string;
}

/** What the connections of a pool did, and what became of the transactions that were run on it. */
export interface PoolRecording {
  readonly recorder: PoolRecorder;
  readonly marks: readonly Moment[];
  /** The end of each transaction, by its outcome. */
  readonly ends: readonly Moment[];
}

/** One piece of what goes over the network: when it was sent, when it arrived, in seconds, and where to. */
export interface Packet {
  readonly way: 'one by one' | 'in a pipeline';
  readonly direction: Direction;
  /** How many statements it has, or answers to such. */
  readonly statements: number;
  readonly sent: number;
  readonly arrived: number;
}

const POOL = 'recorded';

/** Sixty requests come at once to a pool of two connections, which may grow to ten. */
export async function recordBurst({ dsn }: TestServer): Promise<PoolRecording> {
  const recorder = new PoolRecorder(POOL);
  const marks: Moment[] = [];
  const ends: Moment[] = [];
  await using pool = new AsyncConnectionPool(dsn, { name: POOL, minSize: 2, maxSize: 10, maxIdle: 0.5 });
  await pool.wait();
  await sleep(200);
  marks.push({ at: recorder.now, name: '60 requests' });
  await Promise.all(
    Array.from({ length: 60 }, async () => {
      await pool.execute('SELECT pg_sleep(0.05)');
      ends.push({ at: recorder.now, name: 'committed' });
    }),
  );
  marks.push({ at: recorder.now, name: 'all answered' });
  await sleep(1200);
  recorder.stop();
  return { recorder, marks, ends };
}

/** The primary of two servers crashes while eight tasks write; the standby takes its place. */
export async function recordFailover(): Promise<PoolRecording> {
  const primary = await startOwnServer({ sql: 'CREATE TABLE written (n int)' });
  const standby = await startStandbyOf(primary);
  const recorder = new PoolRecorder(POOL);
  const marks: Moment[] = [];
  const ends: Moment[] = [];
  const pool = new AsyncConnectionPool(
    {
      ...writableServer([primary, standby]),
      connect_timeout: 2,
    },
    { name: POOL, minSize: 4 },
  );
  try {
    await pool.wait();
    let isOver = false;
    const tasks = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        try {
          await pool.execute('INSERT INTO written SELECT 1 FROM pg_sleep(0.01)');
          ends.push({ at: recorder.now, name: 'committed' });
        } catch (error) {
          const isUnknown = error instanceof errors.TransactionOutcomeUnknown;
          ends.push({ at: recorder.now, name: isUnknown ? 'outcome unknown' : 'failed' });
        }
      }
    });
    await sleep(1000);
    marks.push({ at: recorder.now, name: 'the primary crashes' });
    await primary.crash('SIGKILL');
    await sleep(1000);
    await standby.promote();
    marks.push({ at: recorder.now, name: 'the standby is primary' });
    const promoted = ends.length;
    while (ends.length < promoted + 200) await sleep(10);
    isOver = true;
    await Promise.all(tasks);
    recorder.stop();
  } finally {
    await pool.close();
    await standby.stop();
    await primary.stop();
  }
  return { recorder, marks, ends };
}

const LATENCY = 0.02;
const STATEMENTS = 5;

/** The same statements one by one and in a pipeline, to a server that is 20 ms away. */
export async function recordMessages({ dsn }: TestServer): Promise<Packet[]> {
  const { host, port } = conninfoToDict(dsn);
  await using proxy = await FaultProxy.to({ host: String(host), port: Number(port) });
  await using conn = await AsyncConnection.connect(
    makeConninfo(dsn, { host: '127.0.0.1', port: proxy.port, sslmode: 'disable' }),
    { autocommit: true },
  );
  const insert = (n: number): Promise<unknown> =>
    conn.execute('INSERT INTO pg_temp.sent VALUES (%s)', [n], { prepare: true });
  await conn.execute('CREATE TEMP TABLE sent (n int)');
  await insert(0);
  const packets: Packet[] = [];
  const during = async (way: Packet['way'], work: () => Promise<unknown>): Promise<void> => {
    proxy.latency = LATENCY;
    const began = performance.now();
    proxy.onChunk = (direction, chunk) => {
      const sent = (performance.now() - began) / 1000;
      // Execute, and CommandComplete.
      const statements = messagesIn(chunk).filter((type) => type === (direction === 'up' ? 'E' : 'C')).length;
      packets.push({ way, direction, statements, sent, arrived: sent + LATENCY });
    };
    await work();
    proxy.onChunk = null;
    proxy.latency = 0;
  };
  await during('one by one', async () => {
    for (let n = 1; n <= STATEMENTS; n++) await insert(n);
  });
  await during('in a pipeline', () =>
    conn.withPipeline(async () => {
      for (let n = 1; n <= STATEMENTS; n++) await insert(n);
    }),
  );
  return packets;
}

/** The types of the protocol's messages in a chunk that begins and ends with one. */
function messagesIn(chunk: Buffer): string[] {
  const types: string[] = [];
  for (let at = 0; at < chunk.length; at += 1 + chunk.readInt32BE(at + 1)) {
    types.push(String.fromCharCode(chunk[at]!));
  }
  return types;
}
