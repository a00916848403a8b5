import { BACKSLASH, CLOSE_PARENTHESIS, COMMA, QUOTE } from './ascii.js';
import type { Loader } from '../wire/row-decoder.js';

/**
 * Reads the fields of composites and the bounds of ranges, which share one syntax: an empty field is NULL, and double quotes
 * enclose text with special characters.
 */
export class FieldReader {
  readonly bytes: Buffer;
  readonly end: number;
  /** The position of the next byte. */
  at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Takes the next byte; -1 at the end, where the next column's bytes begin. */
  next(): number {
    return this.at < this.end ? this.bytes[this.at++]! : -1;
  }

  /** Returns the byte that `next()` would take. */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at]! : -1;
  }

  /**
   * Loads the field at this position, which ends before a comma, a closing parenthesis, or the byte `closing`. Null for an empty
   * field. A missing end is detected by the following `next()`.
   */
  read(loader: Loader, closing: number): unknown {
    const { bytes, end } = this;
    const start = this.at;
    let at = start;
    let removed = 0;
    let quoted = false;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === BACKSLASH) {
        removed++;
        at++;
      } else if (byte === QUOTE) {
        removed++;
        if (quoted && at + 1 < end && bytes[at + 1] === QUOTE) at++;
        else quoted = !quoted;
      } else if (!quoted && (byte === COMMA || byte === CLOSE_PARENTHESIS || byte === closing)) {
        break;
      }
    }
    this.at = at;
    if (at === start || at >= end) return null;
    if (removed === 0) return loader(bytes, start, at);
    if (removed === 2 && bytes[start] === QUOTE && bytes[at - 1] === QUOTE) {
      return loader(bytes, start + 1, at - 1);
    }
    const plain = unquote(bytes, start, at, removed);
    return loader(plain, 0, plain.length);
  }
}

function unquote(bytes: Buffer, start: number, end: number, removed: number): Buffer {
  const plain = Buffer.allocUnsafe(end - start - removed);
  let quoted = false;
  for (let source = start, target = 0; source < end; source++) {
    if (bytes[source] === BACKSLASH) {
      source++;
    } else if (bytes[source] === QUOTE) {
      if (!(quoted && source + 1 < end && bytes[source + 1] === QUOTE)) {
        quoted = !quoted;
        continue;
      }
      source++;
    }
    plain[target++] = bytes[source]!;
  }
  return plain;
}

const NEEDS_QUOTES = /["\\,()[\]{}\s]/;

/** Quotes a composite's field or a range's bound for the server; NULL is empty. */
export function quoteField(text: string | null): string {
  if (text === null) return '';
  return text === '' || NEEDS_QUOTES.test(text) ? `"${text.replace(/["\\]/g, '$&$&')}"` : text;
}
