import { TransactionStatus, type errors, type Notify } from '../../index.js';
import { serverFields } from './database-error.js';

/** A message that was sent by NOTIFY, as a client's event `notification` gives it. */
export interface Notification {
  /** The kind of the message. */
  readonly name: 'notification';
  /** The channel. */
  readonly channel: string;
  /** What was sent; empty if nothing. */
  readonly payload: string;
  /** The process id of the backend that sent it. */
  readonly processId: number;
}

/** A notice of the server, as a client's event `notice` gives it. */
export interface Notice {
  /** The kind of the message. */
  readonly name: 'notice';
  /** The text of the notice. */
  readonly message: string | undefined;
  /** Its SQLSTATE. */
  readonly code: string | undefined;
  /** NOTICE, WARNING, INFO, LOG or DEBUG, in the server's language. */
  readonly severity: string | undefined;
  /** Details. */
  readonly detail: string | undefined;
  /** A suggestion what to do. */
  readonly hint: string | undefined;
  /** The call stack of the server. */
  readonly where: string | undefined;
}

export function notificationOf({ channel, payload, pid }: Notify): Notification {
  return { name: 'notification', channel, payload, processId: pid };
}

/** The fields of a notice; those that the server did not send are undefined, as in node-postgres. */
export function noticeOf(diag: errors.Diagnostic): Notice {
  const fields = Object.entries(serverFields(diag)).map(([name, value]) => [name, value ?? undefined]);
  return {
    name: 'notice',
    message: diag.messagePrimary ?? undefined,
    code: diag.sqlstate ?? undefined,
    ...(Object.fromEntries(fields) as Omit<Notice, 'name' | 'message' | 'code'>),
  };
}

/** The letter by which the server tells its transaction status; null while a statement runs. */
export function statusLetterOf(status: TransactionStatus): 'I' | 'T' | 'E' | null {
  return LETTERS[status] ?? null;
}

const LETTERS: Partial<Record<TransactionStatus, 'I' | 'T' | 'E'>> = {
  [TransactionStatus.IDLE]: 'I',
  [TransactionStatus.INTRANS]: 'T',
  [TransactionStatus.INERROR]: 'E',
};
