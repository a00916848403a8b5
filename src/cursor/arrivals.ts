import type { ConnectionCore } from '../connection/connection-core.js';
import { Outstanding } from '../connection/outstanding.js';
import { begunBy, type CallSite } from '../errors/callers-stack.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';

/** The pending statements of a cursor's operation in a pipeline. */
export class Arrivals {
  readonly #core: ConnectionCore;
  readonly #sent = new Outstanding();
  /** The first failure that was not reported to the cursor's user. */
  #failure: { readonly error: unknown } | null = null;

  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /** Whether there is an answer to wait for, or a failure to report. */
  get pending(): boolean {
    return !this.#sent.isEmpty || this.#failure !== null;
  }

  /** Sends a request without waiting for its answer. `call` is the stack of the caller, for the request's error. */
  send(
    request: StatementRequest,
    call: CallSite | null,
    arrived: (results: readonly StatementResult[]) => void,
  ): void {
    this.#sent.begin();
    this.#core.pipeline.watch(
      this.#core.run(request),
      request.text,
      (results) => {
        try {
          arrived(results);
        } catch (error) {
          // The user's row factory has thrown.
          this.#failure ??= { error };
          this.#core.pipeline.failed(error);
        }
        this.#sent.end();
      },
      (error) => {
        begunBy(error, call);
        this.#failure ??= { error };
        this.#sent.end();
      },
    );
  }

  /** Waits for all answers. Rejects with the first failure that was not reported. */
  async all(): Promise<void> {
    this.#core.session.flush();
    await this.#sent.ended();
    const failure = this.#failure;
    this.#failure = null;
    if (failure === null) return;
    this.#core.pipeline.told(failure.error);
    throw failure.error as Error;
  }
}
