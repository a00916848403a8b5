import * as errors from '../errors/index.js';
import { TransactionStatus } from '../session/status.js';
import type { AsyncConnection } from './connection.js';
import { PARTS } from './connection.js';
import { HANDLE } from './handle.js';

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
 * `giveBack` is what leaving its scope calls.
 */
export function leaseConnection<R>(
  base: AsyncConnection<R>,
  giveBack: (handle: AsyncConnection<R>) => Promise<void>,
): AsyncConnection<R> {
  const Class = base.constructor as typeof AsyncConnection<R>;
  const parts = base[PARTS];
  return new Class({ ...parts, adapters: parts.adapters.clone(), giveBack });
}

/**
 * Cuts the handle off at once: every later use of it and of its cursors raises `InterfaceError`. Cancels what still runs and
 * rolls back what was not committed. The result is there at once if nothing of that was needed, else when the server has
 * answered; it never rejects.
 */
export function endLease<R>(handle: AsyncConnection<R>): LeaseEnd | Promise<LeaseEnd> {
  const inner = handle[HANDLE];
  const { session } = inner;
  const uncommittedWrites = inner.hasUncommittedWrites;
  inner.cutOff();
  if (session.quiet && session.transactionStatus === TransactionStatus.IDLE) {
    return { usable: true, uncommittedWrites: false };
  }
  return finishLease(handle, uncommittedWrites);
}

async function finishLease<R>(handle: AsyncConnection<R>, uncommittedWrites: boolean): Promise<LeaseEnd> {
  const { session } = handle[HANDLE];
  try {
    if (!session.quiet) {
      await session.abandonAll(
        new errors.InterfaceError(
          'the connection was returned to its pool while the statement was waiting or running',
        ),
      );
    }
    await session.rollback();
    return { usable: !session.closed, uncommittedWrites };
  } catch (error) {
    return { usable: false, uncommittedWrites, error };
  }
}

/** Whether the session behind the connection can be used. */
export function isAlive<R>(base: AsyncConnection<R>): boolean {
  return !base[HANDLE].session.closed;
}

/** Calls `listener` if the session is lost, idle or in use; not if it is closed. */
export function onLost<R>(base: AsyncConnection<R>, listener: (error: unknown) => void): void {
  base[HANDLE].session.onLost = listener;
}

/** Lets the process end although the session is open, or not. */
export function setKeepsProcessAlive<R>(base: AsyncConnection<R>, keeps: boolean): void {
  base[HANDLE].session.setKeepsProcessAlive(keeps);
}
