import { AsyncLocalStorage } from 'node:async_hooks';
import * as errors from '../errors/index.js';

/** The innermost block, of any connection, whose callback has called the running code. */
const enclosing = new AsyncLocalStorage<Block>();

/**
 * Whether asynchronous contexts cost nothing. Before Node 24 the first use of one makes every promise of the process slower, so a block
 * that can do without a context has none there.
 */
export const CONTEXTS_ARE_FREE = Number.parseInt(process.versions.node, 10) >= 24;

/** What a block can be: on its way, open, on its way out, or over; one that `could not be opened` stays, as in Psycopg. */
export type BlockState =
  | 'opening'
  | 'active'
  | 'ending'
  | 'could not be opened'
  | 'committed'
  | 'rolled back'
  | 'of unknown outcome'
  | 'left out of order';

/** What messages say of a block in each of them. */
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
 * A transaction block as its connection and the asynchronous context of its callback know it. Both may outlive the `AsyncConnection`,
 * so a block does not refer to it.
 */
export class Block {
  state: BlockState = 'opening';
  /** null for an outermost block without a savepoint of its own. */
  savepointName: string | null;
  /** The last statement that was executed on the connection while this was its innermost block. */
  lastStatement: string | null = null;
  hasCallback = false;
  /** Whether its callback has an asynchronous context: then all code that the callback calls, however late, is inside the block. */
  hasContext = false;
  /** The block around its callback. */
  #outer: Block | null = null;

  constructor(savepointName: string | null) {
    this.savepointName = savepointName;
  }

  /** Whether it is on its way, open, or on its way out. */
  get isOpen(): boolean {
    return this.state === 'active' || this.state === 'ending' || this.state === 'opening';
  }

  /** Runs its callback. */
  run<T>(callback: () => T): T {
    if (!this.hasContext) return callback();
    // Ended blocks are skipped, so that a task that keeps starting tasks from within itself builds no endless chain.
    let outer = enclosing.getStore() ?? null;
    while (outer !== null && !outer.isOpen) outer = outer.#outer;
    this.#outer = outer;
    return enclosing.run(this, callback);
  }

  /** Whether this block's callback has called the running code. */
  get isAround(): boolean {
    let block = enclosing.getStore() ?? null;
    while (block !== null && block !== this) block = block.#outer;
    return block === this;
  }

  /** As messages name it. */
  describe(): string {
    const name = this.savepointName === null ? 'an outermost block' : `the block "${this.savepointName}"`;
    const form = this.hasCallback ? 'withTransaction()' : 'transaction()';
    return `${name} of ${form}`;
  }
}

/**
 * Refuses `block` if it would become part of another task's block. `blocks` are those of the connection, from the outermost to the
 * innermost. `parent` is the block that the caller names; null: the innermost block, if the caller is inside it.
 *
 * The asynchronous context tells whether a caller is inside a block that has one. Any other block belongs to whoever holds the connection:
 * the opener of `transaction()` goes on in an unchanged context, and the connection of `pool.withTransaction()` was lent for its callback
 * alone. But no caller is inside a block that is being opened or ended.
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
 * Refuses what consists of several statements that belong together, and would become part of another task's block: `blocks` are those
 * of the connection. `what` names it in the message.
 */
export function checkInside(blocks: readonly Block[], what: string): void {
  const open = blocks.filter(({ isOpen }) => isOpen);
  const known = open.findLast(({ hasContext }) => hasContext);
  if (known === undefined || known.isAround) return;
  const innermost = open.at(-1)!;
  throw new errors.ConcurrentTransaction(innermost.describe(), what, innermost.lastStatement);
}
