import * as errors from '../errors/index.js';
import { errorFromResponse } from '../errors/server-error.js';
import { thrownText } from '../errors/thrown.js';
import type { StatementEntry } from './queue.js';
import type { StatementReply } from './reply.js';
import { shownText, type StatementRequest } from './statement.js';
import type { ResponseFields } from './transport.js';

/** The error that the server answered a statement with. */
export function statementError(fields: ResponseFields, request: StatementRequest): errors.DatabaseError {
  // The server's position refers to the text that was sent. It is not known in the text that is shown in its place.
  const position = request.shown === undefined ? undefined : () => null;
  return errorFromResponse(fields, shownText(request), request.parameterNames, position);
}

/** The error of a statement that was committed without its synchronous standby; `notice` is the server's. */
export function notReplicated(notice: ResponseFields, query: string | null): Error {
  const diag = new errors.Diagnostic(notice);
  const warning = new errors.OperationalError(diag.messagePrimary ?? 'it did not wait', { diag });
  return new errors.TransactionOutcomeUnknown(warning, { committed: true, query });
}

/** The error of a pipelined statement that the server skipped. */
export function pipelineAborted({ request }: StatementEntry, cause?: Error): Error {
  return new errors.PipelineAborted(
    'the statement was skipped, since one before it in the pipeline has failed',
    cause === undefined ? { query: shownText(request) } : { query: shownText(request), cause },
  );
}

/** The error of a COPY or stream that `cancelSafe()` ended. */
export function canceled({ request }: StatementEntry): Error {
  const what = request.exchange?.kind === 'copy' ? 'COPY' : 'stream';
  return new (errors.conditionClass('QueryCanceled'))(`the ${what} was ended by cancelSafe()`, {
    sqlstate: '57014',
    query: shownText(request),
  });
}

/** The error of a statement during a COPY or stream, which has exclusive use of the connection. */
export function busyWithExchange(running: StatementRequest, query: string | null): Error {
  return new errors.ProgrammingError(
    `the connection is busy with '${shownText(running).slice(0, 100)}', which has it to itself until it has been read or written to` +
      ' its end, or left; use another connection for what is to happen meanwhile',
    { query },
  );
}

/** The error of a COPY or stream in a pipeline. */
export function notInPipeline(kind: 'copy' | 'rows', query: string): Error {
  const what = kind === 'copy' ? 'COPY' : 'stream()';
  return new errors.NotSupportedError(`${what} can't be used in a pipeline; leave it first`, { query });
}

/**
 * Returns the error of a prepared statement that failed before its execution, because its result has changed or the server does
 * not have it; else null.
 */
export function outdated({ error, executions }: StatementReply): errors.Error | null {
  if (!(error instanceof errors.Error) || executions.every(({ statement }) => statement.name === ''))
    return null;
  const isOutdated =
    error.sqlstate === '26000' ||
    (error.sqlstate === '0A000' && error.diag.sourceFunction === 'RevalidateCachedQuery');
  return isOutdated ? error : null;
}

/** The same within a transaction, which has failed: the message says what to do. */
export function outdatedInTransaction(error: errors.Error): Error {
  const { query, diag, sqlstate } = error;
  const options = { query, diag, sqlstate, cause: error };
  if (sqlstate === '26000') {
    return new (errors.conditionClass('InvalidSqlStatementName'))(
      `${error.message}; the server connection is not the one that the statement was prepared on, or the statement has been deallocated.` +
        ' Behind a pooler in transaction mode set `prepareThreshold: null`; else roll back and run the transaction again',
      options,
    );
  }
  return new (errors.conditionClass('FeatureNotSupported'))(
    `${error.message}; a table that the prepared statement uses has changed, which fails the transaction: roll back and run it` +
      ' again, which prepares the statement again',
    options,
  );
}

/** The error of a result whose loader failed on a value. */
export function loadError(cause: unknown, text: string): Error {
  if (cause instanceof errors.Error) return cause;
  const detail = cause instanceof Error ? cause.message : thrownText(cause);
  return new errors.DataError(`a loader failed on a value of the result: ${detail}`, { cause, query: text });
}

/** The error of a COPY executed without a source or receiver of its data. */
export function copyRefused(text: string): Error {
  return new errors.ProgrammingError('COPY cannot be used with execute(); use copy() instead', {
    query: text,
  });
}
