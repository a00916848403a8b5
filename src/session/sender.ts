import type { Engine } from '../wire/engine.js';
import type { Cancellation } from './cancellation.js';
import { ExchangeLink } from './exchange-link.js';
import type { ExtendedQuery } from './extended-query.js';
import { MOST_PIPELINED, MOST_STATEMENTS, MOST_WAITING } from './limits.js';
import { StatementEntry, type Outcomes, type StatementQueue, type SyncEntry } from './queue.js';
import { Segment, StatementReply, SyncReply, type InFlight } from './reply.js';
import { whyNotSent, type ServerSettings } from './server-settings.js';
import { shortcuts } from './shortcuts.js';
import { pipelineAborted } from './statement-errors.js';
import { canGoExtended, mayChangeEncoding } from '../sql-statement.js';
import { command, type StatementRequest } from './statement.js';
import { TransactionStatus } from './status.js';
import type { Transport } from './transport.js';

/** The parts of a session that a sender uses. */
export interface SenderParts {
  readonly transport: Transport;
  readonly settings: ServerSettings;
  readonly queue: StatementQueue;
  readonly inFlight: InFlight;
  readonly engine: Engine;
  readonly extended: ExtendedQuery;
  readonly cancellation: Cancellation;
  readonly outcomes: Outcomes;
}

/**
 * Takes entries from the queue and sends them when that is allowed. Entries leave the queue only here.
 *
 * A statement is sent while another is in flight only if everything in flight certainly keeps the transaction status, so that its
 * own status and its need for a BEGIN are known. The limits bound what is in flight.
 */
export class Sender {
  readonly #parts: SenderParts;
  /** The segment of a pipeline that has no Sync yet. */
  #segment: Segment | null = null;
  #waitingForRoom: (() => void)[] = [];
  /** Whether the server was told to send its pending answers because too much is in flight. */
  #hasAskedForAnswers = false;
  /** Whether a caller waits for the answer of a pipelined statement that has not been sent. */
  #mustFlush = false;
  #lastText = '';
  #lastMayChangeEncoding = false;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Whether the current segment needs a Sync. */
  get owesSync(): boolean {
    return this.#segment !== null;
  }

  /** Whether the server skips the pipeline's statements until the next Sync. */
  get isSkipping(): boolean {
    return this.#segment?.failed === true || this.#parts.inFlight.head?.segment?.failed === true;
  }

  /** Sends all entries that may be sent. */
  pump(): void {
    const { transport, queue, cancellation } = this.#parts;
    while (transport.isOpen && cancellation.state !== 'requested') {
      const entry = queue.head;
      if (entry === undefined) break;
      if (entry.kind === 'statement') {
        if (!this.#take(entry)) break;
      } else if (entry.kind === 'sync') {
        if (!this.#parts.engine.allWritten) break;
        queue.shift();
        this.#sendSync(entry);
      } else {
        if (!entry.dropped) {
          this.endSegment();
          if (this.#parts.inFlight.length > 0) break;
        }
        queue.shift();
        if (!entry.dropped) entry.run(this.#parts.inFlight.status);
      }
    }
    if (this.#waitingForRoom.length > 0 && !this.#isFull) this.endWaits();
  }

  /** Returns null, or if a limit of queued or sent entries is reached, a promise that resolves when half of them are done. */
  room(): Promise<void> | null {
    if (!this.#isFull) return null;
    this.#askForAnswers();
    return new Promise((resolve) => this.#waitingForRoom.push(resolve));
  }

  /** Resolves all waits for room. */
  endWaits(): void {
    const waiting = this.#waitingForRoom;
    this.#waitingForRoom = [];
    for (const resolve of waiting) resolve();
  }

  get #isFull(): boolean {
    const { queue, inFlight } = this.#parts;
    const most = this.#segment === null ? MOST_STATEMENTS : MOST_PIPELINED;
    return this.#parts.transport.isOpen && (inFlight.isFull(most) || queue.length >= MOST_WAITING);
  }

  /** Ends the segment of a pipeline, since the next entry is not part of it. */
  endSegment(): void {
    if (this.#segment !== null) this.#sendSync(null);
  }

  /** Makes the server send the answers of the pipeline that it keeps until a Sync. */
  flush(): void {
    if (this.#segment !== null && this.#parts.transport.isOpen) this.#parts.extended.flushSegment();
    this.#mustFlush = this.#parts.queue.length > 0;
  }

  /** Requests answers that the server would keep until the Sync, since no more may be in flight. */
  #askForAnswers(): void {
    if (this.#hasAskedForAnswers) return;
    this.#hasAskedForAnswers = true;
    if (this.#segment !== null) this.#parts.extended.flushSegment();
  }

  /** Takes the statement at the head of the queue, unless it has to wait. */
  #take(entry: StatementEntry): boolean {
    const { queue, inFlight } = this.#parts;
    if (entry.settled) {
      queue.shift();
      return true;
    }
    if (entry.pipelined) return this.#takeInSegment(entry);
    this.endSegment();
    if (inFlight.length === 0) return this.#send(entry);
    const mayFollow = inFlight.blocking === 0 && entry.keepsTransactionStatus && shortcuts.taken;
    return mayFollow && !inFlight.isFull(MOST_STATEMENTS) && this.#send(entry);
  }

  /** Takes a statement of a pipeline, which does not wait for earlier answers. */
  #takeInSegment(entry: StatementEntry): boolean {
    const { queue, inFlight, engine, extended, outcomes } = this.#parts;
    if (inFlight.blocking > 0 || !engine.allWritten) return false;
    if (this.#segment?.failed === true) {
      queue.shift();
      outcomes.settle(entry, pipelineAborted(entry));
      return true;
    }
    if (inFlight.isFull(MOST_PIPELINED)) {
      this.#askForAnswers();
      return false;
    }
    if (this.#refuse(entry)) return true;
    const { request } = entry;
    const mustBegin =
      request.begin !== null &&
      inFlight.status === TransactionStatus.IDLE &&
      this.#segment?.hasBegun !== true;
    // If the BEGIN of an earlier segment failed, this statement needs another one.
    if (mustBegin && inFlight.hasBegun) return false;
    const begin = mustBegin ? request.begin : null;
    this.#hasAskedForAnswers = false;
    this.#segment ??= new Segment();
    const reply = new StatementReply(entry, 'extended', this.#segment);
    if (request.signal !== undefined) {
      // Nothing may be sent after it, so that a cancel request for it cannot hit another statement.
      this.#segment.cancellable = true;
    }
    if (this.#segment.cancellable) extended.writeFlush();
    if (!extended.send(reply, begin)) return false;
    queue.shift();
    if (begin !== null) inFlight.begins(this.#segment);
    this.#hasSent(reply);
    if (this.#mustFlush) {
      this.#mustFlush = queue.length > 0;
      extended.writeFlush();
    }
    return true;
  }

  #sendSync(entry: SyncEntry | null): void {
    const { inFlight, extended } = this.#parts;
    const segment = this.#segment ?? new Segment();
    this.#segment = null;
    inFlight.push(new SyncReply(segment, entry));
    extended.syncSegment();
  }

  /** Sends a statement that is not part of a pipeline, unless it has to wait. */
  #send(entry: StatementEntry): boolean {
    const { queue, inFlight, outcomes } = this.#parts;
    const { request } = entry;
    const isIdle = inFlight.status === TransactionStatus.IDLE;
    const isAlone = inFlight.length === 0;
    if (request.onlyIf !== undefined && isIdle === (request.onlyIf === 'in transaction')) {
      // It is settled in its turn, after everything in flight.
      if (!isAlone) return false;
      queue.shift();
      outcomes.settle(entry, null);
      return true;
    }
    const begin = isIdle ? request.begin : null;
    if (!isAlone && (begin !== null || request.exchange !== undefined)) return false;
    if (this.#refuse(entry)) return true;
    const isSimple = this.#mustBeSimple(request);
    if (begin === null) return this.#sendBy(isSimple, entry, null);
    if (!isSimple && shortcuts.taken) return this.#sendBy(isSimple, entry, begin);
    // A text of several statements cannot share a Sync with its BEGIN, so it waits for the BEGIN's answer.
    this.#sendBy(this.#parts.settings.speaksSimpleOnly, this.#beginFor(entry, begin), null);
    return false;
  }

  /**
   * Whether the simple protocol is required: for texts of several statements, and for all texts without parameters if the server
   * supports no other.
   */
  #mustBeSimple({ text, executions }: StatementRequest): boolean {
    if (executions === null) return this.#parts.settings.speaksSimpleOnly || !canGoExtended(text);
    return this.#parts.settings.speaksSimpleOnly && executions.length === 1 && executions[0]!.length === 0;
  }

  #sendBy(isSimple: boolean, entry: StatementEntry, begin: string | null): boolean {
    const { queue, engine, extended } = this.#parts;
    const reply = new StatementReply(entry, isSimple ? 'simple' : 'extended', null);
    if (isSimple) {
      if (queue.head === entry) queue.shift();
      extended.flush();
      reply.bytes = entry.request.text.length;
      reply.synced = true;
      this.#hasSent(reply);
      engine.query(entry.request.text);
    } else {
      // postgres.js sends its queries with its next write; a message that overtook them would mix up the answers.
      if (!engine.allWritten || !extended.send(reply, begin)) return false;
      if (queue.head === entry) queue.shift();
      this.#hasSent(reply);
    }
    return true;
  }

  #hasSent(reply: StatementReply): void {
    const { transport, settings, inFlight, extended, cancellation } = this.#parts;
    const { entry } = reply;
    entry.isSent = true;
    if (this.#mayChangeEncoding(entry.request.text)) {
      reply.changesEncoding = true;
      settings.doubtEncoding();
    }
    const inTransaction = reply.hasBegun || inFlight.status !== TransactionStatus.IDLE;
    inFlight.push(reply);
    if (entry.request.mustBeAnswered === true) cancellation.expectAnswer(reply, entry.request.text);
    entry.request.exchange?.onSent(new ExchangeLink(reply, inTransaction, transport, extended, cancellation));
  }

  /** Whether the text may change client_encoding. The last text is cached, since most statements repeat it. */
  #mayChangeEncoding(text: string): boolean {
    if (text !== this.#lastText) {
      this.#lastText = text;
      this.#lastMayChangeEncoding = mayChangeEncoding(text);
    }
    return this.#lastMayChangeEncoding;
  }

  /** Refuses a statement with texts that cannot be sent in the session's encoding. */
  #refuse(entry: StatementEntry): boolean {
    const encoding = this.#parts.settings.foreignEncoding;
    const refusal = encoding === null ? null : whyNotSent(entry.request, encoding);
    if (refusal === null) return false;
    this.#parts.queue.shift();
    this.#parts.outcomes.settle(entry, refusal);
    return true;
  }

  /** Makes a BEGIN ahead of `entry`, which stays at the head of the queue and is rejected if the BEGIN fails. */
  #beginFor(entry: StatementEntry, begin: string): StatementEntry {
    entry.begunAhead = true;
    return StatementEntry.internal(command(begin), (reason) => {
      this.#parts.outcomes.settle(entry, reason);
    });
  }
}
