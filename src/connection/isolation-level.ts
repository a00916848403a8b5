/** The isolation level of a transaction (Psycopg: `IsolationLevel`). */
export const IsolationLevel = {
  /** The same as `READ_COMMITTED` in PostgreSQL. */
  READ_UNCOMMITTED: 'READ_UNCOMMITTED',
  /** Each statement sees the data committed before it began: the server's default. */
  READ_COMMITTED: 'READ_COMMITTED',
  /** All statements see the data committed before the first of them began. */
  REPEATABLE_READ: 'REPEATABLE_READ',
  /** Transactions have the effect of running one after another; a transaction that cannot raises `SerializationFailure`. */
  SERIALIZABLE: 'SERIALIZABLE',
} as const;
export type IsolationLevel = (typeof IsolationLevel)[keyof typeof IsolationLevel];
