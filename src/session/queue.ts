import { Fifo } from './fifo.js';
import type { StatementRequest, StatementResult } from './statement.js';
import type { TransactionStatus } from './status.js';

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
    keepsTransactionStatus: boolean,
    pipelined: boolean,
    resolve: (results: readonly StatementResult[]) => void,
    reject: (reason: unknown) => void,
  ) {
    this.request = request;
    this.keepsTransactionStatus = keepsTransactionStatus;
    this.pipelined = pipelined;
    this.resolve = resolve;
    this.reject = reject;
  }

  /** A statement of the session itself, without a waiting caller. `failed` is called with its error. */
  static internal(request: StatementRequest, failed: (reason: unknown) => void = ignore): StatementEntry {
    return new StatementEntry(request, false, false, ignore, failed);
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
  readonly #everybody = new ExclusiveLock();
  #lock: ExclusiveLock | null = null;

  /** The number of waiting entries, including locked-out ones. */
  get length(): number {
    return this.#everybody.waiting.length + (this.#lock?.waiting.length ?? 0);
  }

  get locked(): boolean {
    return this.#lock !== null;
  }

  /** The next entry to be taken. */
  get head(): QueueEntry | undefined {
    return this.#current.first;
  }

  push(entry: QueueEntry, lock: ExclusiveLock = this.#everybody): void {
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
    for (const entry of left.reverse()) this.#everybody.waiting.unshift(entry);
  }

  /** Empties the queue and returns its entries, those of the lock's holder first. */
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
