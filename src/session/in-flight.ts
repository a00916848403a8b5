import { Fifo } from './fifo.js';
import { MOST_BYTES } from './limits.js';
import type { StatementEntry } from './queue.js';
import type { Reply, Segment, StatementReply } from './reply.js';
import { TransactionStatus } from './status.js';

/** What the server owes, in the order in which it was asked, and the transaction status behind what it has answered. */
export class InFlight {
  /** The transaction status of the last ReadyForQuery. */
  status: TransactionStatus = TransactionStatus.UNKNOWN;
  /** How many replies in flight forbid sending anything behind them. */
  blocking = 0;
  readonly #replies = new Fifo<Reply>();
  #bytes = 0;
  /** Whether a limit was reached, and more than half of it is still in flight. */
  #full = false;
  /** Segments with a BEGIN in them that `status` does not tell of. */
  #begunSegments = 0;

  get length(): number {
    return this.#replies.length;
  }

  /** The reply that the next message of the server belongs to. */
  get head(): Reply | undefined {
    return this.#replies.first;
  }

  /** Whether a segment in flight has begun a transaction. */
  get hasBegun(): boolean {
    return this.#begunSegments > 0;
  }

  /** Whether nothing may be sent, if there are to be `most` statements in flight at most, until half of them have been answered. */
  isFull(most: number): boolean {
    const { length } = this.#replies;
    if (length === 0) this.#full = false;
    else if (this.#full) this.#full = length > most / 2 || this.#bytes > MOST_BYTES / 2;
    else this.#full = length >= most || this.#bytes >= MOST_BYTES;
    return this.#full;
  }

  /** What is owed for a statement that has been sent. */
  replyTo(entry: StatementEntry): StatementReply | undefined {
    for (const reply of this.#replies) if (reply.kind === 'statement' && reply.entry === entry) return reply;
    return undefined;
  }

  push(reply: Reply): void {
    this.#bytes += reply.bytes;
    if (blocks(reply)) this.blocking++;
    this.#replies.push(reply);
  }

  /** The first has been answered. */
  shift(): void {
    const reply = this.#replies.shift()!;
    this.#bytes -= reply.bytes;
    if (blocks(reply)) this.blocking--;
    if (reply.kind === 'sync' && reply.segment.hasBegun) this.#begunSegments--;
  }

  /** A statement of `segment` has been sent with a BEGIN. */
  begins(segment: Segment): void {
    if (segment.hasBegun) return;
    segment.hasBegun = true;
    this.#begunSegments++;
  }

  /** Empties it and returns what was in it, in order. */
  drain(): Reply[] {
    this.#bytes = 0;
    this.blocking = 0;
    return this.#replies.drain();
  }

  [Symbol.iterator](): IterableIterator<Reply> {
    return this.#replies[Symbol.iterator]();
  }
}

function blocks(reply: Reply): boolean {
  return reply.kind === 'sync' ? reply.segment.cancellable : reply.segment === null && !mayBeFollowed(reply);
}

/** Whether other statements may be sent behind it. */
function mayBeFollowed({ entry, executions, protocol }: StatementReply): boolean {
  if (!entry.keepsTransactionStatus || entry.request.exchange !== undefined) return false;
  // Whatever comes with or after a BEGIN has to know that it succeeded.
  return protocol === 'simple' || executions[0]?.isBegin !== true;
}
