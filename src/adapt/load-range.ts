import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import { FieldReader } from './field-reader.js';
import { Multirange } from './multirange.js';
import { Range } from './range.js';

const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const OPEN_PARENTHESIS = 0x28;
const CLOSE_BRACKET = 0x5d;
const CLOSE_PARENTHESIS = 0x29;
const LETTER_E = 0x65;
const EMPTY = 'empty';

/** Loads ranges, whose bounds `loadBound` loads. */
export function rangeLoader(loadBound: Loader): Loader {
  return (bytes, start, end) => {
    const reader = new FieldReader(bytes, start, end);
    const range = readRange(reader, loadBound);
    if (range === null || reader.at !== end) throw malformed('range', bytes, start, end);
    return range;
  };
}

/** Loads multiranges, the bounds of whose ranges `loadBound` loads. */
export function multirangeLoader(loadBound: Loader): Loader {
  return (bytes, start, end) => {
    const reader = new FieldReader(bytes, start, end);
    const ranges: Range<unknown>[] = [];
    if (reader.next() !== OPEN) throw malformed('multirange', bytes, start, end);
    if (bytes[reader.at] === CLOSE) {
      reader.at++;
    } else {
      for (let next = COMMA; next !== CLOSE; next = reader.next()) {
        const range = next === COMMA ? readRange(reader, loadBound) : null;
        if (range === null) throw malformed('multirange', bytes, start, end);
        ranges.push(range);
      }
    }
    if (reader.at !== end) throw malformed('multirange', bytes, start, end);
    return new Multirange(ranges);
  };
}

/** Null if it is malformed. */
function readRange(reader: FieldReader, loadBound: Loader): Range<unknown> | null {
  const open = reader.next();
  if (open === LETTER_E) {
    const end = reader.at - 1 + EMPTY.length;
    if (end > reader.end || reader.bytes.latin1Slice(reader.at - 1, end) !== EMPTY) return null;
    reader.at = end;
    return Range.empty();
  }
  if (open !== OPEN_BRACKET && open !== OPEN_PARENTHESIS) return null;
  const lower = reader.read(loadBound, CLOSE_BRACKET);
  if (reader.next() !== COMMA) return null;
  const upper = reader.read(loadBound, CLOSE_BRACKET);
  const close = reader.next();
  if (close !== CLOSE_BRACKET && close !== CLOSE_PARENTHESIS) return null;
  return new Range(lower, upper, String.fromCharCode(open, close));
}

function malformed(kind: string, bytes: Buffer, start: number, end: number): Error {
  return new errors.DataError(
    `the ${kind} ${bytes.utf8Slice(start, Math.min(end, start + 60))} is malformed`,
  );
}
