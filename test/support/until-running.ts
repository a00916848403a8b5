import { expect } from 'vitest';
import { AsyncConnection, type ConninfoParams } from '../../src/index.js';

/** Waits until the backend `pid` executes a statement, since an earlier cancel request has no effect. */
export async function untilRunning(conninfo: string | ConninfoParams, pid: number): Promise<void> {
  await using observer = await AsyncConnection.connect(conninfo, { autocommit: true });
  await expect
    .poll(async () => {
      const cursor = await observer.execute('SELECT state FROM pg_stat_activity WHERE pid = %s', [pid]);
      return (await cursor.fetchone())?.[0];
    })
    .toBe('active');
}
