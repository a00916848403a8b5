import * as errors from '../errors/index.js';
import { writeInterval } from './interval.js';

const NANOSECONDS = /\.\d{7}/;

/** Raises `DataError` for nanoseconds that are not whole microseconds, which PostgreSQL would round. */
export function checkMicroseconds(text: string, place: string): string {
  if (NANOSECONDS.test(text)) {
    throw new errors.DataError(
      `${place}: ${text} has nanoseconds, but PostgreSQL keeps microseconds; round it, with` +
        " .round({ smallestUnit: 'microsecond' }) say",
    );
  }
  return text;
}

const DATE = /^(-\d{6}|\+\d{6}|\d{4})(-.*)$/;

/** Converts years: ISO 8601 has a year 0 and signed years, PostgreSQL has years BC. */
export function datedText(text: string): string {
  const [, year, rest] = DATE.exec(text)!;
  const number = Number(year);
  return number > 0
    ? `${String(number).padStart(4, '0')}${rest!}`
    : `${String(1 - number).padStart(4, '0')}${rest!} BC`;
}

const DURATION =
  /^(-?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?$/;

/**
 * Converts a duration to a form that the server reads the same under every IntervalStyle: without weeks, and with a sign on each
 * field. The seconds are below a minute, since the server parses them as a floating point number. All integers are exact:
 * Temporal limits time units to 2^53 seconds.
 */
export function intervalText(text: string): string {
  const [, minus, years, months, weeks, days, hours, minutes, seconds, fraction = ''] = DURATION.exec(
    text,
  ) as readonly (string | undefined)[];
  const signed = (count: number): number => (minus === '-' ? -count : count);
  const time = (numberOf(hours) * 60 + numberOf(minutes)) * 60 + numberOf(seconds);
  return writeInterval({
    years: signed(numberOf(years)),
    months: signed(numberOf(months)),
    days: signed(numberOf(weeks) * 7 + numberOf(days)),
    hours: signed(Math.floor(time / 3600)),
    minutes: signed(Math.floor(time / 60) % 60),
    microseconds: signed((time % 60) * 1_000_000 + Number(fraction.padEnd(6, '0'))),
  });
}

function numberOf(digits: string | undefined): number {
  return digits === undefined ? 0 : Number(digits);
}
