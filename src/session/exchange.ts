import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder } from '../wire/row-decoder.js';
import type { CopyFormat } from './copy-channel.js';
import type { TimeLimits } from './limits.js';

/** Rows that have arrived together. */
export interface RowBatch {
  readonly rows: readonly unknown[];
  readonly fields: readonly Field[] | null;
  readonly decoder: RowDecoder | null;
  /** The size of these rows in bytes. */
  readonly bytes: number;
}

/**
 * An operation that exchanges further messages with the server after its statement has been sent: a COPY or a stream of rows. It
 * has exclusive use of the session until the statement has ended, successfully or not.
 */
export interface Exchange {
  readonly kind: 'copy' | 'rows';
  /** Whether the exchange was told to end, so that later statements may wait for it. */
  readonly left: boolean;
  /** The number of rows that the server sends at a time; 0: all at once. */
  readonly rowsAtATime: number;
  /** The number of rows in earlier batches, which the command's tag does not count. */
  readonly rowsBefore: number;
  /** The statement is being sent. `link` may be used from now on until the statement has ended. */
  onSent(link: ExchangeMessages): void;
  /** The statement is a COPY. */
  onCopy(format: CopyFormat): void;
  /** COPY OUT: a piece of data, `bytes[start..end)`, valid only during the call. */
  onCopyData(bytes: Buffer, start: number, end: number): void;
  /** Rows have arrived; more of the same batch may follow. */
  onRows(batch: RowBatch): void;
  /** The last rows of a batch: the requested number has arrived, and there may be more. */
  onSuspended(batch: RowBatch): void;
  /** The statement is complete, except for the result of ending its transaction. */
  onComplete(): void;
  /** Ends the exchange as soon as possible, since its user no longer needs it. */
  leave(reason: string): void;
}

/**
 * Messages that an exchange may send; without effect after its statement has ended. An interface, so that an exchange does not
 * depend on how its messages are sent.
 */
export interface ExchangeMessages {
  /** Whether the statement runs within a transaction, which a cancel request would abort. */
  readonly inTransaction: boolean;
  /** The session's longest waits. */
  readonly limits: TimeLimits;
  /**
   * Sends a piece of a COPY IN without copying it. Returns true if the network has taken it, so that its memory may be reused.
   * Otherwise `written` is called once it has, unless the connection is lost before.
   */
  copyData(data: Uint8Array, written: () => void): boolean;
  /** Ends a COPY IN. */
  copyDone(): void;
  /** Ends a COPY IN with an error. */
  copyFail(reason: string): void;
  /** Requests more rows of the statement. */
  fetch(rows: number): void;
  /** Ends a statement that has more rows. */
  closePortal(): void;
  /** Sends a cancel request for the statement, on a separate connection. */
  cancel(): void;
  /** Discards the session if the statement has not ended within a few seconds. */
  expectEnd(): void;
  /** Pauses reading from the server. */
  pause(): void;
  resume(): void;
}
