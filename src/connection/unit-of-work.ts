import { channels, type UncommittedMessage } from '../diagnostics.js';
import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { Session } from '../session/session.js';
import type { StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import type { ConnectionCore } from './connection-core.js';

// A unit of work: how it is run and ended, what counts as a commit, and what a transaction has done so far.

/** How a unit of work is ended. */
export interface UnitEnd {
  /** Commits: rejects unless the server has said COMMIT, or there was nothing to commit. */
  readonly commit: () => Promise<void>;
  /** Rolls back what there is left of it, after an error. What it rejects with itself takes the place of that. */
  readonly undo: () => Promise<void>;
  /** What is to be done once it has ended well. */
  readonly done?: () => Promise<void>;
}

/**
 * Runs `body` as a unit of work on a connection, and resolves with what it returned once that is committed. If `body` throws, or
 * the commit fails, the unit is undone and the error is thrown. A connection that its user has closed or given back within `body`
 * has nothing left to commit, and the unit ends well.
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
  /** The lock of the caller, if it has the session exclusively. */
  readonly lock?: ExclusiveLock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Commits the open transaction, if there is one. Resolves only if the server has said COMMIT, or no transaction was open. Rejects with
 * the error of the connection if it was lost before the COMMIT was sent; with `TransactionOutcomeUnknown` if it was lost before
 * the answer; with `InFailedSqlTransaction` if the server has rolled back instead, since a statement had failed; else with the
 * server's error, or, if the server has rolled back for an abort of `signal`, with its reason.
 */
export function commit(core: ConnectionCore, { lock, signal }: CommitOptions = {}): Promise<void> {
  try {
    core.check();
  } catch (error) {
    return Promise.reject(error);
  }
  const { session } = core;
  // In its turn, behind whatever was not awaited: what is lost by then was lost before the COMMIT.
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
  if (core.session.transactionStatus !== TransactionStatus.IDLE) {
    const refusal = core.batchRuns === null ? null : BatchRun.refusal(core.batchRuns);
    if (refusal !== null) return Promise.reject(refusal);
    return sendCommit(core, 'COMMIT', 'COMMIT', lock, signal);
  }
  // A COMMIT in a text may have ended it, in vain.
  const refused = core.record.takeRefusedCommit();
  return refused === null
    ? NOTHING_TO_COMMIT
    : Promise.reject(nothingCommitted(core.session, refused.failure));
}

const NOTHING_TO_COMMIT = Promise.resolve();

/** Commits a prepared transaction, `gid` in quotes; rejects as `commit()` does. */
export function commitPrepared(
  core: ConnectionCore,
  gid: string,
  { lock, signal }: { readonly lock: ExclusiveLock; readonly signal: AbortSignal | undefined },
): Promise<void> {
  return sendCommit(core, `COMMIT PREPARED ${gid}`, 'COMMIT PREPARED', lock, signal);
}

async function sendCommit(
  core: ConnectionCore,
  text: string,
  expected: string,
  lock: ExclusiveLock | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const wasClosed = core.session.closed;
  let tag: string | null | undefined;
  try {
    const [result] = await core.command(text, { lock, signal });
    tag = result?.tag;
  } catch (error) {
    if (wasClosed || !core.session.closed || isAnswer(error)) throw error;
    core.record.committed = true;
    throw new errors.TransactionOutcomeUnknown(error);
  }
  if (tag !== expected)
    throw nothingCommitted(core.session, core.record.takeRefusedCommit()?.failure ?? null);
}

/** Whether the server has answered with an error, rather than with the end of the session, which leaves open what came before. */
function isAnswer(error: unknown): boolean {
  return error instanceof errors.Error && error.diag.severityNonlocalized === 'ERROR';
}

/** The server has rolled back, or could do nothing else; `failure` is what a statement of the transaction has failed with. */
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
