import { isUtf8 } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import {
  adapters,
  CompositeInfo,
  errors,
  Range,
  registerComposite,
  registerHstore,
  TypeInfo,
} from '../../src/index.js';
import { ByteWriter } from '../../src/types/byte-writer.js';
import { checkedReader } from '../../src/types/codec.js';
import { Random, seedFrom } from '../support/random.js';

// Values of compound types with one mutation. The reader must return a value of the same bytes, or raise a DataError; it must
// never read bytes before or after the value, nor build more than its bytes can contain.

const SEED = seedFrom('VALUES_SEED', 1);
const CASES = process.env['CI'] === undefined ? 2000 : 10_000;

const map = adapters.clone();
const OIDS = { int4: 23, text: 25, numeric: 1700, date: 1082 };
registerHstore(new TypeInfo('hstore', 90_001, 90_002), map);
registerComposite(
  new CompositeInfo('inner', 90_003, 90_004, { fieldNames: ['a', 'b'], fieldTypes: [OIDS.int4, OIDS.text] }),
  map,
);
registerComposite(
  new CompositeInfo('outer', 90_005, 90_006, {
    fieldNames: ['inner', 'list', 'tags', 'during', 'price'],
    fieldTypes: [90_003, 1007, 90_001, 3912, OIDS.numeric],
  }),
  map,
);
const INNER = { a: 5, b: 'x "y", (z)\\' };

const VALUES: Readonly<Record<string, { readonly oid: number; readonly values: readonly unknown[] }>> = {
  'int4[]': {
    oid: 1007,
    values: [
      [1, null, -3],
      [
        [1, 2],
        [3, 4],
      ],
      [],
    ],
  },
  'text[]': { oid: 1009, values: [['a', 'NULL', null, ''], [['é', '"{}\\,']]] },
  'numeric[]': { oid: 1231, values: [['1.50', '-123456789.0001', 'NaN']] },
  int4range: { oid: 3904, values: [new Range(1, 5), Range.empty(), new Range(null, 7, '(]')] },
  numrange: { oid: 3906, values: [new Range('1.5', '2.5', '[]')] },
  daterange: { oid: 3912, values: [new Range('2024-01-01', null)] },
  'int4range[]': { oid: 3905, values: [[new Range(1, 5), null]] },
  inner: { oid: 90_003, values: [INNER, { a: null, b: null }] },
  outer: {
    oid: 90_005,
    values: [
      {
        inner: INNER,
        list: [1, null],
        tags: { a: 'b', c: null },
        during: new Range('2024-01-01', '2024-02-01'),
        price: '1.5',
      },
      { inner: null, list: [], tags: {}, during: null, price: null },
    ],
  },
  'outer[]': {
    oid: 90_006,
    values: [[{ inner: null, list: [7], tags: null, during: Range.empty(), price: '0' }, null]],
  },
  hstore: { oid: 90_001, values: [{ a: 'b', 'c "d"': null, '': '\\' }, {}] },
  'hstore[]': { oid: 90_002, values: [[{ a: 'b' }, null]] },
};

type Format = 'text' | 'binary';

function encoded(oid: number, value: unknown, format: Format): Buffer {
  const codec = map.codecFor(oid);
  const out = new ByteWriter();
  expect(codec.write!(value, out, 'the value', true)).toBe(true);
  const bytes = Buffer.from(out.written());
  return format === 'binary' ? bytes : Buffer.from(codec.binaryToText!(bytes, 0, bytes.length));
}

/** The value read from bytes between others; the error if they are refused. */
function read(oid: number, value: Buffer, format: Format, around: number): unknown {
  const codec = map.codecFor(oid);
  const bytes = Buffer.concat([Buffer.alloc(24, around), value, Buffer.alloc(64, around)]);
  try {
    return (format === 'text' ? checkedReader(codec) : codec.readBinary!)(bytes, 24, 24 + value.length);
  } catch (error) {
    return error;
  } finally {
    bytes.fill(0);
  }
}

const MARKS = Buffer.from('{}[]()",\\=>NULL\0 \xff', 'latin1');
const INTEGERS = [-2, -1, 0, 1, 7, 23, 25, 1007, 90_003, 0x7fff_ffff, -0x8000_0000, 0x1000_0000];

function mutated(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const copy = Buffer.from(bytes);
  switch (random.below(6)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Buffer.concat([copy, copy.subarray(at)]);
    case 2:
      return Buffer.concat([
        copy.subarray(0, at),
        Buffer.of(MARKS[random.below(MARKS.length)]!),
        copy.subarray(at),
      ]);
    case 3:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + random.below(4))]);
    case 4:
      if (copy.length >= 4) {
        copy.writeInt32BE(INTEGERS[random.below(INTEGERS.length)]!, random.below(copy.length - 3));
      }
      return copy;
    default:
      if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
      return copy;
  }
}

/** The number of values within a value. */
function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + sizeOf(item), 1);
  if (value instanceof Range) return 1;
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, item) => sum + sizeOf(item), 1);
}

describe.each<Format>(['binary', 'text'])('in the %s format', (format) => {
  test.each(Object.keys(VALUES))(`${String(CASES)} mutated values of %s`, (type) => {
    const { oid, values } = VALUES[type]!;
    const random = new Random(SEED);
    const whole = values.map((value) => {
      const bytes = encoded(oid, value, format);
      expect(read(oid, bytes, format, 0xff)).toEqual(value);
      return bytes;
    });
    let refused = 0;
    for (let i = 0; i < CASES; i++) {
      let bytes = whole[i % whole.length]!;
      for (let harm = 0; harm <= i % 3; harm++) bytes = mutated(bytes, random);
      // The server sends no other text.
      if (format === 'text' && (bytes.includes(0) || !isUtf8(bytes))) continue;
      const what = `seed ${String(SEED)}, case ${String(i)}: ${bytes.toString(format === 'text' ? 'utf8' : 'hex')}`;
      const value = read(oid, bytes, format, 0xff);
      const other = read(oid, bytes, format, 0x00);
      if (value instanceof Error) {
        expect(value, what).toBeInstanceOf(errors.DataError);
        expect(other, what).toBeInstanceOf(errors.DataError);
        refused++;
        continue;
      }
      expect(other, what).toEqual(value);
      expect(sizeOf(value), what).toBeLessThanOrEqual(bytes.length + 1);
      // An accepted value must survive writing and reading.
      expect(read(oid, encoded(oid, value, format), format, 0xff), what).toEqual(value);
    }
    expect(refused).toBeGreaterThan(CASES / 10);
  });
});
