import type { Field } from '../wire/backend-messages.js';
import type { RowDecoder } from '../wire/row-decoder.js';
import type { Cancellation } from './cancellation.js';
import type { CopyFormat } from './copy-channel.js';
import type { ExtendedQuery } from './extended-query.js';
import type { StatementReply } from './reply.js';
import type { Transport } from './transport.js';

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
  onSent(link: ExchangeLink): void;
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

/** What an exchange may send and ask for; of no effect once its statement has ended. @internal */
export class ExchangeLink {
  /** Whether the statement runs within a transaction, which a cancel request would fail. */
  readonly inTransaction: boolean;
  readonly #reply: StatementReply;
  readonly #transport: Transport;
  readonly #extended: ExtendedQuery;
  readonly #cancellation: Cancellation;

  constructor(
    reply: StatementReply,
    inTransaction: boolean,
    transport: Transport,
    extended: ExtendedQuery,
    cancellation: Cancellation,
  ) {
    this.#reply = reply;
    this.inTransaction = inTransaction;
    this.#transport = transport;
    this.#extended = extended;
    this.#cancellation = cancellation;
  }

  /** How long the session's waits last at most. */
  get limits(): Transport['limits'] {
    return this.#transport.limits;
  }

  /**
   * A piece of a COPY IN, which is not copied. Returns whether the network has taken it, so that its memory may be used again; else
   * `written` is called when it has, unless the connection is lost before.
   */
  copyData(data: Uint8Array, written: () => void): boolean {
    return this.#extended.copyData(data, written);
  }

  /** Ends a COPY IN. */
  copyDone(): void {
    if (this.#mayWrite) this.#extended.endCopy(this.#reply, null);
  }

  /** Ends a COPY IN with an error. */
  copyFail(reason: string): void {
    if (this.#mayWrite) this.#extended.endCopy(this.#reply, reason);
  }

  /** Asks for more rows of the statement. */
  fetch(rows: number): void {
    if (!this.#mayWrite) return;
    this.#reply.suspended = false;
    this.#extended.fetch(rows);
  }

  /** Ends a statement that has rows left. */
  closePortal(): void {
    if (this.#mayWrite) this.#extended.closePortal(this.#reply);
  }

  /** Asks the server, out of band, to cancel the statement. */
  cancel(): void {
    if (this.#isOpen) this.#cancellation.want(this.#reply);
  }

  /** Gives the session up if the statement has not ended within a few seconds. */
  expectEnd(): void {
    if (this.#isOpen) this.#cancellation.expectAnswer(this.#reply);
  }

  /** Stops reading from the server, and goes on. */
  pause(): void {
    this.#transport.pause();
  }
  resume(): void {
    this.#transport.resume();
  }

  get #isOpen(): boolean {
    return !this.#reply.entry.settled && this.#transport.phase !== 'closed';
  }

  /** Behind its Sync, an answer would be taken for that of the next statement. In the simple protocol the statement's own end is one. */
  get #mayWrite(): boolean {
    return this.#isOpen && (this.#reply.protocol === 'simple' || !this.#reply.synced);
  }
}
