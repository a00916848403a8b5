import * as errors from '../errors/index.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from '../waiting.js';
import type { AsyncConnection } from './connection.js';
import { LENT_PARTS } from './connection.js';
import { CORE, type ConnectionCore } from './connection-core.js';
import { runInTransaction, AsyncTransaction } from './transaction.js';
import { runUnit } from './unit-of-work.js';

/** Seconds allowed for the answer to the ROLLBACK of a returned connection; the connection is closed afterwards. */
const ROLLBACK_LIMIT = 5;

/** How a checkout ended. */
export interface CheckoutEnd {
  /** Whether the session is alive and idle, and so usable for the next borrower. */
  readonly usable: boolean;
  /** Whether uncommitted writes were rolled back. */
  readonly uncommittedWrites: boolean;
  /** Why it is not usable. */
  readonly error?: unknown;
}

/**
 * Makes a fresh connection over the session of `base`, with the current settings, row factory, adapters and handlers of `base`.
 * The end of its scope calls `giveBack`; with `closeReturns`, its `close()` does, too.
 */
export function lendConnection<R>(
  base: AsyncConnection<R>,
  giveBack: (connection: AsyncConnection<R>) => Promise<void>,
  closeReturns: boolean,
): AsyncConnection<R> {
  const Class = base.constructor as typeof AsyncConnection<R>;
  return new Class(base[LENT_PARTS](giveBack, closeReturns));
}

/**
 * Returns the core of a checked-out connection, which is all that ending its checkout needs; undefined for any other value. The
 * core does not keep the connection object from being collected.
 */
export function connectionCore<R>(connection: AsyncConnection<R>): ConnectionCore | undefined {
  return (connection as Partial<AsyncConnection<R>> | null | undefined)?.[CORE];
}

/**
 * Cuts the connection off at once: every later use of it and of its cursors raises `InterfaceError`. Cancels running statements
 * and rolls back uncommitted work. The result is available at once if neither is necessary, else when the server has answered; it
 * never rejects.
 */
export function endCheckout(core: ConnectionCore): CheckoutEnd | Promise<CheckoutEnd> {
  const { session } = core;
  core.cutOff();
  if (session.quiet && session.transactionStatus === TransactionStatus.IDLE)
    return core.mustReplace ? UNUSABLE : USABLE;
  return finishCheckout(core);
}

const USABLE: CheckoutEnd = { usable: true, uncommittedWrites: false };
const UNUSABLE: CheckoutEnd = { usable: false, uncommittedWrites: false };

async function finishCheckout(core: ConnectionCore): Promise<CheckoutEnd> {
  const { session } = core;
  let uncommittedWrites = core.leftWrites;
  try {
    const hadFailed = session.transactionStatus === TransactionStatus.INERROR;
    if (!session.quiet) {
      await session.abandonAll(
        new errors.InterfaceError(
          'the connection was returned to its pool while the statement was waiting or running',
        ),
      );
    }
    // The statement in flight may have been a completed write, or the COMMIT.
    if (!hadFailed && !session.closed && session.transactionStatus !== TransactionStatus.IDLE)
      uncommittedWrites ||= core.record.wrote;
    // Nothing is running any more, so a reachable server answers at once.
    const timer = systemClock.after(
      ROLLBACK_LIMIT,
      () => {
        session.drop();
      },
      true,
    );
    try {
      await session.rollback();
    } finally {
      timer.cancel();
    }
    return { usable: !session.closed && !core.mustReplace, uncommittedWrites };
  } catch (error) {
    return { usable: false, uncommittedWrites, error };
  }
}

/** Whether the borrower may have committed something. */
export function mayHaveCommitted<R>(connection: AsyncConnection<R>): boolean {
  return connection[CORE].record.committed;
}

/**
 * Runs `body` with a checked-out connection and commits if it returns. Calls `giveBack` in any case, which is told of a failure
 * and rolls back.
 */
export function runOnLent<R, T>(
  connection: AsyncConnection<R>,
  body: () => Promise<T> | T,
  commit: () => Promise<void>,
  giveBack: (failed: boolean) => Promise<void>,
): Promise<T> {
  return runUnit(connection[CORE], body, {
    commit,
    undo: () => giveBack(true),
    done: () => giveBack(false),
  });
}

/** Runs `body` in a transaction block of `connection`. An abort of `signal` ends the attempt to open it. */
export function runBlock<R, T>(
  connection: AsyncConnection<R>,
  body: (transaction: AsyncTransaction) => Promise<T> | T,
  signal: AbortSignal | undefined,
): Promise<T> {
  return runInTransaction(new AsyncTransaction(connection as AsyncConnection<never>), body, {
    opening: signal,
  });
}

/** Whether the connection's session is usable. */
export function isAlive<R>(base: AsyncConnection<R>): boolean {
  return !base[CORE].session.closed;
}

/** Whether the last borrower has left no statement and no transaction on the connection. */
export function isAtRest<R>(base: AsyncConnection<R>): boolean {
  const { session } = base[CORE];
  return session.quiet && session.transactionStatus === TransactionStatus.IDLE;
}

/** Whether a statement is running or waiting on the connection, or an operation has exclusive use of it. */
export function isBusy<R>(base: AsyncConnection<R>): boolean {
  return !base[CORE].session.quiet;
}

/** Calls `listener` if the session is lost, whether idle or in use, but not if it is closed. */
export function onLost<R>(base: AsyncConnection<R>, listener: (error: unknown) => void): void {
  base[CORE].session.onLost(listener);
}

/** Sets whether the open session keeps the process alive. */
export function setKeepsProcessAlive<R>(base: AsyncConnection<R>, keeps: boolean): void {
  base[CORE].session.setKeepsProcessAlive(keeps);
}

/** Closes the session's socket without a Terminate message, since the server does not answer. */
export function dropConnection<R>(base: AsyncConnection<R>): void {
  base[CORE].session.drop();
}
