import * as errors from '../errors/index.js';
import { TransactionStatus } from '../session/status.js';
import { systemClock } from '../waiting.js';
import type { AsyncConnection } from './connection.js';
import { LENT_PARTS } from './connection.js';
import { CORE, type ConnectionCore } from './connection-core.js';
import { runInTransaction, AsyncTransaction } from './transaction.js';
import { runUnit } from './unit-of-work.js';

/** The limit for the answer to the ROLLBACK of a returned connection, in seconds; after it the connection is given up. */
const ROLLBACK_LIMIT = 5;

/** How a checkout ended. */
export interface CheckoutEnd {
  /** Whether the session is alive and idle, fit for the next borrower. */
  readonly usable: boolean;
  /** Whether uncommitted writes were rolled back. */
  readonly uncommittedWrites: boolean;
  /** Why it is not usable. */
  readonly error?: unknown;
}

/**
 * A fresh connection over the session of `base`, with `base`'s settings, row factory, adapters and handlers as they are now.
 * `giveBack` is what leaving its scope calls, and with `closeReturns` its `close()` as well.
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
 * What of a lent connection has to be kept to end its checkout; undefined of what is no connection. It does not keep the connection
 * from being collected.
 */
export function connectionCore<R>(connection: AsyncConnection<R>): ConnectionCore | undefined {
  return (connection as Partial<AsyncConnection<R>> | null | undefined)?.[CORE];
}

/**
 * Cuts the connection off at once: every later use of it and of its cursors raises `InterfaceError`. Cancels what still runs and
 * rolls back what was not committed. The result is there at once if nothing of that was needed, else when the server has
 * answered; it never rejects.
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
        () =>
          new errors.InterfaceError(
            'the connection was returned to its pool while the statement was waiting or running',
          ),
      );
    }
    // What was in flight may have been a write that is done, or the COMMIT.
    if (!hadFailed && !session.closed && session.transactionStatus !== TransactionStatus.IDLE)
      uncommittedWrites ||= core.record.wrote;
    // Nothing runs any more, so this is answered at once by a server that is there.
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

/** Whether the user of a lent connection may have committed something, as far as can be known. */
export function mayHaveCommitted<R>(connection: AsyncConnection<R>): boolean {
  return connection[CORE].record.committed;
}

/**
 * Runs `body` with a lent connection: committed when it returns, given back in any case, by `giveBack`, which is told whether it
 * failed, and rolls back.
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

/** Runs `body` in a transaction block of `connection`. An abort of `signal` gives up opening it. */
export function runBlock<R, T>(
  connection: AsyncConnection<R>,
  body: (transaction: AsyncTransaction) => Promise<T> | T,
  signal: AbortSignal | undefined,
): Promise<T> {
  return runInTransaction(new AsyncTransaction(connection as AsyncConnection<never>), body, {
    opening: signal,
  });
}

/** Whether the session behind the connection can be used. */
export function isAlive<R>(base: AsyncConnection<R>): boolean {
  return !base[CORE].session.closed;
}

/** Whether the last user has left nothing on the connection: no statement, and no transaction. */
export function isAtRest<R>(base: AsyncConnection<R>): boolean {
  const { session } = base[CORE];
  return session.quiet && session.transactionStatus === TransactionStatus.IDLE;
}

/** Whether a statement is running or waiting on the connection, or a block of several has it. */
export function isBusy<R>(base: AsyncConnection<R>): boolean {
  return !base[CORE].session.quiet;
}

/** Calls `listener` if the session is lost, idle or in use; not if it is closed. */
export function onLost<R>(base: AsyncConnection<R>, listener: (error: unknown) => void): void {
  base[CORE].session.onLost(listener);
}

/** Lets the process end although the session is open, or not. */
export function setKeepsProcessAlive<R>(base: AsyncConnection<R>, keeps: boolean): void {
  base[CORE].session.setKeepsProcessAlive(keeps);
}

/** Closes the session's socket without a word to the server, which does not answer. */
export function dropConnection<R>(base: AsyncConnection<R>): void {
  base[CORE].session.drop();
}
