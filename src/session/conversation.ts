import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder } from '../wire/row-decoder.js';
import type { CopyFormat } from './copy-channel.js';

/** Rows that have arrived together. */
export interface RowBatch {
  readonly rows: readonly unknown[];
  readonly fields: readonly Field[] | null;
  readonly decoder: RowDecoder | null;
  /** How many bytes they were. */
  readonly bytes: number;
}

/**
 * Someone who goes on talking with the server once a statement has been sent: it has the session to itself until the statement
 * has ended, well or not.
 */
export interface Conversation {
  readonly kind: 'copy' | 'rows';
  /** Whether it has been asked to end, so that what comes next may wait for it. */
  readonly left: boolean;
  /** How many rows the server sends at a time; 0: all at once. */
  readonly rowsAtATime: number;
  /** How many rows it has had in batches that others followed, which the command's tag does not count. */
  readonly rowsBefore: number;
  /** Called when the statement is sent: from here on `floor` may be used, until the statement has ended. */
  onSent(floor: Floor): void;
  /** The statement is a COPY. */
  onCopy(format: CopyFormat): void;
  /** COPY OUT: a piece of data, `bytes[start..end)`, valid only during the call. */
  onCopyData(bytes: Buffer, start: number, end: number): void;
  /** As many rows as were asked for are there, and there may be more. */
  onSuspended(batch: RowBatch): void;
  /** The rows before the one that the statement failed at. */
  onLastRows(batch: RowBatch): void;
  /** It is to end as soon as possible: its user has lost interest. */
  leave(reason: string): void;
}

/** What somebody who has the session to himself may send. */
export interface Floor {
  /**
   * A piece of a COPY IN, which is not copied. Returns whether the network has taken it, so that its memory may be used again; else
   * `written` is called when it has, unless the connection is lost before.
   */
  copyData(data: Uint8Array, written: () => void): boolean;
  /** Ends a COPY IN. */
  copyDone(): void;
  /** Ends a COPY IN with an error. */
  copyFail(reason: string): void;
  /** Asks for more rows of the statement. */
  fetch(rows: number): void;
  /** Ends a statement that has rows left. */
  closePortal(): void;
  /** Asks the server, out of band, to cancel the statement. */
  cancel(): void;
  /** Gives the session up if the statement has not ended within a few seconds. */
  expectEnd(): void;
  /** Stops reading from the server, and goes on. */
  pause(): void;
  resume(): void;
}
