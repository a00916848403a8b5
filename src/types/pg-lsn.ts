import { fixed, refused, shown, textual } from './codec.js';

const PG_LSN = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i;

const hex = (half: number): string => half.toString(16).toUpperCase();

/** pg_lsn, a position in the write-ahead log, as text. */
export const pgLsn = textual({
  textToBinary: (text, out, place) => {
    const [, high, low] = PG_LSN.exec(text) ?? [];
    if (high === undefined) throw refused(place, `${shown(text)} is not a pg_lsn`);
    out.int32(Number.parseInt(high, 16));
    out.int32(Number.parseInt(low!, 16));
  },
  binaryToText: fixed(
    'pg_lsn',
    8,
    (bytes, start) => `${hex(bytes.readUInt32BE(start))}/${hex(bytes.readUInt32BE(start + 4))}`,
  ),
});
