import type { CallSite } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';
import { controlsTransaction } from '../sql-statement.js';
import type { StatementResult } from '../session/statement.js';
import { onAbort } from '../waiting.js';
import { Outstanding } from './outstanding.js';
import { nothingCommitted } from './unit-of-work.js';

/** The connection of a pipeline. */
interface PipelineOwner {
  readonly session: Session;
  readonly returned: boolean;
  check(): void;
}

/** The statements between two calls of `sync()`. In autocommit they form a transaction, which the Sync commits. */
class Segment {
  /** The calls that sent its statements, by the statements' texts. */
  readonly #calls = new Map<string, CallSite | null>();
  #exactCalls = 0;
  /** Its statements that were sent and not answered. */
  readonly sent = new Outstanding();

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
  /** The segments with statements that were not answered. */
  readonly #unanswered = new Set<Segment>();
  /** The first failure that was not reported to a caller. */
  #untold: { readonly error: unknown } | null = null;
  /** The failure that undid statements reported as successful. */
  #undoneBy: errors.Error | null = null;

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

  /**
   * Calls `answered` or `failed` with the outcome of a sent statement; neither may throw. `sync()` reports its failure if no other
   * call does.
   */
  watch(
    statement: Promise<readonly StatementResult[]>,
    text: string,
    answered: (results: readonly StatementResult[]) => void,
    failed: (error: unknown) => void,
  ): void {
    // The session ends the segment before this statement.
    if (controlsTransaction(text)) this.#segment = new Segment();
    const segment = this.#segment;
    if (segment.sent.isEmpty) this.#unanswered.add(segment);
    segment.sent.begin();
    statement.then(
      (results) => {
        answered(results);
        this.#end(segment);
      },
      (error: unknown) => {
        this.failed(error);
        failed(error);
        this.#end(segment);
      },
    );
  }

  #end(segment: Segment): void {
    segment.sent.end();
    if (segment.sent.isEmpty) this.#unanswered.delete(segment);
  }

  /** Records a failure that concerns no single statement; `sync()` reports it. */
  failed(error: unknown): void {
    // The cause of a skipped statement is more useful than the skip itself.
    if (this.#untold === null || this.#untold.error instanceof errors.PipelineAborted)
      this.#untold = { error };
  }

  /**
   * Records that a failure undid statements reported as successful, of which a caller that received the failure does not know; `sync()`
   * reports it.
   */
  undone(failure: errors.Error): void {
    this.#undoneBy ??= failure;
  }

  /** Records that a failure was reported to a caller. */
  told(error: unknown): void {
    if (this.#untold?.error === error) this.#untold = null;
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
        while (this.#unanswered.size > 0) await this.#answered();
        // All failures result from the abort, which its caller knows of.
        this.#untold = null;
        this.#undoneBy = null;
      }
    }
  }

  /** Resolves when the statements that have been sent up to now are answered. */
  async #answered(): Promise<void> {
    await Promise.all(Array.from(this.#unanswered, ({ sent }) => sent.ended()));
  }

  async #sync(): Promise<void> {
    const { session } = this.#owner;
    this.#segment = new Segment();
    // Statements sent after this Sync are answered only after a Sync of their own.
    const answered = this.#answered();
    if (!session.closed) await session.sync();
    await answered;
    const untold = this.#untold;
    const undoneBy = this.#undoneBy;
    this.#untold = null;
    this.#undoneBy = null;
    if (untold !== null) throw untold.error as Error;
    if (session.closed) throw session.unusable();
    if (undoneBy !== null) throw nothingCommitted(session, undoneBy);
  }
}
