import { tokensOf, type Token } from './statement-tokens.js';

/** The options of a COPY statement that matter for encoding rows. Names are in lower case. */
export type CopyOptions = ReadonlyMap<string, string>;

/**
 * The options of a COPY … FROM STDIN or COPY … TO STDOUT, in the syntax with parentheses or in the older one: `format`,
 * `delimiter`, `null`, `header`, `encoding` and others, with their values unquoted. Null if the statement can't be made out. `backslashes` as
 * for `tokensOf()`.
 */
export function copyOptions(statement: string, backslashes: boolean): CopyOptions | null {
  const tokens = tokensOf(statement, backslashes);
  if (tokens === null) return null;
  let depth = 0;
  const end = tokens.findIndex((token, i) => {
    if (isSymbol(token, '(')) depth++;
    else if (isSymbol(token, ')')) depth--;
    return depth === 0 && i > 0 && isWord(token, 'stdin', 'stdout') && isWord(tokens[i - 1], 'from', 'to');
  });
  if (end < 0) return null;
  const options = new Map<string, string>();
  if (isWord(tokens[1], 'binary')) options.set('format', 'binary');
  const at = isWord(tokens[end + 1], 'with') ? end + 2 : end + 1;
  return isSymbol(tokens[at], '(')
    ? inParentheses(tokens, at + 1, options)
    : inOldSyntax(tokens, at, options);
}

/** Returns the first of several statements; null if there is only one. */
export function firstOfSeveral(text: string, backslashes: boolean): string | null {
  const tokens = tokensOf(text, backslashes) ?? [];
  const semicolon = tokens.findIndex((token) => isSymbol(token, ';'));
  const further = semicolon >= 0 && tokens.slice(semicolon).some((token) => !isSymbol(token, ';'));
  return further ? text.slice(0, tokens[semicolon]!.at) : null;
}

function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === 'word' && words.includes(token.value.toLowerCase());
}

function isSymbol(token: Token | undefined, symbol: string): boolean {
  return token?.kind === 'symbol' && token.value === symbol;
}

/** Parses names and values separated by commas; a value is optional. */
function inParentheses(tokens: readonly Token[], start: number, options: Map<string, string>): CopyOptions {
  let at = start;
  while (at < tokens.length && !isSymbol(tokens[at], ')')) {
    const name = tokens[at++]!.value.toLowerCase();
    const values: string[] = [];
    let depth = 0;
    for (; at < tokens.length; at++) {
      const token = tokens[at]!;
      if (depth === 0 && (isSymbol(token, ',') || isSymbol(token, ')'))) break;
      if (isSymbol(token, '(')) depth++;
      else if (isSymbol(token, ')')) depth--;
      values.push(token.value);
      // UESCAPE changes the escapes in the value. No valid option has such a value.
      if (isWord(token, 'uescape')) values.push('…');
    }
    options.set(name, values.join(''));
    if (isSymbol(tokens[at], ',')) at++;
  }
  return options;
}

const OLD_WITH_VALUE = ['delimiter', 'delimiters', 'null', 'encoding', 'quote', 'escape'];

function inOldSyntax(tokens: readonly Token[], start: number, options: Map<string, string>): CopyOptions {
  for (let at = start; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (isSymbol(token, ';') || isWord(token, 'where')) break;
    const word = token.value.toLowerCase();
    if (isWord(token, 'csv', 'binary')) {
      options.set('format', word);
    } else if (isWord(token, 'header')) {
      options.set('header', '');
    } else if (isWord(token, ...OLD_WITH_VALUE)) {
      if (isWord(tokens[at + 1], 'as')) at++;
      options.set(word === 'delimiters' ? 'delimiter' : word, tokens[++at]?.value ?? '');
    }
  }
  return options;
}

// --- what the options allow

const UTF8 = /^utf_?-?8$/i;

/** The options that must have the values of the text format: their defaults, and what they are called. */
const OF_TEXT: readonly (readonly [name: string, defaults: RegExp, description: string])[] = [
  ['delimiter', /^(?:\t|\\t)$/, 'a delimiter of its own'],
  ['null', /^\\N$/, 'a NULL of its own'],
  ['encoding', UTF8, 'an encoding of its own'],
];

/**
 * Why rows can't be encoded or decoded for a COPY with these options, if they could be made out; null if they can. What would be
 * read or stored as something else without a word is refused.
 */
export function whyNotRows(options: CopyOptions | null): string | null {
  if (options === null) return null;
  const refusal = (what: string): string =>
    `rows can't be written to or read from a COPY ${what}: use write() and read(), or copy in the text or the binary format with its defaults`;
  const format = options.get('format')?.toLowerCase() ?? 'text';
  if (format !== 'text') return refusal(format === 'csv' ? 'in csv' : 'in this format');
  for (const [name, defaults, description] of OF_TEXT) {
    const value = options.get(name);
    if (value !== undefined && !defaults.test(value)) return refusal(`with ${description}`);
  }
  return null;
}

const OFF: ReadonlySet<string> = new Set(['false', 'off', '0']);

/** Why the columns of a COPY … TO cannot be loaded as types; null if they can. */
export function whyNotTypes(options: CopyOptions | null): string | null {
  const header = options?.get('header');
  if (header === undefined || OFF.has(header.toLowerCase())) return null;
  return "the header of the COPY can't be loaded as values of the columns' types: copy without HEADER to use setTypes()";
}

/** Why texts cannot be copied in the session's foreign encoding; null if they can. */
export function whyNotTexts(options: CopyOptions | null, foreignEncoding: string | null): string | null {
  if (foreignEncoding === null || UTF8.test(options?.get('encoding') ?? '')) return null;
  return (
    `rows and strings can't be copied while client_encoding is ${foreignEncoding}: SET client_encoding TO UTF8,` +
    " copy with ENCODING 'UTF8', or write and read bytes"
  );
}
