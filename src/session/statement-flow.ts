import { locate } from '../errors/location.js';
import type { Engine } from '../wire/engine.js';
import { CANCEL_LIMIT, Cancellation } from './cancellation.js';
import { Fifo } from './fifo.js';
import { floorFor } from './floor.js';
import type { Lane } from './lane.js';
import { connectionError, type Link } from './link.js';
import { PipelineFlow } from './pipeline-flow.js';
import { Hold, type Turn } from './queue.js';
import { shownQuery } from './query-trace.js';
import { isForEngine, SYNC } from './requests.js';
import { canceled, pipelineAborted } from './statement-errors.js';
import { shortcuts } from './shortcuts.js';
import { canGoExtended } from './statement-text.js';
import { PendingStatement, type Route, type StatementRequest, type StatementResult } from './statement.js';
import { statusFromByte, TransactionStatus } from './status.js';

/** Who hears of how statements have ended. */
export interface Judge {
  onStatementDone(results: readonly StatementResult[], text: string): void;
  /** `results`: of the statements of its text before the one that has failed. */
  onStatementError(error: unknown, results: readonly StatementResult[]): void;
}

/**
 * The statements of a session, waiting and in flight: when each is sent, by which way, and how it ends.
 *
 * One is sent while another is in flight only if everything in flight certainly leaves the transaction as it is, so that the status
 * it will meet, and whether it needs a BEGIN, is known.
 */
export class StatementFlow {
  /** The transaction status of the last ReadyForQuery. */
  statusByte = 0;
  readonly inFlight = new Fifo<PendingStatement>();
  readonly pipeline = new PipelineFlow();
  /** How many of those in flight nothing may be sent behind. */
  barriers = 0;
  /** The statement that has the session to itself, or will have it when its turn comes. */
  conversing: PendingStatement | null = null;
  /** What the last statement failed with; '' if it did not. */
  errorMessage = '';
  /** Hears of how a statement has ended, before its caller does. */
  judge: Judge | null = null;

  readonly #link: Link;
  readonly #engine: Engine;
  readonly #lane: Lane;
  readonly #cancellation: Cancellation;
  /** The queue of everybody, which waits while somebody holds the session. */
  readonly #everybody = new Hold();
  #hold: Hold | null = null;
  readonly #waitForQuiet: (() => void)[] = [];

  constructor(link: Link, engine: Engine, lane: Lane) {
    this.#link = link;
    this.#engine = engine;
    this.#lane = lane;
    this.#cancellation = new Cancellation(link.address, {
      isAlone: (pending) => this.#isAlone(pending),
      onDone: () => {
        this.pump();
        this.announceQuiet();
      },
      giveUp: () => {
        link.fail(
          connectionError(
            `the server did not answer a cancel request within ${String(CANCEL_LIMIT)} seconds; the connection is closed`,
          ),
        );
      },
    });
  }

  get transactionStatus(): TransactionStatus {
    return this.inFlight.length > 0 || this.pipeline.needsSync
      ? TransactionStatus.ACTIVE
      : statusFromByte(this.statusByte);
  }

  /** Nothing is running, nothing waits. */
  get quiet(): boolean {
    return !this.busy && !this.pipeline.needsSync && this.#hold === null && !this.#cancellation.underway;
  }

  /** Whether a statement is running or waits. */
  get busy(): boolean {
    return this.inFlight.length > 0 || this.#everybody.waiting.length > 0;
  }

  /** The queue that statements are taken from. */
  get queue(): Fifo<PendingStatement | Turn> {
    return (this.#hold ?? this.#everybody).waiting;
  }

  // --- the queue

  /** Queues a statement, for whoever holds the session or for everybody, and sends it if its turn has come. */
  enqueue(pending: PendingStatement, hold: Hold | undefined): void {
    if (pending.request.conversation !== undefined) this.conversing = pending;
    (hold ?? this.#everybody).waiting.push(pending);
    this.pump();
  }

  /** Calls `act` with the transaction status when everything submitted so far has been answered, unless `signal` is aborted before. */
  inTurn<T>(act: (status: TransactionStatus) => T, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        turn.dropped = true;
        reject(signal?.reason as Error);
        this.pump();
      };
      const turn: Turn = {
        dropped: false,
        reject: (reason) => {
          signal?.removeEventListener('abort', abort);
          reject(reason);
        },
        run: (status) => {
          signal?.removeEventListener('abort', abort);
          try {
            resolve(act(status));
          } catch (error) {
            reject(error);
          }
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#everybody.waiting.push(turn);
      this.pump();
    });
  }

  /**
   * Runs `steps` in its turn; meanwhile only what is submitted with its `hold` is sent. `steps` must not wait for anything that
   * needs the session without it. An abort of `signal` ends the wait for the turn, not the steps.
   */
  async exclusively<T>(
    steps: (hold: Hold, status: TransactionStatus) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { hold, status } = await this.inTurn((current) => {
      this.#hold = new Hold();
      return { hold: this.#hold, status: current };
    }, signal);
    try {
      return await steps(hold, status);
    } finally {
      this.#hold = null;
      this.pump();
    }
  }

  /** Ends what the pipeline has so far, and a failure in it. Resolves when all of it has been answered; it never fails itself. */
  sync(): Promise<void> {
    if (this.#link.phase !== 'open') return Promise.reject(this.#link.unusable(null));
    return new Promise((resolve, reject) => {
      const pending = new PendingStatement(
        SYNC,
        true,
        () => {
          resolve();
        },
        reject,
      );
      pending.pipelined = true;
      pending.syncs = 0;
      this.enqueue(pending, undefined);
    });
  }

  /** Has the server send the answers of the pipeline that it holds back until a `sync()`. */
  flush(): void {
    if (this.#link.phase === 'open' && this.pipeline.needsSync) this.#lane.flushPipeline();
  }

  // --- sending

  /** Sends what may be sent. The only place where statements leave the queue. */
  pump(): void {
    while (this.#link.phase === 'open' && !this.#cancellation.underway) {
      const { queue } = this;
      const next = queue.first;
      if (next === undefined) return;
      if (!(next instanceof PendingStatement)) {
        if (next.dropped) {
          queue.shift();
          continue;
        }
        this.#endWithSync();
        if (this.inFlight.length > 0) return;
        queue.shift();
        next.run(statusFromByte(this.statusByte));
        continue;
      }
      if (next.settled) {
        queue.shift();
        continue;
      }
      if (next.pipelined) {
        if (this.barriers > 0 || !this.#sendInPipeline(next, queue)) return;
        continue;
      }
      this.#endWithSync();
      if (this.inFlight.length > 0 && (this.barriers > 0 || !next.transparent || !shortcuts.taken)) return;
      if (!this.#send(next, queue)) return;
    }
  }

  /** Sends the statement at the head of the queue, unless it has to wait for something. */
  #send(pending: PendingStatement, queue: Fifo<PendingStatement | Turn>): boolean {
    const { request } = pending;
    const idle = statusFromByte(this.statusByte) === TransactionStatus.IDLE;
    if (request.onlyIf !== undefined && idle === (request.onlyIf === 'in transaction')) {
      // Settled in its turn, not before what is still in flight.
      if (this.inFlight.length > 0) return false;
      queue.shift();
      pending.settled = true;
      pending.resolve([]);
      return true;
    }
    const begin = idle ? request.begin : null;
    if (request.conversation !== undefined) {
      if (this.inFlight.length > 0) return false;
      pending.transparent = false;
    }
    if (begin !== null) {
      // Whatever comes with or after a BEGIN has to know that it succeeded.
      if (this.inFlight.length > 0) return false;
      pending.transparent = false;
      if (!shortcuts.taken || (request.executions === null && !canGoExtended(request.text))) {
        // A text of several statements can't stand under one Sync with its BEGIN, so it waits for it.
        pending.begunAhead = true;
        this.#sendThrough('engine', this.#beginFor(pending, begin));
        this.#engine.query(begin);
        return false;
      }
    }
    // What postgres.js was given leaves with its next write; going ahead of it would mix up the answers.
    const laneOpen = this.#engine.allWritten;
    const byLane =
      request.executions === null
        ? begin !== null || (laneOpen && this.#isToBePrepared(request))
        : shortcuts.taken || !isForEngine(request);
    if (byLane) {
      if (!laneOpen || !this.#lane.send(pending, begin)) return false;
      queue.shift();
      this.#sendThrough('lane', pending);
    } else {
      queue.shift();
      this.#lane.flush();
      this.#sendThrough('engine', pending);
      this.#engine.query(request.text);
    }
    return true;
  }

  /** Sends the statement, or the Sync, at the head of the queue without waiting for those before it. */
  #sendInPipeline(pending: PendingStatement, queue: Fifo<PendingStatement | Turn>): boolean {
    if (!this.#engine.allWritten) return false;
    if (pending.syncs !== null) {
      queue.shift();
      this.#sendSync(pending);
      return true;
    }
    if (this.pipeline.aborted) {
      queue.shift();
      this.settle(pending, pipelineAborted(pending));
      return true;
    }
    const idle = statusFromByte(this.statusByte) === TransactionStatus.IDLE && !this.pipeline.hasBegun;
    const begin = idle ? pending.request.begin : null;
    if (!this.#lane.send(pending, begin)) return false;
    queue.shift();
    this.pipeline.sent(begin !== null);
    pending.route = 'lane';
    pending.sent = true;
    this.inFlight.push(pending);
    return true;
  }

  #sendSync(pending: PendingStatement): void {
    pending.syncs = this.pipeline.synced();
    pending.route = 'lane';
    pending.sent = true;
    this.inFlight.push(pending);
    this.#lane.syncPipeline();
  }

  /** What comes now is not part of the pipeline, which has to be ended for it. */
  #endWithSync(): void {
    if (!this.pipeline.needsSync) return;
    const pending = new PendingStatement(
      SYNC,
      true,
      () => undefined,
      () => undefined,
    );
    pending.pipelined = true;
    this.#sendSync(pending);
  }

  #isToBePrepared(request: StatementRequest): boolean {
    return canGoExtended(request.text) && this.#lane.wants(request);
  }

  #sendThrough(route: Route, pending: PendingStatement): void {
    pending.route = route;
    pending.sent = true;
    if (!pending.transparent) this.barriers++;
    this.inFlight.push(pending);
    const { conversation } = pending.request;
    if (conversation === undefined) return;
    const floor = floorFor(pending, {
      lane: this.#lane,
      socket: this.#link.socket,
      cancellation: this.#cancellation,
      cancel: (running) => {
        void this.#cancel(running);
      },
    });
    conversation.onSent(floor);
  }

  /** A BEGIN sent ahead of `pending`, which stays at the head of the queue and is rejected if the BEGIN is. */
  #beginFor(pending: PendingStatement, begin: string): PendingStatement {
    const { policy } = pending.request;
    return new PendingStatement(
      { text: begin, executions: null, begin: null, rows: null, policy },
      false,
      () => undefined,
      (reason) => {
        this.settle(pending, reason);
      },
    );
  }

  // --- the end of a statement

  /** Ends a statement: with its results, with `error`, or with the reason why nobody wants it any more. */
  settle(pending: PendingStatement, error: unknown): void {
    if (pending.settled) return;
    pending.settled = true;
    if (this.conversing === pending) this.conversing = null;
    this.#cancellation.answered(pending);
    this.errorMessage = error instanceof Error ? error.message : '';
    const { results, request } = pending;
    if (error !== null) this.judge?.onStatementError(error, results);
    // The tag of a COPY does not say in which direction it went, which its user knows.
    else if (request.conversation?.kind !== 'copy') this.judge?.onStatementDone(results, request.text);
    pending.onSettled?.();
    if (pending.abandonReason !== null && !this.#decides(pending, error)) {
      pending.reject(pending.abandonReason.reason);
    } else if (error !== null) {
      locate(error, this.#link.location, shownQuery(pending.request));
      pending.reject(error);
    } else {
      pending.resolve(pending.results);
    }
  }

  /** Whether the end of an abandoned statement has to be told: it was done nevertheless, or it isn't known whether it was. */
  #decides({ request, sent }: PendingStatement, error: unknown): boolean {
    return request.decisive === true && sent && (error === null || this.#link.phase !== 'open');
  }

  /** A statement has been answered to its end: the next is sent, or cancelled where that has been asked for. */
  afterAnswer(): void {
    const head = this.inFlight.first;
    if (head?.cancelWhenRunning === true) void this.#cancel(head);
    this.pump();
    this.announceQuiet();
  }

  /** Tells those who wait until nothing runs. */
  announceQuiet(): void {
    if (this.#waitForQuiet.length > 0 && this.inFlight.length === 0 && !this.#cancellation.underway) {
      for (const resolve of this.#waitForQuiet.splice(0)) resolve();
    }
  }

  /** The connection is gone: everything rejects, what was being answered with its own error if it has one. */
  end(): void {
    this.#cancellation.stop();
    for (const pending of this.inFlight.drain()) {
      this.settle(pending, pending.error ?? this.#link.unusable(pending.request.text));
    }
    for (const item of this.#drainWaiting()) {
      if (item instanceof PendingStatement) this.settle(item, this.#link.unusable(item.request.text));
      else item.reject(this.#link.unusable(null));
    }
    for (const resolve of this.#waitForQuiet.splice(0)) resolve();
  }

  #drainWaiting(): (PendingStatement | Turn)[] {
    return [...(this.#hold?.waiting.drain() ?? []), ...this.#everybody.waiting.drain()];
  }

  // --- cancellation

  /**
   * Ends one statement, which rejects with `reason`: it is dropped if it waits, cancelled if it runs alone, and else waited for,
   * since a cancel request could hit a statement sent behind it. Resolves when it has been answered.
   */
  async abandon(request: StatementRequest, reason: Error): Promise<void> {
    for (const item of [...(this.#hold?.waiting ?? []), ...this.#everybody.waiting]) {
      if (item instanceof PendingStatement && item.request === request) this.drop(item, reason);
    }
    for (const pending of this.inFlight) {
      if (pending.request !== request) continue;
      if (this.inFlight.length === 1) this.drop(pending, reason);
      else pending.abandonReason ??= { reason };
      await this.#settled(pending);
    }
  }

  /**
   * Ends everything submitted so far: what waits is never sent, what runs is cancelled. Each rejects with `reason`. Resolves
   * when the server has answered, or the session has been given up.
   */
  async abandonAll(reason: Error): Promise<void> {
    for (const item of this.#drainWaiting()) {
      if (item instanceof PendingStatement) this.settle(item, reason);
      else item.reject(reason);
    }
    this.#endWithSync();
    if (this.inFlight.length === 0) return;
    for (const pending of this.inFlight) {
      pending.abandonReason ??= { reason };
      pending.cancelWhenRunning = true;
    }
    const head = this.inFlight.first;
    if (head !== undefined) this.#interrupt(head);
    await Promise.race([this.#link.closed, new Promise<void>((resolve) => this.#waitForQuiet.push(resolve))]);
  }

  /** Ends the COPY or the stream that has the session to itself, or waits for it; it rejects with `reason`. Resolves as `abandon()` does. */
  async abandonConversation(reason: Error): Promise<void> {
    if (this.conversing !== null) await this.abandon(this.conversing.request, reason);
  }

  /** Resolves when what is in flight has been answered, whoever else waits for that. */
  #settled(pending: PendingStatement): Promise<void> {
    return new Promise((resolve) => {
      const others = pending.onSettled;
      pending.onSettled = () => {
        others?.();
        resolve();
      };
    });
  }

  /**
   * Cancels what is running, if anything is. Resolves when the request has been dealt with; for a COPY or a stream, which a server
   * that waits for its user's next step would not hear of, when that has been ended by its own means.
   */
  async cancelRunning(): Promise<void> {
    const head = this.inFlight.first;
    if (head === undefined) return;
    if (head.request.conversation === undefined) {
      await this.#cancel(head);
      return;
    }
    const reason = canceled(head);
    locate(reason, this.#link.location, shownQuery(head.request));
    this.drop(head, reason);
    await this.#settled(head);
  }

  /** The caller has lost interest: a statement that waits is dropped, one that runs is cancelled. */
  drop(pending: PendingStatement, reason: unknown): void {
    if (pending.settled) return;
    pending.abandonReason ??= { reason };
    if (!pending.sent) {
      this.settle(pending, null);
      this.pump();
    } else if (this.inFlight.first === pending) {
      this.#interrupt(pending);
      const { conversation, decisive } = pending.request;
      if (conversation === undefined && decisive !== true && this.#cancellation.underway) {
        this.#cancellation.whenSilent(() => {
          if (!pending.settled) pending.reject(reason);
        });
      }
    }
  }

  /** Ends what is running: by its own means if it has any. */
  #interrupt(pending: PendingStatement): void {
    const { conversation } = pending.request;
    if (conversation === undefined) void this.#cancel(pending);
    else conversation.leave('it was given up');
  }

  /**
   * Sends a cancel request for the statement that is running now. Nothing else is sent until the server has dealt with it, so
   * that it can't hit another; if the server gives no answer, the session is given up.
   */
  async #cancel(pending: PendingStatement): Promise<void> {
    if (this.#link.phase === 'closed') return;
    await this.#cancellation.request(pending, this.#link.key);
  }

  /** Whether `pending` runs, and what has been sent behind it, if anything, is to be cancelled as well. */
  #isAlone(pending: PendingStatement): boolean {
    if (this.inFlight.first !== pending) return false;
    return [...this.inFlight].every((other) => other === pending || other.cancelWhenRunning);
  }
}
