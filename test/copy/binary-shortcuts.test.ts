import fc from 'fast-check';
import { expect, test } from 'vitest';
import { adapters } from '../../src/index.js';
import { BinaryShortcuts } from '../../src/copy/binary-shortcuts.js';
import { Block } from '../../src/copy/block.js';

// The shortcuts write the same bytes as the codec of the column's type, or leave a value to the codec.

const TYPES = [
  'int2',
  'int4',
  'int8',
  'float8',
  'bool',
  'text',
  'varchar',
  'timestamptz',
  'numeric',
  'float4',
];
const OIDS = TYPES.map((type) => adapters.type(type)!.oid);

const near = (center: number): fc.Arbitrary<number> => fc.integer({ min: -2, max: 2 }).map((n) => center + n);
const value = fc.oneof(
  fc.constantFrom(null, true, false, -0, NaN, Infinity, 2 ** 63, new Date(NaN), undefined, {}),
  fc.integer(),
  fc.constantFrom(15, 16, 31, 32, 53).chain((power) => near(2 ** power)),
  fc.constantFrom(15, 16, 31, 32, 53).chain((power) => near(-(2 ** power))),
  fc.double(),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
  fc.date({ noInvalidDate: true }),
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.string({ minLength: 60, maxLength: 68 }),
  fc.string({ maxLength: 10 }),
);

test('a row written by the shortcuts is the one that the codecs write', () => {
  const { native, codecFor } = adapters.codecs;
  const shortcuts = new BinaryShortcuts(OIDS, native);
  fc.assert(
    fc.property(fc.array(value, { minLength: OIDS.length, maxLength: OIDS.length }), (row) => {
      for (let from = 0; from < row.length; from++) {
        const short = new Block();
        const end = shortcuts.write(row, from, short);
        const plain = new Block();
        for (let i = from; i < end; i++) {
          const at = plain.length;
          plain.int32(-1);
          if (codecFor(OIDS[i]!).write!(row[i], plain, 'the value', true))
            plain.setInt32(at, plain.length - at - 4);
        }
        expect(short.written()).toEqual(plain.written());
        from = end;
      }
    }),
    { numRuns: 5000 },
  );
});
