import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { platform } from 'node:os';
import { AsyncConnection } from './package.js';
import { race, type Contender, type Race, type RaceOptions } from './race.js';
import type { Setting } from './setting.js';

/**
 * Runs a race of statements, each awaited before the next, with this process, Python's and all backends on one processor. This
 * requires Linux and a server on the same machine.
 *
 * Client and server take turns, so a second processor is of no use. Whether the kernel wakes a process on the same processor, or
 * has to wake another processor as well, matters more than the work of either: the same bytes, sent and answered, took 16 µs or
 * 60. On one processor, the time is the work of the client and the server.
 */
export async function raceInTurns(
  { dsn, python }: Pick<Setting, 'dsn' | 'python'>,
  workload: string,
  contenders: readonly Contender[],
  options: RaceOptions,
): Promise<Race> {
  // All clients must have connected.
  for (const contender of contenders) await contender.run();
  const run = (): Promise<Race> => race(workload, contenders, options);
  const affinity = affinityOf(process.pid);
  if (affinity === null) return run();
  const first = /^\d+/.exec(affinity)![0];
  const all = [process.pid, ...(python?.pids ?? []), ...(await backends(dsn))];
  for (const pid of all) place(pid, first);
  try {
    return await run();
  } finally {
    for (const pid of all) place(pid, affinity);
  }
}

/** The list of processors that a process may use; null if it cannot be determined. */
function affinityOf(pid: number): string | null {
  if (platform() !== 'linux') return null;
  try {
    return execFileSync('taskset', ['-cp', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .split(': ')[1]!
      .trim();
  } catch {
    return null;
  }
}

function place(pid: number, processors: string): void {
  try {
    execFileSync('taskset', ['-acp', processors, String(pid)], { stdio: 'ignore' });
  } catch {
    // The process has ended or belongs to another user: it stays where it is.
  }
}

/** The backends of all connections to this database, if they are processes of this machine. */
async function backends(dsn: string): Promise<number[]> {
  await using conn = await AsyncConnection.connect(dsn, { autocommit: true });
  const found = await conn.execute(
    'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND client_port IS NOT NULL AND pid <> pg_backend_pid()',
  );
  return ((await found.fetchall()) as [number][]).map(([pid]) => pid).filter(isPostgres);
}

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${String(pid)}/comm`, 'utf8').startsWith('postgres');
  } catch {
    return false;
  }
}
