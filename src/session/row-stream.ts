import { clearTimeout, setTimeout } from 'node:timers';
import * as errors from '../errors/index.js';
import type { Exchange, ExchangeMessages, RowBatch } from './exchange.js';
import { Fifo } from '../queues.js';
import { BATCH_BYTES, MOST_UNREAD_BYTES } from './limits.js';
import type { StatementRequest, StatementResult } from './statement.js';

/** The first batch's rows, and the maximum for any batch, if the user gives no size. */
const FIRST_BATCH = 16;
const MOST_ROWS = 8192;

/**
 * The rows of a statement, fetched from its portal in batches; the next batch is requested while one is read. A batch of more
 * bytes than expected is passed on in parts, and the server pauses while many bytes are unread.
 */
export class RowStream implements Exchange {
  readonly kind = 'rows';
  /** The statement as it was handed to the session. */
  readonly request: StatementRequest;
  readonly rowsAtATime: number;
  readonly #fixedSize: number | null;
  #link: ExchangeMessages | null = null;
  readonly #end: Promise<readonly StatementResult[]>;
  #ended = false;
  #failed = false;
  #error: unknown = null;
  #left = false;
  #suspended = false;
  /** Whether the server has produced all requested rows, so that only the commit can fail. */
  #atRest = false;
  readonly #unread = new Fifo<RowBatch>();
  #unreadBytes = 0;
  #paused = false;
  #last: StatementResult | null = null;
  #wake: (() => void) | null = null;
  /** The number of rows of the next batch. */
  #size: number;
  #rowsBefore = 0;
  /** The number of rows received of the current batch. */
  #rows = 0;
  #bytes = 0;
  #patience: NodeJS.Timeout | null = null;

  /** `size`: rows at a time; null: adapted to a moderate amount of memory. `run` executes the statement. */
  constructor(
    size: number | null,
    request: StatementRequest,
    run: (request: StatementRequest) => Promise<readonly StatementResult[]>,
  ) {
    this.#fixedSize = size;
    this.#size = size ?? FIRST_BATCH;
    this.rowsAtATime = this.#size;
    this.request = { ...request, exchange: this };
    this.#end = run(this.request);
    this.#end.then(
      (results) => {
        this.#last = results[0] ?? null;
        this.#over();
      },
      (error: unknown) => {
        this.#failed = true;
        this.#error = error;
        this.#over();
      },
    );
  }

  get left(): boolean {
    return this.#left;
  }

  get rowsBefore(): number {
    return this.#rowsBefore;
  }

  /** The next rows; as a `StatementResult` if they are the last; null after that. Rejects with the statement's error. */
  async next(): Promise<RowBatch | StatementResult | null> {
    while (this.#unread.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const batch = this.#unread.shift();
    if (batch !== undefined) {
      this.#unreadBytes -= batch.bytes;
      if (this.#unreadBytes <= BATCH_BYTES) this.#resume();
      // The server produces the next rows while these are read.
      if (this.#suspended && !this.#left && this.#unread.length === 0) this.#fetchMore();
      return batch;
    }
    if (this.#failed) {
      this.#failed = false;
      throw this.#error as Error;
    }
    const last = this.#last;
    this.#last = null;
    return last;
  }

  /**
   * Ends the stream before its last row. Within a transaction, the server may finish the current batch within a time limit, since
   * a cancel request would abort the transaction. Resolves when the session is free: with the server's error if only the commit
   * was left and failed; else with null, since errors among unread rows concern no caller.
   */
  async stop(): Promise<Error | null> {
    if (!this.#ended) this.#leave(true);
    try {
      await this.#end;
    } catch (error) {
      if (this.#atRest && error instanceof errors.Error && error.sqlstate !== null) return error;
    }
    return null;
  }

  onSent(link: ExchangeMessages): void {
    this.#link = link;
    if (this.#left) this.#leaveNow(false);
  }

  onCopy(): void {
    // The session refuses a COPY in a stream.
  }

  onCopyData(): void {
    // No COPY, no data.
  }

  onRows(batch: RowBatch): void {
    this.#rows += batch.rows.length;
    this.#bytes += batch.bytes;
    if (this.#left) return;
    this.#unread.push(batch);
    this.#unreadBytes += batch.bytes;
    if (this.#unreadBytes > MOST_UNREAD_BYTES && !this.#paused) {
      this.#paused = true;
      this.#link!.pause();
    }
    this.#wakeUp();
  }

  onSuspended(batch: RowBatch): void {
    this.#suspended = true;
    this.#atRest = true;
    this.onRows(batch);
    this.#rowsBefore += this.#rows;
    this.#size = this.#nextSize();
    this.#rows = 0;
    this.#bytes = 0;
  }

  onComplete(): void {
    this.#atRest = true;
  }

  leave(): void {
    this.#leave(false);
  }

  #leave(mayTakeItsTime: boolean): void {
    if (this.#ended) return;
    if (this.#left) {
      // A caller that stops waiting has no use for the rest of the batch either.
      if (!mayTakeItsTime && this.#patience !== null) this.#cancelSoon(false);
      return;
    }
    this.#left = true;
    this.#unread.drain();
    this.#unreadBytes = 0;
    if (this.#link !== null) this.#leaveNow(mayTakeItsTime);
  }

  #leaveNow(mayTakeItsTime: boolean): void {
    const link = this.#link!;
    this.#resume();
    link.closePortal();
    if (this.#suspended) link.expectEnd();
    else this.#cancelSoon(mayTakeItsTime && link.inTransaction);
  }

  /** Gives the server, which is producing rows, a moment to finish, then cancels. */
  #cancelSoon(mayTakeItsTime: boolean): void {
    const link = this.#link!;
    if (this.#patience !== null) clearTimeout(this.#patience);
    const { batch, batchInTransaction } = link.limits;
    this.#patience = setTimeout(
      () => {
        link.cancel();
      },
      (mayTakeItsTime ? batchInTransaction : batch) * 1000,
    );
  }

  /** The size of the next batch. It grows slowly and shrinks at once, since rows may be of any size. */
  #nextSize(): number {
    if (this.#fixedSize !== null) return this.#fixedSize;
    const rowBytes = Math.max(1, this.#bytes / Math.max(1, this.#rows));
    const size = Math.min(MOST_ROWS, 2 * this.#size, Math.floor(BATCH_BYTES / rowBytes));
    return Math.max(1, size);
  }

  #fetchMore(): void {
    this.#suspended = false;
    this.#atRest = false;
    this.#link!.fetch(this.#size);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#link!.resume();
  }

  #over(): void {
    this.#ended = true;
    // The next statement needs the network, although rows may still be unread.
    this.#resume();
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
