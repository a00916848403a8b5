import type { Conversation, Floor, RowBatch } from './conversation.js';
import type { StatementRequest, StatementResult } from './statement.js';

/** How large a batch of rows is meant to be, bytes on the wire, and how many rows it has at first and at most. */
const BATCH_BYTES = 262_144;
const FIRST_BATCH = 16;
const MOST_ROWS = 8192;
/** How long a batch that nobody wants any more may take to be answered before it is cancelled, in seconds. */
const PATIENCE = 0.08;

/**
 * The rows of a statement, fetched from its portal batch by batch: while one is read, the next is on its way, and no more than
 * these two are in memory.
 */
export class RowStream implements Conversation {
  readonly kind = 'rows';
  /** The statement as it was handed to the session. */
  readonly request: StatementRequest;
  readonly rowsAtATime: number;
  readonly #fixedSize: number | null;
  #floor: Floor | null = null;
  readonly #end: Promise<readonly StatementResult[]>;
  #ended = false;
  #failed = false;
  #error: unknown = null;
  #left = false;
  #suspended = false;
  #batch: RowBatch | null = null;
  #last: StatementResult | null = null;
  #wake: (() => void) | null = null;
  #rows = 0;
  #bytes = 0;
  #patience: NodeJS.Timeout | null = null;

  /** `size`: rows at a time; null: as many as make a reasonable amount of memory. `run` executes the statement. */
  constructor(
    size: number | null,
    request: StatementRequest,
    run: (request: StatementRequest) => Promise<readonly StatementResult[]>,
  ) {
    this.#fixedSize = size;
    this.rowsAtATime = size ?? FIRST_BATCH;
    this.request = { ...request, conversation: this };
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
    return this.#rows;
  }

  /** The next rows, a `StatementResult` if they are the last; then null. Rejects with the statement's error. */
  async next(): Promise<RowBatch | StatementResult | null> {
    while (this.#batch === null && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const batch = this.#batch;
    if (batch !== null) {
      this.#batch = null;
      // The server makes the next rows while these are read.
      if (this.#suspended && !this.#left) this.#fetchMore();
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

  /** Ends it before its last row. Resolves when the session is free for others; never rejects. */
  async stop(): Promise<void> {
    if (!this.#ended) this.leave();
    await this.#end.catch(() => undefined);
  }

  onSent(floor: Floor): void {
    this.#floor = floor;
    if (this.#left) this.#leaveNow();
  }

  onCopy(): void {
    // The session refuses a COPY in a stream.
  }

  onCopyData(): void {
    // Nor is there any data of one.
  }

  onSuspended(batch: RowBatch): void {
    this.#rows += batch.rows.length;
    this.#bytes += batch.bytes;
    this.#suspended = true;
    this.onLastRows(batch);
  }

  onLastRows(batch: RowBatch): void {
    if (this.#left) return;
    this.#batch = batch;
    this.#wakeUp();
  }

  leave(): void {
    if (this.#left || this.#ended) return;
    this.#left = true;
    this.#batch = null;
    if (this.#floor !== null) this.#leaveNow();
  }

  /** Ends the statement: where the server is at work on rows, it gets a moment to finish them, so that its transaction survives. */
  #leaveNow(): void {
    const floor = this.#floor!;
    floor.closePortal();
    floor.expectEnd();
    if (this.#suspended) return;
    this.#patience = setTimeout(() => {
      floor.cancel();
    }, PATIENCE * 1000);
  }

  #fetchMore(): void {
    this.#suspended = false;
    const average = this.#bytes / Math.max(1, this.#rows);
    const size = Math.min(MOST_ROWS, Math.max(1, Math.floor(BATCH_BYTES / Math.max(1, average))));
    this.#floor!.fetch(this.#fixedSize ?? size);
  }

  #over(): void {
    this.#ended = true;
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
