import { AsyncLocalStorage } from 'node:async_hooks';
import * as errors from '../errors/index.js';

/** The innermost block, of any connection, whose callback started the running code. */
const enclosing = new AsyncLocalStorage<Block>();

/**
 * Whether asynchronous contexts cost nothing. Before Node 24, the first use of one slows down every promise of the process, so
 * blocks that do not need a context have none there.
 */
export const CONTEXTS_ARE_FREE = Number.parseInt(process.versions.node, 10) >= 24;

/** The states of a block. One that `could not be opened` stays on the stack, as in Psycopg. */
export type BlockState =
  | 'opening'
  | 'active'
  | 'ending'
  | 'could not be opened'
  | 'committed'
  | 'rolled back'
  | 'of unknown outcome'
  | 'left out of order';

/** How messages describe each state. */
export const SHOWN_STATE: Readonly<Record<BlockState, string>> = {
  opening: 'is not open yet',
  active: 'is open',
  ending: 'is being ended',
  'could not be opened': 'could not be opened',
  committed: 'has been committed already',
  'rolled back': 'has been rolled back already',
  'of unknown outcome': 'is over, and its outcome is unknown',
  'left out of order': 'has been left out of order',
};

/**
 * A transaction block as known to its connection and to the asynchronous context of its callback. Both may outlive the
 * `AsyncConnection`, so a block does not refer to it.
 */
export class Block {
  state: BlockState = 'opening';
  /** Null for an outermost block without a savepoint of its own. */
  savepointName: string | null;
  /** The last statement executed on the connection while this was its innermost block. */
  lastStatement: string | null = null;
  /** Whether the server has begun its transaction or savepoint. An outermost block is begun by its first statement. */
  hasBegun = false;
  hasCallback = false;
  /**
   * Whether the block's callback has an asynchronous context; all code started by the callback is then inside the block, however
   * late it runs.
   */
  hasContext = false;
  /** The block around its callback. */
  #outer: Block | null = null;

  constructor(savepointName: string | null) {
    this.savepointName = savepointName;
  }

  /** Whether it is being opened, open, or being ended. */
  get isOpen(): boolean {
    return this.state === 'active' || this.state === 'ending' || this.state === 'opening';
  }

  /** Runs the callback. */
  run<T>(callback: () => T): T {
    if (!this.hasContext) return callback();
    // Ended blocks are skipped, so that a task that keeps starting tasks does not build an endless chain.
    let outer = enclosing.getStore() ?? null;
    while (outer !== null && !outer.isOpen) outer = outer.#outer;
    this.#outer = outer;
    return enclosing.run(this, callback);
  }

  /** Whether this block's callback started the running code. */
  get isAround(): boolean {
    let block = enclosing.getStore() ?? null;
    while (block !== null && block !== this) block = block.#outer;
    return block === this;
  }

  /** Describes the block for messages. */
  describe(): string {
    const name = this.savepointName === null ? 'an outermost block' : `the block "${this.savepointName}"`;
    const form = this.hasCallback ? 'withTransaction()' : 'transaction()';
    return `${name} of ${form}`;
  }
}

/**
 * Raises `ConcurrentTransaction` if `block` would become part of another task's block. `blocks` are the connection's blocks, from
 * the outermost to the innermost. `parent` is the block named by the caller; null: the innermost block, if the caller is inside
 * it.
 *
 * The asynchronous context determines whether a caller is inside a block that has one. Any other block belongs to the holder of
 * the connection: the opener of `transaction()` continues in an unchanged context, and the connection of `pool.withTransaction()`
 * was checked out for its callback alone. No caller is inside a block that is being opened or ended.
 */
export function checkNesting(blocks: readonly Block[], block: Block, parent: Block | null): void {
  const open = blocks.filter(({ isOpen }) => isOpen);
  const innermost = open.at(-1);
  if (innermost === undefined) return;
  if (innermost.state === 'active') {
    if (parent === innermost) return;
    const known = open.findLast(({ hasContext }) => hasContext);
    if (parent === null && (known === undefined || known.isAround)) return;
  }
  throw new errors.ConcurrentTransaction(innermost.describe(), block.describe(), innermost.lastStatement);
}

/**
 * Raises `ConcurrentTransaction` for an operation of several statements that would become part of another task's block. `blocks`
 * are the connection's blocks; `what` names the operation in the message.
 */
export function checkInside(blocks: readonly Block[], what: string): void {
  const open = blocks.filter(({ isOpen }) => isOpen);
  const known = open.findLast(({ hasContext }) => hasContext);
  if (known === undefined || known.isAround) return;
  const innermost = open.at(-1)!;
  throw new errors.ConcurrentTransaction(innermost.describe(), what, innermost.lastStatement);
}
