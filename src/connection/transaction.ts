import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { INSPECT } from '../inspect.js';
import type { KnownOptions } from '../options/known-options.js';
import type { ExclusiveLock } from '../session/queue.js';
import { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import type { AsyncConnection } from './connection.js';
import { CORE, type ConnectionCore } from './connection-core.js';
import { TRANSACTION, TX_COMMIT, TX_ROLLBACK, WITH_TRANSACTION } from './options.js';
import { Block, checkNesting, SHOWN_STATE, type BlockState } from './open-blocks.js';
import { commit, nothingCommitted, runUnit } from './unit-of-work.js';

/** Options of a transaction block. */
export interface TransactionOptions {
  /**
   * The savepoint's name. Without it, a block within a transaction has a savepoint with a generated name, and an outermost block
   * has none.
   */
  savepointName?: string | undefined;
  /** Whether the block always ends with a rollback, for example in a test. @default false */
  forceRollback?: boolean | undefined;
  /**
   * Ends the attempt to open the block when it is aborted; the call then rejects with the signal's reason. `withTransaction()`
   * also uses it for the commit: if it is aborted before the commit is complete, the block is rolled back. Calls within the block
   * take signals of their own.
   */
  signal?: AbortSignal | undefined;
}

/** Options of a block's end. */
export interface TransactionEndOptions {
  /** Ends the wait when it is aborted; the call then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * An exception that ends the enclosing block of `conn.withTransaction()` with a rollback but without an error (Psycopg:
 * `Rollback`). With an outer transaction as its argument, it ends all blocks up to that one.
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
  /** The outermost block that it ends; null: the block in which it is thrown. */
  readonly transaction: AsyncTransaction | null;

  constructor(transaction?: AsyncTransaction) {
    super('the transaction block is to be rolled back');
    this.transaction = transaction ?? null;
  }
}

const DONE = Promise.resolve();

/** How a block is ended. */
interface BlockEndOptions extends TransactionEndOptions {
  /** Whether the library decided on the end, so that the server must answer within a limit; it has no signal then. */
  readonly mustBeAnswered?: boolean;
}

/** How a block is rolled back that was left open, or whose commit has failed. */
const UNDOING: BlockEndOptions = { mustBeAnswered: true };

/** The reason for statements that are ended since their block was left. */
function blockLeft(): Error {
  return new errors.InterfaceError('the transaction block that it was begun in has been left');
}

/**
 * A transaction block, or a savepoint within one (Psycopg: `AsyncTransaction`). Leaving its scope without `commit()` rolls it
 * back, since a disposer cannot see whether there was an error.
 *
 * @example
 * await using tx = await conn.transaction();
 * await conn.execute('INSERT INTO log VALUES (%s)', ['it happened']);
 * await tx.commit();
 */
export class AsyncTransaction implements AsyncDisposable {
  /** The block's connection. */
  readonly connection: AsyncConnection<unknown>;
  readonly #core: ConnectionCore;
  readonly #block: Block;
  readonly #forceRollback: boolean;
  #outermost = false;
  #depth = 0;
  /** Whether the transaction had changed data before the block. */
  #wroteBefore = false;
  /** The last call that ends the block. */
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

  /** Whether the block is open, which it is until the server has answered its end. */
  get active(): boolean {
    const { state } = this.#block;
    return (state === 'active' || state === 'ending') && this.#core.usable;
  }

  // --- nested blocks

  /**
   * Opens a block (a savepoint) within this one, as `conn.transaction()` does, but from any asynchronous context. Raises
   * `ConcurrentTransaction` while another block within this one is open.
   */
  async transaction(options?: TransactionOptions): Promise<AsyncTransaction> {
    TRANSACTION.check(options);
    return new AsyncTransaction(this.connection, options).open(this, options?.signal);
  }

  /** Runs `fn` in a block (a savepoint) within this one, as `conn.withTransaction()` does, but from any asynchronous context. */
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
    WITH_TRANSACTION.checkCall(fn, options);
    return runInTransaction(new AsyncTransaction(this.connection, options), fn, {
      parent: this,
      signal: options?.signal,
    });
  }

  // --- opening

  /** @internal Opens the block, within `parent` or where the caller is: a transaction if none is open, else a savepoint. */
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
      this.#block.state = 'active';
      return this;
    } catch (error) {
      // As in Psycopg, a savepoint that could not be made stays on the stack, since its transaction has failed.
      if (this.#block.state !== 'could not be opened') this.#close('rolled back');
      throw callersStack(error);
    }
  }

  /** @internal Opens the block for `run()`. `hasContext`: only code started by its callback is inside. */
  openForCallback({ parent, signal, hasContext = true }: BlockOptions): Promise<this> {
    this.#block.hasCallback = true;
    this.#block.hasContext = hasContext;
    return this.open(parent, signal);
  }

  async #begin(
    lock: ExclusiveLock,
    status: TransactionStatus,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const core = this.#core;
    const block = this.#block;
    const isIdle = status === TransactionStatus.IDLE;
    this.#outermost = isIdle && (this.#depth === 0 || !core.mustBegin);
    if (!this.#outermost) block.savepointName ??= `_pg3_${String(this.#depth + 1)}`;
    this.#wroteBefore = core.record.wrote;
    try {
      // The BEGIN of an outermost block is sent with its first statement, which saves a round trip.
      if (this.#depth === 0 && this.#outermost && block.savepointName === null) return;
      if (isIdle) await core.command(core.settings.begin, { lock, signal });
      if (block.savepointName !== null)
        await core.command(`SAVEPOINT ${quoteIdentifier(block.savepointName)}`, { lock, signal });
      signal?.throwIfAborted();
      block.hasBegun = true;
    } catch (error) {
      if (signal?.aborted === true || this.#outermost) await this.#undo(lock);
      else if (core.usable) block.state = 'could not be opened';
      throw error;
    }
  }

  // --- ending

  /**
   * Ends the block and keeps its changes; those of a savepoint become permanent with the outermost block. Raises
   * `InFailedSqlTransaction` if the block had to be rolled back because a statement in it had failed, the connection's error if
   * it was lost before, and `TransactionOutcomeUnknown` if the server does not report the outcome of the COMMIT. If `signal` is
   * aborted before the end is sent, the block stays open. After that, the call rejects with the reason and the block is rolled
   * back, or it resolves if the server had already committed.
   */
  commit(options: TransactionEndOptions = {}): Promise<void> {
    return this.#end(this.#forceRollback ? 'rollback' : 'commit', options, TX_COMMIT);
  }

  /**
   * Ends the block and undoes its changes; if the connection was lost or closed, the server has done so. If `signal` is aborted
   * before the end is sent, the block stays open.
   */
  rollback(options: TransactionEndOptions = {}): Promise<void> {
    return this.#end('rollback', options, TX_ROLLBACK);
  }

  /**
   * Rolls back the block at the end of a scope, unless it has ended. An unfinished COPY or stream begun in it is ended before;
   * statements that still run have about 5 seconds before they are cancelled. The connection is given up if the server does not answer
   * the rollback within about 5 seconds.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const { session } = this.#core;
    // The caller that is ending the block gets the outcome.
    if (this.#block.state === 'ending') await session.hasten(this.#ending!, blockLeft).catch(() => undefined);
    // A lost connection has rolled back already, and its last statement has reported the loss.
    this.closeIfGone();
    if (!this.#block.isOpen) return;
    await session.abandonExchange(blockLeft());
    await this.#end('rollback', UNDOING);
  }

  /** @internal Runs the callback of the block. */
  run<T>(callback: () => T): T {
    return this.#block.run(callback);
  }

  /** @internal Commits the block if the callback left it open, or waits for the end that the callback began. */
  finish(signal: AbortSignal | undefined): Promise<void> {
    if (this.#block.state === 'active') return this.commit({ signal });
    return (this.#block.state === 'ending' ? this.#ending : null) ?? DONE;
  }

  /** @internal Rolls back the block if the callback, which threw, left it open. */
  async abandon(): Promise<void> {
    try {
      await this[Symbol.asyncDispose]();
    } catch (error) {
      // A mistake in the program must not stay hidden behind the callback's error; other failures matter less than that error.
      if (error instanceof errors.OutOfOrderTransactionNesting) throw error;
    }
  }

  /** @internal Ends the block if its connection was lost, closed or returned. */
  closeIfGone(): void {
    if (this.#block.isOpen && !this.#core.usable) this.#close('rolled back');
  }

  #end(
    action: 'commit' | 'rollback',
    options: BlockEndOptions,
    known?: KnownOptions<TransactionEndOptions>,
  ): Promise<void> {
    try {
      known?.check(options);
      this.#checkMayEnd(action, options.signal);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#block.state = 'ending';
    return (this.#ending = this.#settle(action, options));
  }

  #checkMayEnd(action: 'commit' | 'rollback', signal: AbortSignal | undefined): void {
    const core = this.#core;
    core.check();
    signal?.throwIfAborted();
    if (this.#block.state !== 'active') this.#refuse(`it can't ${action}`);
    // The end is refused like any statement; the block is unchanged.
    core.session.checkNoExchange();
    if (action === 'commit' && this.#outermost) BatchRun.checkNone(core);
    this.#checkOrder(action);
  }

  /** Ends the block; the server's answer determines its state. */
  async #settle(action: 'commit' | 'rollback', options: BlockEndOptions): Promise<void> {
    const core = this.#core;
    const { signal } = options;
    let begun = false;
    try {
      if (action === 'commit') {
        if (core.inPipeline) await this.#syncOrUndo(signal);
        await core.session.exclusively((lock) => {
          begun = true;
          return this.#commit(lock, signal);
        }, signal);
        // Also if there was nothing to commit: the caller was told that it is.
        if (this.#outermost) core.record.committed = true;
        this.#close('committed');
      } else {
        // A lost connection has rolled back.
        if (!core.session.closed) {
          const left = options.mustBeAnswered === true ? blockLeft : undefined;
          await core.session.exclusively(
            (lock) => {
              begun = true;
              return this.#rollback(lock, options);
            },
            signal,
            left,
          );
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

  /** Ends the pipeline's segment, whose failures were part of the block. */
  async #syncOrUndo(signal: AbortSignal | undefined): Promise<void> {
    const { pipeline, session } = this.#core;
    try {
      await pipeline.sync(signal);
    } catch (error) {
      if (!session.closed) await session.exclusively((lock) => this.#undo(lock), undefined, blockLeft);
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
      // The block is over, so the next transaction must not contain any of it.
      await this.#undo(lock);
      throw error;
    }
  }

  async #rollback(lock: ExclusiveLock, options: BlockEndOptions): Promise<void> {
    const core = this.#core;
    if (this.#outermost) {
      await core.command('ROLLBACK', { onlyIf: 'in transaction', lock, ...options });
    } else {
      await core.command(this.#savepoint('ROLLBACK TO'), { lock, ...options });
      await core.command(this.#savepoint('RELEASE'), { lock, ...options });
    }
    core.record.wrote = this.#wroteBefore;
    BatchRun.undo(core, this.#outermost ? null : this.#block);
  }

  /** Rolls back the remains of the block. Its own failure is ignored, since an earlier error is reported. */
  async #undo(lock: ExclusiveLock): Promise<void> {
    if (!this.#core.session.closed) await this.#rollback(lock, UNDOING).catch(() => undefined);
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

  /** The block's state for `util.inspect()`. */
  [INSPECT](): string {
    const { state, savepointName } = this.#block;
    const name = savepointName === null ? '' : ` savepoint=${savepointName}`;
    return `<${this.constructor.name} [${state}]${name} on ${this.connection[INSPECT]()}>`;
  }
}

/** How a block with a callback is opened and committed. */
export interface BlockOptions {
  /** The block in which it is explicitly nested. */
  readonly parent?: AsyncTransaction;
  /** Ends the attempt to open it, and that to commit it. */
  readonly signal: AbortSignal | undefined;
  /** Whether its callback needs an asynchronous context, since other tasks hold the connection, too. @default true */
  readonly hasContext?: boolean;
}

/** Runs `fn` in a block: commits if it returns, rolls back if it throws. */
export async function runInTransaction<T>(
  transaction: AsyncTransaction,
  fn: (transaction: AsyncTransaction) => Promise<T> | T,
  options: BlockOptions,
): Promise<T> {
  await transaction.openForCallback(options);
  try {
    return await runUnit(transaction.connection[CORE], () => transaction.run(() => fn(transaction)), {
      commit: () => transaction.finish(options.signal),
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
