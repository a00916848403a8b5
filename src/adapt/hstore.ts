import * as errors from '../errors/index.js';
import type { Loader } from '../wire/row-decoder.js';
import { checkText } from './dump-scalars.js';

const STRING = String.raw`"([^"\\]*(?:\\.[^"\\]*)*)"`;
const PAIR = new RegExp(String.raw`${STRING}\s*=>\s*(?:NULL|${STRING})(?:\s*,\s*|$)`, 'gsy');

/** hstore, as a plain object whose values are strings or null. */
export const loadHstore: Loader = (bytes, start, end) => {
  const text = bytes.utf8Slice(start, end);
  const loaded: Record<string, string | null> = {};
  let at = 0;
  for (const [pair, key, value] of text.matchAll(PAIR)) {
    at += pair.length;
    const name = unescape(key!);
    const content = value === undefined ? null : unescape(value);
    if (name === '__proto__') {
      // Assigned, it would set the prototype.
      Object.defineProperty(loaded, name, {
        value: content,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } else {
      loaded[name] = content;
    }
  }
  if (at < text.length) {
    throw new errors.DataError(`the hstore is malformed at ${text.slice(at, at + 60)}`);
  }
  return loaded;
};

/** A plain object whose values are strings or null, as the text of an hstore. Raises `DataError` for other values. */
export function hstoreText(object: Readonly<Record<string, unknown>>, place: string): string {
  const pairs = Object.entries(object).map(([key, value]) => {
    const where = `${place}.${key}`;
    if (value !== null && typeof value !== 'string') {
      throw new errors.DataError(
        `${where}: the values of an hstore are strings or null, got ${described(value)}`,
      );
    }
    return `${quote(checkText(key, where))}=>${value === null ? 'NULL' : quote(checkText(value, where))}`;
  });
  return pairs.join(',');
}

function described(value: unknown): string {
  return value === undefined
    ? 'undefined'
    : Array.isArray(value)
      ? 'an array'
      : `a value of type ${typeof value}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function unescape(text: string): string {
  return text.includes('\\') ? text.replace(/\\(.)/gs, '$1') : text;
}
