import { describe, expect, test } from 'vitest';
import {
  adapters,
  CompositeInfo,
  errors,
  registerComposite,
  registerHstore,
  TypeInfo,
} from '../../src/index.js';
import { ByteWriter } from '../../src/types/byte-writer.js';
import { checkedReader } from '../../src/types/codec.js';

// A megabyte of the worst input for a parser. Each text must be read or refused in linear time; a parser that backtracks would
// take minutes.

const map = adapters.clone();
registerHstore(new TypeInfo('hstore', 90_001, 90_002), map);
registerComposite(
  new CompositeInfo('pair', 90_003, 90_004, { fieldNames: ['a', 'b'], fieldTypes: [23, 25] }),
  map,
);

const MEGA = 1_000_000;
const of = (unit: string): string => unit.repeat(MEGA / unit.length);

const HOSTILE: readonly string[] = [
  of('1'),
  `${of('1')}x`,
  `-${of('0')}`,
  `0.${of('1')}`,
  `1.${of('0')}x`,
  `1e${of('9')}`,
  of(' '),
  `${of(' ')}x`,
  `1${of(' ')}x`,
  of('{'),
  `{${of('{},')}`,
  of('{"'),
  `{"${of('\\"')}`,
  `{${of(',')}}`,
  `{${of('1,')}1}`,
  `[${of('0')}`,
  `[0:1]${of('=')}`,
  of('('),
  `(${of(',')})`,
  `("${of('""')}",x)`,
  `("${of('\\')}`,
  of('[1,2),'),
  `{${of('[1,2),')}[3,4)}`,
  `{${of('empty,')}`,
  `"${of('\\"')}"=>"x"`,
  `"a"=>"${of('\\\\')}"`,
  of('"a"=>NULL,'),
  of('"a" '),
  of('\\x'),
  `\\x${of('ab')}`,
  `\\x${of('a b ')}`,
  of('\\000'),
  of('a\\'),
  of('-'),
  of('1 day '),
  `P${of('1')}`,
  `P${of('1D')}`,
  `PT${of('1')}.${of('1')}S`,
  of('12:'),
  of('2024-01-01 '),
  `2024-01-01 00:00:00.${of('0')}`,
  `12:34:56.${of('1')}`,
  of('10.0.0.0/'),
  of('::'),
  of('08:'),
  of('01'),
  of('t'),
  of('NaN'),
  of('inf'),
  of('é'),
  of('[['),
  `"${of('\\u0000')}"`,
];

const TYPES = [
  ...'bool bytea "char" int2 int4 int8 oid xid xid8 float4 float8 numeric text json jsonb uuid date time timetz timestamp'.split(
    ' ',
  ),
  ...'timestamptz interval inet cidr macaddr varbit pg_lsn int4range numrange int4multirange hstore pair'.split(
    ' ',
  ),
];
const OIDS = [
  ...TYPES.map((type) => [type, map.type(type)!.oid] as const),
  ...['int4', 'text', 'numeric', 'int4range', 'hstore', 'pair'].map(
    (type) => [`${type}[]`, map.type(type)!.arrayOid] as const,
  ),
];

describe.each(OIDS)('%s', (_, oid) => {
  test('reads, writes or refuses hostile texts in linear time', () => {
    const codec = map.codecFor(oid);
    const readText = checkedReader(codec);
    const { textToBinary } = codec;
    const start = performance.now();
    for (const text of HOSTILE) {
      const bytes = Buffer.from(text);
      for (const work of [
        () => readText(bytes, 0, bytes.length),
        () => textToBinary!(text, new ByteWriter(), 'the value'),
      ]) {
        try {
          work();
        } catch (error) {
          expect(error, text.slice(0, 40)).toBeInstanceOf(errors.DataError);
        }
      }
    }
    // A hundred passes.
    expect(performance.now() - start).toBeLessThan(25_000);
  });
});
