import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder } from '../wire/row-decoder.js';
import type { CopyFormat } from './copy-channel.js';
import type { TimeLimits } from './limits.js';

/** Rows that have arrived together. */
export interface RowBatch {
  readonly rows: readonly unknown[];
  readonly fields: readonly Field[] | null;
  readonly decoder: RowDecoder | null;
  /** How many bytes they were. */
  readonly bytes: number;
}

/**
 * What goes on exchanging messages with the server once its statement has been sent, a COPY or a stream of rows: it has the session
 * to itself until the statement has ended, well or not.
 */
export interface Exchange {
  readonly kind: 'copy' | 'rows';
  /** Whether it has been asked to end, so that what comes next may wait for it. */
  readonly left: boolean;
  /** How many rows the server sends at a time; 0: all at once. */
  readonly rowsAtATime: number;
  /** How many rows it has had in batches that others followed, which the command's tag does not count. */
  readonly rowsBefore: number;
  /** The statement is being sent: from here on `link` may be used, until the statement has ended. */
  onSent(link: ExchangeMessages): void;
  /** The statement is a COPY. */
  onCopy(format: CopyFormat): void;
  /** COPY OUT: a piece of data, `bytes[start..end)`, valid only during the call. */
  onCopyData(bytes: Buffer, start: number, end: number): void;
  /** Rows have come, and more of the same batch may follow. */
  onRows(batch: RowBatch): void;
  /** These end a batch: as many rows as were asked for have come, and there may be more. */
  onSuspended(batch: RowBatch): void;
  /** The statement is complete, but for what the end of its transaction says. */
  onComplete(): void;
  /** It is to end as soon as possible, since its user has lost interest. */
  leave(reason: string): void;
}

/**
 * What an exchange may send and ask for; of no effect once its statement has ended. An interface, so that an exchange knows nothing of
 * how its messages are sent.
 */
export interface ExchangeMessages {
  /** Whether the statement runs within a transaction, which a cancel request would fail. */
  readonly inTransaction: boolean;
  /** How long the session's waits last at most. */
  readonly limits: TimeLimits;
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
