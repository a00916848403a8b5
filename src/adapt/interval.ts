/** An interval: each field has its own sign, as in PostgreSQL. All are integers, and exact. */
export interface IntervalFields {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly microseconds: number;
}

const SECONDS = String.raw`(\d+(?:\.\d{1,6})?)`;

/** IntervalStyle postgres: 1 year 2 mons -3 days +04:05:06.7 */
const POSTGRES = new RegExp(
  String.raw`^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):${SECONDS})?$`,
);
/** IntervalStyle postgres_verbose: @ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago */
const VERBOSE = new RegExp(
  String.raw`^@ (?:0|(?:(-?\d+) years? ?)?(?:(-?\d+) mons? ?)?(?:(-?\d+) days? ?)?(?:(-?\d+) hours? ?)?(?:(-?\d+) mins? ?)?` +
    String.raw`(?:(-?)${SECONDS} secs?)?)( ago)?$`,
);
/** IntervalStyle iso_8601: P1Y2M-3DT4H5M6.7S */
const ISO_8601 = new RegExp(
  String.raw`^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)${SECONDS}S)?)?$`,
);
/** IntervalStyle sql_standard, where signs differ or both parts are there, and then in full: +1-2 -3 +4:05:06.7 */
const SQL_MIXED = new RegExp(String.raw`^([+-])(\d+)-(\d+) ([+-])(\d+) ([+-])(\d+):(\d\d):${SECONDS}$`);
/** Else, with one sign for all: 1-2, 3 4:05:06.7, 4:05:06.7, 0 */
const SQL_PLAIN = new RegExp(String.raw`^(-?)(?:(\d+)-(\d+)|(?:(\d+) )?(\d+):(\d\d):${SECONDS}|0)$`);

/** Reads what the server writes of an interval; the four values of `IntervalStyle` can be told apart. Null for anything else. */
export function readInterval(text: string): IntervalFields | null {
  if (text === '') return null;
  let match = POSTGRES.exec(text);
  if (match !== null) {
    const [, years, months, days, sign, hours, minutes, seconds] = match;
    return signed(
      1,
      [years, months, days, `${sign ?? ''}${hours ?? ''}`, `${sign ?? ''}${minutes ?? ''}`],
      sign,
      seconds,
    );
  }
  match = ISO_8601.exec(text);
  if (match !== null) return signed(1, match.slice(1, 6), match[6], match[7]);
  match = VERBOSE.exec(text);
  if (match !== null) return signed(match[8] === undefined ? 1 : -1, match.slice(1, 6), match[6], match[7]);
  match = SQL_MIXED.exec(text);
  if (match !== null) {
    const [, date = '', years, months, day = '', days, time = '', hours, minutes, seconds] = match;
    const fields = [
      `${date}${years!}`,
      `${date}${months!}`,
      `${day}${days!}`,
      `${time}${hours!}`,
      `${time}${minutes!}`,
    ];
    return signed(1, fields, time, seconds);
  }
  match = SQL_PLAIN.exec(text);
  if (match !== null) return signed(match[1] === '-' ? -1 : 1, match.slice(2, 7), '', match[7]);
  return null;
}

function signed(
  factor: 1 | -1,
  [years, months, days, hours, minutes]: readonly (string | undefined)[],
  secondsSign: string | undefined,
  seconds: string | undefined,
): IntervalFields {
  const field = (digits: string | undefined): number => factor * Number.parseInt(digits ?? '0', 10) || 0;
  const [whole = '0', fraction = ''] = seconds?.split('.') ?? [];
  const microseconds = Number(whole) * 1_000_000 + Number(fraction.padEnd(6, '0'));
  return {
    years: field(years),
    months: field(months),
    days: field(days),
    hours: field(hours),
    minutes: field(minutes),
    microseconds: factor * (secondsSign === '-' ? -microseconds : microseconds) || 0,
  };
}

/** The interval as `IntervalStyle` iso_8601 writes it, which every session reads as the same. */
export function writeInterval({ years, months, days, hours, minutes, microseconds }: IntervalFields): string {
  const date = field(years, 'Y') + field(months, 'M') + field(days, 'D');
  const time =
    field(hours, 'H') + field(minutes, 'M') + (microseconds === 0 ? '' : `${decimal(microseconds)}S`);
  if (time !== '') return `P${date}T${time}`;
  return date === '' ? 'PT0S' : `P${date}`;
}

function field(count: number, unit: string): string {
  return count === 0 ? '' : `${String(count)}${unit}`;
}

function decimal(microseconds: number): string {
  const absolute = Math.abs(microseconds);
  const fraction = absolute % 1_000_000;
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
  return `${microseconds < 0 ? '-' : ''}${String(Math.floor(absolute / 1_000_000))}${digits}`;
}
