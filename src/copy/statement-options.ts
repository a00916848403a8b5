/** What a COPY statement says of its data, as far as it matters to who encodes rows. Names of options are in lower case. */
export type CopyOptions = ReadonlyMap<string, string>;

const TOKEN =
  /\s+|--[^\n]*|\/\*|[eEnNbBxX]?'|"(?:[^"]|"")*"|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*|[\s\S]/y;

/**
 * The options of a COPY … FROM STDIN or COPY … TO STDOUT, in the syntax with parentheses or in the older one: `format`,
 * `delimiter`, `null`, `header`, `encoding` and others, with their values unquoted. Null if the statement can't be made out.
 */
export function copyOptions(statement: string): CopyOptions | null {
  const tokens = tokenize(statement);
  if (tokens === null) return null;
  let depth = 0;
  const end = tokens.findIndex((token, i) => {
    if (token === '(') depth++;
    else if (token === ')') depth--;
    return depth === 0 && i > 0 && isWord(token, ENDS) && isWord(tokens[i - 1]!, DIRECTIONS);
  });
  if (end < 0) return null;
  const options = new Map<string, string>();
  if (isWord(tokens[1] ?? '', new Set(['binary']))) options.set('format', 'binary');
  let at = end + 1;
  if (isWord(tokens[at] ?? '', new Set(['with']))) at++;
  return tokens[at] === '(' ? inParentheses(tokens, at + 1, options) : inOldSyntax(tokens, at, options);
}

/** The first of several statements; null if there is but one. */
export function firstOfSeveral(text: string): string | null {
  const tokens = positions(text) ?? [];
  const semicolon = tokens.findIndex(({ token }) => token === ';');
  const further = semicolon >= 0 && tokens.slice(semicolon).some(({ token }) => token !== ';');
  return further ? text.slice(0, tokens[semicolon]!.at) : null;
}

const ENDS: ReadonlySet<string> = new Set(['stdin', 'stdout']);
const DIRECTIONS: ReadonlySet<string> = new Set(['from', 'to']);
const OLD_WITH_VALUE: ReadonlySet<string> = new Set([
  'delimiter',
  'delimiters',
  'null',
  'encoding',
  'quote',
  'escape',
]);

function isWord(token: string, words: ReadonlySet<string>): boolean {
  return words.has(token.toLowerCase());
}

/** Name and value, with commas between; a value may be left out. */
function inParentheses(tokens: readonly string[], start: number, options: Map<string, string>): CopyOptions {
  let at = start;
  while (at < tokens.length && tokens[at] !== ')') {
    const name = unquoted(tokens[at++]!).toLowerCase();
    let value = '';
    let depth = 0;
    for (; at < tokens.length; at++) {
      const token = tokens[at]!;
      if (depth === 0 && (token === ',' || token === ')')) break;
      if (token === '(') depth++;
      else if (token === ')') depth--;
      value += unquoted(token);
    }
    options.set(name, value);
    if (tokens[at] === ',') at++;
  }
  return options;
}

function inOldSyntax(tokens: readonly string[], start: number, options: Map<string, string>): CopyOptions {
  for (let at = start; at < tokens.length; at++) {
    const word = tokens[at]!.toLowerCase();
    if (word === 'where' || word === ';') break;
    if (word === 'csv' || word === 'binary') {
      options.set('format', word);
    } else if (word === 'header') {
      options.set('header', '');
    } else if (OLD_WITH_VALUE.has(word)) {
      if (isWord(tokens[at + 1] ?? '', new Set(['as']))) at++;
      options.set(word === 'delimiters' ? 'delimiter' : word, unquoted(tokens[++at] ?? ''));
    }
  }
  return options;
}

function tokenize(text: string): string[] | null {
  return positions(text)?.map(({ token }) => token) ?? null;
}

/** Words, strings and single characters, without white space and comments. Null for a string or comment that has no end. */
function positions(text: string): { readonly token: string; readonly at: number }[] | null {
  const tokens: { readonly token: string; readonly at: number }[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)![0];
    let end: number = at + token.length;
    if (token === '/*') {
      end = endOfComment(text, end);
    } else if (token.endsWith("'")) {
      end = endOfString(text, end, /^e/i.test(token));
    } else if (token.length > 1 && token.startsWith('$')) {
      const close = text.indexOf(token, end);
      end = close < 0 ? 0 : close + token.length;
    }
    if (end === 0) return null;
    if (!/^(?:\s|--|\/\*)/.test(token)) tokens.push({ token: text.slice(at, end), at });
    at = end;
  }
  return tokens;
}

/** Comments nest. 0 if there is no end. */
function endOfComment(text: string, start: number): number {
  let depth = 1;
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
  return 0;
}

/** A doubled quote is none, nor is one behind a backslash in an E string. 0 if there is no end. */
function endOfString(text: string, start: number, hasEscapes: boolean): number {
  for (let at = start; at < text.length; at++) {
    if (hasEscapes && text[at] === '\\') at++;
    else if (text[at] === "'") {
      if (text[at + 1] !== "'") return at + 1;
      at++;
    }
  }
  return 0;
}

const ESCAPED_LETTERS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unquoted(token: string): string {
  if (token.startsWith('"')) return token.slice(1, -1).replaceAll('""', '"');
  if (/^e'/i.test(token)) {
    return token
      .slice(2, -1)
      .replaceAll("''", "'")
      .replace(/\\([\s\S])/g, (_all, letter: string) => ESCAPED_LETTERS[letter] ?? letter);
  }
  if (token.startsWith("'")) return token.slice(1, -1).replaceAll("''", "'");
  return token;
}
