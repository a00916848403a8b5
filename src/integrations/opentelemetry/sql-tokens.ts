import { SqlScanner } from '../../sql-scanner.js';
import { segmentsOf, type Segment } from '../../sql-segments.js';

/** A token of SQL as PostgreSQL's lexer finds them. `literal`: a string, number or bit string. */
export interface Token {
  readonly kind: 'word' | 'quoted name' | 'literal' | 'parameter' | 'punctuation' | 'space' | 'comment';
  readonly text: string;
}

const KINDS: Readonly<Record<Exclude<Segment['kind'], 'sql'>, Token['kind']>> = {
  string: 'literal',
  'dollar-quoted string': 'literal',
  'quoted identifier': 'quoted name',
  comment: 'comment',
  'line comment': 'comment',
};

/** The tokens outside of quotes and comments: a word, a parameter, a number, white space, or one character. */
const SQL_TOKEN = /[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*|\$\d+|\d[\w.]*|\.\d[\w.]*|[ \t\n\r\f\v]+|[^]/g;

/**
 * The tokens of a text, in linear time. A quote or a comment that does not end, as in a text that was cut, reaches to the end of
 * the text. Backslashes are escapes in strings with an E only.
 */
export function* tokensOf(sql: string): Generator<Token> {
  for (const { kind, start, end } of segmentsOf(sql, new SqlScanner(false))) {
    const text = sql.slice(start, end);
    if (kind !== 'sql') yield { kind: KINDS[kind], text };
    else for (const token of text.match(SQL_TOKEN)!) yield { kind: kindOf(token), text: token };
  }
}

function kindOf(token: string): Token['kind'] {
  if (/^[A-Za-z_\x80-\uffff]/.test(token)) return 'word';
  if (/^[ \t\n\r\f\v]/.test(token)) return 'space';
  if (/^\.?\d/.test(token)) return 'literal';
  return /^\$\d/.test(token) ? 'parameter' : 'punctuation';
}
