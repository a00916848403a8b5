import { channel } from 'node:diagnostics_channel';

/** A connection came back to its pool with writes that nobody had committed. */
export interface UncommittedMessage {
  /** The pool's name. */
  readonly pool: string;
  readonly backendPid: number;
}

/** A connection has been lent out for longer than the pool's `leakThreshold`, or was garbage-collected while it was lent out. */
export interface LeakMessage {
  /** The pool's name. */
  readonly pool: string;
  readonly backendPid: number;
  /** How long it has been lent out, in seconds. */
  readonly seconds: number;
  /** The stack of the call that took it; null if `leakThreshold` is off. */
  readonly stack: string | null;
  /** Whether it was garbage-collected, in which case the pool has taken it back. */
  readonly collected: boolean;
}

/** A transaction of `pool.withTransaction()` failed by no fault of its own, and is run again. */
export interface RetryMessage {
  /** The pool's name. */
  readonly pool: string;
  /** What it failed with: `SerializationFailure` or `DeadlockDetected`. */
  readonly error: unknown;
  /** Which retry this is; 1 for the first. */
  readonly retry: number;
  /** When it is run again, in seconds. */
  readonly delay: number;
}

/** The channels of `node:diagnostics_channel` that the library publishes on. */
export const channels = {
  /** `UncommittedMessage`. */
  uncommitted: channel('usingpg:uncommitted'),
  /** `LeakMessage`. */
  leak: channel('usingpg:leak'),
  /** `LeakMessage`: what was reported on `usingpg:leak` has come back. */
  leakReturned: channel('usingpg:leak-returned'),
  /** `RetryMessage`. */
  retry: channel('usingpg:retry'),
} as const;
