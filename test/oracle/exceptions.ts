/**
 * The scenarios that can't hold here: their id, the rule of the documentation's "Where JavaScript differs" (by number), and
 * why. Everything else must pass.
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

/** Calls that the library does not have yet. A step that makes one is left out, and so is the state that it would leave. */
export const LEFT_OUT: ReadonlySet<string> = new Set([]);
