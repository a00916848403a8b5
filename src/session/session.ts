import { tracers } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import { onAbort, waitFor } from '../waiting.js';
import type { Login } from '../wire/engine.js';
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

/**
 * A physical connection as it is used. What is submitted is queued here and answered in the order of `submit()`; the sender sends it,
 * the dispatcher reads the answers, and the cancellation ends what is not wanted any more. @internal
 */
export class Session extends BackendConnection {
  /** Whether statements are sent without waiting for those before them. */
  #inPipeline = false;
  /** The statement that has the session to itself, or will have it when its turn comes. */
  #exchanging: StatementEntry | null = null;
  #closing: Promise<void> | null = null;

  /**
   * Connects and signs in. Rejects with an `OperationalError`, or with what `signal` was aborted with; then nothing of the
   * attempt is left behind. `pool` is the name of the pool that it is made for.
   */
  static async open(
    address: ServerAddress,
    login: Login,
    signal: AbortSignal,
    pool: string | null = null,
  ): Promise<Session> {
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
    if (!tracers.query.watched || this.#isNeedless(request)) return this.#submit(request, lock);
    return traceQuery(request, this.described, () => this.#submit(request, lock));
  }

  /** Whether there is certainly nothing to do, such as a commit without a transaction. */
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

  /** Rolls back the open transaction, if there is one, when all before it has been answered. */
  async rollback(lock?: ExclusiveLock): Promise<void> {
    await this.submit(ROLLBACK, lock);
  }

  /**
   * Executes a COPY when its turn comes. Resolves when the server is ready for the data, or has some. Until it has ended, other
   * statements are refused: a statement in the loop that feeds the COPY, for example, would wait for ever.
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
   * Executes a statement when its turn comes, and fetches its rows on demand, `size` at a time. Until it has ended, other
   * statements are refused, as during a COPY.
   */
  stream(request: StatementRequest, size: number | null): RowStream {
    return new RowStream(size, { ...request, executions: request.executions ?? [[]] }, (sent) =>
      this.submit(sent),
    );
  }

  /** The error for a statement that can't be executed now; null if it can. */
  #refusal(request: StatementRequest | null): Error | null {
    const isOpen = this.transport.phase === 'open';
    if (isOpen && this.#exchanging === null) return null;
    const query = request === null ? null : shownText(request);
    return isOpen ? this.#refusalInExchange(query) : this.unusable(query);
  }

  /** Raises `ProgrammingError` if a COPY or a stream has the session to itself: a call that waited for its end could wait for ever. */
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
   * From here on statements are sent without waiting for the answers of those before, until `endPipeline()`. They stand or fall
   * together up to the next `sync()`, as far as no transaction makes a difference.
   */
  beginPipeline(): void {
    this.#inPipeline = true;
  }

  /** Statements wait for their turn again. Those of the pipeline have to have been ended by `sync()`. */
  endPipeline(): void {
    this.#inPipeline = false;
  }

  /**
   * Ends what the pipeline has so far, and a failure in it. Resolves when all of it has been answered. Rejects with what the server
   * finds wrong only then, such as the violation of a deferred constraint.
   */
  sync(): Promise<void> {
    if (this.transport.phase !== 'open') return Promise.reject(this.unusable(null));
    return new Promise((resolve, reject) => {
      this.queue.push(new SyncEntry(resolve, reject));
      this.sender.pump();
    });
  }

  /** Has the server send the answers of the pipeline that it holds back until a `sync()`. */
  flush(): void {
    this.sender.flush();
  }

  // --- turns

  /** Calls `act` with the transaction status when everything submitted so far has been answered, unless `signal` is aborted before. */
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
   * Runs `steps` in its turn; meanwhile only what is submitted with its `lock` is sent. `steps` must not wait for anything that
   * needs the session without it. An abort of `signal` ends the wait for the turn, not the steps.
   */
  async exclusively<T>(
    steps: (lock: ExclusiveLock, status: TransactionStatus) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    // Mostly nothing is before it: then its turn has come.
    const isTurn = this.quiet && this.transport.isOpen && signal?.aborted !== true;
    const { lock, status } = isTurn
      ? { lock: this.queue.lock(), status: this.inFlight.status }
      : await this.inTurn((current) => ({ lock: this.queue.lock(), status: current }), signal);
    try {
      return await steps(lock, status);
    } finally {
      this.queue.unlock();
      this.sender.pump();
    }
  }

  // --- giving up

  /**
   * Ends one statement, which rejects with `reason`: a waiting one is dropped, a running one is cancelled if the request can hit nothing
   * else. Resolves when it has been answered, or the limit for a cancel request has passed.
   */
  async abandon(request: StatementRequest, reason: Error): Promise<void> {
    const entry = this.#find(request);
    if (entry === undefined) return;
    this.#giveUp(entry, reason, false);
    if (entry.settled) return;
    await waitFor<undefined>(
      (resolve) => {
        entry.onSettled(() => {
          resolve(undefined);
        });
      },
      { seconds: this.transport.limits.cancel, late: () => undefined },
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

  /** Ends the COPY or the stream that has the session to itself, if there is one; it rejects with `reason`. Resolves as `abandon()` does. */
  async abandonExchange(reason: Error): Promise<void> {
    if (this.#exchanging !== null) await this.abandon(this.#exchanging.request, reason);
  }

  /**
   * Ends everything submitted so far: waiting statements are never sent, running ones are cancelled. Each rejects with a `reason` of its own,
   * whose stack leads to its caller. Resolves when the server has answered, or the session has been given up.
   */
  async abandonAll(reason: () => unknown): Promise<void> {
    for (const entry of this.queue.drain()) {
      if (entry.kind === 'statement') this.outcomes.settle(entry, reason());
      else entry.reject(reason());
    }
    this.sender.endSegment();
    // Callers that wait for room are released.
    this.sender.pump();
    if (this.inFlight.length === 0) return;
    for (const reply of this.inFlight) {
      reply.cancelWanted = true;
      if (reply.kind === 'statement') reply.entry.abandoned ??= { reason: reason() };
    }
    const { head } = this.inFlight;
    if (head?.kind === 'statement') this.#interrupt(head);
    else this.cancellation.advance();
    await this.untilQuiet();
  }

  /**
   * Asks the server to cancel the running statement, if there is one. Resolves when the request has been dealt with. A COPY or a
   * stream is ended by its own messages instead, since a server that waits for its user's next step does not notice a cancel request.
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
   * A caller has given up: a statement that waits is dropped, one that has been sent is cancelled as soon as it runs. On a network that
   * is silent its caller does not wait for the end of the session, unless `mayBeTold` is false.
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

  /** Ends what has been sent: by its own means if it has any. */
  #interrupt(reply: StatementReply): void {
    const { exchange } = reply.entry.request;
    if (exchange === undefined) this.cancellation.want(reply);
    else exchange.leave('it was given up');
  }

  // --- the end

  /**
   * Sends Terminate and closes the socket. A running statement is cancelled, so that the server does not go on with it, and rejects,
   * as waiting ones do. Resolves when the socket is closed, a few seconds later at most.
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
