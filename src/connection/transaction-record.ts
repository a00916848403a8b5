import * as errors from '../errors/index.js';
import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';

/** Tags of statements that change no data; a tag with a count writes nothing if the count is zero. */
const WRITES_NOTHING =
  /^(?:SELECT|SHOW|EXPLAIN|FETCH|MOVE|DECLARE CURSOR|CLOSE CURSOR|BEGIN|START TRANSACTION|SAVEPOINT|RELEASE|ROLLBACK|COMMIT|SET|RESET|LISTEN|UNLISTEN|DISCARD|PREPARE$|DEALLOCATE|LOCK TABLE|CHECKPOINT|LOAD|INSERT 0 0$|(?:UPDATE|DELETE|MERGE|COPY) 0$)/;
const MAKES_PERMANENT = /^(?:COMMIT|PREPARE TRANSACTION|COMMIT PREPARED)$/;
/** Tags after which an open transaction is another one than before. */
const BOUNDARY = /^(?:BEGIN|START TRANSACTION|COMMIT|PREPARE TRANSACTION)$/;
const COMMIT_TEXT = /^\s*(?:commit|end)\b/i;
/** The SQLSTATE of a statement in a transaction that had already failed. */
const IN_FAILED_TRANSACTION = '25P02';

/** Whether a result's statement has changed data. CREATE TABLE AS has the tag of its SELECT, but no columns. */
export function wroteData({ tag, fields }: StatementResult): boolean {
  if (tag === null) return false;
  return !WRITES_NOTHING.test(tag) || (fields === null && tag.startsWith('SELECT'));
}

/**
 * The history of a connection's transactions by the server's answers: the writes of the open one, and whether any was committed.
 */
export class TransactionRecord {
  /** Whether the open transaction is known to have changed data. */
  wrote = false;
  /**
   * Whether the call that began the open transaction also ends it and reports the outcome, so that its writes are not the user's
   * to commit.
   */
  isOfCall = false;
  /** The error that failed the open transaction; null if it has not failed. */
  failure: errors.Error | null = null;
  /** The number of the connection's transaction, which differs for each. */
  transaction = 0;
  /** Whether something may have become permanent: by COMMIT, outside of transactions, or with an unknown outcome. */
  committed = false;
  /** Set if the last statement was a COMMIT that the server answered with ROLLBACK; contains the transaction's error, if known. */
  #refusedCommit: { readonly failure: errors.Error | null } | null = null;

  /** Handles a successful statement with this text, which left the session in `status`. */
  onDone(results: readonly StatementResult[], text: string, status: TransactionStatus): void {
    const idle = status === TransactionStatus.IDLE;
    if (results.length > 0) {
      const refused = idle && results.at(-1)!.tag === 'ROLLBACK' && COMMIT_TEXT.test(text);
      this.#refusedCommit = refused ? { failure: this.failure } : null;
      this.#count(results, idle);
      if (status !== TransactionStatus.ACTIVE) this.failure = null;
    }
    if (!idle) return;
    this.wrote = false;
    this.transaction++;
  }

  /** Handles a failed statement, with the earlier results of the same text. */
  onError(error: unknown, results: readonly StatementResult[], status: TransactionStatus): void {
    this.#count(results, false);
    this.#refusedCommit = null;
    if (status === TransactionStatus.IDLE) {
      this.wrote = false;
      this.transaction++;
    } else if (status === TransactionStatus.UNKNOWN) this.committed = true;
    else if (
      error instanceof errors.Error &&
      error.sqlstate !== null &&
      error.sqlstate !== IN_FAILED_TRANSACTION
    )
      this.failure ??= error;
  }

  /** Handles a completed COPY into a table. */
  onCopiedIn(tag: string, status: TransactionStatus): void {
    if (status === TransactionStatus.IDLE) this.committed = true;
    else if (!WRITES_NOTHING.test(tag)) this.wrote = true;
  }

  /** Returns the refused COMMIT, if that was the last statement, once; else null. */
  takeRefusedCommit(): { readonly failure: errors.Error | null } | null {
    const refused = this.#refusedCommit;
    this.#refusedCommit = null;
    return refused;
  }

  #count(results: readonly StatementResult[], isOutside: boolean): void {
    for (const result of results) {
      const { tag } = result;
      if (tag === null) continue;
      if (BOUNDARY.test(tag)) this.transaction++;
      if (MAKES_PERMANENT.test(tag)) {
        this.committed = true;
        // Another transaction may have begun since.
        this.wrote = false;
      } else if (isOutside) {
        // A SELECT counts as well, since its functions may have written.
        if (tag !== 'ROLLBACK') this.committed = true;
      } else if (!this.wrote && !this.isOfCall) {
        this.wrote = wroteData(result);
      }
    }
  }
}
