import { expect } from 'vitest';
import { AsyncConnection, type ConninfoParams } from '../../src/index.js';

/** Waits until the server of `conninfo` executes something for the backend `pid`; a cancel request before that does nothing. */
export async function untilRunning(conninfo: string | ConninfoParams, pid: number): Promise<void> {
  await using observer = await AsyncConnection.connect(conninfo, { autocommit: true });
  await expect
    .poll(async () => {
      const cursor = await observer.execute('SELECT state FROM pg_stat_activity WHERE pid = %s', [pid]);
      return (await cursor.fetchone())?.[0];
    })
    .toBe('active');
}
