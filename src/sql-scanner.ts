// PostgreSQL's lexer, as far as it says where quotes and comments begin and end. It is the only one here: compositions read by it
// what their pieces leave open, sessions whether a text is one statement, and COPY the options of its statement.

/** What a piece of SQL has begun and not ended: within it, text is no SQL until something ends it. */
export type Enclosure = 'string' | 'quoted identifier' | 'comment' | 'line comment' | 'dollar-quoted string';

/** `plain`: two quotes are one; `escapes`: a backslash takes what follows it, too; `bits`: neither, as in B'01'. */
type StringKind = 'plain' | 'escapes' | 'bits';

type Mode =
  | Enclosure
  /** Between tokens, or behind one that nothing can join. */
  | 'sql'
  /** In a name or a keyword, whose end may be the prefix of a string. */
  | 'word'
  /** Behind U&. */
  | 'unicode'
  | 'number'
  /** Behind a minus sign, which may be the first of a line comment. */
  | 'minus'
  /** Behind a slash, which may be the first character of a comment. */
  | 'slash'
  /** Behind $ and what may be the tag of a dollar-quoted string. */
  | 'dollar'
  /** Behind a backslash in a string. */
  | 'escape'
  /** Behind the quote that ends a string, and white space: another quote may continue it. */
  | 'string end';

/** Within what each mode stands, where it is not SQL. */
const ENCLOSURES: Readonly<Partial<Record<Mode, Enclosure>>> = {
  string: 'string',
  escape: 'string',
  'quoted identifier': 'quoted identifier',
  comment: 'comment',
  'line comment': 'line comment',
  'dollar-quoted string': 'dollar-quoted string',
};

/** The kinds of strings by their prefix; the national string is of the kind that a string without a prefix is. */
const PREFIXED: Readonly<Record<string, StringKind | 'unprefixed'>> = {
  e: 'escapes',
  b: 'bits',
  x: 'bits',
  n: 'unprefixed',
};

/** A text without any of this, behind which there is nothing begun, begins nothing. */
const SIGNIFICANT = /['"$&]|--|\/\*/;
const IS_WORD = /[\w$\x80-\uffff]/;
const WORD = /[\w$\x80-\uffff]+/y;
const TAG = /[\w\x80-\uffff]*/y;
const DIGITS = /\d+/y;
const UNREMARKABLE = /[^\w'"$\-/\x80-\uffff]+/y;

/**
 * Reads SQL as PostgreSQL's lexer does, in pieces that may be cut anywhere: tells within what the next piece stands, and whether
 * it would become one token with what is before it.
 */
export class SqlScanner {
  readonly #unprefixed: StringKind;
  #mode: Mode = 'sql';
  /** The character that the text ends with. */
  #last = '';
  /** The letter that the word consists of so far, in lower case; '' if it is longer. */
  #letter = '';
  #string: StringKind = 'plain';
  /** Since the end of a string that may be continued: nothing, white space, or white space with a line break. */
  #since: 'nothing' | 'space' | 'line break' = 'nothing';
  /** Whether the line comment, or the minus sign, stands behind a string that may be continued. */
  #behindString = false;
  /** How many comments are open, one within the other, and whether a character has been read that may be half of what ends or begins one. */
  #depth = 0;
  #half = '';
  #tag = '';
  /** How many characters of the tag the text ends with. */
  #matched = 0;
  #hasParameter = false;
  /** How many characters have begun what is open: its quote and what stands before it, the tag, the two of a comment. */
  opening = 0;
  /** Whether the string that is open goes on with the one before it, on another line. */
  isContinued = false;

  /** `backslashes`: strings without an E have escapes as well, as with `standard_conforming_strings` off. */
  constructor(backslashes: boolean) {
    this.#unprefixed = backslashes ? 'escapes' : 'plain';
  }

  /** Within what the next piece stands; null if it is SQL. */
  get open(): Enclosure | null {
    return ENCLOSURES[this.#mode] ?? null;
  }

  /** Whether a `$` has been read that stands for no quotes: that of a parameter, most likely. */
  get hasParameter(): boolean {
    return this.#hasParameter || this.#mode === 'dollar';
  }

  /** Whether a name, or a keyword, may go on. */
  get isInName(): boolean {
    return this.#mode === 'word';
  }

  /** Whether SQL or a token may follow without a thought: nothing is begun, and no token could go on. */
  get isNeutral(): boolean {
    return this.#mode === 'sql' && this.#last !== '"' && this.#last !== '.';
  }

  /** Reads what comes next. */
  read(text: string): void {
    if (text === '') return;
    const mode = this.#mode;
    let at = 0;
    if ((mode === 'sql' || mode === 'word' || mode === 'number') && !SIGNIFICANT.test(text)) {
      // Only what the text ends with matters, unless it goes on with a word.
      at = lastTokenStart(text);
      if (at > 0) this.#mode = 'sql';
    }
    while (at < text.length) at = this.step(text, at);
    this.#last = text[text.length - 1]!;
  }

  /**
   * Passes over a parameter, a literal or a name: tokens that are complete. What follows them starts anew, but may still join
   * their end.
   */
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

  /** Whether the text would not be read as it is by itself, since it would join a token that is before it. */
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

  /** Whether a comment would begin where the text meets what is before it. */
  beginsComment(text: string): boolean {
    return (this.#mode === 'minus' && text[0] === '-') || (this.#mode === 'slash' && text[0] === '*');
  }

  /** Whether a quote would continue the string that has ended before. */
  get continuesString(): boolean {
    return this.#mode === 'string end' && this.#since === 'line break';
  }

  /** Whether the text can stand within what is open without ending it, or having another meaning there. */
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

  /** Reads at least a character of a text, or notes that a token has ended; gives where to go on. */
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

  /** Enters what `opening` characters before `at` have begun. */
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
    // A digit makes a parameter of it, unless it stands behind the first letter of the tag.
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
    // A dollar sign stands at both ends of a tag and nowhere else.
    const dollar = text.lastIndexOf('$');
    if (dollar >= at && tag.startsWith(text.slice(dollar))) this.#matched = text.length - dollar;
    return text.length;
  }
}

/** Where the word or the run of other characters begins that ends the text. */
function lastTokenStart(text: string): number {
  let start = text.length - 1;
  while (start > 0 && isWord(text[start]!) && isWord(text[start - 1]!)) start--;
  return start;
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

/** Whether a character can be in a name, or in what looks like one to the lexer. */
function isWord(char: string): boolean {
  return IS_WORD.test(char);
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
