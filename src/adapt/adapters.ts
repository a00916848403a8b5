import { AdaptersMap } from './adapters-map.js';
import { BUILTIN_TYPES, SQL_NAMES } from './builtin-types.js';
import { dumpBoolean, dumpBytes, dumpDate, dumpInteger, dumpNumber, dumpText } from './dump-scalars.js';
import { loadInstant, loadInterval, loadTimestamp } from './load-datetime.js';
import { loadBigint, loadFloat, loadInteger } from './load-numbers.js';
import { loadAscii, loadBoolean, loadBytes, loadJson } from './load-text.js';
import { Oids } from './oids.js';
import { dumpWrapper, Wrapper } from './wrappers.js';

/** The adapters that every new connection gets a copy of (Psycopg: `psycopg.adapters`). */
export const adapters = new AdaptersMap();

for (const [name, oid, arrayOid, delimiter = ','] of BUILTIN_TYPES) {
  adapters.registerType({ name, oid, arrayOid, delimiter, sqlName: SQL_NAMES[name] });
}

for (const oid of [Oids.int2, Oids.int4, Oids.oid]) adapters.setLoader(oid, loadInteger);
adapters.setLoader(Oids.int8, loadBigint);
for (const oid of [Oids.float4, Oids.float8]) adapters.setLoader(oid, loadFloat);
for (const oid of [Oids.numeric, Oids.uuid, Oids.date, Oids.time, Oids.timetz])
  adapters.setLoader(oid, loadAscii);
adapters.setLoader(Oids.bool, loadBoolean);
adapters.setLoader(Oids.bytea, loadBytes);
for (const oid of [Oids.json, Oids.jsonb]) adapters.setLoader(oid, loadJson);
adapters.setLoader(Oids.timestamp, loadTimestamp);
adapters.setLoader(Oids.timestamptz, loadInstant);
adapters.setLoader(Oids.interval, loadInterval);

adapters.registerDumper('number', dumpNumber);
adapters.registerDumper('bigint', dumpInteger);
adapters.registerDumper('string', dumpText);
adapters.registerDumper('boolean', dumpBoolean);
adapters.registerDumper(Date, dumpDate);
adapters.registerDumper(Uint8Array, dumpBytes);
adapters.registerDumper(Wrapper, dumpWrapper);
