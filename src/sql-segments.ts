import { SqlScanner, type Enclosure } from './sql-scanner.js';

/** A part of a text: SQL, or what stands within quotes or a comment, with what begins it (`E'`, `--`, `$tag$`) and what ends it. */
export interface Segment {
  readonly kind: 'sql' | Enclosure;
  readonly start: number;
  readonly end: number;
  /** Whether it is a string that goes on with the one before it, on another line. */
  readonly isContinued: boolean;
}

/** Divides a text into segments, one after the other as they are asked for. `scanner` has read nothing before. */
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

/** White space is ASCII to the server; beyond that, all characters are letters. */
const NOT_BLANK = /[^ \t\n\r\f\v]/;

/** Where the first token of a text begins, behind white space and comments; its length if there is none. */
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
