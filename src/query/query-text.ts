import type { SqlLiteral } from '../query/literal.js';
import * as errors from '../errors/index.js';
import { tooLarge } from '../types/dump.js';
import { SqlScanner, type Enclosure } from '../sql-scanner.js';
import { startOfFirstToken } from '../sql-segments.js';

/**
 * A text of SQL that grows piece by piece: the user's SQL, and tokens that are inserted into it. Each token remains a separate
 * token whatever is adjacent to it, and no token ends the quotes or the comment around it.
 */
export class QueryText {
  readonly #state: SqlScanner;
  readonly #pieces: string[] = [];
  /** Whether the last addition was a token. */
  #behindToken = false;
  /** The last literal, whose form depends on the following text. */
  #literal: {
    readonly index: number;
    readonly literal: SqlLiteral;
    readonly write: (text: string) => string;
  } | null = null;

  /** `backslashes`: strings without an E have escapes, too, as with `standard_conforming_strings` off. */
  constructor(backslashes: boolean) {
    this.#state = new SqlScanner(backslashes);
  }

  /** The quotes or comment around the next piece; null if it is SQL. */
  get open(): Enclosure | null {
    return this.#state.open;
  }

  /** Adds SQL of the user. `written` replaces it in the resulting text, and is the same to the lexer. */
  add(sql: string, written = sql): void {
    if (sql === '') return;
    this.#settleLiteral(sql);
    const state = this.#state;
    if (this.#behindToken ? state.joins(sql) : state.beginsComment(sql)) this.#addSpace();
    state.read(sql);
    this.#pieces.push(written);
    this.#behindToken = false;
  }

  /**
   * Adds a parameter such as `$1`. Raises `ProgrammingError` within quotes or a comment, where the server would not read it as a
   * parameter.
   */
  addParameter(number: number): void {
    const parameter = `$${String(number)}`;
    if (this.open !== null) {
      throw new errors.ProgrammingError(
        `${parameter}: the value stands within a ${this.open} of the query, where it would not be read as a value:` +
          ' take it out of there, and join strings with ||',
      );
    }
    this.addToken(parameter);
  }

  /** Adds a quoted name. Raises `ProgrammingError` where it would end the quotes or the comment around it. */
  addIdentifier(quoted: string, written = quoted): void {
    if (this.#addEnclosed(quoted, written, () => `the identifier ${quoted}`)) return;
    this.addToken(quoted, written);
  }

  /**
   * Adds a value as a literal, named `place` in errors. Raises `ProgrammingError` where it would end the quotes or the comment
   * around it. `write` returns the text that replaces it.
   */
  addLiteral(literal: SqlLiteral, place: string, write = asItIs): void {
    const { text } = literal;
    if (this.#addEnclosed(text, write(text), () => `${place}: the value`)) return;
    if (this.#state.continuesString && text.startsWith("'")) {
      this.addToken(`(${text})`, `(${write(text)})`);
      return;
    }
    this.addToken(text, write(text));
    this.#literal = { index: this.#pieces.length - 1, literal, write };
  }

  /** Adds a literal like `addLiteral()`, which may also be a suffix of the name before it: `sql.SQL('log_{}').format(2024)`. */
  addLiteralOrSuffix(literal: SqlLiteral, place: string, write = asItIs): void {
    if (this.#behindToken || !this.#state.isInName || !/^\w/.test(literal.text)) {
      this.addLiteral(literal, place, write);
    } else {
      this.add(literal.text, write(literal.text));
      this.#behindToken = true;
    }
  }

  /** Adds a complete token, such as a parameter; `written` as for `add()`. */
  addToken(token: string, written = token): void {
    this.#settleLiteral(token);
    if (this.#state.joins(token)) this.#addSpace();
    this.#state.pass(token);
    this.#pieces.push(written);
    this.#behindToken = true;
  }

  /** The text. Raises `DataError` if it exceeds the longest string of JavaScript. */
  toString(): string {
    try {
      return this.#pieces.join('');
    } catch (error) {
      throw tooLarge(error, 'the query');
    }
  }

  #addEnclosed(text: string, written: string, what: () => string): boolean {
    const state = this.#state;
    if (state.open === null) return false;
    if (!state.admits(text)) {
      throw new errors.ProgrammingError(
        `${what()} stands within a ${state.open} of the query, and would end it: take it out of there, and join strings with ||`,
      );
    }
    state.read(text);
    this.#pieces.push(written);
    return true;
  }

  #addSpace(): void {
    this.#pieces.push(' ');
    this.#state.read(' ');
  }

  /** Gives the last literal the form that the following text requires. */
  #settleLiteral(following: string): void {
    if (this.#literal === null) return;
    // A comment may have begun in a piece between.
    const next = firstOfToken((COMMENT_BEGINS[this.open ?? 'string'] ?? '') + following);
    if (next === '') return;
    const { index, literal, write } = this.#literal;
    this.#literal = null;
    let { text } = literal;
    if (next === '::') text = literal.beforeCast;
    else if (next === '[' || next === '(' || next === '.') text = literal.beforeSubscript;
    // After a line break, the following quote would continue it.
    else if (next === "'" && text.endsWith("'") && (following[0] !== "'" || this.#state.continuesString)) {
      text = `(${text})`;
    }
    if (text === literal.text) return;
    this.#pieces[index] = write(text);
    this.#state.pass(text);
  }
}

const COMMENT_BEGINS: Readonly<Partial<Record<Enclosure, string>>> = { comment: '/*', 'line comment': '--' };

function asItIs(text: string): string {
  return text;
}

/** The characters that determine the start of a text's first token; '' if there is none. */
function firstOfToken(text: string): string {
  const at = startOfFirstToken(text);
  return text.startsWith('::', at) ? '::' : (text[at] ?? '');
}
