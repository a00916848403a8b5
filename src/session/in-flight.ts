import { Fifo } from './fifo.js';
import { MOST_BYTES, MOST_STATEMENTS } from './limits.js';
import type { StatementEntry } from './queue.js';
import type { Reply, Segment, StatementReply } from './reply.js';
import { TransactionStatus } from './status.js';

/** The replies that the server owes, in order, and the transaction status after the last complete one. */
export class InFlight {
  /** The transaction status of the last ReadyForQuery. */
  status: TransactionStatus = TransactionStatus.UNKNOWN;
  /** The number of replies in flight that forbid sending anything after them. */
  blocking = 0;
  readonly #replies = new Fifo<Reply>();
  #bytes = 0;
  /** Whether a limit was reached and more than half of it is still in flight. */
  #full = false;
  /** The number of segments with a BEGIN that `status` does not reflect yet. */
  #begunSegments = 0;

  get length(): number {
    return this.#replies.length;
  }

  /** The reply that the server's next message belongs to. */
  get head(): Reply | undefined {
    return this.#replies.first;
  }

  /** Whether a segment in flight has begun a transaction. */
  get hasBegun(): boolean {
    return this.#begunSegments > 0;
  }

  /** Whether nothing more may be sent until half of what is in flight has been answered. */
  get full(): boolean {
    const { length } = this.#replies;
    if (length === 0) this.#full = false;
    else if (this.#full) this.#full = length > MOST_STATEMENTS / 2 || this.#bytes > MOST_BYTES / 2;
    else this.#full = length >= MOST_STATEMENTS || this.#bytes >= MOST_BYTES;
    return this.#full;
  }

  /** The reply of a statement that has been sent. */
  replyTo(entry: StatementEntry): StatementReply | undefined {
    for (const reply of this.#replies) if (reply.kind === 'statement' && reply.entry === entry) return reply;
    return undefined;
  }

  push(reply: Reply): void {
    this.#bytes += reply.bytes;
    if (blocks(reply)) this.blocking++;
    this.#replies.push(reply);
  }

  /** Removes the first reply, which is complete. */
  shift(): void {
    const reply = this.#replies.shift()!;
    this.#bytes -= reply.bytes;
    if (blocks(reply)) this.blocking--;
    if (reply.kind === 'sync' && reply.segment.hasBegun) this.#begunSegments--;
  }

  /** Records that a statement of `segment` was sent with a BEGIN. */
  begins(segment: Segment): void {
    if (segment.hasBegun) return;
    segment.hasBegun = true;
    this.#begunSegments++;
  }

  /** Empties the queue and returns its replies in order. */
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

/** Whether other statements may be sent after this one. */
function mayBeFollowed({ entry, executions, protocol }: StatementReply): boolean {
  if (!entry.keepsTransactionStatus || entry.request.exchange !== undefined) return false;
  // Later statements must know whether the BEGIN succeeded.
  return protocol === 'simple' || executions[0]?.isBegin !== true;
}
