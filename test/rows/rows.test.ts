import { describe, expect, it } from 'vitest';
import { describeField } from '../../src/column.js';
import {
  argsRow,
  classRow,
  dictRow,
  errors,
  kwargsRow,
  namedtupleRow,
  scalarRow,
  schemaRow,
  tupleRow,
  type RowFactory,
  type RowSource,
  type StandardSchema,
} from '../../src/index.js';

function result(...names: string[]): RowSource {
  return {
    description: names.map((name) =>
      describeField({ name, tableOid: 0, tableColumn: 0, typeOid: 25, typeSize: -1, typmod: -1 }),
    ),
  };
}

const NO_RESULT: RowSource = { description: null };

describe('dictRow', () => {
  it('names the values by their columns, in order', () => {
    const row = dictRow(result('b', 'a'))([1, null]);
    expect(row).toEqual({ b: 1, a: null });
    expect(Object.keys(row)).toEqual(['b', 'a']);
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  });

  it('takes the last of columns with the same name', () => {
    expect(dictRow(result('a', 'b', 'a'))([1, 2, 3])).toEqual({ a: 3, b: 2 });
  });

  it('makes any name an own property', () => {
    const row = dictRow(result('__proto__', 'constructor', '2', '1', ''))([
      { evil: true },
      'c',
      'two',
      'one',
      'none',
    ]);
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    expect(Object.entries(row)).toEqual([
      ['1', 'one'],
      ['2', 'two'],
      ['__proto__', { evil: true }],
      ['constructor', 'c'],
      ['', 'none'],
    ]);
    expect((row as { evil?: boolean }).evil).toBeUndefined();
  });

  it('makes an empty object of a result without columns', () => {
    expect(dictRow(result())([])).toEqual({});
  });
});

describe('namedtupleRow', () => {
  it('returns arrays whose values are properties, too', () => {
    const row = namedtupleRow(result('id', 'name'))([1, 'a']);
    expect([...row]).toEqual([1, 'a']);
    expect(Array.isArray(row)).toBe(true);
    expect([row['id'], row['name']]).toEqual([1, 'a']);
    expect(Object.keys(row)).toEqual(['0', '1']);
    expect(row.map((value: unknown) => value)).toEqual([1, 'a']);
  });

  it('turns other names into identifiers', () => {
    const row = namedtupleRow(result('?column?', '1st', '_private', 'a b', 'größe'))([1, 2, 3, 4, 5]);
    expect([row['f_column_'], row['f1st'], row['f_private'], row['a_b'], row['größe']]).toEqual([
      1, 2, 3, 4, 5,
    ]);
  });

  it.each([
    ['class', /'class'/],
    ['length', /'length'/],
    ['map', /'map'/],
    ['constructor', /'constructor'/],
  ])('refuses a column named %s', (name, message) => {
    expect(() => namedtupleRow(result(name))).toThrow(errors.ProgrammingError);
    expect(() => namedtupleRow(result(name))).toThrow(message);
  });

  it('refuses duplicate names, also after the conversion to identifiers', () => {
    expect(() => namedtupleRow(result('a', 'a'))).toThrow(/'a' twice/);
    expect(() => namedtupleRow(result('a b', 'a-b'))).toThrow(/'a_b' twice/);
  });
});

describe('the other factories', () => {
  it('return tuples, scalars, and the results of a function or a class', () => {
    class Point {
      readonly x: number;
      readonly y: number;
      constructor({ x, y }: { x: number; y: number }) {
        this.x = x;
        this.y = y;
      }
    }
    const source = result('x', 'y');
    expect(tupleRow(source)([1, 2])).toEqual([1, 2]);
    expect(scalarRow(source)([1, 2])).toBe(1);
    expect(argsRow((x: number, y: number) => x + y)(source)([1, 2])).toBe(3);
    expect(kwargsRow(({ x, y }: { x: number; y: number }) => x - y)(source)([1, 2])).toBe(-1);
    const point = classRow(Point)(source)([1, 2]);
    expect(point).toBeInstanceOf(Point);
    expect(point).toEqual(new Point({ x: 1, y: 2 }));
  });

  it('refuse a scalar of no column', () => {
    expect(() => scalarRow(result())).toThrow(errors.ProgrammingError);
  });

  it.each<[string, RowFactory<unknown>]>([
    ['dictRow', dictRow],
    ['namedtupleRow', namedtupleRow],
    ['scalarRow', scalarRow],
    ['kwargsRow', kwargsRow((row: unknown) => row)],
  ])('%s can be called for a cursor without a result, but not used', (_, factory) => {
    const make = factory(NO_RESULT);
    expect(() => make([1])).toThrow(errors.InterfaceError);
  });
});

describe('schemaRow', () => {
  const standard = (
    validate: StandardSchema<{ id: number }>['~standard']['validate'],
  ): StandardSchema<{ id: number }> => ({
    '~standard': { version: 1, vendor: 'handwritten', validate },
  });

  it('returns the schema’s output', () => {
    const schema = standard((row) => ({ value: { id: Number((row as { id: string }).id) } }));
    expect(schemaRow(schema)(result('id'))(['5'])).toEqual({ id: 5 });
  });

  it('raises DataError with every issue and its path', () => {
    const issues = [
      { message: 'not a number', path: ['id'] },
      { message: 'too deep', path: [{ key: 'a' }, 0] },
      { message: 'all wrong' },
    ];
    const make = schemaRow(standard(() => ({ issues })))(result('id'));
    let raised: unknown;
    try {
      make(['x']);
    } catch (error) {
      raised = error;
    }
    expect(raised).toBeInstanceOf(errors.DataError);
    expect((raised as Error).message).toBe(
      'the row does not fit its schema: id: not a number; a.0: too deep; all wrong',
    );
    expect((raised as Error).cause).toBe(issues);
  });

  it('refuses an asynchronous schema', () => {
    const make = schemaRow(standard(() => Promise.resolve({ value: { id: 1 } })))(result('id'));
    expect(() => make([1])).toThrow(/validates synchronously/);
  });
});

describe('a column', () => {
  const column = (typeOid: number, typmod = -1, typeSize = -1): ReturnType<typeof describeField> =>
    describeField({ name: 'c', tableOid: 0, tableColumn: 0, typeOid, typeSize, typmod });

  it.each([
    [1043, 46, 'varchar(42)'],
    [1042, 14, 'bpchar(10)'],
    [1560, 8, 'bit(8)'],
    [1562, -1, 'varbit'],
    [1700, (10 << 16) + 2 + 4, 'numeric(10,2)'],
    [1700, (2 << 16) + (0x7ff & -3) + 4, 'numeric(2,-3)'],
    [1700, -1, 'numeric'],
    [1184, 3, 'timestamptz(3)'],
    [1186, 0x7fff0003, 'interval(3)'],
    [1082, -1, 'date'],
    [1182, -1, 'date[]'],
    [1015, 46, 'varchar(42)[]'],
    [1231, (10 << 16) + 2 + 4, 'numeric(10,2)[]'],
    [99_999, -1, '99999'],
  ])('of type %i with modifier %i is displayed as %s', (oid, typmod, shown) => {
    expect(column(oid, typmod).typeDisplay).toBe(shown);
  });

  it('distinguishes sizes, precision and scale', () => {
    expect(column(1043, 46)).toMatchObject({
      displaySize: 42,
      internalSize: null,
      precision: null,
      scale: null,
    });
    expect(column(1700, (10 << 16) + 2 + 4)).toMatchObject({ displaySize: null, precision: 10, scale: 2 });
    expect(column(23, -1, 4)).toMatchObject({ internalSize: 4, precision: null, nullOk: null });
    expect(column(1083, 3, 8)).toMatchObject({ precision: 3, scale: null });
  });

  it('names its table only if it has one', () => {
    expect(column(23)).toMatchObject({ tableOid: null, tableColumn: null });
    expect(
      describeField({ name: 'c', tableOid: 16_384, tableColumn: 2, typeOid: 23, typeSize: 4, typmod: -1 }),
    ).toMatchObject({ name: 'c', typeCode: 23, tableOid: 16_384, tableColumn: 2 });
  });
});
