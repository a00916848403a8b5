import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import {
  adapters,
  AsyncRawCursor,
  dictRow,
  errors,
  inferredParams,
  Int4,
  Jsonb,
  pgTypes,
  Range,
  sql,
  type AdaptersMap,
} from '../../src/index.js';
import { dumpParam } from '../../src/types/dump.js';
import { admin, connect } from '../support/database.js';

const { prepareValue } = createRequire(import.meta.url)('pg/lib/utils.js') as {
  prepareValue: (value: unknown) => unknown;
};

const context = inferredParams(adapters);

class Money {
  constructor(readonly cents: number) {}
  toPostgres(prepare: (value: unknown) => unknown): string {
    return `$${String(prepare(this.cents / 100))}`;
  }
}
class Account {
  readonly owner = 'me';
  readonly #secret = 1;
  get secret(): number {
    return this.#secret;
  }
}

const zone = process.env['TZ'];
beforeAll(() => {
  process.env['TZ'] = 'America/New_York';
});
afterAll(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

describe('inferredParams() sends, without a type, the text that node-postgres sends:', () => {
  it.each<[string, () => unknown]>([
    ['an integer', () => 5],
    ['a large integer', () => 2 ** 60],
    ['a fraction', () => -1.5],
    ['NaN', () => NaN],
    ['Infinity', () => Infinity],
    ['a bigint', () => 2n ** 70n],
    ['a string', () => "it's"],
    ['true', () => true],
    ['false', () => false],
    ['null', () => null],
    ['undefined', () => undefined],
    ['a Date', () => new Date('2024-07-01T12:34:56.789Z')],
    ['a Date in winter', () => new Date('2024-01-01T02:00:00Z')],
    ['a Date with a long year', () => new Date('+012024-06-01T00:00:00Z')],
    ['a plain object', () => ({ a: [1, null, 'b'], at: new Date(0) })],
    ['an object without a prototype', () => Object.assign(Object.create(null) as object, { a: 1 })],
    ['an object of a class', () => new Account()],
    ['an object with toJSON()', () => ({ toJSON: () => ({ kind: 'json' }) })],
    ['an object with toPostgres()', () => new Money(1250)],
    ['an object whose toPostgres() gives such an object', () => ({ toPostgres: () => new Money(5) })],
    ['an object whose toPostgres() gives null', () => ({ toPostgres: () => null })],
    ['a Map', () => new Map([[1, 2]])],
    ['an object of another realm', () => runInNewContext('({ a: 1 })')],
    ['an empty array', () => []],
  ])('%s', (_, make) => {
    const expected = prepareValue(make());
    expect(dumpParam(make(), context, '$1')).toEqual({ text: expected ?? null, oid: 0 });
  });

  it.each<[string, unknown]>([
    ['a Buffer', Buffer.from([0, 255, 65])],
    ['a Uint8Array', new Uint8Array([1, 2])],
    ['a part of a Uint16Array', new Uint16Array([1, 2, 3]).subarray(1, 2)],
    ['a DataView', new DataView(new Uint8Array([7, 8, 9]).buffer, 1)],
    ['an object whose toPostgres() gives a Buffer', { toPostgres: () => Buffer.from([5]) }],
  ])('%s, as its bytes', (_, value) => {
    const bytes = prepareValue(value) as Buffer;
    const text = `\\x${bytes.toString('hex')}`;
    expect(dumpParam(value, context, '$1')).toEqual({ bytes, text, oid: 0 });
  });
});

test('inferredParams() sends the first and the last Date, whose local time no Date can hold', () => {
  const last = new Date(8.64e15);
  const first = new Date(-8.64e15);
  expect(dumpParam(first, context, '$1').text).toBe('271822-04-19T19:03:58.000-04:56:02 BC');
  expect(dumpParam(last, context, '$1').text).toBe('275760-09-12T20:00:00.000-04:00');
  process.env['TZ'] = 'Asia/Kathmandu';
  try {
    expect(dumpParam(first, context, '$1').text).toBe('271822-04-20T05:41:16.000+05:41:16 BC');
    expect(dumpParam(last, context, '$1').text).toBe('275760-09-13T05:45:00.000+05:45');
  } finally {
    process.env['TZ'] = 'America/New_York';
  }
});

test.each<[string, unknown[]]>([
  ['SELECT $1::text AS value', [Buffer.from('zwei €')]],
  ['SELECT $1::text AS value', [Buffer.alloc(0)]],
  ['SELECT $2::text || $1::text AS value', ['é', Buffer.from('a')]],
  ['SELECT $1::bytea || $2::bytea AS value', [Buffer.alloc(70_000, 255), new Uint8Array([0, 1])]],
  ['SELECT $1::int4 AS value', [Buffer.from([0, 0, 1, 2])]],
  [
    'SELECT $1::bytea AS value, $2::text AS two, $3::text AS three',
    [Buffer.from([92, 0]), null, Buffer.from('3')],
  ],
])('%s has the bytes that node-postgres sends', async (query, values) => {
  const conn = await connect();
  const cur = new AsyncRawCursor(conn, { context, rowFactory: dictRow });
  for (const prepare of [false, true, true]) {
    await cur.execute(query, values, { prepare });
    expect(await cur.fetchall()).toEqual(await admin(query, values));
  }
});

test('bytes are sent as they were when the query was made', async () => {
  const conn = await connect();
  const bytes = Buffer.from('before');
  const running = conn.execute('SELECT %s::text', [bytes], { context });
  bytes.fill('x');
  expect(await (await running).fetchone()).toEqual(['before']);
});

test.each<[string, unknown]>([
  ['int[]', [1, null, undefined, -3]],
  ['int[]', [[1], [2]]],
  ['int[]', []],
  ['numeric[]', [1, 2n ** 70n, 0.5]],
  ['text[]', ['a "b"', '', 'NULL', 'c,{d}\\', ' ']],
  ['text[]', [1, 'two', true]],
  ['bool[]', [true, false]],
  ['bytea[]', [Buffer.from([0, 92, 255]), new Uint8Array(0)]],
  ['jsonb[]', [{ a: 'b"\\' }, { c: [1] }]],
  ['timestamptz[]', [new Date(0), null]],
  ['date[]', [new Date(0)]],
  ['money[]', [new Money(1)]],
])('an array for %s arrives as from node-postgres', async (type, value) => {
  const conn = await connect();
  const query = `SELECT ($1::${type})::text AS text`;
  const cur = await conn.execute(query.replace('$1', '%s'), [value], { context });
  expect([{ text: (await cur.fetchone())![0] as unknown }]).toEqual(await admin(query, [value]));
});

test('the server infers the types', async () => {
  const conn = await connect();
  const cur = conn.cursor({ context });
  await cur.execute(
    `SELECT pg_typeof(n + %s), pg_typeof(%s || '{}'::jsonb), n FROM (VALUES (1, DATE '2024-01-01')) AS t (n, d)
      WHERE n = %s AND d < %s LIMIT %s`,
    [1n, { a: 1 }, 1, new Date(2024, 5, 1), 5],
  );
  expect(await cur.fetchone()).toEqual(['integer', 'jsonb', 1]);
  await cur.execute('SELECT %s::date, %s::timestamp, %s::json, %s::bytea, %s::bool', [
    new Date(2024, 0, 1, 23, 30),
    new Date(2024, 0, 1, 23, 30),
    { a: 1 },
    Buffer.from('x'),
    true,
  ]);
  expect(await cur.fetchone()).toEqual([
    '2024-01-01',
    '2024-01-01T23:30:00',
    { a: 1 },
    Buffer.from('x'),
    true,
  ]);
});

test('a Date before the introduction of time zones arrives exactly', async () => {
  const conn = await connect();
  for (const text of ['1850-01-01T12:00:00Z', '0042-06-01T00:00:00Z', '-000044-03-15T12:00:00Z']) {
    const date = new Date(text);
    const cur = await conn.execute('SELECT %s::timestamptz', [date], { context });
    expect(await cur.fetchone()).toEqual([date]);
  }
});

test('wrappers, ranges and classes with a dumper keep their types', () => {
  const map = adapters.clone();
  map.registerDumper(Account, () => 'an account');
  const dumped = (value: unknown): unknown => dumpParam(value, inferredParams(map), '$1');
  expect(dumped(new Jsonb([1]))).toEqual({ text: '[1]', oid: 3802 });
  expect(dumped(new Int4(1))).toEqual({ text: '1', oid: 23 });
  expect(dumped(new Range(new Int4(1), null))).toMatchObject({ oid: 3904 });
  expect(dumped(new Account())).toEqual({ text: 'an account', oid: 0 });
  // The map that is given does not change.
  expect(dumpParam(1, map, '$1')).toEqual({ text: '1', oid: 21 });
});

test.each<[string, unknown, errors.Error['name'], RegExp]>([
  ['a promise', Promise.resolve(1), 'ProgrammingError', /did you forget to await it/],
  ['a function', () => 1, 'ProgrammingError', /function/],
  ['a symbol', Symbol('s'), 'ProgrammingError', /symbol/],
  ['a composed query', sql`SELECT 1`, 'ProgrammingError', /composed query/],
  ['an invalid Date', new Date(NaN), 'DataError', /\$1: the Date is invalid/],
  ['an object with a bigint', { n: 1n }, 'DataError', /\$1.*BigInt/],
  ['a string with NUL', 'a\0', 'DataError', /\$1/],
])('%s is refused', (_, value, name, message) => {
  expect(() => dumpParam(value, context, '$1')).toThrow(
    expect.objectContaining({ name, message: expect.stringMatching(message) as unknown }) as Error,
  );
});

test('an object whose toPostgres() fails or leads back to the object is refused', () => {
  const circular: object = { toPostgres: () => circular };
  expect(() => dumpParam(circular, context, '$1')).toThrow(
    '$1: toPostgres() of the object leads back to the object',
  );
  const failing = {
    toPostgres: () => {
      throw new Error('no');
    },
  };
  expect(() => dumpParam(failing, context, '$1')).toThrow(errors.DataError);
});

test('a dumper for the typeof object takes the objects that no class’s dumper takes', () => {
  const map: AdaptersMap = adapters.clone();
  map.registerDumper('object', (value) => `${value.constructor.name}!`);
  const dumped = (value: unknown): unknown => dumpParam(value, map, '$1').text;
  expect([new Account(), new Map(), {}].map(dumped)).toEqual(['Account!', 'Map!', 'Object!']);
  expect([[1], null, new Date(0), new Jsonb(1)].map(dumped)).toEqual([
    '{1}',
    null,
    '1970-01-01T00:00:00.000Z',
    '1',
  ]);
  map.registerDumper(Object, () => 'plain');
  expect([{}, new Account()].map(dumped)).toEqual(['plain', 'Account!']);
});

test('both maps may be combined, and COPY uses them, too', async () => {
  const conn = await connect({ context: pgTypes(inferredParams(adapters)) });
  await conn.execute('CREATE TEMPORARY TABLE t (n int8, at timestamp, ok bool, info jsonb, tags text[])');
  const row = [5, new Date(2024, 0, 2, 3, 4, 5, 678), true, { a: 1 }, ['x', 'y']];
  for (const format of ['', ' (FORMAT binary)']) {
    await conn.cursor().withCopy(`COPY t FROM STDIN${format}`, async (copy) => {
      copy.setTypes(['int8', 'timestamp', 'bool', 'jsonb', 'text[]']);
      await copy.writeRow(row);
    });
  }
  await conn.execute('INSERT INTO t VALUES (%s, %s, %s, %s, %s)', row);
  const loaded = ['5', ...row.slice(1)];
  expect(await (await conn.execute('SELECT * FROM t')).fetchall()).toEqual([loaded, loaded, loaded]);
});
