import { onTestFinished } from 'vitest';
import { admin } from './database.js';

/** A statement that runs until the test ends it. */
export interface HeldStatement {
  /** Waits for a lock, and returns one meaningless column; further columns may be appended. */
  readonly text: string;
  /** Ends the statement. */
  release(): Promise<void>;
}

/** Makes a statement that runs for any length of time while something else happens. */
export async function heldStatement(): Promise<HeldStatement> {
  // Other files and runs have locks of their own on the same server.
  const key = Math.floor(Math.random() * 2 ** 31);
  await admin('select pg_advisory_lock($1)', [key]);
  let isHeld = true;
  const release = async (): Promise<void> => {
    if (!isHeld) return;
    isHeld = false;
    await admin('select pg_advisory_unlock($1)', [key]);
  };
  onTestFinished(release);
  return { text: `select pg_advisory_xact_lock_shared(${String(key)})`, release };
}
