import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { INSPECT } from '../inspect.js';
import type { ExclusiveLock } from '../session/queue.js';
import { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import type { AsyncConnection } from './connection.js';
import { CORE, type ConnectionCore } from './connection-core.js';
import { Block, checkNesting, SHOWN_STATE, type BlockState } from './open-blocks.js';
import { commit, nothingCommitted, runUnit } from './unit-of-work.js';

/** Options of a transaction block. */
export interface TransactionOptions {
  /** A savepoint's name. By default only blocks within a transaction have a savepoint, with a name made up for it. */
  savepointName?: string | undefined;
  /** Roll back at the end whatever happens, as a test may want. @default false */
  forceRollback?: boolean | undefined;
  /**
   * Gives up opening the block when it is aborted, which rejects with its reason. Of `withTransaction()` it is also the signal of
   * the commit: aborted before that is done, the block is rolled back. What runs within the block has signals of its own.
   */
  signal?: AbortSignal | undefined;
}

/** Options of how a block is ended. */
export interface TransactionEndOptions {
  /** Ends the wait when it is aborted, which rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Thrown inside `conn.withTransaction()`, ends the block with a rollback and without an error. Given an outer transaction, it
 * ends the blocks up to that one (Psycopg: `Rollback`).
 *
 * @example
 * await conn.withTransaction(async () => {
 *   await conn.execute('DELETE FROM account');
 *   throw new Rollback();
 * });
 */
export class Rollback extends Error {
  /** Always `Rollback`. */
  override readonly name = 'Rollback';
  /** The outermost block that it ends; null: the one that it is thrown in. */
  readonly transaction: AsyncTransaction | null;

  constructor(transaction?: AsyncTransaction) {
    super('the transaction block is to be rolled back');
    this.transaction = transaction ?? null;
  }
}

const DONE = Promise.resolve();

/**
 * A transaction block, or a savepoint within one (Psycopg: `AsyncTransaction`). Leaving its scope without `commit()` rolls it
 * back, since a disposer can't see whether there was an error.
 *
 * @example
 * await using tx = await conn.transaction();
 * await conn.execute('INSERT INTO log VALUES (%s)', ['it happened']);
 * await tx.commit();
 */
export class AsyncTransaction implements AsyncDisposable {
  /** The connection that the block is on. */
  readonly connection: AsyncConnection<unknown>;
  readonly #core: ConnectionCore;
  readonly #block: Block;
  readonly #forceRollback: boolean;
  #outermost = false;
  #depth = 0;
  /** Whether the transaction had changed data before the block. */
  #wroteBefore = false;
  /** The end of the block that was requested last. */
  #ending: Promise<void> | null = null;

  /** @internal Use `conn.transaction()` or `conn.withTransaction()`. */
  constructor(connection: AsyncConnection<unknown>, options: TransactionOptions = {}) {
    const { savepointName = null, forceRollback = false } = options;
    if (savepointName === '') throw new errors.ProgrammingError('a savepoint needs a name that is not empty');
    this.connection = connection;
    this.#core = connection[CORE];
    this.#block = new Block(savepointName);
    this.#forceRollback = forceRollback;
  }

  /** The savepoint's name; null for an outermost block without one. */
  get savepointName(): string | null {
    return this.#block.savepointName;
  }

  /** Whether the block is still open: it is until the server has answered its end. */
  get active(): boolean {
    const { state } = this.#block;
    return (state === 'active' || state === 'ending') && this.#core.usable;
  }

  // --- blocks within the block

  /**
   * Opens a block within this one, a savepoint, as `conn.transaction()` does; it need not be called from the callback of this
   * one. Raises `ConcurrentTransaction` while another block within this one is open.
   */
  async transaction(options?: TransactionOptions): Promise<AsyncTransaction> {
    return new AsyncTransaction(this.connection, options).open(this, options?.signal);
  }

  /** Runs `fn` in a block within this one, a savepoint, as `conn.withTransaction()` does; it need not be called from the callback of this one. */
  withTransaction(
    fn: (transaction: AsyncTransaction) => Promise<never>,
    options?: TransactionOptions,
  ): Promise<undefined>;
  withTransaction<T>(
    fn: (transaction: AsyncTransaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<T>;
  async withTransaction<T>(
    fn: (transaction: AsyncTransaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<T> {
    return runInTransaction(new AsyncTransaction(this.connection, options), fn, {
      parent: this,
      opening: options?.signal,
      commit: options?.signal,
    });
  }

  // --- the beginning

  /** @internal Opens the block, in `parent` or wherever the caller is: a transaction if none is open, else a savepoint. */
  async open(parent?: AsyncTransaction, signal?: AbortSignal): Promise<this> {
    const core = this.#core;
    signal?.throwIfAborted();
    core.check();
    if (parent !== undefined && parent.#block.state !== 'active')
      parent.#refuse('no block can be opened in it');
    checkNesting(core.blocks, this.#block, parent === undefined ? null : parent.#block);
    this.#depth = core.blocks.push(this.#block) - 1;
    try {
      if (core.inPipeline) await core.pipeline.sync(signal);
      await core.session.exclusively((lock, status) => this.#begin(lock, status, signal), signal);
      return this;
    } catch (error) {
      // As in Psycopg, a savepoint that could not be made stays on the stack: the transaction can't be used for more.
      if (this.#block.state !== 'could not be opened') this.#close('rolled back');
      throw callersStack(error);
    }
  }

  /** @internal Opens the block for `run()`. `hasContext`: what its callback calls is inside, and nothing else. */
  openForCallback({ parent, opening, hasContext = true }: BlockOptions): Promise<this> {
    this.#block.hasCallback = true;
    this.#block.hasContext = hasContext;
    return this.open(parent, opening);
  }

  async #begin(
    lock: ExclusiveLock,
    status: TransactionStatus,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const core = this.#core;
    const block = this.#block;
    this.#outermost = status === TransactionStatus.IDLE;
    if (!this.#outermost) block.savepointName ??= `_pg3_${String(this.#depth + 1)}`;
    this.#wroteBefore = core.record.wrote;
    try {
      if (this.#outermost) await core.command(core.settings.begin, { lock, signal });
      if (block.savepointName !== null)
        await core.command(`SAVEPOINT ${quoteIdentifier(block.savepointName)}`, { lock, signal });
      signal?.throwIfAborted();
      block.state = 'active';
    } catch (error) {
      if (signal?.aborted === true || this.#outermost) await this.#undo(lock);
      else if (core.usable) block.state = 'could not be opened';
      throw error;
    }
  }

  // --- the end

  /**
   * Ends the block and keeps what it did; a savepoint's work is final when the outermost block commits. Raises `InFailedSqlTransaction`
   * if the block had to be rolled back, since a statement in it had failed; the connection's error if it was lost before; and
   * `TransactionOutcomeUnknown` if the server does not say what has become of the COMMIT. An aborted `signal` leaves the block open
   * if its end has not been sent; else the call rejects with the reason and the block is rolled back, or it resolves if the server
   * had committed already.
   */
  commit(options: TransactionEndOptions = {}): Promise<void> {
    return this.#end(this.#forceRollback ? 'rollback' : 'commit', options);
  }

  /**
   * Ends the block and undoes what it did; if the connection has been lost or closed, that is done already. An aborted `signal`
   * leaves the block open if its end has not been sent.
   */
  rollback(options: TransactionEndOptions = {}): Promise<void> {
    return this.#end('rollback', options);
  }

  /** Rolls back unless the block has been ended. A COPY or a stream that has been begun in it, and not been left, is ended before. */
  async [Symbol.asyncDispose](): Promise<void> {
    // The caller of an end that is under way gets its outcome.
    if (this.#block.state === 'ending') await this.#ending?.catch(() => undefined);
    // A connection that is gone has rolled back already, and its last statement has reported the loss.
    this.closeIfGone();
    if (!this.#block.isOpen) return;
    await this.#core.session.abandonExchange(
      new errors.InterfaceError('the transaction block that it was begun in has been left'),
    );
    await this.rollback();
  }

  /** @internal Runs the callback of the block. */
  run<T>(callback: () => T): T {
    return this.#block.run(callback);
  }

  /** @internal Commits what the callback has left open, or waits for the end that it has begun. */
  finish(signal: AbortSignal | undefined): Promise<void> {
    if (this.#block.state === 'active') return this.commit({ signal });
    return (this.#block.state === 'ending' ? this.#ending : null) ?? DONE;
  }

  /** @internal Rolls back what a callback that threw has left open. */
  async abandon(): Promise<void> {
    try {
      await this[Symbol.asyncDispose]();
    } catch (error) {
      // A mistake in the program, which would stay hidden behind the callback's error. Other failures are less than that.
      if (error instanceof errors.OutOfOrderTransactionNesting) throw error;
    }
  }

  /** @internal Notes that its connection is lost, or was closed or given back: the block is over. */
  closeIfGone(): void {
    if (this.#block.isOpen && !this.#core.usable) this.#close('rolled back');
  }

  #end(action: 'commit' | 'rollback', { signal }: TransactionEndOptions): Promise<void> {
    try {
      this.#checkMayEnd(action, signal);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#block.state = 'ending';
    return (this.#ending = this.#settle(action, signal));
  }

  #checkMayEnd(action: 'commit' | 'rollback', signal: AbortSignal | undefined): void {
    const core = this.#core;
    core.check();
    signal?.throwIfAborted();
    if (this.#block.state !== 'active') this.#refuse(`it can't ${action}`);
    // Refused like any statement, with the block as it was.
    core.session.checkNoExchange();
    if (action === 'commit' && this.#outermost) BatchRun.checkNone(core);
    this.#checkOrder(action);
  }

  /** Ends the block, whose state is what the server has answered. */
  async #settle(action: 'commit' | 'rollback', signal: AbortSignal | undefined): Promise<void> {
    const core = this.#core;
    let begun = false;
    try {
      if (action === 'commit') {
        if (core.inPipeline) await this.#syncOrUndo(signal);
        await core.session.exclusively((lock) => {
          begun = true;
          return this.#commit(lock, signal);
        }, signal);
        this.#close('committed');
      } else {
        // A connection that is gone has rolled back.
        if (!core.session.closed) {
          await core.session.exclusively((lock) => {
            begun = true;
            return this.#rollback(lock, signal);
          }, signal);
        }
        this.#close('rolled back');
      }
    } catch (error) {
      if (!begun && signal?.aborted === true && error === signal.reason && this.#block.state === 'ending') {
        this.#block.state = 'active';
      } else {
        this.#close(error instanceof errors.TransactionOutcomeUnknown ? 'of unknown outcome' : 'rolled back');
      }
      throw callersStack(error);
    }
  }

  /** Ends what the pipeline has sent. What fails there was part of the block. */
  async #syncOrUndo(signal: AbortSignal | undefined): Promise<void> {
    const { pipeline, session } = this.#core;
    try {
      await pipeline.sync(signal);
    } catch (error) {
      if (!session.closed) await session.exclusively((lock) => this.#undo(lock));
      this.#close('rolled back');
      throw error;
    }
  }

  async #commit(lock: ExclusiveLock, signal: AbortSignal | undefined): Promise<void> {
    const core = this.#core;
    try {
      if (this.#outermost) await commit(core, { lock, signal });
      else if (core.session.transactionStatus === TransactionStatus.INERROR)
        throw nothingCommitted(core.session, core.record.failure);
      else await core.command(this.#savepoint('RELEASE'), { lock, signal });
    } catch (error) {
      // The block is over: nothing of it may become part of what comes next.
      await this.#undo(lock);
      throw error;
    }
  }

  async #rollback(lock: ExclusiveLock, signal?: AbortSignal): Promise<void> {
    const core = this.#core;
    if (this.#outermost) {
      await core.command('ROLLBACK', { onlyIf: 'in transaction', lock, signal });
    } else {
      await core.command(this.#savepoint('ROLLBACK TO'), { lock, signal });
      await core.command(this.#savepoint('RELEASE'), { lock, signal });
    }
    core.record.wrote = this.#wroteBefore;
    BatchRun.undo(core, this.#outermost ? null : this.#block);
  }

  /** Rolls back what there may be of the block. What goes wrong with that has an error before it that is told. */
  async #undo(lock: ExclusiveLock): Promise<void> {
    if (!this.#core.session.closed) await this.#rollback(lock).catch(() => undefined);
  }

  #savepoint(verb: string): string {
    return `${verb} ${quoteIdentifier(this.#block.savepointName ?? '')}`;
  }

  #checkOrder(action: string): void {
    const { blocks } = this.#core;
    while (blocks.at(-1)?.state === 'could not be opened') blocks.pop();
    if (blocks.length - 1 === this.#depth && blocks[this.#depth] === this.#block) return;
    this.#close('left out of order');
    throw new errors.OutOfOrderTransactionNesting(
      `transaction ${action} at the wrong nesting level: a block opened after this one is still open`,
    );
  }

  #close(state: BlockState): void {
    const { blocks } = this.#core;
    const place = blocks.indexOf(this.#block);
    if (place >= 0) blocks.splice(place, 1);
    this.#block.state = state;
    this.#block.lastStatement = null;
  }

  #refuse(what: string): never {
    throw new errors.ProgrammingError(`the transaction ${SHOWN_STATE[this.#block.state]}: ${what}`);
  }

  /** As `util.inspect()` prints it. */
  [INSPECT](): string {
    const { state, savepointName } = this.#block;
    const name = savepointName === null ? '' : ` savepoint=${savepointName}`;
    return `<${this.constructor.name} [${state}]${name} on ${this.connection[INSPECT]()}>`;
  }
}

/** How a block with a callback is opened and committed. */
export interface BlockOptions {
  /** The block that it is expressly nested in. */
  readonly parent?: AsyncTransaction;
  /** Gives up opening it. */
  readonly opening: AbortSignal | undefined;
  /** Gives up committing it. */
  readonly commit?: AbortSignal | undefined;
  /** Whether its callback needs an asynchronous context, since others hold the connection as well. @default true */
  readonly hasContext?: boolean;
}

/** Runs `fn` in a block: committed when it returns, rolled back when it throws. */
export async function runInTransaction<T>(
  transaction: AsyncTransaction,
  fn: (transaction: AsyncTransaction) => Promise<T> | T,
  options: BlockOptions,
): Promise<T> {
  await transaction.openForCallback(options);
  try {
    return await runUnit(transaction.connection[CORE], () => transaction.run(() => fn(transaction)), {
      commit: () => transaction.finish(options.commit),
      undo: () => transaction.abandon(),
    });
  } catch (error) {
    if (error instanceof Rollback && (error.transaction === null || error.transaction === transaction))
      return undefined as T;
    throw error;
  } finally {
    transaction.closeIfGone();
  }
}

function quoteIdentifier(name: string): string {
  if (name.includes('\0'))
    throw new errors.ProgrammingError('a savepoint name must not contain a NUL character');
  return `"${name.replaceAll('"', '""')}"`;
}
