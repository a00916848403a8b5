import type { AsyncConnection } from '../connection/connection.js';
import { mayHaveCommitted, runBlock } from '../connection/checkout.js';
import type { AsyncTransaction } from '../connection/transaction.js';
import { isTransient, MayRetry, type OwnSettings } from './retry.js';

/**
 * Runs `body` in a transaction block of `connection`, which was lent for it alone. Resolves as `conn.withTransaction()` does, and
 * with a `MayRetry` if the same again may succeed.
 */
export async function attemptTransaction<R, T>(
  connection: AsyncConnection<R>,
  body: (transaction: AsyncTransaction) => Promise<T> | T,
  { isolationLevel, readOnly, deferrable }: OwnSettings,
  signal: AbortSignal | undefined,
): Promise<T | MayRetry> {
  // These settings are the lent connection's, and end with it.
  if (isolationLevel !== undefined) await connection.setIsolationLevel(isolationLevel);
  if (readOnly !== undefined) await connection.setReadOnly(readOnly);
  if (deferrable !== undefined) await connection.setDeferrable(deferrable);
  try {
    return await runBlock(connection, body, signal);
  } catch (error) {
    if (isTransient(error) && !mayHaveCommitted(connection)) return new MayRetry(error);
    throw error;
  }
}
