import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';

const OPEN = 0x7b;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const EQUALS = 0x3d;

/** Loads arrays of any depth, whose elements `loadElement` loads. Lower bounds other than 1 have no place in JavaScript. */
export function arrayLoader(loadElement: Loader, delimiter: string): Loader {
  const separator = delimiter.charCodeAt(0);
  return (bytes, start, end) => {
    let at = start;
    // [0:1][2:3]={{…},{…}}
    if (bytes[at] !== OPEN) at = bytes.indexOf(EQUALS, at) + 1;
    if (bytes[at] !== OPEN || at >= end) throw malformed(bytes, start, end);

    const loadLevel = (): unknown[] => {
      const elements: unknown[] = [];
      at++;
      if (bytes[at] === CLOSE) {
        at++;
        return elements;
      }
      while (at < end) {
        if (bytes[at] === OPEN) elements.push(loadLevel());
        else if (bytes[at] === QUOTE) elements.push(loadQuoted());
        else elements.push(loadBare());
        // What follows belongs to the next column.
        if (at >= end) break;
        const next = bytes[at++];
        if (next === CLOSE) return elements;
        if (next !== separator) break;
      }
      throw malformed(bytes, start, end);
    };

    const loadBare = (): unknown => {
      const from = at;
      while (at < end && bytes[at] !== separator && bytes[at] !== CLOSE) at++;
      return isNull(bytes, from, at) ? null : loadElement(bytes, from, at);
    };

    const loadQuoted = (): unknown => {
      const from = ++at;
      let escaped = 0;
      while (at < end && bytes[at] !== QUOTE) {
        if (bytes[at] === BACKSLASH) {
          escaped++;
          at++;
        }
        at++;
      }
      const to = at++;
      if (escaped === 0) return loadElement(bytes, from, to);
      const plain = Buffer.allocUnsafe(to - from - escaped);
      for (let source = from, target = 0; source < to; source++) {
        if (bytes[source] === BACKSLASH) source++;
        plain[target++] = bytes[source]!;
      }
      return loadElement(plain, 0, plain.length);
    };

    return loadLevel();
  };
}

/** Unquoted, NULL in whatever case is no value. */
function isNull(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start === 4 &&
    (bytes[start]! | 0x20) === 0x6e &&
    bytes.latin1Slice(start, end).toUpperCase() === 'NULL'
  );
}

function malformed(bytes: Buffer, start: number, end: number): Error {
  return new errors.DataError(`the array ${bytes.utf8Slice(start, Math.min(end, start + 60))} is malformed`);
}
