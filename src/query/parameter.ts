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

/** Whether a parameter may stand on both sides of `text` as it is. */
export function standsApart(text: string): boolean {
  return !JOINS_BEFORE.test(text) && !JOINS_BEHIND.test(text);
}
