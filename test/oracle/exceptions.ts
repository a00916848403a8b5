/**
 * The scenarios that can't hold here: their id, the rule of the documentation's "Where JavaScript differs" (by number), and
 * why. Everything else must pass.
 */
export const EXCEPTIONS: Readonly<Record<string, { readonly rule: number; readonly why: string }>> = {};

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
