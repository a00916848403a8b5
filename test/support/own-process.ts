import type { ChildProcess } from 'node:child_process';

/** PostgreSQL and PgBouncer refuse to run as root; as root they are run as this user, which every Unix has. */
const NOBODY = 65_534;
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The user that a server of a test runs as; empty if it is our own. */
export function serverIdentity(): { uid: number; gid: number } | Record<string, never> {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

/** Ends a process; resolves when it is gone. */
export async function exitOf(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exited;
}

/** Runs `cleanUp` when the process exits or is told to; returns what takes that back. */
export function onProcessEnd(cleanUp: () => void): () => void {
  const remove = (): void => {
    process.removeListener('exit', cleanUp);
    for (const signal of ENDING_SIGNALS) process.removeListener(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    remove();
    cleanUp();
    // With our handler gone the signal does what it would have done, unless somebody else handles it.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  process.once('exit', cleanUp);
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  return remove;
}
