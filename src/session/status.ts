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

/** What the status byte of `ReadyForQuery` means. */
export function statusFromByte(byte: number | undefined): TransactionStatus {
  switch (byte) {
    case 0x49:
      return TransactionStatus.IDLE;
    case 0x54:
      return TransactionStatus.INTRANS;
    case 0x45:
      return TransactionStatus.INERROR;
    default:
      return TransactionStatus.UNKNOWN;
  }
}
