import type { AdaptersMap } from '../adapt/adapters-map.js';
import { BUILTIN_TYPES } from '../adapt/builtin-types.js';
import type { BinaryType } from './binary-type.js';
import { date, interval, time, timestamp, timestamptz, timetz } from './binary-datetime.js';
import { floatType, int8, integerType, numeric, xid8 } from './binary-numbers.js';
import {
  bits,
  bool,
  bytea,
  char,
  inetType,
  json,
  jsonb,
  macaddrType,
  plainText,
  uuid,
} from './binary-scalars.js';

const UINT4_MAX = 0xffff_ffff;

/** Types without a loader load as the server's text. */
function loadedAsText(type: BinaryType): BinaryType {
  return { ...type, load: (bytes, start, end) => type.text(bytes, start, end) };
}

let byOid: ReadonlyMap<number, BinaryType> | undefined;

/** Made for the first COPY, which many programs never come to. */
function builtinTypes(): ReadonlyMap<number, BinaryType> {
  const byName: Readonly<Record<string, BinaryType>> = {
    bool,
    bytea,
    '"char"': char,
    int2: integerType('int2', 2, -0x8000, 0x7fff),
    int4: integerType('int4', 4, -0x8000_0000, 0x7fff_ffff),
    int8,
    oid: integerType('oid', 4, 0, UINT4_MAX),
    xid: loadedAsText(integerType('xid', 4, 0, UINT4_MAX)),
    cid: loadedAsText(integerType('cid', 4, 0, UINT4_MAX)),
    xid8,
    float4: floatType('float4'),
    float8: floatType('float8'),
    numeric,
    text: plainText,
    varchar: plainText,
    bpchar: plainText,
    name: plainText,
    xml: plainText,
    unknown: plainText,
    cstring: plainText,
    refcursor: plainText,
    json,
    jsonb,
    uuid,
    date,
    time,
    timetz,
    timestamp,
    timestamptz,
    interval,
    inet: inetType('inet'),
    cidr: inetType('cidr'),
    macaddr: macaddrType('macaddr', 6),
    macaddr8: macaddrType('macaddr8', 8),
    bit: bits,
    varbit: bits,
  };
  const types = new Map<number, BinaryType>();
  for (const [name, oid] of BUILTIN_TYPES) {
    const type = Object.hasOwn(byName, name) ? byName[name] : undefined;
    if (type !== undefined) types.set(oid, type);
  }
  return types;
}

/** The binary format of a type that does not consist of others: a built-in one, or a registered enum. */
export function scalarType(oid: number, map: AdaptersMap): BinaryType | null {
  byOid ??= builtinTypes();
  return byOid.get(oid) ?? (map.type(oid)?.isEnum === true ? plainText : null);
}
