/** The isolation level of a transaction (Psycopg: `IsolationLevel`). */
export const IsolationLevel = {
  /** To PostgreSQL the same as `READ_COMMITTED`. */
  READ_UNCOMMITTED: 'READ_UNCOMMITTED',
  /** Each statement sees what was committed before it began: the server's default. */
  READ_COMMITTED: 'READ_COMMITTED',
  /** All statements see what was committed before the first of them began. */
  REPEATABLE_READ: 'REPEATABLE_READ',
  /** As if transactions ran one after the other; one that can't is refused with `SerializationFailure`. */
  SERIALIZABLE: 'SERIALIZABLE',
} as const;
export type IsolationLevel = (typeof IsolationLevel)[keyof typeof IsolationLevel];
