import { daysFromCivil, isCivil } from './calendar.js';
import { refused, shown, type Place } from './codec.js';
import { DAY, EPOCH_DAYS } from './date-text.js';

// Parses texts of dates and times that are sent in the binary format: ISO 8601, and the server's form under DateStyle ISO.

const DATE = String.raw`(\d{4,7})-(\d\d)-(\d\d)`;
const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?`;
const ZONE = String.raw`(?:\s?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?))`;
const TIMESTAMP = new RegExp(String.raw`^\s*${DATE}(?:[T ]${TIME}${ZONE}?)?( BC)?\s*$`, 'i');
const TIME_OF_DAY = new RegExp(String.raw`^\s*${TIME}${ZONE}?\s*$`, 'i');
const INFINITE = /^\s*([+-]?)infinity\s*$/i;
/** The server's own limit. */
const LONGEST = 128;

/** The parts of a point in time: days from 2000-01-01, microseconds of the day, and seconds east of UTC if the text has a zone. */
export interface Moment {
  readonly days: number;
  readonly microseconds: number;
  readonly offset: number | null;
}

export function parseMoment(text: string, type: string, place: Place): Moment {
  const match = text.length > LONGEST ? null : TIMESTAMP.exec(text);
  if (match === null) throw notIso(text, type, place);
  const [, yearText, monthText, dayText, hour = '0', minute = '0', second = '0', fraction = '', zone, bc] =
    match;
  const written = Number(yearText);
  const year = bc === undefined ? written : 1 - written;
  const month = Number(monthText);
  const day = Number(dayText);
  if (written === 0 || !isCivil(year, month, day)) {
    throw refused(place, `${shown(text)} is not a day of the calendar`);
  }
  return {
    days: daysFromCivil(year, month, day) - EPOCH_DAYS,
    microseconds: timeOfDay(text, hour, minute, second, fraction, place),
    offset: zone === undefined ? null : offsetOf(zone, text, place),
  };
}

export function parseTime(text: string, type: string, place: Place): Omit<Moment, 'days'> {
  const match = text.length > LONGEST ? null : TIME_OF_DAY.exec(text);
  if (match === null) throw notIso(text, type, place);
  const [, hour, minute, second = '0', fraction = '', zone] = match;
  return {
    microseconds: timeOfDay(text, hour!, minute!, second, fraction, place),
    offset: zone === undefined ? null : offsetOf(zone, text, place),
  };
}

/** 1 or -1 for an infinity; 0 for any other text. */
export function infinitySign(text: string): 1 | -1 | 0 {
  const match = text.length > LONGEST ? null : INFINITE.exec(text);
  return match === null ? 0 : match[1] === '-' ? -1 : 1;
}

/** Microseconds of the day. As on the server, second 60 and hour 24 mean the next minute and the next day. */
function timeOfDay(
  text: string,
  hour: string,
  minute: string,
  second: string,
  fraction: string,
  place: Place,
): number {
  const hours = Number(hour);
  const minutes = Number(minute);
  const seconds = Number(second);
  const time = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + microsecondsOf(fraction);
  if (hours > 24 || minutes > 59 || seconds > 60 || time > DAY) {
    throw refused(place, `${shown(text)} is not a time of day`);
  }
  return time;
}

/** Rounds to microseconds, ties to even, as the server does. */
export function microsecondsOf(fraction: string): number {
  if (fraction.length <= 6) return Number(fraction.padEnd(6, '0'));
  const exact = Number(`0.${fraction}`) * 1_000_000;
  const floor = Math.floor(exact);
  const rest = exact - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Seconds east of UTC. */
function offsetOf(zone: string, text: string, place: Place): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const digits = zone.slice(1).replaceAll(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2, 4));
  const seconds = Number(digits.slice(4, 6));
  if (hours > 15 || minutes > 59 || seconds > 59) {
    throw refused(place, `the time zone of ${shown(text)} is out of range`);
  }
  const offset = (hours * 60 + minutes) * 60 + seconds;
  return zone.startsWith('-') ? -offset : offset;
}

function notIso(text: string, type: string, place: Place): Error {
  return refused(place, `${shown(text)} can't be sent as ${type}: the binary format needs ISO 8601`);
}

/** The error for a text without its offset. */
export function zoneMissing(text: string, type: string, place: Place): Error {
  return refused(
    place,
    `${shown(text)} can't be sent as ${type}: it needs its offset from UTC, such as +02 or Z`,
  );
}

/** The error for a value outside of its type's range. */
export function outOfRange(value: string, type: string, place: Place): Error {
  return refused(place, `${value} is out of range for ${type}`);
}
