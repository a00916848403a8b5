import type { Adapters, DumpedParam } from './adaptation.js';
import { dumpParam } from './dump.js';
import { rangeText } from './range-codec.js';
import type { Multirange } from './multirange.js';
import { Oids } from './oids.js';
import { Range } from './range.js';

/** A range, whose bounds choose its type. */
export function dumpRange(range: Range<unknown>, place: string, map: Adapters): DumpedParam {
  const { text, subtype } = dumpBounds(range, place, map);
  return { text, oid: map.rangeOf(subtype) };
}

/** A multirange, whose first bound chooses its type. */
export function dumpMultirange(multirange: Multirange<unknown>, place: string, map: Adapters): DumpedParam {
  let subtype: number | null = null;
  const texts = multirange.ranges.map((range, i) => {
    const dumped = dumpBounds(range, `${place}[${String(i)}]`, map);
    subtype ??= range.lower === null && range.upper === null ? null : dumped.subtype;
    return dumped.text;
  });
  return { text: `{${texts.join(',')}}`, oid: map.multirangeOf(subtype ?? Oids.unknown) };
}

/** `subtype` is the oid of the bounds' type, 0 if the server is to decide. */
function dumpBounds(
  range: Range<unknown>,
  place: string,
  map: Adapters,
): { readonly text: string; readonly subtype: number } {
  if (range.isempty) return { text: 'empty', subtype: Oids.unknown };
  const lower = dumpParam(range.lower, map, `${place}.lower`);
  const upper = dumpParam(range.upper, map, `${place}.upper`);
  const representative = range.lower ?? range.upper;
  return {
    text: rangeText(new Range(lower.text, upper.text, range.bounds)),
    // As in Psycopg, since the server casts no range type to another: an int4range would not do for an int8range, or a numrange.
    subtype: isInteger(representative) ? Oids.unknown : (range.lower === null ? upper : lower).oid,
  };
}

function isInteger(value: unknown): boolean {
  return typeof value === 'bigint' || Number.isInteger(value);
}
