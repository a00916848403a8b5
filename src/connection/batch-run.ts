import * as errors from '../errors/index.js';
import type { ConnectionCore } from './connection-core.js';
import type { Block } from './open-blocks.js';

/**
 * The batches of an executemany() that enter an open transaction one after another, while other tasks use the connection. They
 * stay together: no commit comes between two of them, and after a rollback no more are sent. @internal
 */
export class BatchRun {
  readonly #core: ConnectionCore;
  /** The blocks in which batches were sent. */
  readonly #blocks = new Set<Block>();
  /** The number of the connection's transaction; null until the pipeline's answers have arrived. */
  #transaction: number | null = null;
  #isUndone = false;

  constructor(core: ConnectionCore) {
    this.#core = core;
    (core.batchRuns ??= new Set()).add(this);
  }

  /** Called before a batch is sent. Raises the errors of `checkWhole()`. */
  next(): void {
    this.checkWhole();
    for (const block of this.#core.blocks) this.#blocks.add(block);
  }

  /** The first batch has been answered, and nothing was sent after it. */
  begun(): void {
    this.#transaction = this.#core.record.transaction;
  }

  /** Raises `ProgrammingError` if the earlier batches were committed or undone without the rest. */
  checkWhole(): void {
    if (!this.#isUndone && this.#isOpen) return;
    throw new errors.ProgrammingError(
      'the transaction, or the block, that executemany() was part of was ended between two of its batches, and what it had sent with' +
        ' it; await executemany() before the transaction is ended',
    );
  }

  /** Whether its transaction is still open. */
  get #isOpen(): boolean {
    return this.#transaction === null || this.#transaction === this.#core.record.transaction;
  }

  /** All batches were sent, or no more will be. */
  end(): void {
    this.#core.batchRuns?.delete(this);
  }

  /** The error for a commit, which would keep some batches of a run without the rest; null if no run is incomplete. */
  static refusal(runs: ReadonlySet<BatchRun>): Error | null {
    for (const run of runs) {
      if (run.#isUndone || !run.#isOpen) continue;
      return new errors.ProgrammingError(
        'an executemany() is under way that has sent only a part of its rows, which a commit would keep without the rest; await it first',
      );
    }
    return null;
  }

  /** Raises `ProgrammingError` if a run is incomplete, so that nothing may be committed. */
  static checkNone({ batchRuns }: ConnectionCore): void {
    const refusal = batchRuns === null ? null : BatchRun.refusal(batchRuns);
    if (refusal !== null) throw refusal;
  }

  /** The work of `block` was undone; null: that of the whole transaction. */
  static undo({ batchRuns }: ConnectionCore, block: Block | null): void {
    if (batchRuns === null) return;
    for (const run of batchRuns) if (block === null || run.#blocks.has(block)) run.#isUndone = true;
  }
}
