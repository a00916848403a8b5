/**
 * A token of SQL as PostgreSQL's lexer finds them. `literal`: a string, number or bit string. `space`: white space and comments.
 */
export interface Token {
  readonly kind: 'word' | 'quoted name' | 'literal' | 'parameter' | 'punctuation' | 'space';
  readonly text: string;
}

const SPACE = /\s+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const NUMBER = /\d[\w.]*|\.\d[\w.]*/y;
const PARAMETER = /\$\d+/y;
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$/y;
const STRING = /(?:[ebxn]|u&)?'/iy;
const QUOTED_NAME = /(?:u&)?"/iy;
const WORD = /[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*/y;
const COMMENT_PART = /\/\*|\*\//g;

/**
 * The tokens of a text, in linear time. A quote or a comment that does not end, as in a text that was cut, reaches to the end of
 * the text. Backslashes are escapes in strings with an E only.
 */
export function* tokensOf(sql: string): Generator<Token> {
  for (let at = 0; at < sql.length;) {
    const [kind, end] = tokenAt(sql, at);
    yield { kind, text: sql.slice(at, end) };
    at = end;
  }
}

function tokenAt(sql: string, at: number): [kind: Token['kind'], end: number] {
  let end: number;
  if ((end = endOf(SPACE, sql, at)) > 0) return ['space', end];
  if ((end = endOf(LINE_COMMENT, sql, at)) > 0) return ['space', end];
  if (sql.startsWith('/*', at)) return ['space', endOfComment(sql, at)];
  if ((end = endOf(STRING, sql, at)) > 0) {
    return ['literal', endOfQuoted(sql, end, "'", /^e/i.test(sql[at]!))];
  }
  if ((end = endOf(QUOTED_NAME, sql, at)) > 0) return ['quoted name', endOfQuoted(sql, end, '"', false)];
  if ((end = endOf(WORD, sql, at)) > 0) return ['word', end];
  if ((end = endOf(PARAMETER, sql, at)) > 0) return ['parameter', end];
  if ((end = endOf(NUMBER, sql, at)) > 0) return ['literal', end];
  if ((end = endOf(DOLLAR_QUOTE, sql, at)) > 0) {
    const tag = sql.slice(at, end);
    const close = sql.indexOf(tag, end);
    return ['literal', close < 0 ? sql.length : close + tag.length];
  }
  return ['punctuation', at + 1];
}

/** The end of what the pattern matches at a place; 0 if it does not match there. */
function endOf(pattern: RegExp, sql: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : 0;
}

/** The end of a string or a quoted name, behind its closing quote; two quotes stand for one. */
function endOfQuoted(sql: string, from: number, quote: string, hasEscapes: boolean): number {
  for (let at = from; at < sql.length; at++) {
    if (hasEscapes && sql[at] === '\\') at++;
    else if (sql[at] === quote && sql[++at] !== quote) return at;
  }
  return sql.length;
}

/** The end of a comment; comments nest. */
function endOfComment(sql: string, start: number): number {
  let depth = 0;
  COMMENT_PART.lastIndex = start;
  for (let part; (part = COMMENT_PART.exec(sql)) !== null;) {
    depth += part[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_PART.lastIndex;
  }
  return sql.length;
}
