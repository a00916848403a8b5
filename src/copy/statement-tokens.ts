/** A word, a quoted name, a string, or a single character of a statement, and where it begins. */
export interface Token {
  readonly at: number;
  readonly kind: 'word' | 'name' | 'string' | 'symbol';
  /** What it stands for: without quotes, its escapes resolved. */
  readonly value: string;
}

/** How the escapes of a quoted text are written: not at all, as in `E''`, or as in `U&''`. */
type Escapes = 'none' | 'c' | 'unicode';

const QUOTED = /([eE]|[uU]&)?(?=')|[uU]&(?=")|(?=")/y;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const SPACE = /\s+/y;

/**
 * Takes a statement apart, without its white space and comments. Null for a string or comment that has no end. Looks at each character
 * a few times at most, whatever the statement is.
 */
export function tokensOf(text: string): Token[] | null {
  const tokens: Token[] = [];
  /** The string that has been read last, which one on another line goes on with. */
  let last: { readonly end: number; readonly escapes: Escapes } | null = null;
  let at = 0;
  while (at < text.length) {
    const start = at;
    const isComment = text.startsWith('--', at) || text.startsWith('/*', at);
    const space = isComment ? null : matched(SPACE, text, at);
    if (space !== null) {
      at += space.length;
      continue;
    }
    if (isComment) {
      at = endOfComment(text, at);
      if (at < 0) return null;
      continue;
    }
    const prefix = matched(QUOTED, text, at);
    const dollar = prefix === null ? matched(DOLLAR, text, at) : null;
    if (prefix !== null) {
      at += prefix.length;
      const quote = text[at]!;
      const goesOn: boolean =
        last !== null && prefix === '' && quote === "'" && text.slice(last.end, at).includes('\n');
      const escapes: Escapes = goesOn
        ? last!.escapes
        : prefix === ''
          ? 'none'
          : prefix.length === 1
            ? 'c'
            : 'unicode';
      const end = endOfQuoted(text, at, quote, escapes === 'c');
      if (end < 0) return null;
      const value = unescaped(text.slice(at + 1, end - 1).replaceAll(quote + quote, quote), escapes);
      const previous = goesOn ? tokens.pop()! : null;
      tokens.push({
        at: previous?.at ?? start,
        kind: quote === "'" ? 'string' : 'name',
        value: (previous?.value ?? '') + value,
      });
      at = end;
      last = { end, escapes };
      continue;
    }
    if (dollar !== null) {
      const end = text.indexOf(dollar, at + dollar.length);
      if (end < 0) return null;
      tokens.push({ at, kind: 'string', value: text.slice(at + dollar.length, end) });
      at = end + dollar.length;
    } else {
      const word = matched(WORD, text, at);
      tokens.push({ at, kind: word === null ? 'symbol' : 'word', value: word ?? text[at]! });
      at += word?.length ?? 1;
    }
    last = null;
  }
  return tokens;
}

function matched(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

/** Where a comment ends, of which those between slashes nest; -1 if there is no end. */
function endOfComment(text: string, start: number): number {
  if (text[start] === '-') {
    const end = text.indexOf('\n', start);
    return end < 0 ? text.length : end;
  }
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text.startsWith('/*', at)) {
      depth++;
      at++;
    } else if (text.startsWith('*/', at)) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

/** Where a quoted text ends; a doubled quote does not end it, nor does one behind a backslash where that means something. */
function endOfQuoted(text: string, start: number, quote: string, hasBackslashes: boolean): number {
  for (let at = start + 1; at < text.length; at++) {
    if (hasBackslashes && text[at] === '\\') at++;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  return -1;
}

const C_ESCAPE = /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))/g;
const LETTERS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const UNICODE_ESCAPE = /\\(?:([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|(\\))/g;

function unescaped(text: string, escapes: Escapes): string {
  if (escapes === 'none' || !text.includes('\\')) return text;
  if (escapes === 'unicode') {
    return text.replace(
      UNICODE_ESCAPE,
      (_, four?: string, six?: string, itself?: string) => itself ?? character(four ?? six!, 16),
    );
  }
  return text.replace(C_ESCAPE, (_, octal?: string, x?: string, u?: string, U?: string, letter = '') =>
    octal === undefined
      ? x === undefined && u === undefined && U === undefined
        ? (LETTERS[letter as string] ?? (letter as string))
        : character((x ?? u ?? U)!, 16)
      : character(octal, 8),
  );
}

/** The character of a number; what is none stays no letter of any option. */
function character(digits: string, base: number): string {
  const code = Number.parseInt(digits, base);
  return code <= 0x10_ffff ? String.fromCodePoint(code) : '\ufffd';
}
