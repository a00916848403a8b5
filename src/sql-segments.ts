import { SqlScanner, type Enclosure } from './sql-scanner.js';

/** A segment of a text: SQL, or quotes or a comment, with its opening (`E'`, `--`, `$tag$`) and its end. */
export interface Segment {
  readonly kind: 'sql' | Enclosure;
  readonly start: number;
  readonly end: number;
  /** Whether it is a string that continues the previous one on another line. */
  readonly isContinued: boolean;
}

/** Divides a text into segments, lazily. `scanner` must be new. */
export function* segmentsOf(text: string, scanner: SqlScanner): Generator<Segment, void, undefined> {
  let kind: Segment['kind'] = 'sql';
  let start = 0;
  let isContinued = false;
  for (let at = 0; at < text.length;) {
    at = scanner.step(text, at);
    const { open } = scanner;
    if ((open ?? 'sql') === kind) continue;
    const end = open === null ? at : at - scanner.opening;
    if (end > start) yield { kind, start, end, isContinued };
    kind = open ?? 'sql';
    start = end;
    isContinued = open === 'string' && scanner.isContinued;
  }
  if (start < text.length) yield { kind, start, end: text.length, isContinued };
}

export function isComment({ kind }: Segment): boolean {
  return kind === 'comment' || kind === 'line comment';
}

/** The server's white space is ASCII; all characters beyond ASCII are letters. */
const NOT_BLANK = /[^ \t\n\r\f\v]/;

/** The position of a text's first token, after white space and comments; the text's length if there is none. */
export function startOfFirstToken(text: string): number {
  const first = text.search(NOT_BLANK);
  if (first >= 0 && text[first] !== '-' && text[first] !== '/') return first;
  for (const segment of segmentsOf(text, new SqlScanner(false))) {
    if (isComment(segment)) continue;
    if (segment.kind !== 'sql') return segment.start;
    const token = text.slice(segment.start, segment.end).search(NOT_BLANK);
    if (token >= 0) return segment.start + token;
  }
  return text.length;
}

const WORD = /[a-z_\x80-\uffff][\w$\x80-\uffff]*/iy;

/** The words that a text begins with, at most `most`, in lower case and separated by one space; comments are white space. */
export function firstWords(text: string, most: number): string {
  const words: string[] = [];
  for (let rest = text; words.length < most; rest = rest.slice(WORD.lastIndex)) {
    WORD.lastIndex = startOfFirstToken(rest);
    const word = WORD.exec(rest)?.[0];
    if (word === undefined) break;
    words.push(word.toLowerCase());
  }
  return words.join(' ');
}
