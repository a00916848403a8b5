// What can be said of a statement without parsing SQL. A wrong guess here may only ever cost speed, so both functions
// answer "no" whenever they are not sure.

const LEAVES_TRANSACTION_ALONE = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table|show)\b/i;

/** Whether `text` certainly is a single statement: it has no semicolon but at the very end. */
export function isSingleStatement(text: string): boolean {
  const semicolon = text.indexOf(';');
  return semicolon < 0 || text.slice(semicolon + 1).trim() === '';
}

/** Whether the statement that `text` begins with certainly neither begins nor ends a transaction. */
export function leavesTransactionAlone(text: string): boolean {
  return LEAVES_TRANSACTION_ALONE.test(text);
}
