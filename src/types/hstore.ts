import * as errors from '../errors/index.js';
import { describeKind } from '../options/kinds.js';
import { WHITE_SPACE } from './ascii.js';
import { isPlainObject } from './realm.js';
import { compound, malformed, refused, writeSized, type Place, type ValueWriter } from './codec.js';
import type { Dumper } from './adaptation.js';
import { BinaryReader } from './binary-reader.js';
import type { ByteWriter } from './byte-writer.js';
import { readUtf8 } from './text.js';
import { checkText, quoted, writeUtf8 } from './write-text.js';

type Hstore = Readonly<Record<string, string | null>>;

/** hstore, as a plain object whose values are strings or null. */
export const hstore = compound<Readonly<Record<string, unknown>>>(
  [],
  () => ({
    readText: (bytes, start, end) => parse(bytes.utf8Slice(start, end)),
    readBinary,
    takes: isPlainObject,
    writeText: hstoreText,
    writeBinary: write,
  }),
  (object) => hstoreText(object, 'hstore'),
);

const dumpers = new WeakSet<Dumper>();

/** Makes the dumper of plain objects as hstore, whose oid differs between databases. */
export function hstoreDumper(oid: number): Dumper {
  const dump: Dumper = (value: Readonly<Record<string, unknown>>, place) => ({
    text: hstoreText(value, place),
    oid,
  });
  dumpers.add(dump);
  return dump;
}

/** Whether this dumper serves plain objects of unknown type only. Columns and fields of other types do not use it. */
export function isHstoreDumper(dumper: Dumper): boolean {
  return dumpers.has(dumper);
}

/** The text of an hstore from a plain object. Raises `DataError` for values other than strings and null. */
function hstoreText(object: Readonly<Record<string, unknown>>, place: string): string {
  const pairs = checkedEntries(object, place).map(
    ([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`,
  );
  return pairs.join(', ');
}

function checkedEntries(object: Readonly<Record<string, unknown>>, place: Place): [string, string | null][] {
  return Object.entries(object).map(([key, value]) => {
    const where = `${place.toString()}.${key}`;
    if (value !== null && typeof value !== 'string') {
      throw refused(
        where,
        `the values of an hstore are strings or null, got ${describeKind(value)}; for JSON wrap the object as new Jsonb(value)`,
      );
    }
    return [checkText(key, where), value === null ? null : checkText(value, where)];
  });
}

/** Writes the number of pairs, then each key and value with its length. */
function write(object: Readonly<Record<string, unknown>>, out: ByteWriter, place: Place): void {
  const entries = checkedEntries(object, place);
  out.int32(entries.length);
  for (const pair of entries) {
    for (const text of pair) writeSized(writeText, text, out, place, true);
  }
}

const writeText: ValueWriter = (text, out, place) => {
  if (text !== null) writeUtf8(text as string, out, place);
  return text !== null;
};

function readBinary(bytes: Buffer, start: number, end: number): Hstore {
  const reader = new BinaryReader('hstore', bytes, start, end);
  const loaded: Record<string, string | null> = {};
  const count = reader.count(8);
  for (let i = 0; i < count; i++) {
    const key = reader.value(readUtf8);
    if (key === null) throw malformed('hstore', 'a key is NULL');
    set(loaded, key, reader.value(readUtf8));
  }
  reader.end();
  return loaded;
}

function set(object: Record<string, string | null>, key: string, value: string | null): void {
  // The server keeps the first pair of a key.
  if (Object.hasOwn(object, key)) return;
  if (key === '__proto__') {
    // Assigning the key `__proto__` would set the prototype.
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

const PLAIN = /[^"\\]*/y;
const ARROW = new RegExp(`[${WHITE_SPACE}]*=>[${WHITE_SPACE}]*`, 'y');
const NULL = /NULL/y;
const COMMA = new RegExp(`[${WHITE_SPACE}]*,[${WHITE_SPACE}]*`, 'y');

/** Parses the server's text: `"key"=>"value", "other"=>NULL`. */
function parse(text: string): Hstore {
  const loaded: Record<string, string | null> = {};
  let at = 0;
  const malformedAt = (index: number): Error =>
    new errors.DataError(`the hstore is malformed at ${text.slice(index, index + 60)}`);
  const takes = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    at += found?.length ?? 0;
    return found;
  };
  // Reads a string in double quotes; a backslash escapes a quote or a backslash.
  const string = (): string => {
    const start = at;
    if (text[at++] !== '"') throw malformedAt(start);
    let content = takes(PLAIN)!;
    while (text[at] === '\\' && at + 1 < text.length) {
      content += text[at + 1]!;
      at += 2;
      content += takes(PLAIN)!;
    }
    if (text[at++] !== '"') throw malformedAt(start);
    return content;
  };
  while (at < text.length) {
    if (at > 0 && takes(COMMA) === null) throw malformedAt(at);
    const key = string();
    if (takes(ARROW) === null) throw malformedAt(at);
    set(loaded, key, takes(NULL) === null ? string() : null);
  }
  return loaded;
}
