import { ProtocolViolation, type Field } from '../wire/backend-messages.js';
import type { RowDecoder, RowPlan } from '../wire/row-decoder.js';
import { Fifo } from '../queues.js';
import type { RowBatch } from './exchange.js';
import { MOST_BYTES } from './limits.js';
import type { ServerStatement } from './prepared-statements.js';
import type { StatementEntry, SyncEntry } from './queue.js';
import { mayMakeTable } from '../sql-statement.js';
import type { StatementResult } from './statement.js';
import { TransactionStatus } from './status.js';

/**
 * The protocol of a statement: the extended protocol with messages of our own, or the simple protocol for a text of several
 * statements.
 */
export type Protocol = 'extended' | 'simple';

/** One Bind and Execute that has been sent. */
export interface Execution {
  readonly statement: ServerStatement;
  readonly described: boolean;
  /** Whether this is a BEGIN that rides along, whose result is discarded. */
  readonly isBegin: boolean;
  /** The requested formats of its rows, if the columns were known; null: text. */
  readonly plan: RowPlan | null;
}

/** The statements of a pipeline between two Syncs. If one fails, the server skips the rest. */
export class Segment {
  /** Whether a transaction has begun in it. */
  hasBegun = false;
  /** Whether one of its statements has failed. */
  failed = false;
  /** Whether one of its statements may be cancelled, so that nothing may be sent after its Sync. */
  cancellable = false;
}

/** The server's pending answer to a statement or a Sync, and what has arrived of it. */
export type Reply = StatementReply | SyncReply;

/** The server's pending answer to a segment's Sync. */
export class SyncReply {
  readonly kind = 'sync';
  readonly segment: Segment;
  /** The entry that waits for the Sync; null if a later statement ended the segment. */
  readonly entry: SyncEntry | null;
  readonly bytes = 5;
  error: Error | null = null;
  cancelWanted = false;
  mayBeHit = false;

  constructor(segment: Segment, entry: SyncEntry | null) {
    this.segment = segment;
    this.entry = entry;
  }
}

const NONE: readonly never[] = [];

/** The server's pending answer to one statement: the messages expected, and the results so far. */
export class StatementReply {
  readonly kind = 'statement';
  readonly entry: StatementEntry;
  readonly protocol: Protocol;
  /** The segment of a pipeline that contains the statement; null if it has a Sync of its own. */
  readonly segment: Segment | null;
  /** The size of its messages. */
  bytes = 0;
  /** Whether its Sync has been written, after which nothing more may be sent for it. */
  synced = false;

  /** The statement's error. The server's error takes precedence over a loader's. */
  error: Error | null = null;
  /** Whether the server or the library has refused it; no other error may replace `error`. */
  refused = false;
  results: StatementResult[] = [];

  /** Whether the statement may change client_encoding. */
  changesEncoding = false;
  /** Whether a cancel request is to be made for it. */
  cancelWanted = false;
  /** Whether that holds even if the request may hit statements sent after it. */
  cancelAnyway = false;
  /** Whether it was in flight while a request was made for another statement. */
  mayBeHit = false;
  /** Called if the network shows no sign of life during the request. */
  onSilence: (() => void) | null = null;

  /** When a message that the server answers at once was sent ahead of it; null if none was, or once it is answered. */
  pingedAt: number | null = null;
  /** Statements whose Parse the server has not confirmed yet, in the order they were sent. */
  parsing: readonly ServerStatement[] = NONE;
  /** Prepared statements that are closed together with this one, in this order. */
  closing: readonly string[] = NONE;
  executions: Execution[] = [];
  #closed = 0;
  #parsed = 0;
  #executed = 0;

  /** Whether the server has paused after the requested number of rows. */
  suspended = false;
  /** The state of a COPY: data is in transit, or the data of a COPY OUT is complete. */
  #copying: 'in' | 'out' | 'done' | null = null;
  #fields: readonly Field[] | null = null;
  /** Whether the result's columns, or their absence, are known. */
  #isDescribed = false;
  decoder: RowDecoder | null = null;
  rows: unknown[] = [];
  /** The size of the rows in bytes. */
  rowBytes = 0;

  constructor(entry: StatementEntry, protocol: Protocol, segment: Segment | null) {
    this.entry = entry;
    this.protocol = protocol;
    this.segment = segment;
  }

  onCloseComplete(): void {
    if (this.protocol === 'simple') throw outOfOrder('a CloseComplete');
    this.#closed++;
  }

  /** The names that the server has not closed, since it skips everything after an error. */
  get unclosed(): readonly string[] {
    return this.closing.slice(this.#closed);
  }

  onParseComplete(): void {
    const statement = this.parsing[this.#parsed++];
    if (statement === undefined) throw outOfOrder('a ParseComplete');
    statement.ready = true;
  }

  /** A statement that is not described again has the columns of its preparation. */
  onBindComplete(): void {
    const execution = this.executions[this.#executed];
    if (execution === undefined) throw outOfOrder('a BindComplete');
    if (!execution.described) this.#setFields(execution.statement.fields ?? null, execution.plan);
  }

  onDescription(fields: readonly Field[] | null): void {
    const execution = this.executions[this.#executed];
    const { portal } = this.entry.request;
    const isExpected =
      portal === undefined
        ? this.protocol === 'simple' || execution?.described === true
        : portal.act === 'describe' && execution === undefined && this.results.length === 0;
    if (!isExpected || this.#fields !== null) throw outOfOrder('a RowDescription');
    if (execution?.statement.fixed === true) execution.statement.fields = fields;
    this.#setFields(fields);
    if (portal !== undefined) this.results.push({ fields, rows: [], decoder: this.decoder, tag: null });
  }

  /** Checks that a row may arrive: the columns must be known. */
  expectRow(): void {
    if (this.#fields === null || this.suspended) throw outOfOrder('a row');
  }

  /** The server has more rows than were requested. */
  onSuspended(): void {
    if (this.#fields === null || this.suspended || !this.entry.request.exchange?.rowsAtATime) {
      throw outOfOrder('a PortalSuspended');
    }
    this.suspended = true;
  }

  onCopy(direction: 'in' | 'out'): void {
    if (this.#copying !== null || (this.protocol === 'extended' && this.complete))
      throw outOfOrder('a CopyResponse');
    this.#copying = direction;
  }

  /** Checks that a piece of COPY OUT data may arrive. */
  expectCopyData(): void {
    if (this.#copying !== 'out') throw outOfOrder('data of a COPY');
  }

  onCopyDone(): void {
    if (this.#copying !== 'out') throw outOfOrder('a CopyDone');
    this.#copying = 'done';
  }

  /** An execution is complete; `tag` is null for an empty statement. */
  onComplete(tag: string | null): void {
    const execution = this.executions[this.#executed];
    // An undescribed or incomplete result must not pass for one without columns or rows.
    const isExpected =
      this.protocol === 'simple' ||
      (execution !== undefined && (this.#isDescribed || this.#copying !== null));
    if (!isExpected || this.#copying === 'out' || this.suspended) throw outOfOrder('a CommandComplete');
    this.#executed++;
    if (execution?.isBegin !== true) {
      this.results.push({
        fields: tag === null ? null : this.#fields,
        rows: this.rows,
        decoder: this.decoder,
        tag,
      });
    }
    this.rows = [];
    this.#fields = null;
    this.#isDescribed = false;
    this.#copying = null;
    this.decoder = null;
  }

  /** Checks that ReadyForQuery may arrive: the statement has failed, was left, or is completely answered. */
  expectEnd(): void {
    const { portal, exchange } = this.entry.request;
    if (this.error !== null || exchange?.left === true) return;
    const isDone =
      portal === undefined
        ? this.#fields === null && (this.protocol === 'simple' ? this.results.length > 0 : this.complete)
        : this.complete && this.results.length === (portal.act === 'describe' ? 1 : 0);
    if (!isDone) throw outOfOrder('a ReadyForQuery');
  }

  /** Whether the query being answered may have created a table. */
  get mayMakeTable(): boolean {
    const { text } = this.entry.request;
    const statement = this.executions[this.#executed]?.statement;
    // The result is kept with a prepared statement, so that its text is scanned only once.
    return statement === undefined ? mayMakeTable(text) : (statement.mayMakeTable ??= mayMakeTable(text));
  }

  /** Whether all executions have been answered. */
  get complete(): boolean {
    return this.#executed === this.executions.length;
  }

  /** Whether a BEGIN was sent with it, or ahead of it. */
  get hasBegun(): boolean {
    return this.entry.begunAhead || this.executions[0]?.isBegin === true;
  }

  /** Returns the rows so far, which are passed on before the statement is complete. */
  takeBatch(): RowBatch {
    const batch = { rows: this.rows, fields: this.#fields, decoder: this.decoder, bytes: this.rowBytes };
    this.rows = [];
    this.rowBytes = 0;
    return batch;
  }

  /** Passes on the rows that arrived before the statement failed. */
  handOver(): void {
    if (this.rows.length > 0) this.entry.request.exchange?.onRows(this.takeBatch());
  }

  #setFields(fields: readonly Field[] | null, plan: RowPlan | null = null): void {
    this.#fields = fields;
    this.#isDescribed = true;
    this.decoder =
      fields === null ? null : (plan?.decoder ?? this.entry.request.rows?.decoderFor(fields) ?? null);
  }
}

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

  /**
   * Whether the limit of `most` statements in flight has been reached; nothing may then be sent until half of them have been
   * answered.
   */
  isFull(most: number): boolean {
    const { length } = this.#replies;
    if (length === 0) this.#full = false;
    else if (this.#full) this.#full = length > most / 2 || this.#bytes > MOST_BYTES / 2;
    else this.#full = length >= most || this.#bytes >= MOST_BYTES;
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

function outOfOrder(what: string): ProtocolViolation {
  return new ProtocolViolation(`${what} where none is expected`);
}
