import { onTestFinished } from 'vitest';
import { admin } from './database.js';

/** A statement that runs until the test lets it end. */
export interface HeldStatement {
  /** Waits for a lock, and gives one column that says nothing; more columns may be added behind it. */
  readonly text: string;
  /** Lets it end. */
  release(): Promise<void>;
}

/** A statement to be under way while something else happens, however long that takes. */
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
