import type { CodecSource, TypeEntry } from './adaptation.js';
import { bytea } from './bytea.js';
import { record } from './composite-codec.js';
import { date, time, timestamp, timestamptz, timetz } from './datetime.js';
import { float4, float8 } from './float.js';
import { cid, int2, int4, int8, oid, xid, xid8 } from './integer.js';
import { interval } from './interval.js';
import { json, jsonb } from './json.js';
import { cidr, inet, macaddr, macaddr8 } from './network.js';
import { numeric } from './numeric.js';
import { Oids } from './oids.js';
import { multirangeOf, rangeOf } from './range-codec.js';
import { bool, rareText, text, unknown } from './text.js';
import { bit, char, pgLsn, uuid, varbit } from './textual.js';

/** A built-in type, which has the same oid on every server, with its codec. */
export interface TypeDefinition extends TypeEntry {
  readonly codec: CodecSource;
}

function type(
  name: string,
  typeOid: number,
  arrayOid: number,
  codec: CodecSource,
  more: Partial<TypeEntry> = {},
): TypeDefinition {
  return { name, oid: typeOid, arrayOid, delimiter: ',', codec, ...more };
}

function range(name: string, rangeOid: number, arrayOid: number, subtype: number): TypeDefinition {
  return type(name, rangeOid, arrayOid, rangeOf(name, subtype), { rangeOf: subtype });
}

function multirange(name: string, multirangeOid: number, arrayOid: number, subtype: number): TypeDefinition {
  return type(name, multirangeOid, arrayOid, multirangeOf(name, subtype), { multirangeOf: subtype });
}

/**
 * Name, oid, oid of the array type (0: none), codec; `format_type()`'s name where it differs; the separator of array elements
 * where it is not a comma. From the catalogue of PostgreSQL 15:
 * select typname, oid, typarray, typdelim from pg_type where oid < 10000 and typname !~ '^_' order by oid
 */
// prettier-ignore
export const DEFINITIONS: readonly TypeDefinition[] = [
  type('bool', 16, 1000, bool, { sqlName: 'boolean' }),
  type('bytea', 17, 1001, bytea),
  type('"char"', 18, 1002, char),
  type('name', 19, 1003, text),
  type('int8', 20, 1016, int8, { sqlName: 'bigint' }),
  type('int2', 21, 1005, int2, { sqlName: 'smallint' }),
  type('int2vector', 22, 1006, unknown),
  type('int4', 23, 1007, int4, { sqlName: 'integer' }),
  type('regproc', 24, 1008, unknown),
  type('text', 25, 1009, text),
  type('oid', 26, 1028, oid),
  type('tid', 27, 1010, unknown),
  type('xid', 28, 1011, xid),
  type('cid', 29, 1012, cid),
  type('oidvector', 30, 1013, unknown),
  type('json', 114, 199, json),
  type('xml', 142, 143, rareText),
  type('point', 600, 1017, unknown),
  type('lseg', 601, 1018, unknown),
  type('path', 602, 1019, unknown),
  type('box', 603, 1020, unknown, { delimiter: ';' }),
  type('polygon', 604, 1027, unknown),
  type('line', 628, 629, unknown),
  type('cidr', 650, 651, cidr),
  type('float4', 700, 1021, float4, { sqlName: 'real' }),
  type('float8', 701, 1022, float8, { sqlName: 'double precision' }),
  type('unknown', 705, 0, rareText),
  type('circle', 718, 719, unknown),
  type('macaddr8', 774, 775, macaddr8),
  type('money', 790, 791, unknown),
  type('macaddr', 829, 1040, macaddr),
  type('inet', 869, 1041, inet),
  type('aclitem', 1033, 1034, unknown),
  type('bpchar', 1042, 1014, text, { sqlName: 'character' }),
  type('varchar', 1043, 1015, text, { sqlName: 'character varying' }),
  type('date', 1082, 1182, date),
  type('time', 1083, 1183, time, { sqlName: 'time without time zone' }),
  type('timestamp', 1114, 1115, timestamp, { sqlName: 'timestamp without time zone' }),
  type('timestamptz', 1184, 1185, timestamptz, { sqlName: 'timestamp with time zone' }),
  type('interval', 1186, 1187, interval),
  type('timetz', 1266, 1270, timetz, { sqlName: 'time with time zone' }),
  type('bit', 1560, 1561, bit),
  type('varbit', 1562, 1563, varbit, { sqlName: 'bit varying' }),
  type('numeric', 1700, 1231, numeric),
  type('refcursor', 1790, 2201, rareText),
  type('regprocedure', 2202, 2207, unknown),
  type('regoper', 2203, 2208, unknown),
  type('regoperator', 2204, 2209, unknown),
  type('regclass', 2205, 2210, unknown),
  type('regtype', 2206, 2211, unknown),
  type('record', 2249, 2287, record),
  type('cstring', 2275, 1263, rareText),
  type('void', 2278, 0, unknown),
  type('uuid', 2950, 2951, uuid),
  type('txid_snapshot', 2970, 2949, unknown),
  type('pg_lsn', 3220, 3221, pgLsn),
  type('tsvector', 3614, 3643, unknown),
  type('tsquery', 3615, 3645, unknown),
  type('gtsvector', 3642, 3644, unknown),
  type('regconfig', 3734, 3735, unknown),
  type('regdictionary', 3769, 3770, unknown),
  type('jsonb', 3802, 3807, jsonb),
  range('int4range', 3904, 3905, Oids.int4),
  range('numrange', 3906, 3907, Oids.numeric),
  range('tsrange', 3908, 3909, Oids.timestamp),
  range('tstzrange', 3910, 3911, Oids.timestamptz),
  range('daterange', 3912, 3913, Oids.date),
  range('int8range', 3926, 3927, Oids.int8),
  type('jsonpath', 4072, 4073, unknown),
  type('regnamespace', 4089, 4090, unknown),
  type('regrole', 4096, 4097, unknown),
  type('regcollation', 4191, 4192, unknown),
  multirange('int4multirange', 4451, 6150, Oids.int4),
  multirange('nummultirange', 4532, 6151, Oids.numeric),
  multirange('tsmultirange', 4533, 6152, Oids.timestamp),
  multirange('tstzmultirange', 4534, 6153, Oids.timestamptz),
  multirange('datemultirange', 4535, 6155, Oids.date),
  multirange('int8multirange', 4536, 6157, Oids.int8),
  type('pg_snapshot', 5038, 5039, unknown),
  type('xid8', 5069, 271, xid8),
];
