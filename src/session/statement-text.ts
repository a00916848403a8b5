// What can be said of a statement without parsing SQL. A wrong guess here may only ever cost speed, so all functions
// answer "no" whenever they are not sure.

const LEAVES_TRANSACTION_ALONE = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table|show)\b/i;

/** Whether `text` certainly is a single statement: it has no semicolon but at the very end. */
export function isSingleStatement(text: string): boolean {
  const semicolon = text.indexOf(';');
  return semicolon < 0 || text.slice(semicolon + 1).trim() === '';
}

/** Whether a text without parameters may go by the extended protocol: one statement, and no `$` to be taken for a parameter. */
export function canGoExtended(text: string): boolean {
  return !text.includes('$') && isSingleStatement(text);
}

const CONTROLS_TRANSACTION =
  /^\s*(?:begin|start\s|commit|end\b|abort|prepare\s+transaction|rollback(?!\s+(?:transaction\s+|work\s+)?to\b))/i;

/** Whether a statement begins or ends a transaction. */
export function controlsTransaction(text: string): boolean {
  return CONTROLS_TRANSACTION.test(text);
}

/** What a tag says that may leave prepared statements with plans for tables or types that are not there any more. */
const CHANGES_SCHEMA = /^(?:ALTER|DROP)\b/;
const MAY_CHANGE_SCHEMA = /^(?:ALTER|DROP|CREATE|SELECT INTO|DO|CALL)\b/;

/** Whether a command with this tag may have invalidated prepared statements. */
export function changesSchema(tag: string): boolean {
  return CHANGES_SCHEMA.test(tag);
}

/** Whether rolling back a command with this tag may invalidate statements prepared since. */
export function mayChangeSchema(tag: string): boolean {
  return MAY_CHANGE_SCHEMA.test(tag);
}

const HAS_FIXED_COLUMNS = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table)\b/i;

/**
 * Whether a statement, once it is prepared, has the same columns whenever it is executed, or fails. Those of FETCH, EXECUTE, CALL
 * and their like depend on what they are about then.
 */
export function hasFixedColumns(text: string): boolean {
  return HAS_FIXED_COLUMNS.test(text);
}

/** Whether the statement that `text` begins with certainly neither begins nor ends a transaction. */
export function leavesTransactionAlone(text: string): boolean {
  return LEAVES_TRANSACTION_ALONE.test(text);
}
