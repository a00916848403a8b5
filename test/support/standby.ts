import { cp, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pg from 'pg';
import { conninfoToDict, makeConninfo } from '../../src/index.js';
import { giveAway, makePlace, runServer, writeDataFile, type OwnServer } from './server.js';

/** A hot standby that streams from its primary. */
export interface Standby extends OwnServer {
  /** Makes it the primary; resolves when it accepts writes. */
  promote(): Promise<void>;
}

/** Files that the copy omits: the primary's process, and its WAL, which is streamed. */
const NOT_COPIED = /^(?:postmaster\.(?:pid|opts)|pg_wal\/.*|pg_replslot\/.*|pg_stat_tmp\/.*)$/;

/**
 * Starts a standby of `primary` from a copy of its running data, as pg_basebackup does. From then on each commit on the primary
 * waits until it is visible here, so that no acknowledged commit is lost with the primary.
 */
export async function startStandbyOf(primary: OwnServer): Promise<Standby> {
  const place = await makePlace();
  await using session = await connect(primary);
  await session.client.query("SELECT pg_backup_start('standby', true)");
  await cp(primary.dataDirectory, place.data, {
    recursive: true,
    // Files that the primary removes in the meantime are not needed.
    filter: (source) => !NOT_COPIED.test(relative(primary.dataDirectory, source)),
  });
  const stopped = await session.client.query<{ labelfile: string }>('SELECT * FROM pg_backup_stop(false)');
  await writeDataFile(place, 'backup_label', stopped.rows[0]!.labelfile);
  await writeDataFile(place, 'standby.signal', '');
  for (const name of await readdir(place.data, { recursive: true }))
    await giveAway(place, join(place.data, name));

  const { host, port, user } = conninfoToDict(primary.dsn);
  const standby = await runServer(
    place,
    {
      primary_conninfo: makeConninfo('', { host, port, user, application_name: 'standby' }),
      wal_retrieve_retry_interval: '100ms',
    },
    'SELECT 1',
  );
  await session.client.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
  await session.client.query("ALTER SYSTEM SET synchronous_commit = 'remote_apply'");
  await session.client.query('SELECT pg_reload_conf()');
  await untilSynchronous(session.client);
  return {
    ...standby,
    promote: async () => {
      await using other = await connect(standby);
      const promoted = await other.client.query<{ done: boolean }>('SELECT pg_promote(true, 30) AS done');
      if (promoted.rows[0]?.done !== true) throw new Error('the standby could not be promoted');
    },
  };
}

async function connect({ dsn }: OwnServer): Promise<{ client: pg.Client } & AsyncDisposable> {
  const client = new pg.Client(dsn);
  client.on('error', () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}

async function untilSynchronous(client: pg.Client): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { rows } = await client.query<{ sync_state: string }>('SELECT sync_state FROM pg_stat_replication');
    if (rows[0]?.sync_state === 'sync') return;
    if (Date.now() > deadline) throw new Error('the standby does not stream from its primary');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
