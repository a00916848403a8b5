import * as errors from '../errors/index.js';

const NANOSECONDS = /\.\d{7}/;

/** Refuses what PostgreSQL would round: nanoseconds that are not whole microseconds. */
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

/** ISO 8601 has a year 0 and signs; PostgreSQL has neither. */
export function datedText(text: string): string {
  const [, year, rest] = DATE.exec(text)!;
  const number = Number(year);
  return number > 0
    ? `${String(number).padStart(4, '0')}${rest!}`
    : `${String(1 - number).padStart(4, '0')}${rest!} BC`;
}

const DURATION =
  /^(-?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
const UNITS = ['years', 'mons', 'weeks', 'days', 'hours', 'mins', 'secs'];

/**
 * A duration as the server reads it exactly. As ISO 8601 it would read it as floating point numbers, and only signs in front of
 * each field mean the same under every IntervalStyle.
 */
export function intervalText(text: string): string {
  const [, sign, ...fields] = DURATION.exec(text)!;
  const parts = fields.map((digits: string | undefined, i) =>
    digits === undefined ? '' : `${sign === '-' ? '-' : '+'}${digits} ${UNITS[i]!}`,
  );
  return parts.filter((part) => part !== '').join(' ') || '0';
}
