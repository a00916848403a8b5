import type { StatementRequest } from './statement.js';
import {
  canGoExtended,
  controlsTransaction,
  isSingleStatement,
  leavesTransactionAlone,
} from './statement-text.js';

/** Rolls back the open transaction, if there is one. */
export const ROLLBACK: StatementRequest = {
  text: 'ROLLBACK',
  executions: [[]],
  begin: null,
  onlyIf: 'in transaction',
  rows: null,
  policy: { threshold: null, max: null },
};

/** The Sync of a pipeline: nothing to execute. */
export const SYNC: StatementRequest = {
  text: '',
  executions: [],
  begin: null,
  rows: null,
  policy: { threshold: null, max: null },
};

/** Whether postgres.js could send it although it need not: one statement, without parameters and not to be prepared. */
export function isForEngine(request: StatementRequest): boolean {
  const { text, executions, prepare, conversation, portal } = request;
  if (conversation !== undefined || portal !== undefined || prepare !== false) return false;
  return executions?.length === 1 && executions[0]!.length === 0 && canGoExtended(text);
}

/** Whether others may be sent behind it before it is answered. */
export function isTransparent({ text, executions, signal }: StatementRequest): boolean {
  if (signal !== undefined || !leavesTransactionAlone(text)) return false;
  return executions === null ? isSingleStatement(text) : executions.length === 1;
}

/** Whether a statement may be sent without waiting for what is before it. */
export function canBePipelined({ text, onlyIf, conversation, portal }: StatementRequest): boolean {
  const isOrdinary = onlyIf === undefined && conversation === undefined && portal === undefined;
  return isOrdinary && !controlsTransaction(text);
}
