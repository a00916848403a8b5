import type { EvictReason } from '../diagnostics.js';

/** How resources come and go. */
export interface ResourceSource<T> {
  /** Makes a resource; gives up when `signal` is aborted. */
  create(signal: AbortSignal): Promise<T>;
  /** Ends a resource. A rejection is ignored. */
  destroy(resource: T): Promise<void>;
  /** Drops a resource whose end takes too long; `destroy()` of it is to resolve then. */
  abandon?(resource: T): void;
  /** Whether it can be lent out, as far as is known without asking it. */
  isAlive(resource: T): boolean;
  /** Asks a resource, before it is lent out, whether it works; null: nobody asks. */
  readonly check: ((resource: T) => Promise<void>) | null;
  /** Hears of each resource that is about to be ended. */
  ending?(resource: T, reason: EvictReason): void;
  /**
   * What else the message of a timeout should say, of what is lent out and of whoever `asker` is; '' for nothing. `stuck`: that is
   * all that there may be, and none of it has come back during the whole wait.
   */
  explain?(lent: readonly T[], asker: unknown, stuck: boolean): string;
}

/** A resource and what its pool knows of it, for as long as it lives. Moments are the clock's, in seconds. */
export interface Slot<T> {
  readonly resource: T;
  /** How many drains there had been when its making began. */
  readonly generation: number;
  readonly expiresAt: number;
  /** When it was made, or used last. */
  idleSince: number;
}
