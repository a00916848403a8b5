import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import { FieldReader } from './field-reader.js';

const OPEN_PARENTHESIS = 0x28;
const CLOSE_PARENTHESIS = 0x29;
const COMMA = 0x2c;

/**
 * Loads composites of the type `name`: each field with its own loader, all of them handed to `make`. Raises `DataError` for
 * another number of fields than there are loaders.
 */
export function compositeLoader(
  name: string,
  loaders: readonly Loader[],
  make: (values: unknown[]) => unknown,
): Loader {
  const count = loaders.length;
  return (bytes, start, end) => {
    const values: unknown[] = [];
    const found = readFields(bytes, start, end, values, (i) => loaders[i]);
    // A single NULL is written like no field at all.
    if (found === 0 && count === 1) values.push(null);
    else if (found !== count) {
      throw new errors.DataError(
        `a value of the composite type ${name} has ${String(found)} fields, but ${String(count)} were registered;` +
          ' if the type has been changed, fetch and register it again',
      );
    }
    return make(values);
  };
}

/** Loads records, whose fields' types the server does not tell: as an array, with each field as its text. */
export function recordLoader(loadField: Loader): Loader {
  return (bytes, start, end) => {
    const values: unknown[] = [];
    readFields(bytes, start, end, values, () => loadField);
    return values;
  };
}

/** Gives how many fields there are; those that there is a loader for are added to `values`. */
function readFields(
  bytes: Buffer,
  start: number,
  end: number,
  values: unknown[],
  loaderOf: (index: number) => Loader | undefined,
): number {
  const reader = new FieldReader(bytes, start, end);
  if (reader.next() === OPEN_PARENTHESIS) {
    if (end - start === 2 && bytes[reader.at] === CLOSE_PARENTHESIS) return 0;
    for (let count = 1; ; count++) {
      values.push(reader.read(loaderOf(count - 1) ?? ignore, CLOSE_PARENTHESIS));
      const next = reader.next();
      if (next === CLOSE_PARENTHESIS && reader.at === end) return count;
      if (next !== COMMA) break;
    }
  }
  throw new errors.DataError(
    `the composite value ${bytes.utf8Slice(start, Math.min(end, start + 60))} is malformed`,
  );
}

const ignore: Loader = () => null;
