import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { AsyncConnection, Multirange, Range, type AsyncCursor } from '../../src/index.js';
import { sample } from '../types/server-comparison.js';
import { arraysOf, SCALARS } from '../types/values.js';
import { dsn } from '../support/database.js';

// Compares with the server: a COPY reads the value that a SELECT loads, and stores the value that it was given.

let connection: AsyncConnection;
let cur: AsyncCursor;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn());
  cur = connection.cursor();
  return () => connection.close();
});

const VALUES = 1500;
const FORMATS = ['text', 'binary'] as const;
type Format = (typeof FORMATS)[number];

const octet = fc.nat({ max: 255 });
const group = fc.oneof(
  { weight: 3, arbitrary: fc.constant('0') },
  fc.nat({ max: 0xffff }).map((n) => n.toString(16)),
);
const ipv4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
const ipv6 = fc.oneof(
  fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
  ipv4.map((address) => `::ffff:${address}`),
  ipv4.map((address) => `::${address}`),
  fc.constantFrom('::', '::1', '::2', '1::', '0:0:1::', '::1:0:0:1'),
);
const hexBytes = (count: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: count, maxLength: count }).map((bytes) => Buffer.from(bytes).toString('hex'));
const bitString = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('0', '1'), minLength, maxLength });

const rangeTexts = (
  bound: fc.Arbitrary<string>,
  compare: (a: string, b: string) => number,
): fc.Arbitrary<string> => {
  const end = fc.option(bound, { freq: 6 });
  return fc.tuple(end, end, fc.constantFrom('[]', '[)', '(]', '()')).map(([a, b, brackets]) => {
    const [lower, upper] = a !== null && b !== null && compare(a, b) > 0 ? [b, a] : [a, b];
    return `${brackets[0]!}${lower === null ? '' : `"${lower}"`},${upper === null ? '' : `"${upper}"`}${brackets[1]!}`;
  });
};
const number = (a: string, b: string): number => Number(a) - Number(b);
const year = fc.integer({ min: 1000, max: 9000 });
const smallInt = fc.integer({ min: -1_000_000, max: 1_000_000 }).map(String);
const RANGES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  int4range: fc.oneof(rangeTexts(smallInt, number), fc.constant('empty')),
  int8range: rangeTexts(smallInt, number),
  numrange: rangeTexts(
    smallInt.map((n) => `${n}.50`),
    number,
  ),
  daterange: rangeTexts(
    year.map((n) => `${String(n)}-02-28`),
    (a, b) => (a < b ? -1 : 1),
  ),
  tsrange: rangeTexts(
    year.map((n) => `${String(n)}-02-28 12:34:56.000789`),
    (a, b) => (a < b ? -1 : 1),
  ),
  tstzrange: rangeTexts(
    year.map((n) => `${String(n)}-02-28 12:34:56.789+00`),
    (a, b) => (a < b ? -1 : 1),
  ),
};

/** All but the one that the server itself cannot read again. */
const interval = SCALARS['interval']!.filter((value) => !value.includes(String(-(2n ** 63n))));

const ELEMENTS: Readonly<Record<string, fc.Arbitrary<string>>> = { ...SCALARS, interval };
const TYPES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  ...ELEMENTS,
  inet: fc.oneof(
    ipv4,
    ipv6,
    fc.tuple(ipv4, fc.nat({ max: 32 })).map(([address, mask]) => `${address}/${String(mask)}`),
    fc.tuple(ipv6, fc.nat({ max: 128 })).map(([address, mask]) => `${address}/${String(mask)}`),
  ),
  cidr: fc.oneof(
    ipv4,
    ipv6,
    octet.map((n) => `${String(n)}.0.0.0/8`),
    group.map((n) => `${n}::/16`),
  ),
  macaddr: hexBytes(6),
  macaddr8: hexBytes(8),
  'bit(11)': bitString(11, 11),
  varbit: bitString(0, 40),
  '"char"': fc.oneof(
    fc.integer({ min: 1, max: 127 }).map((code) => String.fromCharCode(code)),
    fc.constant(''),
  ),
  name: fc.string({ unit: 'grapheme-ascii', maxLength: 60 }),
  varchar: SCALARS['text']!,
  bpchar: SCALARS['text']!,
  xid8: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  xid: fc.nat({ max: 2 ** 32 - 1 }).map(String),
  ...RANGES,
  int4multirange: fc.array(RANGES['int4range']!, { maxLength: 4 }).map((ranges) => `{${ranges.join(',')}}`),
  nummultirange: fc.array(RANGES['numrange']!, { maxLength: 4 }).map((ranges) => `{${ranges.join(',')}}`),
};

/** What a COPY and a SELECT return for texts cast to a type, and what is stored when the values are copied back. */
async function thereAndBack(
  type: string,
  texts: readonly (string | null)[],
  format: Format,
): Promise<{
  read: unknown[];
  selected: unknown[];
  stored: unknown[];
  storedFromText: unknown[];
  expected: unknown[];
}> {
  // A value beyond a Date's range cannot be written back.
  const kept = type.startsWith('timestamptz') ? "date_trunc('milliseconds', v)" : 'v';
  const setTypes = [type.replace(/\(\d+\)/, '')];
  await cur.execute(`CREATE TEMP TABLE original (n int4, v ${type}, t text)`);
  await cur.execute(
    `INSERT INTO original SELECT n, t::${type}, t::${type}::text FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n)`,
    [texts],
  );
  await cur.execute(`CREATE TEMP TABLE copied (n int4 GENERATED ALWAYS AS IDENTITY, v ${type})`);
  try {
    const column = async (query: string): Promise<unknown[]> => {
      await cur.execute(query);
      return (await cur.fetchall()).map(([value]) => value as unknown);
    };
    const read: unknown[] = [];
    await cur.withCopy(
      `COPY (SELECT v FROM original ORDER BY n) TO STDOUT (FORMAT ${format})`,
      async (copy) => {
        copy.setTypes(setTypes);
        for await (const [value] of copy.rows()) read.push(value);
      },
    );
    const selected = await column('SELECT v FROM original ORDER BY n');
    const written = await column('SELECT t FROM original ORDER BY n');
    const into = async (values: readonly unknown[]): Promise<unknown[]> => {
      await cur.withCopy(`COPY copied (v) FROM STDIN (FORMAT ${format})`, async (copy) => {
        copy.setTypes(setTypes);
        for (const value of values) await copy.writeRow([value]);
      });
      expect(cur.rowcount).toBe(values.length);
      const stored = await column('SELECT v::text FROM copied ORDER BY n');
      await cur.execute('TRUNCATE copied');
      return stored;
    };
    const stored = await into(selected);
    // A string of JSON text would be dumped as a JSON string.
    const storedFromText = type.startsWith('json') ? written : await into(written);
    const expected = await column(
      `SELECT ${type.endsWith('[]') ? 'v' : kept}::text FROM original ORDER BY n`,
    );
    expect(storedFromText).toStrictEqual(written);
    return { read, selected, stored, storedFromText, expected };
  } finally {
    await connection.rollback();
  }
}

describe.each(FORMATS)('in the %s format', (format) => {
  test.each(Object.keys(TYPES))(
    `${String(VALUES)} values of %s are read as they are selected, and stored as they were`,
    async (type) => {
      const { values, seed } = sample(fc.option(TYPES[type]!, { freq: 50 }), VALUES);
      const { read, selected, stored, expected } = await thereAndBack(type, values, format);
      expect(read, `seed ${String(seed)}`).toStrictEqual(selected);
      // jsonb orders keys and spaces its own way, json as JSON.stringify() does.
      const plain =
        type === 'json'
          ? (text: unknown) => JSON.stringify(JSON.parse((text as string | null) ?? 'null'))
          : String;
      expect(stored.map(plain), `seed ${String(seed)}`).toStrictEqual(expected.map(plain));
    },
  );

  test.each([
    'int4',
    'int8',
    'text',
    'numeric',
    'bool',
    'bytea',
    'uuid',
    'date',
    'timestamp',
    'interval',
    'float8',
  ])('arrays of %s, of up to three dimensions, with NULLs, too', async (element) => {
    const few = ELEMENTS[element]!.filter((value) => value.length < 1000 && !value.includes('1638'));
    const { values, seed } = sample(fc.option(arraysOf(few).map(({ plain }) => plain)), 300);
    const { read, selected, stored, expected } = await thereAndBack(`${element}[]`, values, format);
    expect(read, `seed ${String(seed)}`).toStrictEqual(selected);
    expect(stored, `seed ${String(seed)}`).toStrictEqual(expected);
  });

  test('rows of several columns keep their values apart', async () => {
    await cur.execute(
      'CREATE TEMP TABLE several (a int4, b text, c jsonb, d int4range, e nummultirange, f timestamptz[])',
    );
    const rows = [
      [1, 'tab\tand\nline\\', { a: ['\\N', null] }, new Range(1, 5), new Multirange(), [new Date(0), null]],
      [null, null, null, null, null, null],
      [-5, '\\N', 'a string', Range.empty(), new Multirange([new Range('1.5', null, '[)')]), []],
      [
        0,
        '',
        7,
        new Range(null, null, '()'),
        new Multirange([new Range(null, null, '()')]),
        [new Date(1e12)],
      ],
    ];
    const types = ['int4', 'text', 'jsonb', 'int4range', 'nummultirange', 'timestamptz[]'];
    await cur.withCopy(`COPY several FROM STDIN (FORMAT ${format})`, async (copy) => {
      copy.setTypes(types);
      for (const row of rows) await copy.writeRow(row);
    });
    const read: unknown[] = [];
    await cur.withCopy(`COPY several TO STDOUT (FORMAT ${format})`, async (copy) => {
      copy.setTypes(types);
      for await (const row of copy.rows()) read.push(row);
    });
    await cur.execute('SELECT * FROM several');
    const selected = await cur.fetchall();
    await connection.rollback();
    expect(read).toEqual(rows);
    expect(selected).toEqual(rows);
  });
});

test('text with any characters is written and read unchanged, with types and without', async () => {
  const { values, seed } = sample(SCALARS['text']!, 5000);
  const long = [
    '\\'.repeat(200_000),
    '\t\n'.repeat(100_000),
    'é'.repeat(100_000),
    `${'x'.repeat(99)}\0`.slice(0, 99),
  ];
  await cur.execute('CREATE TEMP TABLE texts (n int4, v text)');
  const all = [...values, ...long];
  await cur.withCopy('COPY texts FROM STDIN', async (copy) => {
    for (const [i, value] of all.entries()) await copy.writeRow([i, value]);
  });
  await cur.execute('SELECT v FROM texts ORDER BY n');
  const stored = (await cur.fetchall()).map(([value]) => value as unknown);
  const read: unknown[] = [];
  await cur.withCopy('COPY (SELECT v FROM texts ORDER BY n) TO STDOUT', async (copy) => {
    for await (const [value] of copy.rows()) read.push(value);
  });
  await connection.rollback();
  expect(stored, `seed ${String(seed)}`).toStrictEqual(all);
  expect(read, `seed ${String(seed)}`).toStrictEqual(all);
});
