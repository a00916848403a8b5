import * as errors from '../errors/index.js';
import type { Session } from '../session/session.js';

/** The handle whose pipeline it is. */
interface PipelineOwner {
  readonly session: Session;
  readonly returned: boolean;
  check(): void;
}

/** What the statements of a connection in pipeline mode have in common; blocks may be nested. @internal */
export class PipelineState {
  readonly #handle: PipelineOwner;
  #depth = 0;
  /** Statements that have been sent, and whose outcome nobody has waited for. */
  #sent: Set<Promise<unknown>> | null = null;
  /** The first failure that nobody has been told of. */
  #untold: { readonly error: unknown } | null = null;

  constructor(handle: PipelineOwner) {
    this.#handle = handle;
  }

  get active(): boolean {
    return this.#depth > 0;
  }

  enter(): void {
    this.#handle.check();
    this.#handle.session.checkNoExchange();
    if (this.#depth++ === 0) this.#handle.session.beginPipeline();
  }

  async leave(signal?: AbortSignal): Promise<void> {
    // A connection that has been returned has left its pipelines.
    if (this.#handle.returned) return;
    try {
      await this.sync(signal);
    } finally {
      if (--this.#depth === 0 && !this.#handle.returned) this.#handle.session.endPipeline();
    }
  }

  /** Looks after a statement that has been sent: should it fail and nobody be told, `sync()` tells. */
  watch(statement: Promise<unknown>): void {
    const sent = (this.#sent ??= new Set());
    const watched: Promise<void> = statement.then(
      () => {
        sent.delete(watched);
      },
      (error: unknown) => {
        sent.delete(watched);
        this.failed(error);
      },
    );
    sent.add(watched);
  }

  /** Something has failed that no statement of the pipeline stands for: `sync()` tells. */
  failed(error: unknown): void {
    // What has been skipped is not worth more words than what it was skipped for.
    if (this.#untold === null || this.#untold.error instanceof errors.PipelineAborted)
      this.#untold = { error };
  }

  /** Somebody has been told of the failure. */
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
    const abort = (): void => {
      abandoned.push(this.#handle.session.abandonAll(signal.reason as Error));
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      await this.#sync();
    } finally {
      signal.removeEventListener('abort', abort);
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
    const { session } = this.#handle;
    if (!session.closed) await session.sync();
    await this.#settled();
    const untold = this.#untold;
    this.#untold = null;
    if (untold !== null) throw untold.error as Error;
    if (session.closed) throw session.unusable();
  }
}
