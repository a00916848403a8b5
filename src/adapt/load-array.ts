import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';

const OPEN = 0x7b;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const EQUALS = 0x3d;
/** What turns an ASCII letter into a small one. */
const LOWER_CASE = 0x20;

/** Loads arrays of any depth, whose elements `loadElement` loads. Lower bounds other than 1 have no place in JavaScript. */
export function arrayLoader(loadElement: Loader, delimiter: string): Loader {
  const separator = delimiter.charCodeAt(0);
  return (bytes, start, end) => {
    let at = start;
    // [0:1][2:3]={{…},{…}}
    if (bytes[at] !== OPEN) at = bytes.indexOf(EQUALS, at) + 1;
    if (bytes[at] !== OPEN || at >= end) throw malformed(bytes, start, end);
    const elements = new ArrayReader(bytes, at, end, loadElement, separator).level();
    if (elements === null) throw malformed(bytes, start, end);
    return elements;
  };
}

class ArrayReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #loadElement: Loader;
  readonly #separator: number;
  #at: number;

  constructor(bytes: Buffer, at: number, end: number, loadElement: Loader, separator: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#loadElement = loadElement;
    this.#separator = separator;
  }

  /** The elements between two braces, behind which reading goes on; null if the array is malformed. */
  level(): unknown[] | null {
    const bytes = this.#bytes;
    const end = this.#end;
    const separator = this.#separator;
    const loadElement = this.#loadElement;
    const elements: unknown[] = [];
    let at = this.#at + 1;
    if (bytes[at] === CLOSE) {
      this.#at = at + 1;
      return elements;
    }
    while (at < end) {
      const first = bytes[at];
      if (first === OPEN) {
        this.#at = at;
        const inner = this.level();
        if (inner === null) return null;
        elements.push(inner);
        at = this.#at;
      } else if (first === QUOTE) {
        this.#at = at;
        elements.push(this.#quoted());
        at = this.#at;
      } else {
        const from = at;
        while (at < end && bytes[at] !== separator && bytes[at] !== CLOSE) at++;
        elements.push(isNull(bytes, from, at) ? null : loadElement(bytes, from, at));
      }
      // What follows belongs to the next column.
      if (at >= end) return null;
      const next = bytes[at++];
      if (next === CLOSE) {
        this.#at = at;
        return elements;
      }
      if (next !== separator) return null;
    }
    return null;
  }

  #quoted(): unknown {
    const bytes = this.#bytes;
    const end = this.#end;
    const from = this.#at + 1;
    let at = from;
    let escaped = 0;
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) {
        escaped++;
        at++;
      }
      at++;
    }
    this.#at = at + 1;
    if (escaped === 0) return this.#loadElement(bytes, from, at);
    const plain = Buffer.allocUnsafe(at - from - escaped);
    for (let source = from, target = 0; source < at; source++) {
      if (bytes[source] === BACKSLASH) source++;
      plain[target++] = bytes[source]!;
    }
    return this.#loadElement(plain, 0, plain.length);
  }
}

/** Unquoted, NULL in whatever case is no value. */
function isNull(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    (bytes[start]! | LOWER_CASE) === 0x6e &&
    (bytes[start + 1]! | LOWER_CASE) === 0x75 &&
    (bytes[start + 2]! | LOWER_CASE) === 0x6c &&
    (bytes[start + 3]! | LOWER_CASE) === 0x6c
  );
}

function malformed(bytes: Buffer, start: number, end: number): Error {
  return new errors.DataError(`the array ${bytes.utf8Slice(start, Math.min(end, start + 60))} is malformed`);
}
