import pg from 'pg';
import postgres from 'postgres';
import { AsyncConnection } from './package.js';
import { OURS, race, type Race } from './race.js';
import type { Setting } from './setting.js';

const CONNECTIONS = 50;

/** Connecting and closing: connections one after another, and all at once. */
export async function connect({ dsn }: Setting): Promise<Race[]> {
  const clients: Record<string, () => Promise<unknown>> = {
    [OURS]: async () => {
      const conn = await AsyncConnection.connect(dsn);
      await conn.close();
    },
    // postgres.js connects only with its first statement.
    'postgres, with a statement': async () => {
      const sql = postgres(dsn, { max: 1, fetch_types: false });
      await sql`SELECT 1`;
      await sql.end({ timeout: 5 });
    },
    [`${OURS}, with a statement`]: async () => {
      const conn = await AsyncConnection.connect(dsn, { autocommit: true });
      await conn.execute('SELECT 1');
      await conn.close();
    },
    pg: async () => {
      const client = new pg.Client(dsn);
      await client.connect();
      await client.end();
    },
  };
  const contenders = (repeat: (once: () => Promise<unknown>) => Promise<unknown>) =>
    Object.entries(clients).map(([name, once]) => ({ name, run: () => repeat(once) }));
  return [
    await race(
      `connect and close, ${String(CONNECTIONS)} one by one`,
      contenders(async (once) => {
        for (let i = 0; i < CONNECTIONS; i++) await once();
      }),
      { operations: CONNECTIONS, goals: [{ peers: ['pg'], ratio: 1 }] },
    ),
    await race(
      `connect and close, ${String(CONNECTIONS)} at once`,
      contenders((once) => Promise.all(Array.from({ length: CONNECTIONS }, once))),
      { operations: CONNECTIONS, goals: [{ peers: ['pg'], ratio: 1 }] },
    ),
  ];
}
