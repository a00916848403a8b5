import { clearTimeout, setTimeout } from 'node:timers';
import { tracers } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import { onAbort, waitFor } from '../waiting.js';
import { Engine, type Login } from '../wire/engine.js';
import { actualAddress, openSocket, type Receiver, type ServerAddress } from '../wire/socket.js';
import { BackendConnection } from './backend-connection.js';
import type { CopyChannel } from './copy-channel.js';
import { CopyExchange } from './copy-exchange.js';
import { traceQuery } from './query-trace.js';
import { StatementEntry, SyncEntry, type ExclusiveLock, type Turn } from './queue.js';
import type { StatementReply } from './reply.js';
import { RowStream } from './row-stream.js';
import { busyWithExchange, canceled, notInPipeline } from './statement-errors.js';
import {
  canBePipelined,
  ROLLBACK,
  shownText,
  type StatementRequest,
  type StatementResult,
} from './statement.js';
import { PipelineStatus, TransactionStatus } from './status.js';

export type { SessionUser } from './backend-connection.js';

/** A lock whose turn has come, and the transaction status then. */
interface ExclusiveTurn {
  readonly lock: ExclusiveLock;
  readonly status: TransactionStatus;
}

/**
 * A physical connection with its queue. `submit()` queues statements, which are answered in that order. The sender sends them,
 * the dispatcher reads the answers, and the cancellation ends statements that are given up. @internal
 */
export class Session extends BackendConnection {
  /** Whether statements are sent without waiting for those before them. */
  #inPipeline = false;
  /** The statement that has exclusive use of the session, or will have it in its turn. */
  #exchanging: StatementEntry | null = null;
  #closing: Promise<void> | null = null;

  /**
   * Connects and signs in. Rejects with an `OperationalError`, or with the reason of `signal`; nothing is left open then. `pool`
   * is the name of the pool that connects.
   */
  static async open(
    address: ServerAddress,
    login: Login,
    signal: AbortSignal,
    pool: string | null = null,
  ): Promise<Session> {
    await Engine.load();
    let receive: Receiver = () => undefined;
    const socket = await openSocket(address, signal, (bytes) => {
      receive(bytes);
    });
    return new Promise((resolve, reject) => {
      let unlisten = (): void => undefined;
      const session: Session = new Session(socket, actualAddress(address, socket), login, pool, {
        resolve: () => {
          unlisten();
          resolve(session);
        },
        reject: (error) => {
          unlisten();
          reject(error);
        },
      });
      receive = (bytes) => {
        session.receive(bytes);
      };
      unlisten = onAbort(signal, () => {
        session.transport.fail(signal.reason as Error);
      });
    });
  }

  // --- statements

  /**
   * Executes a statement when its turn comes. Resolves with its results, one for each statement in its text. It is queued before
   * this returns. The holder of the exclusive lock passes `lock`.
   */
  submit(request: StatementRequest, lock?: ExclusiveLock): Promise<readonly StatementResult[]> {
    if (!tracers.query.channel.hasSubscribers || this.#isNeedless(request))
      return this.#submit(request, lock);
    return traceQuery(request, this.described, () => this.#submit(request, lock));
  }

  /** Whether the statement certainly has nothing to do, such as a commit without a transaction. */
  #isNeedless({ onlyIf }: StatementRequest): boolean {
    if (onlyIf === undefined || !this.quiet) return false;
    return (this.transactionStatus === TransactionStatus.IDLE) === (onlyIf === 'in transaction');
  }

  #submit(request: StatementRequest, lock: ExclusiveLock | undefined): Promise<readonly StatementResult[]> {
    const { signal } = request;
    const refusal = this.#refusal(request) ?? this.#refusalInPipeline(request);
    if (refusal !== null) {
      locate(refusal, this.transport.location);
      return Promise.reject(refusal);
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as unknown);
    return new Promise((resolve, reject) => {
      const pipelined = this.#inPipeline && lock === undefined && canBePipelined(request);
      const entry = new StatementEntry(request, pipelined, resolve, reject);
      if (signal !== undefined) {
        const unlisten = onAbort(signal, () => {
          this.#giveUp(entry, signal.reason);
        });
        entry.onSettled(unlisten);
      }
      if (request.exchange !== undefined) {
        this.#exchanging = entry;
        entry.onSettled(() => {
          if (this.#exchanging === entry) this.#exchanging = null;
        });
      }
      this.queue.push(entry, lock);
      this.sender.pump();
    });
  }

  /**
   * Null if more statements may be submitted. If a limit of waiting or sent statements has been reached, a promise that resolves when
   * half of them are done.
   */
  room(): Promise<void> | null {
    return this.sender.room();
  }

  /**
   * Rolls back the open transaction, if any, once everything before it has been answered. The session is given up if the server does
   * not answer.
   */
  async rollback(lock?: ExclusiveLock): Promise<void> {
    await this.submit(ROLLBACK, lock);
  }

  /**
   * Executes a COPY in its turn. Resolves when the server is ready for data, or has data. Other statements are refused until it
   * has ended: a statement in the loop that feeds the COPY, for example, would wait for ever.
   */
  copy(request: StatementRequest, lock?: ExclusiveLock): Promise<CopyChannel> {
    return new Promise((resolve, reject) => {
      const copy = new CopyExchange(
        shownText(request),
        async (exchange) => {
          const results = await this.submit({ ...request, rows: null, exchange }, lock);
          return results.map(({ tag }) => tag);
        },
        resolve,
        (error) => {
          locate(error, this.transport.location);
          return error;
        },
      );
      copy.end.catch(reject);
    });
  }

  /**
   * Executes a statement in its turn and fetches its rows on demand, `size` at a time. Other statements are refused until it has
   * ended, as during a COPY.
   */
  stream(request: StatementRequest, size: number | null): RowStream {
    return new RowStream(size, { ...request, executions: request.executions ?? [[]] }, (sent) =>
      this.submit(sent),
    );
  }

  /** The error for a statement that cannot be executed now; null if it can. */
  #refusal(request: StatementRequest | null): Error | null {
    const isOpen = this.transport.phase === 'open';
    if (isOpen && this.#exchanging === null) return null;
    const query = request === null ? null : shownText(request);
    return isOpen ? this.#refusalInExchange(query) : this.unusable(query);
  }

  /** Raises `ProgrammingError` during a COPY or a stream, since a call that waited for its end could wait for ever. */
  checkNoExchange(): void {
    const refusal = this.#refusalInExchange(null);
    if (refusal !== null) throw refusal;
  }

  #refusalInExchange(query: string | null): Error | null {
    const request = this.#exchanging?.request;
    // Waiting for an exchange that is ending is safe.
    if (request?.exchange?.left !== false) return null;
    return busyWithExchange(request, query);
  }

  #refusalInPipeline(request: StatementRequest): Error | null {
    const { exchange } = request;
    return this.#inPipeline && exchange !== undefined
      ? notInPipeline(exchange.kind, shownText(request))
      : null;
  }

  // --- pipelines

  get pipelineStatus(): PipelineStatus {
    if (!this.#inPipeline) return PipelineStatus.OFF;
    return this.sender.isSkipping ? PipelineStatus.ABORTED : PipelineStatus.ON;
  }

  /**
   * Starts a pipeline: until `endPipeline()`, statements are sent without waiting for earlier answers. Statements up to the next
   * `sync()` succeed or fail together, unless transactions divide them.
   */
  beginPipeline(): void {
    this.#inPipeline = true;
  }

  /** Ends the pipeline: statements wait for their turn again. `sync()` must have been called before. */
  endPipeline(): void {
    this.#inPipeline = false;
  }

  /**
   * Ends the current segment of the pipeline, and a failure in it. Resolves when all of it has been answered. Rejects with an
   * error that the server finds only then, such as the violation of a deferred constraint.
   */
  sync(): Promise<void> {
    if (this.transport.phase !== 'open') return Promise.reject(this.unusable(null));
    return new Promise((resolve, reject) => {
      this.queue.push(new SyncEntry(resolve, reject));
      this.sender.pump();
    });
  }

  /** Makes the server send the answers of the pipeline that it keeps until a `sync()`. */
  flush(): void {
    this.sender.flush();
  }

  // --- turns

  /**
   * Calls `act` with the transaction status once everything submitted so far has been answered, unless `signal` is aborted
   * before.
   */
  inTurn<T>(act: (status: TransactionStatus) => T, signal?: AbortSignal): Promise<T> {
    const refusal = this.#refusal(null);
    if (refusal !== null) return Promise.reject(refusal);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const turn: Turn = {
        kind: 'turn',
        dropped: false,
        reject: (reason) => {
          unlisten?.();
          reject(reason);
        },
        run: (status) => {
          unlisten?.();
          try {
            resolve(act(status));
          } catch (error) {
            reject(error);
          }
        },
      };
      const unlisten =
        signal &&
        onAbort(signal, () => {
          turn.dropped = true;
          reject(signal.reason as Error);
          this.sender.pump();
        });
      this.queue.push(turn);
      this.sender.pump();
    });
  }

  /**
   * Runs `steps` in its turn. Meanwhile only entries submitted with its `lock` are sent, so `steps` must not wait for anything
   * that uses the session without the lock. An abort of `signal` ends the wait for the turn, but not the steps. With `left`, the
   * turn comes within limits, as in `hasten()`.
   */
  async exclusively<T>(
    steps: (lock: ExclusiveLock, status: TransactionStatus) => Promise<T>,
    signal?: AbortSignal,
    left?: () => Error,
  ): Promise<T> {
    // In most cases the session is idle, so that the turn has come.
    const isTurn = this.quiet && this.transport.isOpen && signal?.aborted !== true;
    const { lock, status } = isTurn
      ? { lock: this.queue.lock(), status: this.inFlight.status }
      : await this.#turn(signal, left);
    try {
      return await steps(lock, status);
    } finally {
      this.queue.unlock();
      this.sender.pump();
    }
  }

  #turn(signal: AbortSignal | undefined, left: (() => Error) | undefined): Promise<ExclusiveTurn> {
    const turn = this.inTurn((status) => ({ lock: this.queue.lock(), status }), signal);
    return left === undefined ? turn : this.hasten(turn, left);
  }

  // --- cancellation

  /**
   * Waits for something that follows what is in flight, on behalf of code that was left and must not wait without limit. What is in
   * flight has the time of a ROLLBACK to end by itself; then it is cancelled, and rejects with `left()`.
   */
  async hasten<T>(wait: Promise<T>, left: () => Error): Promise<T> {
    let timer: NodeJS.Timeout | null = null;
    const wakeUp = (): void => {
      timer = setTimeout(() => {
        this.#cancelInFlight(left);
        wakeUp();
      }, this.transport.limits.ending * 1000);
    };
    wakeUp();
    try {
      return await wait;
    } finally {
      clearTimeout(timer!);
    }
  }

  /** Cancels all that was sent. Each statement rejects with a result of `reason` of its own, whose stack leads to its caller. */
  #cancelInFlight(reason: () => unknown): void {
    for (const reply of this.inFlight) {
      reply.cancelWanted = true;
      if (reply.kind === 'statement') reply.entry.abandoned ??= { reason: reason() };
    }
    const { head } = this.inFlight;
    if (head?.kind === 'statement') this.#interrupt(head);
    else this.cancellation.advance();
  }

  /**
   * Ends one statement, which rejects with `reason`. A waiting statement is dropped; a running one is cancelled if the request
   * cannot hit another. Resolves when it has been answered, or the limit for a cancel request has passed.
   */
  async abandon(request: StatementRequest, reason: Error): Promise<void> {
    const entry = this.#find(request);
    if (entry === undefined) return;
    this.#giveUp(entry, reason, false);
    if (entry.settled) return;
    await waitFor<undefined>(
      (wait) => {
        entry.onSettled(() => {
          wait.resolve(undefined);
        });
      },
      { seconds: this.transport.limits.ending, late: () => undefined },
    );
  }

  #find(request: StatementRequest): StatementEntry | undefined {
    for (const reply of this.inFlight) {
      if (reply.kind === 'statement' && reply.entry.request === request) return reply.entry;
    }
    for (const entry of this.queue) {
      if (entry.kind === 'statement' && entry.request === request) return entry;
    }
    return undefined;
  }

  /** Ends the current COPY or stream, if any, which rejects with `reason`. Resolves as `abandon()` does. */
  async abandonExchange(reason: Error): Promise<void> {
    if (this.#exchanging !== null) await this.abandon(this.#exchanging.request, reason);
  }

  /**
   * Ends everything submitted so far: waiting statements are never sent, running ones are cancelled. Each rejects with a result of
   * `reason` of its own, whose stack leads to its caller. Resolves when the server has answered, or the session has been
   * discarded.
   */
  async abandonAll(reason: () => unknown): Promise<void> {
    for (const entry of this.queue.drain()) {
      if (entry.kind === 'statement') this.outcomes.settle(entry, reason());
      else entry.reject(reason());
    }
    this.sender.endSegment();
    // Releases callers that wait for room.
    this.sender.pump();
    if (this.inFlight.length === 0) return;
    this.#cancelInFlight(reason);
    await this.untilQuiet();
  }

  /**
   * Asks the server to cancel the running statement, if any. Resolves when the request is finished; rejects if it could not be
   * delivered. A COPY or a stream is ended by its own messages instead, since a server that waits for its user's next step ignores a
   * cancel request.
   */
  async cancelRunning(): Promise<void> {
    const { head } = this.inFlight;
    if (head === undefined) return;
    if (head.kind === 'sync' || head.entry.request.exchange === undefined) {
      await this.cancellation.wantNow(head);
      return;
    }
    const reason = canceled(head.entry);
    locate(reason, this.transport.location);
    this.#giveUp(head.entry, reason);
    await new Promise<void>((resolve) => {
      head.entry.onSettled(resolve);
    });
  }

  /**
   * Cancels the running statement, and tells whether the server is silent: whether the request has met no sign of life. False if no
   * statement is running, since then the server owes nothing.
   */
  async isSilentToCancel(): Promise<boolean> {
    const { head } = this.inFlight;
    if (head === undefined) return false;
    return waitFor<boolean>(
      (wait) => {
        if (head.kind === 'statement') {
          const told = head.onSilence;
          head.onSilence = () => {
            told?.();
            wait.resolve(true);
          };
        }
        const end = (): void => {
          wait.resolve(this.isUnanswered);
        };
        this.cancellation.wantNow(head).then(end, end);
      },
      { seconds: this.limits.ending, late: () => true },
    );
  }

  /**
   * Handles a caller that gave up: drops a waiting statement, cancels a sent one as soon as it runs. On a silent network the
   * caller does not wait for the end of the session, unless `mayBeTold` is false.
   */
  #giveUp(entry: StatementEntry, reason: unknown, mayBeTold = true): void {
    if (entry.settled) return;
    entry.abandoned ??= { reason };
    const { request } = entry;
    const reply = this.inFlight.replyTo(entry);
    if (reply === undefined) {
      this.outcomes.settle(entry, null);
      this.sender.pump();
      return;
    }
    if (mayBeTold && request.exchange === undefined && request.outcomeMatters !== true) {
      reply.onSilence = () => {
        if (!entry.settled) entry.reject(reason);
      };
    }
    this.#interrupt(reply);
  }

  /** Ends a sent statement, by the messages of its exchange if it has one. */
  #interrupt(reply: StatementReply): void {
    const { exchange } = reply.entry.request;
    if (exchange === undefined) this.cancellation.want(reply);
    else exchange.leave('it was given up');
  }

  // --- ending

  /**
   * Sends Terminate and closes the socket. A running statement is cancelled, so that the server does not continue it. Running and
   * waiting statements reject. Resolves when the socket is closed, after a few seconds at most.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { socket } = this.transport;
    if (this.transport.phase === 'closed') {
      await this.transport.closed;
      return;
    }
    this.transport.phase = 'closing';
    this.ending.tell();
    if (this.isBusy) {
      await this.abandonAll(
        () =>
          new errors.OperationalError('the connection was closed while the statement was waiting or running'),
      );
    }
    this.extended.terminate();
    socket.end();
    const timer = setTimeout(() => socket.destroy(), this.transport.limits.goodbye * 1000);
    await this.transport.closed;
    clearTimeout(timer);
  }
}
