import type { CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';
import { controlsTransaction } from '../session/statement-text.js';
import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { onAbort } from '../waiting.js';
import { nothingCommitted, wroteData } from './unit-of-work.js';

/** The connection whose pipeline it is. */
interface PipelineOwner {
  readonly session: Session;
  readonly settings: { readonly autocommit: boolean };
  readonly returned: boolean;
  check(): void;
}

/** The statements between two `sync()`: in autocommit they are a transaction, which the Sync commits. */
class Segment {
  /** Whether one that succeeded has changed data. */
  wrote = false;
  failure: errors.Error | null = null;
  /** The calls that its statements come from, by their text. */
  readonly #calls = new Map<string, CallSite | null>();
  #exactCalls = 0;

  /**
   * The call that a statement comes from, for its error: when that comes to light, the call has ended. To take the stack of each would make
   * a pipeline half as fast: beyond the first statements, that of the first call with the same text is taken.
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

const MOST_EXACT_CALLS = 16;
const MOST_TEXTS = 1000;

/** What the statements of a connection in pipeline mode have in common; blocks may be nested. @internal */
export class PipelineState {
  readonly #owner: PipelineOwner;
  #depth = 0;
  #segment = new Segment();
  /** Statements that have been sent and whose outcome no caller awaits. */
  #sent: Set<Promise<unknown>> | null = null;
  /** The first failure that has not been reported to a caller. */
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
    // A connection that has been returned has left its pipelines.
    if (this.#owner.returned) return;
    try {
      await this.sync(signal);
    } finally {
      if (--this.#depth === 0 && !this.#owner.returned) this.#owner.session.endPipeline();
    }
  }

  /** The call that takes its stack by `take`, for the errors of the statement that it sends next. */
  callOf(text: string, take: () => CallSite | null): CallSite | null {
    return this.#segment.callOf(text, take);
  }

  /** Watches a statement that has been sent: `sync()` reports its failure if no other call does. */
  watch(statement: Promise<readonly StatementResult[]>, text: string): void {
    // The session ends the segment before it.
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

  /** Notes a failure that belongs to no statement of the pipeline: `sync()` reports it. */
  failed(error: unknown): void {
    // The cause of a skip is worth more than the skip itself.
    if (this.#untold === null || this.#untold.error instanceof errors.PipelineAborted)
      this.#untold = { error };
  }

  /** Notes that the failure has been reported. */
  told(error: unknown): void {
    if (this.#untold?.error === error || error instanceof errors.PipelineAborted) this.#untold = null;
  }

  /**
   * Ends what has been sent so far, and waits for it. Rejects with the first failure that nobody has been told of. An abort of
   * `signal` ends all of it, and rejects with its reason when the server has answered.
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
        // Whatever has failed has failed for the abort, of which its caller knows.
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
    // What comes behind this Sync is answered only when it has a Sync of its own.
    const sent = [...(this.#sent ?? [])];
    if (!session.closed) await session.sync();
    await Promise.all(sent);
    const untold = this.#untold;
    this.#untold = null;
    if (untold !== null) throw untold.error as Error;
    if (session.closed) throw session.unusable();
    // A caller that knows of the failure does not know that it has undone statements that were reported as done.
    const { failure, wrote } = segment;
    const isOver = this.#owner.settings.autocommit && session.transactionStatus === TransactionStatus.IDLE;
    if (failure !== null && wrote && isOver) throw nothingCommitted(session, failure);
  }
}
