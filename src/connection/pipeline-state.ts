import type { CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';
import { controlsTransaction } from '../sql-statement.js';
import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { onAbort } from '../waiting.js';
import { nothingCommitted, wroteData } from './unit-of-work.js';

/** The connection of a pipeline. */
interface PipelineOwner {
  readonly session: Session;
  readonly settings: { readonly autocommit: boolean };
  readonly returned: boolean;
  check(): void;
}

/** The statements between two calls of `sync()`. In autocommit they form a transaction, which the Sync commits. */
class Segment {
  /** Whether a successful statement has changed data. */
  wrote = false;
  failure: errors.Error | null = null;
  /** The calls that sent its statements, by the statements' texts. */
  readonly #calls = new Map<string, CallSite | null>();
  #exactCalls = 0;

  /**
   * The call that sent a statement, for the statement's error, which is reported after the call has ended. Capturing the stack of each
   * call would halve the speed of a pipeline, so later statements share the stack of the first call with the same text.
   */
  callOf(text: string, take: () => CallSite | null): CallSite | null {
    const isExact = this.#exactCalls < MOST_EXACT_CALLS;
    let call = isExact ? undefined : this.#calls.get(text);
    if (call !== undefined || (!isExact && this.#calls.size >= MOST_TEXTS)) return call ?? null;
    this.#exactCalls++;
    call = take();
    this.#calls.set(text, call);
    return call;
  }
}

const MOST_EXACT_CALLS = 4;
const MOST_TEXTS = 1000;

/** The state of a connection's pipeline mode; pipeline blocks may be nested. @internal */
export class PipelineState {
  readonly #owner: PipelineOwner;
  #depth = 0;
  #segment = new Segment();
  /** Sent statements whose outcome no caller awaits. */
  #sent: Set<Promise<unknown>> | null = null;
  /** The first failure that was not reported to a caller. */
  #untold: { readonly error: unknown } | null = null;

  constructor(owner: PipelineOwner) {
    this.#owner = owner;
  }

  get active(): boolean {
    return this.#depth > 0;
  }

  enter(): void {
    this.#owner.check();
    this.#owner.session.checkNoExchange();
    if (this.#depth++ === 0) this.#owner.session.beginPipeline();
  }

  async leave(signal?: AbortSignal): Promise<void> {
    // The return of the connection has ended its pipelines.
    if (this.#owner.returned) return;
    try {
      await this.sync(signal);
    } finally {
      if (--this.#depth === 0 && !this.#owner.returned) this.#owner.session.endPipeline();
    }
  }

  /** The call that sends the next statement, for that statement's error; `take` captures its stack. */
  callOf(text: string, take: () => CallSite | null): CallSite | null {
    return this.#segment.callOf(text, take);
  }

  /** Watches a sent statement: `sync()` reports its failure if no other call does. */
  watch(statement: Promise<readonly StatementResult[]>, text: string): void {
    // The session ends the segment before this statement.
    if (controlsTransaction(text)) this.#segment = new Segment();
    const segment = this.#segment;
    const sent = (this.#sent ??= new Set());
    const watched: Promise<void> = statement.then(
      (results) => {
        sent.delete(watched);
        if (!segment.wrote) segment.wrote = this.#owner.settings.autocommit && results.some(wroteData);
      },
      (error: unknown) => {
        sent.delete(watched);
        if (error instanceof errors.Error && error.sqlstate !== null) segment.failure ??= error;
        this.failed(error);
      },
    );
    sent.add(watched);
  }

  /** Records a failure that concerns no single statement; `sync()` reports it. */
  failed(error: unknown): void {
    // The cause of a skipped statement is more useful than the skip itself.
    if (this.#untold === null || this.#untold.error instanceof errors.PipelineAborted)
      this.#untold = { error };
  }

  /** Records that a failure was reported to a caller. */
  told(error: unknown): void {
    if (this.#untold?.error === error || error instanceof errors.PipelineAborted) this.#untold = null;
  }

  /**
   * Ends the current segment and waits for its answers. Rejects with the first failure that was not reported to a caller. An
   * abort of `signal` ends all its statements, and rejects with the reason once the server has answered.
   */
  async sync(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (signal === undefined) return this.#sync();
    const abandoned: Promise<void>[] = [];
    const unlisten = onAbort(signal, () => {
      abandoned.push(this.#owner.session.abandonAll(() => signal.reason));
    });
    try {
      await this.#sync();
    } finally {
      unlisten();
      if (abandoned.length > 0) {
        await Promise.all(abandoned);
        await this.#settled();
        // All failures result from the abort, which its caller knows of.
        this.#untold = null;
      }
    }
  }

  async #settled(): Promise<void> {
    while (this.#sent !== null && this.#sent.size > 0) await Promise.all(this.#sent);
  }

  async #sync(): Promise<void> {
    const { session } = this.#owner;
    const segment = this.#segment;
    this.#segment = new Segment();
    // Statements sent after this Sync are answered only after a Sync of their own.
    const sent = [...(this.#sent ?? [])];
    if (!session.closed) await session.sync();
    await Promise.all(sent);
    const untold = this.#untold;
    this.#untold = null;
    if (untold !== null) throw untold.error as Error;
    if (session.closed) throw session.unusable();
    // A caller that received the failure does not know that it undid statements reported as successful.
    const { failure, wrote } = segment;
    const isOver = this.#owner.settings.autocommit && session.transactionStatus === TransactionStatus.IDLE;
    if (failure !== null && wrote && isOver) throw nothingCommitted(session, failure);
  }
}
