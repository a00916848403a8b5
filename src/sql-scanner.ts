// The part of PostgreSQL's lexer that finds quotes and comments, used by all modules: by compositions for what their pieces leave
// open, by sessions to recognise a single statement, and by COPY for the options of its statement.

/** An unfinished quote or comment at the end of a piece of SQL; text within it is no SQL until it ends. */
export type Enclosure = 'string' | 'quoted identifier' | 'comment' | 'line comment' | 'dollar-quoted string';

/** `plain`: two quotes stand for one; `escapes`: a backslash also escapes the next character; `bits`: neither, as in B'01'. */
type StringKind = 'plain' | 'escapes' | 'bits';

type Mode =
  | Enclosure
  /** Between tokens, or after a token that nothing can join. */
  | 'sql'
  /** In a name or a keyword, whose end may be the prefix of a string. */
  | 'word'
  /** After U&. */
  | 'unicode'
  | 'number'
  /** After a minus sign, which may begin a line comment. */
  | 'minus'
  /** After a slash, which may begin a comment. */
  | 'slash'
  /** After $ and the possible start of a dollar quote's tag. */
  | 'dollar'
  /** After a backslash in a string. */
  | 'escape'
  /** After the closing quote of a string, and white space: another quote may continue the string. */
  | 'string end';

/** The enclosure of each mode that is not SQL. */
const ENCLOSURES: Readonly<Partial<Record<Mode, Enclosure>>> = {
  string: 'string',
  escape: 'string',
  'quoted identifier': 'quoted identifier',
  comment: 'comment',
  'line comment': 'line comment',
  'dollar-quoted string': 'dollar-quoted string',
};

/** The kinds of strings by their prefix; a national string has the kind of a string without a prefix. */
const PREFIXED: Readonly<Record<string, StringKind | 'unprefixed'>> = {
  e: 'escapes',
  b: 'bits',
  x: 'bits',
  n: 'unprefixed',
};

/** A text without any of these leaves nothing open if nothing was open before it. */
const SIGNIFICANT = /['"$&]|--|\/\*/;
const IS_WORD = /[\w$\x80-\uffff]/;
const WORD = /[\w$\x80-\uffff]+/y;
const TAG = /[\w\x80-\uffff]*/y;
const DIGITS = /\d+/y;
const UNREMARKABLE = /[^\w'"$\-/\x80-\uffff]+/y;

/**
 * Scans SQL like PostgreSQL's lexer, in pieces that may be split anywhere. Reports the enclosure of the next piece, and whether
 * the next piece would join the previous token.
 */
export class SqlScanner {
  readonly #unprefixed: StringKind;
  #mode: Mode = 'sql';
  /** The last character of the text. */
  #last = '';
  /** The word so far in lower case, if it is a single letter; '' if it is longer. */
  #letter = '';
  #string: StringKind = 'plain';
  /** The text since the end of a string that may be continued: nothing, white space, or white space with a line break. */
  #since: 'nothing' | 'space' | 'line break' = 'nothing';
  /** Whether the line comment or the minus sign follows a string that may be continued. */
  #behindString = false;
  /** The nesting depth of comments, and whether the last character may be the first half of a comment's delimiter. */
  #depth = 0;
  #half = '';
  #tag = '';
  /** The number of characters of the tag that the text ends with. */
  #matched = 0;
  #hasParameter = false;
  /**
   * The number of characters that opened the current enclosure: a quote with its prefix, a tag, or the two characters of a
   * comment.
   */
  opening = 0;
  /** Whether the open string continues the previous one on another line. */
  isContinued = false;

  /** `backslashes`: strings without an E have escapes, too, as with `standard_conforming_strings` off. */
  constructor(backslashes: boolean) {
    this.#unprefixed = backslashes ? 'escapes' : 'plain';
  }

  /** The enclosure of the next piece; null if it is SQL. */
  get open(): Enclosure | null {
    return ENCLOSURES[this.#mode] ?? null;
  }

  /** Whether a `$` outside of quotes has been read, which is probably a parameter's. */
  get hasParameter(): boolean {
    return this.#hasParameter || this.#mode === 'dollar';
  }

  /** Whether a name or a keyword may continue. */
  get isInName(): boolean {
    return this.#mode === 'word';
  }

  /** Whether any SQL or token may follow without a check: nothing is open, and no token can continue. */
  get isNeutral(): boolean {
    return this.#mode === 'sql' && this.#last !== '"' && this.#last !== '.';
  }

  /** Scans the next piece. */
  read(text: string): void {
    if (text === '') return;
    const mode = this.#mode;
    let at = 0;
    if ((mode === 'sql' || mode === 'word' || mode === 'number') && !SIGNIFICANT.test(text)) {
      // Only the text's last token matters, unless the text continues a word.
      at = lastTokenStart(text);
      if (at > 0) this.#mode = 'sql';
    }
    while (at < text.length) at = this.step(text, at);
    this.#last = text[text.length - 1]!;
  }

  /** Skips a complete token: a parameter, a literal or a name. The following text may still join its end. */
  pass(token: string): void {
    const last = token[token.length - 1]!;
    this.#last = last;
    this.#letter = '';
    this.#mode = 'sql';
    if (last === "'") {
      this.#mode = 'string end';
      this.#string = /^ ?E'/.test(token) ? 'escapes' : 'plain';
      this.#since = 'nothing';
    } else if (isWord(last)) {
      this.#mode = /^[ (]?[-\d.]/.test(token) ? 'number' : 'word';
    }
  }

  /** Whether the text would join the previous token, and so be read differently than by itself. */
  joins(text: string): boolean {
    const first = text[0]!;
    switch (this.#mode) {
      case 'word':
        return isWord(first) || (first === "'" && this.#letter in PREFIXED);
      case 'number':
        return isWord(first) || first === '.';
      case 'dollar':
        return isWord(first);
      case 'unicode':
        return first === "'" || first === '"';
      case 'minus':
        return first === '-';
      case 'slash':
        return first === '*';
      case 'string end':
        return first === "'" && this.#since === 'nothing';
      case 'sql':
        return (first === '"' && this.#last === '"') || (this.#last === '.' && /\d/.test(first));
      default:
        return false;
    }
  }

  /** Whether the previous text and this one together begin a comment. */
  beginsComment(text: string): boolean {
    return (this.#mode === 'minus' && text[0] === '-') || (this.#mode === 'slash' && text[0] === '*');
  }

  /** Whether a quote would continue the previous string. */
  get continuesString(): boolean {
    return this.#mode === 'string end' && this.#since === 'line break';
  }

  /** Whether the text can be inserted in the current enclosure without ending it or changing its meaning. */
  admits(text: string): boolean {
    switch (this.open) {
      case null:
        return true;
      case 'string':
        return this.#mode !== 'escape' && !/['\\]/.test(text);
      case 'quoted identifier':
        return !text.includes('"');
      case 'comment':
        return !/[*/]/.test(text);
      case 'line comment':
        return !/[\n\r]/.test(text);
      case 'dollar-quoted string':
        return !(this.#tag.slice(0, this.#matched) + text).includes(this.#tag);
    }
  }

  /** Scans at least one character, or records the end of a token; returns the position to continue from. */
  step(text: string, at: number): number {
    const char = text[at]!;
    switch (this.#mode) {
      case 'sql':
        return this.#readSql(text, at, char);
      case 'word':
        return this.#readWord(text, at, char);
      case 'unicode':
        if (char === "'") return this.#beginString('plain', at, 2);
        if (char === '"') return this.#begin('quoted identifier', at + 1, 3);
        return this.#become('sql', at);
      case 'number':
        return isDigit(char) ? endOf(DIGITS, text, at) : this.#become('sql', at);
      case 'minus':
        if (char === '-') return this.#begin('line comment', at + 1, 2);
        this.#behindString = false;
        return this.#become('sql', at);
      case 'slash':
        if (char !== '*') return this.#become('sql', at);
        this.#depth = 1;
        return this.#begin('comment', at + 1, 2);
      case 'dollar':
        return this.#readTag(text, at, char);
      case 'string':
        return this.#readString(text, at);
      case 'escape':
        return this.#become('string', at + 1);
      case 'string end':
        return this.#readStringEnd(at, char);
      case 'quoted identifier': {
        const end = text.indexOf('"', at);
        if (end < 0) return text.length;
        return text[end + 1] === '"' ? end + 2 : this.#become('sql', end + 1);
      }
      case 'comment':
        return this.#readComment(text, at, char);
      case 'line comment':
        return this.#readLineComment(text, at);
      case 'dollar-quoted string':
        return this.#readDollarQuoted(text, at);
    }
  }

  #become(mode: Mode, at: number): number {
    this.#mode = mode;
    return at;
  }

  /** Enters the enclosure opened by the `opening` characters before `at`. */
  #begin(mode: Mode, at: number, opening: number): number {
    this.opening = opening;
    return this.#become(mode, at);
  }

  #readSql(text: string, at: number, char: string): number {
    switch (char) {
      case "'":
        return this.#beginString(this.#unprefixed, at);
      case '"':
        return this.#begin('quoted identifier', at + 1, 1);
      case '-':
        return this.#become('minus', at + 1);
      case '/':
        return this.#become('slash', at + 1);
      case '$':
        this.#tag = '$';
        return this.#become('dollar', at + 1);
    }
    if (isDigit(char)) return this.#become('number', at);
    if (!isWord(char)) return endOf(UNREMARKABLE, text, at);
    this.#letter = char.toLowerCase();
    return this.#become('word', at + 1);
  }

  #readWord(text: string, at: number, char: string): number {
    if (isWord(char)) {
      this.#letter = '';
      return endOf(WORD, text, at);
    }
    const kind = char === "'" ? PREFIXED[this.#letter] : undefined;
    if (kind !== undefined) {
      return this.#beginString(kind === 'unprefixed' ? this.#unprefixed : kind, at, 1);
    }
    if (char === '&' && this.#letter === 'u') return this.#become('unicode', at + 1);
    return this.#become('sql', at);
  }

  #readTag(text: string, at: number, char: string): number {
    if (char === '$') {
      this.#tag += '$';
      this.#matched = 0;
      return this.#begin('dollar-quoted string', at + 1, this.#tag.length);
    }
    // With a digit it is a parameter, except after the first letter of a tag.
    if (this.#tag === '$' && isDigit(char)) {
      this.#hasParameter = true;
      return this.#become('number', at);
    }
    const end = endOf(TAG, text, at);
    if (end > at) {
      this.#tag += text.slice(at, end);
      return end;
    }
    this.#letter = '';
    this.#hasParameter = true;
    return this.#become('sql', at);
  }

  #beginString(kind: StringKind, quote: number, prefix = 0, isContinued = false): number {
    this.#string = kind;
    this.isContinued = isContinued;
    return this.#begin('string', quote + 1, prefix + 1);
  }

  #readString(text: string, at: number): number {
    let end = at;
    if (this.#string === 'escapes') {
      while (end < text.length && text[end] !== "'" && text[end] !== '\\') end++;
    } else {
      end = text.indexOf("'", at);
    }
    if (end < 0 || end === text.length) return text.length;
    if (text[end] === '\\') return this.#become('escape', end + 1);
    if (text[end + 1] === "'" && this.#string !== 'bits') return end + 2;
    this.#since = 'nothing';
    return this.#become('string end', end + 1);
  }

  #readStringEnd(at: number, char: string): number {
    switch (char) {
      case "'": {
        const isContinued = this.#since === 'line break';
        const isDoubled = this.#since === 'nothing' && this.#string !== 'bits';
        const kind = isContinued || isDoubled ? this.#string : this.#unprefixed;
        return this.#beginString(kind, at, 0, isContinued);
      }
      case '\n':
      case '\r':
        this.#since = 'line break';
        return at + 1;
      case ' ':
      case '\t':
      case '\f':
      case '\v':
        if (this.#since === 'nothing') this.#since = 'space';
        return at + 1;
      case '-':
        this.#behindString = true;
        return this.#become('minus', at + 1);
      default:
        return this.#become('sql', at);
    }
  }

  #readComment(text: string, at: number, char: string): number {
    const both = this.#half + char;
    this.#half = '';
    if (both === '*/') {
      this.#depth--;
      return this.#become(this.#depth === 0 ? 'sql' : 'comment', at + 1);
    }
    if (both === '/*') this.#depth++;
    else if (char === '*' || char === '/') this.#half = char;
    let end = at + 1;
    if (this.#half === '') while (end < text.length && text[end] !== '*' && text[end] !== '/') end++;
    return end;
  }

  #readLineComment(text: string, at: number): number {
    let end = at;
    while (end < text.length && text[end] !== '\n' && text[end] !== '\r') end++;
    if (end === text.length) return end;
    if (!this.#behindString) return this.#become('sql', end + 1);
    this.#behindString = false;
    this.#since = 'line break';
    return this.#become('string end', end + 1);
  }

  #readDollarQuoted(text: string, at: number): number {
    const tag = this.#tag;
    if (this.#matched > 0) {
      const rest = tag.slice(this.#matched);
      if (text.startsWith(rest, at)) return this.#become('sql', at + rest.length);
      const more = text.length - at;
      if (more < rest.length && rest.startsWith(text.slice(at))) {
        this.#matched += more;
        return text.length;
      }
      this.#matched = 0;
    }
    const end = text.indexOf(tag, at);
    if (end >= 0) return this.#become('sql', end + tag.length);
    // A dollar sign occurs only at both ends of a tag.
    const dollar = text.lastIndexOf('$');
    if (dollar >= at && tag.startsWith(text.slice(dollar))) this.#matched = text.length - dollar;
    return text.length;
  }
}

/** The start of the word, or of the run of other characters, that ends the text. */
function lastTokenStart(text: string): number {
  let start = text.length - 1;
  while (start > 0 && isWord(text[start]!) && isWord(text[start - 1]!)) start--;
  return start;
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

/** Whether the lexer accepts a character in a name. */
function isWord(char: string): boolean {
  return IS_WORD.test(char);
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
