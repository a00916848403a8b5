import * as errors from '../errors/index.js';
import { INSPECT } from '../inspect.js';
import type { Hold } from '../session/queue.js';
import { TransactionStatus } from '../session/status.js';
import type { AsyncConnection } from './connection.js';
import { HANDLE, type Handle } from './handle.js';
import { beginStatement } from './transaction-settings.js';

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
  readonly #handle: Handle;
  readonly #forceRollback: boolean;
  #savepointName: string | null;
  #outermost = false;
  #depth = 0;
  /** Whether the transaction had changed data before the block. */
  #wroteBefore = false;
  #state: 'new' | 'active' | 'committed' | 'rolled back' = 'new';

  /** @internal Use `conn.transaction()` or `conn.withTransaction()`. */
  constructor(connection: AsyncConnection<unknown>, options: TransactionOptions = {}) {
    this.connection = connection;
    this.#handle = connection[HANDLE];
    this.#savepointName = options.savepointName ?? null;
    this.#forceRollback = options.forceRollback ?? false;
    if (this.#savepointName === '')
      throw new errors.ProgrammingError('a savepoint needs a name that is not empty');
  }

  /** The savepoint's name; null for an outermost block without one. */
  get savepointName(): string | null {
    return this.#savepointName;
  }

  /** Whether the block is still open. */
  get active(): boolean {
    return this.#state === 'active';
  }

  /** @internal Opens the block: a transaction if none is open, else a savepoint. */
  async enter(signal?: AbortSignal): Promise<this> {
    signal?.throwIfAborted();
    const handle = this.#handle;
    handle.check();
    if (handle.pipeline.active) await handle.pipeline.sync(signal);
    return handle.session.exclusively(async (hold, status) => {
      this.#outermost = status === TransactionStatus.IDLE;
      if (!this.#outermost) this.#savepointName ??= `_pg3_${String(handle.transactions + 1)}`;
      this.#depth = handle.transactions++;
      this.#wroteBefore = handle.wrote;
      this.#state = 'active';
      // As in Psycopg, a block that could not be opened stays on the stack: the connection is not fit for more.
      try {
        if (this.#outermost) await handle.command(beginStatement(handle.settings), { hold, signal });
        if (this.#savepointName !== null) {
          await handle.command(`SAVEPOINT ${quoteIdentifier(this.#savepointName)}`, { hold, signal });
        }
        signal?.throwIfAborted();
      } catch (error) {
        if (signal?.aborted === true && !handle.session.closed) await this.#unenter(hold);
        throw error;
      }
      return this;
    }, signal);
  }

  /** Leaves nothing of a block that nobody wants any more, whose opening may have been done. */
  async #unenter(hold: Hold): Promise<void> {
    this.#state = 'rolled back';
    this.#handle.transactions--;
    if (this.#outermost) {
      await this.#handle.command('ROLLBACK', { hold, onlyIf: 'in transaction' });
      return;
    }
    // In a transaction that the abort has failed there may be no such savepoint.
    for (const command of this.#rollbackCommands) {
      await this.#handle.command(command, { hold }).catch(() => undefined);
    }
  }

  /**
   * Ends the block and keeps what it did; a savepoint's work is final when the outermost block commits. An aborted `signal` leaves
   * the block open if its end has not been sent; else the call rejects with the reason and the block is rolled back, or it
   * resolves if the server had committed already. Raises `TransactionOutcomeUnknown` if the server does not say which.
   */
  commit(options: TransactionEndOptions = {}): Promise<void> {
    if (this.#forceRollback) return this.rollback(options);
    return this.#leave(
      'committed',
      'commit',
      this.#outermost ? ['COMMIT'] : this.#savepointCommands('RELEASE'),
      options,
    );
  }

  /** Ends the block and undoes what it did. An aborted `signal` leaves the block open if its end has not been sent. */
  rollback(options: TransactionEndOptions = {}): Promise<void> {
    return this.#leave('rolled back', 'rollback', this.#rollbackCommands, options);
  }

  get #rollbackCommands(): readonly string[] {
    return this.#outermost ? ['ROLLBACK'] : this.#savepointCommands('ROLLBACK TO', 'RELEASE');
  }

  /** Rolls back unless the block has been ended. A COPY or a stream that has been begun in it, and not been left, is ended before. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A connection that is gone has rolled back already, and its end is the business of whoever used it.
    if (!this.active || this.#handle.returned || this.#handle.session.closed) return;
    await this.#handle.session.abandonConversation(
      new errors.InterfaceError('the transaction block that it was begun in has been left'),
    );
    await this.rollback();
  }

  /** As `util.inspect()` prints it. */
  [INSPECT](): string {
    const name = this.#savepointName === null ? '' : ` savepoint=${this.#savepointName}`;
    return `<${this.constructor.name} [${this.#state}]${name} on ${this.connection[INSPECT]()}>`;
  }

  #savepointCommands(...verbs: string[]): string[] {
    return verbs.map((verb) => `${verb} ${quoteIdentifier(this.#savepointName ?? '')}`);
  }

  async #leave(
    state: 'committed' | 'rolled back',
    action: string,
    commands: readonly string[],
    { signal }: TransactionEndOptions,
  ): Promise<void> {
    const handle = this.#handle;
    handle.check();
    signal?.throwIfAborted();
    if (this.#state !== 'active') {
      throw new errors.ProgrammingError(
        `the transaction has been ${this.#state} already: it can't ${action}`,
      );
    }
    // Refused like any statement, with the block as it was.
    handle.session.checkNoConversation();
    this.#state = state;
    if (--handle.transactions !== this.#depth) {
      throw new errors.OutOfOrderTransactionNesting(
        `transaction ${action} at the wrong nesting level: a block opened after this one is still open`,
      );
    }
    // A connection that is gone has rolled back. Only who has not heard of it yet has to be told.
    if (handle.session.closed && handle.endSeen) return;
    if (state === 'committed' && handle.pipeline.active) {
      try {
        await handle.pipeline.sync(signal);
      } catch (error) {
        this.#state = 'rolled back';
        await this.#run(this.#rollbackCommands).catch(() => undefined);
        throw error;
      }
    }
    if (signal === undefined) await this.#run(commands);
    else await this.#runUnlessAborted(commands, signal);
  }

  #run(commands: readonly string[]): Promise<void> {
    return this.#handle.session.exclusively((hold) => this.#send(commands, { hold }));
  }

  async #send(
    commands: readonly string[],
    options: { hold: Hold; signal?: AbortSignal | undefined },
  ): Promise<void> {
    for (const command of commands) await this.#handle.command(command, options);
    if (this.#state === 'rolled back') this.#handle.wrote = this.#wroteBefore;
  }

  /** Runs what ends the block: nothing of it, all of it, or what rolls it back. */
  async #runUnlessAborted(commands: readonly string[], signal: AbortSignal): Promise<void> {
    const handle = this.#handle;
    const begun = { yet: false };
    try {
      await handle.session.exclusively(async (hold) => {
        begun.yet = true;
        try {
          await this.#send(commands, { hold, signal });
        } catch (error) {
          this.#state = 'rolled back';
          if (signal.aborted && !handle.session.closed && !this.#outermost) {
            await this.#send(this.#rollbackCommands, { hold });
          }
          throw error;
        }
      }, signal);
    } catch (error) {
      if (!begun.yet && error === signal.reason) {
        this.#state = 'active';
        handle.transactions++;
      }
      throw error;
    }
  }
}

/** Runs `fn` in a block: committed when it returns, rolled back when it throws. */
export async function runInTransaction<T>(
  transaction: AsyncTransaction,
  fn: (transaction: AsyncTransaction) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  await transaction.enter(signal);
  let result: T;
  try {
    result = await fn(transaction);
  } catch (error) {
    try {
      await transaction[Symbol.asyncDispose]();
    } catch (rollbackError) {
      // Nesting out of order is a mistake in the program that would stay hidden behind the error.
      if (rollbackError instanceof errors.OutOfOrderTransactionNesting) throw rollbackError;
    }
    if (error instanceof Rollback && (error.transaction === null || error.transaction === transaction)) {
      return undefined;
    }
    throw error;
  }
  if (!transaction.active) return result;
  try {
    await transaction.commit(signal === undefined ? {} : { signal });
  } catch (error) {
    // Aborted, or refused, before the COMMIT was sent: the block is open still.
    await transaction[Symbol.asyncDispose]();
    throw error;
  }
  return result;
}

function quoteIdentifier(name: string): string {
  if (name.includes('\0'))
    throw new errors.ProgrammingError('a savepoint name must not contain a NUL character');
  return `"${name.replaceAll('"', '""')}"`;
}
