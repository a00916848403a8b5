import type { errors, Notify } from '../../index.js';
import { serverFields } from './database-error.js';

/** A message that was sent by NOTIFY, as a client's event `notification` gives it. */
export interface Notification {
  readonly name: 'notification';
  readonly channel: string;
  readonly payload: string;
  /** The process id of the backend that sent it. */
  readonly processId: number;
}

/** A notice of the server, as a client's event `notice` gives it. */
export interface Notice {
  readonly name: 'notice';
  readonly message: string | undefined;
  readonly code: string | undefined;
  readonly severity: string | undefined;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
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
