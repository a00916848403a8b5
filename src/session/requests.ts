import type { StatementRequest } from './statement.js';
import { controlsTransaction, isSingleStatement, leavesTransactionAlone } from './statement-text.js';

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
