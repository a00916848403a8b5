/** Behind this, `$1` would be part of a name, or begin a dollar-quoted string. */
const JOINS_BEFORE = /[\w$\x80-\uffff]$/;
/** Behind `$1`, this would make another number of it, or a token that is none. */
const JOINS_BEHIND = /^[\w$\x80-\uffff]/;

/** `text` with the parameter `$number` behind it, which stays a token of its own whatever the text ends with. */
export function withParameter(text: string, number: number): string {
  return `${text}${JOINS_BEFORE.test(text) ? ' ' : ''}$${String(number)}`;
}

/** What stands behind a parameter, so that the parameter stays a token of its own. */
export function behindParameter(text: string): string {
  return JOINS_BEHIND.test(text) ? ` ${text}` : text;
}

/** `text` behind other SQL: two minus signs that meet would begin a comment, as would a slash and an asterisk. */
export function behindSql(before: string, text: string): string {
  const meet = `${before.slice(-1)}${text.slice(0, 1)}`;
  return meet === '--' || meet === '/*' ? ` ${text}` : text;
}

const ENDS_OF_COMMENT_SIGNS = /^[-*]|[-/]$/;

/** Whether a parameter, or other SQL, may stand on both sides of `text` as it is. */
export function standsApart(text: string): boolean {
  return !JOINS_BEFORE.test(text) && !JOINS_BEHIND.test(text) && !ENDS_OF_COMMENT_SIGNS.test(text);
}
