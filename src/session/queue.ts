import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import { Fifo } from '../queues.js';
import type { StatementRequest, StatementResult } from './statement.js';
import { isSingleStatement, leavesTransactionAlone } from '../sql-statement.js';
import type { TransactionStatus } from './status.js';
import type { Transport } from './transport.js';

// The entries submitted to a session, the queue in which they wait, and how they are settled.

function ignore(): void {
  // No caller waits.
}

/** A statement that waits for its turn or has been sent. Its caller waits until it is settled, once. */
export class StatementEntry {
  readonly kind = 'statement';
  readonly request: StatementRequest;
  /** Whether other statements may be sent before it has been answered. */
  readonly keepsTransactionStatus: boolean;
  /** Whether it is part of a pipeline, in which one Sync ends several statements. */
  readonly pipelined: boolean;
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (reason: unknown) => void;

  settled = false;
  /** Set when the caller gave up: the reason it gets whatever the server answers. */
  abandoned: { readonly reason: unknown } | null = null;
  /** Whether it has been sent and will not be sent again. */
  isSent = false;
  /** Whether a separate BEGIN was sent ahead of it. */
  begunAhead = false;
  /** Whether it has been sent a second time; there is no third. */
  sentAgain = false;
  #listeners: (() => void)[] | null = null;

  constructor(
    request: StatementRequest,
    pipelined: boolean,
    resolve: (results: readonly StatementResult[]) => void,
    reject: (reason: unknown) => void,
  ) {
    this.request = request;
    this.keepsTransactionStatus = keepsTransactionStatus(request);
    this.pipelined = pipelined;
    this.resolve = resolve;
    this.reject = reject;
  }

  /** A statement of the session itself, without a waiting caller. `failed` is called with its error. */
  static internal(request: StatementRequest, failed: (reason: unknown) => void = ignore): StatementEntry {
    return new StatementEntry(request, false, ignore, failed);
  }

  /** Calls `listener` once it is settled, before its caller is notified. */
  onSettled(listener: () => void): void {
    if (this.settled) listener();
    else (this.#listeners ??= []).push(listener);
  }

  tellSettled(): void {
    if (this.#listeners !== null) for (const listener of this.#listeners) listener();
  }
}

/** Whether a statement certainly keeps the transaction status, so that others may be sent before it is answered. */
function keepsTransactionStatus({ text, executions, signal, mustBeAnswered }: StatementRequest): boolean {
  // Nothing is sent after a statement that may be cancelled, since the request could hit it. One that must be answered is sent
  // alone, since its time begins then.
  if (signal !== undefined || mustBeAnswered === true || !leavesTransactionAlone(text)) return false;
  return executions === null ? isSingleStatement(text) : executions.length === 1;
}

/** The end of a segment of a pipeline. A Sync is sent if the segment contains anything. */
export class SyncEntry {
  readonly kind = 'sync';
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;

  constructor(resolve: () => void, reject: (reason: unknown) => void) {
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** An action between statements, run once everything before it has been answered. */
export interface Turn {
  readonly kind: 'turn';
  readonly run: (status: TransactionStatus) => void;
  readonly reject: (reason: unknown) => void;
  /** Whether the caller gave up, so that the entry is skipped. */
  dropped: boolean;
}

/** An entry of the queue. */
export type QueueEntry = StatementEntry | SyncEntry | Turn;

/** Exclusive use of the session for the duration of `Session.exclusively()`. @internal */
export class ExclusiveLock {
  /** @internal */
  readonly waiting = new Fifo<QueueEntry>();
}

/** The entries to be sent, in order. While a lock is held, only entries submitted with it are taken. */
export class StatementQueue {
  readonly #unlocked = new ExclusiveLock();
  #lock: ExclusiveLock | null = null;

  /** The number of waiting entries, including locked-out ones. */
  get length(): number {
    return this.#unlocked.waiting.length + (this.#lock?.waiting.length ?? 0);
  }

  get locked(): boolean {
    return this.#lock !== null;
  }

  /** The next entry to be taken. */
  get head(): QueueEntry | undefined {
    return this.#current.first;
  }

  push(entry: QueueEntry, lock: ExclusiveLock = this.#unlocked): void {
    lock.waiting.push(entry);
  }

  /** Inserts an entry before all others that may be taken. */
  unshift(entry: QueueEntry): void {
    this.#current.unshift(entry);
  }

  shift(): void {
    this.#current.shift();
  }

  lock(): ExclusiveLock {
    return (this.#lock = new ExclusiveLock());
  }

  /** Releases the lock. Entries that its holder has left are taken next. */
  unlock(): void {
    const left = this.#lock?.waiting.drain() ?? [];
    this.#lock = null;
    for (const entry of left.reverse()) this.#unlocked.waiting.unshift(entry);
  }

  /** Empties the queue and returns its entries, those of the lock's holder first. */
  drain(): QueueEntry[] {
    return [...(this.#lock?.waiting.drain() ?? []), ...this.#unlocked.waiting.drain()];
  }

  *[Symbol.iterator](): IterableIterator<QueueEntry> {
    if (this.#lock !== null) yield* this.#lock.waiting;
    yield* this.#unlocked.waiting;
  }

  get #current(): Fifo<QueueEntry> {
    return (this.#lock ?? this.#unlocked).waiting;
  }
}

/**
 * Receives the outcomes of statements before their callers do. An interface, since the connection that implements it is in a
 * layer above the session.
 */
export interface StatementObserver {
  onStatementDone(results: readonly StatementResult[], text: string): void;
  /** `results`: those of the statements in the text before the failed one. */
  onStatementError(error: unknown, results: readonly StatementResult[], text: string): void;
  /** The Sync of a pipeline's segment was answered. `isAwaited`: a caller receives `error`. */
  onSegmentEnd(error: Error | null, isAwaited: boolean): void;
}

const NONE: readonly StatementResult[] = [];

/** Settles each statement once and reports it to the observer. */
export class Outcomes {
  observer: StatementObserver | null = null;
  /** The error message of the last statement; '' if it did not fail. */
  errorMessage = '';
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Settles a statement: with its results, with `error`, or with the reason why its caller gave up. */
  settle(entry: StatementEntry, error: unknown, results: readonly StatementResult[] = NONE): void {
    if (entry.settled) return;
    entry.settled = true;
    this.errorMessage = error instanceof Error ? error.message : '';
    if (error !== null) this.observer?.onStatementError(error, results, entry.request.text);
    // The tag of a COPY does not contain its direction; the COPY's user reports it.
    else if (entry.request.exchange?.kind !== 'copy')
      this.observer?.onStatementDone(results, entry.request.text);
    entry.tellSettled();
    const isAbandoned = entry.abandoned !== null && !this.#mustBeTold(entry, error);
    if (isAbandoned || error !== null) entry.request.failedAfter?.(results);
    if (isAbandoned) {
      entry.reject(entry.abandoned!.reason);
    } else if (error !== null) {
      locate(error, this.#transport.location);
      entry.reject(error);
    } else {
      entry.resolve(results);
    }
  }

  /** Handles the answer to the Sync of a pipeline's segment. `isAwaited`: a caller receives `error`. */
  settleSync(error: Error | null, isAwaited: boolean): void {
    if (error !== null) {
      this.errorMessage = error.message;
      locate(error, this.#transport.location);
    }
    this.observer?.onSegmentEnd(error, isAwaited);
  }

  /** Whether a caller that gave up must learn the outcome: the statement took effect nevertheless, or that is unknown. */
  #mustBeTold({ request, isSent }: StatementEntry, error: unknown): boolean {
    if (error instanceof errors.TransactionOutcomeUnknown) return true;
    return request.outcomeMatters === true && isSent && (error === null || this.#transport.phase !== 'open');
  }
}
