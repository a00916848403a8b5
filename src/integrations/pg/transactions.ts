import { errors, TransactionStatus } from '../../index.js';
import { firstWords } from '../../sql-segments.js';
import type { Result } from './result.js';

type Word = 'begin' | 'commit';

/** What a text begins with that begins or commits a transaction, or has comments before it. */
const CANDIDATE = /^[ \t\n\r\f\v]*(?:begin|start|end|commit|--|\/\*)/i;

/** Whether a text begins or commits a transaction, by its first words. */
export function transactionWordOf(text: string): Word | null {
  // Most statements are spared the search for words.
  if (!CANDIDATE.test(text)) return null;
  switch (firstWords(text, 1)) {
    case 'begin':
      return 'begin';
    case 'start':
      return firstWords(text, 2) === 'start transaction' ? 'begin' : null;
    case 'end':
      return 'commit';
    case 'commit':
      return firstWords(text, 2) === 'commit prepared' ? null : 'commit';
    default:
      return null;
  }
}

/**
 * Refuses a BEGIN within a transaction and a COMMIT without one, which the server answers with a warning only. Two tasks that share a
 * client do this: the work of one becomes a part of the other's transaction, or is committed with it.
 */
export function checkBefore(word: Word, status: TransactionStatus, query: string): void {
  if (word === 'begin' && status === TransactionStatus.INTRANS) {
    throw new errors.ActiveSqlTransaction(
      'BEGIN was sent on a client that is in a transaction, which another task may have begun: give each task a client of its own' +
        ' (pool.connect()), and nest with SAVEPOINT',
      { query },
    );
  }
  if (word === 'commit' && status === TransactionStatus.IDLE) {
    throw new errors.NoActiveSqlTransaction(
      'COMMIT was sent on a client that is in no transaction: its BEGIN was sent on another client, or another task has ended the' +
        ' transaction. Send all statements of a transaction on one client of pool.connect(), which no other task uses',
      { query },
    );
  }
}

/** Raises `InFailedSqlTransaction` for a COMMIT that the server has answered with a rollback, since a statement had failed. */
export function checkCommitted(result: Result | Result[], failure: unknown, query: string): void {
  const { command } = Array.isArray(result) ? result[0]! : result;
  if (command !== 'ROLLBACK') return;
  throw new errors.InFailedSqlTransaction(
    'the transaction was rolled back instead of committed, because one of its statements had failed; nothing of it is stored',
    { cause: failure ?? undefined, query },
  );
}

/** The error of a `pool.query()` that has left a transaction open, which was rolled back. */
export function leftOpen(query: string | null): Error {
  return new errors.ProgrammingError(
    'pool.query() has begun a transaction and not ended it, so it was rolled back: the next pool.query() would use another connection.' +
      ' Take a client with pool.connect(), send BEGIN, the statements and COMMIT on it, and release it',
    { query },
  );
}
