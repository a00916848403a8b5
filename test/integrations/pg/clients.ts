import { onTestFinished } from 'vitest';
import { Client, Pool, type ClientConfig, type PoolConfig } from '../../../src/integrations/pg/index.js';
import { conninfoToDict } from '../../../src/index.js';
import { dsn } from '../../support/database.js';

/** node-postgres's configuration for the run's server. */
export function config(more: ClientConfig = {}): ClientConfig {
  const { host, port, user, dbname, password, application_name } = conninfoToDict(dsn());
  return { host, port: Number(port), user, database: dbname, password, application_name, ...more };
}

/** A client for one test, which is closed when the test ends. */
export async function connect(more: ClientConfig = {}): Promise<Client> {
  const client = new Client(config(more));
  onTestFinished(() => client.end());
  await client.connect();
  return client;
}

/** A pool for one test, which is closed when the test ends. */
export function makePool(more: PoolConfig = {}): Pool {
  const pool = new Pool({ ...config(), ...more });
  onTestFinished(async () => {
    if (!pool.ending) await pool.end();
  });
  return pool;
}

/** The next event of an emitter: its arguments. */
export function event(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => {
    emitter.once(name, (...args: unknown[]) => {
      resolve(args);
    });
  });
}
