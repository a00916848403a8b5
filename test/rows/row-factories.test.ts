import { describe, expect, expectTypeOf, it } from 'vitest';
import { describeField } from '../../src/column.js';
import * as errors from '../../src/errors/index.js';
import {
  argsRow,
  camelRow,
  classRow,
  dictRow,
  kwargsRow,
  namedtupleRow,
  scalarRow,
  schemaRow,
  tupleRow,
  type RowFactory,
  type RowSource,
  type StandardSchema,
} from '../../src/rows.js';

function source(...names: string[]): RowSource {
  const field = { typeOid: 25, typeSize: -1, typmod: -1, tableOid: 0, tableColumn: 0 };
  return { description: names.map((name) => describeField({ ...field, name })) };
}

const noResult: RowSource = { description: null };

interface User {
  id: number;
  name: string;
}

describe('tupleRow', () => {
  it('returns the values in order, also of columns with the same name', () => {
    expect(tupleRow(source('a', 'a'))([1, 2])).toEqual([1, 2]);
    expect(tupleRow(source())([])).toEqual([]);
  });
});

describe('dictRow', () => {
  it('returns an object with a property per column, in order', () => {
    const row = dictRow(source('b', 'a b', '1x'))([1, 'x', null]);
    expect(row).toEqual({ b: 1, 'a b': 'x', '1x': null });
    expect(Object.keys(row)).toEqual(['b', 'a b', '1x']);
  });

  it('takes the last of columns with the same name', () => {
    expect(dictRow(source('a', 'b', 'a'))([1, 2, 3])).toEqual({ a: 3, b: 2 });
  });

  it('accepts names of Object.prototype’s members', () => {
    const row = dictRow(source('__proto__', 'constructor', '0', 'toString'))([{ a: 1 }, 2, 3, 4]);
    expect(Object.keys(row).sort()).toEqual(['0', '__proto__', 'constructor', 'toString']);
    expect(Object.getOwnPropertyDescriptor(row, '__proto__')?.value).toEqual({ a: 1 });
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  });

  it.each([0, 1, 2, 7, 8, 9, 16, 17, 33, 1600])(
    'returns complete rows of %i columns, each a separate object',
    (width) => {
      const names = Array.from({ length: width }, (_, i) => `c${String(i)}`);
      const make = dictRow(source(...names));
      const rows = [0, 1].map((n) => make(names.map((_, i) => i + n)));
      for (const n of [0, 1])
        expect(rows[n]).toEqual(Object.fromEntries(names.map((name, i) => [name, i + n])));
    },
  );

  it('is typed by an instantiation expression', () => {
    const factory = dictRow<User>;
    expectTypeOf(factory).toExtend<RowFactory<User>>();
    expect(factory(source('id', 'name'))([1, 'x']).name).toBe('x');
  });
});

describe('camelRow', () => {
  it.each([
    ['created_at', 'createdAt'],
    ['id', 'id'],
    ['line_2_total', 'line2Total'],
    ['a_1', 'a1'],
    ['a__b', 'aB'],
    ['a___b_c', 'aBC'],
    ['_id', '_id'],
    ['__row_id', '__rowId'],
    ['type_', 'type_'],
    ['row_type__', 'rowType__'],
    ['_', '_'],
    ['____', '____'],
    ['userId', 'userId'],
    ['USER_ID', 'USERID'],
    ['größte_öffnung', 'größteÖffnung'],
    ['?column?', '?column?'],
    ['a _b', 'a B'],
    ['x_𐐨', 'x𐐀'],
    ['', ''],
  ])('makes of the column %j the property %j', (column, key) => {
    expect(Object.keys(camelRow(source(column))([1]))).toEqual([key]);
  });

  it('takes the last of columns with the same name, as dictRow does', () => {
    expect(camelRow(source('a_b', 'c', 'a_b'))([1, 2, 3])).toEqual({ aB: 3, c: 2 });
  });

  it('refuses columns of different names that become the same property', () => {
    const make = () => camelRow(source('id', 'user_id', 'user__id'));
    expect(make).toThrow(errors.ProgrammingError);
    expect(make).toThrow("the columns 'user_id' and 'user__id' both become 'userId' in camel case");
    expect(() => camelRow(source('userId', 'user_id'))).toThrow(/give one of them another name with AS/);
  });

  it('sets no prototype, whatever a column is called', () => {
    const row = camelRow(source('__proto__', 'to_string', 'constructor'))([{ a: 1 }, 2, 3]);
    expect(Object.keys(row).sort()).toEqual(['__proto__', 'constructor', 'toString']);
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  });

  it('is typed by an instantiation expression', () => {
    const factory = camelRow<{ userId: number }>;
    expectTypeOf(factory).toExtend<RowFactory<{ userId: number }>>();
    expect(factory(source('user_id'))([1]).userId).toBe(1);
  });

  it('raises InterfaceError without a result', () => {
    expect(() => camelRow(noResult)([])).toThrow(errors.InterfaceError);
  });
});

describe('namedtupleRow', () => {
  it('returns an array whose values are properties, too', () => {
    const row = namedtupleRow(source('id', 'name'))([1, 'x']);
    expect(Array.isArray(row)).toBe(true);
    expect([...row]).toEqual([1, 'x']);
    expect([row.id, row.name, row.length]).toEqual([1, 'x', 2]);
    expect(JSON.stringify(row)).toBe('[1,"x"]');
    const [id, name] = row as [number, string];
    expect([id, name]).toEqual([1, 'x']);
  });

  it('makes identifiers of other names', () => {
    const row = namedtupleRow(source('a b', '1x', '_y', '?column?', 'é'))([1, 2, 3, 4, 5]);
    expect([row.a_b, row.f1x, row.f_y, row.f_column_, row.é]).toEqual([1, 2, 3, 4, 5]);
  });

  it.each([[['class']], [['a', 'a']], [['a b', 'a_b']], [['length']], [['map']]])(
    'refuses the fields %j',
    (names) => {
      expect(() => namedtupleRow(source(...names))).toThrow(errors.ProgrammingError);
    },
  );
});

describe('classRow', () => {
  class Person {
    readonly id: number;
    readonly name: string;
    constructor({ id, name }: User) {
      this.id = id;
      this.name = name;
    }
    greeting(): string {
      return `${this.name} is ${String(this.id)}`;
    }
  }

  it('passes the values to the constructor as an object', () => {
    const factory = classRow(Person);
    expectTypeOf(factory).toEqualTypeOf<RowFactory<Person>>();
    const row = factory(source('id', 'name'))([1, 'Ann']);
    expect(row).toBeInstanceOf(Person);
    expect(row.greeting()).toBe('Ann is 1');
  });

  it('calls a function that is not a class', () => {
    expect(classRow((row: User) => `${String(row.id)}|${row.name}`)(source('id', 'name'))([1, 'x'])).toBe(
      '1|x',
    );
    function Old(this: { sum: number }, row: { a: number; b: number }): void {
      this.sum = row.a + row.b;
    }
    const factory: RowFactory<unknown> = classRow(Old as unknown as (row: unknown) => unknown);
    const row = factory(source('a', 'b'))([1, 2]);
    expect(row).toMatchObject({ sum: 3 });
    expect(Object.getPrototypeOf(row)).toBe(Old.prototype);
  });
});

describe('argsRow and kwargsRow', () => {
  it('pass the values to a function, in order or by name', () => {
    expect(argsRow((a: number, b: string) => `${b}${String(a)}`)(source('a', 'b'))([1, 'x'])).toBe('x1');
    expect(kwargsRow(({ a, b }: { a: number; b: number }) => a - b)(source('b', 'a'))([1, 3])).toBe(2);
  });
});

describe('scalarRow', () => {
  it('returns the first value', () => {
    expect(scalarRow<number>(source('a', 'b'))([1, 2])).toBe(1);
  });

  it('refuses a result without columns', () => {
    expect(() => scalarRow(source())).toThrow(errors.ProgrammingError);
  });
});

describe('schemaRow', () => {
  function schema(validate: StandardSchema<User>['~standard']['validate']): StandardSchema<User> {
    return { '~standard': { version: 1, vendor: 'test', validate } };
  }

  it('returns the schema’s output', () => {
    const factory = schemaRow(schema((row) => ({ value: { ...(row as User), name: 'made' } })));
    expectTypeOf(factory).toEqualTypeOf<RowFactory<User>>();
    expect(factory(source('id', 'name'))([1, 'x'])).toEqual({ id: 1, name: 'made' });
  });

  it('raises a DataError that lists what is wrong', () => {
    const issues = [
      { message: 'not a number', path: ['id'] },
      { message: 'too short', path: [{ key: 'name' }, 0] },
      { message: 'bad' },
    ];
    const make = schemaRow(schema(() => ({ issues })))(source('id', 'name'));
    expect(() => make(['x', ''])).toThrow(errors.DataError);
    expect(() => make(['x', ''])).toThrow('id: not a number; name.0: too short; bad');
  });

  it('refuses an asynchronous schema, without an unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on('unhandledRejection', listen);
    try {
      const make = schemaRow(schema(() => Promise.reject(new Error('later'))))(source('id', 'name'));
      expect(() => make([1, 'x'])).toThrow(errors.ProgrammingError);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', listen);
    }
  });
});

describe('without a result', () => {
  it.each<[string, RowFactory<unknown>]>([
    ['dictRow', dictRow],
    ['namedtupleRow', namedtupleRow],
    ['kwargsRow', kwargsRow((row: unknown) => row)],
    ['classRow', classRow(Date)],
    ['scalarRow', scalarRow],
  ])('%s can be called, and refuses to make a row', (_, factory) => {
    const make = factory(noResult);
    expect(() => make([1])).toThrow(errors.InterfaceError);
  });
});
