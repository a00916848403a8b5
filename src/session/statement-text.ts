// What can be said of a statement without parsing SQL. A wrong guess here may only ever cost speed, so all functions
// answer "no" whenever they are not sure.

const LEAVES_TRANSACTION_ALONE = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table|show)\b/i;

/** Whether `text` certainly is a single statement: it has no semicolon but at the very end. */
export function isSingleStatement(text: string): boolean {
  const semicolon = text.indexOf(';');
  return semicolon < 0 || text.slice(semicolon + 1).trim() === '' || new StatementScanner(text).isSingle();
}

/** Whether a text without parameters may go by the extended protocol: one statement, and no `$1` to be taken for a parameter. */
export function canGoExtended(text: string): boolean {
  return text.includes('$') || text.includes(';') ? new StatementScanner(text).isSingle() : true;
}

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;

const WORD_BEFORE = /[\w$\u0080-\uffff]/;
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const BLANK = /\s/;
const END_OF_LINE = /[\r\n]/g;

/** Goes through a text from its first character to its last, over strings, quoted names and comments. */
class StatementScanner {
  readonly #text: string;
  #at = 0;
  /** Whether a semicolon has ended the statement: then only blanks, comments and other semicolons may follow. */
  #hasEnded = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether it certainly is one statement, in which nothing stands for a parameter. */
  isSingle(): boolean {
    const text = this.#text;
    while (this.#at < text.length) {
      const code = text.charCodeAt(this.#at);
      const next = text.charCodeAt(this.#at + 1);
      if (this.#skipBlank(code, next)) continue;
      if (code === SEMICOLON) {
        this.#hasEnded = true;
        this.#at++;
      } else if (this.#hasEnded) return false;
      else if (code === QUOTE) {
        if (!this.#skipString()) return false;
      } else if (code === DOUBLE_QUOTE) {
        this.#at++;
        this.#skipPast('"');
      } else if (code === DOLLAR && !this.#isWithinWord()) {
        if (!this.#skipDollarQuoted()) return false;
      } else this.#at++;
    }
    return true;
  }

  /** The text behind the blanks and comments that it begins with. */
  rest(): string {
    const text = this.#text;
    while (
      this.#at < text.length &&
      this.#skipBlank(text.charCodeAt(this.#at), text.charCodeAt(this.#at + 1))
    );
    return text.slice(this.#at);
  }

  /** Goes behind a blank or a comment, if there is one. */
  #skipBlank(code: number, next: number): boolean {
    if (code === MINUS && next === MINUS) this.#skipLine();
    else if (code === SLASH && next === STAR) this.#skipComment();
    else if (BLANK.test(this.#text[this.#at]!)) this.#at++;
    else return false;
    return true;
  }

  #isWithinWord(): boolean {
    return this.#at > 0 && WORD_BEFORE.test(this.#text[this.#at - 1]!);
  }

  /** Goes behind the next `end`, or to the end of the text: the server refuses what is not closed. */
  #skipPast(end: string): void {
    const found = this.#text.indexOf(end, this.#at);
    this.#at = found < 0 ? this.#text.length : found + end.length;
  }

  /** Either end of a line ends a comment, as in the server. */
  #skipLine(): void {
    END_OF_LINE.lastIndex = this.#at;
    this.#at = END_OF_LINE.test(this.#text) ? END_OF_LINE.lastIndex : this.#text.length;
  }

  /** False for a string with a backslash, which may or may not escape the quote behind it. A doubled quote begins another string. */
  #skipString(): boolean {
    const text = this.#text;
    for (let at = this.#at + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === BACKSLASH) return false;
      if (code === QUOTE) {
        this.#at = at + 1;
        return true;
      }
    }
    this.#at = text.length;
    return true;
  }

  /** False where it is a parameter, or nothing that is known. */
  #skipDollarQuoted(): boolean {
    DOLLAR_QUOTE.lastIndex = this.#at;
    const tag = DOLLAR_QUOTE.exec(this.#text)?.[0];
    if (tag === undefined) return false;
    this.#at += tag.length;
    this.#skipPast(tag);
    return true;
  }

  /** Comments nest. */
  #skipComment(): void {
    const text = this.#text;
    let depth = 0;
    let at = this.#at;
    do {
      const code = text.charCodeAt(at);
      const next = text.charCodeAt(at + 1);
      if (code === SLASH && next === STAR) {
        depth++;
        at += 2;
      } else if (code === STAR && next === SLASH) {
        depth--;
        at += 2;
      } else at++;
    } while (depth > 0 && at < text.length);
    this.#at = at;
  }
}

/** The text from its first word on. */
function fromFirstWord(text: string): string {
  return MAY_BEGIN_WITH_COMMENT.test(text) ? new StatementScanner(text).rest() : text;
}

const MAY_BEGIN_WITH_COMMENT = /^\s*(?:--|\/\*)/;

const CONTROLS_TRANSACTION =
  /^\s*(?:begin|start\s|commit|end\b|abort|prepare\s+transaction|rollback(?!\s+(?:transaction\s+|work\s+)?to\b))/i;

/** Whether a statement begins or ends a transaction. */
export function controlsTransaction(text: string): boolean {
  return CONTROLS_TRANSACTION.test(fromFirstWord(text));
}

const CHANGES_SCHEMA = /^(?:ALTER|DROP|DISCARD TEMP)\b/;
const MAY_CHANGE_SCHEMA = /^(?:ALTER|DROP|CREATE|SELECT INTO|DISCARD TEMP|DO|CALL)\b/;
const SETS_SEARCH_PATH = /\bsearch_path\b|^\s*(?:re)?set\s+(?:local\s+|session\s+)?(?:schema|all)\b/i;

/** Whether a command of this tag and text may have invalidated what is prepared. */
export function changesSchema(tag: string, text: string): boolean {
  return tag === 'SET' || tag === 'RESET' ? SETS_SEARCH_PATH.test(text) : CHANGES_SCHEMA.test(tag);
}

/** Whether the end of the transaction may undo what a command of this tag and text has done to the schema. */
export function mayChangeSchema(tag: string, text: string): boolean {
  return tag === 'SET' ? SETS_SEARCH_PATH.test(text) : MAY_CHANGE_SCHEMA.test(tag);
}

/** CREATE TABLE AS and EXECUTE have the tag of their SELECT, and a function may do anything unless it is one of the server's. */
const MAKES_TABLE = /^\s*(?:create|execute)\b|\binto\b/i;
const CALL = /\b([a-z_]\w*)\s*\(/gi;
const ALIAS_BEFORE = /(?:\)|\bas)\s*$/i;
const HARMLESS_BEFORE_PARENTHESIS = new Set(
  (
    'select from where and or not in on as values exists any some all case when then else by having union intersect except ' +
    'distinct over filter within group join using interval cast coalesce nullif greatest least row array count sum avg min max ' +
    'now nextval currval lastval lower upper length trim btrim substring substr position extract date_trunc row_number rank ' +
    'array_agg string_agg json_agg jsonb_agg json_build_object jsonb_build_object to_char to_json to_jsonb to_timestamp unnest ' +
    'generate_series format round abs floor ceil random concat replace md5 current_setting version varchar numeric char timestamp ' +
    'timestamptz time decimal bit'
  ).split(' '),
);

/** Whether a query may have made or dropped a table, by itself or by a function that it calls. */
export function mayMakeTable(query: string): boolean {
  if (MAKES_TABLE.test(fromFirstWord(query))) return true;
  for (const { 1: name, index } of query.matchAll(CALL)) {
    const lower = name!.toLowerCase();
    // The names of a derived table's columns.
    if (ALIAS_BEFORE.test(query.slice(Math.max(0, index - 10), index))) continue;
    if (!HARMLESS_BEFORE_PARENTHESIS.has(lower) && !lower.startsWith('pg_')) return true;
  }
  return false;
}

const SETS = /^(?:SET|RESET|DISCARD ALL|DO|CALL|EXECUTE|COMMIT|ROLLBACK)\b/;

/** Whether a command with this tag, which is no query, may have changed a setting of the session. */
export function mayChangeSettings(tag: string): boolean {
  return SETS.test(tag);
}

const ENCODING = /client_encoding|\bset\s+names\b|\breset\s+all\b|\bdiscard\s+all\b/i;
const TO_UTF8 = /\b(?:client_encoding\s*(?:=|to)|set\s+names)\s*'?(?:utf-?8|unicode)\b/gi;

/** Whether a text may change client_encoding to another than UTF8. */
export function mayChangeEncoding(text: string): boolean {
  return ENCODING.test(text) && ENCODING.test(text.replace(TO_UTF8, ''));
}

const HAS_FIXED_COLUMNS = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table)\b/i;

/**
 * Whether a statement, once it is prepared, has the same columns whenever it is executed, or fails. Those of FETCH, EXECUTE, CALL
 * and their like depend on what they are about then.
 */
export function hasFixedColumns(text: string): boolean {
  return HAS_FIXED_COLUMNS.test(fromFirstWord(text));
}

/** Whether the statement that `text` begins with certainly neither begins nor ends a transaction. */
export function leavesTransactionAlone(text: string): boolean {
  return LEAVES_TRANSACTION_ALONE.test(fromFirstWord(text));
}
