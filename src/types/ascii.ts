// The bytes of the characters that have a meaning in the server's texts.

export const TAB = 0x09;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const OPEN_PARENTHESIS = 0x28;
export const CLOSE_PARENTHESIS = 0x29;
export const PLUS = 0x2b;
export const COMMA = 0x2c;
export const MINUS = 0x2d;
export const DOT = 0x2e;
export const ZERO = 0x30;
export const COLON = 0x3a;
export const BACKSLASH = 0x5c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;

/** White space as the server's parsers take it; JavaScript's has characters beyond ASCII, too. */
export const WHITE_SPACE = ' \t\n\v\f\r';

/** The text without the server's white space around it. */
export function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && WHITE_SPACE.includes(text[start]!)) start++;
  while (end > start && WHITE_SPACE.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}

/** The bit by which an ASCII letter's lower case differs. */
export const LOWER_CASE = 0x20;
