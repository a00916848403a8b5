import type { ConnectionCore } from '../connection/connection-core.js';
import { begunBy, type CallSite } from '../errors/callers-stack.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';

/** The pending statements of a cursor in a pipeline. */
export class Arrivals {
  readonly #core: ConnectionCore;
  readonly #answers = new Set<Promise<void>>();
  /** The first failure that was not reported to the cursor's user. */
  #failure: { readonly error: unknown } | null = null;

  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /** Whether there is an answer to wait for, or a failure to report. */
  get pending(): boolean {
    return this.#answers.size > 0 || this.#failure !== null;
  }

  /** Sends a request without waiting for its answer. `call` is the stack of the caller, for the request's error. */
  send(
    request: StatementRequest,
    call: CallSite | null,
    arrived: (results: readonly StatementResult[]) => void,
  ): void {
    const answer = this.#core.run(request);
    this.#core.pipeline.watch(answer, request.text);
    const arrival = answer.then(
      (results) => {
        this.#answers.delete(arrival);
        arrived(results);
      },
      (error: unknown) => {
        this.#answers.delete(arrival);
        begunBy(error, call);
        this.#failure ??= { error };
      },
    );
    this.#answers.add(arrival);
  }

  /** Waits for all answers. Rejects with the first failure that was not reported. */
  async all(): Promise<void> {
    this.#core.session.flush();
    await Promise.all(this.#answers);
    const failure = this.#failure;
    this.#failure = null;
    if (failure === null) return;
    this.#core.pipeline.told(failure.error);
    throw failure.error as Error;
  }
}
