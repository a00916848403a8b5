import { beforeAll, expect, test } from 'vitest';
import {
  AsyncConnection,
  CompositeInfo,
  errors,
  Multirange,
  Range,
  registerComposite,
  registerHstore,
  TypeInfo,
  type AsyncCursor,
} from '../../src/index.js';
import { dsn } from '../support/database.js';
import { Random, seedFrom } from '../support/random.js';

// Texts of values with one or two mutations. A COPY in the text format loads the value that the server reads from the text, or raises
// a DataError; a COPY in the binary format stores what the server reads from the text, or refuses it.

const SEED = seedFrom('TEXTS_SEED', 1);
const CASES = process.env['CI'] === undefined ? 60 : 400;

const VALUES: Readonly<Record<string, readonly string[]>> = {
  bool: ['t', 'f'],
  int2: ['7', '-32768'],
  int4: ['7', '-2147483648'],
  int8: ['7', '-9223372036854775808'],
  oid: ['23', '4294967295'],
  xid8: ['18446744073709551615'],
  float4: ['1.5', '1e-30', '3.4e+38'],
  float8: ['1.5', '-Infinity', '1e+300', 'NaN', '1e-07'],
  numeric: ['1.50', '-12.3', 'NaN', 'Infinity', '0.000001'],
  date: ['2024-02-29', '0044-03-15 BC', 'infinity', '12345-01-01'],
  time: ['12:34:56.789', '24:00:00'],
  timetz: ['12:34:56+05:30', '00:00:00.5-15:59'],
  timestamp: ['2024-02-29 12:34:56.789', '-infinity', '0044-03-15 00:00:00 BC'],
  timestamptz: ['2024-02-29 12:34:56.789+00', '12345-01-01 00:00:00+00'],
  interval: [
    '1 year 2 mons -3 days 04:05:06.789',
    '00:00:00',
    '-1 mons +2 days -00:00:01',
    'P1Y2M-3DT4H5M6.7S',
  ],
  uuid: ['550e8400-e29b-41d4-a716-446655440000'],
  inet: ['192.168.0.1/24', '::1', '2001:db8::/32', '::ffff:1.2.3.4'],
  cidr: ['10.0.0.0/8', '2001:db8::/32'],
  macaddr: ['08:00:2b:01:02:03', '08002b-010203', '0800.2b01.0203'],
  macaddr8: ['08:00:2b:01:02:03:04:05', '08002b:0102030405'],
  bytea: ['\\x00ff10', 'abc\\\\d\\001'],
  varbit: ['10101', ''],
  '"char"': ['a', '\\303'],
  pg_lsn: ['16/B374D848'],
  json: ['{"a": [1, null, "x\\u00e9"]}', '7'],
  jsonb: ['{"a": [1.50, true]}', '"x"'],
  int4range: ['[1,5)', 'empty', '(,)', '[1,)'],
  numrange: ['[1.5,2.5]', '(-Infinity,2)', '[NaN,NaN]'],
  daterange: ['[2024-01-01,2024-02-01)'],
  tstzrange: ['["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")', '(,infinity)'],
  int4multirange: ['{[1,5),[7,9)}', '{}', '{(,)}'],
  nummultirange: ['{[1.5,2.5],(3,4)}'],
  hstore: ['"a"=>"1", "b"=>NULL', '', '"a b"=>"x\\"y\\\\"'],
  mutated_pair: ['(1,abc,"2024-01-01 00:00:00+00")', '(,,)', '(5,"a ""q"" \\\\ ,x",)', '(1,"",)'],
  'int4[]': ['{1,NULL,3}', '{{1,2},{3,4}}', '[0:1]={1,2}'],
  'text[]': ['{a,"b c",NULL}', '{"x\\"y\\\\z"}'],
  'int4range[]': ['{"[1,5)",empty}'],
  'mutated_pair[]': ['{"(1,abc,)","(2,\\"x y\\",\\"2024-01-01 00:00:00+00\\")"}'],
};
const MARKS = [
  ...Array.from('0159-+.,:/"\\{}[]()=> \te_\'xaTZBé\u00a0'),
  ...['NULL', '00', ' BC', 'inf', 'empty', '::'],
];

/** For a range whose lower bound is above the upper one; a COPY does not know the order of all types. */
const BOUNDS_IN_DISORDER = 'bounds in disorder';

let connection: AsyncConnection;
let cur: AsyncCursor;

beforeAll(async () => {
  connection = await AsyncConnection.connect(dsn(), { autocommit: true });
  await connection.execute(
    `CREATE EXTENSION IF NOT EXISTS hstore;
     CREATE TYPE pg_temp.mutated_pair AS (a int4, b text, c timestamptz);
     CREATE FUNCTION pg_temp.read(text text, type text) RETURNS text LANGUAGE plpgsql AS $$
       DECLARE value text;
       BEGIN
         EXECUTE format('SELECT %L::%s', text, type) INTO value;
         RETURN value;
       EXCEPTION WHEN data_exception OR syntax_error OR program_limit_exceeded OR internal_error THEN
         RETURN CASE WHEN SQLERRM LIKE 'range lower bound%' THEN '${BOUNDS_IN_DISORDER}' END;
       END $$;`,
  );
  const { adapters } = connection;
  registerComposite(await CompositeInfo.fetch(connection, 'mutated_pair'), adapters);
  registerHstore(await TypeInfo.fetch(connection, 'hstore'), adapters);
  cur = connection.cursor();
  return () => connection.close();
});

function mutated(text: string, random: Random): string {
  const characters = Array.from(text);
  for (let left = 1 + random.below(2); left > 0; left--) {
    const at = random.below(characters.length + 1);
    const mark = random.below(3) > 0 ? random.pick(MARKS) : (characters[at] ?? '');
    characters.splice(at, random.below(3), ...(random.below(4) > 0 ? [mark] : []));
  }
  return characters.join('');
}

function mutatedTextsOf(type: string): string[] {
  const random = new Random(SEED);
  return Array.from({ length: CASES }, () => mutated(random.pick(VALUES[type]!), random));
}

/** The server's text of the value that it reads from each text; null for texts that it refuses. */
async function readByServer(texts: readonly string[], type: string): Promise<(string | null)[]> {
  const read = await connection.execute(
    'SELECT pg_temp.read(t, %s) FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n',
    [type, texts],
  );
  return (await read.fetchall()).map(([text]) => text as string | null);
}

/** What a COPY loads from each text as the type: a value or an error. */
async function loadedByCopy(texts: readonly string[], type: string): Promise<unknown[]> {
  const loaded: unknown[] = [];
  const list = 'unnest(%s::text[]) WITH ORDINALITY AS u (t, n)';
  await cur.withCopy(
    `COPY (SELECT t FROM ${list} ORDER BY n) TO STDOUT`,
    async (copy) => {
      copy.setTypes([type]);
      while (loaded.length < texts.length) {
        loaded.push(
          await copy.readRow().then(
            (row) => row![0],
            (error: unknown) => error,
          ),
        );
      }
    },
    [texts],
  );
  return loaded;
}

function isRanges(value: unknown): boolean {
  return (
    value instanceof Range || value instanceof Multirange || (Array.isArray(value) && value.some(isRanges))
  );
}

test.each(Object.keys(VALUES))(
  'a mutated text is loaded as the %s that the server reads, or refused',
  async (type) => {
    const texts = mutatedTextsOf(type);
    const loaded = await loadedByCopy(texts, type);
    const read = await readByServer(texts, type);
    for (const [i, value] of loaded.entries()) {
      const where = `${JSON.stringify(texts[i])} as ${type}, seed ${String(SEED)}`;
      if (value instanceof Error) {
        expect(value, where).toBeInstanceOf(errors.DataError);
        continue;
      }
      expect(read[i], `${where} is ${String(value)}, but the server refuses it`).not.toBeNull();
      if (read[i] === BOUNDS_IN_DISORDER) continue;
      if (isRanges(value)) {
        // The server writes ranges in a normal form; they must be equal to what was loaded.
        const again = await connection.execute(`SELECT %s::${type}::text`, [value]);
        expect([read[i]], where).toEqual(await again.fetchone());
      } else {
        const right = await connection.execute(`SELECT %s::${type}`, [read[i]]);
        expect([value], where).toEqual(await right.fetchone());
      }
    }
  },
);

/** A string is a value of its own for these. */
const TAKING_STRINGS = ['json', 'jsonb'];

test.each(Object.keys(VALUES).filter((type) => !TAKING_STRINGS.includes(type)))(
  'a mutated text is stored in the binary format as the %s that the server reads, or refused',
  async (type) => {
    const texts = mutatedTextsOf(type);
    const read = await readByServer(texts, type);
    await connection.execute(
      `DROP TABLE IF EXISTS stored; CREATE TEMP TABLE stored (n int4 GENERATED ALWAYS AS IDENTITY, v ${type})`,
    );
    for (const [i, text] of texts.entries()) {
      const where = `${JSON.stringify(text)} as ${type}, seed ${String(SEED)}`;
      try {
        await cur.withCopy('COPY stored (v) FROM STDIN (FORMAT binary)', async (copy) => {
          copy.setTypes([type]);
          await copy.writeRow([text]);
        });
      } catch (error) {
        expect(error, where).toBeInstanceOf(errors.DataError);
        continue;
      }
      const stored = await connection.execute('SELECT v::text FROM stored ORDER BY n DESC LIMIT 1');
      expect([read[i]], where).toEqual(await stored.fetchone());
    }
  },
);
