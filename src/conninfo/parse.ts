import * as errors from '../errors/index.js';
import { isKnownName, storeParameter } from './parameter-names.js';
import { parseUri } from './uri.js';

/**
 * Parses a connection string in either form, keywords or URI. Raises `ProgrammingError`; the message shows at most a parameter's
 * name, since any other part of the string may be a password.
 */
export function parseConninfo(conninfo: string): Record<string, string> {
  if (conninfo.includes('\0'))
    throw new errors.ProgrammingError('the connection string contains a NUL character');
  if (/^postgres(?:ql)?:\/\//.test(conninfo)) return parseUri(conninfo);
  checkForeign(conninfo);
  return parseKeywords(conninfo);
}

/** Refuses the URL of another tool. Nothing of it but its scheme is shown. */
function checkForeign(text: string): void {
  const [, quote = '', jdbc, scheme = ''] = /^(["'\s]*)(jdbc:)?([a-z][\w+.-]*):(?=\/|$)/i.exec(text) ?? [];
  if (scheme === '') return;
  const shown = `${jdbc ?? ''}${scheme}:`;
  if (jdbc !== undefined) {
    throw new errors.ProgrammingError(
      `"${shown}" begins a URL of JDBC: write postgresql://user:password@host/dbname, without "jdbc:" and with user and password` +
        ' before the host',
    );
  }
  if (quote !== '') {
    throw new errors.ProgrammingError(
      'the connection URI begins with a quote or a space, which is no part of it: take it off where the URI comes from',
    );
  }
  const isSameServer =
    /^(?:postgres|postgresql|postgis|pgsql|psql|pg|cockroachdb|timescaledb)(?:\+.*)?$/i.test(scheme);
  throw new errors.ProgrammingError(
    isSameServer
      ? `the scheme "${shown}" is that of another client; a connection URI begins with postgresql://`
      : `the scheme "${shown}" is not that of PostgreSQL; a connection URI begins with postgresql://`,
  );
}

/** Parses the keyword form: `host=localhost password='it\\'s'`. */
function parseKeywords(text: string): Record<string, string> {
  const params: Record<string, string> = {};
  let afterPassword = false;
  for (let at = skipSpaces(text, 0); at < text.length; at = skipSpaces(text, at)) {
    const nameEnd = endOfName(text, at);
    const equals = skipSpaces(text, nameEnd);
    if (nameEnd === at || text[equals] !== '=') throw malformed(text.slice(at, nameEnd), afterPassword);
    const name = text.slice(at, nameEnd);
    const start = skipSpaces(text, equals + 1);
    const isQuoted = text[start] === "'";
    const { value, end } = isQuoted ? readQuoted(text, start + 1) : readPlain(text, start);
    if (afterPassword && !isKnownName(name)) throw splitPassword();
    storeParameter(params, name, value);
    afterPassword = name === 'password' && !isQuoted;
    at = end;
  }
  return params;
}

/** Reads a value up to its closing quote. `end` is the position after the quote. */
function readQuoted(text: string, start: number): { readonly value: string; readonly end: number } {
  const value = new Unescaped(text, start);
  for (let at = start; at < text.length; at++) {
    if (text[at] === "'") return { value: value.upTo(at), end: at + 1 };
    if (text[at] === '\\') value.passEscape(at++);
  }
  throw new errors.ProgrammingError('unterminated quoted string in connection info string');
}

/** Reads an unquoted value up to the next space. */
function readPlain(text: string, start: number): { readonly value: string; readonly end: number } {
  const value = new Unescaped(text, start);
  let at = start;
  for (; at < text.length && !isSpace(text[at]!); at++) {
    if (text[at] === '\\') value.passEscape(at++);
  }
  const end = Math.min(at, text.length);
  return { value: value.upTo(end), end };
}

/** Accumulates a value and removes the backslashes that escape characters. */
class Unescaped {
  readonly #text: string;
  readonly #pieces: string[] = [];
  #start: number;

  constructor(text: string, start: number) {
    this.#text = text;
    this.#start = start;
  }

  passEscape(backslash: number): void {
    this.#pieces.push(this.#text.slice(this.#start, backslash));
    this.#start = backslash + 1;
  }

  upTo(end: number): string {
    this.#pieces.push(this.#text.slice(this.#start, end));
    return this.#pieces.join('');
  }
}

function endOfName(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '=' && !isSpace(text[at]!)) at++;
  return at;
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text[at]!)) at++;
  return at;
}

/**
 * C's definition of white space. Other spaces, such as the no-break space, are ordinary characters and may be part of a password.
 */
function isSpace(char: string): boolean {
  return char === ' ' || (char >= '\t' && char <= '\r');
}

function malformed(word: string, afterPassword: boolean): Error {
  if (afterPassword && !isKnownName(word)) return splitPassword();
  // A word that is no parameter's name may be a piece of a secret value, so the message must not show it.
  return new errors.ProgrammingError(
    `missing "=" after ${isKnownName(word) ? `"${word}"` : 'a word'} in connection info string; write name=value pairs or a postgresql:// URI`,
  );
}

/** Text after an unquoted password that is no parameter is probably the rest of the password, so the message does not show it. */
function splitPassword(): Error {
  return new errors.ProgrammingError(
    'what follows the password in connection info string is not a connection option; a password with spaces needs quotes',
  );
}
