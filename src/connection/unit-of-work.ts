import { channels, type UncommittedMessage } from '../diagnostics.js';
import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { Session } from '../session/session.js';
import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { keepsChanges, writesWithin } from '../sql-statement.js';
import { BatchRun } from './batch-run.js';
import type { ConnectionCore } from './connection-core.js';

// A unit of work: how it is run and ended, what counts as a commit, and what a transaction has done so far.

/** How a unit of work is ended. */
export interface UnitEnd {
  /** Commits; rejects unless the server has confirmed the COMMIT, or there was nothing to commit. */
  readonly commit: () => Promise<void>;
  /** Rolls back the remains of the unit after an error. If it rejects, its error replaces that error. */
  readonly undo: () => Promise<void>;
  /** Called once the unit has ended successfully. */
  readonly done?: () => Promise<void>;
}

/**
 * Runs `body` as a unit of work on a connection, and resolves with its result once that is committed. If `body` throws or the
 * commit fails, the unit is undone and the error is thrown. If the user closed or returned the connection within `body`, there is
 * nothing to commit, and the unit succeeds.
 */
export async function runUnit<T>(
  core: ConnectionCore,
  body: () => Promise<T> | T,
  { commit, undo, done }: UnitEnd,
): Promise<T> {
  let result: T;
  let hasReturned = false;
  try {
    result = await body();
    hasReturned = true;
    if (!core.endedByUser) await commit();
  } catch (error) {
    if (!hasReturned) keepStack(error);
    await undo();
    throw error;
  }
  if (done !== undefined) await done();
  return result;
}

/** How a commit is sent. */
export interface CommitOptions {
  /** The caller's lock, if it has exclusive use of the session. */
  readonly lock?: ExclusiveLock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Commits the open transaction, if any. Resolves only if the server has confirmed the COMMIT, or no transaction was open. Rejects
 * with the connection's error if it was lost before the COMMIT was sent; with `TransactionOutcomeUnknown` if it was lost before
 * the answer, or the server no longer waited for its synchronous standby; with `InFailedSqlTransaction` if the server rolled back
 * because a statement had failed; with the reason of `signal` if the server rolled back because of its abort; else with the
 * server's error.
 */
export function commit(core: ConnectionCore, { lock, signal }: CommitOptions = {}): Promise<void> {
  try {
    core.check();
  } catch (error) {
    return Promise.reject(error);
  }
  const { session } = core;
  // The commit waits for statements that were not awaited: a connection lost by then was lost before the COMMIT.
  const isTurn = lock !== undefined || (session.quiet && !core.inPipeline);
  return isTurn ? commitNow(core, lock, signal) : commitInTurn(core, signal);
}

async function commitInTurn(core: ConnectionCore, signal: AbortSignal | undefined): Promise<void> {
  if (core.inPipeline) await core.pipeline.sync(signal);
  await core.session.exclusively((lock) => commitNow(core, lock, signal), signal);
}

function commitNow(
  core: ConnectionCore,
  lock: ExclusiveLock | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A COMMIT within the last text may have ended the transaction without success.
  const refused = core.record.takeRefusedCommit();
  if (refused !== null) return refuse(core, refused.failure, lock);
  if (core.session.transactionStatus === TransactionStatus.IDLE) return NOTHING_TO_COMMIT;
  const refusal = core.batchRuns === null ? null : BatchRun.refusal(core.batchRuns);
  if (refusal !== null) return Promise.reject(refusal);
  return sendCommit(core, { text: 'COMMIT', maybe: 'committed', lock, signal });
}

/** Rejects a commit of what was rolled back before. COMMIT AND CHAIN has begun another transaction, which is empty. */
async function refuse(
  core: ConnectionCore,
  failure: errors.Error | null,
  lock: ExclusiveLock | undefined,
): Promise<never> {
  await core.command('ROLLBACK', { onlyIf: 'in transaction', lock, mustBeAnswered: true });
  throw nothingCommitted(core.session, failure);
}

const NOTHING_TO_COMMIT = Promise.resolve();

async function sendCommit(core: ConnectionCore, ending: Ending): Promise<void> {
  const tag = await sendEnding(core, ending);
  if (tag !== 'COMMIT')
    throw nothingCommitted(core.session, core.record.takeRefusedCommit()?.failure ?? null);
}

/** A statement that decides on a transaction. */
export interface Ending extends CommitOptions {
  readonly text: string;
  /** What it may have done to the transaction if it is not answered. */
  readonly maybe: 'committed' | 'prepared' | 'rolled back';
  /** Whether the transaction is one that outlives its connection once it is prepared. */
  readonly twoPhase?: boolean;
}

/**
 * Sends a statement that decides on a transaction, and returns its tag. Rejects with `TransactionOutcomeUnknown` if the connection
 * is lost before the answer.
 */
export async function sendEnding(
  core: ConnectionCore,
  { text, maybe, twoPhase, lock, signal }: Ending,
): Promise<string | null> {
  const wasClosed = core.session.closed;
  try {
    const [result] = await core.command(text, { lock, signal });
    return result?.tag ?? null;
  } catch (error) {
    if (wasClosed || !core.session.closed || isAnswer(error)) throw error;
    core.record.committed = true;
    throw new errors.TransactionOutcomeUnknown(error, { query: text, maybe, twoPhase });
  }
}

/** Whether an error is the server's answer, rather than the end of the session, which leaves the outcome open. */
function isAnswer(error: unknown): boolean {
  return (
    error instanceof errors.TransactionOutcomeUnknown ||
    (error instanceof errors.Error && error.diag.severityNonlocalized === 'ERROR')
  );
}

/** The error of a commit that the server rolled back; `failure` is the error of the transaction's failed statement. */
export function nothingCommitted(session: Session, failure: errors.Error | null): errors.Error {
  const why = failure === null ? '' : ` (${failure.message})`;
  const error = new (errors.conditionClass('InFailedSqlTransaction'))(
    `nothing was committed: a statement of the transaction has failed${why}, and its error was caught; let it out, or run` +
      ' what may fail within conn.withTransaction()',
    failure === null ? {} : { cause: failure },
  );
  locate(error, session.location);
  return error;
}

/** Tags of statements that change no data; a tag with a count writes nothing if the count is zero. */
const WRITES_NOTHING =
  /^(?:SELECT|SHOW|EXPLAIN|FETCH|MOVE|DECLARE CURSOR|CLOSE CURSOR|BEGIN|START TRANSACTION|SAVEPOINT|RELEASE|ROLLBACK|COMMIT|SET|RESET|LISTEN|UNLISTEN|DISCARD|PREPARE$|DEALLOCATE|LOCK TABLE|CHECKPOINT|LOAD|INSERT 0 0$|(?:UPDATE|DELETE|MERGE|COPY) 0$)/;
const MAKES_PERMANENT = /^(?:COMMIT|PREPARE TRANSACTION|COMMIT PREPARED)$/;
/** Tags after which an open transaction is another one than before. */
const BOUNDARY = /^(?:BEGIN|START TRANSACTION|COMMIT|PREPARE TRANSACTION)$/;
/** The SQLSTATE of a statement in a transaction that had already failed. */
const IN_FAILED_TRANSACTION = '25P02';

/**
 * Whether a result's statement has changed data; `text` contains the statement. CREATE TABLE AS has the tag of its SELECT, but no
 * columns.
 */
function wroteData({ tag, fields }: StatementResult, text: string): boolean {
  if (tag === null) return false;
  if (!WRITES_NOTHING.test(tag)) return true;
  return tag.startsWith('SELECT') && (fields === null || writesWithin(text));
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
  /** Set if the last text began with a COMMIT that the server answered with ROLLBACK; contains the transaction's error, if known. */
  #refusedCommit: { readonly failure: errors.Error | null } | null = null;

  /** Handles a successful statement with this text, which left the session in `status`. */
  onDone(results: readonly StatementResult[], text: string, status: TransactionStatus): void {
    const idle = status === TransactionStatus.IDLE;
    if (results.length > 0) {
      // An error ends its text, so only the first statement can meet a transaction that has failed.
      const refused = results[0]!.tag === 'ROLLBACK' && keepsChanges(text);
      this.#refusedCommit = refused ? { failure: this.failure } : null;
      this.#count(results, text, idle);
      if (status !== TransactionStatus.ACTIVE) this.failure = null;
    }
    if (idle) this.#end();
  }

  /**
   * Handles the end of a pipeline's segment, with the transaction status after it. If the segment was a transaction, and its writes were
   * undone, returns the error that did so; else null.
   */
  onSegmentEnd(status: TransactionStatus): errors.Error | null {
    if (status !== TransactionStatus.IDLE) return null;
    const undoneBy = this.wrote ? this.failure : null;
    this.failure = null;
    this.#end();
    return undoneBy;
  }

  /** Handles a failed statement, with the earlier results of the same text. */
  onError(error: unknown, results: readonly StatementResult[], status: TransactionStatus): void {
    this.#count(results, '', error instanceof errors.TransactionOutcomeUnknown);
    this.#refusedCommit = null;
    if (status === TransactionStatus.IDLE) this.#end();
    else if (status === TransactionStatus.UNKNOWN) this.committed = true;
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

  /** No transaction is open any more. */
  #end(): void {
    this.wrote = false;
    this.transaction++;
  }

  #count(results: readonly StatementResult[], text: string, isOutside: boolean): void {
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
        this.wrote = wroteData(result, text);
      }
    }
  }
}

/** All connections without a pool share one warning, as the connections of a pool do. */
let warned = false;

/** Reports a connection without a pool that was closed with uncommitted writes. */
export function reportUncommitted({ session }: ConnectionCore): void {
  const message: UncommittedMessage = { pool: null, backendPid: session.backendPid };
  channels.uncommitted.publish(message);
  if (warned) return;
  warned = true;
  process.emitWarning(
    `a connection (backend ${String(session.backendPid)}) was closed with writes that were not committed; they were rolled back.` +
      ' Leaving a scope never commits: await conn.commit() first, or use AsyncConnection.withConnection()',
    { code: 'USINGPG_UNCOMMITTED' },
  );
}
