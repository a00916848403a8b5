import * as errors from '../errors/index.js';
import type { ConnectionCore } from './connection-core.js';
import type { Block } from './open-blocks.js';

/**
 * The batches of an executemany() that go into an open transaction one after the other, while others use the connection. They are kept
 * together or not at all: no commit comes between two of them, and after a rollback no more are sent. @internal
 */
export class BatchRun {
  readonly #core: ConnectionCore;
  /** The blocks that a batch was sent in. */
  readonly #blocks = new Set<Block>();
  /** Which transaction of the connection it is in; null while the answers of a pipeline are to come. */
  #transaction: number | null = null;
  #isUndone = false;

  constructor(core: ConnectionCore) {
    this.#core = core;
    (core.batchRuns ??= new Set()).add(this);
  }

  /** A batch is about to be sent. Raises what `checkWhole()` does. */
  next(): void {
    this.checkWhole();
    for (const block of this.#core.blocks) this.#blocks.add(block);
  }

  /** The first batch has been answered, and nothing has been sent behind it. */
  begun(): void {
    this.#transaction = this.#core.record.transaction;
  }

  /** Raises `ProgrammingError` if what was sent before has ended, or been undone, without the rest. */
  checkWhole(): void {
    if (!this.#isUndone && this.#isOpen) return;
    throw new errors.ProgrammingError(
      'the transaction, or the block, that executemany() was part of was ended between two of its batches, and what it had sent with' +
        ' it; await executemany() before the transaction is ended',
    );
  }

  /** Whether the transaction that it is in has not ended. */
  get #isOpen(): boolean {
    return this.#transaction === null || this.#transaction === this.#core.record.transaction;
  }

  /** All batches have been sent, or no more will be. */
  end(): void {
    this.#core.batchRuns?.delete(this);
  }

  /** Why nothing can be committed now: it would keep some batches of one of these without the rest. Null if it can. */
  static refusal(runs: ReadonlySet<BatchRun>): Error | null {
    for (const run of runs) {
      if (run.#isUndone || !run.#isOpen) continue;
      return new errors.ProgrammingError(
        'an executemany() is under way that has sent only a part of its rows, which a commit would keep without the rest; await it first',
      );
    }
    return null;
  }

  /** Raises `ProgrammingError` if nothing can be committed now. */
  static checkNone({ batchRuns }: ConnectionCore): void {
    const refusal = batchRuns === null ? null : BatchRun.refusal(batchRuns);
    if (refusal !== null) throw refusal;
  }

  /** The work of `block` has been undone; null: that of the whole transaction. */
  static undo({ batchRuns }: ConnectionCore, block: Block | null): void {
    if (batchRuns === null) return;
    for (const run of batchRuns) if (block === null || run.#blocks.has(block)) run.#isUndone = true;
  }
}
