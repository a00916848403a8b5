import { channel } from 'node:diagnostics_channel';

/** A connection came back to its pool with writes that nobody had committed. */
export interface UncommittedMessage {
  /** The pool's name. */
  readonly pool: string;
  readonly backendPid: number;
}

/** The channels of `node:diagnostics_channel` that the library publishes on. */
export const channels = {
  /** `UncommittedMessage`. */
  uncommitted: channel('usingpg:uncommitted'),
} as const;
