import { tokensOf, type Token } from './sql-tokens.js';

/** What traces and metrics say of a query's text. */
export interface QuerySummary {
  /** `db.query.text`: as it is if it has parameters; without them, literals are replaced by `?`. */
  readonly text: string;
  /** `db.query.summary`: the operations and their targets, such as `INSERT orders SELECT basket`; '' if there are none. */
  readonly summary: string;
  /** `db.operation.name`; undefined unless there is one operation. */
  readonly operation: string | undefined;
  /** `db.collection.name`; undefined unless there are one operation and one target, which is a table. */
  readonly collection: string | undefined;
}

/** The number of characters of a text that are read and shown. */
const MOST_TEXT = 8192;
/** The number of characters of a summary, by the conventions. */
const MOST_SUMMARY = 255;
/** The number of summaries to keep, and the length of the texts to keep them for. */
const MOST_KEPT = 1000;
const LONGEST_KEPT = 2048;

/** The summaries of the latest new texts. */
const kept = new Map<string, QuerySummary>();

/** Summarizes a text in time linear in its length, of which at most 8,192 characters are read. */
export function summarize(sql: string): QuerySummary {
  const known = kept.get(sql);
  if (known !== undefined) return known;
  const summary = summaryOf(sql);
  if (sql.length <= LONGEST_KEPT) {
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value!);
    kept.set(sql, summary);
  }
  return summary;
}

function summaryOf(sql: string): QuerySummary {
  const isCut = sql.length > MOST_TEXT;
  const read = isCut ? sql.slice(0, MOST_TEXT) : sql;
  const tokens = [...tokensOf(read)];
  const text = tokens.some(({ kind }) => kind === 'parameter') ? read : tokens.map(withoutValue).join('');
  const parts = new Outline(tokens.filter(({ kind }) => kind !== 'space' && kind !== 'comment')).parts;
  const operations = parts.filter(({ kind }) => kind === 'operation');
  const targets = parts.filter(({ kind }) => kind !== 'operation');
  // What follows the cut may be another operation.
  const isOne = operations.length === 1 && !isCut;
  const isOfOneTable = isOne && targets.length === 1 && targets[0]!.kind === 'table';
  return {
    text: isCut ? `${text}…` : text,
    summary: joined(parts.map((part) => part.text)),
    operation: isOne ? operations[0]!.text : undefined,
    collection: isOfOneTable ? targets[0]!.text : undefined,
  };
}

/** A token as a text without parameters is shown: a comment may contain values, too. */
function withoutValue({ kind, text }: Token): string {
  if (kind === 'literal' || (kind === 'word' && /^(?:true|false)$/i.test(text))) return '?';
  // A line comment contains the end of its line.
  if (kind === 'comment') return /[\n\r]$/.test(text) ? '\n' : ' ';
  return text;
}

/** Joins whole parts, as many as a summary may have. */
function joined(parts: readonly string[]): string {
  let summary = '';
  for (const part of parts) {
    const longer = summary === '' ? part : `${summary} ${part}`;
    if (longer.length > MOST_SUMMARY) break;
    summary = longer;
  }
  return summary;
}

interface Part {
  readonly kind: 'operation' | 'table' | 'other target';
  readonly text: string;
}

/** A statement, or the part of it within parentheses. */
interface Level {
  /** The query's command, in upper case; null before it, and in parentheses without a query, such as those of a function. */
  verb: string | null;
  /** Whether a command may come: at the beginning, and behind the queries of WITH. */
  awaitsVerb: boolean;
  /** Whether commands other than queries may come: at the beginning of a statement only. */
  mayBeAny: boolean;
  /** Whether a name may be that of a query of WITH. */
  names: boolean;
  /** Whether a comma is followed by another target. */
  isList: boolean;
}

const QUERIES = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE']);
const WITH_FROM = new Set(['SELECT', 'UPDATE', 'DELETE']);
const ENDS_LIST = new Set(
  'WHERE GROUP ORDER HAVING LIMIT OFFSET FETCH FOR UNION INTERSECT EXCEPT WINDOW SET RETURNING WHEN'.split(
    ' ',
  ),
);
/** Commands that may contain a query. The names within other commands are none of data, or differ each time. */
const WITH_QUERIES = new Set(['EXPLAIN', 'DECLARE', 'PREPARE', 'VALUES', 'COPY', 'TABLE']);
const OF_OBJECTS = new Set(['CREATE', 'ALTER', 'DROP', 'REFRESH']);
const OF_TABLES = new Set(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE']);
const NAMED_OBJECTS = new Set([
  ...OF_TABLES,
  ...'INDEX SEQUENCE FUNCTION PROCEDURE TYPE DOMAIN SCHEMA DATABASE EXTENSION'.split(' '),
]);
const BEFORE_OBJECT = new Set(
  'OR REPLACE GLOBAL LOCAL TEMP TEMPORARY UNLOGGED UNIQUE RECURSIVE CONSTRAINT DEFAULT'.split(' '),
);
const NO_NAMES = new Set(['SELECT', 'ON']);
const BEFORE_NAME = new Set('TABLE ONLY LATERAL CONCURRENTLY IF NOT EXISTS'.split(' '));

/** The operations of a text and their targets, in order. */
class Outline {
  readonly parts: Part[] = [];
  readonly #tokens: readonly Token[];
  #at = 0;
  #levels: Level[] = [beginning()];
  /** The names of the queries of WITH, which are no tables. */
  readonly #withNames = new Set<string>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    while (this.#at < tokens.length) {
      const { kind, text } = tokens[this.#at++]!;
      if (kind === 'word') this.#word(text);
      else if (kind === 'quoted name') this.#nameOfWith(text);
      else if (kind === 'punctuation') this.#punctuation(text);
    }
  }

  get #level(): Level {
    return this.#levels[this.#levels.length - 1]!;
  }

  /** The next word in upper case, or the next token as it is. */
  #next(ahead = 0): string {
    const token = this.#tokens[this.#at + ahead];
    return token?.kind === 'word' ? token.text.toUpperCase() : (token?.text ?? '');
  }

  #punctuation(text: string): void {
    if (text === ';') this.#levels = [beginning()];
    else if (text === '(') this.#open();
    else if (text === ')' && this.#levels.length > 1) this.#levels.pop();
    else if (text === ',' && this.#level.isList) this.#target('table');
  }

  #open(): void {
    const level = this.#level;
    const mayBeAny = level.awaitsVerb && level.mayBeAny && !level.names;
    // What follows the parentheses of `(SELECT 1) UNION (SELECT 2)` is no command.
    level.mayBeAny = false;
    this.#levels.push({ ...beginning(), mayBeAny });
  }

  #word(text: string): void {
    const level = this.#level;
    const word = text.toUpperCase();
    if (word === 'SELECT' || (level.awaitsVerb && QUERIES.has(word))) this.#query(text, word);
    else if (word === 'WITH' && (level.awaitsVerb || level.verb === 'INSERT')) level.names = true;
    else if (level.names) this.#nameOfWith(text);
    else if (level.awaitsVerb && level.mayBeAny) this.#command(text, word);
    else this.#clause(word);
  }

  #query(text: string, verb: string): void {
    this.#operation(text);
    Object.assign(this.#level, { verb, awaitsVerb: false, names: false, isList: false });
    if (verb === 'UPDATE') this.#target('table');
  }

  #nameOfWith(text: string): void {
    if (this.#level.names && (this.#next() === 'AS' || this.#next() === '('))
      this.#withNames.add(text.toLowerCase());
  }

  #clause(word: string): void {
    const level = this.#level;
    if (level.verb === null) return;
    const isFrom = word === 'FROM' && WITH_FROM.has(level.verb) && !this.#isDistinctFrom();
    const isUsing = word === 'USING' && (level.verb === 'DELETE' || level.verb === 'MERGE');
    if (isFrom || isUsing) {
      level.isList = true;
      this.#target('table');
    } else if (word === 'JOIN' || word === 'INTO') {
      this.#target('table');
    } else if (ENDS_LIST.has(word)) {
      level.isList = false;
    }
  }

  /** Whether the current FROM is that of `IS DISTINCT FROM`. */
  #isDistinctFrom(): boolean {
    return this.#next(-2) === 'DISTINCT' && /^(?:IS|NOT)$/.test(this.#next(-3));
  }

  /** A command at the beginning of a statement that is no query. */
  #command(text: string, word: string): void {
    const level = this.#level;
    level.mayBeAny = false;
    if (OF_OBJECTS.has(word)) {
      this.#objectCommand(text);
      return;
    }
    this.#operation(text);
    if (word === 'COPY' || word === 'TABLE' || word === 'TRUNCATE') {
      level.isList = word === 'TRUNCATE';
      this.#target('table');
    } else if (word === 'CALL') {
      this.#target('other target');
    }
    if (!WITH_QUERIES.has(word)) this.#skipStatement();
  }

  /** CREATE, ALTER and their kin: `CREATE TABLE city` of `CREATE TEMP TABLE IF NOT EXISTS city`. */
  #objectCommand(command: string): void {
    while (BEFORE_OBJECT.has(this.#next())) this.#at++;
    const words: string[] = [];
    if (this.#next() === 'MATERIALIZED' || this.#next() === 'FOREIGN') words.push(this.#take());
    if (this.#tokens[this.#at]?.kind === 'word') words.push(this.#take());
    this.#operation([command, ...words].join(' '));
    const object = words.join(' ').toUpperCase();
    if (NAMED_OBJECTS.has(object)) {
      this.#level.isList = command.toUpperCase() === 'DROP';
      this.#target(OF_TABLES.has(object) ? 'table' : 'other target');
    }
    if (!OF_TABLES.has(object) || command.toUpperCase() !== 'CREATE') this.#skipStatement();
  }

  #take(): string {
    return this.#tokens[this.#at++]!.text;
  }

  #skipStatement(): void {
    while (this.#at < this.#tokens.length && this.#next() !== ';') {
      const isMore = this.#next() === ',' && this.#level.isList;
      this.#at++;
      if (isMore) this.#target('table');
    }
  }

  #operation(text: string): void {
    this.parts.push({ kind: 'operation', text });
  }

  /** Reads the name that comes next, if one does: `city`, `"public".city`. */
  #target(kind: 'table' | 'other target'): void {
    while (BEFORE_NAME.has(this.#next())) this.#at++;
    let name = '';
    let at = this.#at;
    for (; isName(this.#tokens[at]); at += 2) {
      name += this.#tokens[at]!.text;
      if (this.#tokens[at + 1]?.text !== '.') break;
      name += '.';
    }
    if (name === '' || name.endsWith('.') || NO_NAMES.has(name.toUpperCase())) return;
    this.#at = at + 1;
    if (this.#withNames.has(name.toLowerCase())) return;
    const isFunction = this.#level.isList && this.#next() === '(';
    this.parts.push({ kind: isFunction ? 'other target' : kind, text: name });
  }
}

function beginning(): Level {
  return { verb: null, awaitsVerb: true, mayBeAny: true, names: false, isList: false };
}

function isName(token: Token | undefined): boolean {
  return token?.kind === 'word' || token?.kind === 'quoted name';
}
