import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/index.js';
import { Block } from '../../src/copy/block.js';
import { TextRowWriter } from '../../src/copy/text-rows.js';

const ESCAPES: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\\': '\\\\',
};

/** The reference implementation for writing a value. */
function field(value: null | boolean | number | bigint | string | Date): string {
  if (value === null) return '\\N';
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (Object.is(value, -0)) return '-0';
  // Beyond 2^53, a number prints rounded digits.
  if (Number.isInteger(value) && Number(value) >= -(2 ** 63) && Number(value) < 2 ** 63) {
    return String(BigInt(value));
  }
  return String(value).replace(/[\b\t\n\v\f\r\\]/g, (character) => ESCAPES[character]!);
}

const near = (center: number): fc.Arbitrary<number> => fc.integer({ min: -3, max: 3 }).map((n) => center + n);
const value = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.nat(15).chain((power) => near(10 ** power)),
  fc.nat(15).chain((power) => near(-(10 ** power))),
  fc.double(),
  fc.constantFrom(-0, 1e15, -1e15, 2 ** 63, -(2 ** 63), 1e21),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.nat(70).chain((power) => fc.bigInt({ min: 2n ** BigInt(power) - 2n, max: 2n ** BigInt(power) + 2n })),
  fc.nat(70).chain((power) => fc.bigInt({ min: -(2n ** BigInt(power)) - 2n, max: 2n - 2n ** BigInt(power) })),
  fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  }),
  fc.string({ unit: 'binary', maxLength: 80 }).map((text) => text.replaceAll('\0', '')),
  fc.string({ maxLength: 80 }),
  fc.string({ minLength: 62, maxLength: 67 }),
);

describe('a row in the text format', () => {
  it('is written like the reference implementation, whatever the values', () => {
    const width = 5;
    const rows = fc.array(fc.array(value, { minLength: width, maxLength: width }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(rows, (written) => {
        const block = new Block();
        const writer = new TextRowWriter(block, adapters, width);
        for (const row of written) writer.write(row);
        const expected = written.map((row) => `${row.map(field).join('\t')}\n`).join('');
        expect(block.written().toString()).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it('that fails leaves no bytes, even after values written by the shortcuts', () => {
    const block = new Block();
    const writer = new TextRowWriter(block, adapters, 3);
    writer.write([1, 'one', null]);
    expect(() => {
      writer.write([2, 'two', 'a\0b']);
    }).toThrow("row 2, column 3: PostgreSQL text can't contain a NUL character");
    expect(() => {
      writer.write([2, new Date(NaN), true]);
    }).toThrow('row 2, column 2: the Date is invalid');
    writer.write([3, 'three', false]);
    expect(block.written().toString()).toBe('1\tone\t\\N\n3\tthree\tf\n');
  });
});
