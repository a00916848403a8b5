import { ProtocolViolation, type Field } from '../wire/backend-messages.js';
import type { RowDecoder, RowPlan } from '../wire/row-decoder.js';
import { Fifo } from '../queues.js';
import type { RowBatch } from './exchange.js';
import { MOST_BYTES } from './limits.js';
import type { ServerStatement } from './prepared-statements.js';
import type { StatementEntry, SyncEntry } from './queue.js';
import { mayMakeTable } from './statement-text.js';
import type { StatementResult } from './statement.js';
import { TransactionStatus } from './status.js';

/** How a statement was sent: by messages of our own, or, a text of several, by the simple protocol. */
export type Protocol = 'extended' | 'simple';

/** One Bind and Execute that has been sent. */
export interface Execution {
  readonly statement: ServerStatement;
  readonly described: boolean;
  /** Whether this is a BEGIN that rides along, whose result is discarded. */
  readonly isBegin: boolean;
  /** How its rows were asked for, where the columns were known; null: as text. */
  readonly plan: RowPlan | null;
}

/** The statements of a pipeline between two Syncs: one that fails has the server skip the rest of them. */
export class Segment {
  /** Whether a transaction has been begun in it. */
  hasBegun = false;
  /** Whether one of its statements has failed. */
  failed = false;
  /** Whether one of its statements may be cancelled, so that nothing else may stand behind its Sync. */
  cancellable = false;
}

/** What the server owes for something that has been sent, and what of it has come. */
export type Reply = StatementReply | SyncReply;

/** What the server owes for the Sync of a segment. */
export class SyncReply {
  readonly kind = 'sync';
  readonly segment: Segment;
  /** The entry that waits for the Sync; null if the segment was ended by what came behind it. */
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

/** What the server owes for one statement that has been sent: which messages are expected, and what has come so far. */
export class StatementReply {
  readonly kind = 'statement';
  readonly entry: StatementEntry;
  readonly protocol: Protocol;
  /** The segment of a pipeline that it stands in; else a Sync of its own ends it. */
  readonly segment: Segment | null;
  /** How long its messages were. */
  bytes = 0;
  /** Whether the Sync behind it has been written: from then on nothing more may be sent for it. */
  synced = false;

  /** The statement's error. The server's own takes precedence over that of a loader. */
  error: Error | null = null;
  /** Whether the server has refused it, or we have: no other error is to take the place of `error`. */
  refused = false;
  results: StatementResult[] = [];

  /** Whether client_encoding may be another behind it. */
  changesEncoding = false;
  /** Whether a cancel request is to be made for it. */
  cancelWanted = false;
  /** Whether that is so even where the request may hit what has been sent behind it. */
  cancelAnyway = false;
  /** Whether it was in flight while a request was made for another. */
  mayBeHit = false;
  /** Called if the network gives no sign of life while the request is made. */
  onSilence: (() => void) | null = null;

  /** When a message was sent ahead of it that the server answers at once; null if none was, or that has been answered. */
  pingedAt: number | null = null;
  /** Statements the server is yet to confirm, in the order they were sent. */
  parsing: readonly ServerStatement[] = NONE;
  /** Prepared statements that are closed on the server along with this one, in this order. */
  closing: readonly string[] = NONE;
  executions: Execution[] = [];
  #closed = 0;
  #parsed = 0;
  #executed = 0;

  /** Whether the server has stopped after as many rows as it was asked for. */
  suspended = false;
  /** Where a COPY is: its data are under way, or those of a COPY OUT are complete. */
  #copying: 'in' | 'out' | 'done' | null = null;
  #fields: readonly Field[] | null = null;
  /** Whether it is known what columns the result has, if any. */
  #isDescribed = false;
  decoder: RowDecoder | null = null;
  rows: unknown[] = [];
  /** How many bytes the rows were. */
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

  /** The names that the server has not closed, since it skips everything behind an error. */
  get unclosed(): readonly string[] {
    return this.closing.slice(this.#closed);
  }

  onParseComplete(): void {
    const statement = this.parsing[this.#parsed++];
    if (statement === undefined) throw outOfOrder('a ParseComplete');
    statement.ready = true;
  }

  /** A statement that is not described again has the columns it had when it was prepared. */
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

  /** A row has arrived: its columns have to be known. */
  expectRow(): void {
    if (this.#fields === null || this.suspended) throw outOfOrder('a row');
  }

  /** There are more rows than were asked for. */
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

  /** A piece of the data of a COPY OUT has arrived. */
  expectCopyData(): void {
    if (this.#copying !== 'out') throw outOfOrder('data of a COPY');
  }

  onCopyDone(): void {
    if (this.#copying !== 'out') throw outOfOrder('a CopyDone');
    this.#copying = 'done';
  }

  /** A statement is complete; `tag` is null if it was empty. */
  onComplete(tag: string | null): void {
    const execution = this.executions[this.#executed];
    // Accepting an undescribed or incomplete result would pass it off as one without columns, or rows.
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

  /** The server is ready for the next statement: this one has failed, was left, or its answer is complete. */
  expectEnd(): void {
    const { portal, exchange } = this.entry.request;
    if (this.error !== null || exchange?.left === true) return;
    const isDone =
      portal === undefined
        ? this.#fields === null && (this.protocol === 'simple' ? this.results.length > 0 : this.complete)
        : this.complete && this.results.length === (portal.act === 'describe' ? 1 : 0);
    if (!isDone) throw outOfOrder('a ReadyForQuery');
  }

  /** Whether the query that is being answered may have made a table. */
  get mayMakeTable(): boolean {
    const { text } = this.entry.request;
    const statement = this.executions[this.#executed]?.statement;
    // The result is kept with a prepared statement, so that its text is scanned only once.
    return statement === undefined ? mayMakeTable(text) : (statement.mayMakeTable ??= mayMakeTable(text));
  }

  /** Whether all its executions have been answered. */
  get complete(): boolean {
    return this.#executed === this.executions.length;
  }

  /** Whether a BEGIN came with it, or ahead of it. */
  get hasBegun(): boolean {
    return this.entry.begunAhead || this.executions[0]?.isBegin === true;
  }

  /** The rows so far, which are handed on before the statement is complete. */
  takeBatch(): RowBatch {
    const batch = { rows: this.rows, fields: this.#fields, decoder: this.decoder, bytes: this.rowBytes };
    this.rows = [];
    this.rowBytes = 0;
    return batch;
  }

  /** Hands over the rows that came before the statement failed. */
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

function outOfOrder(what: string): ProtocolViolation {
  return new ProtocolViolation(`${what} where none can be`);
}
