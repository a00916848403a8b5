import { firstWords, isComment, segmentsOf, startOfFirstToken } from './sql-segments.js';
import { SqlScanner } from './sql-scanner.js';

// Classifies statements without parsing SQL. All functions return "no" when in doubt, so that a wrong guess can only cost speed.

/** The longest text whose classification is remembered. */
const LONGEST_REMEMBERED = 10_000;

/** Remembers the last answer of `classify`: most statements repeat the one before. */
function remembered(classify: (text: string) => boolean): (text: string) => boolean {
  let last: string | null = null;
  let answer = false;
  return (text) => {
    if (text === last) return answer;
    if (text.length > LONGEST_REMEMBERED) return classify(text);
    last = text;
    return (answer = classify(text));
  };
}

const LEAVES_TRANSACTION_ALONE = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table|show)\b/i;

/** Whether `text` is certainly a single statement, without a semicolon except at its very end. */
export function isSingleStatement(text: string): boolean {
  const semicolon = text.indexOf(';');
  return semicolon < 0 || text.slice(semicolon + 1).trim() === '' || isSingle(text);
}

/**
 * Whether a text without parameters may use the extended protocol: it is one statement, and has no `$1` that would be read as a
 * parameter.
 */
export function canGoExtended(text: string): boolean {
  return text.includes('$') ? isSingle(text) : isSingleStatement(text);
}

/** Whether it is one statement under both meanings of backslashes in strings. */
function isSingle(text: string): boolean {
  return isSingleWith(false, text) && (!text.includes('\\') || isSingleWith(true, text));
}

/** Whether only white space and comments follow a semicolon, and nothing may be read as a parameter. */
function isSingleWith(backslashes: boolean, text: string): boolean {
  const scanner = new SqlScanner(backslashes);
  let hasEnded = false;
  for (const segment of segmentsOf(text, scanner)) {
    if (isComment(segment)) continue;
    if (segment.kind === 'sql') {
      const sql = text.slice(segment.start, segment.end);
      const semicolon: number = hasEnded ? 0 : sql.indexOf(';');
      if (semicolon >= 0 && NOT_AN_END.test(semicolon === 0 ? sql : sql.slice(semicolon))) return false;
      hasEnded ||= semicolon >= 0;
    } else if (hasEnded) return false;
  }
  return !scanner.hasParameter;
}

const NOT_AN_END = /[^; \t\n\r\f\v]/;

const BEGINS_WITH_WORD = /^[a-z]/i;

/** The text from its first word on: mostly the text itself. */
function fromFirstWord(text: string): string {
  return BEGINS_WITH_WORD.test(text) ? text : text.slice(startOfFirstToken(text));
}

/** Whether a statement begins or ends a transaction. */
export const controlsTransaction = remembered((text) => {
  switch (firstWords(text, 1)) {
    case 'begin':
    case 'start':
    case 'commit':
    case 'end':
    case 'abort':
      return true;
    case 'prepare':
      return firstWords(text, 2) === 'prepare transaction';
    case 'rollback':
      return !/^rollback (?:transaction |work )?to\b/.test(firstWords(text, 3));
    default:
      return false;
  }
});

/** Whether the first statement of `text` ends a transaction so as to keep its changes. The server may roll it back instead. */
export function keepsChanges(text: string): boolean {
  const [first, second] = firstWords(text, 2).split(' ');
  return first === 'commit' || first === 'end' || (first === 'prepare' && second === 'transaction');
}

const WITH = /^with\b/i;
const PART_THAT_WRITES = /\(\s*(?:insert|update|delete|merge)\b/i;

/** Whether a query may change data by a part of its WITH, of which its tag says nothing. */
export const writesWithin = remembered((text) => {
  const query = fromFirstWord(text);
  return WITH.test(query) && PART_THAT_WRITES.test(query);
});

const CHANGES_SCHEMA = /^(?:ALTER|DROP|DISCARD TEMP)\b/;
const MAY_CHANGE_SCHEMA = /^(?:ALTER|DROP|CREATE|SELECT INTO|DISCARD TEMP|DO|CALL)\b/;
const tagChangesSchema = remembered((tag) => CHANGES_SCHEMA.test(tag));
const SETS_SEARCH_PATH = /(?<![.\w])(?:search_path|schema)\b/i;
const RESETS_SEARCH_PATH = /\b(?:search_path|schema|all)\b/i;
const SETS_USER = /(?<![.\w])(?:role|(?:session_)?authorization)\b/i;
const SET_CONFIG = /set_config/i;
const callsSetConfig = remembered((text) => SET_CONFIG.test(text));

/** Whether a query with this tag may set a setting by a function, which its parameters may name. */
export function setsByFunction(tag: string, text: string): boolean {
  return tag.startsWith('SELECT') && callsSetConfig(text);
}

/** Whether a command with this tag and text may set what the text names. */
function setsNamed(tag: string, text: string): boolean {
  return tag === 'SET' || tag === 'RESET' || tag === 'DO' || setsByFunction(tag, text);
}

function setsSearchPath(tag: string, text: string): boolean {
  return setsNamed(tag, text) && (tag === 'RESET' ? RESETS_SEARCH_PATH : SETS_SEARCH_PATH).test(text);
}

/** Whether a command with this tag and text may have invalidated prepared statements. */
export function changesSchema(tag: string, text: string): boolean {
  return tagChangesSchema(tag) || setsSearchPath(tag, text);
}

/** Whether a command with this tag and text may have changed the user, whose schema is in the default search path. */
export function changesUser(tag: string, text: string): boolean {
  return setsNamed(tag, text) && SETS_USER.test(text);
}

/** A change of the user: to whom, and whether only until the end of the transaction. */
export interface UserChange {
  readonly name: string;
  readonly isLocal: boolean;
}

const SET_USER =
  /^set\s+(local\s+)?(?:session\s+)?(?:role|session\s+authorization)\s+(?!default\b)(?:(\w+)|(["'])([^"'\\]*)\3)[\s;]*$/i;
const SET_CONFIG_OF_ROLE =
  /^select\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'role'\s*,\s*(?:'([^'\\]*)'|\$(\d+))\s*,\s*(true|false)\s*\)/i;

/** The change made by a command that changes the user; null if the text and its parameters do not certainly tell. */
export function userChange(
  tag: string,
  text: string,
  params: readonly { readonly text: string | null }[] = [],
): UserChange | null {
  const query = fromFirstWord(text);
  const set = tag === 'SET' ? SET_USER.exec(query) : null;
  if (set !== null) return changeTo(set[4] ?? set[2]?.toLowerCase(), set[1] !== undefined);
  const called = tag === 'SELECT 1' ? SET_CONFIG_OF_ROLE.exec(query) : null;
  if (called === null || SETS_USER.test(query.slice(called[0].length))) return null;
  return changeTo(called[1] ?? params[Number(called[2]) - 1]?.text, called[3]!.toLowerCase() === 'true');
}

/** "none" is the user of the session, in quotes, too. */
function changeTo(name: string | null | undefined, isLocal: boolean): UserChange | null {
  return name == null || name === 'none' ? null : { name, isLocal };
}

/**
 * Whether the end of the transaction may undo a schema change by a command with this tag. It may also undo what `changesSchema()` and
 * `changesUser()` tell of.
 */
export const mayChangeSchema = remembered((tag) => MAY_CHANGE_SCHEMA.test(tag));

/** CREATE TABLE AS and EXECUTE have the tag of their SELECT, and a function may do anything unless it is built in. */
const MAKES_TABLE = /^\s*(?:create|execute)\b|(?<!\b(?:insert|merge)\s+)\binto\b/i;
const CALL = /\b([a-z_]\w*)\s*\(/gi;
/** The column names of a derived table, or of the table that is written. */
const COLUMNS_BEHIND = /(?:\)|\b(?:as|copy|into)\s+(?:\w+\.)?)\s*$/i;
const MOST_BEFORE = 80;
const HARMLESS_BEFORE_PARENTHESIS = new Set(
  (
    'select from where and or not in on as values exists any some all case when then else by having union intersect except ' +
    'distinct over filter within group join using interval cast coalesce nullif greatest least row array count sum avg min max ' +
    'now nextval currval lastval lower upper length trim btrim substring substr position extract date_trunc row_number rank ' +
    'array_agg string_agg json_agg jsonb_agg json_build_object jsonb_build_object to_char to_json to_jsonb to_timestamp unnest ' +
    'generate_series format round abs floor ceil random concat replace md5 current_setting version varchar numeric char timestamp ' +
    'timestamptz time decimal bit copy explain set conflict returning materialized'
  ).split(' '),
);

/** Whether a query may have created or dropped a table, by itself or through a function. */
export function mayMakeTable(query: string): boolean {
  if (MAKES_TABLE.test(fromFirstWord(query))) return true;
  for (const { 1: name, index } of query.matchAll(CALL)) {
    const lower = name!.toLowerCase();
    if (COLUMNS_BEHIND.test(query.slice(Math.max(0, index - MOST_BEFORE), index))) continue;
    if (!HARMLESS_BEFORE_PARENTHESIS.has(lower) && !lower.startsWith('pg_')) return true;
  }
  return false;
}

const CALLS = /^(?:SELECT|INSERT|UPDATE|DELETE|MERGE|COPY|EXPLAIN|DECLARE CURSOR)\b/;

/** Whether a command with this tag may have called a function that its text names. What a cursor calls, its DECLARE names. */
export const mayCallFunctions = remembered((tag) => CALLS.test(tag));

const SETS = /^(?:SET|RESET|DISCARD ALL|DO|CALL|EXECUTE|COMMIT|ROLLBACK)\b/;

/** Whether a command with this tag, other than a query, may have changed a setting of the session. */
export const mayChangeSettings = remembered((tag) => SETS.test(tag));

const ENCODING = /client_encoding|\bset\s+names\b|\breset\s+all\b|\bdiscard\s+all\b/i;
const TO_UTF8 = /\b(?:client_encoding\s*(?:=|to)|set\s+names)\s*'?(?:utf-?8|unicode)\b/gi;

/** Whether a text may change client_encoding to one other than UTF8. */
export function mayChangeEncoding(text: string): boolean {
  return ENCODING.test(text) && ENCODING.test(text.replace(TO_UTF8, ''));
}

const HAS_FIXED_COLUMNS = /^[\s(]*(?:select|insert|update|delete|merge|values|with|table)\b/i;

/**
 * Whether a prepared statement returns the same columns at every execution, or fails. The columns of FETCH, EXECUTE, CALL and
 * similar statements depend on the object they refer to at that time.
 */
export function hasFixedColumns(text: string): boolean {
  return HAS_FIXED_COLUMNS.test(fromFirstWord(text));
}

const CLIENT = /\bstd(?:in|out)\b/i;

/** Whether a text contains a keyword by which a COPY has the client as its source or target, in whatever place. */
export const mentionsClient = remembered((text) => CLIENT.test(text));

/** Whether the first statement of `text` certainly neither begins nor ends a transaction. */
export const leavesTransactionAlone = remembered((text) =>
  LEAVES_TRANSACTION_ALONE.test(fromFirstWord(text)),
);
