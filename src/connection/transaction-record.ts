import * as errors from '../errors/index.js';
import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';

/** Tags of statements that change no data; what counts rows has written nothing if the count is zero. */
const WRITES_NOTHING =
  /^(?:SELECT|SHOW|EXPLAIN|FETCH|MOVE|DECLARE CURSOR|CLOSE CURSOR|BEGIN|START TRANSACTION|SAVEPOINT|RELEASE|ROLLBACK|COMMIT|SET|RESET|LISTEN|UNLISTEN|DISCARD|PREPARE$|DEALLOCATE|LOCK TABLE|CHECKPOINT|LOAD|INSERT 0 0$|(?:UPDATE|DELETE|MERGE|COPY) 0$)/;
const MAKES_PERMANENT = /^(?:COMMIT|PREPARE TRANSACTION|COMMIT PREPARED)$/;
/** Behind it the transaction, if one is open, is another than before. */
const BOUNDARY = /^(?:BEGIN|START TRANSACTION|COMMIT|PREPARE TRANSACTION)$/;
const COMMIT_TEXT = /^\s*(?:commit|end)\b/i;
/** The transaction had failed already. */
const IN_FAILED_TRANSACTION = '25P02';

/** Whether a result's statement has changed data. CREATE TABLE AS has the tag of its SELECT, but no rows. */
export function wroteData({ tag, fields }: StatementResult): boolean {
  if (tag === null) return false;
  return !WRITES_NOTHING.test(tag) || (fields === null && tag.startsWith('SELECT'));
}

/** The history of a connection's transactions, by the server's answers: what the open one has done, and whether any was committed. */
export class TransactionRecord {
  /** Whether the open transaction has changed data, as far as is known. */
  wrote = false;
  /** Whether the call that began the open transaction ends it and reports the outcome, so that its writes are not the user's to commit. */
  isOfCall = false;
  /** The error that the open transaction has failed with; null if it has not. */
  failure: errors.Error | null = null;
  /** Tells the transactions of the connection apart: the number is another in each. */
  transaction = 0;
  /** Whether something may have become permanent: by COMMIT, outside of transactions, or with unknown outcome. */
  committed = false;
  /** Set if the last statement was a COMMIT that the server answered with ROLLBACK: the error that the transaction had failed with, if known. */
  #refusedCommit: { readonly failure: errors.Error | null } | null = null;

  /** A statement of this text has succeeded, which has left the session in `status`. */
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

  /** A statement has failed, behind these results of the same text. */
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

  /** A COPY into a table is complete. */
  onCopiedIn(tag: string, status: TransactionStatus): void {
    if (status === TransactionStatus.IDLE) this.committed = true;
    else if (!WRITES_NOTHING.test(tag)) this.wrote = true;
  }

  /** The refused COMMIT that was the last statement, returned once; null if there was none. */
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
