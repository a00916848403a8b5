import * as errors from '../errors/index.js';
import { TransactionStatus } from '../session/status.js';
import type { AsyncConnection } from './connection.js';
import { LENT_PARTS } from './connection.js';
import { HANDLE, type Handle } from './handle.js';
import type { AsyncTransaction } from './transaction.js';

/** How long the server may take to answer the ROLLBACK of a connection that comes back, in seconds, before that is given up. */
const ROLLBACK_LIMIT = 5;

/** How a checkout ended. */
export interface LeaseEnd {
  /** Whether the session is alive and idle, fit for the next borrower. */
  readonly usable: boolean;
  /** Whether writes were rolled back that nobody had committed. */
  readonly uncommittedWrites: boolean;
  /** Why it is not usable. */
  readonly error?: unknown;
}

/**
 * A fresh handle over the session of `base`, with `base`'s settings, row factory, adapters and handlers as they are now.
 * `giveBack` is what leaving its scope calls, and with `closeReturns` its `close()` as well.
 */
export function leaseConnection<R>(
  base: AsyncConnection<R>,
  giveBack: (handle: AsyncConnection<R>) => Promise<void>,
  closeReturns: boolean,
): AsyncConnection<R> {
  const Class = base.constructor as typeof AsyncConnection<R>;
  return new Class(base[LENT_PARTS](giveBack, closeReturns));
}

/**
 * What of a lent connection has to be kept to end its lease; undefined of what is no connection. It does not keep the connection
 * from being collected.
 */
export function coreOf<R>(connection: AsyncConnection<R>): Handle | undefined {
  return (connection as Partial<AsyncConnection<R>> | null | undefined)?.[HANDLE];
}

/**
 * Cuts the handle off at once: every later use of it and of its cursors raises `InterfaceError`. Cancels what still runs and
 * rolls back what was not committed. The result is there at once if nothing of that was needed, else when the server has
 * answered; it never rejects.
 */
export function endLease(handle: Handle): LeaseEnd | Promise<LeaseEnd> {
  const { session } = handle;
  const uncommittedWrites = handle.hasUncommittedWrites;
  handle.cutOff();
  if (session.quiet && session.transactionStatus === TransactionStatus.IDLE) {
    return handle.unfit ? UNFIT : FIT;
  }
  return finishLease(handle, uncommittedWrites);
}

const FIT: LeaseEnd = { usable: true, uncommittedWrites: false };
const UNFIT: LeaseEnd = { usable: false, uncommittedWrites: false };

async function finishLease(handle: Handle, hadWrites: boolean): Promise<LeaseEnd> {
  const { session } = handle;
  let uncommittedWrites = hadWrites;
  try {
    if (!session.quiet) {
      await session.abandonAll(
        new errors.InterfaceError(
          'the connection was returned to its pool while the statement was waiting or running',
        ),
      );
      const status = session.transactionStatus;
      // What was in flight may have written, or committed.
      if (status === TransactionStatus.INTRANS) uncommittedWrites = handle.wrote;
      else if (status === TransactionStatus.IDLE) uncommittedWrites = false;
    }
    // Nothing runs any more, so this is answered at once by a server that is there.
    const timer = setTimeout(() => {
      session.drop();
    }, ROLLBACK_LIMIT * 1000);
    try {
      await session.rollback();
    } finally {
      clearTimeout(timer);
    }
    return { usable: !session.closed && !handle.unfit, uncommittedWrites };
  } catch (error) {
    return { usable: false, uncommittedWrites, error };
  }
}

/** Whether the session behind the connection can be used. */
export function isAlive<R>(base: AsyncConnection<R>): boolean {
  return !base[HANDLE].session.closed;
}

/** Whether nothing is left on the connection of whoever had it: no statement, and no transaction. */
export function isAtRest<R>(base: AsyncConnection<R>): boolean {
  const { session } = base[HANDLE];
  return session.quiet && session.transactionStatus === TransactionStatus.IDLE;
}

/** Whether a statement is running or waiting on the connection, or a block of several has it. */
export function isBusy<R>(base: AsyncConnection<R>): boolean {
  return !base[HANDLE].session.quiet;
}

/**
 * Commits an outermost block, so that success means committed: raises the connection's error if it was lost before the COMMIT,
 * `TransactionOutcomeUnknown` if between the COMMIT and its answer, `InFailedSqlTransaction` if the server could but roll back.
 */
export async function commitForCertain(transaction: AsyncTransaction): Promise<void> {
  const { session, pipeline } = transaction.connection[HANDLE];
  if (pipeline.active) await pipeline.sync();
  // In its turn, after whatever was not awaited: what is lost by then was lost before the COMMIT.
  const status = await session.inTurn((current) => current);
  if (status === TransactionStatus.INERROR) {
    throw new (errors.conditionClass('InFailedSqlTransaction'))(
      'nothing was committed: a statement of the transaction has failed, whose error went unnoticed; let it out, or run what may' +
        ' fail within conn.withTransaction()',
    );
  }
  try {
    await transaction.commit();
  } catch (error) {
    if (!session.closed) throw error;
    throw new errors.TransactionOutcomeUnknown(error);
  }
}

/** Calls `listener` if the session is lost, idle or in use; not if it is closed. */
export function onLost<R>(base: AsyncConnection<R>, listener: (error: unknown) => void): void {
  base[HANDLE].session.onLost = listener;
}

/** Lets the process end although the session is open, or not. */
export function setKeepsProcessAlive<R>(base: AsyncConnection<R>, keeps: boolean): void {
  base[HANDLE].session.setKeepsProcessAlive(keeps);
}

/** Closes the session's socket without a word to the server, which does not answer. */
export function dropConnection<R>(base: AsyncConnection<R>): void {
  base[HANDLE].session.drop();
}
