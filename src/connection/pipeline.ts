import { callersStack, keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { CORE, type HasCore } from './connection-core.js';
import { SYNC } from './options.js';
import type { PipelineState } from './pipeline-state.js';

/** Options of a pipeline's waits. */
export interface PipelineOptions {
  /**
   * Ends the pipeline's statements when it is aborted; the call rejects with the signal's reason once the server has answered.
   * The connection stays usable.
   */
  signal?: AbortSignal | undefined;
}

/**
 * A pipeline (Psycopg: `AsyncPipeline`): until the end of its scope, statements are sent without waiting for earlier answers.
 * `execute()` resolves when the statement is queued. Its results and its error arrive at the first fetch, at `sync()` or at the
 * end of the scope. After a failure, statements up to the next `sync()` raise `PipelineAborted`. In autocommit, the statements
 * between two calls of `sync()` form a transaction: all of them take effect, or none.
 *
 * The statements in flight are bounded, so await `execute()`: after 1,024 unanswered statements, or 1 MiB of them, it resolves
 * only once half of them have been answered. A loop of any length then needs a bounded amount of memory and lets other tasks run.
 *
 * @example
 * await using pipeline = conn.pipeline();
 * for (const id of ids) await conn.execute('INSERT INTO visit VALUES (%s)', [id]);
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

  /**
   * Ends the current segment and waits for its answers (Psycopg: `sync`). Rejects with the first error that was not reported to a
   * caller.
   */
  async sync(options: PipelineOptions = {}): Promise<void> {
    SYNC.check(options);
    if (this.#left)
      throw new errors.ProgrammingError('the pipeline has been left; begin another with conn.pipeline()');
    try {
      await this.#state.sync(options.signal);
    } catch (error) {
      throw callersStack(error);
    }
  }

  /** Calls `sync()` at the end of a scope. An outer pipeline continues. */
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

/** Runs `fn` in a pipeline. An error thrown by `fn` takes precedence over other failures of the pipeline. */
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
    const left = (): Error =>
      new errors.InterfaceError('the pipeline was left while the statement was waiting or running');
    await connection[CORE].session.hasten(pipeline.leave(), left).catch(() => undefined);
    throw error;
  }
  await pipeline.leave(signal);
  return result;
}
