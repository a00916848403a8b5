import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PostgreSQL and PgBouncer refuse to run as root. As root, tests run them as this user, which exists on every Unix. */
const NOBODY = 65_534;
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The user that a test's server runs as; empty for the current user. */
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

/** Runs `cleanUp` when the process exits or gets a signal to end; returns a function that cancels this. */
export function onProcessEnd(cleanUp: () => void): () => void {
  const remove = (): void => {
    process.removeListener('exit', cleanUp);
    for (const signal of ENDING_SIGNALS) process.removeListener(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    remove();
    cleanUp();
    // Without our handler, the signal has its default effect, unless there is another handler.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  process.once('exit', cleanUp);
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  return remove;
}

/** A directory for temporary files, which is removed with its scope. */
export interface OwnDirectory extends Disposable {
  readonly path: string;
  /** Leaves its removal to the caller. */
  readonly keep: () => void;
}

/**
 * Makes a directory for temporary files, which is also removed when the process ends. A signal that nothing handles ends the
 * process at once, so the handlers are there before the directory.
 */
export function ownDirectory(prefix: string, parent = tmpdir()): OwnDirectory {
  let path: string | null = null;
  const remove = (): void => {
    if (path !== null) rmSync(path, { recursive: true, force: true, maxRetries: 20 });
  };
  const keep = onProcessEnd(remove);
  path = mkdtempSync(join(parent, prefix));
  return {
    path,
    keep,
    [Symbol.dispose]: () => {
      keep();
      remove();
    },
  };
}
