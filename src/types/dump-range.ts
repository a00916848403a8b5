import type { Adapters, DumpedParam } from './adaptation.js';
import { dumpParam } from './dump.js';
import { rangeText } from './range-codec.js';
import type { Multirange } from './multirange.js';
import { Oids } from './oids.js';
import { Range } from './range.js';

/** Dumps a range; its bounds determine its type. */
export function dumpRange(range: Range<unknown>, place: string, map: Adapters): DumpedParam {
  const { text, subtype } = dumpBounds(range, place, map);
  return { text, oid: map.rangeOf(subtype) };
}

/** Dumps a multirange; its first bound determines its type. */
export function dumpMultirange(multirange: Multirange<unknown>, place: string, map: Adapters): DumpedParam {
  let subtype: number | null = null;
  const texts = multirange.ranges.map((range, i) => {
    const dumped = dumpBounds(range, `${place}[${String(i)}]`, map);
    subtype ??= range.lower === null && range.upper === null ? null : dumped.subtype;
    return dumped.text;
  });
  return { text: `{${texts.join(',')}}`, oid: map.multirangeOf(subtype ?? Oids.unknown) };
}

/** Dumps a range's bounds. `subtype` is the oid of their type; 0 lets the server infer it. */
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
    // As in Psycopg, the server infers the type of a range of integers: it does not cast an int4range to an int8range or a
    // numrange.
    subtype: isInteger(representative) ? Oids.unknown : (range.lower === null ? upper : lower).oid,
  };
}

function isInteger(value: unknown): boolean {
  return typeof value === 'bigint' || Number.isInteger(value);
}
