/**
 * The scenarios that cannot hold in JavaScript: their id, the number of the rule in the documentation's "Where JavaScript
 * differs", and the reason. All others must pass.
 */
export const EXCEPTIONS: Readonly<Record<string, { readonly rule: number; readonly why: string }>> = {
  'transactions-057': {
    rule: 8,
    why: 'Psycopg says nothing when a block whose failed statement was swallowed is rolled back at its end; here it raises InFailedSqlTransaction',
  },
  'closed-007': {
    rule: 8,
    why: 'Psycopg ends a block well whose connection was lost, if its body has swallowed the error; here the block raises it',
  },
};

/** The areas that are replayed. */
export const AREAS = [
  'execute',
  'placeholders',
  'transactions',
  'errors',
  'rows',
  'conninfo',
  'closed',
  'prepared',
  'sql',
  'client_cursor',
  'types',
  'pipeline',
  'copy',
  'server_cursor',
  'notify',
  'tpc',
  'pool',
] as const;

/** Calls that the library does not have yet. Steps with such calls are skipped, as are the states after them. */
export const LEFT_OUT: ReadonlySet<string> = new Set([]);
