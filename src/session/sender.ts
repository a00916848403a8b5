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
import { canGoExtended, mayChangeEncoding } from './statement-text.js';
import { command, type StatementRequest } from './statement.js';
import { TransactionStatus } from './status.js';
import type { Transport } from './transport.js';

/** What a sender works with. */
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
 * Takes entries from the queue and sends them, as far as that may be done: the only place where entries leave the queue.
 *
 * A statement is sent while another is in flight only if everything in flight certainly leaves the transaction as it is, so that the
 * status that it will meet, and whether it needs a BEGIN, is known; and only as much is in flight as there are limits for.
 */
export class Sender {
  readonly #parts: SenderParts;
  /** The segment of a pipeline that no Sync ends yet. */
  #segment: Segment | null = null;
  #waitingForRoom: (() => void)[] = [];
  /** Whether the server has been told to send the answers that it holds back, since too much is in flight. */
  #hasAskedForAnswers = false;
  /** Whether a caller waits for the answer of a pipelined statement that is still to be sent. */
  #mustFlush = false;
  #lastText = '';
  #lastMayChangeEncoding = false;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Whether a Sync is owed to the server. */
  get owesSync(): boolean {
    return this.#segment !== null;
  }

  /** Whether what a pipeline sends is skipped up to the next Sync. */
  get isSkipping(): boolean {
    return this.#segment?.failed === true || this.#parts.inFlight.head?.segment?.failed === true;
  }

  /** Sends what may be sent. */
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

  /** Null, or, if as much is queued and in flight as may be, a promise for the moment when half of it is done with. */
  room(): Promise<void> | null {
    if (!this.#isFull) return null;
    this.#askForAnswers();
    return new Promise((resolve) => this.#waitingForRoom.push(resolve));
  }

  /** Ends all waits for room. */
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

  /** Ends the segment of a pipeline for what comes now, which is not part of it. */
  endSegment(): void {
    if (this.#segment !== null) this.#sendSync(null);
  }

  /** Has the server send the answers of the pipeline that it holds back until a Sync. */
  flush(): void {
    if (this.#segment !== null && this.#parts.transport.isOpen) this.#parts.extended.flushSegment();
    this.#mustFlush = this.#parts.queue.length > 0;
  }

  /** The server would keep its answers until the Sync, for which there is no room. */
  #askForAnswers(): void {
    if (this.#hasAskedForAnswers) return;
    this.#hasAskedForAnswers = true;
    if (this.#segment !== null) this.#parts.extended.flushSegment();
  }

  /** Takes the statement at the head of the queue, unless it has to wait for something. */
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

  /** Takes a statement of a pipeline, which does not wait for those before it. */
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
    // Should the BEGIN of a segment before this one have failed, another one is needed.
    if (mustBegin && inFlight.hasBegun) return false;
    const begin = mustBegin ? request.begin : null;
    this.#hasAskedForAnswers = false;
    this.#segment ??= new Segment();
    const reply = new StatementReply(entry, 'extended', this.#segment);
    if (request.signal !== undefined) {
      // Whether it is running has to be known, so that a request to cancel it does not hit what is before it, or behind.
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

  /** Sends a statement that stands by itself, unless it has to wait for something. */
  #send(entry: StatementEntry): boolean {
    const { queue, inFlight, outcomes } = this.#parts;
    const { request } = entry;
    const isIdle = inFlight.status === TransactionStatus.IDLE;
    const isAlone = inFlight.length === 0;
    if (request.onlyIf !== undefined && isIdle === (request.onlyIf === 'in transaction')) {
      // Settled in its turn, not before what is still in flight.
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
    // A text of several statements can't stand under one Sync with its BEGIN, so it waits for it.
    this.#sendBy(this.#parts.settings.speaksSimpleOnly, this.#beginFor(entry, begin), null);
    return false;
  }

  /** By the simple protocol go texts of several statements, and all without parameters to a server that speaks no other. */
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
      // What postgres.js was given leaves with its next write; to go ahead of it would mix up the answers.
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
    entry.request.exchange?.onSent(new ExchangeLink(reply, inTransaction, transport, extended, cancellation));
  }

  /** Most statements have the same text as the one before. */
  #mayChangeEncoding(text: string): boolean {
    if (text !== this.#lastText) {
      this.#lastText = text;
      this.#lastMayChangeEncoding = mayChangeEncoding(text);
    }
    return this.#lastMayChangeEncoding;
  }

  /** Refuses a statement with texts that can't be sent in the session's encoding. */
  #refuse(entry: StatementEntry): boolean {
    const encoding = this.#parts.settings.foreignEncoding;
    const refusal = encoding === null ? null : whyNotSent(entry.request, encoding);
    if (refusal === null) return false;
    this.#parts.queue.shift();
    this.#parts.outcomes.settle(entry, refusal);
    return true;
  }

  /** A BEGIN ahead of `entry`, which stays at the head of the queue and is rejected if the BEGIN is. */
  #beginFor(entry: StatementEntry, begin: string): StatementEntry {
    entry.begunAhead = true;
    return StatementEntry.internal(command(begin), (reason) => {
      this.#parts.outcomes.settle(entry, reason);
    });
  }
}
