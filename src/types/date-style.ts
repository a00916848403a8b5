import { SPACE } from './ascii.js';
import * as errors from '../errors/index.js';
import type { SessionSettings } from './adaptation.js';
import { isoMoment } from './date-text.js';

/** The types whose text depends on the session's `DateStyle`. */
export type DatedType = 'date' | 'timestamp' | 'timestamptz';

const CLOCK = String.raw`(\d\d:\d\d:\d\d(?:\.\d{1,6})?)`;
const END = String.raw`(?: (?!BC$)([^ ]+))?( BC)?$`;
/** The form of the styles SQL and German, and of dates in the style Postgres: 02/01/2024, 02.01.2024, 02-01-2024. */
const NUMBERS = new RegExp(String.raw`^(\d\d)([/.-])(\d\d)\2(\d{4,7})(?: ${CLOCK})?${END}`);
/** The form of timestamps in the style Postgres: Tue Jan 02 03:04:05 2024, or Tue 02 Jan 03:04:05 2024. */
const WORDS = new RegExp(
  String.raw`^[A-Z][a-z]{2} (?:([A-Z][a-z]{2}) (\d\d)|(\d\d) ([A-Z][a-z]{2})) ${CLOCK} (\d{4,7})${END}`,
);
const BEGINS_WITH_YEAR = /^\d{4}/;
/** The server's texts are not longer. */
const LONGEST = 60;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The date in the form of ISO, the time of day, the time zone's abbreviation, and BC. */
type Parts = readonly [
  date: string,
  clock: string | undefined,
  zone: string | undefined,
  bc: string | undefined,
];

/**
 * Converts a date's or timestamp's text from any `DateStyle` to ISO. The infinities have the same text in all styles. Raises
 * `DataError` for an ambiguous text: the reported settings do not determine the order of month and day, or the offset of the time
 * zone.
 */
export function isoStyle(text: string, type: DatedType, settings: SessionSettings): string {
  if (text === 'infinity' || text === '-infinity') return text;
  const iso =
    text.length > LONGEST || BEGINS_WITH_YEAR.test(text) ? text : ofOtherStyle(text, type, settings);
  if (iso === null || isoMoment(iso, type) === null) {
    throw unreadable(text, type, 'it is written in none of the known styles');
  }
  return iso;
}

/**
 * The end of a text that `isoStyle()` accepts; -1 if it accepts none. `at` is the end of the most frequent form under ISO, or
 * negative.
 */
export function endOfDated(
  at: number,
  bytes: Buffer,
  start: number,
  end: number,
  type: DatedType,
  settings: SessionSettings,
): number {
  // A blank is followed by BC.
  if (at >= 0 && (at === end || bytes[at] !== SPACE)) return at;
  if (end - start > LONGEST) return -1;
  try {
    isoStyle(bytes.latin1Slice(start, end), type, settings);
    return end;
  } catch {
    return -1;
  }
}

/** Converts a text from a style other than ISO; null for a text in no known style. */
function ofOtherStyle(text: string, type: DatedType, settings: SessionSettings): string | null {
  const parts = readWords(text) ?? readNumbers(text, type, settings);
  if (parts === null) return null;
  const [day, clock, zone, era = ''] = parts;
  if (zone !== undefined && type !== 'timestamptz') return null;
  const offset = type === 'timestamptz' && clock !== undefined ? offsetOf(zone, text, settings) : '';
  return `${day}${clock === undefined ? '' : ` ${clock}`}${offset}${era}`;
}

function readWords(text: string): Parts | null {
  const match = WORDS.exec(text);
  if (match === null) return null;
  const [, firstMonth, secondDay, firstDay, secondMonth, clock, year, zone, era] = match;
  const month = MONTHS.indexOf(firstMonth ?? secondMonth!) + 1;
  const day = `${year!}-${String(month).padStart(2, '0')}-${(secondDay ?? firstDay)!}`;
  return month === 0 ? null : [day, clock, zone, era];
}

function readNumbers(text: string, type: DatedType, settings: SessionSettings): Parts | null {
  const match = NUMBERS.exec(text);
  if (match === null) return null;
  const [, first, separator, second, year, clock, zone, era] = match;
  const dayFirst =
    separator === '.' || isDayFirst(text, type, separator === '/' ? 'SQL' : 'Postgres', settings);
  const day = dayFirst ? `${second!}-${first!}` : `${first!}-${second!}`;
  return [`${year!}-${day}`, clock, zone, era];
}

/** Whether the day comes before the month. In these styles, the DateStyle order YMD is written like MDY. */
function isDayFirst(text: string, type: DatedType, style: string, settings: SessionSettings): boolean {
  const reported = settings.get('DateStyle');
  const [reportedStyle, order] = reported?.split(', ') ?? [];
  if (reportedStyle === style && order !== undefined) return order === 'DMY';
  throw unreadable(
    text,
    type,
    `whether month or day come first is not known, since the server reported the DateStyle ${reported ?? '(none)'} last`,
  );
}

const UTC = /^(?:Etc\/)?(?:UTC|UCT|GMT|Universal|Zulu|Greenwich)$/i;
const OFFSET = /^([+-]\d\d)(\d\d)?(\d\d)?$/;

/**
 * The offset of a time zone's abbreviation. Letters are ambiguous, except UTC's own in a session whose time zone is UTC. An
 * area's zone, such as Asia/Kathmandu, may be abbreviated by its offset.
 */
function offsetOf(zone: string | undefined, text: string, settings: SessionSettings): string {
  const timeZone = settings.get('TimeZone') ?? '';
  if ((zone === 'UTC' || zone === 'GMT') && UTC.test(timeZone)) return '+00';
  const offset = timeZone.includes('/') ? OFFSET.exec(zone ?? '') : null;
  if (offset !== null) return offset.slice(1).filter(Boolean).join(':');
  throw unreadable(text, 'timestamptz', 'the offset of its time zone is not certain');
}

function unreadable(text: string, type: DatedType, why: string): Error {
  return new errors.DataError(
    `the ${type} '${text.slice(0, LONGEST)}' can't be read: ${why}. Set DateStyle to ISO, in a statement before the one that reads it`,
  );
}
