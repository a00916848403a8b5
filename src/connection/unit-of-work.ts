import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { Session } from '../session/session.js';
import { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import type { ConnectionCore } from './connection-core.js';

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
  const { pipeline, session } = core;
  // In its turn, behind whatever was not awaited: what is lost by then was lost before the COMMIT.
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
