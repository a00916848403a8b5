/**
 * Measures what a connection costs a server in processor time: its postmaster, which is one process, and the backends. The model of
 * the simulation takes its numbers from here: `npx tsx tools/simulate/connection-cost.ts`. Linux only.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncConnection, makeConninfo } from '../../src/index.js';
import { PASSWORD_ROLE, startOwnServer } from '../../test/support/server.js';

const ROUNDS = 3;
const CONNECTIONS = 500;
/** The length of a tick in /proc, in seconds. */
const TICK = 0.01;

/** Seconds of processor time of a process, and of those of its children that have ended. */
async function processorTime(pid: number): Promise<{ own: number; children: number }> {
  const [nanoseconds] = (await readFile(`/proc/${String(pid)}/schedstat`, 'utf8')).split(' ');
  const fields = (await readFile(`/proc/${String(pid)}/stat`, 'utf8')).split(') ')[1]!.split(' ').map(Number);
  return { own: Number(nanoseconds) / 1e9, children: (fields[13]! + fields[14]!) * TICK };
}

const server = await startOwnServer();
try {
  const [pid] = (await readFile(`${server.dataDirectory}/postmaster.pid`, 'utf8')).split('\n');
  const conninfo = makeConninfo(server.dsn, { ...PASSWORD_ROLE, dbname: 'postgres' });
  for (let round = 0; round < ROUNDS; round++) {
    const before = await processorTime(Number(pid));
    for (let i = 0; i < CONNECTIONS; i++) await (await AsyncConnection.connect(conninfo)).close();
    // The last backends end.
    await sleep(500);
    const after = await processorTime(Number(pid));
    const each = (seconds: number): string => `${((seconds / CONNECTIONS) * 1000).toFixed(2)} ms`;
    console.log(
      `postmaster ${each(after.own - before.own)}, backend ${each(after.children - before.children)}`,
    );
  }
} finally {
  await server.stop();
}
