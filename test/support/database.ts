import { basename } from 'node:path';
import pg from 'pg';
import { expect, inject, onTestFinished } from 'vitest';
import {
  AsyncConnection,
  AsyncConnectionPool,
  makeConninfo,
  type ConnectOptions,
  type ConninfoParams,
  type errors,
  type PoolOptions,
  type TupleRow,
} from '../../src/index.js';
import { warningsOf } from './warnings.js';

let client: Promise<pg.Client> | null = null;

/** The application_name of this test file's connections; other files and runs have others. */
export function applicationName(): string {
  const file = basename(expect.getState().testPath ?? 'unknown', '.test.ts');
  // PostgreSQL keeps 63 bytes of it.
  return `usingpg test ${String(process.pid)} ${file}`.slice(0, 63);
}

/** A connection string for the run's server, with `params` merged in. */
export function dsn(params: ConninfoParams = {}): string {
  return makeConninfo(inject('dsn'), { application_name: applicationName(), ...params });
}

/** A connection for one test, which is closed when the test ends. */
export async function connect<R = TupleRow>(
  options: ConnectOptions<R> = {},
  params: ConninfoParams = {},
): Promise<AsyncConnection<R>> {
  const connection = await AsyncConnection.connect<R>(dsn(params), options);
  // A test does not need its uncommitted work.
  onTestFinished(async () => {
    await warningsOf('USINGPG_UNCOMMITTED', () => connection.close());
  });
  return connection;
}

/** A pool for one test, closed when the test ends; `params` are merged into the connection string. */
export function makePool(options: PoolOptions = {}, params: ConninfoParams = {}): AsyncConnectionPool {
  const pool = new AsyncConnectionPool(dsn(params), { minSize: 1, ...options });
  onTestFinished(() => pool.close());
  return pool;
}

/** The error with which a promise rejects; fails if it resolves. */
export function rejection(promise: Promise<unknown>): Promise<errors.Error> {
  return promise.then(
    () => {
      throw new Error('it should have been refused');
    },
    (error: unknown) => error as errors.Error,
  );
}

/** Runs SQL on a connection of node-postgres, each statement committed: an independent view of what usingpg has done. */
export async function admin<Row extends pg.QueryResultRow = Record<string, unknown>>(
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const connected = await (client ??= connectAdmin());
  // Several statements in one string cannot have parameters, and return an array of results.
  const result = await (values.length === 0
    ? connected.query<Row>(sql)
    : connected.query<Row>(sql, [...values]));
  return (Array.isArray(result) ? (result as pg.QueryResult<Row>[]).at(-1)! : result).rows;
}

/** The process ids of the backends of this test file's connections. */
export async function backends(): Promise<number[]> {
  const rows = await admin<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE application_name = $1', [
    applicationName(),
  ]);
  return rows.map(({ pid }) => pid);
}

/** Kills a backend as an administrator does; resolves when it is gone. */
export async function terminate(pid: number): Promise<void> {
  const [row] = await admin<{ gone: boolean }>('SELECT pg_terminate_backend($1, 5000) AS gone', [pid]);
  if (row?.gone === true) return;
  // A backend that has just ended by itself cannot be killed.
  const left = await admin('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid]);
  if (left.length > 0) throw new Error(`backend ${String(pid)} could not be terminated`);
}

/** Closes the connection of `admin()`. */
export async function disconnectAdmin(): Promise<void> {
  const connected = client;
  client = null;
  await (await connected)?.end();
}

async function connectAdmin(): Promise<pg.Client> {
  const connected = new pg.Client({
    connectionString: inject('dsn'),
    application_name: 'usingpg test admin',
  });
  await connected.connect();
  return connected;
}
