import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  AsyncConnection,
  Composite,
  CompositeInfo,
  Multirange,
  MultirangeInfo,
  Range,
  RangeInfo,
  registerComposite,
  registerMultirange,
  registerRange,
  type AsyncCursor,
} from '../../src/index.js';
import { connect, dsn } from '../support/database.js';

// Compares with the server: a loaded value is sent back, and the server must consider it equal.

let conn: AsyncConnection;
let cur: AsyncCursor;

beforeAll(async () => {
  conn = await AsyncConnection.connect(dsn(), { autocommit: true });
  cur = conn.cursor();
  await conn.execute('CREATE TEMP TABLE given (n int, bounds text, nested text)');
  return () => conn.close();
});

async function rows(query: string, ...params: unknown[]): Promise<unknown[][]> {
  await cur.execute(query, params);
  return cur.fetchall();
}

const VALUES = 20_000;
const ARRAYS = 500;

function many<T>(arbitrary: fc.Arbitrary<T>, count: number): T[] {
  return fc.sample(arbitrary, { numRuns: count });
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).filter((value) => !value.includes('\0')),
  fc.constantFrom(
    '',
    'NULL',
    'null',
    '"',
    '\\',
    '\\"',
    '""',
    ',',
    ' ',
    '\n',
    '\t',
    '()',
    '[]',
    '{}',
    '(,)',
    "'",
    'é☃😀',
    'empty',
  ),
);
const small = fc.integer({ min: -1000, max: 1000 });
const double = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .map((n) => (Object.is(n, -0) ? '0' : String(n)));
const point = fc.tuple(double, double).map(([x, y]) => `(${x},${y})`);
const points = fc.array(point, { minLength: 1, maxLength: 5 }).map((all) => all.join(','));
const bits = fc.stringMatching(/^[01]{0,70}$/);
const octet = fc.nat({ max: 255 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
const hex = (length: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${String(length)}}$`));
const word = fc.stringMatching(/^[a-z'\\ é]{1,8}$/).map((value) => `'${value.replace(/['\\]/g, '$&$&')}'`);
const oids = fc.array(fc.nat({ max: 2 ** 31 - 1 }), { maxLength: 5 }).map((all) => all.join(' '));

/** Texts that the server accepts, for each type that loads as the server's text. */
const TEXTUAL: Readonly<Record<string, fc.Arbitrary<string>>> = {
  '"char"': fc.stringMatching(/^[ -~]?$/),
  name: fc.string({ unit: 'grapheme', maxLength: 10 }).filter((value) => !value.includes('\0')),
  bpchar: text,
  'varchar(20)': text,
  'bit(8)': fc.stringMatching(/^[01]{8}$/),
  varbit: bits,
  xml: fc
    .string({ unit: 'grapheme-ascii', maxLength: 9 })
    .map((value) => `<a b="é">${value.replace(/[<&>\0]/g, '')}</a>`),
  pg_lsn: fc
    .tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 2 ** 32 - 1 }))
    .map(([a, b]) => `${a.toString(16)}/${b.toString(16)}`),
  tid: fc
    .tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 65_535 }))
    .map(([a, b]) => `(${String(a)},${String(b)})`),
  xid: fc.nat({ max: 2 ** 32 - 1 }).map(String),
  cid: fc.nat({ max: 2 ** 32 - 1 }).map(String),
  xid8: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  money: fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }).map((cents) => `${String(cents)}.25`),
  tsvector: fc
    .array(word, { maxLength: 4 })
    .map((all) => all.map((value, i) => `${value}:${String(i + 1)}A`).join(' ')),
  tsquery: fc.array(word, { minLength: 1, maxLength: 4 }).map((all) => all.join(' & !')),
  point,
  lseg: fc.tuple(point, point).map((all) => `[${all.join(',')}]`),
  path: fc.tuple(points, fc.boolean()).map(([all, open]) => (open ? `[${all}]` : `(${all})`)),
  box: fc.tuple(point, point).map((all) => all.join(',')),
  polygon: points.map((all) => `(${all})`),
  circle: fc
    .tuple(point, fc.double({ min: 0, max: 1e9, noNaN: true }))
    .map(([p, r]) => `<${p},${String(r)}>`),
  line: fc
    .tuple(small, small, small)
    .map(([a, b, c]) => `{${String(a)},${String(b === 0 ? 1 : b)},${String(c)}}`),
  inet: fc.oneof(
    fc.tuple(ipv4, fc.nat({ max: 32 })).map(([ip, mask]) => `${ip}/${String(mask)}`),
    fc.tuple(fc.ipV6(), fc.nat({ max: 128 })).map(([ip, mask]) => `${ip}/${String(mask)}`),
    ipv4,
  ),
  cidr: fc.oneof(ipv4, fc.ipV6()),
  macaddr: hex(12),
  macaddr8: hex(16),
  jsonpath: fc.stringMatching(/^[a-z]{1,5}$/).map((key) => `strict $."${key} \\"é".${key}[*] ? (@ > 1.5)`),
  oidvector: oids,
  int2vector: fc
    .array(fc.integer({ min: -32_768, max: 32_767 }), { maxLength: 5 })
    .map((all) => all.join(' ')),
  uuid: fc.uuid(),
  regtype: fc.constantFrom('integer', 'text', '"char"', 'timestamp with time zone', 'int4range', 'text[]'),
  regclass: fc.constantFrom('pg_class', 'pg_type', 'pg_catalog.pg_proc'),
};

/** Sent like arrays of text, so that the delimiter of boxes, which a string does not show, is irrelevant. */
const asArray = (type: string): string => (type === 'box' ? 'text[]::box[]' : `${type}[]`);

describe.each(Object.entries(TEXTUAL))('%s', (type, arbitrary) => {
  it('loads as the server’s text, and is equal when sent back', async () => {
    const texts = many(arbitrary, VALUES);
    const query = `SELECT v, v::text FROM (SELECT t::${type} AS v FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n) x`;
    const loaded = await rows(query, texts);
    expect(loaded).toHaveLength(VALUES);
    // A cast to text removes the padding of bpchar.
    if (type !== 'bpchar' && type !== 'inet')
      for (const [value, asText] of loaded) expect(value).toBe(asText);
    const wrong = await rows(
      `SELECT t, v FROM unnest(%s::${asArray(type)}, %s::text[]) AS u (v, t) WHERE v::text IS DISTINCT FROM t::${type}::text`,
      loaded.map(([value]) => value),
      texts,
    );
    expect(wrong).toEqual([]);
    const [value] = loaded[0]!;
    expect(await rows(`SELECT %s::${type}`, value)).toEqual([[value]]);
  });

  it('loads in arrays of any depth, with NULLs and any lower bounds', async () => {
    const array = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: -5, max: 5 }))
      .chain(([outer, inner, lower]) =>
        fc
          .array(fc.array(fc.option(arbitrary, { freq: 4 }), { minLength: inner, maxLength: inner }), {
            minLength: outer,
            maxLength: outer,
          })
          .map((nested) => ({ lower, nested: nested.length === 1 ? nested[0]! : nested })),
      );
    const bounds = ({ lower, nested }: { lower: number; nested: readonly unknown[] }): string => {
      const lengths = Array.isArray(nested[0]) ? [nested.length, nested[0].length] : [nested.length];
      return lengths.map((length) => `[${String(lower)}:${String(lower + length - 1)}]`).join('');
    };
    const arrays = many(array, ARRAYS);
    await conn.execute('TRUNCATE given');
    const insert = conn.cursor();
    await insert.executemany(
      'INSERT INTO given VALUES (%s, %s, %s::text[]::text)',
      arrays.map((given, n) => [n, given.lower === 1 ? '' : `${bounds(given)}=`, given.nested]),
    );
    const loaded = await rows(`SELECT (bounds || nested)::text[]::${type}[] FROM given ORDER BY n`);
    const wrong: unknown[] = [];
    await insert.executemany(
      `SELECT nested, (%s::${asArray(type)})::text FROM given WHERE n = %s
        AND (%s::${asArray(type)})::text IS DISTINCT FROM (nested::text[]::${type}[])::text`,
      loaded.map(([value], n) => [value, n, value]),
      { returning: true },
    );
    for await (const result of insert.results()) wrong.push(...(await result.fetchall()));
    expect(wrong).toEqual([]);
  });
});

describe('ranges and multiranges', () => {
  const pair = <T>(bound: fc.Arbitrary<T>, compare: (a: T, b: T) => number): fc.Arbitrary<Range<T>> =>
    fc.oneof(
      { weight: 1, arbitrary: fc.constant(Range.empty<T>()) },
      {
        weight: 9,
        arbitrary: fc
          .tuple(
            fc.option(bound, { freq: 6 }),
            fc.option(bound, { freq: 6 }),
            fc.constantFrom('[)', '(]', '[]', '()'),
          )
          .map(([a, b, bounds]) =>
            a !== null && b !== null && compare(a, b) > 0 ? new Range(b, a, bounds) : new Range(a, b, bounds),
          ),
      },
    );
  const numeric = fc
    .tuple(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), fc.nat({ max: 999_999 }))
    .map(([whole, part]) => `${String(whole)}.${String(part)}`);
  const day = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-30'), noInvalidDate: true });
  const inText = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const byNumber = (a: { valueOf(): unknown }, b: { valueOf(): unknown }): number => Number(a) - Number(b);
  const RANGES: Readonly<Record<string, fc.Arbitrary<Range<unknown>>>> = {
    int4: pair(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 2 }), byNumber),
    int8: pair(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 2n }), (a, b) => (a > b ? 1 : -1)),
    num: pair(numeric, byNumber),
    date: pair(
      day.map((date) => date.toISOString().slice(0, 10)),
      inText,
    ),
    ts: pair(
      day.map((date) => date.toISOString().slice(0, -1)),
      inText,
    ),
    tstz: pair(day, byNumber),
    text: pair(text, inText),
  };

  beforeAll(async () => {
    await conn.execute('CREATE TYPE pg_temp.textrange AS RANGE (subtype = text, collation = "C")');
    registerRange(await RangeInfo.fetch(conn, 'pg_temp.textrange'), cur);
    registerMultirange(await MultirangeInfo.fetch(conn, 'pg_temp.textmultirange'), cur);
  });

  it.each(Object.entries(RANGES))('%srange arrives and comes back unchanged', async (name, arbitrary) => {
    const type = name === 'text' ? 'pg_temp.textrange' : `${name}range`;
    const ranges = many(arbitrary, VALUES);
    const wrong = await rows(
      `SELECT n, r FROM unnest(%s::${type}[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS u (r, lo, up, b, n)
        WHERE r IS DISTINCT FROM CASE b WHEN '' THEN 'empty' ELSE ${type}(
          lo::${SUBTYPES[name]!}, up::${SUBTYPES[name]!}, b) END`,
      ranges,
      ranges.map(({ lower }) => asText(lower)),
      ranges.map(({ upper }) => asText(upper)),
      ranges.map(({ bounds }) => bounds),
    );
    expect(wrong).toEqual([]);
    const loaded = (
      await rows(`SELECT r FROM unnest(%s::${type}[]) WITH ORDINALITY AS u (r, n) ORDER BY n`, ranges)
    ).map(([range]) => range as Range<unknown>);
    expect(loaded.every((range) => range instanceof Range)).toBe(true);
    const [[different]] = (await rows(
      `SELECT count(*)::int FROM unnest(%s::${type}[], %s::${type}[]) AS u (a, b) WHERE a IS DISTINCT FROM b`,
      ranges,
      loaded,
    )) as [[number]];
    expect(different).toBe(0);
    // A value in the server's own form stays identical to the last bit.
    expect((await rows(`SELECT %s::${type}[]`, loaded))[0]![0]).toEqual(loaded);
  });

  it.each(Object.entries(RANGES))(
    '%smultirange arrives and comes back unchanged',
    async (name, arbitrary) => {
      const prefix = name === 'text' ? 'pg_temp.' : '';
      const type = `${prefix}${name}multirange`;
      const multiranges = many(fc.array(arbitrary, { maxLength: 4 }), ARRAYS).map(
        (ranges) => new Multirange(ranges),
      );
      const counts = multiranges.map(({ length }) => length);
      // The server's union of its ranges is the same.
      const [[different]] = (await rows(
        `SELECT count(*)::int FROM unnest(%s::${type}[], %s::int[], %s::int[]) AS u (m, first, length)
        WHERE m IS DISTINCT FROM coalesce(
          (SELECT range_agg(r) FROM unnest((%s::${prefix}${name}range[])[first:first + length - 1]) AS r), '{}')`,
        multiranges,
        counts.map((_, i) => 1 + counts.slice(0, i).reduce((sum, count) => sum + count, 0)),
        counts,
        multiranges.flatMap(({ ranges }) => ranges),
      )) as [[number]];
      expect(different).toBe(0);
      const [[loaded]] = (await rows(`SELECT %s::${type}[]`, multiranges)) as [[Multirange<unknown>[]]];
      expect(loaded.every((multirange) => multirange instanceof Multirange)).toBe(true);
      expect(
        (await rows(`SELECT %s::${type}[], %s::${type}[] = %s::${type}[]`, loaded, loaded, multiranges))[0],
      ).toEqual([loaded, true]);
    },
  );

  it('contains the same values as on the server', async () => {
    for (const [name, value] of [
      ['int4', small],
      ['num', numeric],
      ['date', day.map((date) => date.toISOString().slice(0, 10))],
      ['tstz', day],
    ] as [string, fc.Arbitrary<unknown>][]) {
      const tries = many(fc.tuple(name === 'int4' ? pair(small, byNumber) : RANGES[name]!, value), VALUES);
      const said = await rows(
        `SELECT v <@ r FROM unnest(%s::${name}range[], %s::${SUBTYPES[name]!}[]) WITH ORDINALITY AS u (r, v, n) ORDER BY n`,
        tries.map(([range]) => range),
        tries.map(([, tried]) => tried),
      );
      expect(tries.map(([range, tried]) => [range.contains(tried)])).toEqual(said);
    }
  });
});

const SUBTYPES: Readonly<Record<string, string>> = {
  int4: 'int4',
  int8: 'int8',
  num: 'numeric',
  date: 'date',
  ts: 'timestamp',
  tstz: 'timestamptz',
  text: 'text COLLATE "C"',
};

function asText(bound: unknown): string | null {
  if (bound === null) return null;
  return bound instanceof Date ? bound.toISOString() : (bound as { toString(): string }).toString();
}

describe('composites', () => {
  it('round-trip with any fields, nested and in arrays', async () => {
    await conn.execute('CREATE TYPE pg_temp.leaf AS (i int, t text)');
    await conn.execute(
      'CREATE TYPE pg_temp.tree AS (t text, l pg_temp.leaf, ls pg_temp.leaf[], ts text[], r int4range, n int8, b bytea, f bool)',
    );
    const leafInfo = await CompositeInfo.fetch(conn, 'pg_temp.leaf');
    const treeInfo = (await CompositeInfo.fetch(conn, 'pg_temp.tree'))!;
    registerComposite(leafInfo, cur);
    registerComposite(treeInfo, cur);
    const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
      fc.option(arbitrary, { freq: 5 });
    const leaf = fc.record({ i: nullable(small), t: nullable(text) }, { noNullPrototype: true });
    const tree = fc.record(
      {
        t: nullable(text),
        l: nullable(leaf),
        ls: nullable(fc.array(nullable(leaf), { maxLength: 3 })),
        ts: nullable(fc.array(nullable(text), { maxLength: 3 })),
        r: nullable(
          fc.tuple(fc.nat({ max: 9 }), fc.integer({ min: 10, max: 20 })).map(([a, b]) => new Range(a, b)),
        ),
        n: nullable(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        b: nullable(fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes))),
        f: nullable(fc.boolean()),
      },
      { noNullPrototype: true },
    );
    for (let round = 0; round < 4; round++) {
      const trees = many(tree, ARRAYS);
      const sent = trees.map((value) => new Composite(treeInfo, value));
      const loaded = await rows(
        `SELECT a[i] FROM (SELECT %s AS a) x, generate_subscripts(a, 1) AS i ORDER BY i`,
        sent,
      );
      expect(loaded.map(([value]) => value)).toEqual(trees);
      // Field by field, the server has the sent values.
      const wrong = await rows(
        `SELECT i FROM (SELECT %s AS a, %s::text[] AS ts, %s::int8[] AS ns, %s::text[] AS leaves) x, generate_subscripts(a, 1) AS i
          WHERE (a[i]).t IS DISTINCT FROM ts[i] OR (a[i]).n IS DISTINCT FROM ns[i] OR (a[i]).l.t IS DISTINCT FROM leaves[i]`,
        sent,
        trees.map(({ t }) => t),
        trees.map(({ n }) => n),
        trees.map(({ l }) => l?.t ?? null),
      );
      expect(wrong).toEqual([]);
      expect((await rows('SELECT %s', [sent.slice(0, 3), sent.slice(3, 6)]))[0]).toEqual([
        [trees.slice(0, 3), trees.slice(3, 6)],
      ]);
    }
  });

  it('have the texts of their fields as a record', async () => {
    const records = many(fc.tuple(fc.option(text), fc.option(text), text), 1000);
    const loaded = await rows(
      'SELECT ROW(a, b, c), ARRAY[ROW(a, b, c), NULL] FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS u (a, b, c, n) ORDER BY n',
      records.map(([a]) => a),
      records.map(([, b]) => b),
      records.map(([, , c]) => c),
    );
    expect(loaded).toEqual(records.map((record) => [record, [record, null]]));
  });
});

it('semicolons separate boxes in arrays', async () => {
  const boxes = ['(3,4),(1,2)', null, '(7,8),(5,6)'];
  expect(await rows("SELECT '{(1,2),(3,4);NULL;(5,6),(7,8)}'::box[]")).toEqual([[boxes]]);
  expect(await rows("SELECT '[0:1][5:5]={{(1,2),(3,4)};{(5,6),(7,8)}}'::box[]")).toEqual([
    [[['(3,4),(1,2)'], ['(7,8),(5,6)']]],
  ]);
  class Box {
    readonly corners: string;
    constructor(corners: string) {
      this.corners = corners;
    }
  }
  const sender = conn.cursor();
  sender.adapters.registerDumper(Box, ({ corners }, _place, map) => ({
    text: corners,
    oid: map.type('box')!.oid,
  }));
  await sender.execute('SELECT %s, %s', [
    [new Box('(1,2),(3,4)'), null, new Box('(5,6),(7,8)')],
    [[null], [new Box('(5,6),(7,8)')]],
  ]);
  expect(await sender.fetchone()).toEqual([boxes, [[null], ['(7,8),(5,6)']]]);
});

it('semicolons separate boxes given as texts if their type is known', async () => {
  const boxes = [
    ['(3,4),(1,2)', null],
    ['(7,8),(5,6)', '(1,1),(0,0)'],
  ];
  const own = await connect({ autocommit: true });
  await own.execute('CREATE TEMP TABLE boxed (boxes box[])');
  await own.execute('CREATE TYPE pg_temp.with_boxes AS (boxes box[])');
  await own.cursor().withCopy('COPY boxed FROM STDIN', async (copy) => {
    copy.setTypes(['box[]']);
    await copy.writeRow([boxes]);
  });
  expect(await (await own.execute('SELECT boxes FROM boxed')).fetchall()).toEqual([[boxes]]);

  const info = (await CompositeInfo.fetch(own, 'with_boxes'))!;
  registerComposite(info, own);
  const sent = await own.execute('SELECT %s::with_boxes', [new Composite(info, { boxes })]);
  expect(await sent.fetchone()).toEqual([{ boxes }]);
});
