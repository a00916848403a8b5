import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { Session } from '../session/session.js';
import { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import type { ConnectionCore } from './connection-core.js';

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
  try {
    result = await body();
    if (!core.endedByUser) await commit();
  } catch (error) {
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
 * the answer; with `InFailedSqlTransaction` if the server rolled back because a statement had failed; with the reason of `signal`
 * if the server rolled back because of its abort; else with the server's error.
 */
export function commit(core: ConnectionCore, { lock, signal }: CommitOptions = {}): Promise<void> {
  try {
    core.check();
  } catch (error) {
    return Promise.reject(error);
  }
  const { pipeline, session } = core;
  // The commit waits for statements that were not awaited: a connection lost by then was lost before the COMMIT.
  const isTurn = lock !== undefined || (session.quiet && !pipeline.active);
  return isTurn ? commitNow(core, lock, signal) : commitInTurn(core, signal);
}

async function commitInTurn(core: ConnectionCore, signal: AbortSignal | undefined): Promise<void> {
  const { pipeline, session } = core;
  if (pipeline.active) await pipeline.sync(signal);
  await session.exclusively((lock) => commitNow(core, lock, signal), signal);
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
  // A COMMIT within an earlier text may have ended the transaction without success.
  const refused = core.record.takeRefusedCommit();
  return refused === null
    ? NOTHING_TO_COMMIT
    : Promise.reject(nothingCommitted(core.session, refused.failure));
}

const NOTHING_TO_COMMIT = Promise.resolve();

/** Commits a prepared transaction; `gid` is quoted. Rejects like `commit()`. */
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

/** Whether an error is the server's answer, rather than the end of the session, which leaves the outcome open. */
function isAnswer(error: unknown): boolean {
  return error instanceof errors.Error && error.diag.severityNonlocalized === 'ERROR';
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
