import { callersStack, keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { CORE, type HasCore } from './connection-core.js';
import type { PipelineState } from './pipeline-state.js';

/** Options of a pipeline's waits. */
export interface PipelineOptions {
  /**
   * Ends what the pipeline has sent when it is aborted, and rejects with the reason when the server has answered; the connection
   * stays usable.
   */
  signal?: AbortSignal | undefined;
}

/**
 * A pipeline (Psycopg: `AsyncPipeline`): until its scope is left, statements are sent without waiting for the answers of those
 * before them. `execute()` resolves when the statement is queued; what it returns is there at the first fetch, at `sync()` or at
 * the end of the scope, and so is its error. After a failure, statements up to the next `sync()` raise `PipelineAborted`. In
 * autocommit, those between two `sync()` are a transaction: all of them take effect, or none.
 *
 * What is in flight is bounded. Await `execute()`: when 1,024 statements, or 1 MiB of them, have not been answered, it resolves
 * only once half of them have been, so that a loop of any length takes a bounded amount of memory and lets others have their turn.
 *
 * @example
 * await using pipeline = conn.pipeline();
 * for (const row of rows) await conn.execute('INSERT INTO log VALUES (%s)', [row]);
 * await pipeline.sync();
 */
export class AsyncPipeline implements AsyncDisposable {
  readonly #state: PipelineState;
  #left = false;

  /** @internal Use `conn.pipeline()` or `conn.withPipeline()`. */
  constructor(connection: HasCore) {
    this.#state = connection[CORE].pipeline;
    this.#state.enter();
  }

  /** Ends what has been sent so far, and waits for its answers. Rejects with the first error that has not been reported to a caller. */
  async sync(options: PipelineOptions = {}): Promise<void> {
    if (this.#left) throw new errors.ProgrammingError('the pipeline has been left');
    try {
      await this.#state.sync(options.signal);
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Leaving the scope does what `sync()` does. Nested pipelines go on. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  /** @internal */
  async leave(signal?: AbortSignal): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    try {
      await this.#state.leave(signal);
    } catch (error) {
      throw callersStack(error);
    }
  }
}

/** Runs `fn` in a pipeline. An error that `fn` throws takes precedence over other failures in the pipeline. */
export async function runInPipeline<T>(
  connection: HasCore,
  fn: (pipeline: AsyncPipeline) => Promise<T>,
  { signal }: PipelineOptions = {},
): Promise<T> {
  signal?.throwIfAborted();
  const pipeline = new AsyncPipeline(connection);
  let result: T;
  try {
    result = await fn(pipeline);
  } catch (error) {
    keepStack(error);
    await pipeline[Symbol.asyncDispose]().catch(() => undefined);
    throw error;
  }
  await pipeline.leave(signal);
  return result;
}
