import { SqlScanner } from '../sql-scanner.js';
import { isComment, segmentsOf } from '../sql-segments.js';

/** A word, a quoted name, a string, or a single character of a statement, with its position. */
export interface Token {
  readonly at: number;
  readonly kind: 'word' | 'name' | 'string' | 'symbol';
  /** Its value, without quotes and with escapes resolved. */
  readonly value: string;
}

const WORD_OR_SYMBOL = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*|[^ \t\n\r\f\v]/g;
const IS_WORD = /^[\w\u0080-\uffff]/;

/**
 * Takes a statement apart, without its white space and comments. Null for a string or a comment that has no end. `backslashes`: strings
 * without an E have escapes as well, as with `standard_conforming_strings` off.
 */
export function tokensOf(text: string, backslashes: boolean): Token[] | null {
  const tokens: Token[] = [];
  const scanner = new SqlScanner(backslashes);
  let escapes = '';
  for (const segment of segmentsOf(text, scanner)) {
    if (isComment(segment)) continue;
    const { kind, start: at, end, isContinued } = segment;
    const part = text.slice(at, end);
    if (kind === 'sql') {
      for (const { 0: value, index } of part.matchAll(WORD_OR_SYMBOL)) {
        tokens.push({ at: at + index, kind: IS_WORD.test(value) ? 'word' : 'symbol', value });
      }
    } else if (kind === 'dollar-quoted string') {
      const tag = part.indexOf('$', 1) + 1;
      tokens.push({ at, kind: 'string', value: part.slice(tag, -tag) });
    } else {
      const quote = kind === 'string' ? "'" : '"';
      const from = part.indexOf(quote);
      if (!isContinued) escapes = part.slice(0, from).toLowerCase();
      if (escapes === '' && backslashes && kind === 'string') escapes = 'e';
      const value = unescaped(part.slice(from + 1, -1).replaceAll(quote + quote, quote), escapes);
      const before = isContinued ? tokens.pop() : undefined;
      tokens.push({
        at: before?.at ?? at,
        kind: kind === 'string' ? 'string' : 'name',
        value: (before?.value ?? '') + value,
      });
    }
  }
  return scanner.open === null || scanner.open === 'line comment' ? tokens : null;
}

const C_ESCAPE = /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))/g;
const LETTERS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const UNICODE_ESCAPE = /\\(?:([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|(\\))/g;

/** Resolves the escapes of a string or a name with this prefix. */
function unescaped(text: string, prefix: string): string {
  if (prefix === 'u&') {
    return text.replace(
      UNICODE_ESCAPE,
      (_, four?: string, six?: string, itself?: string) => itself ?? character(four ?? six!, 16),
    );
  }
  if (prefix !== 'e') return text;
  return text.replace(C_ESCAPE, (_, octal?: string, x?: string, u?: string, U?: string, letter = '') => {
    const hex = x ?? u ?? U;
    if (octal !== undefined) return character(octal, 8);
    return hex === undefined ? (LETTERS[letter as string] ?? (letter as string)) : character(hex, 16);
  });
}

/** The character with this number; an invalid number gives a character that occurs in no option. */
function character(digits: string, base: number): string {
  const code = Number.parseInt(digits, base);
  return code <= 0x10_ffff ? String.fromCodePoint(code) : '\ufffd';
}
