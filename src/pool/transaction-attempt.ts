import type { AsyncConnection } from '../connection/connection.js';
import { commitForCertain } from '../connection/lease.js';
import { Rollback, type AsyncTransaction } from '../connection/transaction.js';
import { TransactionStatus } from '../session/status.js';
import { isTransient, MayRetry, type OwnSettings } from './retry.js';

/**
 * Runs `body` in a transaction block of `connection`, which is used for nothing else. Resolves with what it returned once that is
 * committed, with undefined after a `Rollback`, and with a `MayRetry` if the same again may succeed.
 */
export async function attemptTransaction<R, T>(
  connection: AsyncConnection<R>,
  body: (transaction: AsyncTransaction) => Promise<T> | T,
  { isolationLevel, readOnly, deferrable }: OwnSettings,
  signal: AbortSignal | undefined,
): Promise<T | undefined | MayRetry> {
  // They are the handle's, and end with it.
  if (isolationLevel !== undefined) await connection.setIsolationLevel(isolationLevel);
  if (readOnly !== undefined) await connection.setReadOnly(readOnly);
  if (deferrable !== undefined) await connection.setDeferrable(deferrable);
  const transaction = await connection.transaction(signal === undefined ? {} : { signal });
  let committing = false;
  try {
    const result = await body(transaction);
    if (transaction.active) {
      committing = true;
      await commitForCertain(transaction);
    }
    return result;
  } catch (error) {
    if (error instanceof Rollback && (error.transaction === null || error.transaction === transaction)) {
      return undefined;
    }
    // One that `body` has ended by itself may be committed.
    const isOpen = transaction.active && connection.info.transactionStatus !== TransactionStatus.IDLE;
    if (isTransient(error) && (committing || isOpen)) return new MayRetry(error);
    throw error;
  }
}
