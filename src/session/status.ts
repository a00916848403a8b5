/** The transaction status of a connection (Psycopg: `pq.TransactionStatus`). */
export const TransactionStatus = {
  /** No transaction is open. */
  IDLE: 'IDLE',
  /** A statement is running. */
  ACTIVE: 'ACTIVE',
  /** In a transaction, nothing running. */
  INTRANS: 'INTRANS',
  /** In a transaction that has failed: only a rollback gets out of it. */
  INERROR: 'INERROR',
  /** The connection is closed or lost. */
  UNKNOWN: 'UNKNOWN',
} as const;
export type TransactionStatus = (typeof TransactionStatus)[keyof typeof TransactionStatus];

/** Whether a connection is in a pipeline (Psycopg: `pq.PipelineStatus`). */
export const PipelineStatus = {
  /** Every statement waits for its own answer. */
  OFF: 'OFF',
  /** Statements are sent without waiting for answers. */
  ON: 'ON',
  /** A statement has failed; the server skips the rest up to the next `sync()`. */
  ABORTED: 'ABORTED',
} as const;
export type PipelineStatus = (typeof PipelineStatus)[keyof typeof PipelineStatus];

/** The transaction status for the status byte of `ReadyForQuery`. */
export const STATUS_OF_BYTE: Readonly<Record<number, TransactionStatus>> = {
  0x49: TransactionStatus.IDLE,
  0x54: TransactionStatus.INTRANS,
  0x45: TransactionStatus.INERROR,
};
