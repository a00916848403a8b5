import * as errors from '../errors/index.js';
import { INSPECT } from '../inspect.js';
import { TransactionStatus } from '../session/status.js';
import type { AsyncConnection } from './connection.js';
import { HANDLE, type Handle } from './handle.js';
import { beginStatement } from './transaction-settings.js';

/** Options of a transaction block. */
export interface TransactionOptions {
  /** A savepoint's name. By default only blocks within a transaction have a savepoint, with a name made up for it. */
  savepointName?: string;
  /** Roll back at the end whatever happens, as a test may want. @default false */
  forceRollback?: boolean;
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
  override readonly name = 'Rollback';
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
  readonly connection: AsyncConnection<unknown>;
  readonly #handle: Handle;
  readonly #forceRollback: boolean;
  #savepointName: string | null;
  #outermost = false;
  #depth = 0;
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
  async enter(): Promise<this> {
    const handle = this.#handle;
    handle.check();
    if (handle.pipeline.active) await handle.pipeline.sync();
    return handle.session.exclusively(async (hold, status) => {
      this.#outermost = status === TransactionStatus.IDLE;
      if (!this.#outermost) this.#savepointName ??= `_pg3_${String(handle.transactions + 1)}`;
      this.#depth = handle.transactions++;
      this.#state = 'active';
      // As in Psycopg, a block that could not be opened stays on the stack: the connection is not fit for more.
      if (this.#outermost) await handle.command(beginStatement(handle.settings), { hold });
      if (this.#savepointName !== null) {
        await handle.command(`SAVEPOINT ${quoteIdentifier(this.#savepointName)}`, { hold });
      }
      return this;
    });
  }

  /** Ends the block and keeps what it did; a savepoint's work is final when the outermost block commits. */
  commit(): Promise<void> {
    if (this.#forceRollback) return this.rollback();
    return this.#leave(
      'committed',
      'commit',
      this.#outermost ? ['COMMIT'] : this.#savepointCommands('RELEASE'),
    );
  }

  /** Ends the block and undoes what it did. */
  rollback(): Promise<void> {
    return this.#leave('rolled back', 'rollback', this.#rollbackCommands);
  }

  get #rollbackCommands(): readonly string[] {
    return this.#outermost ? ['ROLLBACK'] : this.#savepointCommands('ROLLBACK TO', 'RELEASE');
  }

  /** Rolls back unless the block has been ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A connection that is gone has rolled back already, and its end is the business of whoever used it.
    if (!this.active || this.#handle.returned || this.#handle.session.closed) return;
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
  ): Promise<void> {
    const handle = this.#handle;
    handle.check();
    if (this.#state !== 'active') {
      throw new errors.ProgrammingError(
        `the transaction has been ${this.#state} already: it can't ${action}`,
      );
    }
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
        await handle.pipeline.sync();
      } catch (error) {
        this.#state = 'rolled back';
        await this.#run(this.#rollbackCommands).catch(() => undefined);
        throw error;
      }
    }
    await this.#run(commands);
  }

  #run(commands: readonly string[]): Promise<void> {
    const handle = this.#handle;
    return handle.session.exclusively(async (hold) => {
      for (const command of commands) await handle.command(command, { hold });
    });
  }
}

/** Runs `fn` in a block: committed when it returns, rolled back when it throws. */
export async function runInTransaction<T>(
  transaction: AsyncTransaction,
  fn: (transaction: AsyncTransaction) => Promise<T>,
): Promise<T | undefined> {
  await transaction.enter();
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
  if (transaction.active) await transaction.commit();
  return result;
}

function quoteIdentifier(name: string): string {
  if (name.includes('\0'))
    throw new errors.ProgrammingError('a savepoint name must not contain a NUL character');
  return `"${name.replaceAll('"', '""')}"`;
}
