import { locate } from '../errors/location.js';
import { Fifo } from '../queues.js';
import type { StatementRequest, StatementResult } from './statement.js';
import { isSingleStatement, leavesTransactionAlone } from './statement-text.js';
import type { TransactionStatus } from './status.js';
import type { Transport } from './transport.js';

// What has been submitted to a session: the entries, the queue in which they wait, and how they are settled.

function ignore(): void {
  // No caller waits.
}

/** A statement that waits for its turn, or has been sent: its caller waits until it is settled, once. */
export class StatementEntry {
  readonly kind = 'statement';
  readonly request: StatementRequest;
  /** Whether others may be sent before it has been answered. */
  readonly keepsTransactionStatus: boolean;
  /** Whether it is sent in a pipeline, where one Sync ends several statements. */
  readonly pipelined: boolean;
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (reason: unknown) => void;

  settled = false;
  /** What its caller is told whatever the server answers, since the caller has given up. */
  abandoned: { readonly reason: unknown } | null = null;
  /** Whether it has been sent, and need not be sent again. */
  isSent = false;
  /** Whether its transaction has been begun for it, ahead of it. */
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

  /** A statement of the session's own, which no caller waits for. `failed` hears of an error. */
  static internal(request: StatementRequest, failed: (reason: unknown) => void = ignore): StatementEntry {
    return new StatementEntry(request, false, ignore, failed);
  }

  /** Calls `listener` once it is settled, before its caller hears of it. */
  onSettled(listener: () => void): void {
    if (this.settled) listener();
    else (this.#listeners ??= []).push(listener);
  }

  tellSettled(): void {
    if (this.#listeners !== null) for (const listener of this.#listeners) listener();
  }
}

/** Whether a statement certainly leaves the transaction as it is, so that others may be sent behind it before it is answered. */
function keepsTransactionStatus({ text, executions, signal }: StatementRequest): boolean {
  // Behind one that may be cancelled nothing is sent that the request could hit.
  if (signal !== undefined || !leavesTransactionAlone(text)) return false;
  return executions === null ? isSingleStatement(text) : executions.length === 1;
}

/** The end of a segment of a pipeline: a Sync is sent, if there is anything to be ended. */
export class SyncEntry {
  readonly kind = 'sync';
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;

  constructor(resolve: () => void, reject: (reason: unknown) => void) {
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Something to be done between statements, when all before it have been answered. */
export interface Turn {
  readonly kind: 'turn';
  readonly run: (status: TransactionStatus) => void;
  readonly reject: (reason: unknown) => void;
  /** The caller gave up: it is passed over. */
  dropped: boolean;
}

/** What waits to be sent, or done. */
export type QueueEntry = StatementEntry | SyncEntry | Turn;

/** The right to be the only one whose statements are sent, for as long as `Session.exclusively()` lasts. @internal */
export class ExclusiveLock {
  /** @internal */
  readonly waiting = new Fifo<QueueEntry>();
}

/** What waits to be sent, in order. While a lock is held, only entries that come with it are taken. */
export class StatementQueue {
  readonly #everybody = new ExclusiveLock();
  #lock: ExclusiveLock | null = null;

  /** How many wait, locked out or not. */
  get length(): number {
    return this.#everybody.waiting.length + (this.#lock?.waiting.length ?? 0);
  }

  get locked(): boolean {
    return this.#lock !== null;
  }

  /** The entry to be taken next. */
  get head(): QueueEntry | undefined {
    return this.#current.first;
  }

  push(entry: QueueEntry, lock: ExclusiveLock = this.#everybody): void {
    lock.waiting.push(entry);
  }

  /** Puts an entry before all others that may be taken. */
  unshift(entry: QueueEntry): void {
    this.#current.unshift(entry);
  }

  shift(): void {
    this.#current.shift();
  }

  lock(): ExclusiveLock {
    return (this.#lock = new ExclusiveLock());
  }

  /** Ends the lock. Entries that its holder has left are taken next. */
  unlock(): void {
    const left = this.#lock?.waiting.drain() ?? [];
    this.#lock = null;
    for (const entry of left.reverse()) this.#everybody.waiting.unshift(entry);
  }

  /** Empties the queue and returns what was in it, what has the session exclusively first. */
  drain(): QueueEntry[] {
    return [...(this.#lock?.waiting.drain() ?? []), ...this.#everybody.waiting.drain()];
  }

  *[Symbol.iterator](): IterableIterator<QueueEntry> {
    if (this.#lock !== null) yield* this.#lock.waiting;
    yield* this.#everybody.waiting;
  }

  get #current(): Fifo<QueueEntry> {
    return (this.#lock ?? this.#everybody).waiting;
  }
}

/**
 * Hears of how statements have ended, before their callers do. An interface, since the connection that implements it stands above
 * the session.
 */
export interface StatementObserver {
  onStatementDone(results: readonly StatementResult[], text: string): void;
  /** `results`: of the statements of its text before the one that has failed. */
  onStatementError(error: unknown, results: readonly StatementResult[]): void;
  /** A Sync has failed that no caller waits for. */
  onSyncError(error: unknown): void;
}

const NONE: readonly StatementResult[] = [];

/** Settles statements, each once, and tells the observer of each. */
export class Outcomes {
  observer: StatementObserver | null = null;
  /** The message of the error that the last statement failed with; '' if it did not fail. */
  errorMessage = '';
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Settles a statement: with its results, with `error`, or with the reason for which its caller gave up. */
  settle(entry: StatementEntry, error: unknown, results: readonly StatementResult[] = NONE): void {
    if (entry.settled) return;
    entry.settled = true;
    this.errorMessage = error instanceof Error ? error.message : '';
    if (error !== null) this.observer?.onStatementError(error, results);
    // The tag of a COPY does not tell its direction; the COPY's user does.
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

  /** The Sync of a pipeline's segment has been answered. `isAwaited`: a caller hears of `error`. */
  settleSync(error: Error | null, isAwaited: boolean): void {
    if (error === null) {
      this.observer?.onStatementDone(NONE, '');
      return;
    }
    this.errorMessage = error.message;
    locate(error, this.#transport.location);
    this.observer?.onStatementError(error, NONE);
    if (!isAwaited) this.observer?.onSyncError(error);
  }

  /** Whether the caller who gave up has to know how it ended: it was done nevertheless, or it isn't known whether it was. */
  #mustBeTold({ request, isSent }: StatementEntry, error: unknown): boolean {
    return request.outcomeMatters === true && isSent && (error === null || this.#transport.phase !== 'open');
  }
}
