import { checkText } from './write-text.js';
import * as errors from '../errors/index.js';
import type { DumpedParam } from './adaptation.js';
import { dateText, EPOCH_DAYS } from './date-text.js';
import { Oids } from './oids.js';

const INT8_LIMIT = 2 ** 63;

/** Dumps an integral number as the smallest of int2, int4 and int8 that holds it, any other number as float8. */
export function dumpNumber(value: number): DumpedParam {
  if (Number.isInteger(value) && !Object.is(value, -0)) {
    if ((value << 16) >> 16 === value) return { text: String(value), oid: Oids.int2 };
    if ((value | 0) === value) return { text: String(value), oid: Oids.int4 };
    // Beyond 2^53, String() rounds the digits of a number, but not those of a bigint.
    if (Number.isSafeInteger(value)) return { text: String(value), oid: Oids.int8 };
    if (value >= -INT8_LIMIT && value < INT8_LIMIT) return { text: String(BigInt(value)), oid: Oids.int8 };
  }
  return dumpFloat(value, Oids.float8);
}

/** Dumps a number, including NaN, the infinities and -0, as a float of the given type. */
export function dumpFloat(value: number, oid: number): DumpedParam {
  return { text: Object.is(value, -0) ? '-0' : String(value), oid };
}

/** Dumps a bigint as int8, or as numeric if it is out of range. */
export function dumpInteger(value: bigint): DumpedParam {
  return { text: String(value), oid: BigInt.asIntN(64, value) === value ? Oids.int8 : Oids.numeric };
}

/** Dumps a string; the server infers its type. */
export function dumpText(value: string, place: string): DumpedParam {
  return { text: checkText(value, place), oid: Oids.unknown };
}

export function dumpBoolean(value: boolean): DumpedParam {
  return { text: value ? 't' : 'f', oid: Oids.bool };
}

/** Dumps a Uint8Array or Buffer as bytea. */
export function dumpBytes(value: Uint8Array): DumpedParam {
  const bytes = Buffer.isBuffer(value)
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return { text: `\\x${bytes.toString('hex')}`, oid: Oids.bytea };
}

/** Dumps a Date as timestamptz. */
export function dumpDate(value: Date, place: string): DumpedParam {
  const time = value.getTime();
  if (Number.isNaN(time)) throw new errors.DataError(`${place}: the Date is invalid`);
  const year = value.getUTCFullYear();
  if (year >= 1 && year <= 9999) return { text: value.toISOString(), oid: Oids.timestamptz };
  // ISO 8601 has a year 0 and signed years, PostgreSQL has years BC.
  const days = Math.floor(time / 86_400_000) - EPOCH_DAYS;
  return { text: dateText(days, ` ${value.toISOString().slice(-13, -1)}+00`), oid: Oids.timestamptz };
}
